//! Callers by the keys that an issuer publishes: a real key server before the real functions, which
//! rotates, hangs, lies, grows and goes away.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use e2e::{Answer, App};
use futures_util::future::join_all;
use http::Response;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use local::Options;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a key server does with a request.
#[derive(Clone)]
enum Manner {
    /// It answers with this text.
    Says(String),
    /// It answers with this status and, if there is one, to look there.
    Refuses(u16, Option<String>),
    /// It never answers.
    Hangs,
    /// It closes the connection.
    Closes,
}

/// A key server on loopback.
struct KeyServer {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

struct State {
    manner: Mutex<Manner>,
    asked: AtomicUsize,
}

impl KeyServer {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State { manner: Mutex::new(manner), asked: AtomicUsize::new(0) });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, accepting }
    }

    /// One that shows the public halves of these keys.
    async fn showing(signers: &[&Signer]) -> Self {
        Self::start(Manner::Says(set(signers))).await
    }

    fn url(&self) -> String {
        format!("http://{}/.well-known/jwks.json", self.address)
    }

    fn now(&self, manner: Manner) {
        *self.state.manner.lock().unwrap() = manner;
    }

    fn shows(&self, signers: &[&Signer]) {
        self.now(Manner::Says(set(signers)));
    }

    fn asked(&self) -> usize {
        self.state.asked.load(Ordering::Relaxed)
    }

    /// From here on every connection is refused.
    async fn goes_away(&mut self) {
        self.accepting.abort();
        // Cancelled, as was asked for.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(converse(socket, Arc::clone(&state)));
    }
}

async fn converse(socket: TcpStream, state: Arc<State>) {
    let service = service_fn(move |_: Request<Incoming>| answer(Arc::clone(&state)));
    // An error is the other side's going away, or ours.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

async fn answer(state: Arc<State>) -> io::Result<Response<Full<Bytes>>> {
    state.asked.fetch_add(1, Ordering::Relaxed);
    let manner = state.manner.lock().unwrap().clone();
    let (status, location, text) = match manner {
        Manner::Says(text) => (200, None, text),
        Manner::Refuses(status, location) => (status, location, String::new()),
        Manner::Hangs => std::future::pending::<(u16, Option<String>, String)>().await,
        Manner::Closes => return Err(io::Error::other("closed")),
    };
    let mut answer = Response::builder().status(status);
    if let Some(location) = location {
        answer = answer.header("location", location);
    }
    answer.body(Full::from(text)).map_err(io::Error::other)
}

/// An issuer's private key.
struct Signer {
    id: String,
    pair: Pair,
}

enum Pair {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    fn p256(id: &str) -> Self {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let made = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(kind, made.as_ref(), &random).unwrap();
        Self { id: id.to_owned(), pair: Pair::P256(pair) }
    }

    fn ed25519(id: &str) -> Self {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(made.as_ref()).unwrap();
        Self { id: id.to_owned(), pair: Pair::Ed25519(pair) }
    }

    fn algorithm(&self) -> &'static str {
        match self.pair {
            Pair::P256(_) => "ES256",
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    fn jwk(&self) -> Value {
        let (id, algorithm) = (&self.id, self.algorithm());
        match &self.pair {
            Pair::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": id, "alg": algorithm})
            }
            Pair::Ed25519(pair) => {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": id, "use": "sig"})
            }
        }
    }

    /// A token of Alice's.
    fn token(&self) -> String {
        let header = json!({"alg": self.algorithm(), "typ": "JWT", "kid": self.id});
        self.token_with(&header, &alice())
    }

    fn token_with(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = match &self.pair {
            Pair::P256(pair) => pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap(),
            Pair::Ed25519(pair) => pair.sign(signed.as_bytes()),
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn alice() -> Value {
    json!({"sub": "alice", "role": "user", "exp": 4_102_444_800_i64})
}

fn set(signers: &[&Signer]) -> String {
    let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({"keys": keys}).to_string()
}

/// A stack whose functions ask this server, with one process for each function, so that what one
/// process asks can be counted.
async fn app(server: &KeyServer) -> App {
    let url = server.url();
    let env = [("JWT_SECRET", ""), ("JWT_JWKS_URL", url.as_str())];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    App::with(Options { env, max_instances: 1, ..Options::default() }).await
}

async fn call(app: &App, token: &str) -> Answer {
    app.post_with("/token", &[("authorization", &format!("Bearer {token}"))], "{}").await
}

async fn let_in(app: &App, token: &str) {
    let answer = call(app, token).await.good();
    assert_eq!(answer.body["userId"], "alice");
}

async fn turned_away(app: &App, token: &str) {
    assert_eq!(call(app, token).await.outcome(), (401, "unauthenticated"));
}

/// Waits until a function has printed this, which takes a moment longer than an answer.
async fn says(app: &App, text: &str) {
    for _ in 0..100 {
        if app.stack().output().contains(text) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(app.stack().output().contains(text), "no function said: {text}");
}

#[tokio::test]
async fn published_keys_of_every_kind_let_their_users_in() {
    let (p256, ed25519) = (Signer::p256("a"), Signer::ed25519("b"));
    let samples = include_str!("../../../../shared/src/auth/keys/rs256.json");
    let samples: Value = serde_json::from_str(samples).unwrap();
    let rsa = &samples["good"];
    let keys = json!({"keys": [p256.jwk(), ed25519.jwk(), rsa["jwk"]]});
    let server = KeyServer::start(Manner::Says(keys.to_string())).await;
    let app = app(&server).await;
    for token in [rsa["token"].as_str().unwrap(), &p256.token(), &ed25519.token()] {
        let_in(&app, token).await;
    }
    assert_eq!(server.asked(), 1);
    // The secret of other stacks opens nothing here, and neither does what everybody can read.
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"b"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(alice().to_string()));
    let public = ed25519.jwk()["x"].as_str().unwrap().to_owned();
    for secret in [local::JWT_SECRET, "", public.as_str()] {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        let tag = URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, signed.as_bytes()));
        turned_away(&app, &format!("{signed}.{tag}")).await;
    }
    // One body for every cause, as with a secret.
    let stranger = Signer::p256("a").token();
    let (bad, none) = (call(&app, &stranger).await, app.post_with("/token", &[], "{}").await);
    assert_eq!(bad.timeless(), none.timeless());
    assert_eq!(bad.headers["www-authenticate"], "Bearer");
    assert_eq!(server.asked(), 1);
}

/// Many requests at once with these tokens, none of which may fail.
async fn burst(app: &App, tokens: [&str; 2]) {
    let calls = (0..24).map(|n| call(app, tokens[n % 2]));
    for answer in join_all(calls).await {
        assert_eq!(answer.outcome(), (200, ""), "{}", answer.body);
    }
}

#[tokio::test]
async fn keys_change_without_a_failed_request() {
    let (first, second) = (Signer::p256("first"), Signer::ed25519("second"));
    let server = KeyServer::showing(&[&first]).await;
    let url = server.url();
    // Several processes, each with keys of its own.
    let app = App::with_env([("JWT_SECRET", ""), ("JWT_JWKS_URL", url.as_str())]).await;
    let (old, new) = (first.token(), second.token());
    let_in(&app, &old).await;
    burst(&app, [&old, &old]).await;
    server.shows(&[&first, &second]);
    burst(&app, [&old, &new]).await;
    server.shows(&[&second]);
    burst(&app, [&new, &new]).await;
    // Twice for each process, at the most.
    assert!(server.asked() <= 8, "{}", server.asked());
}

#[tokio::test]
async fn a_storm_of_unknown_keys_is_one_more_fetch() {
    let signer = Signer::ed25519("known");
    let server = KeyServer::showing(&[&signer]).await;
    let app = app(&server).await;
    let_in(&app, &signer.token()).await;
    let began = Instant::now();
    for n in 0..100 {
        turned_away(&app, &Signer::ed25519(&format!("unknown-{n}")).token()).await;
    }
    let halves = usize::try_from(began.elapsed().as_secs() / 30).unwrap();
    assert!((2..=2 + halves).contains(&server.asked()), "{}", server.asked());
    let_in(&app, &signer.token()).await;
}

#[tokio::test]
async fn a_malformed_token_asks_nobody() {
    let signer = Signer::p256("a");
    let server = KeyServer::showing(&[&signer]).await;
    let app = app(&server).await;
    let good = signer.token();
    let (head, signature) = good.rsplit_once('.').unwrap();
    let header = json!({"alg": "ES256", "kid": "a"});
    let mut tokens = vec![
        "x".repeat(5_000),
        "a.b.c".to_owned(),
        head.to_owned(),
        format!("{head}."),
        format!("{head}.AAAA"),
        format!("{head}.{signature}="),
        signer.token_with(&header, &json!({"sub": "alice"})),
        signer.token_with(&header, &json!({"sub": "alice", "exp": 1_767_225_600})),
        signer.token_with(&header, &json!({"exp": 4_102_444_800_i64})),
        signer.token_with(&header, &json!(["alice"])),
    ];
    for header in [
        json!({"alg": "ES256"}),
        json!({"alg": "ES256", "kid": ""}),
        json!({"alg": "ES256", "kid": "x".repeat(257)}),
        json!({"alg": "ES256", "kid": ["a"]}),
        json!({"alg": "HS256", "kid": "a"}),
        json!({"alg": "none", "kid": "a"}),
        json!({"alg": "PS256", "kid": "a"}),
        json!({"alg": "ES256", "kid": "a", "crit": ["exp"]}),
        json!({"alg": "ES256", "kid": "a", "zip": "DEF"}),
        json!({"alg": "ES256", "kid": "a", "cty": "JWT"}),
        json!({"alg": "ES256", "kid": "a", "typ": "dpop+jwt"}),
    ] {
        tokens.push(signer.token_with(&header, &alice()));
    }
    for token in tokens {
        turned_away(&app, &token).await;
    }
    assert_eq!(server.asked(), 0);
    let_in(&app, &good).await;
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn keys_outlive_their_server() {
    let signer = Signer::p256("a");
    let mut server = KeyServer::showing(&[&signer]).await;
    let app = app(&server).await;
    let_in(&app, &signer.token()).await;
    server.goes_away().await;
    // This one has the keys asked for, in vain.
    turned_away(&app, &Signer::p256("b").token()).await;
    says(&app, "the issuer's keys could not be fetched").await;
    for _ in 0..3 {
        let_in(&app, &signer.token()).await;
    }
}

#[tokio::test]
async fn a_server_that_hangs_holds_up_one_request_for_two_seconds() {
    let signer = Signer::p256("a");
    let server = KeyServer::showing(&[&signer]).await;
    let app = app(&server).await;
    let_in(&app, &signer.token()).await;
    server.now(Manner::Hangs);
    let began = Instant::now();
    turned_away(&app, &Signer::p256("b").token()).await;
    assert!(began.elapsed() >= Duration::from_millis(1_900), "{:?}", began.elapsed());
    let_in(&app, &signer.token()).await;
    turned_away(&app, &Signer::p256("c").token()).await;
    assert_eq!(server.asked(), 2);

    // A process that has no keys yet.
    app.stack().advance(Duration::from_secs(1)).await;
    assert_eq!(call(&app, &signer.token()).await.outcome(), (503, "keys_unavailable"));
}

#[tokio::test]
async fn without_keys_nobody_is_let_in_until_they_come() {
    let signer = Signer::ed25519("a");
    let server = KeyServer::start(Manner::Closes).await;
    let app = app(&server).await;
    let refused = call(&app, &signer.token()).await;
    assert_eq!(refused.outcome(), (503, "keys_unavailable"));
    let seconds: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=5).contains(&seconds), "{seconds}");
    // What no key makes good is still told so.
    turned_away(&app, "a.b.c").await;
    server.shows(&[&signer]);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let_in(&app, &signer.token()).await;
}

#[tokio::test]
async fn a_server_that_lies_or_grows_gives_no_keys() {
    let signer = Signer::p256("a");
    let good = signer.jwk();
    let with = |name: &str, value: Value| {
        let mut jwk = good.clone();
        jwk[name] = value;
        Manner::Says(json!({"keys": [jwk]}).to_string())
    };
    let keys = |keys: Value| Manner::Says(json!({"keys": keys}).to_string());
    let many: Vec<_> = (0..33).map(|n| Signer::ed25519(&format!("key-{n}")).jwk()).collect();
    let elsewhere = KeyServer::showing(&[&signer]).await;
    let padded = json!({"keys": [good], "pad": "x".repeat(64 * 1024)}).to_string();
    let server = KeyServer::start(Manner::Hangs).await;
    let app = app(&server).await;
    for (what, manner) in [
        ("a private key", with("d", good["x"].clone())),
        ("a key for encryption", with("use", json!("enc"))),
        ("a key for other operations", with("key_ops", json!(["sign"]))),
        ("a key for another algorithm", with("alg", json!("HS256"))),
        ("a key of another curve", with("crv", json!("P-384"))),
        ("a key without half of it", with("y", Value::Null)),
        ("a symmetric key", keys(json!([{"kty": "oct", "kid": "a", "k": good["x"]}]))),
        ("one id twice", keys(json!([good, Signer::ed25519("a").jwk()]))),
        ("no keys", keys(json!([]))),
        ("more keys than anybody has", keys(json!(many))),
        ("more bytes than anybody needs", Manner::Says(padded)),
        ("a name twice", Manner::Says(format!(r#"{{"keys":[],"keys":[{good}]}}"#))),
        ("a page", Manner::Says("<html>".to_owned())),
        ("a failure", Manner::Refuses(500, None)),
        ("somewhere else", Manner::Refuses(302, Some(elsewhere.url()))),
    ] {
        server.now(manner);
        // Every process is a new one.
        app.stack().advance(Duration::from_secs(1)).await;
        let answer = call(&app, &signer.token()).await;
        assert_eq!(answer.outcome(), (503, "keys_unavailable"), "{what}");
        assert!(!answer.text.contains("127.0.0.1"), "{what}: {}", answer.text);
    }
    assert_eq!((server.asked(), elsewhere.asked()), (15, 0));
    server.shows(&[&signer]);
    app.stack().advance(Duration::from_secs(1)).await;
    let_in(&app, &signer.token()).await;
}

#[tokio::test]
async fn there_is_either_a_secret_or_an_address_of_keys() {
    for (secret, url, reason) in [
        ("", "", "JWT_SECRET or JWT_JWKS_URL is not set"),
        (local::JWT_SECRET, "https://example.com/keys", "cannot be set beside JWT_SECRET"),
        ("", "http://example.com/keys", "JWT_JWKS_URL must be an https URL"),
    ] {
        let app = App::with_env([("JWT_SECRET", secret), ("JWT_JWKS_URL", url)]).await;
        let answer = app.post_with("/token", &[], "{}").await;
        assert_eq!(answer.status, 500, "{reason}");
        says(&app, reason).await;
    }
}
