//! Authentication with published keys: a key server that rotates keys, hangs, closes connections
//! and returns invalid responses.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use e2e::{TestApp, TestResponse};
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

use crate::outages::{Expected, Outage};

/// The behavior of the key server.
#[derive(Clone)]
enum ServerBehavior {
    /// Responds with this text.
    RespondWith(String),
    /// Responds with this status and, if present, this `location` header.
    RespondWithStatus(u16, Option<String>),
    /// Never responds.
    Hang,
    /// Closes the connection.
    CloseConnection,
}

/// A key server on the loopback interface.
struct KeyServer {
    address: SocketAddr,
    state: Arc<State>,
    accept_task: JoinHandle<()>,
}

struct State {
    behavior: Mutex<ServerBehavior>,
    request_count: AtomicUsize,
}

impl KeyServer {
    async fn start(behavior: ServerBehavior) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state =
            Arc::new(State { behavior: Mutex::new(behavior), request_count: AtomicUsize::new(0) });
        let accept_task = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self { address, state, accept_task }
    }

    /// Starts a server that publishes the public keys of these signers.
    async fn with_keys(signers: &[&Signer]) -> Self {
        Self::start(ServerBehavior::RespondWith(jwk_set(signers))).await
    }

    fn url(&self) -> String {
        format!("http://{}/.well-known/jwks.json", self.address)
    }

    fn set_behavior(&self, behavior: ServerBehavior) {
        *self.state.behavior.lock().unwrap() = behavior;
    }

    fn set_keys(&self, signers: &[&Signer]) {
        self.set_behavior(ServerBehavior::RespondWith(jwk_set(signers)));
    }

    fn request_count(&self) -> usize {
        self.state.request_count.load(Ordering::Relaxed)
    }

    /// Stops the server, so that connections are refused.
    async fn shut_down(&mut self) {
        self.accept_task.abort();
        // The error is the cancellation.
        let _ = (&mut self.accept_task).await;
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.accept_task.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((socket, _)) = listener.accept().await {
        tokio::spawn(serve_connection(socket, Arc::clone(&state)));
    }
}

async fn serve_connection(socket: TcpStream, state: Arc<State>) {
    let service = service_fn(move |_: Request<Incoming>| handle_request(Arc::clone(&state)));
    // An error means that the client or the handler closed the connection.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

async fn handle_request(state: Arc<State>) -> io::Result<Response<Full<Bytes>>> {
    state.request_count.fetch_add(1, Ordering::Relaxed);
    let behavior = state.behavior.lock().unwrap().clone();
    let (status, location, text) = match behavior {
        ServerBehavior::RespondWith(text) => (200, None, text),
        ServerBehavior::RespondWithStatus(status, location) => (status, location, String::new()),
        ServerBehavior::Hang => std::future::pending::<(u16, Option<String>, String)>().await,
        ServerBehavior::CloseConnection => return Err(io::Error::other("closed")),
    };
    let mut response = Response::builder().status(status);
    if let Some(location) = location {
        response = response.header("location", location);
    }
    response.body(Full::from(text)).map_err(io::Error::other)
}

/// The private key of an issuer.
struct Signer {
    id: String,
    key: SigningKey,
}

enum SigningKey {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    fn p256(id: &str) -> Self {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random).unwrap();
        Self { id: id.to_owned(), key: SigningKey::P256(pair) }
    }

    fn ed25519(id: &str) -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        Self { id: id.to_owned(), key: SigningKey::Ed25519(pair) }
    }

    fn algorithm(&self) -> &'static str {
        match self.key {
            SigningKey::P256(_) => "ES256",
            SigningKey::Ed25519(_) => "EdDSA",
        }
    }

    fn jwk(&self) -> Value {
        let (id, algorithm) = (&self.id, self.algorithm());
        match &self.key {
            SigningKey::P256(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
                json!({"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": id, "alg": algorithm})
            }
            SigningKey::Ed25519(pair) => {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key());
                json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": id, "use": "sig"})
            }
        }
    }

    /// A session token of Alice.
    fn token(&self) -> String {
        let header = json!({"alg": self.algorithm(), "typ": "JWT", "kid": self.id});
        self.token_with(&header, &alice_claims())
    }

    fn token_with(&self, header: &Value, claims: &Value) -> String {
        let encode_part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signing_input = format!("{}.{}", encode_part(header), encode_part(claims));
        let signature = match &self.key {
            SigningKey::P256(pair) => {
                pair.sign(&SystemRandom::new(), signing_input.as_bytes()).unwrap()
            }
            SigningKey::Ed25519(pair) => pair.sign(signing_input.as_bytes()),
        };
        format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn alice_claims() -> Value {
    json!({"sub": "alice", "role": "user", "exp": 4_102_444_800_i64})
}

fn jwk_set(signers: &[&Signer]) -> String {
    let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({"keys": keys}).to_string()
}

/// A stack whose functions fetch keys from this server. Each function has one process, so that its
/// requests can be counted.
async fn app_with_jwks(server: &KeyServer) -> TestApp {
    let url = server.url();
    let env = [("JWT_SECRET", ""), ("JWT_JWKS_URL", url.as_str())];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    TestApp::with_options(Options { env, max_instances: 1, ..Options::default() }).await
}

async fn request_token(app: &TestApp, token: &str) -> TestResponse {
    app.post_with_headers("/token", &[("authorization", &format!("Bearer {token}"))], "{}").await
}

async fn assert_accepted(app: &TestApp, token: &str) {
    let response = request_token(app, token).await.expect_success();
    assert_eq!(response.body["userId"], "alice");
}

async fn assert_rejected(app: &TestApp, token: &str) {
    assert_eq!(request_token(app, token).await.outcome(), (401, "unauthenticated"));
}

/// Asserts that the token's key cannot be fetched. Returns the seconds of `Retry-After`.
async fn assert_unavailable(app: &TestApp, token: &str) -> u64 {
    let response = request_token(app, token).await;
    assert_eq!(response.outcome(), (503, "keys_unavailable"));
    response.headers["retry-after"].to_str().unwrap().parse().unwrap()
}

/// Waits until a function has printed a text, which may happen after the response.
async fn assert_logged(app: &TestApp, text: &str) {
    for _ in 0..100 {
        if app.stack().output().contains(text) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(app.stack().output().contains(text), "no function printed: {text}");
}

#[tokio::test]
async fn tokens_of_every_published_key_type_are_accepted() {
    let (p256, ed25519) = (Signer::p256("a"), Signer::ed25519("b"));
    let samples = include_str!("../../../../shared/src/test_support/published_keys.json");
    let samples: Value = serde_json::from_str(samples).unwrap();
    let samples = ["rs256", "rs384", "rs512", "ps256", "es384"].map(|name| &samples[name]);
    let mut keys = vec![p256.jwk(), ed25519.jwk()];
    keys.extend(samples.map(|sample| sample["jwk"].clone()));
    let keys = json!({"keys": keys}).to_string();
    let server = KeyServer::start(ServerBehavior::RespondWith(keys)).await;
    let app = app_with_jwks(&server).await;
    for token in [p256.token(), ed25519.token()] {
        assert_accepted(&app, &token).await;
    }
    for sample in samples {
        assert_accepted(&app, sample["token"].as_str().unwrap()).await;
    }
    assert_eq!(server.request_count(), 1);
    // A token of a shared secret is rejected, and so is one with a public key as the secret.
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"b"}"#);
    let signing_input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(alice_claims().to_string()));
    let public = ed25519.jwk()["x"].as_str().unwrap().to_owned();
    for secret in [local::JWT_SECRET, "", public.as_str()] {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        let tag = URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, signing_input.as_bytes()));
        assert_rejected(&app, &format!("{signing_input}.{tag}")).await;
    }
    // All causes result in the same body, as with a shared secret.
    let wrong_key_token = Signer::p256("a").token();
    let (invalid, missing) = (
        request_token(&app, &wrong_key_token).await,
        app.post_with_headers("/token", &[], "{}").await,
    );
    assert_eq!(invalid.body_without_instance(), missing.body_without_instance());
    assert_eq!(invalid.headers["www-authenticate"], "Bearer");
    assert_eq!(server.request_count(), 1);
}

/// Sends concurrent requests with these tokens. None may fail.
async fn send_burst(app: &TestApp, tokens: [&str; 2]) {
    let calls = (0..24).map(|n| request_token(app, tokens[n % 2]));
    for response in join_all(calls).await {
        assert_eq!(response.outcome(), (200, ""), "{}", response.body);
    }
}

#[tokio::test]
async fn key_rotation_fails_no_request() {
    let (first, second) = (Signer::p256("first"), Signer::ed25519("second"));
    let server = KeyServer::with_keys(&[&first]).await;
    let url = server.url();
    // Several processes, each with its own key cache.
    let app = TestApp::with_env([("JWT_SECRET", ""), ("JWT_JWKS_URL", url.as_str())]).await;
    let (old, new) = (first.token(), second.token());
    assert_accepted(&app, &old).await;
    send_burst(&app, [&old, &old]).await;
    server.set_keys(&[&first, &second]);
    send_burst(&app, [&old, &new]).await;
    server.set_keys(&[&second]);
    send_burst(&app, [&new, &new]).await;
    // Each of the four processes fetches the keys twice at most.
    assert!(server.request_count() <= 8, "{}", server.request_count());
}

#[tokio::test]
async fn many_unknown_key_ids_cause_one_extra_fetch() {
    let signer = Signer::ed25519("known");
    let server = KeyServer::with_keys(&[&signer]).await;
    let app = app_with_jwks(&server).await;
    assert_accepted(&app, &signer.token()).await;
    let started_at = Instant::now();
    for n in 0..100 {
        assert_rejected(&app, &Signer::ed25519(&format!("unknown-{n}")).token()).await;
    }
    let half_minutes = usize::try_from(started_at.elapsed().as_secs() / 30).unwrap();
    assert!((2..=2 + half_minutes).contains(&server.request_count()), "{}", server.request_count());
    assert_accepted(&app, &signer.token()).await;
}

#[tokio::test]
async fn malformed_token_is_rejected_without_a_fetch() {
    let signer = Signer::p256("a");
    let server = KeyServer::with_keys(&[&signer]).await;
    let app = app_with_jwks(&server).await;
    let token = signer.token();
    let (signing_input, signature) = token.rsplit_once('.').unwrap();
    let header = json!({"alg": "ES256", "kid": "a"});
    let mut tokens = vec![
        "x".repeat(9_000),
        "a.b.c".to_owned(),
        signing_input.to_owned(),
        format!("{signing_input}."),
        format!("{signing_input}.AAAA"),
        format!("{signing_input}.{signature}="),
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
        tokens.push(signer.token_with(&header, &alice_claims()));
    }
    for token in tokens {
        assert_rejected(&app, &token).await;
    }
    assert_eq!(server.request_count(), 0);
    assert_accepted(&app, &token).await;
    assert_eq!(server.request_count(), 1);
}

#[tokio::test]
async fn cached_keys_work_while_the_key_server_is_down() {
    let signer = Signer::p256("a");
    let mut server = KeyServer::with_keys(&[&signer]).await;
    let app = app_with_jwks(&server).await;
    assert_accepted(&app, &signer.token()).await;
    server.shut_down().await;
    // An unknown key id causes a fetch, which fails. The key may be a new one of the issuer.
    let seconds = assert_unavailable(&app, &Signer::p256("b").token()).await;
    assert!((1..=30).contains(&seconds), "{seconds}");
    assert_logged(&app, "JWKS fetch failed").await;
    for _ in 0..3 {
        assert_accepted(&app, &signer.token()).await;
    }
    // A malformed token is rejected in any case.
    assert_rejected(&app, "a.b.c").await;
}

#[tokio::test]
async fn hanging_key_server_delays_one_request_by_two_seconds() {
    let signer = Signer::p256("a");
    let server = KeyServer::with_keys(&[&signer]).await;
    let app = app_with_jwks(&server).await;
    assert_accepted(&app, &signer.token()).await;
    server.set_behavior(ServerBehavior::Hang);
    let started_at = Instant::now();
    assert_unavailable(&app, &Signer::p256("b").token()).await;
    assert!(started_at.elapsed() >= Duration::from_millis(1_900), "{:?}", started_at.elapsed());
    assert_accepted(&app, &signer.token()).await;
    assert_unavailable(&app, &Signer::p256("c").token()).await;
    assert_eq!(server.request_count(), 2);

    // A new process has no cached keys.
    app.stack().advance(Duration::from_secs(1)).await;
    assert_unavailable(&app, &signer.token()).await;
}

#[tokio::test]
async fn missing_keys_return_503_until_fetched() {
    let signer = Signer::ed25519("a");
    let server = KeyServer::start(ServerBehavior::CloseConnection).await;
    let app = app_with_jwks(&server).await;
    let seconds = assert_unavailable(&app, &signer.token()).await;
    assert!((1..=5).contains(&seconds), "{seconds}");
    // A malformed token is rejected without keys.
    assert_rejected(&app, "a.b.c").await;
    server.set_keys(&[&signer]);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    assert_accepted(&app, &signer.token()).await;
}

#[tokio::test]
async fn unreachable_key_server_raises_an_alarm() {
    let signer = Signer::ed25519("a");
    let server = KeyServer::start(ServerBehavior::CloseConnection).await;
    let app = app_with_jwks(&server).await;
    let outage = Outage::start(&app);
    let _ = assert_unavailable(&app, &signer.token()).await;
    let alarms = [("KeysUnavailableAlarm", Expected::Fires)];
    outage.record(app, "a key server that is down", &alarms).await;

    let server = KeyServer::with_keys(&[&signer]).await;
    let app = app_with_jwks(&server).await;
    assert_accepted(&app, &signer.token()).await;
    server.set_behavior(ServerBehavior::CloseConnection);
    let outage = Outage::start(&app);
    assert_accepted(&app, &signer.token()).await;
    let alarms = [("KeysUnavailableAlarm", Expected::Quiet)];
    outage.record(app, "a key server that is down, with cached keys", &alarms).await;
}

#[tokio::test]
async fn invalid_key_sets_are_rejected() {
    let signer = Signer::p256("a");
    let valid_jwk = signer.jwk();
    let with = |name: &str, value: Value| {
        let mut jwk = valid_jwk.clone();
        jwk[name] = value;
        ServerBehavior::RespondWith(json!({"keys": [jwk]}).to_string())
    };
    let keys = |keys: Value| ServerBehavior::RespondWith(json!({"keys": keys}).to_string());
    let too_many: Vec<_> = (0..33).map(|n| Signer::ed25519(&format!("key-{n}")).jwk()).collect();
    let other_server = KeyServer::with_keys(&[&signer]).await;
    let padded = json!({"keys": [valid_jwk], "pad": "x".repeat(64 * 1024)}).to_string();
    let server = KeyServer::start(ServerBehavior::Hang).await;
    let app = app_with_jwks(&server).await;
    for (case, behavior) in [
        ("private key", with("d", valid_jwk["x"].clone())),
        ("key for encryption", with("use", json!("enc"))),
        ("key for other operations", with("key_ops", json!(["sign"]))),
        ("key for another algorithm", with("alg", json!("HS256"))),
        ("key of another curve", with("crv", json!("P-384"))),
        ("missing coordinate", with("y", Value::Null)),
        ("symmetric key", keys(json!([{"kty": "oct", "kid": "a", "k": valid_jwk["x"]}]))),
        ("duplicate key id", keys(json!([valid_jwk, Signer::ed25519("a").jwk()]))),
        ("no keys", keys(json!([]))),
        ("too many keys", keys(json!(too_many))),
        ("response too large", ServerBehavior::RespondWith(padded)),
        (
            "duplicate member",
            ServerBehavior::RespondWith(format!(r#"{{"keys":[],"keys":[{valid_jwk}]}}"#)),
        ),
        ("a page", ServerBehavior::RespondWith("<html>".to_owned())),
        ("a failure", ServerBehavior::RespondWithStatus(500, None)),
        ("redirect", ServerBehavior::RespondWithStatus(302, Some(other_server.url()))),
    ] {
        server.set_behavior(behavior);
        // Each response is fetched by a new process.
        app.stack().advance(Duration::from_secs(1)).await;
        let response = request_token(&app, &signer.token()).await;
        assert_eq!(response.outcome(), (503, "keys_unavailable"), "{case}");
        assert!(!response.text.contains("127.0.0.1"), "{case}: {}", response.text);
    }
    assert_eq!((server.request_count(), other_server.request_count()), (15, 0));
    server.set_keys(&[&signer]);
    app.stack().advance(Duration::from_secs(1)).await;
    assert_accepted(&app, &signer.token()).await;
}

#[tokio::test]
async fn exactly_one_of_jwt_secret_and_jwks_url_is_required() {
    for (secret, url, reason) in [
        ("", "", "JWT_SECRET or JWT_JWKS_URL is not set"),
        (local::JWT_SECRET, "https://example.com/keys", "cannot be set together with JWT_SECRET"),
        ("", "http://example.com/keys", "JWT_JWKS_URL must be an https URL"),
    ] {
        let app = TestApp::with_env([("JWT_SECRET", secret), ("JWT_JWKS_URL", url)]).await;
        let response = app.post_with_headers("/token", &[], "{}").await;
        assert_eq!(response.status, 500, "{reason}");
        assert_logged(&app, reason).await;
    }
}
