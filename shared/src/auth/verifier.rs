//! Verification of the bearer token of a request.

use std::sync::Arc;

use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use crate::auth::claims::ClaimRules;
use crate::auth::jwks::{HttpJwks, IssuerKeys};
use crate::auth::jws::UnverifiedToken;
use crate::auth::{AuthError, Caller, TokenError, crypto, jwks_verifier};
use crate::clock::{Clock, Deadline, Timestamp};
use crate::config::{ConfigError, Env};
use crate::net;

/// Verifies bearer tokens with a shared secret or with the keys that the issuer publishes.
pub struct Verifier {
    keys: VerificationKeys,
    rules: ClaimRules,
}

enum VerificationKeys {
    /// The secret that is shared with the issuer (HS256), and the previous one during a rotation.
    SharedSecrets(Vec<DecodingKey>),
    /// The keys that the issuer publishes.
    Jwks(IssuerKeys),
}

/// The minimum size of an HS256 key, in bytes (RFC 7518, section 3.2).
const MIN_SECRET_BYTES: usize = 32;

impl Verifier {
    /// Reads the rules for the claims and either `JWT_SECRET` (with `JWT_SECRET_PREVIOUS`) or
    /// `JWT_JWKS_URL`. It is an error if both or neither are set.
    pub(crate) fn from_env(
        env: &Env,
        clock: &Arc<dyn Clock>,
        http: &net::Client,
    ) -> Result<Self, ConfigError> {
        const URL: &str = "JWT_JWKS_URL";
        let keys = match (env.get("JWT_SECRET"), env.get(URL)) {
            (Some(_), None) => VerificationKeys::SharedSecrets(secrets_from_env(env)?),
            (None, Some(url)) => {
                let source = HttpJwks::new(http.clone(), url)?;
                VerificationKeys::Jwks(IssuerKeys::new(source, clock.clone()))
            }
            (None, None) => return Err(ConfigError::Missing("JWT_SECRET or JWT_JWKS_URL")),
            // With both, a leaked secret would bypass the published keys.
            (Some(_), Some(_)) => {
                return Err(ConfigError::invalid(URL, "cannot be set together with JWT_SECRET"));
            }
        };
        Ok(Self { keys, rules: ClaimRules::from_env(env)? })
    }

    /// Authenticates the caller of an `Authorization` header (RFC 6750, section 2.1). If it has to
    /// fetch published keys, it waits at most until `deadline`.
    pub async fn authenticate(
        &self,
        authorization: Option<&str>,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Caller, AuthError> {
        let token = UnverifiedToken::parse(bearer_token(authorization)?)?;
        match &self.keys {
            VerificationKeys::SharedSecrets(secrets) => {
                Ok(self.rules.validate(&verify_with_secrets(&token, secrets)?, now)?)
            }
            VerificationKeys::Jwks(keys) => {
                jwks_verifier::authenticate(&token, keys, &self.rules, now, deadline).await
            }
        }
    }
}

/// The claims, if one of the secrets verifies the signature.
fn verify_with_secrets(
    token: &UnverifiedToken<'_>,
    secrets: &[DecodingKey],
) -> Result<Map<String, Value>, TokenError> {
    let mut outcome = Err(TokenError::InvalidSignature);
    for secret in secrets {
        outcome = token.verify(secret);
        if !matches!(outcome, Err(TokenError::InvalidSignature)) {
            break;
        }
    }
    outcome
}

/// The keys of the configured secrets. A secret that is too short is rejected, and so is a Stream
/// secret: with it, every Stream token would be a valid session token.
fn secrets_from_env(env: &Env) -> Result<Vec<DecodingKey>, ConfigError> {
    const STREAM_SECRETS: [&str; 2] = ["STREAM_API_SECRET", "STREAM_API_SECRET_PREVIOUS"];
    crypto::install_provider();
    let mut keys = Vec::new();
    for name in ["JWT_SECRET", "JWT_SECRET_PREVIOUS"] {
        let Some(secret) = env.get(name) else { continue };
        if secret.len() < MIN_SECRET_BYTES {
            return Err(ConfigError::invalid(name, "must have at least 32 bytes"));
        }
        if let Some(other) = STREAM_SECRETS.into_iter().find(|other| env.get(other) == Some(secret))
        {
            return Err(ConfigError::invalid(name, format!("must differ from {other}")));
        }
        keys.push(DecodingKey::from_secret(secret.as_bytes()));
    }
    Ok(keys)
}

fn bearer_token(authorization: Option<&str>) -> Result<&str, TokenError> {
    let (scheme, token) =
        authorization.and_then(|value| value.split_once(' ')).ok_or(TokenError::Missing)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token) } else { Err(TokenError::Missing) }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use futures_util::FutureExt as _;
    use ring::hmac;
    use serde_json::{Value, json};

    use std::time::Duration;

    use super::*;
    use crate::clock::SystemClock;

    const SECRET: &str = "a-test-secret-of-thirty-two-bytes!";
    const NOW: i64 = 1_767_225_600;

    fn from_pairs(pairs: &[(&str, &str)]) -> Result<Verifier, ConfigError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        Verifier::from_env(&pairs.iter().copied().collect(), &clock, &net::client().unwrap())
    }

    fn verifier(pairs: &[(&str, &str)]) -> Verifier {
        let mut env = vec![("JWT_SECRET", SECRET)];
        env.extend(pairs);
        from_pairs(&env).unwrap()
    }

    fn authenticate(verifier: &Verifier, header: Option<&str>) -> Result<Caller, TokenError> {
        let now = Timestamp::from_secs(NOW);
        let deadline = Deadline::after(now, Duration::from_secs(7));
        // Verification with a shared secret does no I/O.
        let result = verifier.authenticate(header, now, deadline).now_or_never().unwrap();
        result.map_err(|error| match error {
            AuthError::InvalidToken(error) => error,
            AuthError::KeysUnavailable { .. } => panic!("a shared secret needs no fetched keys"),
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

    fn authenticate_token(verifier: &Verifier, token: &str) -> Result<Caller, TokenError> {
        authenticate(verifier, Some(&format!("Bearer {token}")))
    }

    fn authenticate_claims(claims: &Value) -> Result<Caller, TokenError> {
        authenticate_token(&verifier(&[]), &sign(HEADER, &claims.to_string(), SECRET))
    }

    fn invalid_claim(name: &str) -> TokenError {
        TokenError::InvalidClaim(name.to_owned())
    }

    fn valid_claims() -> Value {
        json!({"sub": "alice", "role": "streamer", "iat": NOW, "exp": NOW + 60})
    }

    #[test]
    fn valid_token_identifies_the_caller() {
        let caller = authenticate_claims(&valid_claims()).unwrap();
        assert_eq!((caller.user.as_str(), caller.role.as_deref()), ("alice", Some("streamer")));
        assert!(!caller.is_service);
        assert!(
            authenticate_claims(&json!({"sub": "s", "role": "service", "exp": NOW + 60}))
                .unwrap()
                .is_service
        );
    }

    #[test]
    fn authorization_header_must_be_a_bearer_token() {
        let token = sign(HEADER, &valid_claims().to_string(), SECRET);
        for (value, is_accepted) in [
            (Some(format!("Bearer {token}")), true),
            (Some(format!("bearer {token}")), true),
            (Some(format!("Bearer  {token}")), false),
            (Some(format!("Basic {token}")), false),
            (Some(token.clone()), false),
            (Some("Bearer ".into()), false),
            (Some(String::new()), false),
            (None, false),
        ] {
            assert_eq!(
                authenticate(&verifier(&[]), value.as_deref()).is_ok(),
                is_accepted,
                "{value:?}"
            );
        }
    }

    #[test]
    fn unsupported_jws_headers_are_rejected() {
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
            r#"{"alg":"HS256","typ":"application/secevent+jwt"}"#,
            r#"{"alg":"HS256","typ":"application/"}"#,
            r#"{"alg":"HS256","typ":"text/jwt"}"#,
            r#"{"alg":"HS256","typ":""}"#,
            r#"{"alg":"HS256","typ":7}"#,
            r#"{"alg":"HS256","alg":"HS256"}"#,
            r#"["HS256"]"#,
            "HS256",
        ] {
            let token = sign(header, &valid_claims().to_string(), SECRET);
            assert!(authenticate_token(&verifier(&[]), &token).is_err(), "{header}");
        }
        for header in [
            r#"{"alg":"HS256"}"#,
            r#"{"alg":"HS256","typ":"jwt"}"#,
            r#"{"alg":"HS256","typ":"at+JWT","kid":"x"}"#,
            r#"{"alg":"HS256","typ":"application/jwt"}"#,
            r#"{"alg":"HS256","typ":"application/at+jwt"}"#,
            r#"{"alg":"HS256","typ":"Application/AT+JWT"}"#,
        ] {
            let token = sign(header, &valid_claims().to_string(), SECRET);
            assert!(authenticate_token(&verifier(&[]), &token).is_ok(), "{header}");
        }
    }

    #[test]
    fn invalid_claims_are_rejected() {
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
            ("sub", json!(-1)),
            ("sub", json!(7.5)),
            ("sub", json!([7])),
            ("sub", json!(true)),
            ("sub", json!("a/b")),
            ("sub", json!("a".repeat(65))),
            ("sub", json!("stream-functions")),
            ("sub", Value::Null),
            ("aud", json!("another service")),
        ] {
            let mut claims = valid_claims();
            claims[name] = value.clone();
            assert!(authenticate_claims(&claims).is_err(), "{name}: {value}");
        }
        let mut claims = valid_claims();
        claims.as_object_mut().unwrap().remove("exp");
        assert_eq!(authenticate_claims(&claims), Err(invalid_claim("exp")));
        let duplicate_claim = format!(r#"{{"sub":"alice","sub":"bob","exp":{}}}"#, NOW + 60);
        assert!(
            authenticate_token(&verifier(&[]), &sign(HEADER, &duplicate_claim, SECRET)).is_err()
        );
    }

    #[test]
    fn session_start_is_read_from_the_configured_claim() {
        let by_auth_time = verifier(&[("JWT_AUTH_TIME_CLAIM", "auth_time")]);
        let by_default = verifier(&[]);
        let at = Timestamp::from_secs;
        for (auth_time, expected) in [
            (Some(json!(NOW - 3_600)), Ok(Some(at(NOW - 3_600)))),
            (Some(json!(1_767_222_000.5)), Ok(Some(Timestamp::from_millis(1_767_222_000_500)))),
            (Some(json!(NOW + 60)), Ok(Some(at(NOW + 60)))),
            (Some(json!(NOW + 61)), Err(invalid_claim("auth_time"))),
            (Some(json!("now")), Err(invalid_claim("auth_time"))),
            (Some(json!(-1)), Err(invalid_claim("auth_time"))),
            (Some(Value::Null), Err(invalid_claim("auth_time"))),
            (None, Ok(None)),
        ] {
            let mut claims = valid_claims();
            if let Some(auth_time) = auth_time {
                claims["auth_time"] = auth_time;
            }
            let token = sign(HEADER, &claims.to_string(), SECRET);
            let started_at = |verifier: &Verifier| {
                authenticate_token(verifier, &token).map(|caller| caller.session_started_at)
            };
            assert_eq!(started_at(&by_auth_time), expected, "{claims}");
            assert_eq!(started_at(&by_default), Ok(Some(at(NOW))), "{claims}");
        }
        // `iat` is validated in any case.
        let mut claims = valid_claims();
        claims["auth_time"] = json!(NOW);
        claims["iat"] = json!(NOW + 61);
        let token = sign(HEADER, &claims.to_string(), SECRET);
        assert_eq!(authenticate_token(&by_auth_time, &token), Err(invalid_claim("iat")));
    }

    #[test]
    fn integer_user_id_becomes_its_decimal_text() {
        for (number, expected) in [
            ("0", Some("0")),
            ("7", Some("7")),
            ("7.0", Some("7")),
            ("7e2", Some("700")),
            ("9007199254740991", Some("9007199254740991")),
            ("900719925474099.0", Some("900719925474099")),
            // Not every parser reads this number exactly.
            ("9007199254740991.0", None),
            ("9007199254740992", None),
            ("18446744073709551615", None),
            ("1e300", None),
            ("-7", None),
            ("-0.0", None),
            ("7.5", None),
        ] {
            let claims = format!(r#"{{"sub":{number},"exp":{}}}"#, NOW + 60);
            let result = authenticate_token(&verifier(&[]), &sign(HEADER, &claims, SECRET));
            let user = result.as_ref().map(|caller| caller.user.as_str());
            assert_eq!(user, expected.ok_or(&TokenError::InvalidUserId), "{number}");
        }
    }

    #[test]
    fn escaped_user_id_identifies_the_caller() {
        const NAME: &str = "JWT_USER_ID_ENCODING";
        let (plain, escaping) = (verifier(&[(NAME, "none")]), verifier(&[(NAME, "escape")]));
        let authenticate_user = |verifier: &Verifier, id: &Value, role: &str| {
            let claims = json!({"sub": id, "role": role, "exp": NOW + 60});
            let token = sign(HEADER, &claims.to_string(), SECRET);
            authenticate_token(verifier, &token).map(|caller| caller.user.as_str().to_owned())
        };
        let long = |bytes: usize| "|".repeat(bytes);
        let rejected: Result<String, TokenError> = Err(TokenError::InvalidUserId);
        for (id, unchanged, escaped) in [
            (json!("alice"), true, Some("alice".to_owned())),
            (json!("a@b"), true, Some("a@40b".to_owned())),
            (json!(7), true, Some("7".to_owned())),
            (json!("auth0|abc"), false, Some("auth0@7cabc".to_owned())),
            (json!(long(21)), false, Some("@7c".repeat(21))),
            (json!(long(22)), false, None),
            (json!(""), false, None),
        ] {
            for role in ["user", "service"] {
                let result = authenticate_user(&plain, &id, role);
                assert_eq!(result.is_ok(), unchanged, "{id}");
                let result = authenticate_user(&escaping, &id, role);
                assert_eq!(result, escaped.clone().map_or(rejected.clone(), Ok), "{id}");
            }
        }
        assert!(from_pairs(&[("JWT_SECRET", SECRET), (NAME, "strict")]).is_err());
    }

    #[test]
    fn time_claims_have_one_minute_of_leeway() {
        for (name, value, is_accepted) in [
            ("exp", NOW - 59, true),
            ("exp", NOW - 60, false),
            ("nbf", NOW + 60, true),
            ("nbf", NOW + 61, false),
            ("iat", NOW + 60, true),
            ("iat", NOW + 61, false),
        ] {
            let mut claims = valid_claims();
            claims[name] = json!(value);
            assert_eq!(authenticate_claims(&claims).is_ok(), is_accepted, "{name} {}", value - NOW);
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
            let mut claims = valid_claims();
            claims["iss"] = issuer;
            claims["aud"] = audience;
            let token = sign(HEADER, &claims.to_string(), SECRET);
            assert_eq!(authenticate_token(&verifier, &token).is_ok(), accepted, "{claims}");
        }
        let token = sign(HEADER, &valid_claims().to_string(), SECRET);
        assert!(authenticate_token(&verifier, &token).is_err());
    }

    #[test]
    fn one_of_several_issuers_and_audiences_suffices() {
        let verifier = verifier(&[("JWT_ISSUER", "us, them"), ("JWT_AUDIENCE", "calls,chat")]);
        for (issuer, audience, is_accepted) in [
            (json!("us"), json!("calls"), true),
            (json!("them"), json!("chat"), true),
            (json!("us"), json!(["news", "chat"]), true),
            (json!("us, them"), json!("calls"), false),
            (json!("us"), json!("calls,chat"), false),
            (json!("us"), json!(["news"]), false),
            (json!(""), json!("calls"), false),
            (json!("us"), json!(""), false),
            (json!("calls"), json!("us"), false),
        ] {
            let mut claims = valid_claims();
            claims["iss"] = issuer;
            claims["aud"] = audience;
            let token = sign(HEADER, &claims.to_string(), SECRET);
            assert_eq!(authenticate_token(&verifier, &token).is_ok(), is_accepted, "{claims}");
        }
        for list in ["us,", ",us", "us,,them", ",", " "] {
            for name in ["JWT_ISSUER", "JWT_AUDIENCE"] {
                assert!(from_pairs(&[("JWT_SECRET", SECRET), (name, list)]).is_err(), "{list}");
            }
        }
    }

    #[test]
    fn audience_is_read_from_the_configured_claim() {
        const NAME: &str = "JWT_AUDIENCE_CLAIM";
        let verifier = verifier(&[("JWT_AUDIENCE", "app,web"), (NAME, "client_id")]);
        for (client, audience, rejected_claim) in [
            (json!("app"), None, None),
            (json!(["other", "web"]), None, None),
            (json!("app"), Some(json!("web")), None),
            (json!("app"), Some(json!(["other", "app"])), None),
            (json!("other"), None, Some("client_id")),
            (json!("other"), Some(json!("app")), Some("client_id")),
            (json!(["app", 7]), None, Some("client_id")),
            (Value::Null, None, Some("client_id")),
            // RFC 7519, section 4.1.3: a token with another audience is for another service.
            (json!("app"), Some(json!("other")), Some("aud")),
            (json!("app"), Some(json!([])), Some("aud")),
            (json!("app"), Some(Value::Null), Some("aud")),
        ] {
            let mut claims = valid_claims();
            claims["client_id"] = client;
            if let Some(audience) = audience {
                claims["aud"] = audience;
            }
            let result = authenticate_token(&verifier, &sign(HEADER, &claims.to_string(), SECRET));
            assert_eq!(result.err(), rejected_claim.map(invalid_claim), "{claims}");
        }
        let mut claims = valid_claims();
        claims["aud"] = json!("app");
        let token = sign(HEADER, &claims.to_string(), SECRET);
        assert_eq!(authenticate_token(&verifier, &token), Err(invalid_claim("client_id")));

        for claim in ["aud", "client_id"] {
            let error = from_pairs(&[("JWT_SECRET", SECRET), (NAME, claim)]).err();
            assert_eq!(error, Some(ConfigError::invalid(NAME, "requires JWT_AUDIENCE")));
        }
        assert!(from_pairs(&[("JWT_SECRET", SECRET), (NAME, "")]).is_ok());
    }

    #[test]
    fn required_claims_must_have_their_values() {
        const NAME: &str = "JWT_REQUIRED_CLAIM";
        for (required, claim, is_accepted) in [
            ("use=access", json!("access"), true),
            (" use = access ", json!("access"), true),
            ("use=access", json!(["id", "access"]), true),
            ("use=a=b", json!("a=b"), true),
            ("use=7", json!(7), true),
            ("use=7", json!("7"), true),
            ("use=7", json!([7]), true),
            ("use=true", json!(true), true),
            ("use=access", json!("Access"), false),
            ("use=access", json!("access id"), false),
            ("use=access", json!(["id"]), false),
            ("use=access", json!([["access"]]), false),
            ("use=access", json!({"access": true}), false),
            ("use=7", json!(7.0), false),
            ("use=true", json!(false), false),
            ("use=null", Value::Null, false),
            ("use=access,use=id", json!("access"), false),
            ("use=access,use=id", json!(["access", "id"]), true),
        ] {
            let mut claims = valid_claims();
            claims["use"] = claim;
            let token = sign(HEADER, &claims.to_string(), SECRET);
            let result = authenticate_token(&verifier(&[(NAME, required)]), &token);
            let error = (!is_accepted).then(|| TokenError::RequiredClaim("use".to_owned()));
            assert_eq!(result.err(), error, "{required} {claims}");
        }
        // The error names the first claim that does not match.
        let required = verifier(&[(NAME, "role=streamer,use=access,tier=1")]);
        let token = sign(HEADER, &valid_claims().to_string(), SECRET);
        let error = authenticate_token(&required, &token).unwrap_err();
        assert_eq!(error.to_string(), "the token's claim 'use' does not have the required value");

        for malformed in ["use", "use=", "=access", " = ", "use=access,", "use=access,id", ","] {
            let pairs = [("JWT_SECRET", SECRET), (NAME, malformed)];
            assert!(from_pairs(&pairs).is_err(), "{malformed}");
        }
    }

    #[test]
    fn any_modified_byte_invalidates_the_token() {
        let token = sign(HEADER, &valid_claims().to_string(), SECRET);
        let verifier = verifier(&[]);
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert!(authenticate_token(&verifier, &changed).is_err(), "byte {at}");
        }
        for changed in [format!("{token}="), format!("{token}."), token.replace('.', "..")] {
            assert!(authenticate_token(&verifier, &changed).is_err(), "{changed}");
        }
        let other = sign(HEADER, &valid_claims().to_string(), &SECRET.replace('!', "?"));
        assert_eq!(authenticate_token(&verifier, &other), Err(TokenError::InvalidSignature));
    }

    #[test]
    fn token_over_8192_bytes_is_rejected() {
        let token_with_claims_of = |bytes: usize| {
            let mut claims = valid_claims();
            claims["pad"] = json!("");
            let padding = bytes - claims.to_string().len();
            claims["pad"] = json!("x".repeat(padding));
            sign(HEADER, &claims.to_string(), SECRET)
        };
        // 36 bytes of header, 8,111 of claims, 43 of signature, and two dots.
        let longest = token_with_claims_of(6_083);
        assert_eq!(longest.len(), 8_192);
        assert!(authenticate_token(&verifier(&[]), &longest).is_ok());
        let too_long = token_with_claims_of(6_084);
        assert_eq!(authenticate_token(&verifier(&[]), &too_long), Err(TokenError::TooLong));
    }

    #[test]
    fn current_and_previous_secrets_are_both_accepted() {
        const OTHER: &str = "another-secret-of-thirty-two-bytes!";
        let with_previous = verifier(&[("JWT_SECRET_PREVIOUS", OTHER)]);
        let signed_by = |secret: &str| sign(HEADER, &valid_claims().to_string(), secret);
        for secret in [SECRET, OTHER] {
            assert!(authenticate_token(&with_previous, &signed_by(secret)).is_ok());
        }
        let unknown_signer_token = signed_by(&SECRET.replace('!', "?"));
        assert_eq!(
            authenticate_token(&with_previous, &unknown_signer_token),
            Err(TokenError::InvalidSignature)
        );
        // Without `JWT_SECRET_PREVIOUS`, the other secret is rejected.
        assert_eq!(
            authenticate_token(&verifier(&[]), &signed_by(OTHER)),
            Err(TokenError::InvalidSignature)
        );
        // If the first secret verifies the signature, the result is that of its claims.
        let mut expired = valid_claims();
        expired["exp"] = json!(NOW - 3_600);
        let expired_token = sign(HEADER, &expired.to_string(), SECRET);
        assert_eq!(authenticate_token(&with_previous, &expired_token), Err(TokenError::Expired));
    }

    #[test]
    fn invalid_secrets_are_rejected_at_startup() {
        for pairs in [
            vec![],
            vec![("JWT_SECRET", "short")],
            vec![("JWT_SECRET", "0123456789012345678901234567890")],
            vec![("JWT_SECRET", SECRET), ("STREAM_API_SECRET", SECRET)],
            vec![("JWT_SECRET", SECRET), ("STREAM_API_SECRET_PREVIOUS", SECRET)],
            vec![("JWT_SECRET", SECRET), ("JWT_SECRET_PREVIOUS", "short")],
            vec![("JWT_SECRET", SECRET), ("JWT_ROLE_CLAIM", "sub")],
        ] {
            assert!(from_pairs(&pairs).is_err(), "{pairs:?}");
        }
    }

    #[test]
    fn exactly_one_of_secret_and_jwks_url_is_required() {
        let (secret, url) = (("JWT_SECRET", SECRET), ("JWT_JWKS_URL", "https://example.com/keys"));
        for (pairs, is_valid) in [
            (vec![secret], true),
            (vec![url], true),
            (vec![secret, ("JWT_JWKS_URL", "")], true),
            (vec![("JWT_SECRET", ""), url], true),
            (vec![secret, url], false),
            (vec![("JWT_SECRET", ""), ("JWT_JWKS_URL", "")], false),
            (vec![("JWT_JWKS_URL", "http://example.com/keys")], false),
            (vec![url, ("JWT_ROLE_CLAIM", "sub")], false),
        ] {
            assert_eq!(from_pairs(&pairs).is_ok(), is_valid, "{pairs:?}");
        }
        let error = from_pairs(&[]).err().unwrap().to_string();
        assert_eq!(error, "JWT_SECRET or JWT_JWKS_URL is not set");
    }
}
