//! The access of clients: a phone downloads the certificate authority, and a web app may use the
//! API and the Stream emulator.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a failed setup must fail the test")]

use std::net::{Ipv4Addr, SocketAddr};

use local::{ClientAccess, Options, Stack};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends a request and reads until the connection is closed.
async fn exchange(address: SocketAddr, method: &str, path: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    response
}

const PREFLIGHT: &str = "origin: http://localhost:8081\r\naccess-control-request-method: POST\r\n\
                         access-control-request-headers: authorization,content-type\r\n";

#[tokio::test]
async fn clients_reach_the_api_and_the_emulator() {
    let tls_dir = std::env::temp_dir().join(format!("local-tls-{}", std::process::id()));
    let access =
        ClientAccess { host: Ipv4Addr::UNSPECIFIED.into(), tls_dir: Some(tls_dir.clone()) };
    let stack =
        Stack::start(Options { clients: Some(access), ..Options::default() }).await.unwrap();
    let (api, stream) = (stack.api_address(), stack.stream_address().unwrap());

    let certificate = exchange(api, "GET", stack.ca_path().unwrap(), "").await;
    assert!(certificate.contains("application/x-x509-ca-cert"), "{certificate}");
    assert!(certificate.contains("-----BEGIN CERTIFICATE-----"), "{certificate}");
    assert!(!certificate.contains("PRIVATE KEY"));

    for address in [api, stream] {
        let preflight = exchange(address, "OPTIONS", "/api/stream/token", PREFLIGHT).await;
        assert!(preflight.starts_with("HTTP/1.1 204 "), "{preflight}");
        let origin = "origin: http://localhost:8081\r\n";
        let response = exchange(address, "GET", "/unknown", origin).await;
        assert!(response.starts_with("HTTP/1.1 4"), "{response}");
        assert!(response.contains("access-control-allow-origin: *"), "{response}");
    }
    // The functions use the emulator itself, which has no TLS.
    assert_ne!(stack.stream().unwrap().base_url(), format!("http://{stream}"));
    stack.stop().await;
    std::fs::remove_dir_all(tls_dir).unwrap();
}

#[tokio::test]
async fn stack_of_a_test_has_no_cors_and_no_authority() {
    let stack = Stack::start(Options::default()).await.unwrap();
    assert_eq!(stack.ca_path(), None);
    for (method, path) in [("OPTIONS", "/api/stream/token"), ("GET", "/_local/ca.crt")] {
        let response = exchange(stack.api_address(), method, path, PREFLIGHT).await;
        assert!(response.starts_with("HTTP/1.1 404 "), "{response}");
        assert!(!response.contains("access-control-"), "{response}");
    }
    stack.stop().await;
}
