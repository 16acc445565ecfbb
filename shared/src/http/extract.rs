//! What a handler's signature asks of a request: each argument reads and checks its own part.

use std::fmt;
use std::future::Future;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::auth::{Caller, Refused, Verifier};
use crate::clock::{Deadline, Timestamp};
use crate::config::ConfigError;
use crate::error::{ApiError, Code};
use crate::http::Request;
use crate::ids::UserId;
use crate::json::{self, Exact};
use crate::world::World;

/// The first argument of a handler: who sent the request. It is settled before anything else of
/// the request is looked at.
pub trait Identity: Sized + Send + 'static {
    /// What it is settled with.
    type Keys: Send + Sync + 'static;

    /// The largest body that is read, in bytes.
    const LARGEST_BODY: usize = 64 * 1024;

    /// Reads the keys, or where they are, once.
    fn keys(world: &World) -> Result<Self::Keys, ConfigError>;

    /// The user who sent it, where it is one.
    fn user(&self) -> Option<&UserId> {
        None
    }

    /// Settles it, or refuses the request.
    fn of(
        request: &Request,
        keys: &Self::Keys,
        now: Timestamp,
    ) -> impl Future<Output = Result<Self, ApiError>> + Send;
}

/// Any further argument of a handler.
pub trait FromRequest: Sized + Send {
    /// Reads it, or refuses the request.
    fn from_request(request: &Request) -> Result<Self, ApiError>;
}

impl Identity for Caller {
    type Keys = Verifier;

    fn user(&self) -> Option<&UserId> {
        Some(&self.user)
    }

    fn keys(world: &World) -> Result<Verifier, ConfigError> {
        Verifier::open(&world.env, &world.clock, &world.http)
    }

    async fn of(request: &Request, verifier: &Verifier, now: Timestamp) -> Result<Self, ApiError> {
        let token = request.header("authorization");
        let caller = verifier.caller(token, now, request.deadline).await;
        caller.map_err(|cause| {
            let error = match cause {
                // One body for every cause: a caller learns nothing about the key or the check.
                Refused::Token(_) => ApiError::plain(Code::Unauthenticated),
                Refused::NoKeys { retry_after } => {
                    ApiError::plain(Code::KeysUnavailable).with_retry_after(Some(retry_after))
                }
            };
            error.with_source(cause)
        })
    }
}

/// The body, a JSON object of exactly the fields that `T` knows.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequest for Json<T> {
    fn from_request(request: &Request) -> Result<Self, ApiError> {
        require_json(request)?;
        // A request without a body asks for nothing in particular.
        let text: &[u8] = if request.body.is_empty() { b"{}" } else { &request.body };
        let object = json::object(text)
            .map_err(|error| ApiError::plain(Code::InvalidJson).with_source(error))?;
        match serde_path_to_error::deserialize(Exact(Value::Object(object))) {
            Ok(body) => Ok(Self(body)),
            Err(error) => {
                // It may repeat the refused value: enough of it to be recognised, and no more.
                let reason: String = error.inner().to_string().chars().take(200).collect();
                Err(ApiError::field(pointer(error.path()), reason))
            }
        }
    }
}

fn require_json(request: &Request) -> Result<(), ApiError> {
    let Some(value) = request.header("content-type") else { return Ok(()) };
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(ApiError::new(Code::UnsupportedMediaType, "send the body as application/json"))
    }
}

/// A path within a body as a JSON Pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        pointer.push('/');
        match segment {
            Segment::Seq { index } => pointer.push_str(&index.to_string()),
            Segment::Map { key } => pointer.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => pointer.push_str(variant),
            Segment::Unknown => pointer.push('?'),
        }
    }
    pointer
}

/// The query, of exactly the parameters that `T` knows, none of them twice.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequest for Query<T> {
    fn from_request(request: &Request) -> Result<Self, ApiError> {
        serde_urlencoded::from_str(&request.query)
            .map(Self)
            .map_err(|error| ApiError::new(Code::InvalidQuery, error.to_string()))
    }
}

/// The one parameter of the route's path.
#[derive(Clone, Debug)]
pub struct Path<T>(pub T);

impl<T> FromRequest for Path<T>
where
    T: TryFrom<String> + Send,
    T::Error: fmt::Display,
{
    fn from_request(request: &Request) -> Result<Self, ApiError> {
        let text = request.parameters.values().next().cloned().unwrap_or_default();
        T::try_from(text)
            .map(Self)
            .map_err(|error| ApiError::new(Code::InvalidId, format!("the id in the path {error}")))
    }
}

impl FromRequest for Deadline {
    fn from_request(request: &Request) -> Result<Self, ApiError> {
        Ok(request.deadline)
    }
}

/// The domain of the API that the request came by, where API Gateway names one. It is not read from
/// a header, which the caller writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainName(pub Option<String>);

impl FromRequest for DomainName {
    fn from_request(request: &Request) -> Result<Self, ApiError> {
        Ok(Self(request.domain.clone().filter(|domain| !domain.is_empty())))
    }
}

/// The `Idempotency-Key` header: 1 to 255 visible ASCII characters, so no space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

impl FromRequest for IdempotencyKey {
    fn from_request(request: &Request) -> Result<Self, ApiError> {
        let Some(key) = request.header("idempotency-key") else { return Ok(Self(None)) };
        if (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(Some(key.to_owned())))
        } else {
            Err(ApiError::new(
                Code::InvalidHeader,
                "Idempotency-Key must have 1 to 255 visible ASCII characters",
            ))
        }
    }
}

/// The `Accept` header, as far as it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept(String);

impl Accept {
    /// Whether this media type is named, and preferred to JSON (RFC 9110, section 12.5.1). A
    /// wildcard asks for nothing in particular.
    #[must_use]
    pub fn prefers(&self, media_type: &str) -> bool {
        let weight = self.weight(media_type);
        weight > 0.0 && weight >= self.weight("application/json")
    }

    /// The weight of a media type that is named; 0 where it is not.
    fn weight(&self, media_type: &str) -> f64 {
        let weight = |range: &str| {
            let mut parts = range.split(';').map(str::trim);
            if !parts.next().is_some_and(|range| range.eq_ignore_ascii_case(media_type)) {
                return 0.0;
            }
            let given =
                parts.find_map(|it| it.strip_prefix("q=").or_else(|| it.strip_prefix("Q=")));
            given.map_or(1.0, |weight| weight.parse().unwrap_or(0.0))
        };
        self.0.split(',').map(weight).fold(0.0, f64::max)
    }
}

impl FromRequest for Accept {
    fn from_request(request: &Request) -> Result<Self, ApiError> {
        Ok(Self(request.header("accept").unwrap_or_default().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_accepted_by_its_name() {
        for (header, named) in [
            ("image/svg+xml", true),
            ("text/html, IMAGE/SVG+XML;q=0.9", true),
            ("application/json, image/svg+xml;q=0.1", false),
            ("application/json;q=0.5, image/svg+xml", true),
            ("image/svg+xml; q=0", false),
            ("image/svg+xml;q=0.0, */*", false),
            ("image/*", false),
            ("*/*", false),
            ("application/json", false),
            ("", false),
        ] {
            assert_eq!(Accept(header.to_owned()).prefers("image/svg+xml"), named, "{header}");
        }
    }
}
