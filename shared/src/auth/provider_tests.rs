//! The recipes of `docs/LOGIN.md`. Each test verifies tokens in the form of a provider, with the
//! settings and the payload of its recipe. All ids are invented, and the keys are those of the
//! tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use ring::hmac;
use serde_json::{Value, json};

use super::claims::ClaimRules;
use super::jwks::IssuerKeys;
use super::jws::UnverifiedToken;
use super::{AuthError, Caller, TokenError, Verifier, jwks_verifier};
use crate::clock::{Clock, Deadline, Timestamp};
use crate::config::Env;
use crate::net;
use crate::test_support::jwks::{FakeJwksServer, TestSigner};
use crate::test_support::{FakeClock, START};

/// The sign-in of the user of every payload, a day before its `iat`.
const SIGNED_IN_AT: Timestamp = Timestamp::from_secs(1_767_139_200);

fn read_document(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
    std::fs::read_to_string(format!("{folder}/{name}")).unwrap()
}

/// The text from a heading to the next heading.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let (_, below) = document.split_once(&format!("\n{heading}\n")).unwrap();
    below.split("\n#").next().unwrap()
}

/// The first code block in this language.
fn code_block<'a>(section: &'a str, language: &str) -> &'a str {
    let (_, code) = section.split_once(&format!("```{language}\n")).unwrap();
    code.split("```").next().unwrap()
}

fn deadline() -> Deadline {
    Deadline::after(START, Duration::from_secs(7))
}

fn invalid_claim(name: &str) -> TokenError {
    TokenError::InvalidClaim(name.to_owned())
}

fn required_claim(name: &str) -> TokenError {
    TokenError::RequiredClaim(name.to_owned())
}

/// A provider, and a function with the settings of its recipe.
struct Provider {
    signer: TestSigner,
    /// The header of its tokens.
    header: Value,
    /// The payload of the recipe.
    payload: Value,
    settings: BTreeMap<String, String>,
    server: FakeJwksServer,
}

impl Provider {
    /// The provider under this heading, which publishes the key of the header.
    fn new(heading: &str, header: Value) -> Self {
        let document = read_document("LOGIN.md");
        let recipe = section(&document, &format!("### {heading}"));
        let setting = |line: &str| {
            let (name, value) = line.split_once('=').unwrap();
            (name.to_owned(), value.to_owned())
        };
        let id = header["kid"].as_str().unwrap();
        let signer = match header["alg"].as_str().unwrap() {
            "ES256" => TestSigner::generate_p256(id),
            _ => TestSigner::rsa(id, "RS256"),
        };
        let provider = Self {
            signer,
            header,
            payload: serde_json::from_str(code_block(recipe, "json")).unwrap(),
            settings: code_block(recipe, "sh").lines().map(setting).collect(),
            server: FakeJwksServer::default(),
        };
        provider.publish(&[provider.signer.jwk()]);
        // The functions start with the settings, and the settings are documented.
        assert!(provider.verifier().is_some(), "{heading}");
        let configuration = read_document("CONFIGURATION.md");
        for name in provider.settings.keys() {
            assert!(configuration.contains(&format!("\n| `{name}` | `")), "{name}");
        }
        provider
    }

    fn publish(&self, jwks: &[Value]) {
        self.server.respond_with(&json!({"keys": jwks}).to_string());
    }

    fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    fn env(&self) -> Env {
        self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    fn verifier(&self) -> Option<Verifier> {
        let clock: Arc<dyn Clock> = Arc::new(FakeClock::default());
        Verifier::from_env(&self.env(), &clock, &net::client().unwrap()).ok()
    }

    /// A token with these changes to the claims of the payload. A claim of `null` is removed.
    fn token(&self, changes: &Value) -> String {
        let mut payload = self.payload.as_object().unwrap().clone();
        for (name, value) in changes.as_object().unwrap() {
            if value.is_null() {
                payload.remove(name);
            } else {
                payload.insert(name.clone(), value.clone());
            }
        }
        self.signer.token_with(&self.header.to_string(), &Value::Object(payload).to_string())
    }

    fn verify(&self, token: &str) -> Result<Caller, AuthError> {
        let keys = IssuerKeys::new(self.server.clone(), Arc::new(FakeClock::default()));
        let rules = ClaimRules::from_env(&self.env()).unwrap();
        let token = UnverifiedToken::parse(token)?;
        let caller = jwks_verifier::authenticate(&token, &keys, &rules, START, deadline());
        caller.now_or_never().unwrap()
    }

    /// The caller of an accepted token with these changes.
    fn caller(&self, changes: &Value) -> Caller {
        self.verify(&self.token(changes)).unwrap()
    }

    /// The user id of an accepted token with these changes.
    fn user_id(&self, changes: &Value) -> String {
        self.caller(changes).user.to_string()
    }

    /// Asserts the reason why the token with these changes is rejected.
    fn assert_rejected(&self, changes: &Value, reason: TokenError) {
        let result = self.verify(&self.token(changes));
        assert_eq!(result, Err(AuthError::InvalidToken(reason)), "{changes}");
    }
}

#[test]
fn firebase_id_token_is_accepted() {
    let kid = "b8cac95b4a5acde0b96572dee8c8c95eee48cccd";
    let header = json!({"alg": "RS256", "kid": kid, "typ": "JWT"});
    let mut firebase = Provider::new("Firebase Authentication", header);
    let caller = firebase.caller(&json!({}));
    assert_eq!(caller.user.as_str(), "mzi2JtP9p1fxavXdVvuk2qMyIWB3");
    assert_eq!(caller.role.as_deref(), Some("streamer"));
    assert_eq!(caller.session_started_at, Some(SIGNED_IN_AT));

    let other = "https://securetoken.google.com/other-project";
    let cookie = "https://session.firebase.google.com/demo-chat-4711";
    let account = "firebase-adminsdk@demo-chat-4711.iam.gserviceaccount.com";
    for (changes, claim) in [
        // All projects have the same keys.
        (json!({"iss": other, "aud": "other-project"}), "iss"),
        (json!({"aud": "other-project"}), "aud"),
        // A session cookie and a custom token.
        (json!({"iss": cookie}), "iss"),
        (json!({"iss": account, "aud": "https://identitytoolkit.googleapis.com/"}), "iss"),
    ] {
        firebase.assert_rejected(&changes, invalid_claim(claim));
    }

    let anonymous = json!({
        "provider_id": "anonymous", "email": null, "email_verified": null, "role": null,
        "firebase": {"identities": {}, "sign_in_provider": "anonymous"},
    });
    assert_eq!(firebase.caller(&anonymous).role, None);
    firebase.set("JWT_REQUIRED_CLAIM", "email_verified=true");
    assert!(firebase.verify(&firebase.token(&json!({}))).is_ok());
    firebase.assert_rejected(&anonymous, required_claim("email_verified"));
    firebase.assert_rejected(&json!({"email_verified": false}), required_claim("email_verified"));
}

fn supabase() -> Provider {
    let kid = "3a18cfe2-7226-43b0-bbb4-7c5242f2406e";
    Provider::new("Supabase", json!({"alg": "ES256", "kid": kid, "typ": "JWT"}))
}

#[test]
fn supabase_access_token_is_accepted() {
    let supabase = supabase();
    let caller = supabase.caller(&json!({}));
    assert_eq!(caller.user.as_str(), "8ccaa7af-909f-44e7-84cb-67cdccb56be6");
    assert!(!caller.is_service);
    // There is no claim with the sign-in.
    assert_eq!(caller.session_started_at, Some(START));

    let client = "9a8b7c6d-5e4f-4a2b-8c0d-9e8f7a6b5c4d";
    let other = "https://zyxwvutsrqponmlkjihg.supabase.co/auth/v1";
    supabase.assert_rejected(&json!({"is_anonymous": true}), required_claim("is_anonymous"));
    supabase.assert_rejected(&json!({"iss": other}), invalid_claim("iss"));
    // The ID token of an OAuth client.
    supabase.assert_rejected(&json!({"aud": client, "client_id": client}), invalid_claim("aud"));
}

#[test]
fn supabase_token_of_the_legacy_secret_is_accepted() {
    const SECRET: &str = "a-legacy-secret-of-supabase-0123456789";
    let mut supabase = supabase();
    supabase.settings.remove("JWT_JWKS_URL");
    supabase.set("JWT_SECRET", SECRET);
    let verifier = supabase.verifier().unwrap();
    let verify = |header: &Value, payload: &Value| {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signing_input = format!("{}.{}", part(header), part(payload));
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let tag = URL_SAFE_NO_PAD.encode(hmac::sign(&key, signing_input.as_bytes()));
        let authorization = format!("Bearer {signing_input}.{tag}");
        let caller = verifier.authenticate(Some(&authorization), START, deadline());
        caller.now_or_never().unwrap()
    };
    let header = json!({"alg": "HS256", "kid": "Zm9vYmFyYmF6cXV4", "typ": "JWT"});
    let caller = verify(&header, &supabase.payload).unwrap();
    assert_eq!(caller.user.as_str(), "8ccaa7af-909f-44e7-84cb-67cdccb56be6");

    // An API key is signed with the same secret.
    let header = json!({"alg": "HS256", "typ": "JWT"});
    let mut service_role = json!({
        "iss": "supabase", "ref": "abcdefghijklmnopqrst", "role": "service_role",
        "iat": 1_757_225_600, "exp": 1_867_225_600,
    });
    let error = verify(&header, &service_role).unwrap_err();
    assert_eq!(error, AuthError::InvalidToken(invalid_claim("iss")));
    service_role["iss"] = supabase.payload["iss"].clone();
    let error = verify(&header, &service_role).unwrap_err();
    assert_eq!(error, AuthError::InvalidToken(invalid_claim("aud")));
}

#[test]
fn clerk_session_token_is_accepted() {
    let header = json!({
        "alg": "RS256", "cat": "cl_B7d4PD111AAA", "kid": "ins_3DGC6RbgQaOglagDsLk6LCFM35J",
        "typ": "JWT",
    });
    let mut clerk = Provider::new("Clerk", header);
    let caller = clerk.caller(&json!({}));
    assert_eq!(caller.user.as_str(), "user_3DGDPJWoHeW2vdGyTqRFP1g7ysm");
    assert_eq!(caller.role.as_deref(), Some("streamer"));
    let origin = json!({"azp": "https://app.example.com"});
    let organization = json!({"o": {"id": "org_2bRfT8XJw0Kc7dQ5", "rol": "admin"}});
    for changes in [&origin, &organization] {
        assert_eq!(clerk.user_id(changes), "user_3DGDPJWoHeW2vdGyTqRFP1g7ysm");
    }

    clerk.assert_rejected(&json!({"iss": "https://clerk.example.org"}), invalid_claim("iss"));
    clerk.assert_rejected(&json!({"sts": "pending"}), required_claim("sts"));
    // A token of a JWT template, and one of a machine.
    let template = json!({"aud": "https://api.example.com", "sts": null, "v": null});
    clerk.assert_rejected(&template, invalid_claim("aud"));
    clerk.assert_rejected(&json!({"sts": null, "v": null}), required_claim("sts"));
    let machine = json!({"sub": "mch_2xKjVqWmZ8nB4cD6fG1hJ3kL5pQ", "sts": null});
    clerk.assert_rejected(&machine, required_claim("sts"));

    clerk.set("JWT_AUDIENCE", "https://app.example.com,https://admin.example.com");
    clerk.set("JWT_AUDIENCE_CLAIM", "azp");
    assert_eq!(clerk.user_id(&origin), "user_3DGDPJWoHeW2vdGyTqRFP1g7ysm");
    clerk.assert_rejected(&json!({}), invalid_claim("azp"));
    clerk.assert_rejected(&json!({"azp": "https://example.org"}), invalid_claim("azp"));
}

#[test]
fn auth0_access_token_is_accepted() {
    let kid = "NkJCQzIyQzRBMEU4NjhGNUU4MzU4RkY0M0ZDQzkwOUQ0Q0VGNUMwQg";
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": kid});
    let mut auth0 = Provider::new("Auth0", header);
    let caller = auth0.caller(&json!({}));
    assert_eq!(caller.user.as_str(), "auth0@7c6553da60a54af58e29493993");
    assert_eq!(caller.role.as_deref(), Some("streamer"));
    assert_eq!(caller.session_started_at, Some(SIGNED_IN_AT));
    for (id, user) in [
        ("google-oauth2|104821935710648239157", "google-oauth2@7c104821935710648239157"),
        ("sms|6553da60a54af58e29493993", "sms@7c6553da60a54af58e29493993"),
        // A token of a machine. LOGIN.md warns of it.
        ("awZfdIir8YFdGZWkvCejDoUb7SjTDicx@clients", "awZfdIir8YFdGZWkvCejDoUb7SjTDicx@40clients"),
    ] {
        assert_eq!(auth0.user_id(&json!({"sub": id})), user);
    }

    let client = "K1AUPhZq8mRi0Q0pjhkfu1D7y6KjDQja";
    let userinfo = "https://demo.eu.auth0.com/userinfo";
    for (changes, claim) in [
        // An ID token.
        (json!({"aud": client, "nonce": "n-0S6_WzA2Mj"}), "aud"),
        (json!({"aud": ["https://orders.example.com", userinfo]}), "aud"),
        (json!({"aud": null}), "aud"),
        // The issuer ends with a slash.
        (json!({"iss": "https://demo.eu.auth0.com"}), "iss"),
        (json!({"iss": "https://other.eu.auth0.com/"}), "iss"),
    ] {
        auth0.assert_rejected(&changes, invalid_claim(claim));
    }
    let long = format!("samlp|acme|{}@example.com", "a".repeat(40));
    auth0.assert_rejected(&json!({"sub": long}), TokenError::InvalidUserId);
    let opaque = auth0.verify("wJ5qXo2bYk3mZr8nTq1sVd4hGf6pLc7a");
    assert_eq!(opaque, Err(AuthError::InvalidToken(TokenError::Malformed)));

    // The profile RFC 9068.
    auth0.header["typ"] = json!("at+jwt");
    let rfc9068 = json!({"azp": null, "client_id": client, "jti": "73WakrfVbNJBaAmhQtEeDv"});
    assert_eq!(auth0.user_id(&rfc9068), "auth0@7c6553da60a54af58e29493993");
}

#[test]
fn cognito_access_token_is_accepted() {
    let kid = "KTZuYnVq8dM0Q1mJ6sXb9s1f3tY4v5w6x7y8z9a0b1c=";
    let mut cognito = Provider::new("Amazon Cognito", json!({"kid": kid, "alg": "RS256"}));
    let caller = cognito.caller(&json!({}));
    assert_eq!(caller.user.as_str(), "c27a05a2-4ce1-4173-be51-9bbc3fe65a0a");
    assert_eq!((caller.role, caller.session_started_at), (None, Some(SIGNED_IN_AT)));

    let (app, other) = ("57cbishk4j24pabc1234567890", "6aiq3a2n4o9p8q7r6s5t4u3v2w");
    let pool = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Zz9yYxXwW";
    let id_token = json!({"token_use": "id", "client_id": null, "aud": app, "scope": null});
    for (changes, reason) in [
        (id_token.clone(), invalid_claim("client_id")),
        (json!({"token_use": "id"}), required_claim("token_use")),
        (json!({"client_id": other}), invalid_claim("client_id")),
        // A token for another service.
        (json!({"aud": "https://orders.example.com"}), invalid_claim("aud")),
        // A machine, whose `sub` is its client id.
        (json!({"client_id": other, "sub": other, "username": null}), invalid_claim("client_id")),
        (json!({"iss": pool}), invalid_claim("iss")),
    ] {
        cognito.assert_rejected(&changes, reason);
    }

    // The settings for ID tokens.
    cognito.settings.remove("JWT_AUDIENCE_CLAIM");
    cognito.set("JWT_REQUIRED_CLAIM", "token_use=id");
    assert_eq!(cognito.user_id(&id_token), "c27a05a2-4ce1-4173-be51-9bbc3fe65a0a");
    cognito.assert_rejected(&json!({}), invalid_claim("aud"));
}

#[test]
fn entra_access_token_is_accepted() {
    let kid = "jS1Xo1OWDj_52vbwGNgvQO2VzMc";
    let header = json!({"typ": "JWT", "alg": "RS256", "kid": kid});
    let entra = Provider::new("Microsoft Entra ID", header);
    // Its keys have no `alg`.
    let mut jwk = entra.signer.jwk();
    jwk.as_object_mut().unwrap().remove("alg");
    entra.publish(&[jwk]);
    let caller = entra.caller(&json!({}));
    assert_eq!(caller.user.as_str(), "690222be-ff1a-4d56-abd1-7e4f7d38e474");
    assert_eq!((caller.role, caller.session_started_at), (None, Some(SIGNED_IN_AT)));

    let v1 = "https://sts.windows.net/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/";
    let tenant = "https://login.microsoftonline.com/11112222-bbbb-3333-cccc-4444dddd5555/v2.0";
    let application = json!({
        "idtyp": "app", "oid": "33334444-dddd-5555-eeee-6666ffff7777", "roles": ["Calls.Act"],
        "scp": null, "auth_time": null,
    });
    for (changes, reason) in [
        (
            json!({"iss": v1, "aud": "api://6e74172b-be56-4843-9ff4-e66a39bb12e3"}),
            invalid_claim("iss"),
        ),
        (json!({"iss": tenant}), invalid_claim("iss")),
        // Microsoft Graph.
        (json!({"aud": "00000003-0000-0000-c000-000000000000"}), invalid_claim("aud")),
        (application, required_claim("idtyp")),
        // The ID token of an app that shares its registration with the API.
        (json!({"idtyp": null, "scp": null, "nonce": "n-0S6_WzA2Mj"}), required_claim("idtyp")),
        (json!({"oid": null}), TokenError::InvalidUserId),
    ] {
        entra.assert_rejected(&changes, reason);
    }
    let groups = |count: u32| {
        let ids = (0..count).map(|n| format!("{n:08x}-0000-4000-8000-000000000000"));
        json!({"groups": ids.collect::<Vec<_>>()})
    };
    assert!(entra.verify(&entra.token(&groups(120))).is_ok());
    entra.assert_rejected(&groups(200), TokenError::TooLong);
}

#[test]
fn keycloak_access_token_is_accepted() {
    let kid = "JFtdxiakSF-jpbvUq61cPnoK4Yhfj-eigNGeRaRCGsA";
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": kid});
    let mut keycloak = Provider::new("Keycloak", header);
    // The set of a realm also has a key for encryption.
    let mut encryption = TestSigner::rsa("encryption", "RS256").jwk();
    encryption["alg"] = json!("RSA-OAEP");
    encryption["use"] = json!("enc");
    keycloak.publish(&[encryption, keycloak.signer.jwk()]);
    let caller = keycloak.caller(&json!({}));
    assert_eq!(caller.user.as_str(), "dca26e7c-5c6a-4f74-ab29-09ab93b0d208");
    assert_eq!(caller.role.as_deref(), Some("streamer"));
    assert_eq!(caller.session_started_at, Some(SIGNED_IN_AT));

    for (changes, reason) in [
        // Without an audience mapper.
        (json!({"aud": "account"}), invalid_claim("aud")),
        (json!({"aud": null}), invalid_claim("aud")),
        (json!({"typ": "ID", "aud": "mobile-app"}), invalid_claim("aud")),
        (json!({"typ": "ID"}), required_claim("typ")),
        (json!({"typ": "Refresh"}), required_claim("typ")),
        (json!({"iss": "https://login.example.com/realms/other"}), invalid_claim("iss")),
    ] {
        keycloak.assert_rejected(&changes, reason);
    }

    // A user of a storage provider without import.
    let federated = json!({"sub": "f:4a1b2c3d-0000-4000-8000-1234567890ab:alice"});
    keycloak.assert_rejected(&federated, TokenError::InvalidUserId);
    keycloak.set("JWT_USER_ID_ENCODING", "escape");
    let user = keycloak.user_id(&federated);
    assert_eq!(user, "f@3a4a1b2c3d-0000-4000-8000-1234567890ab@3aalice");

    keycloak.header["typ"] = json!("at+jwt");
    assert_eq!(keycloak.user_id(&json!({})), "dca26e7c-5c6a-4f74-ab29-09ab93b0d208");
    // A refresh token is signed with a secret of the realm.
    keycloak.header = json!({"alg": "HS512", "typ": "JWT", "kid": "7a1f0c52-9d6e-4d3b"});
    keycloak.assert_rejected(&json!({"typ": "Refresh"}), TokenError::AlgorithmMismatch);
}

#[test]
fn documented_user_ids_have_the_documented_encoding() {
    let document = read_document("LOGIN.md");
    let lines = section(&document, "### User ids").lines();
    let rows: Vec<_> = lines.filter(|line| line.starts_with("| `")).collect();
    assert!(rows.len() >= 4, "{}", rows.len());
    for row in rows {
        let cells: Vec<_> = row.trim_matches(['|', ' ']).split(" | ").collect();
        let [id, plain, escaped] = cells[..] else { panic!("{row}") };
        let id = id.trim_matches('`').replace(r"\|", "|");
        let claims = json!({"sub": id, "exp": START.as_secs() + 60});
        for (encoding, expected) in [("none", plain), ("escape", escaped)] {
            let env = Env::from([("JWT_USER_ID_ENCODING", encoding)]);
            let rules = ClaimRules::from_env(&env).unwrap();
            let caller = rules.validate(claims.as_object().unwrap(), START);
            let user = caller.map_or("401".to_owned(), |caller| caller.user.to_string());
            let expected = match expected.split(',').next().unwrap_or_default() {
                "unchanged" => id.as_str(),
                text => text.trim_matches('`'),
            };
            assert_eq!(user, expected, "{row}");
        }
    }
}

#[test]
fn every_cause_of_a_rejection_is_documented() {
    let document = read_document("LOGIN.md");
    let causes = section(&document, "## Test");
    for error in [
        TokenError::Missing,
        TokenError::TooLong,
        TokenError::Malformed,
        TokenError::AlgorithmMismatch,
        TokenError::UnsupportedHeader,
        TokenError::MissingKeyId,
        TokenError::UnknownKey,
        TokenError::InvalidSignature,
        TokenError::Expired,
        invalid_claim("iss"),
        invalid_claim("aud"),
        required_claim("\u{2026}"),
        TokenError::InvalidUserId,
    ] {
        assert!(causes.contains(&format!("\n| `{error}` | ")), "{error}");
    }
}
