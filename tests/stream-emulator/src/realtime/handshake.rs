//! The upgrade of an HTTP request to a WebSocket (RFC 6455, section 4.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{HeaderMap, HeaderName, Method};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::audience::Product;

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What a socket is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Events for a client of this product.
    Events(Product),
    /// The pretended media server of a participant, with the `user_session_id`.
    Media(String),
}

impl Endpoint {
    const MEDIA_PREFIX: &str = "/_emulator/media/";

    /// The endpoint of a request, if it has one.
    pub(crate) fn from_request(method: &Method, path: &str) -> Option<Self> {
        match path {
            _ if method != Method::GET => None,
            "/connect" => Some(Self::Events(Product::Chat)),
            "/video/connect" => Some(Self::Events(Product::Video)),
            _ => path.strip_prefix(Self::MEDIA_PREFIX).map(|id| Self::Media(id.to_owned())),
        }
    }
}

/// The `Sec-WebSocket-Accept` of a valid upgrade.
pub(super) fn accept_key(headers: &HeaderMap) -> Option<String> {
    let is_valid = has_token(headers, &UPGRADE, "websocket")
        && has_token(headers, &CONNECTION, "upgrade")
        && has_token(headers, &SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|_| is_valid)?.to_str().ok()?;
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    Some(STANDARD.encode(hash))
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|it| it.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn headers(upgrade: &str, version: &str) -> HeaderMap {
        let request = Request::get("/connect")
            .header(UPGRADE, upgrade)
            .header(CONNECTION, "keep-alive, Upgrade")
            .header(SEC_WEBSOCKET_VERSION, version)
            .header(SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==");
        request.body(()).expect("a request").into_parts().0.headers
    }

    #[test]
    fn accept_key_equals_the_example_of_the_rfc() {
        let accept = accept_key(&headers("WebSocket", "13"));
        assert_eq!(accept.as_deref(), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    }

    #[test]
    fn path_determines_the_endpoint() {
        let get = |path| Endpoint::from_request(&Method::GET, path);
        assert_eq!(get("/connect"), Some(Endpoint::Events(Product::Chat)));
        assert_eq!(get("/video/connect"), Some(Endpoint::Events(Product::Video)));
        assert_eq!(get("/_emulator/media/x"), Some(Endpoint::Media("x".to_owned())));
        assert_eq!(get("/_emulator/sockets"), None);
        assert_eq!(Endpoint::from_request(&Method::POST, "/connect"), None);
    }

    #[test]
    fn other_upgrades_are_rejected() {
        assert_eq!(accept_key(&headers("h2c", "13")), None);
        assert_eq!(accept_key(&headers("websocket", "8")), None);
        assert_eq!(accept_key(&HeaderMap::new()), None);
    }
}
