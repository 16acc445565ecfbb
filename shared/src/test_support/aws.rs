//! A service of AWS with prepared responses, which records its requests.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::clock::{Clock as _, SystemClock};
use crate::config::Env;
use crate::net::{self, sigv4};
use crate::sync::lock;

/// The region of all requests.
pub(crate) const REGION: &str = "eu-west-1";

/// A response of the service.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Response {
        status: u16,
        body: Value,
        /// By how many seconds the clock of the service is ahead.
        seconds_ahead: i64,
    },
    /// A response whose body is not JSON.
    Malformed,
    /// The connection is closed.
    Close,
    /// No response.
    Hang,
}

/// A received request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    /// The method, the path and the version.
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    text: String,
    pub(crate) body: Value,
}

impl Reply {
    /// A response of a service whose clock is right.
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self::Response { status, body, seconds_ahead: 0 }
    }
}

impl Request {
    /// The time of the signature.
    pub(crate) fn signed_at(&self) -> i64 {
        let [year, month, day, hour, minute, second] =
            [0..4, 4..6, 6..8, 9..11, 11..13, 13..15].map(|part| &self.headers["x-amz-date"][part]);
        let text = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
        DateTime::from_str(&text, Format::DateTime).unwrap().secs()
    }

    /// Compares the signature with that of the SDK's signer for the same request and time.
    pub(crate) fn check_signature(&self, service: &'static str) {
        /// Headers that signing adds, and those that are added later.
        const NOT_INPUT: [&str; 5] = [
            "amz-sdk-invocation-id",
            "amz-sdk-request",
            "authorization",
            "x-amz-date",
            "x-amz-security-token",
        ];
        assert_eq!(self.line, "POST / HTTP/1.1");
        let url = format!("http://{}/", self.headers["host"]);
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let headers = headers.filter(|(name, _)| !NOT_INPUT.contains(name));
        let seconds = u64::try_from(self.signed_at()).unwrap();
        let expected = sigv4::tests::authorization_of_sdk(
            service,
            &url,
            headers,
            &self.text,
            credentials(),
            seconds,
        );
        assert_eq!(self.headers["authorization"], expected);
    }

    /// Without the headers that differ between two requests.
    fn without_variable_headers(mut self) -> Self {
        // The order of a map's entries varies.
        self.text.clear();
        for name in ["authorization", "x-amz-date", "amz-sdk-invocation-id", "host"] {
            assert!(self.headers.remove(name).is_some(), "{name}");
        }
        let agent = self.headers.remove("user-agent").unwrap();
        assert!(agent.starts_with("aws-sdk-rust/"), "{agent}");
        // Only the SDK's client repeats its name here.
        self.headers.remove("x-amz-user-agent");
        self
    }
}

/// A service that sends prepared responses, and the last one again and again.
pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) async fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let received = Arc::clone(&requests);
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(socket, replies.clone(), Arc::clone(&received)));
            }
        });
        Self { url, requests }
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        lock(&self.requests).clone()
    }
}

async fn serve(socket: TcpStream, replies: Vec<Reply>, requests: Arc<Mutex<Vec<Request>>>) {
    let clock = SystemClock::from_env(&Env::from([])).unwrap();
    let mut socket = BufReader::new(socket);
    while let Some(request) = read_request(&mut socket).await {
        let number = {
            let mut requests = lock(&requests);
            requests.push(request);
            requests.len().min(replies.len()) - 1
        };
        let (status, body, ahead) = match &replies[number] {
            Reply::Response { status, body, seconds_ahead } => {
                (*status, body.to_string(), *seconds_ahead)
            }
            Reply::Malformed => (200, "{".to_owned(), 0),
            Reply::Close => return,
            Reply::Hang => return std::future::pending().await,
        };
        let now = u64::try_from(clock.now().as_secs() + ahead).unwrap();
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now));
        let length = body.len();
        let response = format!(
            "HTTP/1.1 {status} x\r\ndate: {date}\r\ncontent-length: {length}\r\n\
             content-type: application/x-amz-json-1.0\r\n\r\n{body}"
        );
        socket.write_all(response.as_bytes()).await.unwrap();
    }
}

async fn read_request(socket: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut headers = BTreeMap::new();
    let mut line = String::new();
    socket.read_line(&mut line).await.ok()?;
    if line.is_empty() {
        return None;
    }
    let request_line = line.trim_end().to_owned();
    loop {
        line.clear();
        socket.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_owned(), value.to_owned());
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    socket.read_exact(&mut body).await.unwrap();
    let text = String::from_utf8(body).unwrap();
    Some(Request { line: request_line, headers, body: serde_json::from_str(&text).unwrap(), text })
}

pub(crate) fn credentials() -> Credentials {
    Credentials::new("AKIDEXAMPLE", "the-secret-key", Some("the-token".to_owned()), None, "test")
}

pub(crate) fn http() -> net::Client {
    net::client().unwrap()
}

pub(crate) fn without_variable_headers(requests: Vec<Request>) -> Vec<Request> {
    requests.into_iter().map(Request::without_variable_headers).collect()
}
