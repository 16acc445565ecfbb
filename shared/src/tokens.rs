//! Stream user tokens: short-lived, for one user, with nothing in them but what Stream reads.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde::{Deserialize, Serialize};

use crate::auth::crypto::install;
use crate::clock::Timestamp;
use crate::error::{ApiError, Code, Source};
use crate::ids::{CallId, UserId};
use crate::secret::Secret;

/// `{"alg":"HS256","typ":"JWT"}` in base64url: the header of every Stream token.
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// Stream refuses a token whose `iat` is ahead of its own clock by any amount (its code 42), so
/// tokens are dated back by as much as two well-kept clocks may differ.
pub(crate) const BACKDATE: Duration = Duration::from_secs(5);

/// How long a token lives: at least a minute and at most a day, which is also what is given where
/// nothing is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLife(Duration);

impl TokenLife {
    /// The shortest life that can be asked for, in seconds.
    pub const LEAST_SECS: u64 = 60;
    /// The longest life, in seconds; who asks for more gets this.
    pub const MOST_SECS: u64 = 24 * 60 * 60;
}

impl Default for TokenLife {
    fn default() -> Self {
        Self(Duration::from_secs(Self::MOST_SECS))
    }
}

impl<'de> Deserialize<'de> for TokenLife {
    /// From a whole number of seconds.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seconds;

        impl Visitor<'_> for Seconds {
            type Value = TokenLife;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number of seconds, at least {}", TokenLife::LEAST_SECS)
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<TokenLife, E> {
                if seconds < TokenLife::LEAST_SECS {
                    return Err(E::invalid_value(Unexpected::Unsigned(seconds), &self));
                }
                Ok(TokenLife(Duration::from_secs(seconds.min(TokenLife::MOST_SECS))))
            }
        }

        deserializer.deserialize_u64(Seconds)
    }
}

/// The claims of a Stream user token, all of them.
#[derive(Serialize)]
struct Claims<'a> {
    user_id: &'a str,
    iat: i64,
    exp: i64,
    /// The calls that the token is limited to.
    #[serde(skip_serializing_if = "Option::is_none")]
    call_cids: Option<[String; 1]>,
}

/// A signed token and the times that a client plans by.
#[derive(Clone, Debug)]
pub struct UserToken {
    /// The token, for the user's own device.
    pub token: Secret,
    /// When Stream stops accepting it.
    pub expires_at: Timestamp,
    /// When a client should ask for the next one: after four fifths of its life.
    pub refresh_after: Timestamp,
}

/// Signs Stream tokens with the app's secret.
pub struct TokenSigner {
    key: EncodingKey,
}

impl TokenSigner {
    /// A signer for the app that this secret belongs to.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        install();
        Self { key: EncodingKey::from_secret(secret.expose().as_bytes()) }
    }

    /// A token for a user, and for one call alone where one is named, good from just before `now`.
    /// One that was revoked up to `revoked_at`
    /// gets a token dated no earlier than that, or Stream would count it among the revoked.
    pub fn user_token(
        &self,
        user: &UserId,
        call: Option<&CallId>,
        now: Timestamp,
        life: TokenLife,
        revoked_at: Option<Timestamp>,
    ) -> Result<UserToken, ApiError> {
        let backdated = now.as_secs() - i64::try_from(BACKDATE.as_secs()).unwrap_or(0);
        let revoked = revoked_at.map_or(0, |at| at.plus(Duration::from_millis(999)).as_secs());
        let expires_at = Timestamp::from_secs(now.as_secs()).plus(life.0);
        let claims = Claims {
            user_id: user.as_str(),
            iat: backdated.max(revoked),
            exp: expires_at.as_secs(),
            call_cids: call.map(|call| [call.cid()]),
        };
        Ok(UserToken {
            token: self.sign(&claims)?,
            expires_at,
            refresh_after: now.plus(life.0 * 4 / 5),
        })
    }

    /// The token by which a server proves itself to Stream.
    pub fn server_token(&self) -> Result<Secret, ApiError> {
        #[derive(Serialize)]
        struct Server {
            server: bool,
        }
        self.sign(&Server { server: true })
    }

    fn sign(&self, claims: &impl Serialize) -> Result<Secret, ApiError> {
        let failed = |error: Source| ApiError::plain(Code::Internal).with_source(error);
        let claims = serde_json::to_vec(claims).map_err(|error| failed(error.into()))?;
        let mut token = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = crypto::sign(token.as_bytes(), &self.key, Algorithm::HS256)
            .map_err(|error| failed(error.into()))?;
        token.push('.');
        token.push_str(&signature);
        Ok(Secret::new(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> TokenSigner {
        TokenSigner::new(&Secret::new("test-secret-0123456789abcdef0123456789abcdef"))
    }

    fn alice() -> UserId {
        UserId::try_from("alice".to_owned()).unwrap()
    }

    fn claims(token: &Secret) -> serde_json::Value {
        let part = token.expose().split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn the_server_token_is_the_one_that_streams_libraries_make() {
        assert_eq!(
            signer().server_token().unwrap().expose(),
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzZXJ2ZXIiOnRydWV9.PsFIm6tMx2P94h2RZNsElGn1Uv9NBXYP9an2S3N0iwM"
        );
    }

    #[test]
    fn a_user_token_holds_user_iat_and_exp_and_nothing_else() {
        let now = Timestamp::from_millis(1_767_225_605_900);
        let life = TokenLife(Duration::from_hours(1));
        let made = signer().user_token(&alice(), None, now, life, None).unwrap();
        assert_eq!(
            claims(&made.token),
            serde_json::json!({"user_id": "alice", "iat": 1_767_225_600, "exp": 1_767_229_205})
        );
        // The published form of the same claims, as Stream's Node library signs them.
        let at = Timestamp::from_secs(1_767_225_605);
        let life = TokenLife(Duration::from_secs(3595));
        assert_eq!(
            signer()
                .user_token(&alice(), None, at, life, None)
                .unwrap()
                .token
                .expose()
                .rsplit('.')
                .next(),
            Some("WttwdvmW-p-phUd9xKhGSp1knM_iX1sleiBbf4gDiFc")
        );
    }

    #[test]
    fn a_call_token_names_its_call() {
        let now = Timestamp::from_secs(1_767_225_605);
        let call = CallId::try_from("c1".to_owned()).unwrap();
        let life = TokenLife(Duration::from_mins(1));
        let made = signer().user_token(&alice(), Some(&call), now, life, None).unwrap();
        let expected = serde_json::json!({
            "user_id": "alice",
            "iat": 1_767_225_600,
            "exp": 1_767_225_665,
            "call_cids": ["default:c1"],
        });
        assert_eq!(claims(&made.token), expected);
    }

    #[test]
    fn lives_are_bounded() {
        let secs = |ask: &str| serde_json::from_str(ask).map(|TokenLife(life)| life.as_secs()).ok();
        for (ask, life) in [
            ("59", None),
            ("60", Some(60)),
            ("86400", Some(86_400)),
            ("18446744073709551615", Some(86_400)),
            ("-60", None),
            ("60.5", None),
            ("\"60\"", None),
        ] {
            assert_eq!(secs(ask), life, "{ask}");
        }
        assert_eq!(TokenLife::default(), TokenLife(Duration::from_hours(24)));
    }

    #[test]
    fn a_token_is_never_dated_before_a_revocation() {
        let now = Timestamp::from_secs(1_767_225_605);
        let life = TokenLife::default();
        let iat = |revoked: i64| {
            let revoked = Some(Timestamp::from_millis(revoked));
            claims(&signer().user_token(&alice(), None, now, life, revoked).unwrap().token)["iat"]
                .clone()
        };
        assert_eq!(iat(1_767_225_000_000), 1_767_225_600);
        assert_eq!(iat(1_767_225_603_000), 1_767_225_603);
        assert_eq!(iat(1_767_225_603_001), 1_767_225_604);
    }
}
