//! The stack with a client in front of it.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use local::{JWT_SECRET, Options, STREAM_API_SECRET, Stack};
use serde_json::{Value, json};
use stream_emulator::{APP_OBJECT_SECRET, Emulator};

use crate::Answer;

/// A running stack and a client for it.
pub struct App {
    /// There until it is stopped.
    stack: Option<Stack>,
    client: Client<HttpConnector, Full<Bytes>>,
}

#[expect(clippy::panic, clippy::missing_panics_doc, reason = "a test cannot go on without it")]
impl App {
    /// Starts a stack of its own for a test.
    pub async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// Starts a stack with variables of its own.
    pub async fn with_env<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        let env = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self::with(Options { env, ..Options::default() }).await
    }

    /// Starts a stack with these options.
    pub async fn with(options: Options) -> Self {
        match Stack::start(options).await {
            Ok(stack) => Self {
                stack: Some(stack),
                client: Client::builder(TokioExecutor::new()).build_http(),
            },
            Err(error) => panic!("{error}"),
        }
    }

    /// The stack itself.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        match &self.stack {
            Some(stack) => stack,
            None => panic!("this stack has been stopped"),
        }
    }

    /// Stops the stack; what the functions have printed.
    pub async fn stop(mut self) -> String {
        match self.stack.take() {
            Some(stack) => {
                let output = stack.stop().await;
                refuse_secrets(&output);
                output
            }
            None => panic!("this stack has been stopped"),
        }
    }

    /// Starts a stack in which Alice has called Bob.
    pub async fn with_call(id: &str) -> Self {
        let app = Self::start().await;
        app.known(&["alice", "bob"]).await;
        let create = json!({"receiverId": "bob", "callId": id});
        let _ = app.post("/call/create", "alice", create).await.good();
        app
    }

    /// The Stream emulator.
    #[must_use]
    pub fn stream(&self) -> &Emulator {
        match self.stack().stream() {
            Some(emulator) => emulator,
            None => panic!("this stack has no emulator"),
        }
    }

    /// The `Authorization` header's value for a service, which may act for others.
    #[must_use]
    pub fn service(&self) -> String {
        let claims = json!({"sub": "billing", "role": "service", "exp": 4_102_444_800_i64});
        format!("Bearer {}", self.stack().sign(claims))
    }

    /// Makes users known, as a token request of their own does.
    pub async fn known(&self, users: &[&str]) {
        for user in users {
            let _ = self.post("/token", user, json!({})).await.good();
        }
    }

    /// Sends a body as this user.
    pub async fn post(&self, path: &str, user: &str, body: Value) -> Answer {
        let token = self.stack().token_for(user);
        self.post_with(path, &[("authorization", &format!("Bearer {token}"))], &body.to_string())
            .await
    }

    /// Sends a text with these headers.
    pub async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        self.send(Method::POST, path, &headers, body).await
    }

    /// Asks as this user.
    pub async fn get(&self, path: &str, user: &str) -> Answer {
        let token = self.stack().token_for(user);
        self.send(Method::GET, path, &[("authorization", &format!("Bearer {token}"))], "").await
    }

    /// Sends a request to a path under `/api/stream`.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let uri = format!("{}/api/stream{path}", self.stack().api_url());
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = match request.body(Full::from(body.to_owned())) {
            Ok(request) => request,
            Err(error) => panic!("{error}"),
        };
        let (parts, body) = match self.client.request(request).await {
            Ok(response) => response.into_parts(),
            Err(error) => panic!("{error}"),
        };
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => panic!("{error}"),
        };
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    /// Gives a function an event as it stands, and reads its answer.
    pub async fn invoke(&self, function: &str, event: Value) -> Answer {
        let answer = match self.stack().invoke(function, event).await {
            Ok(answer) => answer,
            Err(error) => panic!("{function}: {error}"),
        };
        let body = answer["body"].as_str().unwrap_or_default();
        Answer {
            status: answer["statusCode"].as_u64().and_then(|n| n.try_into().ok()).unwrap_or(0),
            headers: http::HeaderMap::new(),
            body: serde_json::from_str(body).unwrap_or_default(),
        }
    }

    /// An item of the table as it is stored, `null` where there is none.
    pub async fn item(&self, partition: &str, sort: &str) -> Value {
        self.dynamo("GetItem", partition, sort).await["Item"].clone()
    }

    /// Takes an item out of the table, as if it had never been there.
    pub async fn forget(&self, partition: &str, sort: &str) {
        self.dynamo("DeleteItem", partition, sort).await;
    }

    async fn dynamo(&self, operation: &str, partition: &str, sort: &str) -> Value {
        let dynamo = self.stack().dynamo();
        let key = json!({"pk": {"S": partition}, "sk": {"S": sort}});
        let body = json!({"TableName": dynamo.table(), "Key": key});
        match local::dynamo::call(dynamo.url(), operation, &body).await {
            Ok(answer) => answer,
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts counting requests from zero.
    pub fn reset_counts(&self) {
        self.stack().dynamo().reset_counts();
        if let Some(emulator) = self.stack().stream() {
            emulator.reset_counts();
        }
    }

    /// How many requests DynamoDB and Stream have had since.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let stream = self.stack().stream().map_or(0, |emulator| emulator.counts().total());
        (self.stack().dynamo().counts().values().sum(), stream)
    }
}

impl Drop for App {
    /// Whatever a test did, no secret and no token may have been printed.
    fn drop(&mut self) {
        if let Some(stack) = &self.stack
            && !std::thread::panicking()
        {
            refuse_secrets(&stack.output());
        }
    }
}

/// `{"alg":"` in base64url: how every token here begins.
const JWT_START: &str = "eyJhbGciOi";

fn refuse_secrets(output: &str) {
    for secret in [JWT_SECRET, STREAM_API_SECRET, APP_OBJECT_SECRET, JWT_START] {
        assert!(!output.contains(secret), "a function printed a secret or a token");
    }
}

/// Every function, in an order in which their sample events find what they need.
pub const FUNCTIONS: [&str; 9] = [
    "user-upsert",
    "token",
    "call-create",
    "message-send",
    "message-list",
    "call-get",
    "call-quality",
    "config",
    "call-end",
];

/// The sample event of a function, as `cargo lambda invoke` is given it.
#[must_use]
#[expect(clippy::panic, clippy::missing_panics_doc, reason = "a test cannot go on without it")]
pub fn event(function: &str) -> Value {
    let path = local::workspace_root().join("events").join(function).with_extension("json");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    match serde_json::from_str(&text) {
        Ok(event) => event,
        Err(error) => panic!("events/{function}.json: {error}"),
    }
}
