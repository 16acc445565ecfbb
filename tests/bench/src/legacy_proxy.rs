//! A proxy that translates Stream's older channel API, which the library of the Node.js baseline
//! uses, to the newer one of the emulator.

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

use crate::BenchError;

type UpstreamClient = Client<HttpConnector, Full<Bytes>>;

/// Starts the proxy before a server. Returns its URL.
pub(crate) async fn start(url: &str) -> Result<String, BenchError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let client: UpstreamClient = Client::builder(TokioExecutor::new()).build_http();
    let url = url.to_owned();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let _ = socket.set_nodelay(true);
            let (client, url) = (client.clone(), url.clone());
            let service = service_fn(move |request| forward(client.clone(), url.clone(), request));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
        }
    });
    Ok(format!("http://{address}"))
}

async fn forward(
    client: UpstreamClient,
    url: String,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, BenchError> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut body = body.collect().await?.to_bytes();
    if path.starts_with("/channels/") {
        body = upgrade_body(&body)?;
        parts.headers.insert(CONTENT_LENGTH, body.len().into());
        parts.uri = format!("{url}/api/v2/chat{path}").parse::<Uri>()?;
    } else {
        parts.uri = format!("{url}{path}").parse::<Uri>()?;
    }
    let response = client.request(Request::from_parts(parts, Full::new(body))).await?;
    let (parts, body) = response.into_parts();
    Ok(Response::from_parts(parts, Full::new(body.collect().await?.to_bytes())))
}

/// Converts the members of a request body from ids to objects.
fn upgrade_body(body: &[u8]) -> Result<Bytes, BenchError> {
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
    fn member_ids_become_objects() {
        let older = br#"{"data":{"members":["alice"],"created_by_id":"alice"}}"#;
        let newer: Value = serde_json::from_slice(&upgrade_body(older).unwrap()).unwrap();
        let expected = json!({"members": [{"user_id": "alice"}], "created_by_id": "alice"});
        assert_eq!(newer["data"], expected);
    }
}
