//! A parsed request. It is independent of its connection, so that it can be executed later.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::auth::Credentials;
use crate::error::StreamError;
use crate::route::{ApiVersion, Route};
use crate::v1::{from_v1, to_v1};
use crate::world::{Host, format_timestamps};

/// Everything that determines the response.
#[derive(Debug)]
pub(crate) struct ApiRequest {
    pub(crate) route: Route,
    pub(crate) api_version: ApiVersion,
    pub(crate) credentials: Credentials,
    pub(crate) query: Query,
    pub(crate) body: Bytes,
    /// Where the client reaches the emulator.
    pub(crate) host: Host,
    /// The status of a successful response: 201 for POST and PUT, 200 for every other method.
    pub(crate) success_status: u16,
}

impl ApiRequest {
    pub(crate) fn new(head: &http::request::Parts, body: Bytes) -> Self {
        let query = Query::from_uri(&head.uri);
        Self {
            route: Route::parse(&head.method, head.uri.path()),
            api_version: ApiVersion::from_path(head.uri.path()),
            credentials: Credentials::from_request(&head.headers, &query),
            query,
            body,
            host: host_of(&head.headers),
            success_status: match head.method {
                Method::POST | Method::PUT => 201,
                _ => 200,
            },
        }
    }

    /// The JSON body. The SDKs send an absent body as an empty one, as `{}` or as `null`.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, StreamError> {
        let body = match self.body.trim_ascii() {
            b"" | b"null" => b"{}".as_slice(),
            body => body,
        };
        if self.api_version != ApiVersion::ChatV1 {
            return parse("request body", body);
        }
        let mut body = parse("request body", body)?;
        from_v1(&self.route, &mut body);
        serde_json::from_value(body).map_err(|error| invalid("request body", &error))
    }

    /// Gives a response the shape of the request's version of the API.
    pub(crate) fn format_response(&self, body: &mut Value) {
        match self.api_version {
            ApiVersion::ChatV1 => to_v1(body),
            ApiVersion::VideoV1 => format_timestamps(body),
            ApiVersion::V2 => {}
        }
    }

    /// The JSON object in the `payload` query parameter of a GET.
    pub(crate) fn payload<T: DeserializeOwned>(&self) -> Result<T, StreamError> {
        parse("payload", self.query.get("payload").unwrap_or("{}").as_bytes())
    }
}

/// The address in the headers of the client or, behind a proxy, in those of the proxy.
fn host_of(headers: &HeaderMap) -> Host {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let authority = text("x-forwarded-host").or(text("host")).unwrap_or("127.0.0.1");
    Host::new(authority, text("x-forwarded-proto") == Some("https"))
}

fn parse<T: DeserializeOwned>(name: &str, json: &[u8]) -> Result<T, StreamError> {
    serde_json::from_slice(json).map_err(|error| invalid(name, &error))
}

fn invalid(name: &str, error: &serde_json::Error) -> StreamError {
    StreamError::invalid_input(format!("{name} is not valid: {error}"))
}

/// The decoded query string.
#[derive(Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn from_uri(uri: &Uri) -> Self {
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn get_owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// Accepts the spellings that Go parses, since libraries send several.
    pub(crate) fn get_bool(&self, name: &str) -> Result<Option<bool>, StreamError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text {
            "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(Some(true)),
            "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(Some(false)),
            _ => {
                let message = format!("{name} must be a boolean, not {text:?}");
                Err(StreamError::invalid_input(message))
            }
        }
    }

    pub(crate) fn get_usize(&self, name: &str) -> Result<Option<usize>, StreamError> {
        self.get_parsed(name, "a number")
    }

    fn get_parsed<T: std::str::FromStr>(
        &self,
        name: &str,
        expected_type: &str,
    ) -> Result<Option<T>, StreamError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            StreamError::invalid_input(format!("{name} must be {expected_type}, not {text:?}"))
        })
    }
}

/// Without the values: a chat client has its token in the query.
impl fmt::Debug for Query {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use http::Request;
    use serde_json::json;

    use super::*;

    fn api_request(uri: &str, body: &'static str) -> ApiRequest {
        let (head, ()) = Request::post(uri).body(()).expect("a request").into_parts();
        ApiRequest::new(&head, Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn query_string_is_percent_decoded() {
        let request =
            api_request("/api/v2/users?payload=%7B%22limit%22%3A+1%7D&api_key=k&flag=true", "");
        assert_eq!(request.payload::<Value>(), Ok(json!({ "limit": 1 })));
        assert_eq!(request.query.get("api_key"), Some("k"));
        assert_eq!(request.query.get_bool("flag"), Ok(Some(true)));
        assert_eq!(request.query.get_bool("absent"), Ok(None));
        assert!(request.query.get_usize("api_key").is_err());
    }

    #[test]
    fn boolean_has_several_spellings() {
        for (text, expected) in
            [("true", Ok(true)), ("False", Ok(false)), ("1", Ok(true)), ("no", Err(()))]
        {
            let request = api_request(&format!("/users?flag={text}"), "");
            let actual = request.query.get_bool("flag").map(Option::unwrap_or_default);
            assert_eq!(actual.map_err(|_| ()), expected, "{text}");
        }
    }

    #[test]
    fn body_of_v1_has_the_shape_of_v2() {
        let body = "{\"message\": {\"text\": \"t\", \"mood\": 1}}";
        let v2 = json!({ "message": { "text": "t", "custom": { "mood": 1 } } });
        let request = api_request("/channels/messaging/c/message", body);
        assert_eq!(request.body::<Value>(), Ok(v2));
        let request = api_request("/api/v2/chat/channels/messaging/c/message", body);
        assert_eq!(request.body::<Value>(), Ok(json!({ "message": { "text": "t", "mood": 1 } })));
    }

    #[test]
    fn empty_body_and_null_are_an_empty_object() {
        for body in ["", " null\n", "{}"] {
            assert_eq!(api_request("/", body).body::<Value>(), Ok(json!({})), "{body:?}");
        }
        assert!(api_request("/", "{\"a\":").body::<Value>().is_err());
    }
}
