//! The edge under a fuzzer: what anybody can send, and what must hold of it whatever it is.
//!
//! Only compiled for `cargo fuzz`, which sets `cfg(fuzzing)`, and for the tests, which go through
//! what is kept in `fuzz/corpus`. Each target takes any bytes, and panics where something does not
//! hold.

#![expect(clippy::missing_panics_doc, reason = "a panic is a finding")]

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::FutureExt as _;
use ring::hmac;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::auth::{Caller, Verifier};
use crate::calls::{Call, CallState, CallType, NewCall};
use crate::clock::{Clock, Deadline, SystemClock, Timestamp};
use crate::config::Env;
use crate::http::request::{self, Label};
use crate::http::{FromRequest as _, Json, Request, path};
use crate::ids::{BatchId, CallId, UserId};
use crate::net;
use crate::quality::picture::{self, Width};
use crate::quality::{Batch, Evidence, Live, Platform, Samples, merge};
use crate::stream::event::Event;
use crate::stream::webhook::WebhookSecrets;

const LARGEST: usize = 64 * 1024;
const SECRET: &str = "a-secret-of-the-fuzzer-0123456789";
const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

fn deadline() -> Deadline {
    Deadline::after(NOW, Duration::from_secs(1))
}

/// An invocation's payload: a request comes out of it whose form is good, or an error that a
/// client may see.
pub fn event(bytes: &[u8]) {
    let Ok(payload) = serde_json::from_slice::<&RawValue>(bytes) else { return };
    let mut label = Label::default();
    match request::read(payload, deadline(), LARGEST, &mut label) {
        Ok(request) => {
            assert!(request.body.len() <= LARGEST);
        }
        Err(error) => {
            assert!(error.code().status() < 500);
            let problem = error.problem(&label.id);
            assert!(serde_json::to_vec(&problem).is_ok());
        }
    }
}

/// A path: one that passes means the same to another parser, with or without its escapes.
pub fn path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if path::is_refused(text) {
        return;
    }
    let decoded = percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let slashes = |bytes: &[u8]| bytes.split(|byte| *byte == b'/').count();
    assert_eq!(slashes(&decoded), slashes(bytes), "an escape hides a slash");
    for segment in decoded.split(|byte| *byte == b'/') {
        assert!(!matches!(segment, b"." | b".."), "a dot segment");
        assert!(!segment.iter().any(|byte| *byte == b'\\' || byte.is_ascii_control()));
    }
    // What the WHATWG's URL parser makes of it; `?` and `#` would end a path, and never come here.
    if !text.contains(['?', '#']) {
        let url = reqwest::Url::parse(&format!("http://host{text}")).ok();
        let kept = url.as_ref().map(|url| slashes(url.path().as_bytes()));
        assert_eq!(kept, Some(slashes(bytes)), "another path to another parser");
    }
}

static VERIFIER: LazyLock<Option<Verifier>> = LazyLock::new(|| {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let env = Env::from([("JWT_SECRET", SECRET), ("JWT_AUDIENCE", "app")]);
    Verifier::open(&env, &clock, &net::client().ok()?).ok()
});

fn caller(authorization: &str) -> Option<Caller> {
    let verifier = VERIFIER.as_ref().unwrap_or_else(|| unreachable!("the verifier opens"));
    let found = verifier.caller(Some(authorization), NOW, deadline()).now_or_never();
    found.and_then(Result::ok)
}

/// An `Authorization` header. As it comes, it lets nobody in; as header and claims of a token that
/// the issuer has signed, one per line, it lets in only whom the claims name, in time.
pub fn bearer(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    assert_eq!(caller(text), None, "nobody has signed it");
    let (header, claims) = text.split_once('\n').unwrap_or((r#"{"alg":"HS256"}"#, text));
    let mut token =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, token.as_bytes());
    let _ = write!(token, ".{}", URL_SAFE_NO_PAD.encode(tag));
    let Some(caller) = caller(&format!("Bearer {token}")) else { return };
    let (header, claims): (Value, Value) = (read(header.as_bytes()), read(claims.as_bytes()));
    assert_eq!(header["alg"], "HS256");
    for refused in ["crit", "zip", "enc", "cty"] {
        assert_eq!(header.get(refused), None);
    }
    assert_eq!(claims["sub"], caller.user.as_str());
    assert_eq!(caller.service, claims["role"] == "service");
    let leeway = 60.0;
    #[expect(clippy::cast_precision_loss, reason = "of this century")]
    let now = NOW.as_secs() as f64;
    assert!(claims["exp"].as_f64().is_some_and(|exp| exp > now - leeway));
    assert!(claims["nbf"].as_f64().is_none_or(|nbf| nbf <= now + leeway));
    let audience = &claims["aud"];
    assert!(
        audience == "app" || audience.as_array().is_some_and(|all| all.contains(&json!("app")))
    );
}

fn read(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}

/// A webhook's body: nobody's as it comes, and Stream's once it is signed. An event comes out of
/// it, or nothing.
pub fn webhook(bytes: &[u8]) {
    let secrets = WebhookSecrets::from_env(&Env::from([("STREAM_API_SECRET", SECRET)]));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let sign = |bytes: &[u8]| crate::hex::encode(hmac::sign(&key, bytes).as_ref());
    assert!(secrets.verify(bytes, None).is_err());
    assert!(secrets.verify(bytes, Some(&sign(b"another body"))).is_err());
    if let Ok(body) = secrets.verify(bytes, Some(&sign(bytes))) {
        assert_eq!(&*body, bytes);
        let _ = Event::read(&body);
    }
    // The signature is over what was compressed, which is short enough to be known here.
    let mut inflated = Vec::new();
    let gzip = std::io::Read::take(flate2::read::GzDecoder::new(bytes), 1024 * 1024 + 1);
    if std::io::Read::read_to_end(&mut { gzip }, &mut inflated).is_ok() {
        let found = secrets.verify(bytes, Some(&sign(&inflated)));
        assert_eq!(found.is_ok(), inflated.len() <= 1024 * 1024);
    }
    let _ = Event::read(bytes);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    samples: Samples,
}

/// A batch of samples as a body: what is taken in makes an answer that has numbers in it and
/// nothing else, and a picture.
pub fn batch(bytes: &[u8]) {
    let event = json!({
        "rawPath": "/", "requestContext": {}, "body": STANDARD.encode(bytes), "isBase64Encoded": true,
    });
    let Ok(payload) = RawValue::from_string(event.to_string()) else { return };
    let request = request::read(&payload, deadline(), LARGEST, &mut Label::default());
    let samples =
        |request: Request| Json::<Ask>::from_request(&request).map(|Json(ask)| ask.samples);
    let Ok(samples) = request.and_then(samples) else { return };
    let named = |name: &str| UserId::try_from(name.to_owned()).ok();
    let (Some(alice), Some(bob)) = (named("alice"), named("bob")) else { return };
    let Ok(id) = CallId::try_from("c1".to_owned()) else { return };
    let call = Call::begun(&NewCall {
        id,
        owner: alice.clone(),
        members: vec![alice.clone(), bob],
        call_type: CallType::Video,
        fingerprint: String::new(),
        parallel: false,
        attempt: String::new(),
        at: NOW,
    });
    let call = Call { state: CallState::Active, active_at: Some(NOW), ..call };
    let batch = Batch {
        id: BatchId::of(&samples),
        user: alice,
        platform: Some(Platform::Ios),
        received_at: NOW,
        samples: samples.into_vec(),
    };
    let kept = serde_json::to_vec(&batch.samples);
    assert!(kept.is_ok_and(|kept| kept.len() < 400 * 1024), "more than an item may have");
    let evidence = Evidence { batches: vec![batch], reports: vec![], ratings: vec![], cut: false };
    let quality = merge(&call, evidence, Live::Away, |_| true, NOW);
    let answer = serde_json::to_value(&quality).unwrap_or_default();
    let score = &answer["score"];
    assert!(score.is_null() || score.as_f64().is_some_and(|mos| (1.0..=4.5).contains(&mos)));
    let drawn = picture::svg(&quality, Width::default());
    assert!(drawn.is_ok_and(|svg| !svg.contains("NaN") && !svg.contains("inf")));
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    type Target = fn(&[u8]);

    #[test]
    fn what_was_kept_is_no_finding_any_more() {
        let corpus = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus"));
        let targets: [(&str, Target); 5] = [
            ("event", super::event),
            ("path", super::path),
            ("bearer", super::bearer),
            ("webhook", super::webhook),
            ("batch", super::batch),
        ];
        for (name, target) in targets {
            let kept: Vec<_> = fs::read_dir(corpus.join(name)).unwrap().collect();
            assert!(!kept.is_empty(), "{name}");
            for file in kept {
                target(&fs::read(file.unwrap().path()).unwrap());
            }
        }
    }
}
