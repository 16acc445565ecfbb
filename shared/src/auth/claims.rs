//! Validation of a token's claims, as RFC 7519 and RFC 8725 require.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Map, Number, Value};

use crate::auth::user_id_encoding::UserIdEncoding;
use crate::auth::{Caller, TokenError};
use crate::clock::Timestamp;
use crate::config::{ConfigError, Env};
use crate::ids::UserId;
use crate::stream_names;

/// The tolerated difference between the clocks of issuer and verifier.
const LEEWAY: Duration = Duration::from_mins(1);

/// The requirements for a token's claims, and the names of the claims with the user and the role.
#[derive(Clone, Debug)]
pub(super) struct ClaimRules {
    /// The accepted issuers. If there are none, `iss` is not checked.
    issuers: Vec<String>,
    audiences: Vec<String>,
    /// The claim that must contain an accepted audience, if there are any.
    audience_claim: String,
    required_claims: Vec<RequiredClaim>,
    user_claim: String,
    user_id_encoding: UserIdEncoding,
    role_claim: String,
    service_role: String,
    /// The claim with the start of the session.
    auth_time_claim: String,
    /// The service user at Stream, as whom no caller can sign in.
    reserved_user: UserId,
}

/// A claim that every token must have, and its value.
#[derive(Clone, Debug)]
struct RequiredClaim {
    name: String,
    /// A string, or the JSON text of a number or a boolean.
    value: String,
}

impl RequiredClaim {
    /// Reads `JWT_REQUIRED_CLAIM`, a list such as `token_use=access,is_anonymous=false`.
    fn list_from_env(env: &Env) -> Result<Vec<Self>, ConfigError> {
        const NAME: &str = "JWT_REQUIRED_CLAIM";
        let parse = |entry: String| {
            let (name, value) = entry.split_once('=')?;
            let (name, value) = (name.trim(), value.trim());
            let is_valid = !name.is_empty() && !value.is_empty();
            is_valid.then(|| Self { name: name.to_owned(), value: value.to_owned() })
        };
        let entries = env.list(NAME)?.into_iter().map(parse).collect::<Option<Vec<_>>>();
        entries.ok_or_else(|| ConfigError::invalid(NAME, "must be a list of claim=value"))
    }

    /// Whether the claim is the value, or an array that contains it.
    fn is_in(&self, claims: &Map<String, Value>) -> bool {
        match claims.get(&self.name) {
            Some(Value::Array(items)) => items.iter().any(|item| self.is_value(item)),
            Some(claim) => self.is_value(claim),
            None => false,
        }
    }

    fn is_value(&self, claim: &Value) -> bool {
        let text = match claim {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            Value::Number(_) | Value::Bool(_) => Cow::Owned(claim.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => return false,
        };
        text == self.value
    }
}

impl ClaimRules {
    pub(super) fn from_env(env: &Env) -> Result<Self, ConfigError> {
        const AUDIENCE_CLAIM: &str = "JWT_AUDIENCE_CLAIM";
        let rules = Self {
            issuers: env.list("JWT_ISSUER")?,
            audiences: env.list("JWT_AUDIENCE")?,
            audience_claim: env.get_or(AUDIENCE_CLAIM, "aud").to_owned(),
            required_claims: RequiredClaim::list_from_env(env)?,
            user_claim: env.get_or("JWT_USER_ID_CLAIM", "sub").to_owned(),
            user_id_encoding: UserIdEncoding::from_env(env)?,
            role_claim: env.get_or("JWT_ROLE_CLAIM", "role").to_owned(),
            service_role: env.get_or("JWT_SERVICE_ROLE", "service").to_owned(),
            auth_time_claim: env.get_or("JWT_AUTH_TIME_CLAIM", "iat").to_owned(),
            reserved_user: stream_names::service_user(env)?,
        };
        if rules.user_claim == rules.role_claim {
            // Otherwise a user whose id is the service role would be a service.
            let reason = "must differ from JWT_USER_ID_CLAIM";
            return Err(ConfigError::invalid("JWT_ROLE_CLAIM", reason));
        }
        if rules.audiences.is_empty() && env.get(AUDIENCE_CLAIM).is_some() {
            return Err(ConfigError::invalid(AUDIENCE_CLAIM, "requires JWT_AUDIENCE"));
        }
        Ok(rules)
    }

    pub(super) fn validate(
        &self,
        claims: &Map<String, Value>,
        now: Timestamp,
    ) -> Result<Caller, TokenError> {
        let expires_at = numeric_date(claims, "exp")?.ok_or_else(|| invalid_claim("exp"))?;
        if expires_at.plus(LEEWAY) <= now {
            return Err(TokenError::Expired);
        }
        past_date(claims, "nbf", now)?;
        past_date(claims, "iat", now)?;
        let session_started_at = past_date(claims, &self.auth_time_claim, now)?;
        self.check_issuer(claims)?;
        self.check_audience(claims)?;
        if let Some(missing) = self.required_claims.iter().find(|it| !it.is_in(claims)) {
            return Err(TokenError::RequiredClaim(missing.name.clone()));
        }
        let user = self.user_id(claims).filter(|user| *user != self.reserved_user);
        let user = user.ok_or(TokenError::InvalidUserId)?;
        let role = string_claim(claims, &self.role_claim);
        Ok(Caller {
            user,
            role: role.map(str::to_owned),
            is_service: role == Some(&self.service_role),
            session_started_at,
        })
    }

    fn user_id(&self, claims: &Map<String, Value>) -> Option<UserId> {
        let text = match claims.get(&self.user_claim)? {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            Value::Number(number) => Cow::Owned(integer_text(number)?),
            _ => return None,
        };
        UserId::try_from(self.user_id_encoding.encode(&text).into_owned()).ok()
    }

    fn check_issuer(&self, claims: &Map<String, Value>) -> Result<(), TokenError> {
        let issuer = string_claim(claims, "iss");
        let is_accepted = self.issuers.is_empty()
            || self.issuers.iter().any(|accepted| Some(accepted.as_str()) == issuer);
        if is_accepted { Ok(()) } else { Err(invalid_claim("iss")) }
    }

    /// The configured claim must contain an accepted audience, and so must `aud` if the token has
    /// it. Without accepted audiences, a token with `aud` is rejected (RFC 7519, section 4.1.3).
    fn check_audience(&self, claims: &Map<String, Value>) -> Result<(), TokenError> {
        let has_audiences = !self.audiences.is_empty();
        for (name, is_required) in [(self.audience_claim.as_str(), has_audiences), ("aud", false)] {
            let is_accepted = match claims.get(name) {
                Some(audience) => contains_any(audience, &self.audiences),
                None => !is_required,
            };
            if !is_accepted {
                return Err(invalid_claim(name));
            }
        }
        Ok(())
    }
}

fn invalid_claim(name: &str) -> TokenError {
    TokenError::InvalidClaim(name.to_owned())
}

/// Whether a claim is one of the accepted strings, or an array of strings with one of them.
fn contains_any(claim: &Value, accepted: &[String]) -> bool {
    let is_accepted = |text: &str| accepted.iter().any(|it| it == text);
    match claim {
        Value::String(text) => is_accepted(text),
        Value::Array(items) => {
            items.iter().all(Value::is_string)
                && items.iter().filter_map(Value::as_str).any(is_accepted)
        }
        _ => false,
    }
}

fn string_claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name).and_then(Value::as_str)
}

/// The decimal text of an integer from 0 to 2^53 - 1, the range in which every JSON parser reads an
/// integer exactly (RFC 8259, section 6).
fn integer_text(number: &Number) -> Option<String> {
    const MAX: u64 = (1 << 53) - 1;
    /// 2^52. Below, `serde_json` reads an integer such as `7.0` or `7e2` exactly, or as a number
    /// with a fraction. Above, it may read the next integer, which is another user.
    const FLOAT_LIMIT: f64 = 4_503_599_627_370_496.0;
    if let Some(integer) = number.as_u64() {
        return (integer <= MAX).then(|| integer.to_string());
    }
    let value = number.as_f64()?;
    let is_integer = value.is_sign_positive() && value < FLOAT_LIMIT && value.fract() == 0.0;
    is_integer.then(|| format!("{value:.0}"))
}

/// A `NumericDate` that is not in the future.
fn past_date(
    claims: &Map<String, Value>,
    name: &str,
    now: Timestamp,
) -> Result<Option<Timestamp>, TokenError> {
    let date = numeric_date(claims, name)?;
    if date.is_some_and(|date| date > now.plus(LEEWAY)) {
        Err(invalid_claim(name))
    } else {
        Ok(date)
    }
}

/// A `NumericDate` (RFC 7519, section 2): seconds since the Unix epoch, with an optional fraction.
fn numeric_date(claims: &Map<String, Value>, name: &str) -> Result<Option<Timestamp>, TokenError> {
    /// The end of the year 9999. A later date counts as invalid.
    const MAX_SECONDS: f64 = 253_402_300_799.0;
    let Some(value) = claims.get(name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=MAX_SECONDS).contains(seconds));
    let seconds = seconds.ok_or_else(|| invalid_claim(name))?;
    #[expect(clippy::cast_possible_truncation, reason = "MAX_SECONDS bounds the value")]
    let millis = (seconds * 1000.0) as i64;
    Ok(Some(Timestamp::from_millis(millis)))
}
