//! Concurrent requests in one process, as on Lambda Managed Instances: each gets its own response.

use std::collections::BTreeMap;
use std::io;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use e2e::{TestApp, sample_event};
use http::{Method, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use local::{JWT_SECRET, STREAM_API_KEY, STREAM_API_SECRET};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Barrier, mpsc};

/// The number of concurrent requests.
const CONCURRENCY: usize = 64;

/// A Runtime API that waits until all tasks of the process have requested an event, and then sends
/// all events. So all requests are concurrent.
struct RuntimeApi {
    all_polling: Barrier,
    events: tokio::sync::Mutex<Vec<Value>>,
    responses: mpsc::UnboundedSender<(String, Value)>,
}

impl RuntimeApi {
    async fn handle(&self, request: Request<Incoming>) -> io::Result<Response<Full<Bytes>>> {
        if request.method() == Method::POST {
            let id = request.uri().path().split('/').nth_back(1).unwrap_or_default().to_owned();
            let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
            let _ = self.responses.send((id, serde_json::from_slice(&body).unwrap_or_default()));
            return Response::builder().status(202).body(Full::default()).map_err(io::Error::other);
        }
        self.all_polling.wait().await;
        let Some(event) = self.events.lock().await.pop() else { std::future::pending().await };
        Response::builder()
            .header(
                "lambda-runtime-aws-request-id",
                event["requestContext"]["requestId"].as_str().unwrap(),
            )
            .header("lambda-runtime-deadline-ms", "4102444800000")
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:us-east-1:1:function:token",
            )
            .body(Full::from(event.to_string()))
            .map_err(io::Error::other)
    }
}

/// A process that is killed on drop.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a process of `token` that handles concurrent requests.
fn token_function(app: &TestApp, runtime_api: &str) -> Process {
    let test = std::env::current_exe().unwrap();
    let program = test.parent().unwrap().parent().unwrap().join("token");
    let (dynamo, stream) = (app.stack().dynamo(), app.stream());
    let child = Command::new(program)
        .env_clear()
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api)
        .env("AWS_LAMBDA_MAX_CONCURRENCY", CONCURRENCY.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", "token")
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "token")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("TABLE_NAME", dynamo.table_name())
        .env("DYNAMODB_ENDPOINT", dynamo.url())
        .env("STREAM_API_KEY", STREAM_API_KEY)
        .env("STREAM_API_SECRET", STREAM_API_SECRET)
        .env("STREAM_BASE_URL", stream.base_url())
        .env("JWT_SECRET", JWT_SECRET)
        .env("LIMIT_TOKEN_PER_MINUTE", "0")
        .stdout(Stdio::piped())
        .spawn();
    Process(child.unwrap())
}

#[tokio::test]
async fn sixty_four_concurrent_requests_get_their_own_responses() {
    let app = TestApp::start().await;
    let user = |n: usize| format!("user-{n}");
    let events = (0..CONCURRENCY).map(|n| {
        let mut event = sample_event("token");
        event["headers"]["authorization"] =
            json!(format!("Bearer {}", app.stack().token_for(&user(n))));
        event["requestContext"]["requestId"] = json!(format!("request-{n}"));
        event
    });
    let (responses, mut received_responses) = mpsc::unbounded_channel();
    let api = Arc::new(RuntimeApi {
        all_polling: Barrier::new(CONCURRENCY),
        events: tokio::sync::Mutex::new(events.collect()),
        responses,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let accept_task = tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let api = Arc::clone(&api);
            let service = service_fn(move |request| {
                let api = Arc::clone(&api);
                async move { api.handle(request).await }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), service));
        }
    });
    let mut process = token_function(&app, &address);
    let mut responses_by_id = BTreeMap::new();
    while responses_by_id.len() < CONCURRENCY {
        let (id, response) = received_responses.recv().await.unwrap();
        assert!(
            responses_by_id.insert(id, response).is_none(),
            "only one response for each request"
        );
    }
    for n in 0..CONCURRENCY {
        let response = &responses_by_id[&format!("request-{n}")];
        assert_eq!(response["statusCode"], 200, "{}", response["body"]);
        let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["userId"], user(n));
        let token = body["token"].as_str().unwrap();
        let verified = app.stream().check_user_token(token).ok();
        assert_eq!(verified.map(|token| token.user_id), Some(user(n)));
    }
    // Each log line has the data of its own request only.
    process.0.kill().unwrap();
    let printed = io::read_to_string(process.0.stdout.take().unwrap()).unwrap();
    let lines: Vec<Value> =
        printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(lines.len(), CONCURRENCY);
    let mut request_id_by_user = BTreeMap::new();
    for line in &lines {
        request_id_by_user.insert(line["user"].to_string(), line["requestId"].to_string());
        assert_eq!(line["StreamLatency"]["Values"].as_array().unwrap().len(), 2);
    }
    assert_eq!(request_id_by_user.len(), CONCURRENCY);
    accept_task.abort();
}
