//! A running local stack with an HTTP client.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use local::{JWT_SECRET, Options, STREAM_API_KEY, STREAM_API_SECRET, Stack};
use serde_json::{Value, json};
use stream_emulator::{APP_OBJECT_SECRET, Emulator};

use crate::{OpenApiSpec, TestResponse, assert_event};

/// A running stack with a client. Each test starts its own.
pub struct TestApp {
    /// `None` after `stop`.
    stack: Option<Stack>,
    client: Client<HttpConnector, Full<Bytes>>,
}

#[expect(clippy::panic, clippy::missing_panics_doc, reason = "a failed setup must fail the test")]
impl TestApp {
    /// Starts a stack with the default options.
    pub async fn start() -> Self {
        Self::with_options(Options::default()).await
    }

    /// Starts a stack with these variables.
    pub async fn with_env<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        let env = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self::with_options(Options { env, ..Options::default() }).await
    }

    /// Starts a stack with these options.
    /// The stack uses the DynamoDB of `STACK_DYNAMODB` if it is set, such as `127.0.0.1:8000`.
    pub async fn with_options(mut options: Options) -> Self {
        if let Ok(address) = std::env::var("STACK_DYNAMODB") {
            options.dynamo_server = match address.parse() {
                Ok(address) => Some(address),
                Err(error) => panic!("STACK_DYNAMODB: {error}"),
            };
        }
        match Stack::start(options).await {
            Ok(stack) => Self {
                stack: Some(stack),
                client: Client::builder(TokioExecutor::new()).build_http(),
            },
            Err(error) => panic!("{error}"),
        }
    }

    /// The stack.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        match &self.stack {
            Some(stack) => stack,
            None => panic!("the stack was stopped"),
        }
    }

    /// Stops the stack. Returns everything that the functions have printed.
    pub async fn stop(mut self) -> String {
        match self.stack.take() {
            Some(stack) => {
                record_used_actions(&stack);
                let output = stack.stop().await;
                assert_no_secrets(&output);
                output
            }
            None => panic!("the stack was stopped"),
        }
    }

    /// Starts a stack with an active call of Alice and Bob.
    pub async fn with_call(id: &str) -> Self {
        let app = Self::start().await;
        app.provision_users(&["alice", "bob"]).await;
        let create = json!({"receiverId": "bob", "callId": id});
        let _ = app.post("/call/create", "alice", create).await.expect_success();
        app
    }

    /// Provisions Alice and Bob, and creates calls between them with these ids and `allowParallel`.
    pub async fn create_calls(&self, ids: &[&str]) {
        self.provision_users(&["alice", "bob"]).await;
        for id in ids {
            let create = json!({"receiverId": "bob", "callId": id, "allowParallel": true});
            let _ = self.post("/call/create", "alice", create).await.expect_success();
        }
    }

    /// The Stream emulator.
    #[must_use]
    pub fn stream(&self) -> &Emulator {
        match self.stack().stream() {
            Some(emulator) => emulator,
            None => panic!("the stack has no Stream emulator"),
        }
    }

    /// The `Authorization` header of a service, which may act for any user.
    #[must_use]
    pub fn service_authorization(&self) -> String {
        let claims = json!({"sub": "billing", "role": "service", "exp": 4_102_444_800_i64});
        format!("Bearer {}", self.stack().sign_token(claims))
    }

    /// Sends a POST request as a service.
    pub async fn post_as_service(&self, path: &str, body: Value) -> TestResponse {
        let service = self.service_authorization();
        self.post_with_headers(path, &[("authorization", &service)], &body.to_string()).await
    }

    /// Provisions users, each with a token request.
    pub async fn provision_users(&self, users: &[&str]) {
        for user in users {
            let _ = self.post("/token", user, json!({})).await.expect_success();
        }
    }

    /// Sends a POST request as this user.
    pub async fn post(&self, path: &str, user: &str, body: Value) -> TestResponse {
        let token = self.stack().token_for(user);
        self.post_with_headers(
            path,
            &[("authorization", &format!("Bearer {token}"))],
            &body.to_string(),
        )
        .await
    }

    /// Sends a POST request with these headers.
    pub async fn post_with_headers(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> TestResponse {
        let headers = [headers, &[("content-type", "application/json")]].concat();
        self.send(Method::POST, path, &headers, body).await
    }

    /// Sends a GET request as this user.
    pub async fn get(&self, path: &str, user: &str) -> TestResponse {
        let token = self.stack().token_for(user);
        self.send(Method::GET, path, &[("authorization", &format!("Bearer {token}"))], "").await
    }

    /// Sends a DELETE request as this user.
    pub async fn delete(&self, path: &str, user: &str) -> TestResponse {
        let token = self.stack().token_for(user);
        self.send(Method::DELETE, path, &[("authorization", &format!("Bearer {token}"))], "").await
    }

    /// Sends a request to a path under `/api/stream`.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> TestResponse {
        let uri = format!("{}/api/stream{path}", self.stack().api_url());
        self.send_request(method, &uri, headers, body.as_bytes()).await
    }

    /// Sends a body to the webhook. The headers may contain a signature.
    pub async fn send_raw_webhook(&self, body: &[u8], headers: &[(&str, &str)]) -> TestResponse {
        let uri = format!("{}/api/stream/webhook", self.stack().api_url());
        self.send_request(Method::POST, &uri, headers, body).await
    }

    /// Sends a signed event to the webhook.
    pub async fn send_webhook(&self, event: &Value) -> TestResponse {
        let body = event.to_string();
        let signature = self.stack().sign_webhook(body.as_bytes());
        let headers = [("content-type", "application/json"), ("x-signature", signature.as_str())];
        self.send_raw_webhook(body.as_bytes(), &headers).await
    }

    /// Sends a POST request to a path under Stream's `/api/v2/`, like another service of the app.
    pub async fn post_to_stream(&self, path: &str, body: &Value) {
        self.send_to_stream(Method::POST, path, body).await;
    }

    /// Sends a POST request to a path under Stream's `/api/v2/`, with any response.
    pub async fn try_post_to_stream(&self, path: &str, body: &Value) -> TestResponse {
        self.try_send_to_stream(Method::POST, path, body).await
    }

    /// Sends a request to a path under Stream's `/api/v2/`, like another service of the app.
    pub async fn send_to_stream(&self, method: Method, path: &str, body: &Value) {
        let response = self.try_send_to_stream(method, path, body).await;
        assert!(response.status < 300, "{path}: {} {}", response.status, response.body);
    }

    async fn try_send_to_stream(&self, method: Method, path: &str, body: &Value) -> TestResponse {
        let uri = format!("{}/api/v2/{path}?api_key={STREAM_API_KEY}", self.stream().base_url());
        // The token has the wrong signature, so the check is disabled below.
        let token = self.stack().sign_token(json!({"server": true}));
        let headers = [
            ("authorization", token.as_str()),
            ("content-type", "application/json"),
            ("stream-auth-type", "jwt"),
        ];
        self.stream().set_disable_auth_checks(true);
        let response = self.send_request(method, &uri, &headers, body.to_string().as_bytes()).await;
        self.stream().set_disable_auth_checks(false);
        response
    }

    /// Sends a request to Stream with a user's own token, like the user's device. The path begins
    /// with `/video` or `/channels`.
    pub async fn send_to_stream_as(
        &self,
        user: &str,
        method: Method,
        path: &str,
        body: &Value,
    ) -> TestResponse {
        let token = self.post("/token", user, json!({})).await.expect_success();
        let token = token.body["token"].as_str().unwrap_or_default().to_owned();
        let base_url = self.stream().base_url();
        let uri = format!("{base_url}{path}?api_key={STREAM_API_KEY}&user_id={user}");
        let headers = [
            ("authorization", token.as_str()),
            ("content-type", "application/json"),
            ("stream-auth-type", "jwt"),
        ];
        self.send_request(method, &uri, &headers, body.to_string().as_bytes()).await
    }

    async fn send_request(
        &self,
        method: Method,
        uri: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> TestResponse {
        let mut request = Request::builder().method(method.clone()).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = match request.body(Full::new(Bytes::copy_from_slice(body))) {
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
        let response = TestResponse {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
            text: String::from_utf8_lossy(&body).into_owned(),
        };
        let path = uri.strip_prefix(self.stack().api_url()).filter(|path| path.starts_with('/'));
        if let Some(path) = path {
            OpenApiSpec::get().assert_http_response(&method, path, &response);
        }
        response
    }

    /// Invokes a function with an event, and returns its response.
    pub async fn invoke(&self, function: &str, event: Value) -> TestResponse {
        let response = match self.stack().invoke(function, event).await {
            Ok(response) => response,
            Err(error) => panic!("{function}: {error}"),
        };
        let body = response["body"].as_str().unwrap_or_default();
        let response = TestResponse {
            status: response["statusCode"].as_u64().and_then(|n| n.try_into().ok()).unwrap_or(0),
            headers: parse_headers(&response["headers"]),
            body: serde_json::from_str(body).unwrap_or_default(),
            text: body.to_owned(),
        };
        OpenApiSpec::get().assert_function_response(function, &response);
        response
    }

    /// The time of the stack, in milliseconds since 1970.
    #[must_use]
    pub fn now_millis(&self) -> i64 {
        let elapsed = self.stack().now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
    }

    /// Advances the time. Due actions at Stream run, and their webhooks arrive.
    pub async fn advance_time(&self, duration: Duration) {
        self.stack().advance(duration).await;
        self.stream().tick();
        self.stream().webhooks_idle().await;
    }

    /// Advances the time to the next minute, so that the following requests are in one minute.
    pub async fn advance_to_next_minute(&self) {
        let seconds_into_minute = u64::try_from(self.now_millis() / 1_000 % 60).unwrap_or(0);
        self.advance_time(Duration::from_secs(60 - seconds_into_minute)).await;
    }

    /// Advances the time by minutes, with a sweep after each. Returns the summaries of the sweeps.
    pub async fn advance_minutes(&self, minutes: usize) -> Vec<Value> {
        let mut sweeps = Vec::new();
        for _ in 0..minutes {
            self.advance_time(Duration::from_mins(1)).await;
            sweeps.push(self.sweep().await);
            self.stream().webhooks_idle().await;
        }
        sweeps
    }

    /// Runs the sweeper's task of every minute. Returns the summary.
    pub async fn sweep(&self) -> Value {
        self.run_sweeper_task("sweep").await
    }

    /// Runs the sweeper's task of every hour. Returns the summary.
    pub async fn reconcile(&self) -> Value {
        self.run_sweeper_task("reconcile").await
    }

    async fn run_sweeper_task(&self, task: &str) -> Value {
        match self.stack().invoke("sweeper", json!({"task": task})).await {
            Ok(summary) => summary,
            Err(error) => panic!("{task}: {error}"),
        }
    }

    /// Runs the consumers of the table's stream until no change is left.
    pub async fn drain_streams(&self) {
        if let Err(error) = self.stack().drain_streams().await {
            panic!("{error}");
        }
    }

    /// The events on the bus in the order of arrival, after all changes are processed. Each one
    /// matches its schema.
    pub async fn events(&self) -> Vec<Value> {
        self.drain_streams().await;
        let bus_events = self.stack().events();
        for event in &bus_events {
            let detail = &event["detail"];
            assert_event(detail);
            assert_eq!(event["detail-type"], detail["type"], "{event}");
            assert_eq!(event["source"], detail["source"], "{event}");
        }
        bus_events.into_iter().map(|event| event["detail"].clone()).collect()
    }

    /// Changes attributes of a raw item with an update expression.
    pub async fn update_item(&self, partition: &str, sort: &str, expression: &str, values: Value) {
        let key = json!({"pk": {"S": partition}, "sk": {"S": sort}});
        let update = json!({
            "Key": key,
            "UpdateExpression": expression,
            "ExpressionAttributeValues": values,
        });
        self.call_dynamo("UpdateItem", update).await;
    }

    /// A raw item of the table, or `null`.
    pub async fn get_item(&self, partition: &str, sort: &str) -> Value {
        let key = json!({"pk": {"S": partition}, "sk": {"S": sort}});
        self.call_dynamo("GetItem", json!({"Key": key})).await["Item"].clone()
    }

    /// The raw item of a call, or `null`.
    pub async fn get_call_item(&self, id: &str) -> Value {
        self.get_item(&format!("CALL#{id}"), "CALL").await
    }

    /// All raw items of the table, sorted by key.
    pub async fn scan_table(&self) -> Vec<Value> {
        let mut items = Vec::new();
        let mut page = self.call_dynamo("Scan", json!({})).await;
        loop {
            items.extend(page["Items"].as_array().into_iter().flatten().cloned());
            if page["LastEvaluatedKey"].is_null() {
                break;
            }
            let start = json!({"ExclusiveStartKey": page["LastEvaluatedKey"]});
            page = self.call_dynamo("Scan", start).await;
        }
        items.sort_by_cached_key(|item| (item["pk"].to_string(), item["sk"].to_string()));
        items
    }

    /// Writes a raw item to the table.
    pub async fn put_item(&self, item: Value) {
        self.call_dynamo("PutItem", json!({"Item": item})).await;
    }

    /// Deletes an item from the table.
    pub async fn delete_item(&self, partition: &str, sort: &str) {
        let key = json!({"pk": {"S": partition}, "sk": {"S": sort}});
        self.call_dynamo("DeleteItem", json!({"Key": key})).await;
    }

    async fn call_dynamo(&self, operation: &str, mut body: Value) -> Value {
        let dynamo = self.stack().dynamo();
        body["TableName"] = json!(dynamo.table_name());
        match local::dynamo::call(dynamo.url(), operation, &body).await {
            Ok(response) => response,
            Err(error) => panic!("{error}"),
        }
    }

    /// Resets the request counts.
    pub fn reset_counts(&self) {
        self.stack().dynamo().reset_counts();
        if let Some(emulator) = self.stack().stream() {
            emulator.reset_counts();
        }
    }

    /// The numbers of requests to DynamoDB and to Stream since the last reset.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let stream = self.stack().stream().map_or(0, |emulator| emulator.counts().total());
        (self.stack().dynamo().counts().values().sum(), stream)
    }
}

impl Drop for TestApp {
    /// Checks that the functions have printed no secret and no token.
    fn drop(&mut self) {
        if let Some(stack) = &self.stack
            && !std::thread::panicking()
        {
            assert_no_secrets(&stack.output());
            record_used_actions(stack);
        }
    }
}

/// The headers of a function's response.
fn parse_headers(values: &Value) -> HeaderMap {
    let header = |(name, value): (&String, &Value)| {
        let name = HeaderName::try_from(name.as_str()).ok()?;
        Some((name, HeaderValue::try_from(value.as_str()?).ok()?))
    };
    values.as_object().into_iter().flatten().filter_map(header).collect()
}

/// Appends the functions' actions on the table to the file of `USED_ACTIONS`.
/// `tests/template/unused_grants.py` compares them with the policies.
fn record_used_actions(stack: &Stack) {
    let Some(path) = std::env::var_os("USED_ACTIONS") else { return };
    let used = stack.dynamo().used_actions().into_iter();
    let lines: Vec<_> = used.map(|(function, action)| format!("{function} {action}\n")).collect();
    let file = OpenOptions::new().create(true).append(true).open(path);
    let result = file.and_then(|mut file| file.write_all(lines.concat().as_bytes()));
    assert!(result.is_ok(), "{result:?}");
}

/// `{"alg":"` in base64url, the start of every token here.
const JWT_PREFIX: &str = "eyJhbGciOi";

fn assert_no_secrets(output: &str) {
    for secret in [JWT_SECRET, STREAM_API_SECRET, APP_OBJECT_SECRET, JWT_PREFIX] {
        assert!(!output.contains(secret), "a function printed a secret or a token");
    }
}

/// The functions with a bearer token, in an order in which their sample events succeed.
pub const FUNCTIONS: [&str; 14] = [
    "user-upsert",
    "token",
    "call-create",
    "message-send",
    "message-list",
    "call-get",
    "call-list",
    "call-extend",
    "quality-report",
    "call-quality",
    "config",
    "call-end",
    "token-revoke",
    "user-delete",
];

/// The sample event of a function in `events/`.
#[must_use]
#[expect(clippy::panic, clippy::missing_panics_doc, reason = "a test cannot go on without it")]
pub fn sample_event(function: &str) -> Value {
    let path = local::workspace_root().join("events").join(function).with_extension("json");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    match serde_json::from_str(&text) {
        Ok(event) => event,
        Err(error) => panic!("events/{function}.json: {error}"),
    }
}
