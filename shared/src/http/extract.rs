//! Extractors: each argument of a handler reads and checks its own part of the request.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;

use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::auth::{AuthError, Caller, Verifier};
use crate::clock::{Deadline, Timestamp};
use crate::config::ConfigError;
use crate::context::AppContext;
use crate::error::{ApiError, Code, FieldError, truncate};
use crate::http::header_text;
use crate::http::request::RawQuery;
use crate::ids::{CallId, ChannelId, UserId};
use crate::json::{self, StrictDeserializer};

/// The first argument of a handler: the authenticated principal. Authentication comes before every
/// other check of the request.
pub trait Authenticate: Sized + Send + 'static {
    /// The credentials that authentication needs.
    type Credentials: Send + Sync + 'static;

    /// The maximum size of the body, in bytes.
    const MAX_BODY_BYTES: usize = 64 * 1024;

    /// Loads the credentials when the function builds its state.
    fn load_credentials(context: &AppContext) -> Result<Self::Credentials, ConfigError>;

    /// The user, if the principal is one.
    fn user(&self) -> Option<&UserId> {
        None
    }

    /// Authenticates the request.
    fn authenticate(
        request: &Request,
        credentials: &Self::Credentials,
        now: Timestamp,
    ) -> impl Future<Output = Result<Self, ApiError>> + Send;
}

/// The principal of a route that is open to every caller.
#[derive(Clone, Copy, Debug)]
pub struct Public;

impl Authenticate for Public {
    type Credentials = ();

    fn load_credentials(_: &AppContext) -> Result<(), ConfigError> {
        Ok(())
    }

    async fn authenticate(_: &Request, (): &(), _: Timestamp) -> Result<Self, ApiError> {
        Ok(Self)
    }
}

/// A further argument of a handler.
pub trait FromRequest: Sized + Send {
    /// Extracts the argument.
    fn from_request(request: &Request) -> Result<Self, ApiError>;
}

impl Authenticate for Caller {
    type Credentials = Verifier;

    fn user(&self) -> Option<&UserId> {
        Some(&self.user)
    }

    fn load_credentials(context: &AppContext) -> Result<Verifier, ConfigError> {
        Verifier::from_env(&context.env, &context.clock, &context.http)
    }

    async fn authenticate(
        request: &Request,
        verifier: &Verifier,
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        let token = header_text(request.headers(), "authorization");
        let caller = verifier.authenticate(token, now, Deadline::from_request(request)?).await;
        caller.map_err(|cause| {
            let error = match cause {
                // The same body for every cause, so that it reveals nothing about the key or the
                // check.
                AuthError::InvalidToken(_) => ApiError::from_code(Code::Unauthenticated),
                AuthError::KeysUnavailable { retry_after } => {
                    ApiError::from_code(Code::KeysUnavailable).with_retry_after(Some(retry_after))
                }
            };
            error.with_source(cause)
        })
    }
}

/// The body, a JSON object without fields that `T` does not have.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequest for Json<T> {
    fn from_request(request: &Request) -> Result<Self, ApiError> {
        let body: &[u8] = request.body();
        // An empty body counts as an empty object, whatever its type: HTTP clients set one for an
        // empty form.
        let text = if body.is_empty() {
            Cow::Borrowed(&b"{}"[..])
        } else {
            require_json_content_type(request)?;
            json::replace_lone_surrogates(body)
        };
        let object = json::parse_object(&text)
            .map_err(|error| ApiError::from_code(Code::InvalidJson).with_source(error))?;
        match serde_path_to_error::deserialize(StrictDeserializer(Value::Object(object))) {
            Ok(body) => Ok(Self(body)),
            Err(error) => {
                let names = member_names(error.path());
                let error = FieldError::new(names.iter().map(String::as_str), error.inner());
                Err(ApiError::from_code(Code::InvalidBody).with_field_error(error))
            }
        }
    }
}

fn require_json_content_type(request: &Request) -> Result<(), ApiError> {
    let Some(value) = header_text(request.headers(), "content-type") else { return Ok(()) };
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        Err(ApiError::new(Code::UnsupportedMediaType, "send the body as application/json"))
    }
}

/// The names of a path within a body.
fn member_names(path: &serde_path_to_error::Path) -> Vec<String> {
    let name = |segment: &Segment| match segment {
        Segment::Seq { index } => index.to_string(),
        Segment::Map { key } => key.clone(),
        Segment::Enum { variant } => variant.clone(),
        Segment::Unknown => "?".to_owned(),
    };
    path.iter().map(name).collect()
}

/// The query, without unknown or duplicate parameters.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequest for Query<T> {
    fn from_request(request: &Request) -> Result<Self, ApiError> {
        let query = request.extensions().get::<RawQuery>().map_or("", |query| &query.0);
        serde_urlencoded::from_str(query)
            .map(Self)
            .map_err(|error| ApiError::new(Code::InvalidQuery, truncate(&error.to_string())))
    }
}

/// A parameter of a route's path.
pub trait PathParameter: TryFrom<String> + Send {
    /// The name in the route key, such as `callId` in `GET /api/stream/call/{callId}`.
    const NAME: &'static str;
}

impl PathParameter for CallId {
    const NAME: &'static str = "callId";
}

impl PathParameter for ChannelId {
    const NAME: &'static str = "channelId";
}

impl PathParameter for UserId {
    const NAME: &'static str = "userId";
}

/// A parameter of the route's path.
#[derive(Clone, Debug)]
pub struct Path<T>(pub T);

impl<T> FromRequest for Path<T>
where
    T: PathParameter,
    <T as TryFrom<String>>::Error: fmt::Display,
{
    fn from_request(request: &Request) -> Result<Self, ApiError> {
        let parameters = request.path_parameters_ref();
        let text = parameters.and_then(|parameters| parameters.first(T::NAME)).unwrap_or_default();
        T::try_from(text.to_owned())
            .map(Self)
            .map_err(|error| ApiError::new(Code::InvalidId, format!("the id in the path {error}")))
    }
}

impl FromRequest for Deadline {
    fn from_request(request: &Request) -> Result<Self, ApiError> {
        let deadline = request.extensions().get::<Self>().copied();
        deadline.ok_or_else(|| ApiError::from_code(Code::Internal).with_source("no deadline"))
    }
}

/// The domain of the API, from API Gateway's request context. The `Host` header is not used,
/// because the caller controls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainName(pub Option<String>);

impl FromRequest for DomainName {
    fn from_request(request: &Request) -> Result<Self, ApiError> {
        let domain = match request.request_context_ref() {
            Some(RequestContext::ApiGatewayV2(context)) => context.domain_name.clone(),
            _ => None,
        };
        Ok(Self(domain.filter(|domain| !domain.is_empty())))
    }
}

/// The `Idempotency-Key` header: 1 to 255 visible ASCII characters, without spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

impl FromRequest for IdempotencyKey {
    fn from_request(request: &Request) -> Result<Self, ApiError> {
        let Some(key) = header_text(request.headers(), "idempotency-key") else {
            return Ok(Self(None));
        };
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

/// The `Accept` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept(String);

impl Accept {
    /// Whether the header contains this media type with a weight at least that of JSON (RFC 9110,
    /// section 12.5.1). Wildcards are ignored.
    #[must_use]
    pub fn prefers(&self, media_type: &str) -> bool {
        let weight = self.weight(media_type);
        weight > 0.0 && weight >= self.weight("application/json")
    }

    /// The weight of a media type, or 0 if the header does not contain it.
    fn weight(&self, media_type: &str) -> f64 {
        let weight = |range: &str| {
            let mut parts = range.split(';').map(str::trim);
            if !parts.next().is_some_and(|range| range.eq_ignore_ascii_case(media_type)) {
                return 0.0;
            }
            let q_value = parts.find_map(|parameter| {
                parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="))
            });
            q_value.map_or(1.0, |weight| weight.parse().unwrap_or(0.0))
        };
        self.0.split(',').map(weight).fold(0.0, f64::max)
    }
}

impl FromRequest for Accept {
    fn from_request(request: &Request) -> Result<Self, ApiError> {
        Ok(Self(header_text(request.headers(), "accept").unwrap_or_default().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_type_is_preferred_only_by_name_and_weight() {
        for (header, is_preferred) in [
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
            assert_eq!(
                Accept(header.to_owned()).prefers("image/svg+xml"),
                is_preferred,
                "{header}"
            );
        }
    }
}
