//! A request as the emulator reads it: parsed just far enough that it can be carried out later,
//! away from its connection.

use bytes::Bytes;
use http::{Method, Uri};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use crate::auth::Credentials;
use crate::error::StreamFailure;
use crate::route::Route;

/// Everything that decides the answer.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) route: Route,
    pub(crate) credentials: Credentials,
    pub(crate) query: Query,
    pub(crate) body: Bytes,
    /// What success is answered with: Stream answers a POST 201 and everything else 200.
    pub(crate) success: u16,
}

impl Ask {
    pub(crate) fn new(head: &http::request::Parts, body: Bytes) -> Self {
        let query = Query::of(&head.uri);
        Self {
            route: Route::of(&head.method, head.uri.path()),
            credentials: Credentials::of(&head.headers, &query),
            query,
            body,
            success: if head.method == Method::POST { 201 } else { 200 },
        }
    }

    /// The JSON body. The SDKs send an absent one as nothing at all, as `{}` or as `null`.
    pub(crate) fn body<T: DeserializeOwned>(&self) -> Result<T, StreamFailure> {
        let body = match self.body.trim_ascii() {
            b"" | b"null" => b"{}".as_slice(),
            body => body,
        };
        parse("request body", body)
    }

    /// The JSON object that a GET carries in `payload=`.
    pub(crate) fn payload<T: DeserializeOwned>(&self) -> Result<T, StreamFailure> {
        parse("payload", self.query.get("payload").unwrap_or("{}").as_bytes())
    }
}

fn parse<T: DeserializeOwned>(what: &str, json: &[u8]) -> Result<T, StreamFailure> {
    serde_json::from_slice(json)
        .map_err(|error| StreamFailure::input(format!("{what} is not valid: {error}")))
}

/// The query string, decoded.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn of(uri: &Uri) -> Self {
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
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, StreamFailure> {
        self.typed(name, "a boolean")
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<usize>, StreamFailure> {
        self.typed(name, "a number")
    }

    fn typed<T: std::str::FromStr>(
        &self,
        name: &str,
        kind: &str,
    ) -> Result<Option<T>, StreamFailure> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse()
            .map(Some)
            .map_err(|_| StreamFailure::input(format!("{name} must be {kind}, not {text:?}")))
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use http::Request;
    use serde_json::{Value, json};

    use super::*;

    fn ask(uri: &str, body: &'static str) -> Ask {
        let (head, ()) = Request::post(uri).body(()).expect("a request").into_parts();
        Ask::new(&head, Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn the_query_is_decoded() {
        let query = ask("/api/v2/users?payload=%7B%22limit%22%3A+1%7D&api_key=k&flag=true", "");
        assert_eq!(query.payload::<Value>(), Ok(json!({ "limit": 1 })));
        assert_eq!(query.query.get("api_key"), Some("k"));
        assert_eq!(query.query.flag("flag"), Ok(Some(true)));
        assert_eq!(query.query.flag("absent"), Ok(None));
        assert!(query.query.number("api_key").is_err());
    }

    #[test]
    fn no_body_null_and_an_empty_object_are_the_same() {
        for body in ["", " null\n", "{}"] {
            assert_eq!(ask("/", body).body::<Value>(), Ok(json!({})), "{body:?}");
        }
        assert!(ask("/", "{\"a\":").body::<Value>().is_err());
    }
}
