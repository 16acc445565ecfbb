//! Compares requests to the table with those of the SDK's own client.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Mutex;
use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_dynamodb::Client as SdkClient;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::clock::{Clock as _, SystemClock};
use crate::config::Env;
use crate::sync::lock;

use super::*;

const REGION: &str = "eu-west-1";
const HOUR: Duration = Duration::from_hours(1);

/// A response of the service.
#[derive(Clone, Debug)]
enum Reply {
    /// A status, a body, and how far the clock of the service is ahead.
    Response(u16, Value, Duration),
    /// A response whose body is not JSON.
    Malformed,
    /// The connection is closed.
    Close,
    /// No response.
    Hang,
}

fn ok() -> Reply {
    Reply::Response(200, json!({"Attributes": {"pk": {"S": "a"}}}), Duration::ZERO)
}

fn failure(status: u16, code: &str) -> Reply {
    let code = format!("com.amazonaws.dynamodb.v20120810#{code}");
    let body = json!({"__type": code, "message": "m", "Item": {"pk": {"S": "b"}}});
    Reply::Response(status, body, Duration::ZERO)
}

#[derive(Clone, Debug, PartialEq)]
struct Request {
    headers: BTreeMap<String, String>,
    body: Value,
}

impl Request {
    /// The time of the signature, in seconds of its day.
    fn second_of_day(&self) -> i64 {
        let time = &self.headers["x-amz-date"][9..15];
        let digits: i64 = time.parse().unwrap();
        digits / 10_000 * 3_600 + digits / 100 % 100 * 60 + digits % 100
    }

    /// Without the headers that differ between two requests.
    fn without_variable_headers(mut self) -> Self {
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
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    async fn start(replies: Vec<Reply>) -> Self {
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

    fn config(&self) -> StoreConfig {
        let (table, region) = ("table".to_owned(), REGION.to_owned());
        StoreConfig { table, region, endpoint: Some(self.url.clone()) }
    }

    fn requests(&self) -> Vec<Request> {
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
            Reply::Response(status, body, ahead) => (*status, body.to_string(), *ahead),
            Reply::Malformed => (200, "{".to_owned(), Duration::ZERO),
            Reply::Close => return,
            Reply::Hang => return std::future::pending().await,
        };
        let now = u64::try_from(clock.now().as_secs()).unwrap();
        let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(now) + ahead);
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
    assert_eq!(line, "POST / HTTP/1.1\r\n");
    loop {
        line.clear();
        socket.read_line(&mut line).await.unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_owned(), value.to_owned());
    }
    let mut body = vec![0; headers["content-length"].parse().unwrap()];
    socket.read_exact(&mut body).await.unwrap();
    Some(Request { headers, body: serde_json::from_slice(&body).unwrap() })
}

fn credentials() -> Credentials {
    Credentials::new("AKIDEXAMPLE", "the-secret-key", Some("the-token".to_owned()), None, "test")
}

fn http() -> net::Client {
    net::client().unwrap()
}

/// The kind of a result, and how the stores map it.
fn outcome<O: Debug, E>(result: Result<O, SdkError<E>>) -> String
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let error = match result {
        Ok(output) => return format!("{output:?}"),
        Err(error) => error,
    };
    let kind = match &error {
        SdkError::ServiceError(service) => {
            let code = service.err().code();
            format!("service error {code:?} {} {:?}", service.raw().status(), service.err())
        }
        SdkError::DispatchFailure(failure) => {
            format!("dispatch failure {} {}", failure.is_io(), failure.is_timeout())
        }
        SdkError::ConstructionFailure(_) => "construction failure".to_owned(),
        SdkError::ResponseError(_) => "response error".to_owned(),
        SdkError::TimeoutError(_) => "timeout".to_owned(),
        _ => "other".to_owned(),
    };
    match map_sdk_error(error) {
        StoreError::Unavailable(_) => format!("unavailable: {kind}"),
        StoreError::Internal(_) => format!("internal: {kind}"),
    }
}

/// Sends an update twice with a client of the SDK.
async fn send_by_sdk(
    server: &Server,
    credentials: impl ProvideCredentials + 'static,
) -> Vec<String> {
    let config = sdk::config(REGION, Some(&server.url), credentials, http());
    let client = SdkClient::new(&config);
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        let update = client
            .update_item()
            .table_name("table")
            .set_key(Some(key("a", "b")))
            .update_expression("SET #x = :x")
            .condition_expression("attribute_exists(pk)")
            .set_expression_attribute_names(Some(attribute_names(&["x"])))
            .expression_attribute_values(":x", text("ä"))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        outcomes.push(outcome(update.send().await));
    }
    outcomes
}

/// Sends the same update twice to the table.
async fn send_to_table(table: &Table) -> Vec<String> {
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        let update = table
            .update_item(key("a", "b"))
            .update_expression("SET #x = :x")
            .condition_expression("attribute_exists(pk)")
            .set_expression_attribute_names(Some(attribute_names(&["x"])))
            .expression_attribute_values(":x", text("ä"))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        outcomes.push(outcome(update.send().await));
    }
    outcomes
}

fn without_variable_headers(requests: Vec<Request>) -> Vec<Request> {
    requests.into_iter().map(Request::without_variable_headers).collect()
}

#[tokio::test]
async fn requests_and_retries_are_those_of_the_sdk() {
    for (replies, attempts) in [
        (vec![ok()], 2),
        (vec![failure(400, "ConditionalCheckFailedException")], 2),
        (vec![failure(400, "ValidationException")], 2),
        (vec![failure(500, "InternalServerError"), ok()], 3),
        (vec![failure(500, "InternalServerError")], 6),
        (vec![failure(503, "Unknown"), failure(400, "ThrottlingException"), ok()], 4),
        (vec![failure(400, "ProvisionedThroughputExceededException"), ok()], 3),
        (vec![failure(400, "RequestLimitExceeded")], 6),
        (vec![failure(400, "TransactionConflictException")], 2),
        (vec![Reply::Malformed], 2),
        (vec![Reply::Close, ok()], 3),
    ] {
        let server = Server::start(replies.clone()).await;
        let expected = send_by_sdk(&server, credentials()).await;
        let expected_requests = without_variable_headers(server.requests());
        assert_eq!(expected_requests.len(), attempts, "{replies:?}");
        let server = Server::start(replies.clone()).await;
        let table = Table::with_credentials(&server.config(), http(), credentials());
        assert_eq!(send_to_table(&table).await, expected, "{replies:?}");
        assert_eq!(without_variable_headers(server.requests()), expected_requests, "{replies:?}");
    }
}

#[test]
fn timeouts_are_those_of_the_sdk() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let expected = runtime().block_on(async {
        let server = Server::start(vec![Reply::Hang]).await;
        send_by_sdk(&server, credentials()).await
    });
    assert_eq!(expected, ["unavailable: timeout"; 2]);
    let outcomes = runtime().block_on(async {
        let server = Server::start(vec![Reply::Hang]).await;
        let table = Table::with_credentials(&server.config(), http(), credentials());
        let started_at = tokio::time::Instant::now();
        let outcomes = send_to_table(&table).await;
        let elapsed = started_at.elapsed();
        assert!(elapsed <= 2 * Duration::from_millis(2_501), "{elapsed:?}");
        outcomes
    });
    assert_eq!(outcomes, expected);
}

#[tokio::test]
async fn clock_skew_is_corrected() {
    let rejected = Reply::Response(400, json!({"__type": "InvalidSignatureException"}), HOUR);
    let accepted = Reply::Response(200, json!({}), HOUR);
    let replies = vec![rejected, accepted];
    let server = Server::start(replies.clone()).await;
    let expected = send_by_sdk(&server, credentials()).await;
    let sdk_requests = server.requests();
    let server = Server::start(replies).await;
    let table = Table::with_credentials(&server.config(), http(), credentials());
    assert_eq!(send_to_table(&table).await, expected);
    for requests in [sdk_requests, server.requests()] {
        // The first request is repeated with the time of the service, and the second has it at once.
        let times: Vec<_> = requests.iter().map(Request::second_of_day).collect();
        let offsets = times.iter().map(|time| (time - times[0]).rem_euclid(24 * 60 * 60));
        let hours: Vec<_> = offsets.map(|offset| (offset + 60) / 3_600).collect();
        assert_eq!(hours, [0, 1, 1]);
    }
}

#[tokio::test]
async fn missing_credentials_are_the_error_of_the_sdk() {
    #[derive(Debug)]
    struct NoCredentials;

    impl ProvideCredentials for NoCredentials {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("unset")))
        }
    }

    let server = Server::start(vec![ok()]).await;
    let expected = send_by_sdk(&server, NoCredentials).await;
    let missing = Err(CredentialsError::not_loaded("unset"));
    let table = Table::from_credentials(&server.config(), http(), missing);
    assert_eq!(send_to_table(&table).await, expected);
    assert_eq!(server.requests(), []);
}

#[test]
fn endpoints_are_those_of_the_sdk() {
    let resolve_by_sdk = |region: &str| {
        let params = Params::builder().region(region.to_owned()).build()?;
        DefaultResolver::new().resolve_endpoint(&params).now_or_never().unwrap()
    };
    for region in [
        "af-south-1",
        "ap-east-1",
        "ap-east-2",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-south-1",
        "ap-south-2",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-southeast-3",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "ca-central-1",
        "ca-west-1",
        "cn-north-1",
        "cn-northwest-1",
        "eu-central-1",
        "eu-central-2",
        "eu-isoe-west-1",
        "eu-north-1",
        "eu-south-1",
        "eu-south-2",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "eusc-de-east-1",
        "il-central-1",
        "me-central-1",
        "me-south-1",
        "mx-central-1",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-gov-east-1",
        "us-gov-west-1",
        "us-iso-east-1",
        "us-iso-west-1",
        "us-isob-east-1",
        "us-isob-west-1",
        "us-isof-east-1",
        "us-isof-south-1",
        "us-west-1",
        "us-west-2",
        "local",
        "us-future-9",
        "xx-future-1",
        "us-east",
        "us-east-a",
    ] {
        let endpoint = resolve_endpoint(region).unwrap();
        assert_eq!(endpoint, resolve_by_sdk(region).unwrap(), "{region}");
    }
    for invalid in ["", "a b", "us-east-1/x"] {
        assert!(resolve_endpoint(invalid).is_err(), "{invalid}");
        assert!(resolve_by_sdk(invalid).is_err(), "{invalid}");
    }
}

#[tokio::test]
async fn debug_output_contains_no_credentials() {
    let server = Server::start(vec![ok()]).await;
    let table = Table::with_credentials(&server.config(), http(), credentials());
    send_to_table(&table).await;
    let parts = &table.client.parts;
    let text = format!("{table:?} {parts:?} {:?}", table.client.update_item);
    assert!(text.contains("DailyKeySigner"), "{text}");
    for secret in ["the-secret-key", "the-token"] {
        assert!(!text.contains(secret), "{text}");
    }
}
