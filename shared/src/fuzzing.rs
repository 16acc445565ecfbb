//! Fuzz targets for untrusted input. Each target takes arbitrary bytes and panics if an invariant
//! does not hold.
//!
//! This module is compiled only for `cargo fuzz`, which sets `cfg(fuzzing)`, and for the tests,
//! which run the inputs of `fuzz/corpus`.

#![expect(clippy::missing_panics_doc, reason = "a panic is a finding")]

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use futures_util::FutureExt as _;
use lambda_http::{Context, Request};
use ring::hmac;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::auth::{Caller, Verifier};
use crate::calls::{Call, CallState, CallType, NewCall};
use crate::clock::{Clock, Deadline, SystemClock, Timestamp};
use crate::config::Env;
use crate::http::{self, FromRequest as _, Json, RequestMeta};
use crate::ids::{BatchId, CallId, CallTypeName, UserId};
use crate::net;
use crate::quality::chart::{self, Theme, Width};
use crate::quality::{Batch, Platform, Samples, StoredQualityData, StreamStats, codec, merge};
use crate::stream::event::Event;
use crate::stream::webhook::WebhookSecrets;

const MAX_BODY_BYTES: usize = 64 * 1024;
const SECRET: &str = "a-secret-of-the-fuzzer-0123456789";
const NOW: Timestamp = Timestamp::from_secs(1_767_225_600);

fn deadline() -> Deadline {
    Deadline::after(NOW, Duration::from_secs(1))
}

/// The payload of an invocation. Parsing returns a valid request, or an error with a status below
/// 500.
pub fn event(bytes: &[u8]) {
    let Ok(payload) = serde_json::from_slice::<&RawValue>(bytes) else { return };
    let mut meta = RequestMeta::default();
    match http::parse(payload, Context::default(), deadline(), MAX_BODY_BYTES, &mut meta) {
        Ok(request) => {
            assert!(request.body().len() <= MAX_BODY_BYTES);
        }
        Err(error) => {
            assert!(error.code().status() < 500);
            let problem = error.problem(&meta.request_id);
            assert!(serde_json::to_vec(&problem).is_ok());
        }
    }
}

/// A path. Another parser reads an accepted path as the same segments, before and after decoding.
pub fn path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if http::is_invalid(text) {
        return;
    }
    let decoded = percent_encoding::percent_decode_str(text).collect::<Vec<u8>>();
    let slashes = |bytes: &[u8]| bytes.split(|byte| *byte == b'/').count();
    assert_eq!(slashes(&decoded), slashes(bytes), "an escape encodes a slash");
    for segment in decoded.split(|byte| *byte == b'/') {
        assert!(!matches!(segment, b"." | b".."), "the path has a dot segment");
        assert!(!segment.iter().any(|byte| *byte == b'\\' || byte.is_ascii_control()));
    }
    // Compares with a WHATWG URL parser. `?` and `#` end a path there, and API Gateway never sends
    // them in one.
    if !text.contains(['?', '#']) {
        let url = reqwest::Url::parse(&format!("http://host{text}")).ok();
        let parsed_slashes = url.as_ref().map(|url| slashes(url.path().as_bytes()));
        assert_eq!(parsed_slashes, Some(slashes(bytes)), "the URL parser reads other segments");
    }
}

static VERIFIER: LazyLock<Option<Verifier>> = LazyLock::new(|| {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let env = Env::from([("JWT_SECRET", SECRET), ("JWT_AUDIENCE", "app")]);
    Verifier::from_env(&env, &clock, &net::client().ok()?).ok()
});

fn verify_caller(authorization: &str) -> Option<Caller> {
    let verifier =
        VERIFIER.as_ref().unwrap_or_else(|| unreachable!("the verifier's configuration is valid"));
    let result = verifier.authenticate(Some(authorization), NOW, deadline()).now_or_never();
    result.and_then(Result::ok)
}

/// An `Authorization` header. The input itself never authenticates a caller. Split into a header
/// and claims (one per line) and signed by the issuer, it authenticates only the user in the
/// claims, within the token's validity.
pub fn bearer(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    assert_eq!(verify_caller(text), None, "a token without the issuer's signature is accepted");
    let (header, claims) = text.split_once('\n').unwrap_or((r#"{"alg":"HS256"}"#, text));
    let mut token =
        format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = hmac::sign(&key, token.as_bytes());
    let _ = write!(token, ".{}", URL_SAFE_NO_PAD.encode(tag));
    let Some(caller) = verify_caller(&format!("Bearer {token}")) else { return };
    let (header, claims): (Value, Value) =
        (parse_json(header.as_bytes()), parse_json(claims.as_bytes()));
    assert_eq!(header["alg"], "HS256");
    for forbidden in ["crit", "zip", "enc", "cty"] {
        assert_eq!(header.get(forbidden), None);
    }
    let (sub, user) = (&claims["sub"], caller.user.as_str());
    let is_number = sub.as_f64().is_some_and(|number| number.to_string() == user);
    assert!(sub == user || is_number);
    assert_eq!(caller.is_service, claims["role"] == "service");
    let leeway = 60.0;
    #[expect(clippy::cast_precision_loss, reason = "the time is far below 2^53 seconds")]
    let now = NOW.as_secs() as f64;
    assert!(claims["exp"].as_f64().is_some_and(|exp| exp > now - leeway));
    assert!(claims["nbf"].as_f64().is_none_or(|nbf| nbf <= now + leeway));
    let audience = &claims["aud"];
    assert!(
        audience == "app" || audience.as_array().is_some_and(|all| all.contains(&json!("app")))
    );
}

fn parse_json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap_or_default()
}

/// The body of a webhook. It is rejected without a signature and accepted with Stream's. Parsing
/// returns an event or an error.
pub fn webhook(bytes: &[u8]) {
    let secrets = WebhookSecrets::from_env(&Env::from([("STREAM_API_SECRET", SECRET)]));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let sign = |bytes: &[u8]| hex::encode(hmac::sign(&key, bytes).as_ref());
    assert!(secrets.verify(bytes, None).is_err());
    assert!(secrets.verify(bytes, Some(&sign(b"another body"))).is_err());
    if let Ok(body) = secrets.verify(bytes, Some(&sign(bytes))) {
        assert_eq!(&*body, bytes);
        let _ = Event::parse(&body);
    }
    // Stream signs the uncompressed body. The signature is valid only up to the size limit.
    let mut inflated = Vec::new();
    let gzip = std::io::Read::take(flate2::read::GzDecoder::new(bytes), 1024 * 1024 + 1);
    if std::io::Read::read_to_end(&mut { gzip }, &mut inflated).is_ok() {
        let result = secrets.verify(bytes, Some(&sign(&inflated)));
        assert_eq!(result.is_ok(), inflated.len() <= 1024 * 1024);
    }
    let _ = Event::parse(bytes);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Params {
    samples: Samples,
}

/// A batch of samples as a request body. Accepted samples are stored without loss, and their
/// quality and chart contain only finite numbers.
pub fn batch(bytes: &[u8]) {
    let event = json!({
        "rawPath": "/", "requestContext": {}, "body": STANDARD.encode(bytes), "isBase64Encoded": true,
    });
    let Ok(payload) = RawValue::from_string(event.to_string()) else { return };
    let request = http::parse(
        &payload,
        Context::default(),
        deadline(),
        MAX_BODY_BYTES,
        &mut RequestMeta::default(),
    );
    let samples = |request: Request| {
        Json::<Params>::from_request(&request).map(|Json(params)| params.samples)
    };
    let Ok(samples) = request.and_then(samples) else { return };
    let user_id = |name: &str| UserId::try_from(name.to_owned()).ok();
    let (Some(alice), Some(bob)) = (user_id("alice"), user_id("bob")) else { return };
    let Ok(id) = CallId::try_from("c1".to_owned()) else { return };
    let call = Call::new(&NewCall {
        stream_call_type: CallTypeName::default(),
        id,
        owner: alice.clone(),
        members: vec![alice.clone(), bob],
        call_type: CallType::Video,
        fingerprint: String::new(),
        parallel: false,
        ring: false,
        attempt: String::new(),
        at: NOW,
        max_duration_seconds: None,
    });
    let call = Call { state: CallState::Active, active_at: Some(NOW), ..call };
    let batch = Batch {
        id: BatchId::from_samples(&samples),
        user: alice,
        platform: Some(Platform::Ios),
        device_id: None,
        received_at: NOW,
        samples: samples.into_vec(),
    };
    let stored = codec::encode(&batch.samples);
    assert!(stored.len() < 5 * 1024, "the batch is larger than docs/DATA.md states");
    assert!(codec::decode(&stored).is_ok_and(|decoded| decoded == batch.samples));
    let evidence = StoredQualityData {
        batches: vec![batch],
        reports: vec![],
        ratings: vec![],
        truncated: false,
    };
    let quality = merge(&call, evidence, StreamStats::Unavailable, NOW);
    let response = serde_json::to_value(&quality).unwrap_or_default();
    let score = &response["score"];
    assert!(score.is_null() || score.as_f64().is_some_and(|mos| (1.0..=4.5).contains(&mos)));
    let chart = chart::render_svg(&quality, Width::default(), Theme::default());
    assert!(!chart.contains("NaN") && !chart.contains("inf"));
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    type Target = fn(&[u8]);

    #[test]
    fn corpus_inputs_do_not_panic() {
        let corpus = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus"));
        let targets: [(&str, Target); 5] = [
            ("event", super::event),
            ("path", super::path),
            ("bearer", super::bearer),
            ("webhook", super::webhook),
            ("batch", super::batch),
        ];
        for (name, target) in targets {
            let inputs: Vec<_> = fs::read_dir(corpus.join(name)).unwrap().collect();
            assert!(!inputs.is_empty(), "{name}");
            for input in inputs {
                target(&fs::read(input.unwrap().path()).unwrap());
            }
        }
    }
}
