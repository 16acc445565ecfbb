//! CORS of the local stack: a web app of any origin may use the API and the Stream emulator.
//!
//! A deployment has the origins of `CorsOrigins` instead. The control paths `/_local` and
//! `/_emulator` accept no web page but the console: a simple request of a page has an effect even if
//! the page cannot read the response. The console has the origin of the request's own host, and that
//! host is `localhost` or an address. So a foreign name that resolves to this machine (DNS
//! rebinding) has no access.

use std::future::Future;
use std::net::IpAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
};
use hyper::{Method, Request, Response, StatusCode};

use crate::http_server::{ConnectionDropped, HttpResponse, Peer, json_response};
use crate::tls::CA_PATH;

/// The paths that control the stack.
const CONTROL_PREFIXES: [&str; 2] = ["/_local", "/_emulator"];

/// The media endpoints of joined calls, which clients in browsers use too.
const MEDIA_PREFIX: &str = "/_emulator/media/";

const CONTROL_REJECTED: &str = r#"{"message":"web pages cannot use control paths: send the request without Origin, and to localhost or an address"}"#;

/// The relation of the page that sends a request to the requested host.
/// <https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header>
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// How long a browser may cache a preflight response, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

const ANY: HeaderValue = HeaderValue::from_static("*");

/// Answers a preflight request, or handles a request and allows any origin to read its response.
/// A web page other than the console gets 403 from a control path.
pub(crate) async fn allow_any_origin<F>(
    request: Request<Incoming>,
    peer: Peer,
    handle: impl FnOnce(Request<Incoming>) -> F,
) -> Result<HttpResponse, ConnectionDropped>
where
    F: Future<Output = Result<HttpResponse, ConnectionDropped>>,
{
    if is_control_path(request.uri().path()) {
        return if may_control(request.headers(), peer) {
            handle(request).await
        } else {
            Ok(json_response(StatusCode::FORBIDDEN, CONTROL_REJECTED))
        };
    }
    if !request.headers().contains_key(ORIGIN) {
        return handle(request).await;
    }
    if is_preflight(request.method(), request.headers()) {
        return Ok(preflight_response(request.headers()));
    }
    let mut response = handle(request).await?;
    let exposed = names(response.headers());
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    Ok(response)
}

fn is_control_path(path: &str) -> bool {
    // The certificate is public, and a device can use any name of this machine.
    let is_open = path.starts_with(MEDIA_PREFIX) || path == CA_PATH;
    !is_open && CONTROL_PREFIXES.iter().any(|prefix| path.starts_with(prefix))
}

/// Whether a request may use control paths: that of the console, or one that no web page sends.
fn may_control(headers: &HeaderMap, peer: Peer) -> bool {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
    let has_own_origin =
        text(&ORIGIN).is_none_or(|origin| Some(origin) == own_origin(headers, peer).as_deref());
    let is_same_site = text(&FETCH_SITE).is_none_or(|site| matches!(site, "same-origin" | "none"));
    is_trusted_host(headers) && has_own_origin && is_same_site
}

/// The origin of the pages that this server serves, such as `http://localhost:9000`.
pub(crate) fn own_origin(headers: &HeaderMap, peer: Peer) -> Option<String> {
    let scheme = if peer.is_tls { "https" } else { "http" };
    Some(format!("{scheme}://{}", headers.get(HOST)?.to_str().ok()?))
}

/// Whether the requested host is `localhost` or an address. No browser omits the host.
pub(crate) fn is_trusted_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    host.to_str().is_ok_and(|host| {
        let name = host_name(host);
        name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
    })
}

/// The host without its port, and an IPv6 address without its brackets.
pub(crate) fn host_name(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(address) => address.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// Whether a browser asks for permission before the request itself.
/// <https://fetch.spec.whatwg.org/#cors-preflight-fetch>
fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

fn preflight_response(request_headers: &HeaderMap) -> HttpResponse {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    // `*` would not include `authorization`, and so the requested names are repeated.
    for (requested, allowed) in [
        (ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_ALLOW_METHODS),
        (ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_ALLOW_HEADERS),
    ] {
        if let Some(value) = request_headers.get(requested) {
            headers.insert(allowed, value.clone());
        }
    }
    response
}

/// The names of these headers, such as `retry-after, x-ratelimit-remaining`.
fn names(headers: &HeaderMap) -> HeaderValue {
    let names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    // A list of header names is a valid value.
    HeaderValue::try_from(names.join(", ")).unwrap_or(ANY)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use http_body_util::Empty;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;
    use tokio::net::TcpListener;

    use super::*;
    use crate::http_server::Server;

    const CHAT_HEADERS: &str =
        "authorization,stream-auth-type,x-client-request-id,x-stream-client,content-type";

    /// Sends a request to a server that rejects everything. Returns status and headers.
    async fn send(request: http::request::Builder, path: &str) -> (StatusCode, HeaderMap) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}{path}", listener.local_addr().unwrap());
        let server = Server::start(listener, |request, peer| {
            allow_any_origin(request, peer, |_| async {
                let mut response = json_response(StatusCode::TOO_MANY_REQUESTS, "{}");
                let limit = HeaderValue::from_static("60");
                response.headers_mut().insert("x-ratelimit-limit", limit);
                Ok(response)
            })
        });
        let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
        let response = client.request(request.uri(url).body(Empty::new()).unwrap()).await.unwrap();
        server.stop().await;
        (response.status(), response.headers().clone())
    }

    fn preflight() -> http::request::Builder {
        Request::options("/")
            .header("origin", "http://localhost:8081")
            .header("access-control-request-method", "DELETE")
            .header("access-control-request-headers", CHAT_HEADERS)
    }

    #[tokio::test]
    async fn preflight_allows_the_requested_method_and_headers() {
        let (status, headers) = send(preflight(), "/api/stream/token").await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(headers["access-control-allow-origin"], "*");
        assert_eq!(headers["access-control-allow-methods"], "DELETE");
        assert_eq!(headers["access-control-allow-headers"], CHAT_HEADERS);
    }

    #[tokio::test]
    async fn error_response_is_readable_from_any_origin() {
        let request = Request::get("/").header("origin", "http://localhost:8081");
        let (status, headers) = send(request, "/api/stream/token").await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(headers["access-control-allow-origin"], "*");
        assert_eq!(headers["access-control-expose-headers"], "content-type, x-ratelimit-limit");
    }

    #[tokio::test]
    async fn response_to_an_app_has_no_cors_headers() {
        let (_, headers) = send(Request::get("/"), "/api/stream/token").await;
        assert!(!headers.contains_key("access-control-allow-origin"));
    }

    #[tokio::test]
    async fn control_paths_are_closed_to_web_pages() {
        for path in ["/_emulator/state", "/_local/clock"] {
            // A browser sends the second request without a preflight.
            let simple = Request::post("/").header("origin", "null");
            for request in [preflight(), simple] {
                let (status, headers) = send(request, path).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
                assert!(!headers.contains_key("access-control-allow-origin"), "{path}");
            }
            let (status, _) = send(Request::post("/"), path).await;
            assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{path}");
        }
    }

    #[test]
    fn only_the_console_may_control() {
        type Headers = &'static [(&'static str, &'static str)];
        let cases: [(&str, Headers, bool); 12] = [
            ("localhost:9000", &[], true),
            ("localhost:9000", &[("origin", "http://localhost:9000")], true),
            ("127.0.0.1:9000", &[("origin", "http://127.0.0.1:9000")], true),
            ("[::1]:9000", &[("origin", "http://[::1]:9000")], true),
            ("192.168.1.5:9000", &[("sec-fetch-site", "same-origin")], true),
            ("localhost:9000", &[("sec-fetch-site", "none")], true),
            ("localhost:9000", &[("origin", "https://localhost:9000")], false),
            ("localhost:9000", &[("origin", "http://localhost:8081")], false),
            ("localhost:9000", &[("sec-fetch-site", "cross-site")], false),
            ("localhost:9000", &[("sec-fetch-site", "same-site")], false),
            // A name that resolves to this machine has the origin of its own page.
            ("evil.example:9000", &[("origin", "http://evil.example:9000")], false),
            ("localhost.evil.example", &[], false),
        ];
        for (host, headers, expected) in cases {
            let mut map = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            for (name, value) in headers {
                let name = HeaderName::from_static(name);
                map.insert(name, HeaderValue::from_static(value));
            }
            let peer = Peer { address: ([127, 0, 0, 1], 1).into(), is_tls: false };
            assert_eq!(may_control(&map, peer), expected, "{host} {headers:?}");
        }
    }

    #[tokio::test]
    async fn media_endpoints_and_the_certificate_are_open() {
        for path in ["/_emulator/media/id", CA_PATH] {
            let request = Request::get("/").header("origin", "http://localhost:8081");
            let request = request.header("host", "my-machine.local:9000");
            let (status, _) = send(request, path).await;
            assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{path}");
        }
    }
}
