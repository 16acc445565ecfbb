//! Verification of tokens with the keys that an issuer publishes.

use serde_json::Value;

use crate::auth::claims::ClaimRules;
use crate::auth::jwks::{self, Algorithm, IssuerKeys};
use crate::auth::jws::UnverifiedToken;
use crate::auth::{AuthError, Caller, TokenError};
use crate::clock::{Deadline, Timestamp};

/// Authenticates the caller of a token. All checks that do not need the key come first, so that a
/// token that they reject never causes a fetch of keys.
pub(super) async fn authenticate(
    token: &UnverifiedToken<'_>,
    keys: &IssuerKeys,
    rules: &ClaimRules,
    now: Timestamp,
    deadline: Deadline,
) -> Result<Caller, AuthError> {
    let algorithm = token.header("alg").and_then(Value::as_str).and_then(Algorithm::from_name);
    let algorithm = algorithm.ok_or(TokenError::AlgorithmMismatch)?;
    let key_id = jwks::key_id(token.header("kid")).ok_or(TokenError::MissingKeyId)?;
    let signature = token.signature()?;
    if !algorithm.is_signature_length(signature.len()) {
        return Err(TokenError::InvalidSignature.into());
    }
    let caller = rules.validate(&token.unverified_claims()?, now)?;
    let key = keys.get_key(key_id, deadline).await?;
    key.verify(algorithm, token.signing_input(), &signature)?;
    Ok(caller)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use futures_util::FutureExt as _;
    use ring::hmac;
    use serde_json::json;

    use super::*;
    use crate::clock::Clock as _;
    use crate::config::Env;
    use crate::test_support::FakeClock;
    use crate::test_support::jwks::{self as test_support, FakeJwksServer, TestSigner};

    const NOW: i64 = 1_767_225_600;

    /// An issuer that publishes the given keys.
    struct Issuer {
        server: FakeJwksServer,
        clock: Arc<FakeClock>,
        keys: IssuerKeys,
        rules: ClaimRules,
    }

    impl Issuer {
        fn new(jwks: &[Value]) -> Self {
            let (server, clock) = (FakeJwksServer::default(), Arc::new(FakeClock::default()));
            server.respond_with(&json!({"keys": jwks}).to_string());
            let keys = IssuerKeys::new(server.clone(), clock.clone());
            let rules = ClaimRules::from_env(&Env::from([("JWT_ISSUER", "us")])).unwrap();
            Self { server, clock, keys, rules }
        }

        /// As [`Self::new`], with rules that do not require `iss`.
        fn without_issuer(jwks: &[Value]) -> Self {
            let rules = ClaimRules::from_env(&Env::default()).unwrap();
            Self { rules, ..Self::new(jwks) }
        }

        fn check(&self, token: &str) -> Result<Caller, AuthError> {
            let now = self.clock.now();
            let deadline = Deadline::after(now, Duration::from_secs(7));
            let token = UnverifiedToken::parse(token)?;
            let authenticated = authenticate(&token, &self.keys, &self.rules, now, deadline);
            authenticated.now_or_never().unwrap()
        }
    }

    fn valid_claims() -> Value {
        json!({"iss": "us", "sub": "alice", "role": "streamer", "iat": NOW, "exp": NOW + 60})
    }

    fn rejected(error: TokenError) -> Result<Caller, AuthError> {
        Err(AuthError::InvalidToken(error))
    }

    #[test]
    fn valid_token_identifies_the_caller() {
        let signers = TestSigner::of_every_algorithm();
        let issuer = Issuer::new(&signers.each_ref().map(TestSigner::jwk));
        for signer in &signers {
            let caller = issuer.check(&signer.token(&valid_claims())).unwrap();
            assert_eq!((caller.user.as_str(), caller.is_service), ("alice", false));
        }
    }

    #[test]
    fn token_signed_by_openssl_is_accepted() {
        for name in ["rs256", "rs384", "rs512", "ps256", "es384"] {
            let (jwk, token) = test_support::published_key(name);
            let keys = [jwk];
            let result = Issuer::new(&keys).check(&token);
            assert_eq!(result, rejected(TokenError::InvalidClaim("iss".to_owned())), "{name}");
            let caller = Issuer::without_issuer(&keys).check(&token).unwrap();
            assert_eq!((caller.user.as_str(), caller.role.as_deref()), ("alice", Some("user")));
        }
    }

    #[test]
    fn invalid_token_is_rejected_without_fetching_keys() {
        let signer = TestSigner::generate_p256("a");
        let issuer = Issuer::new(&[signer.jwk()]);
        let (header, claims) = (r#"{"alg":"ES256","kid":"a"}"#, valid_claims().to_string());
        let mut tokens = vec![
            String::new(),
            "a.b".to_owned(),
            "a.b.c.d".to_owned(),
            format!("{}.", signer.token(&valid_claims())),
            format!("{}=", signer.token(&valid_claims())),
            signer.token(&json!({"pad": "x".repeat(8192)})),
            signer.token_with(header, "[]"),
            signer.token_with(header, &claims.replacen('{', r#"{"sub":"bob","#, 1)),
        ];
        for header in [
            r#"{"alg":"ES256"}"#,
            r#"{"alg":"ES256","kid":""}"#,
            r#"{"alg":"ES256","kid":7}"#,
            r#"{"alg":"ES256","kid":"a","kid":"a"}"#,
            r#"{"kid":"a"}"#,
            r#"{"alg":["ES256"],"kid":"a"}"#,
            r#"{"alg":"none","kid":"a"}"#,
            r#"{"alg":"HS256","kid":"a"}"#,
            r#"{"alg":"es256","kid":"a"}"#,
            r#"{"alg":"ES384","kid":"a"}"#,
            r#"{"alg":"ES512","kid":"a"}"#,
            r#"{"alg":"PS384","kid":"a"}"#,
            r#"{"alg":"ES256","kid":"a","crit":["exp"]}"#,
            r#"{"alg":"ES256","kid":"a","zip":"DEF"}"#,
            r#"{"alg":"ES256","kid":"a","enc":"A256GCM"}"#,
            r#"{"alg":"ES256","kid":"a","cty":"JWT"}"#,
            r#"{"alg":"ES256","kid":"a","typ":"logout+jwt"}"#,
            // An RSA signature never has 64 bytes.
            r#"{"alg":"RS256","kid":"a"}"#,
            r#"{"alg":"PS256","kid":"a"}"#,
        ] {
            tokens.push(signer.token_with(header, &claims));
        }
        let long_kid_header = json!({"alg": "ES256", "kid": "x".repeat(257)}).to_string();
        tokens.push(signer.token_with(&long_kid_header, &claims));
        for (name, value) in [
            ("exp", json!(NOW - 60)),
            ("exp", Value::Null),
            ("nbf", json!(NOW + 61)),
            ("iat", json!(NOW + 61)),
            ("iss", json!("them")),
            ("aud", json!("another service")),
            ("sub", json!("a/b")),
        ] {
            let mut claims = valid_claims();
            claims[name] = value;
            tokens.push(signer.token(&claims));
        }
        let valid_token = signer.token(&valid_claims());
        let (head, _) = valid_token.rsplit_once('.').unwrap();
        for signature in ["", "AAAA", &URL_SAFE_NO_PAD.encode([0_u8; 65]), "!"] {
            tokens.push(format!("{head}.{signature}"));
        }
        for token in tokens {
            assert!(matches!(issuer.check(&token), Err(AuthError::InvalidToken(_))), "{token}");
        }
        assert_eq!(issuer.server.request_count(), 0);
        assert!(issuer.check(&valid_token).is_ok());
        assert_eq!(issuer.server.request_count(), 1);
    }

    #[test]
    fn algorithm_must_match_the_key() {
        let (p256, ed25519) = (TestSigner::generate_p256("a"), TestSigner::generate_ed25519("b"));
        let (rsa, _) = test_support::published_key("rs256");
        let (pkcs1, pss) = (TestSigner::rsa("rs", "RS256"), TestSigner::rsa("ps", "PS256"));
        let jwks = [p256.jwk(), ed25519.jwk(), rsa.clone(), pkcs1.jwk(), pss.jwk()];
        let issuer = Issuer::new(&jwks);
        let claims = valid_claims().to_string();
        for (signer, header) in [
            (&pkcs1, r#"{"alg":"RS256","kid":"ps"}"#),
            (&pkcs1, r#"{"alg":"PS256","kid":"rs"}"#),
            (&pkcs1, r#"{"alg":"RS384","kid":"rs"}"#),
            (&pss, r#"{"alg":"PS256","kid":"rs"}"#),
            (&pss, r#"{"alg":"RS256","kid":"ps"}"#),
            (&p256, r#"{"alg":"ES256","kid":"b"}"#),
            (&p256, r#"{"alg":"EdDSA","kid":"a"}"#),
            (&p256, r#"{"alg":"ES256","kid":"rsa-2048"}"#),
            (&ed25519, r#"{"alg":"EdDSA","kid":"a"}"#),
            (&ed25519, r#"{"alg":"ES256","kid":"b"}"#),
        ] {
            let result = issuer.check(&signer.token_with(header, &claims));
            assert_eq!(result, rejected(TokenError::AlgorithmMismatch), "{header}");
        }
        // A public key must not verify as an HS256 secret.
        for (kid, public) in [("rsa-2048", &rsa["n"]), ("b", &ed25519.jwk()["x"])] {
            let secret = public.as_str().unwrap();
            let header = json!({"alg": "HS256", "kid": kid}).to_string();
            let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
            let head = format!("{}.{}", part(&header), part(&claims));
            for bytes in [secret.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(secret).unwrap()] {
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &bytes), head.as_bytes());
                let token = format!("{head}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
                assert_eq!(issuer.check(&token), rejected(TokenError::AlgorithmMismatch), "{kid}");
            }
        }
    }

    #[test]
    fn any_modified_byte_invalidates_the_token() {
        let signers = [
            TestSigner::rsa("a", "RS256"),
            TestSigner::rsa("b", "PS256"),
            TestSigner::generate_p256("c"),
            TestSigner::generate_p384("d"),
            TestSigner::generate_ed25519("e"),
        ];
        let issuer = Issuer::without_issuer(&signers.each_ref().map(TestSigner::jwk));
        for token in signers.each_ref().map(|signer| signer.token(&valid_claims())) {
            assert!(issuer.check(&token).is_ok(), "{token}");
            for at in 0..token.len() {
                let mut bytes = token.clone().into_bytes();
                bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(bytes).unwrap();
                assert!(issuer.check(&changed).is_err(), "byte {at} of {token}");
            }
        }
    }

    #[test]
    fn token_signed_by_a_different_key_with_the_same_kid_is_rejected() {
        for (issuer_signer, other_signer) in [
            (TestSigner::generate_p256("a"), TestSigner::generate_p256("a")),
            (TestSigner::generate_ed25519("a"), TestSigner::generate_ed25519("a")),
        ] {
            let issuer = Issuer::new(&[issuer_signer.jwk()]);
            let result = issuer.check(&other_signer.token(&valid_claims()));
            assert_eq!(result, rejected(TokenError::InvalidSignature));
        }
        // The `jwk` header parameter is ignored.
        let (issuer_signer, other_signer) =
            (TestSigner::generate_p256("a"), TestSigner::generate_p256("a"));
        let issuer = Issuer::new(&[issuer_signer.jwk()]);
        let header = json!({"alg": "ES256", "kid": "a", "jwk": other_signer.jwk()}).to_string();
        let result = issuer.check(&other_signer.token_with(&header, &valid_claims().to_string()));
        assert_eq!(result, rejected(TokenError::InvalidSignature));
    }

    #[test]
    fn missing_jwks_returns_keys_unavailable() {
        let signer = TestSigner::generate_ed25519("a");
        let issuer = Issuer::new(&[]);
        let result = issuer.check(&signer.token(&valid_claims()));
        let retry_after = Duration::from_secs(5);
        assert_eq!(result, Err(AuthError::KeysUnavailable { retry_after }));
    }
}
