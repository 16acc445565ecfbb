//! The bearer token of a request, verified before anything else happens.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use crate::auth::claims::ClaimRules;
use crate::auth::jws::Token;
use crate::auth::keys::{IssuerKeys, WebKeys};
use crate::auth::{Caller, crypto, published};
use crate::clock::{Clock, Deadline, Timestamp};
use crate::config::{ConfigError, Env};
use crate::net;

/// Why a token is refused. The caller is told none of this; the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unauthenticated {
    /// No `Authorization` header, or more than one value.
    #[error("no bearer token")]
    Absent,
    /// Over the size that is looked at.
    #[error("the token is over 4096 bytes")]
    TooLong,
    /// Not a JWS in compact form with a JSON object in header and claims.
    #[error("the token is not a well-formed JWT")]
    Malformed,
    /// Another algorithm than the key's.
    #[error("the token's algorithm is not the key's")]
    Algorithm,
    /// A header parameter that a session token may not have.
    #[error("the token's header has a parameter that is refused")]
    Header,
    /// No key is named, where there are several.
    #[error("the token names no key")]
    NoKeyId,
    /// The key that is named is none of the issuer's.
    #[error("the token's key is not among the issuer's")]
    UnknownKey,
    /// Not signed by the key.
    #[error("the token's signature is wrong")]
    Signature,
    /// No longer valid.
    #[error("the token has expired")]
    Expired,
    /// A registered claim that is missing, of the wrong type or of the wrong value.
    #[error("the token's claim '{0}' is missing or refused")]
    Claim(&'static str),
    /// The claim that names the user is missing or not a user id.
    #[error("the token names no user")]
    User,
}

/// Why a request is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Its token is no good.
    #[error(transparent)]
    Token(#[from] Unauthenticated),
    /// The issuer's keys have never come, so that nobody can tell whether its token is.
    #[error("there are no keys of the issuer's yet")]
    NoKeys {
        /// When they are asked for again.
        retry_after: Duration,
    },
}

/// Checks bearer tokens against the configured key, or against those that the issuer publishes.
pub struct Verifier {
    keys: Keys,
    rules: ClaimRules,
}

enum Keys {
    /// A secret that we share with the issuer (HS256), or two while it is changed.
    Shared(Vec<DecodingKey>),
    /// The issuer's own.
    Published(IssuerKeys),
}

/// The least size of an HS256 key, in bytes (RFC 7518, section 3.2).
const LEAST_SECRET: usize = 32;

impl Verifier {
    /// Reads `JWT_SECRET` (and `JWT_SECRET_PREVIOUS`) or `JWT_JWKS_URL`, of which exactly one is
    /// set, and the other `JWT_*` rules.
    pub(crate) fn open(
        env: &Env,
        clock: &Arc<dyn Clock>,
        http: &net::Client,
    ) -> Result<Self, ConfigError> {
        const URL: &str = "JWT_JWKS_URL";
        let keys = match (env.get("JWT_SECRET"), env.get(URL)) {
            (Some(_), None) => Keys::Shared(shared(env)?),
            (None, Some(url)) => {
                let source = WebKeys::new(http.clone(), url)?;
                Keys::Published(IssuerKeys::new(source, clock.clone()))
            }
            (None, None) => return Err(ConfigError::Missing("JWT_SECRET or JWT_JWKS_URL")),
            // Whoever knows the one must not get past the other.
            (Some(_), Some(_)) => {
                return Err(ConfigError::invalid(URL, "cannot be set beside JWT_SECRET"));
            }
        };
        Ok(Self { keys, rules: ClaimRules::from_env(env)? })
    }

    /// The caller behind an `Authorization` header (RFC 6750, section 2.1). Published keys may
    /// have to be fetched for it, which ends before `deadline`.
    pub async fn caller(
        &self,
        authorization: Option<&str>,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Caller, Refused> {
        let token = Token::read(bearer(authorization)?)?;
        match &self.keys {
            Keys::Shared(secrets) => Ok(self.rules.caller(&verified(&token, secrets)?, now)?),
            Keys::Published(keys) => {
                published::caller(&token, keys, &self.rules, now, deadline).await
            }
        }
    }
}

/// The claims, if one of the secrets has signed them.
fn verified(
    token: &Token<'_>,
    secrets: &[DecodingKey],
) -> Result<Map<String, Value>, Unauthenticated> {
    let mut outcome = Err(Unauthenticated::Signature);
    for secret in secrets {
        outcome = token.verified_by(secret);
        if !matches!(outcome, Err(Unauthenticated::Signature)) {
            break;
        }
    }
    outcome
}

/// The keys of the secrets. One that is too short, or that is one of Stream's (with which anybody's
/// Stream token would open this service), is refused.
fn shared(env: &Env) -> Result<Vec<DecodingKey>, ConfigError> {
    const STREAMS: [&str; 2] = ["STREAM_API_SECRET", "STREAM_API_SECRET_PREVIOUS"];
    crypto::install();
    let mut keys = Vec::new();
    for name in ["JWT_SECRET", "JWT_SECRET_PREVIOUS"] {
        let Some(secret) = env.get(name) else { continue };
        if secret.len() < LEAST_SECRET {
            return Err(ConfigError::invalid(name, "must have at least 32 bytes"));
        }
        if let Some(other) = STREAMS.into_iter().find(|other| env.get(other) == Some(secret)) {
            return Err(ConfigError::invalid(name, format!("must differ from {other}")));
        }
        keys.push(DecodingKey::from_secret(secret.as_bytes()));
    }
    Ok(keys)
}

fn bearer(authorization: Option<&str>) -> Result<&str, Unauthenticated> {
    let (scheme, token) =
        authorization.and_then(|value| value.split_once(' ')).ok_or(Unauthenticated::Absent)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token) } else { Err(Unauthenticated::Absent) }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use futures_util::FutureExt as _;
    use ring::hmac;
    use serde_json::{Value, json};

    use super::*;
    use crate::clock::SystemClock;

    const SECRET: &str = "a-test-secret-of-thirty-two-bytes!";
    const NOW: i64 = 1_767_225_600;

    fn open(pairs: &[(&str, &str)]) -> Result<Verifier, ConfigError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        Verifier::open(&pairs.iter().copied().collect(), &clock, &net::client().unwrap())
    }

    fn verifier(pairs: &[(&str, &str)]) -> Verifier {
        let mut env = vec![("JWT_SECRET", SECRET)];
        env.extend(pairs);
        open(&env).unwrap()
    }

    fn caller(verifier: &Verifier, header: Option<&str>) -> Result<Caller, Unauthenticated> {
        let now = Timestamp::from_secs(NOW);
        let deadline = Deadline::after(now, Duration::from_secs(7));
        // With a secret of our own there is nothing to wait for.
        let found = verifier.caller(header, now, deadline).now_or_never().unwrap();
        found.map_err(|refused| match refused {
            Refused::Token(cause) => cause,
            Refused::NoKeys { .. } => panic!("no keys"),
        })
    }

    fn sign(header: &str, claims: &str, secret: &str) -> String {
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    }

    const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

    fn check(verifier: &Verifier, token: &str) -> Result<Caller, Unauthenticated> {
        caller(verifier, Some(&format!("Bearer {token}")))
    }

    fn with(claims: &Value) -> Result<Caller, Unauthenticated> {
        check(&verifier(&[]), &sign(HEADER, &claims.to_string(), SECRET))
    }

    fn good() -> Value {
        json!({"sub": "alice", "role": "streamer", "iat": NOW, "exp": NOW + 60})
    }

    #[test]
    fn a_good_token_names_its_caller() {
        let caller = with(&good()).unwrap();
        assert_eq!((caller.user.as_str(), caller.role.as_deref()), ("alice", Some("streamer")));
        assert!(!caller.service);
        assert!(with(&json!({"sub": "s", "role": "service", "exp": NOW + 60})).unwrap().service);
    }

    #[test]
    fn the_header_of_the_request() {
        let token = sign(HEADER, &good().to_string(), SECRET);
        for (value, good) in [
            (Some(format!("Bearer {token}")), true),
            (Some(format!("bearer {token}")), true),
            (Some(format!("Bearer  {token}")), false),
            (Some(format!("Basic {token}")), false),
            (Some(token.clone()), false),
            (Some("Bearer ".into()), false),
            (Some(String::new()), false),
            (None, false),
        ] {
            assert_eq!(caller(&verifier(&[]), value.as_deref()).is_ok(), good, "{value:?}");
        }
    }

    #[test]
    fn headers_that_are_refused() {
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"HS384"}"#,
            r#"{"alg":"hs256"}"#,
            r#"{"alg":"RS256"}"#,
            r#"{"alg":["HS256"]}"#,
            r#"{"typ":"JWT"}"#,
            r#"{"alg":"HS256","crit":["exp"]}"#,
            r#"{"alg":"HS256","crit":[]}"#,
            r#"{"alg":"HS256","zip":"DEF"}"#,
            r#"{"alg":"HS256","enc":"A256GCM"}"#,
            r#"{"alg":"HS256","cty":"JWT"}"#,
            r#"{"alg":"HS256","typ":"secevent+jwt"}"#,
            r#"{"alg":"HS256","typ":7}"#,
            r#"{"alg":"HS256","alg":"HS256"}"#,
            r#"["HS256"]"#,
            "HS256",
        ] {
            let token = sign(header, &good().to_string(), SECRET);
            assert!(check(&verifier(&[]), &token).is_err(), "{header}");
        }
        for header in [r#"{"alg":"HS256"}"#, r#"{"alg":"HS256","typ":"at+JWT","kid":"x"}"#] {
            let token = sign(header, &good().to_string(), SECRET);
            assert!(check(&verifier(&[]), &token).is_ok(), "{header}");
        }
    }

    #[test]
    fn claims_that_are_refused() {
        for (name, value) in [
            ("exp", json!(NOW - 60)),
            ("exp", json!(NOW.to_string())),
            ("exp", json!(-1)),
            ("exp", json!(1e300)),
            ("exp", Value::Null),
            ("nbf", json!(NOW + 61)),
            ("nbf", json!("soon")),
            ("iat", json!(NOW + 61)),
            ("iat", json!([NOW])),
            ("sub", json!("")),
            ("sub", json!(7)),
            ("sub", json!("a/b")),
            ("sub", json!("a".repeat(65))),
            ("sub", Value::Null),
            ("aud", json!("somebody else")),
        ] {
            let mut claims = good();
            claims[name] = value.clone();
            assert!(with(&claims).is_err(), "{name}: {value}");
        }
        let mut claims = good();
        claims.as_object_mut().unwrap().remove("exp");
        assert_eq!(with(&claims), Err(Unauthenticated::Claim("exp")));
        let twice = format!(r#"{{"sub":"alice","sub":"bob","exp":{}}}"#, NOW + 60);
        assert!(check(&verifier(&[]), &sign(HEADER, &twice, SECRET)).is_err());
    }

    #[test]
    fn times_have_a_minute_of_leeway() {
        for (name, value, good) in [
            ("exp", NOW - 59, true),
            ("exp", NOW - 60, false),
            ("nbf", NOW + 60, true),
            ("nbf", NOW + 61, false),
            ("iat", NOW + 60, true),
            ("iat", NOW + 61, false),
        ] {
            let mut claims = self::good();
            claims[name] = json!(value);
            assert_eq!(with(&claims).is_ok(), good, "{name} {}", value - NOW);
        }
    }

    #[test]
    fn issuer_and_audience_are_required_once_configured() {
        let verifier = verifier(&[("JWT_ISSUER", "us"), ("JWT_AUDIENCE", "calls")]);
        for (issuer, audience, accepted) in [
            (json!("us"), json!("calls"), true),
            (json!("us"), json!(["chat", "calls"]), true),
            (json!("us"), json!(["chat"]), false),
            (json!("us"), json!(["calls", 7]), false),
            (json!("us"), json!([]), false),
            (json!("us"), Value::Null, false),
            (json!(["us"]), json!("calls"), false),
            (json!("them"), json!("calls"), false),
            (Value::Null, json!("calls"), false),
        ] {
            let mut claims = good();
            claims["iss"] = issuer;
            claims["aud"] = audience;
            let token = sign(HEADER, &claims.to_string(), SECRET);
            assert_eq!(check(&verifier, &token).is_ok(), accepted, "{claims}");
        }
        let token = sign(HEADER, &good().to_string(), SECRET);
        assert!(check(&verifier, &token).is_err());
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let token = sign(HEADER, &good().to_string(), SECRET);
        let verifier = verifier(&[]);
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(check(&verifier, &changed).is_err(), "byte {at}");
        }
        for changed in [format!("{token}="), format!("{token}."), token.replace('.', "..")] {
            assert!(check(&verifier, &changed).is_err(), "{changed}");
        }
        let other = sign(HEADER, &good().to_string(), &SECRET.replace('!', "?"));
        assert_eq!(check(&verifier, &other), Err(Unauthenticated::Signature));
    }

    #[test]
    fn a_token_over_four_kilobytes_is_not_looked_at() {
        let mut claims = good();
        claims["pad"] = json!("x".repeat(4096));
        assert_eq!(with(&claims), Err(Unauthenticated::TooLong));
    }

    #[test]
    fn both_secrets_are_good_while_one_is_being_changed() {
        const OTHER: &str = "another-secret-of-thirty-two-bytes!";
        let both = verifier(&[("JWT_SECRET_PREVIOUS", OTHER)]);
        let by = |secret: &str| sign(HEADER, &good().to_string(), secret);
        for secret in [SECRET, OTHER] {
            assert!(check(&both, &by(secret)).is_ok());
        }
        let third = by(&SECRET.replace('!', "?"));
        assert_eq!(check(&both, &third), Err(Unauthenticated::Signature));
        // Without it, the other is nobody's.
        assert_eq!(check(&verifier(&[]), &by(OTHER)), Err(Unauthenticated::Signature));
        // What the first one has signed is judged by what it says.
        let mut late = good();
        late["exp"] = json!(NOW - 3_600);
        let late = sign(HEADER, &late.to_string(), SECRET);
        assert_eq!(check(&both, &late), Err(Unauthenticated::Expired));
    }

    #[test]
    fn secrets_that_are_refused_at_start() {
        for pairs in [
            vec![],
            vec![("JWT_SECRET", "short")],
            vec![("JWT_SECRET", "0123456789012345678901234567890")],
            vec![("JWT_SECRET", SECRET), ("STREAM_API_SECRET", SECRET)],
            vec![("JWT_SECRET", SECRET), ("STREAM_API_SECRET_PREVIOUS", SECRET)],
            vec![("JWT_SECRET", SECRET), ("JWT_SECRET_PREVIOUS", "short")],
            vec![("JWT_SECRET", SECRET), ("JWT_ROLE_CLAIM", "sub")],
        ] {
            assert!(open(&pairs).is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn there_is_either_a_secret_or_an_address_of_keys() {
        let (secret, url) = (("JWT_SECRET", SECRET), ("JWT_JWKS_URL", "https://example.com/keys"));
        for (pairs, good) in [
            (vec![secret], true),
            (vec![url], true),
            (vec![secret, ("JWT_JWKS_URL", "")], true),
            (vec![("JWT_SECRET", ""), url], true),
            (vec![secret, url], false),
            (vec![("JWT_SECRET", ""), ("JWT_JWKS_URL", "")], false),
            (vec![("JWT_JWKS_URL", "http://example.com/keys")], false),
            (vec![url, ("JWT_ROLE_CLAIM", "sub")], false),
        ] {
            assert_eq!(open(&pairs).is_ok(), good, "{pairs:?}");
        }
        let neither = open(&[]).err().unwrap().to_string();
        assert_eq!(neither, "JWT_SECRET or JWT_JWKS_URL is not set");
    }
}
