//! Tokens that an issuer has signed with one of the keys that it publishes.

use serde_json::Value;

use crate::auth::claims::ClaimRules;
use crate::auth::jws::Token;
use crate::auth::keys::{self, Algorithm, IssuerKeys};
use crate::auth::{Caller, Refused, Unauthenticated};
use crate::clock::{Deadline, Timestamp};

/// The caller behind such a token. Everything that can be said of it without its key is said before
/// the key is looked for: a token that no key could make good asks nobody for one.
pub(super) async fn caller(
    token: &Token<'_>,
    keys: &IssuerKeys,
    rules: &ClaimRules,
    now: Timestamp,
    deadline: Deadline,
) -> Result<Caller, Refused> {
    let algorithm = token.header("alg").and_then(Value::as_str).and_then(Algorithm::named);
    let algorithm = algorithm.ok_or(Unauthenticated::Algorithm)?;
    let key_id = keys::key_id(token.header("kid")).ok_or(Unauthenticated::NoKeyId)?;
    let signature = token.signature()?;
    if !algorithm.makes(signature.len()) {
        return Err(Unauthenticated::Signature.into());
    }
    let caller = rules.caller(&token.claims()?, now)?;
    let key = keys.key(key_id, deadline).await?;
    key.verify(algorithm, token.signed(), &signature)?;
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
    use crate::auth::keys::sample::{self, Server, Signer, Still};
    use crate::clock::Clock as _;
    use crate::config::Env;

    const NOW: i64 = 1_767_225_600;

    /// An issuer with these keys, whoever holds them.
    struct Issuer {
        server: Server,
        clock: Arc<Still>,
        keys: IssuerKeys,
        rules: ClaimRules,
    }

    impl Issuer {
        fn new(jwks: &[Value]) -> Self {
            let (server, clock) = (Server::default(), Arc::new(Still::default()));
            server.says(&json!({"keys": jwks}).to_string());
            let keys = IssuerKeys::new(server.clone(), clock.clone());
            let rules = ClaimRules::from_env(&Env::from([("JWT_ISSUER", "us")])).unwrap();
            Self { server, clock, keys, rules }
        }

        /// Does not demand an `iss`.
        fn lenient(jwks: &[Value]) -> Self {
            let rules = ClaimRules::from_env(&Env::default()).unwrap();
            Self { rules, ..Self::new(jwks) }
        }

        fn check(&self, token: &str) -> Result<Caller, Refused> {
            let now = self.clock.now();
            let deadline = Deadline::after(now, Duration::from_secs(7));
            let token = Token::read(token)?;
            let checked = caller(&token, &self.keys, &self.rules, now, deadline);
            checked.now_or_never().unwrap()
        }
    }

    fn good() -> Value {
        json!({"iss": "us", "sub": "alice", "role": "streamer", "iat": NOW, "exp": NOW + 60})
    }

    fn refused(cause: Unauthenticated) -> Result<Caller, Refused> {
        Err(Refused::Token(cause))
    }

    #[test]
    fn a_good_token_names_its_caller() {
        let (p256, ed25519) = (Signer::p256("a"), Signer::ed25519("b"));
        let (rsa, token) = sample::rs256("good");
        let keys = [p256.jwk(), ed25519.jwk(), rsa];
        let issuer = Issuer::new(&keys);
        for signer in [&p256, &ed25519] {
            let caller = issuer.check(&signer.token(&good())).unwrap();
            assert_eq!((caller.user.as_str(), caller.service), ("alice", false));
        }
        assert_eq!(issuer.check(&token), refused(Unauthenticated::Claim("iss")));
        let caller = Issuer::lenient(&keys).check(&token).unwrap();
        assert_eq!((caller.user.as_str(), caller.role.as_deref()), ("alice", Some("user")));
    }

    #[test]
    fn a_token_that_no_key_makes_good_asks_nobody() {
        let signer = Signer::p256("a");
        let issuer = Issuer::new(&[signer.jwk()]);
        let (header, claims) = (r#"{"alg":"ES256","kid":"a"}"#, good().to_string());
        let mut tokens = vec![
            String::new(),
            "a.b".to_owned(),
            "a.b.c.d".to_owned(),
            format!("{}.", signer.token(&good())),
            format!("{}=", signer.token(&good())),
            signer.token(&json!({"pad": "x".repeat(4096)})),
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
            r#"{"alg":"PS256","kid":"a"}"#,
            r#"{"alg":"ES256","kid":"a","crit":["exp"]}"#,
            r#"{"alg":"ES256","kid":"a","zip":"DEF"}"#,
            r#"{"alg":"ES256","kid":"a","enc":"A256GCM"}"#,
            r#"{"alg":"ES256","kid":"a","cty":"JWT"}"#,
            r#"{"alg":"ES256","kid":"a","typ":"logout+jwt"}"#,
            // Of these only RS256 makes signatures of another length than this one's.
            r#"{"alg":"RS256","kid":"a"}"#,
        ] {
            tokens.push(signer.token_with(header, &claims));
        }
        let long = json!({"alg": "ES256", "kid": "x".repeat(257)}).to_string();
        tokens.push(signer.token_with(&long, &claims));
        for (name, value) in [
            ("exp", json!(NOW - 60)),
            ("exp", Value::Null),
            ("nbf", json!(NOW + 61)),
            ("iat", json!(NOW + 61)),
            ("iss", json!("them")),
            ("aud", json!("somebody else")),
            ("sub", json!("a/b")),
        ] {
            let mut claims = good();
            claims[name] = value;
            tokens.push(signer.token(&claims));
        }
        let whole = signer.token(&good());
        let (head, _) = whole.rsplit_once('.').unwrap();
        for signature in ["", "AAAA", &URL_SAFE_NO_PAD.encode([0_u8; 65]), "!"] {
            tokens.push(format!("{head}.{signature}"));
        }
        for token in tokens {
            assert!(matches!(issuer.check(&token), Err(Refused::Token(_))), "{token}");
        }
        assert_eq!(issuer.server.asked(), 0);
        assert!(issuer.check(&whole).is_ok());
        assert_eq!(issuer.server.asked(), 1);
    }

    #[test]
    fn the_key_settles_the_algorithm() {
        let (p256, ed25519) = (Signer::p256("a"), Signer::ed25519("b"));
        let (rsa, _) = sample::rs256("good");
        let issuer = Issuer::new(&[p256.jwk(), ed25519.jwk(), rsa.clone()]);
        let claims = good().to_string();
        for (signer, header) in [
            (&p256, r#"{"alg":"ES256","kid":"b"}"#),
            (&p256, r#"{"alg":"EdDSA","kid":"a"}"#),
            (&p256, r#"{"alg":"ES256","kid":"rsa-2048"}"#),
            (&ed25519, r#"{"alg":"EdDSA","kid":"a"}"#),
            (&ed25519, r#"{"alg":"ES256","kid":"b"}"#),
        ] {
            let found = issuer.check(&signer.token_with(header, &claims));
            assert_eq!(found, refused(Unauthenticated::Algorithm), "{header}");
        }
        // What everybody can read is no secret to sign with.
        for (kid, public) in [("rsa-2048", &rsa["n"]), ("b", &ed25519.jwk()["x"])] {
            let secret = public.as_str().unwrap();
            let header = json!({"alg": "HS256", "kid": kid}).to_string();
            let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
            let head = format!("{}.{}", part(&header), part(&claims));
            for bytes in [secret.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(secret).unwrap()] {
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &bytes), head.as_bytes());
                let token = format!("{head}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
                assert_eq!(issuer.check(&token), refused(Unauthenticated::Algorithm), "{kid}");
            }
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let (p256, ed25519) = (Signer::p256("a"), Signer::ed25519("b"));
        let (rsa, of_rsa) = sample::rs256("good");
        let issuer = Issuer::lenient(&[p256.jwk(), ed25519.jwk(), rsa]);
        for token in [p256.token(&good()), ed25519.token(&good()), of_rsa] {
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
    fn another_key_of_the_same_id_is_another_key() {
        for (ours, theirs) in
            [(Signer::p256("a"), Signer::p256("a")), (Signer::ed25519("a"), Signer::ed25519("a"))]
        {
            let issuer = Issuer::new(&[ours.jwk()]);
            let found = issuer.check(&theirs.token(&good()));
            assert_eq!(found, refused(Unauthenticated::Signature));
        }
        // A key that a token brings along is nobody's.
        let (ours, theirs) = (Signer::p256("a"), Signer::p256("a"));
        let issuer = Issuer::new(&[ours.jwk()]);
        let header = json!({"alg": "ES256", "kid": "a", "jwk": theirs.jwk()}).to_string();
        let found = issuer.check(&theirs.token_with(&header, &good().to_string()));
        assert_eq!(found, refused(Unauthenticated::Signature));
    }

    #[test]
    fn without_keys_nobody_is_told_that_a_token_is_bad() {
        let signer = Signer::ed25519("a");
        let issuer = Issuer::new(&[]);
        let found = issuer.check(&signer.token(&good()));
        let retry_after = Duration::from_secs(5);
        assert_eq!(found, Err(Refused::NoKeys { retry_after }));
    }
}
