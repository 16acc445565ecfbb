//! Stream's older form of channels, which the peer's library uses, before an emulator that has the
//! newer one alone.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Failure;

type Upstream = Client<HttpConnector, Full<Bytes>>;

/// Puts them before a server on this machine; the URL to reach both by.
pub(crate) async fn before(url: &str) -> Result<String, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let client: Upstream = Client::builder(TokioExecutor::new()).build_http();
    let url = url.to_owned();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let _ = socket.set_nodelay(true);
            let (client, url) = (client.clone(), url.clone());
            let service = service_fn(move |request| pass(client.clone(), url.clone(), request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
        }
    });
    Ok(format!("http://{address}"))
}

async fn pass(
    client: Upstream,
    url: String,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Failure> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut body = body.collect().await?.to_bytes();
    if path.starts_with("/channels/") {
        body = newer(&body)?;
        parts.headers.insert(CONTENT_LENGTH, body.len().into());
        parts.uri = format!("{url}/api/v2/chat{path}").parse::<Uri>()?;
    } else {
        parts.uri = format!("{url}{path}").parse::<Uri>()?;
    }
    let answer = client.request(Request::from_parts(parts, Full::new(body))).await?;
    let (parts, body) = answer.into_parts();
    Ok(Response::from_parts(parts, Full::new(body.collect().await?.to_bytes())))
}

/// What a body says now: members were ids alone.
fn newer(body: &[u8]) -> Result<Bytes, Failure> {
    let mut body: Value = serde_json::from_slice(body)?;
    for member in body["data"]["members"].as_array_mut().into_iter().flatten() {
        if member.is_string() {
            *member = json!({"user_id": member});
        }
    }
    Ok(body.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_objects_now() {
        let older = br#"{"data":{"members":["alice"],"created_by_id":"alice"}}"#;
        let newer: Value = serde_json::from_slice(&newer(older).unwrap()).unwrap();
        let expected = json!({"members": [{"user_id": "alice"}], "created_by_id": "alice"});
        assert_eq!(newer["data"], expected);
    }
}
