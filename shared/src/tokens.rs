//! Stream tokens. A user token is for one user, expires within a day, and contains only the claims
//! that Stream reads.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde::{Deserialize, Serialize};

use crate::auth::crypto::install_provider;
use crate::clock::Timestamp;
use crate::error::{ApiError, BoxError, Code};
use crate::ids::{CallCid, UserId};

/// `{"alg":"HS256","typ":"JWT"}` in base64url: the header of every Stream token.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// Stream rejects a token whose `iat` is later than its own clock (Stream's code 42). Tokens are
/// backdated by the largest expected difference between two synchronized clocks.
pub(crate) const BACKDATE: Duration = Duration::from_secs(5);

/// The lifetime of a user token: 60 seconds to 24 hours, 24 hours by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLifetime(Duration);

impl TokenLifetime {
    /// The shortest lifetime, in seconds. A shorter one is rejected.
    pub const MIN_SECS: u64 = 60;
    /// The longest lifetime, in seconds. A longer one is reduced to it.
    pub const MAX_SECS: u64 = 24 * 60 * 60;
}

impl Default for TokenLifetime {
    fn default() -> Self {
        Self(Duration::from_secs(Self::MAX_SECS))
    }
}

impl<'de> Deserialize<'de> for TokenLifetime {
    /// Reads a whole number of seconds.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SecondsVisitor;

        impl Visitor<'_> for SecondsVisitor {
            type Value = TokenLifetime;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number of seconds, at least {}", TokenLifetime::MIN_SECS)
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<TokenLifetime, E> {
                if seconds < TokenLifetime::MIN_SECS {
                    return Err(E::invalid_value(Unexpected::Unsigned(seconds), &self));
                }
                Ok(TokenLifetime(Duration::from_secs(seconds.min(TokenLifetime::MAX_SECS))))
            }

            /// A whole number beyond the integers that a float represents exactly.
            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<TokenLifetime, E> {
                if seconds.fract() == 0.0 && seconds > 0.0 {
                    return self.visit_u64(u64::MAX);
                }
                Err(E::invalid_value(Unexpected::Float(seconds), &self))
            }
        }

        deserializer.deserialize_u64(SecondsVisitor)
    }
}

/// All claims of a Stream user token.
#[derive(Serialize)]
struct UserClaims<'a> {
    user_id: &'a str,
    iat: i64,
    exp: i64,
    /// The call to which the token is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    call_cids: Option<[String; 1]>,
}

/// A signed token, and when a client has to replace it.
#[derive(Clone, Debug)]
pub struct UserToken {
    /// The token, for the device of the user.
    pub token: SecretString,
    /// When Stream stops accepting it.
    pub expires_at: Timestamp,
    /// When a client should request the next token: after four fifths of the lifetime.
    pub refresh_after: Timestamp,
}

/// Signs Stream tokens with the app's secret.
pub struct TokenSigner {
    key: EncodingKey,
}

impl TokenSigner {
    /// A signer with the secret of an app.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        install_provider();
        Self { key: EncodingKey::from_secret(secret.expose_secret().as_bytes()) }
    }

    /// Signs a token for a user, limited to `call` if there is one. `iat` is 5 seconds before
    /// `now`, but not before `revoked_at`: Stream would count an earlier token as revoked.
    pub fn sign_user_token(
        &self,
        user: &UserId,
        call: Option<&CallCid>,
        now: Timestamp,
        lifetime: TokenLifetime,
        revoked_at: Option<Timestamp>,
    ) -> Result<UserToken, ApiError> {
        let backdated_iat = now.as_secs() - i64::try_from(BACKDATE.as_secs()).unwrap_or(0);
        let earliest_iat = revoked_at.map_or(0, |at| at.plus(Duration::from_millis(999)).as_secs());
        let expires_at = Timestamp::from_secs(now.as_secs()).plus(lifetime.0);
        let claims = UserClaims {
            user_id: user.as_str(),
            iat: backdated_iat.max(earliest_iat),
            exp: expires_at.as_secs(),
            call_cids: call.map(|call| [call.to_string()]),
        };
        Ok(UserToken {
            token: self.sign(&claims)?,
            expires_at,
            refresh_after: now.plus(lifetime.0 * 4 / 5),
        })
    }

    /// Signs the token that authenticates the server at Stream.
    pub fn sign_server_token(&self) -> Result<SecretString, ApiError> {
        #[derive(Serialize)]
        struct ServerClaims {
            server: bool,
        }
        self.sign(&ServerClaims { server: true })
    }

    fn sign(&self, claims: &impl Serialize) -> Result<SecretString, ApiError> {
        let internal_error =
            |error: BoxError| ApiError::from_code(Code::Internal).with_source(error);
        let claims = serde_json::to_vec(claims).map_err(|error| internal_error(error.into()))?;
        let mut token = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = crypto::sign(token.as_bytes(), &self.key, Algorithm::HS256)
            .map_err(|error| internal_error(error.into()))?;
        token.push('.');
        token.push_str(&signature);
        Ok(SecretString::from(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> TokenSigner {
        TokenSigner::new(&SecretString::from("test-secret-0123456789abcdef0123456789abcdef"))
    }

    fn alice() -> UserId {
        UserId::try_from("alice".to_owned()).unwrap()
    }

    fn claims(token: &SecretString) -> serde_json::Value {
        let part = token.expose_secret().split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn server_token_matches_the_official_stream_sdk() {
        assert_eq!(
            signer().sign_server_token().unwrap().expose_secret(),
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzZXJ2ZXIiOnRydWV9.PsFIm6tMx2P94h2RZNsElGn1Uv9NBXYP9an2S3N0iwM"
        );
    }

    #[test]
    fn user_token_contains_only_user_id_iat_and_exp() {
        let now = Timestamp::from_millis(1_767_225_605_900);
        let lifetime = TokenLifetime(Duration::from_hours(1));
        let issued = signer().sign_user_token(&alice(), None, now, lifetime, None).unwrap();
        assert_eq!(
            claims(&issued.token),
            serde_json::json!({"user_id": "alice", "iat": 1_767_225_600, "exp": 1_767_229_205})
        );
        // The signature of Stream's Node library over the same claims.
        let at = Timestamp::from_secs(1_767_225_605);
        let lifetime = TokenLifetime(Duration::from_secs(3595));
        assert_eq!(
            signer()
                .sign_user_token(&alice(), None, at, lifetime, None)
                .unwrap()
                .token
                .expose_secret()
                .rsplit('.')
                .next(),
            Some("WttwdvmW-p-phUd9xKhGSp1knM_iX1sleiBbf4gDiFc")
        );
    }

    #[test]
    fn call_token_is_limited_to_its_call() {
        let now = Timestamp::from_secs(1_767_225_605);
        let call = CallCid::try_from("default:c1").unwrap();
        let lifetime = TokenLifetime(Duration::from_mins(1));
        let issued = signer().sign_user_token(&alice(), Some(&call), now, lifetime, None).unwrap();
        let expected = serde_json::json!({
            "user_id": "alice",
            "iat": 1_767_225_600,
            "exp": 1_767_225_665,
            "call_cids": ["default:c1"],
        });
        assert_eq!(claims(&issued.token), expected);
    }

    #[test]
    fn token_lifetime_is_bounded() {
        let secs = |input: &str| {
            serde_json::from_str(input).map(|TokenLifetime(lifetime)| lifetime.as_secs()).ok()
        };
        for (input, expected) in [
            ("59", None),
            ("60", Some(60)),
            ("86400", Some(86_400)),
            ("18446744073709551615", Some(86_400)),
            ("-60", None),
            ("60.5", None),
            ("1e30", Some(86_400)),
            ("-1e30", None),
            ("\"60\"", None),
        ] {
            assert_eq!(secs(input), expected, "{input}");
        }
        assert_eq!(TokenLifetime::default(), TokenLifetime(Duration::from_hours(24)));
    }

    #[test]
    fn token_iat_is_never_before_the_revocation_cutoff() {
        let now = Timestamp::from_secs(1_767_225_605);
        let lifetime = TokenLifetime::default();
        let iat = |revoked: i64| {
            let revoked = Some(Timestamp::from_millis(revoked));
            claims(&signer().sign_user_token(&alice(), None, now, lifetime, revoked).unwrap().token)
                ["iat"]
                .clone()
        };
        assert_eq!(iat(1_767_225_000_000), 1_767_225_600);
        assert_eq!(iat(1_767_225_603_000), 1_767_225_603);
        assert_eq!(iat(1_767_225_603_001), 1_767_225_604);
    }
}
