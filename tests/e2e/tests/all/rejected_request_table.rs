//! A table of invalid requests, as raw bytes, by route. Each one is rejected with the expected
//! code, discloses nothing, and changes nothing. The functions keep running.
//!
//! Each request has exactly one error, and is rejected before any request to the table or Stream.

use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use e2e::{TestApp, send_raw};
use flate2::Compression;
use flate2::write::GzEncoder;
use local::{JWT_SECRET, STREAM_API_SECRET, TABLE_NAME};
use serde_json::{Value, json};
use tokio::time::timeout;

/// A status and an error code. The code is empty for responses of API Gateway itself.
type Outcome = (u16, &'static str);

/// The allowed outcomes of a case.
type AllowedOutcomes = &'static [Outcome];

const INVALID_PATH: AllowedOutcomes = &[(400, "invalid_path")];
const INVALID_ID: AllowedOutcomes = &[(400, "invalid_id")];
const INVALID_QUERY: AllowedOutcomes = &[(400, "invalid_query")];
const INVALID_HEADER: AllowedOutcomes = &[(400, "invalid_header")];
const INVALID_JSON: AllowedOutcomes = &[(400, "invalid_json")];
const INVALID_BODY: AllowedOutcomes = &[(400, "invalid_body")];
const CHANNEL_MISMATCH: AllowedOutcomes = &[(400, "call_channel_mismatch")];
const UNAUTHENTICATED: AllowedOutcomes = &[(401, "unauthenticated")];
const BAD_SIGNATURE: AllowedOutcomes = &[(401, "bad_signature")];
const USER_MISMATCH: AllowedOutcomes = &[(403, "user_mismatch")];
const BODY_TOO_LARGE: AllowedOutcomes = &[(413, "body_too_large")];
const UNSUPPORTED_MEDIA_TYPE: AllowedOutcomes = &[(415, "unsupported_media_type")];
/// The gateway rejects the path, or its server rejects the HTTP message.
const MALFORMED_HTTP: AllowedOutcomes = &[(400, "")];
const ROUTE_NOT_FOUND: AllowedOutcomes = &[(404, "")];
/// The head exceeds the limits of the gateway's server.
const HEADERS_TOO_LARGE: AllowedOutcomes = &[(400, ""), (413, ""), (414, ""), (431, "")];

/// A route with a valid request.
struct Route {
    method: &'static str,
    target: &'static str,
    body: &'static str,
}

const fn post(target: &'static str, body: &'static str) -> Route {
    Route { method: "POST", target, body }
}

/// The routes with a body. An empty object is valid for the first two.
static JSON_ROUTES: [Route; 8] = [
    post("/api/stream/token", "{}"),
    post("/api/stream/token/revoke", "{}"),
    post("/api/stream/user/upsert", r#"{"userData":{}}"#),
    post("/api/stream/call/create", r#"{"receiverId":"bob","callId":"c9","allowParallel":true}"#),
    post("/api/stream/call/end", r#"{"callId":"c1"}"#),
    post("/api/stream/message/send", r#"{"channelId":"call-c1","message":"Hi"}"#),
    post("/api/stream/call/quality/c1", r#"{"samples":[{"timestamp":1767225600000}]}"#),
    post("/api/stream/call/c1/extend", r#"{"maxDurationSeconds":600}"#),
];

static BODYLESS_ROUTES: [Route; 5] = [
    Route { method: "GET", target: "/api/stream/call/c1", body: "" },
    Route { method: "GET", target: "/api/stream/call/quality/c1", body: "" },
    Route { method: "GET", target: "/api/stream/message/call-c1", body: "" },
    Route { method: "GET", target: "/api/stream/config", body: "" },
    Route { method: "DELETE", target: "/api/stream/user/alice", body: "" },
];

static WEBHOOK_ROUTE: Route = post("/api/stream/webhook", r#"{"type":"health.check"}"#);

/// The routes that require a bearer token.
fn bearer_routes() -> impl Iterator<Item = &'static Route> {
    JSON_ROUTES.iter().chain(&BODYLESS_ROUTES)
}

/// A request before its serialization. It is not validated.
struct RawRequest {
    line: String,
    headers: Vec<(&'static str, Vec<u8>)>,
    body: Vec<u8>,
}

impl RawRequest {
    fn new(method: &str, target: &str) -> Self {
        let line = format!("{method} {target} HTTP/1.1");
        Self { line, headers: Vec::new(), body: Vec::new() }
    }

    /// A valid request to a route, without credentials.
    fn for_route(route: &Route) -> Self {
        let request = Self::new(route.method, route.target);
        if route.body.is_empty() { request } else { request.with_json(route.body) }
    }

    fn with_header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name, value.as_ref().to_vec()));
        self
    }

    fn with_token(self, token: &str) -> Self {
        self.with_header("authorization", format!("Bearer {token}"))
    }

    fn with_json(self, body: impl AsRef<[u8]>) -> Self {
        self.with_header("content-type", "application/json").with_body(body)
    }

    fn with_body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.line.clone().into_bytes();
        bytes.extend_from_slice(b"\r\n");
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if !self.headers.iter().any(|(name, _)| *name == "host") {
            bytes.extend_from_slice(b"host: localhost\r\n");
        }
        let end = format!("content-length: {}\r\nconnection: close\r\n\r\n", self.body.len());
        bytes.extend_from_slice(end.as_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// A label that identifies the request.
    fn label(&self) -> String {
        let headers =
            self.headers.iter().map(|(name, value)| format!("{name}: {}", redacted_excerpt(value)));
        let headers = headers.collect::<Vec<_>>().join(", ");
        format!(
            "{} [{headers}] {}",
            redacted_excerpt(self.line.as_bytes()),
            redacted_excerpt(&self.body)
        )
    }
}

/// The beginning of a text, without tokens.
fn redacted_excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let visible = text.split(JWT_PREFIX).next().unwrap_or_default();
    visible.chars().take(120).flat_map(char::escape_debug).collect()
}

/// A row of the table.
struct Case {
    label: String,
    bytes: Vec<u8>,
    allowed: AllowedOutcomes,
}

/// Words that a response must not contain.
const FORBIDDEN_WORDS: [&str; 15] = [
    "panicked",
    "stack backtrace",
    "serde",
    "src/",
    ".rs:",
    "dynamodb",
    "DynamoDB",
    "reqwest",
    "hyper",
    "tokio",
    "stream-functions-",
    "JWT_SECRET",
    "STREAM_API_SECRET",
    "TABLE_NAME",
    TABLE_NAME,
];

/// `{"alg":"` in base64url, the start of every token here.
const JWT_PREFIX: &str = "eyJhbGciOi";

impl Case {
    fn new(request: &RawRequest, allowed: AllowedOutcomes) -> Self {
        Self { label: request.label(), bytes: request.to_bytes(), allowed }
    }

    /// A case of raw bytes: an invalid request, or more than one.
    fn raw(bytes: &[u8], allowed: AllowedOutcomes) -> Self {
        Self { label: redacted_excerpt(bytes), bytes: bytes.to_vec(), allowed }
    }

    /// Checks that a response is allowed and complete, and contains no forbidden word.
    fn check(&self, response: &str) -> Result<(), String> {
        let (head, body) = response.split_once("\r\n\r\n").ok_or("no response")?;
        let status: u16 =
            head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        // A second response would make the body invalid JSON.
        let problem: Value = serde_json::from_str(body).unwrap_or_default();
        let code = problem["code"].as_str().unwrap_or_default();
        if !self.allowed.contains(&(status, code)) {
            let allowed = self.allowed;
            return Err(format!(
                "{status} {code:?}, not {allowed:?}: {}",
                redacted_excerpt(body.as_bytes())
            ));
        }
        let is_function_response = header_value(head, "content-type") == "application/problem+json";
        if is_function_response == code.is_empty() {
            return Err(format!("wrong content type: {}", redacted_excerpt(head.as_bytes())));
        }
        if is_function_response {
            let kind = format!("urn:stream-functions:{code}");
            let is_complete = problem["error"] == true
                && problem["status"] == status
                && problem["type"] == kind
                && header_value(head, "cache-control") == "no-store"
                && header_value(head, "x-content-type-options") == "nosniff";
            if !is_complete {
                return Err(format!(
                    "incomplete problem: {}",
                    redacted_excerpt(response.as_bytes())
                ));
            }
        }
        // The request id is random, and may contain a forbidden word.
        let body_without_instance =
            body.replace(problem["instance"].as_str().unwrap_or_default(), "");
        if let Some(word) =
            FORBIDDEN_WORDS.into_iter().find(|word| body_without_instance.contains(*word))
        {
            return Err(format!(
                "the response contains {word:?}: {}",
                redacted_excerpt(body.as_bytes())
            ));
        }
        for secret in [JWT_PREFIX, JWT_SECRET, STREAM_API_SECRET] {
            if response.contains(secret) {
                return Err("the response contains a token or a secret".to_owned());
            }
        }
        Ok(())
    }
}

/// A header of a response, or an empty string.
fn header_value<'a>(head: &'a str, name: &str) -> &'a str {
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
}

/// Bodies that are not a JSON object, or that parsers may read differently.
const INVALID_JSON_BODIES: &[&[u8]] = &[
    b"null",
    b"true",
    b"7",
    br#""text""#,
    b"[]",
    b"[{}]",
    b" ",
    b"\0",
    b"{",
    b"}",
    br#"{"userId":"#,
    br#"{"userId":"al"#,
    br#"{"userId":"alice""#,
    b"{}x",
    b"{}{}",
    b"{}\0",
    b"{userId:1}",
    b"{'userId':1}",
    br#"{"userId":1,}"#,
    b"{/**/}",
    b"<a/>",
    b"userId=alice",
    br#"{"userId":"alice","userId":"bob"}"#,
    br#"{"userId":"alice","user\u0049d":"bob"}"#,
    br#"{"custom":{"a":1,"a":2}}"#,
    br#"{"a":[[{"b":1,"b":1}]]}"#,
    br#"{"$serde_json::private::RawValue":"{}"}"#,
    br#"{"custom":{"$serde_json::private::RawValue":"{\"a\":1}"}}"#,
    br#"{"ttlSeconds":{"$serde_json::private::Number":"60"}}"#,
    br#"{"ttlSeconds":1e999}"#,
    br#"{"ttlSeconds":-1e999}"#,
    br#"{"ttlSeconds":NaN}"#,
    br#"{"ttlSeconds":Infinity}"#,
    br#"{"ttlSeconds":0x3c}"#,
    br#"{"ttlSeconds":060}"#,
    br#"{"ttlSeconds":+60}"#,
    br#"{"userId":"\x41"}"#,
    br#"{"userId":"\ud83"}"#,
    br#"{"userId":"\ud83d\ude0"}"#,
    br#"{"userId":"\ud83d\u"}"#,
    br#"{"userId":"\ud83d"#,
    br#"{"userId":"\u{d83d}"}"#,
    br#"{"custom":{"\ud83d":1,"\ude00":2}}"#,
    br#"{"\ud800":1,"\ufffd":2}"#,
    br#"{"a":{"b":1,"\u0062":2}}"#,
    br#"{"ttlSeconds":60.}"#,
    br#"{"ttlSeconds":.6e2}"#,
    br#"{"ttlSeconds":6e}"#,
    br#"{"ttlSeconds":6e+}"#,
    br#"{"ttlSeconds":--60}"#,
    br#"{"ttlSeconds":6_0}"#,
    br#"{"ttlSeconds":0b111100}"#,
    br#"{"ttlSeconds":60n}"#,
    b"{\"ttlSeconds\":\xef\xbc\x96\xef\xbc\x90}",
    br#"{"userId":undefined}"#,
    br#"{"userId":None}"#,
    br#"{"userId":True}"#,
    b"{\"userId\":\"al\nice\"}",
    b"{\"userId\":\"alice\"}\x1f\x8b",
    b"{}\n{}\n",
    b"\x1e{}",
    b"//\n{}",
    b")]}',\n{}",
    b"\x1f\x8b\x08\0\0\0\0\0\0\xff\xab\xae\x05\0\x43\xbf\xa6\xa3\x02\0\0\0",
    b"\0{\0}",
    b"{\"userId\":\"alice\0\"}",
    b"{\"userId\":\"alice\r\nx-user-id: bob\"}",
    b"{\"userId\":\"\xff\xfe\"}",
    b"{\"userId\":\"\xc0\xaf\"}",
    b"{\"userId\":\"\xed\xa0\x80\"}",
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\0}\0",
];

/// Objects with an unknown field.
const UNKNOWN_FIELDS: &[&str] = &[
    r#"{"nonsense":1}"#,
    r#"{"":1}"#,
    r#"{"\u0000":1}"#,
    r#"{"__proto__":{"admin":true}}"#,
    r#"{"constructor":{"prototype":{"admin":true}}}"#,
    r#"{"role":"admin"}"#,
    r#"{"user_id":"bob"}"#,
    r#"{"USERID":"bob"}"#,
    r#"{"$where":"sleep(1000)"}"#,
    r#"{"$ne":""}"#,
    r#"{"<script>alert(1)</script>":1}"#,
    r#"{"a\r\nx-user-id":"bob"}"#,
];

/// Bodies with halves of characters, which are replaced by U+FFFD. No id has that character.
const LONE_SURROGATES: &[&str] = &[
    r#"{"userId":"\ud800"}"#,
    r#"{"userId":"\udc00\ud800"}"#,
    r#"{"userId":"al\ud83d"}"#,
    r#"{"userId":"\ud83d\ud83d\ude00"}"#,
    r#"{"userId":["\ud83d"]}"#,
    r#"{"\ud800":1}"#,
    r#"{"__proto\ud83d__":{}}"#,
    r#"{"callId":"c\udfff"}"#,
    r#"{"channelId":"call-\ud83d"}"#,
    r#"{"ttlSeconds":"\ud800"}"#,
    r#"{"samples":"\ud800"}"#,
];

/// Requests without a body whose path or query is invalid.
const INVALID_BODYLESS_REQUESTS: &[(&str, &str, AllowedOutcomes)] = &[
    ("GET", "/api/stream/call/a.b", INVALID_ID),
    ("GET", "/api/stream/call/quality/a.b", INVALID_ID),
    ("GET", "/api/stream/message/call-", INVALID_ID),
    ("GET", "/api/stream/config?x=1", INVALID_QUERY),
    ("DELETE", "/api/stream/user/a.b", INVALID_ID),
];

fn body_cases(token: &str) -> Vec<Case> {
    let deep = [("[", "]"), (r#"{"a":"#, "}")].map(|(open, close)| {
        format!(r#"{{"a":{}1{}}}"#, open.repeat(1_000), close.repeat(1_000)).into_bytes()
    });
    let huge = format!(r#"{{"ttlSeconds":{}}}"#, "9".repeat(400)).into_bytes();
    let no_objects: Vec<&[u8]> = INVALID_JSON_BODIES
        .iter()
        .copied()
        .chain(deep.iter().map(Vec::as_slice))
        .chain([huge.as_slice()])
        .collect();
    let nested = format!(r#"{{"a":{}1{}}}"#, "[".repeat(100), "]".repeat(100));
    let long = format!(r#"{{"{}":1}}"#, "x".repeat(60_000));
    let invalid = UNKNOWN_FIELDS.iter().chain(LONE_SURROGATES).copied();
    let invalid = invalid.chain([nested.as_str(), long.as_str()]);
    let mut cases = Vec::new();
    for route in &JSON_ROUTES {
        let with = |body: &[u8]| RawRequest::for_route(route).with_token(token).with_body(body);
        cases.extend(no_objects.iter().map(|body| Case::new(&with(body), INVALID_JSON)));
        cases.extend(invalid.clone().map(|body| Case::new(&with(body.as_bytes()), INVALID_BODY)));
    }
    for route in &JSON_ROUTES[2..] {
        cases.push(Case::new(
            &RawRequest::for_route(route).with_token(token).with_body(""),
            INVALID_BODY,
        ));
    }
    // A body is ignored if the route has none.
    let unread: [&[u8]; 4] = [b"null", b"{", b"\xff\xfe", &deep[0]];
    for (method, target, allowed) in INVALID_BODYLESS_REQUESTS {
        for body in unread {
            let request = RawRequest::new(method, target).with_token(token).with_json(body);
            cases.push(Case::new(&request, allowed));
        }
    }
    cases
}

fn size_cases(token: &str) -> Vec<Case> {
    let oversized = "x".repeat(65_537);
    let padded = format!("{}{{}}", " ".repeat(65_535));
    let mut cases = Vec::new();
    for route in bearer_routes() {
        let request = |body: &str| {
            RawRequest::new(route.method, route.target).with_token(token).with_body(body)
        };
        cases.push(Case::new(&request(&oversized), BODY_TOO_LARGE));
        cases.push(Case::new(
            &request(&padded).with_header("content-type", "text/plain"),
            BODY_TOO_LARGE,
        ));
    }
    cases
}

/// Bodies with one invalid field, by route.
const INVALID_FIELDS: &[(&str, &[&str])] = &[
    (
        "/api/stream/token",
        &[
            r#"{"ttlSeconds":-1}"#,
            r#"{"ttlSeconds":0}"#,
            r#"{"ttlSeconds":59}"#,
            r#"{"ttlSeconds":60.5}"#,
            r#"{"ttlSeconds":59.0}"#,
            r#"{"ttlSeconds":59.999}"#,
            r#"{"ttlSeconds":5.9e1}"#,
            r#"{"ttlSeconds":60.000001}"#,
            r#"{"ttlSeconds":-0.0}"#,
            r#"{"ttlSeconds":0e0}"#,
            r#"{"ttlSeconds":6e-1}"#,
            r#"{"ttlSeconds":-6e1}"#,
            r#"{"ttlSeconds":-1e300}"#,
            r#"{"ttlSeconds":-9223372036854775809}"#,
            r#"{"ttlSeconds":"60"}"#,
            r#"{"ttlSeconds":"6e1"}"#,
            r#"{"ttlSeconds":true}"#,
            r#"{"ttlSeconds":[60]}"#,
            r#"{"ttlSeconds":{}}"#,
            r#"{"ttlSeconds":{"$gt":0}}"#,
            r#"{"userData":{"name":"Alice"},"name":"Alice"}"#,
            r#"{"userdata":{"name":"Alice"}}"#,
            r#"{"callIds":["c1"]}"#,
            r#"{"call_cids":["default:c1"]}"#,
            r#"{"exp":4102444800}"#,
        ],
    ),
    (
        "/api/stream/token/revoke",
        &[
            r#"{"userId":"alice","all":true}"#,
            r#"{"userIds":["bob"]}"#,
            r#"{"userId":"alice","before":0}"#,
            r#"{"userId":"alice","revokedAt":"2026-01-01T00:00:00Z"}"#,
            r#"{"userData":{}}"#,
            r#"{"ttlSeconds":60}"#,
            r#"{"callId":"c1"}"#,
            r#"{"devices":null}"#,
            r#"{"devices":"false"}"#,
            r#"{"devices":0}"#,
            r#"{"devices":["phone"]}"#,
        ],
    ),
    (
        "/api/stream/user/upsert",
        &[
            "{}",
            r#"{"userId":"alice"}"#,
            r#"{"userData":null}"#,
            r#"{"userData":7}"#,
            r#"{"userData":[]}"#,
            r#"{"userData":["Alice"]}"#,
            r#"{"userData":{},"role":"admin"}"#,
            r#"{"userData":{"role":"admin"}}"#,
            r#"{"userData":{"id":"bob"}}"#,
            r#"{"userData":{"teams":["x"]}}"#,
            r#"{"userData":{"name":""}}"#,
            r#"{"userData":{"name":"a\tb"}}"#,
            r#"{"userData":{"name":7}}"#,
            r#"{"userData":{"name":false}}"#,
            r#"{"userData":{"name":["Alice"]}}"#,
            r#"{"userData":{"name":{"$ne":""}}}"#,
            r#"{"userData":{"name":"a\u0000b"}}"#,
            r#"{"userData":{"name":"a\u0085b"}}"#,
            r#"{"userData":{"name":"a\r\nx-user-id: bob"}}"#,
            r#"{"userData":{"name":null,"nickname":null}}"#,
            r#"{"userData":{"image":""}}"#,
            r#"{"userData":{"image":7}}"#,
            r#"{"userData":{"image":["https://example.com/a.png"]}}"#,
            r#"{"userData":{"image":"/a.png"}}"#,
            r#"{"userData":{"image":"//evil.example/a.png"}}"#,
            r#"{"userData":{"image":"example.com/a.png"}}"#,
            r#"{"userData":{"image":"https://"}}"#,
            r#"{"userData":{"image":"https:///a.png"}}"#,
            r#"{"userData":{"image":"http:/example.com/a.png"}}"#,
            r#"{"userData":{"image":" https://example.com/a.png"}}"#,
            r#"{"userData":{"image":"https://example.com/a b.png"}}"#,
            r#"{"userData":{"image":"https://example.com/\r\nx: y"}}"#,
            r#"{"userData":{"image":"https://example.com/\u0000"}}"#,
            r#"{"userData":{"image":"javascript:alert(1)"}}"#,
            r#"{"userData":{"image":"javascript://example.com/%0aalert(1)"}}"#,
            r#"{"userData":{"image":"vbscript:msgbox(1)"}}"#,
            r#"{"userData":{"image":"data:image/png;base64,iVBORw0KGgo="}}"#,
            r#"{"userData":{"image":"data:text/html,<script>alert(1)</script>"}}"#,
            r#"{"userData":{"image":"blob:https://example.com/0f0a4d6e"}}"#,
            r#"{"userData":{"image":"file:///etc/passwd"}}"#,
            r#"{"userData":{"image":"ftp://example.com/a.png"}}"#,
            r#"{"userData":{"image":"mailto:alice@example.com"}}"#,
            r#"{"userData":{"image":"about:blank"}}"#,
            r#"{"userData":{"language":"e"}}"#,
            r#"{"userData":{"language":"english"}}"#,
            r#"{"userData":{"language":"en_US"}}"#,
            r#"{"userData":{"language":7}}"#,
            r#"{"userData":{"custom":7}}"#,
            r#"{"userData":{"custom":[]}}"#,
            r#"{"userData":{"custom":"{}"}}"#,
            r#"{"userData":{"custom":{"a":1},"extra":1}}"#,
            r#"{"userData":{"language":"e\ud800"}}"#,
            r#"{"userData":{"\ud83d":1}}"#,
        ],
    ),
    (
        "/api/stream/call/create",
        &[
            "{}",
            r#"{"receiverId":"alice"}"#,
            r#"{"memberIds":[]}"#,
            r#"{"memberIds":["alice"]}"#,
            r#"{"memberIds":"bob"}"#,
            r#"{"memberIds":{"0":"bob"}}"#,
            r#"{"receiverId":"bob","memberIds":["bob"]}"#,
            r#"{"receiverId":"bob","memberIds":[]}"#,
            r#"{"receiverId":["bob"]}"#,
            r#"{"receiverId":{"id":"bob"}}"#,
            r#"{"memberIds":[null]}"#,
            r#"{"memberIds":["bob",["carol"]]}"#,
            r#"{"receiverId":"bob","callType":""}"#,
            r#"{"receiverId":"bob","callType":"VIDEO"}"#,
            r#"{"receiverId":"bob","callType":"livestream"}"#,
            r#"{"receiverId":"bob","callType":7}"#,
            r#"{"receiverId":"bob","callType":[]}"#,
            r#"{"receiverId":"bob","callType":["video"]}"#,
            r#"{"receiverId":"bob","callType":{"video":null}}"#,
            r#"{"receiverId":"bob","callType":null}"#,
            r#"{"receiverId":"bob","callType":"video "}"#,
            r#"{"receiverId":"bob","callType":"video\ud83d"}"#,
            r#"{"receiverId":"bob","ring":1.0}"#,
            r#"{"receiverId":"bob","allowParallel":null}"#,
            r#"{"receiverId":"bob","ring":"true"}"#,
            r#"{"receiverId":"bob","ring":1}"#,
            r#"{"receiverId":"bob","ring":null}"#,
            r#"{"receiverId":"bob","allowParallel":"true"}"#,
            r#"{"receiverId":"bob","allowParallel":1}"#,
            r#"{"receiverId":"bob","custom":7}"#,
            r#"{"receiverId":"bob","custom":[]}"#,
            r#"{"receiverId":"bob","owner":"bob"}"#,
            r#"{"receiverId":"bob","createdBy":"bob"}"#,
            r#"{"receiverId":"bob","settings":{"recording":true}}"#,
            r#"{"receiverId":"bob","maxDurationSeconds":0}"#,
            r#"{"receiverId":"bob","maxDurationSeconds":59}"#,
            r#"{"receiverId":"bob","maxDurationSeconds":59.0}"#,
            r#"{"receiverId":"bob","maxDurationSeconds":60.5}"#,
            r#"{"receiverId":"bob","maxDurationSeconds":-60}"#,
            r#"{"receiverId":"bob","maxDurationSeconds":14401}"#,
            r#"{"receiverId":"bob","maxDurationSeconds":1e300}"#,
            r#"{"receiverId":"bob","maxDurationSeconds":18446744073709551615}"#,
            r#"{"receiverId":"bob","maxDurationSeconds":"60"}"#,
            r#"{"receiverId":"bob","maxDurationSeconds":true}"#,
            r#"{"receiverId":"bob","maxDurationSeconds":[60]}"#,
            r#"{"receiverId":"bob","max_duration_seconds":60}"#,
        ],
    ),
    (
        "/api/stream/call/c1/extend",
        &[
            "{}",
            r#"{"maxDurationSeconds":null}"#,
            r#"{"maxDurationSeconds":-1}"#,
            r#"{"maxDurationSeconds":60.5}"#,
            r#"{"maxDurationSeconds":1e300}"#,
            r#"{"maxDurationSeconds":18446744073709551616}"#,
            r#"{"maxDurationSeconds":"600"}"#,
            r#"{"maxDurationSeconds":true}"#,
            r#"{"maxDurationSeconds":[600]}"#,
            r#"{"maxDurationSeconds":{"$gt":0}}"#,
            r#"{"maxDurationSeconds":600,"callId":"c2"}"#,
            r#"{"maxDurationSeconds":600,"userId":"bob"}"#,
            r#"{"seconds":600}"#,
        ],
    ),
    (
        "/api/stream/call/end",
        &[
            "{}",
            r#"{"reason":"over"}"#,
            r#"{"callId":"c1","force":true}"#,
            r#"{"callId":"c1","userId":"bob"}"#,
            r#"{"callId":"c1","reason":""}"#,
            r#"{"callId":"c1","reason":7}"#,
            r#"{"callId":"c1","reason":[]}"#,
            r#"{"callId":"c1","reason":{"$gt":""}}"#,
            r#"{"callId":"c1","reason":"caf\u00e9"}"#,
            r#"{"callId":"c1","reason":"a\r\nb"}"#,
            r#"{"callId":"c1","reason":"a\u007fb"}"#,
            r#"{"callId":"c1","reason":"bye \ud83d"}"#,
            r#"{"callId":"c1","channelId":"c1"}"#,
            r#"{"callId":["c1"]}"#,
            r#"{"channelId":"c1"}"#,
            r#"{"channelId":"call-"}"#,
            r#"{"channelId":"CALL-c1"}"#,
            r#"{"channelId":"messaging:call-c1"}"#,
        ],
    ),
    (
        "/api/stream/message/send",
        &[
            "{}",
            r#"{"message":"Hi"}"#,
            r#"{"channelId":"call-c1"}"#,
            r#"{"channelId":"call-c1","message":""}"#,
            r#"{"channelId":"call-c1","message":null}"#,
            r#"{"channelId":"call-c1","message":7}"#,
            r#"{"channelId":"call-c1","message":["Hi"]}"#,
            r#"{"channelId":"call-c1","message":{"text":"Hi"}}"#,
            r#"{"channelId":"call-c1","message":"Hi","userId":"bob"}"#,
            r#"{"channelId":"call-c1","message":"Hi","type":"system"}"#,
            r#"{"channelId":"call-c1","message":"Hi","html":"<b>Hi</b>"}"#,
            r#"{"channelId":"call-c1","message":"Hi","attachments":[]}"#,
            r#"{"channelId":"c1","message":"Hi"}"#,
            r#"{"channelId":"call-","message":"Hi"}"#,
            r#"{"channelId":"messaging:call-c1","message":"Hi"}"#,
        ],
    ),
    (
        "/api/stream/call/quality/c1",
        &[
            "{}",
            r#"{"samples":null}"#,
            r#"{"samples":7}"#,
            r#"{"samples":{}}"#,
            r#"{"samples":[]}"#,
            r#"{"samples":[7]}"#,
            r#"{"samples":[null]}"#,
            r#"{"samples":[[]]}"#,
            r#"{"samples":[{}]}"#,
            r#"{"samples":[{"timestamp":null}]}"#,
            r#"{"samples":[{"timestamp":"1"}]}"#,
            r#"{"samples":[{"timestamp":true}]}"#,
            r#"{"samples":[{"timestamp":-1}]}"#,
            r#"{"samples":[{"timestamp":946684799999}]}"#,
            r#"{"samples":[{"timestamp":946684799999.9}]}"#,
            r#"{"samples":[{"timestamp":4102444800000.5}]}"#,
            r#"{"samples":[{"timestamp":1767225600}]}"#,
            r#"{"samples":[{"timestamp":1767225600000000}]}"#,
            r#"{"samples":[{"timestamp":1e308}]}"#,
            r#"{"samples":[{"timestamp":4102444800001}]}"#,
            r#"{"samples":[{"timestamp":1767225600000},{"timestamp":-1}]}"#,
            r#"{"samples":[{"timestamp":1767225600000,"jitter":-0.001}]}"#,
            r#"{"samples":[{"timestamp":1767225600000,"jitter":60.001}]}"#,
            r#"{"samples":[{"timestamp":1767225600000,"jitter":"0"}]}"#,
            r#"{"samples":[{"timestamp":1767225600000,"packetsLost":-1}]}"#,
            r#"{"samples":[{"timestamp":1767225600000,"packetsLost":1e10}]}"#,
            r#"{"samples":[{"timestamp":1767225600000,"fractionLost":1.5}]}"#,
            r#"{"samples":[{"timestamp":1767225600000,"frameWidth":16385}]}"#,
            r#"{"samples":[{"timestamp":1767225600000,"framesPerSecond":241}]}"#,
            r#"{"samples":[{"timestamp":1767225600000,"bitrate":1e300}]}"#,
            r#"{"samples":[{"timestamp":1767225600000,"packetsLost":"2"}]}"#,
            r#"{"samples":[{"timestamp":1767225600000,"audioLevel":1.000001}]}"#,
            r#"{"samples":[{"timestamp":1767225600000,"direction":"up"}]}"#,
            r#"{"samples":[{"timestamp":1767225600000,"direction":"\ud800"}]}"#,
            r#"{"samples":[{"timestamp":1767225600000,"direction":["inbound"]}]}"#,
            r#"{"samples":[[1767225600000]]}"#,
            r#"{"samples":[{"timestamp":1767225600000,"qualityLimitationReason":"magic"}]}"#,
            r#"{"samples":[{"timestamp":1767225600000,"userId":"bob"}]}"#,
            r#"{"samples":[{"timestamp":1767225600000,"__proto__":{}}]}"#,
            r#"{"samples":[{"timestamp":1767225600000}],"userId":"bob"}"#,
            r#"{"samples":[{"timestamp":1767225600000}],"callId":"c2"}"#,
            r#"{"samples":[{"timestamp":1767225600000}],"platform":"toaster"}"#,
            r#"{"samples":[{"timestamp":1767225600000}],"platform":7}"#,
        ],
    ),
];

/// The URL of a picture with this many characters.
fn image_url(length: usize) -> String {
    let start = "https://example.com/";
    format!("{start}{}", "a".repeat(length - start.len()))
}

fn field_cases(token: &str) -> Vec<Case> {
    let long = |length| "x".repeat(length);
    let member_ids: Vec<String> = (0..100).map(|n| format!("u{n}")).collect();
    let create_body = json!({"memberIds": member_ids, "callId": "c9"});
    let samples = vec![json!({"timestamp": 1_767_225_600_000_i64}); 61];
    let mut bodies: Vec<(&str, String)> = vec![
        ("/api/stream/user/upsert", json!({"userData": {"name": long(129)}}).to_string()),
        ("/api/stream/user/upsert", json!({"userData": {"name": long(60_000)}}).to_string()),
        ("/api/stream/user/upsert", json!({"userData": {"image": image_url(2_049)}}).to_string()),
        ("/api/stream/user/upsert", json!({"userData": {"image": image_url(60_000)}}).to_string()),
        (
            "/api/stream/user/upsert",
            json!({"userData": {"custom": {"a": long(4_096)}}}).to_string(),
        ),
        ("/api/stream/call/create", create_body.to_string()),
        (
            "/api/stream/call/create",
            json!({"receiverId": "bob", "custom": {"a": long(4_096)}}).to_string(),
        ),
        ("/api/stream/call/end", json!({"callId": "c1", "reason": long(65)}).to_string()),
        (
            "/api/stream/message/send",
            json!({"channelId": "call-c1", "message": long(5_001)}).to_string(),
        ),
        (
            "/api/stream/message/send",
            json!({"channelId": "call-c1", "message": format!("/{}", long(4_999))}).to_string(),
        ),
        (
            "/api/stream/message/send",
            json!({"channelId": "call-c1", "message": format!(" \n/{}", long(4_997))}).to_string(),
        ),
        ("/api/stream/call/quality/c1", json!({"samples": samples}).to_string()),
    ];
    for (target, listed) in INVALID_FIELDS {
        bodies.extend(listed.iter().map(|&body| (*target, body.to_owned())));
    }
    let case = |(target, body): &(&str, String)| {
        Case::new(&RawRequest::new("POST", target).with_token(token).with_json(body), INVALID_BODY)
    };
    let mut cases: Vec<Case> = bodies.iter().map(case).collect();
    let other = r#"{"callId":"c1","channelId":"call-c2"}"#;
    let other = RawRequest::new("POST", "/api/stream/call/end").with_token(token).with_json(other);
    cases.push(Case::new(&other, CHANNEL_MISMATCH));
    cases
}

/// Bodies in which `@` stands for an id.
const ID_FIELDS: &[(&str, &str)] = &[
    ("/api/stream/token", r#"{"userId":@}"#),
    ("/api/stream/token", r#"{"callId":@}"#),
    ("/api/stream/token/revoke", r#"{"userId":@}"#),
    ("/api/stream/user/upsert", r#"{"userId":@,"userData":{}}"#),
    ("/api/stream/call/create", r#"{"receiverId":@}"#),
    ("/api/stream/call/create", r#"{"memberIds":["bob",@]}"#),
    ("/api/stream/call/create", r#"{"receiverId":"bob","callId":@}"#),
    ("/api/stream/call/create", r#"{"receiverId":"bob","ownerId":@}"#),
    ("/api/stream/call/end", r#"{"callId":@}"#),
    ("/api/stream/call/end", r#"{"channelId":@}"#),
    ("/api/stream/message/send", r#"{"channelId":@,"message":"Hi"}"#),
    ("/api/stream/call/quality/c1", r#"{"batchId":@,"samples":[{"timestamp":1767225600000}]}"#),
    ("/api/stream/call/quality/c1", r#"{"deviceId":@,"samples":[{"timestamp":1767225600000}]}"#),
];

/// Values that are not valid ids.
const INVALID_IDS: &[&str] = &[
    "7",
    "-1",
    "1.5",
    "true",
    "[]",
    r#"["alice"]"#,
    "{}",
    r#"{"$ne":""}"#,
    r#"{"$regex":".*"}"#,
    r#""""#,
    r#"" ""#,
    r#""a b""#,
    r#""alice ""#,
    r#""a/b""#,
    r#""../bob""#,
    r#""a.b""#,
    r#""a\\b""#,
    r#""a%2fb""#,
    r#""a:b""#,
    r#""a,b""#,
    r#""*""#,
    r#""alice\u0000""#,
    r#""alice\r\nx-user-id: bob""#,
    r#""' OR '1'='1""#,
    r#""alice;DROP TABLE users--""#,
    r#""<script>alert(1)</script>""#,
    r#""${jndi:ldap://x}""#,
    r#""\u0430lice""#,
    r#""\uff41lice""#,
    r#""alice\u200b""#,
    r#""\ud83d\ude00""#,
    r#""alice\ud83d""#,
    r#""\ude00\ud83d""#,
    r#""alice\ufeff""#,
    "7.0",
    "1e3",
    r#"[["alice"]]"#,
];

/// Values that are not valid message ids. A message id may have any visible ASCII character that no
/// URL parser gives a meaning.
const INVALID_MESSAGE_IDS: &[&str] = &[
    "7",
    "1.5",
    "true",
    "[]",
    r#"["m1"]"#,
    "{}",
    r#"{"$ne":""}"#,
    r#""""#,
    r#"".""#,
    r#""..""#,
    r#"" ""#,
    r#""a b""#,
    r#""m1 ""#,
    r#"" m1""#,
    r#""a,b""#,
    r#""a%b""#,
    r#""a%2fb""#,
    r#""a/b""#,
    r#""../m1""#,
    r#""a\\b""#,
    r#""a?b""#,
    r#""a#b""#,
    r#""a\tb""#,
    r#""m1\u0000""#,
    r#""m1\u007f""#,
    r#""m1\u0085""#,
    r#""m1\r\nx-user-id: bob""#,
    r#""caf\u00e9""#,
    r#""m1\u200b""#,
    r#""\uff41""#,
    r#""\ud83d\ude00""#,
    r#""m1\ud83d""#,
    r#""<script>alert(1)</script>""#,
    r#""${jndi:ldap://x}""#,
];

fn id_cases(token: &str) -> Vec<Case> {
    let long = [65, 60_000].map(|length| format!("\"{}\"", "a".repeat(length)));
    let ids = INVALID_IDS.iter().copied().chain(long.iter().map(String::as_str));
    let mut cases = Vec::new();
    for (target, template) in ID_FIELDS {
        for id in ids.clone() {
            let body = template.replace('@', id);
            let request = RawRequest::new("POST", target).with_token(token).with_json(body);
            cases.push(Case::new(&request, INVALID_BODY));
        }
    }
    let long = [256, 60_000].map(|length| format!("\"{}\"", "a".repeat(length)));
    for id in INVALID_MESSAGE_IDS.iter().copied().chain(long.iter().map(String::as_str)) {
        let body = format!(r#"{{"channelId":"call-c1","message":"Hi","messageId":{id}}}"#);
        let request = RawRequest::new("POST", "/api/stream/message/send").with_token(token);
        cases.push(Case::new(&request.with_json(body), INVALID_BODY));
    }
    cases
}

const NON_JSON_CONTENT_TYPES: &[&[u8]] = &[
    b"",
    b"text/plain",
    b"text/html",
    b"text/json",
    b"application/xml",
    b"application/javascript",
    b"application/octet-stream",
    b"application/x-www-form-urlencoded",
    b"application/json, text/plain",
    b"application/json5",
    b"application/problem+json",
    b"application / json",
    b"application/json\xff",
    b"multipart/form-data; boundary=x",
    b"*/*",
    b"json",
    b"; application/json",
];

fn content_type_cases(token: &str) -> Vec<Case> {
    const NAME: &str = "content-type";
    let mut cases = Vec::new();
    for route in &JSON_ROUTES {
        let request = || RawRequest::new(route.method, route.target).with_token(token);
        for kind in NON_JSON_CONTENT_TYPES {
            for body in [route.body, " "] {
                let request = request().with_header(NAME, kind).with_body(body);
                cases.push(Case::new(&request, UNSUPPORTED_MEDIA_TYPE));
            }
        }
        let twice =
            request().with_header(NAME, "application/json").with_header(NAME, "application/json");
        cases.push(Case::new(&twice.with_body(route.body), UNSUPPORTED_MEDIA_TYPE));
        // Other parameters of a JSON content type are ignored.
        for kind in ["application/json; charset=utf-16", "APPLICATION/JSON", "application/json;"] {
            let request = request().with_header(NAME, kind).with_body(r#"{"nonsense":1}"#);
            cases.push(Case::new(&request, INVALID_BODY));
        }
        cases.push(Case::new(&request().with_body(r#"{"nonsense":1}"#), INVALID_BODY));
    }
    // An empty body counts as an empty object, whatever its type. These routes require a field.
    for route in &JSON_ROUTES[2..] {
        for kind in NON_JSON_CONTENT_TYPES {
            let request = RawRequest::new(route.method, route.target).with_token(token);
            cases.push(Case::new(&request.with_header(NAME, kind), INVALID_BODY));
        }
    }
    cases
}

/// A valid request to each route without credentials. It is the first request to each function.
fn unauthenticated_cases() -> Vec<Case> {
    let bearer =
        bearer_routes().map(|route| Case::new(&RawRequest::for_route(route), UNAUTHENTICATED));
    bearer.chain([Case::new(&RawRequest::for_route(&WEBHOOK_ROUTE), BAD_SIGNATURE)]).collect()
}

/// Invalid values of the `Authorization` header.
fn invalid_authorization_values(token: &str) -> Vec<String> {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let claims = part(r#"{"sub":"alice","role":"service","exp":4102444800}"#);
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, claims_part) = signed.split_once('.').unwrap();
    let unsigned = |alg: &str| part(&format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#));
    vec![
        String::new(),
        "Bearer".to_owned(),
        "Bearer null".to_owned(),
        "Basic YWxpY2U6YWxpY2U=".to_owned(),
        format!("Bearer {}", "x".repeat(5_000)),
        format!("Bearer {token}{}", "A".repeat(5_000)),
        token.to_owned(),
        format!("Token {token}"),
        format!("Bearer  {token}"),
        format!("Bearer {token},"),
        format!("Bearer {token} {token}"),
        format!("Bearer {signed}"),
        format!("Bearer {signed}."),
        format!("Bearer {}.{claims}.", unsigned("none")),
        format!("Bearer {}.{claims}.{signature}", unsigned("nOnE")),
        format!("Bearer {}.{claims_part}.{signature}", unsigned("RS256")),
        format!("Bearer {header}.{claims}.{signature}"),
    ]
}

fn credential_cases(app: &TestApp) -> Vec<Case> {
    let token = app.stack().token_for("alice");
    let values = invalid_authorization_values(&token);
    let mut cases = Vec::new();
    for route in bearer_routes() {
        let request = || RawRequest::for_route(route);
        let mut requests = vec![
            request().with_header("x-user-id", "alice").with_header("x-forwarded-user", "alice"),
            request().with_header("cookie", format!("authorization=Bearer {token}; userId=alice")),
            request().with_header("proxy-authorization", format!("Bearer {token}")),
            request().with_header("authorization", b"Bearer \xff\xfe"),
            request().with_header("authorization", "Basic YWxpY2U6YWxpY2U=").with_token(&token),
            request().with_token(&token).with_token(&token),
        ];
        requests.extend(values.iter().map(|value| request().with_header("authorization", value)));
        cases.extend(requests.iter().map(|request| Case::new(request, UNAUTHENTICATED)));
    }
    cases
}

/// Tokens with a valid signature and invalid claims.
fn claim_cases(app: &TestApp) -> Vec<Case> {
    const FAR_FUTURE: i64 = 4_102_444_800;
    let tokens = [
        json!({"sub": "alice"}),
        json!({"sub": "alice", "exp": 1_767_225_600}),
        json!({"sub": "alice", "exp": "4102444800"}),
        json!({"sub": "alice", "exp": -1}),
        json!({"sub": "alice", "exp": 1e300}),
        json!({"sub": "alice", "exp": FAR_FUTURE, "nbf": FAR_FUTURE - 1}),
        json!({"sub": "alice", "exp": FAR_FUTURE, "iat": FAR_FUTURE - 1}),
        json!({"sub": "alice", "exp": FAR_FUTURE, "aud": "other-apps"}),
        json!({"exp": FAR_FUTURE}),
        json!({"sub": "", "exp": FAR_FUTURE}),
        json!({"sub": 7.5, "exp": FAR_FUTURE}),
        json!({"sub": -7, "exp": FAR_FUTURE}),
        json!({"sub": 9_007_199_254_740_992_u64, "exp": FAR_FUTURE}),
        json!({"sub": true, "exp": FAR_FUTURE}),
        json!({"sub": null, "exp": FAR_FUTURE}),
        json!({"sub": {"id": "alice"}, "exp": FAR_FUTURE}),
        json!({"sub": "alice\u{fffd}", "exp": FAR_FUTURE}),
        // The user who creates the channels at Stream.
        json!({"sub": "stream-functions", "exp": FAR_FUTURE}),
        json!({"sub": ["alice"], "exp": FAR_FUTURE}),
        json!({"sub": "../bob", "exp": FAR_FUTURE}),
        json!({"sub": "a".repeat(65), "exp": FAR_FUTURE}),
        json!({"sub": "\u{430}lice", "exp": FAR_FUTURE}),
    ]
    .map(|claims| app.stack().sign_token(claims));
    let mut cases = Vec::new();
    for route in [&JSON_ROUTES[0], &BODYLESS_ROUTES[3], &BODYLESS_ROUTES[4]] {
        for token in &tokens {
            cases.push(Case::new(&RawRequest::for_route(route).with_token(token), UNAUTHENTICATED));
        }
    }
    cases
}

/// Headers by which some servers identify the user.
const SPOOFED_HEADERS: &[(&str, &str)] = &[
    ("x-user-id", "bob"),
    ("x-forwarded-user", "bob"),
    ("x-remote-user", "bob"),
    ("x-amzn-oidc-identity", "bob"),
    ("x-role", "service"),
    ("cookie", "userId=bob; role=service"),
    ("x-forwarded-for", "127.0.0.1"),
    ("forwarded", "for=127.0.0.1;by=bob"),
    ("x-http-method-override", "GET"),
    ("x-original-url", "/api/stream/config"),
    ("x-rewrite-url", "/api/stream/config"),
];

fn other_user_cases(token: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for (method, target, body) in [
        ("POST", "/api/stream/token", r#"{"userId":"bob"}"#),
        ("POST", "/api/stream/token/revoke", r#"{"userId":"bob"}"#),
        ("POST", "/api/stream/user/upsert", r#"{"userId":"bob","userData":{}}"#),
        ("POST", "/api/stream/call/create", r#"{"receiverId":"carol","ownerId":"bob"}"#),
        ("POST", "/api/stream/call/c1/extend", r#"{"maxDurationSeconds":600}"#),
        ("DELETE", "/api/stream/user/bob", ""),
    ] {
        for &(name, value) in SPOOFED_HEADERS {
            let request = RawRequest::new(method, target)
                .with_token(token)
                .with_header(name, value)
                .with_json(body);
            cases.push(Case::new(&request, USER_MISMATCH));
        }
    }
    // Similar ids are different users.
    for user in ["Alice", "ALICE", "alice@", "alice-", "_alice", "upsert"] {
        let body = json!({"userId": user}).to_string();
        let token_request =
            RawRequest::new("POST", "/api/stream/token").with_token(token).with_json(body);
        let deletion =
            RawRequest::new("DELETE", &format!("/api/stream/user/{user}")).with_token(token);
        cases.extend([token_request, deletion].map(|request| Case::new(&request, USER_MISMATCH)));
    }
    cases
}

/// Invalid idempotency keys.
fn idempotency_key_cases(token: &str) -> Vec<Case> {
    let long = "k".repeat(256);
    let keys: [&[u8]; 7] =
        [b"", b"a b", b"a\tb", b"\xc3\xa9", b"\xff", "\u{1f600}".as_bytes(), long.as_bytes()];
    let request = |key: &[u8]| {
        let body = r#"{"receiverId":"bob","allowParallel":true}"#;
        let request =
            RawRequest::new("POST", "/api/stream/call/create").with_token(token).with_json(body);
        Case::new(&request.with_header("idempotency-key", key), INVALID_HEADER)
    };
    keys.into_iter().map(request).collect()
}

const INVALID_HOSTS: &[&[u8]] = &[
    b"",
    b"[",
    b"]",
    b"[::1",
    b"a b",
    b"a\tb",
    b"a/b",
    b"a?b",
    b"a#b",
    b"a<b",
    b"a\\b",
    b"a%20b",
    b"a:b:c",
    b"user@",
    b"http://localhost",
    b"\"localhost\"",
    b"localhost\xff",
    b"caf\xc3\xa9",
];

/// The Host header and `x-forwarded-proto` are not read by the functions, and `lambda_http` would
/// panic on these values. So the requests are rejected for their missing credentials.
fn host_cases() -> Vec<Case> {
    const INVALID_PROTOCOLS: &[&[u8]] = &[b"", b"a b", b"https,http", b"\xff"];
    let mut cases = Vec::new();
    for (route, allowed) in [
        (&JSON_ROUTES[0], UNAUTHENTICATED),
        (&BODYLESS_ROUTES[3], UNAUTHENTICATED),
        (&BODYLESS_ROUTES[4], UNAUTHENTICATED),
        (&WEBHOOK_ROUTE, BAD_SIGNATURE),
    ] {
        for host in INVALID_HOSTS {
            let request = RawRequest::for_route(route).with_token("x").with_header("host", host);
            cases.push(Case::new(&request, allowed));
        }
        for protocol in INVALID_PROTOCOLS {
            let request = RawRequest::for_route(route).with_token("x");
            cases.push(Case::new(&request.with_header("x-forwarded-proto", protocol), allowed));
        }
    }
    cases
}

/// The routes whose path ends with an id.
const ID_PATHS: [(&str, &str); 5] = [
    ("GET", "/api/stream/call/"),
    ("GET", "/api/stream/call/quality/"),
    ("POST", "/api/stream/call/quality/"),
    ("GET", "/api/stream/message/"),
    ("DELETE", "/api/stream/user/"),
];

/// Invalid ids in a path, by outcome. The gateway decodes a path twice.
const INVALID_PATH_IDS: &[(AllowedOutcomes, &[&str])] = &[
    (
        INVALID_PATH,
        &[
            ".",
            "..",
            "%2e",
            "%2E%2e",
            ".%2e",
            "%252e%252e",
            "c1%25252e",
            "%2fc1",
            "c1%2f..%2fc2",
            "c1%2f%2fc2",
            "c1\\c2",
            "c1%5cc2",
            "c1%255cc2",
            "c1%00",
            "c1%2500",
            "c1%09",
            "c1%7f",
            "c1%0d%0ax-user-id:%20bob",
            "%2525",
            "c1%25252f",
        ],
    ),
    (
        INVALID_ID,
        &[
            "c1%2fc2",
            "c1%2f",
            "a.b",
            "...",
            "a%20b",
            "a+b",
            "a:b",
            "a;b",
            "a,b",
            "a=b",
            "a'b",
            "a%22b",
            "a|b",
            "*",
            "~",
            "(a)",
            "$ne",
            "%24ne",
            "{callId}",
            "${jndi:ldap}",
            "%3Cscript%3E",
            "c1%3Fx",
            "c1%23x",
            "c1%252541",
            "caf%C3%A9",
            "caf\u{e9}",
            "%D0%B0lice",
            "%EF%BD%81lice",
            "c1%E2%80%8B",
            "%F0%9F%98%80",
            "%ff",
            "%c0%ae%c0%ae",
            "%ed%a0%80",
        ],
    ),
    (MALFORMED_HTTP, &["%", "c1%2", "%zz", "%u0041", "c1%25", "<c1>", "a`b", "a^%", "a b"]),
    (ROUTE_NOT_FOUND, &["", "c1/", "c1/c2", "c1//c2", "./c1", "../c1"]),
];

/// Targets of missing or other routes.
const INVALID_TARGETS: &[(&str, &str, AllowedOutcomes)] = &[
    ("POST", "/", ROUTE_NOT_FOUND),
    ("POST", "*", ROUTE_NOT_FOUND),
    ("POST", "/token", ROUTE_NOT_FOUND),
    ("POST", "/api/stream", ROUTE_NOT_FOUND),
    ("POST", "/api/stream/", ROUTE_NOT_FOUND),
    ("POST", "/API/stream/token", ROUTE_NOT_FOUND),
    ("POST", "/api/stream/Token", ROUTE_NOT_FOUND),
    ("POST", "/api/stream/token/", ROUTE_NOT_FOUND),
    ("POST", "/api/stream/token//", ROUTE_NOT_FOUND),
    ("POST", "//api/stream/token", ROUTE_NOT_FOUND),
    ("POST", "/api//stream/token", ROUTE_NOT_FOUND),
    ("POST", "/api/stream//token", ROUTE_NOT_FOUND),
    ("POST", "/api/stream/./token", ROUTE_NOT_FOUND),
    ("POST", "/api/stream/../stream/token", ROUTE_NOT_FOUND),
    ("POST", "/api/stream/webhook/../token", ROUTE_NOT_FOUND),
    ("POST", "/api/stream/webhook/%2e%2e/token", ROUTE_NOT_FOUND),
    ("POST", "/api/stream/token%00", ROUTE_NOT_FOUND),
    ("POST", "/api/stream/token%20", ROUTE_NOT_FOUND),
    ("POST", "/api/stream/token%0d%0a", ROUTE_NOT_FOUND),
    ("POST", "/api/stream/token%2frevoke", ROUTE_NOT_FOUND),
    ("POST", "/api/stream/token%2e%2e", ROUTE_NOT_FOUND),
    ("POST", "/api/stream%2ftoken", ROUTE_NOT_FOUND),
    ("POST", "/api/stream/token;a=b", ROUTE_NOT_FOUND),
    ("POST", "/api/stream/token.json", ROUTE_NOT_FOUND),
    ("POST", "/api/stream\\token", ROUTE_NOT_FOUND),
    ("POST", "/api/stream/token%", MALFORMED_HTTP),
    ("POST", "/api/stream/%zztoken", MALFORMED_HTTP),
    ("POST", "api/stream/token", MALFORMED_HTTP),
    ("GET", "/.env", ROUTE_NOT_FOUND),
    ("GET", "/.git/config", ROUTE_NOT_FOUND),
    ("GET", "/2015-03-31/functions/function/invocations", ROUTE_NOT_FOUND),
    ("GET", "/2018-06-01/runtime/invocation/next", ROUTE_NOT_FOUND),
    ("GET", "/_emulator", ROUTE_NOT_FOUND),
    ("GET", "/api/stream/config/", ROUTE_NOT_FOUND),
    ("GET", "/api/stream/config/..", ROUTE_NOT_FOUND),
    ("GET", "/api/stream/message/send", INVALID_ID),
    ("GET", "/api/stream/message/c1", INVALID_ID),
    ("GET", "/api/stream/message/CALL-c1", INVALID_ID),
    ("GET", "/api/stream/message/messaging:call-c1", INVALID_ID),
    ("GET", "/api/stream/call/alice@", INVALID_ID),
    ("GET", "/api/stream/call/quality/alice@", INVALID_ID),
    ("POST", "/api/stream/call/alice@/extend", INVALID_ID),
    ("POST", "/api/stream/call/a.b/extend", INVALID_ID),
    ("POST", "/api/stream/call/%2e%2e/extend", INVALID_PATH),
    ("POST", "/api/stream/call//extend", ROUTE_NOT_FOUND),
    ("POST", "/api/stream/call/c1/extend/", ROUTE_NOT_FOUND),
    ("POST", "/api/stream/call/c1/Extend", ROUTE_NOT_FOUND),
    ("GET", "http://evil.example/api/stream/nothing", ROUTE_NOT_FOUND),
];

fn path_cases(token: &str) -> Vec<Case> {
    let case = |method: &str, target: &str, allowed: AllowedOutcomes| {
        Case::new(&RawRequest::new(method, target).with_token(token).with_json("{}"), allowed)
    };
    let mut cases = Vec::new();
    for (method, start) in ID_PATHS {
        for (allowed, ends) in INVALID_PATH_IDS {
            cases.extend(ends.iter().map(|end| case(method, &format!("{start}{end}"), allowed)));
        }
        for length in [65, 5_000] {
            cases.push(case(method, &format!("{start}{}", "a".repeat(length)), INVALID_ID));
        }
        cases.push(case(method, &format!("{start}{token}"), INVALID_ID));
        cases.push(case(method, &format!("{start}{}", "a".repeat(70_000)), HEADERS_TOO_LARGE));
    }
    for (method, target, allowed) in INVALID_TARGETS {
        cases.push(case(method, target, allowed));
    }
    // The encoded path is the same route, with the same checks.
    let encoded = RawRequest::new("POST", "/api/stream/%74oken").with_token(token).with_json("[]");
    cases.push(Case::new(&encoded, INVALID_JSON));
    for target in ["http://evil.example/api/stream/config", "/api/stream/%63onfig"] {
        cases.push(Case::new(&RawRequest::new("GET", target), UNAUTHENTICATED));
    }
    cases
}

const INVALID_QUERIES: &[(&str, &[&str])] = &[
    (
        "/api/stream/message/call-c1",
        &[
            "x",
            "x=1",
            "=1",
            "&&x=1",
            "__proto__=1",
            "limit[]=1",
            "limit[$gt]=1",
            "LIMIT=1",
            "limit",
            "limit=",
            "limit=0",
            "limit=101",
            "limit=256",
            "limit=-1",
            "limit=+1",
            "limit=1.5",
            "limit=1e1",
            "limit=0x1",
            "limit=abc",
            "limit=1%00",
            "limit=%EF%BC%91",
            "limit=1;limit=2",
            "limit=1&limit=1",
            "limit=1&%6cimit=1",
            "limit=1?limit=2",
            "limit=99999999999999999999",
            "before=",
            "before=a%2fb",
            "before=..%2f..",
            "before=a b",
            "before=a+b",
            "before=a%00b",
            "before=a%0d%0ab",
            "before=%ff",
            "before=%F0%9F%98%80",
            "before=a&before=b",
            "before=.",
            "before=..",
            "before=%2e%2e",
            "before=a%20",
            "before=a,b",
            "before=a%2cb",
            "before=a%25b",
            "before=a%5cb",
            "before=a%3fb",
            "before=a%23b",
            "before=a%09b",
            "before=a%7fb",
            "before=a%c2%a0b",
            "before=a%ed%a0%bdb",
            "before=%3Cscript%3Ealert(1)%3C/script%3E",
            "limit=1.0",
            "limit=1%20",
            "limit=%201",
            "limit=1,1",
            "_method=DELETE",
            "limit=1&_method=DELETE",
        ],
    ),
    (
        "/api/stream/call/quality/c1",
        &[
            "x=1",
            "format",
            "format=",
            "format=png",
            "format=SVG",
            "format=svg%00",
            "format=svg&format=svg",
            "format=..%2f..%2fetc%2fpasswd",
            "width=",
            "width=0",
            "width=319",
            "width=1601",
            "width=-800",
            "width=8e2",
            "width=800px",
            "width=4294967297",
            "width=800&width=800",
            "format=svg&height=9",
            "width=800.0",
            "width=%20800",
            "_method=POST",
        ],
    ),
    (
        "/api/stream/config",
        &[
            "x=1",
            "deep",
            "deep=",
            "deep=1",
            "deep=maybe",
            "deep=TRUE",
            "deep=true%00",
            "deep=true&deep=true",
            "deep=true&x=1",
            "DEEP=true",
            "deep[]=true",
            "deep=true%20",
            "_method=DELETE",
            "X-HTTP-Method-Override=DELETE",
        ],
    ),
];

fn query_cases(token: &str) -> Vec<Case> {
    let long = format!("before={}", "a".repeat(256));
    let secret = format!("access_token={token}");
    let mut queries = vec![
        ("/api/stream/message/call-c1", long.as_str()),
        ("/api/stream/message/call-c1", secret.as_str()),
        ("/api/stream/config", secret.as_str()),
    ];
    for (target, listed) in INVALID_QUERIES {
        queries.extend(listed.iter().map(|query| (*target, *query)));
    }
    let case = |&(target, query): &(&str, &str)| {
        // A space ends the target.
        let allowed = if query.contains(' ') { MALFORMED_HTTP } else { INVALID_QUERY };
        Case::new(&RawRequest::new("GET", &format!("{target}?{query}")).with_token(token), allowed)
    };
    let mut cases: Vec<Case> = queries.iter().map(case).collect();
    // A token in the query is ignored.
    let elsewhere = RawRequest::new("GET", &format!("/api/stream/config?{secret}"));
    cases.push(Case::new(&elsewhere, UNAUTHENTICATED));
    cases
}

/// Methods that the route does not have.
const INVALID_METHODS: &[(&str, &str)] = &[
    ("GET", "/api/stream/token"),
    ("DELETE", "/api/stream/token"),
    ("GET", "/api/stream/token/revoke"),
    ("GET", "/api/stream/user/alice"),
    ("POST", "/api/stream/user/alice"),
    ("DELETE", "/api/stream/call/c1"),
    ("POST", "/api/stream/call/c1"),
    ("GET", "/api/stream/call/c1/extend"),
    ("DELETE", "/api/stream/call/c1/extend"),
    ("DELETE", "/api/stream/call/quality/c1"),
    ("POST", "/api/stream/message/call-c1"),
    ("DELETE", "/api/stream/message/call-c1"),
    ("POST", "/api/stream/config"),
    ("GET", "/api/stream/webhook"),
    ("post", "/api/stream/token"),
    ("FROB", "/api/stream/token"),
    ("SEARCH", "/api/stream/call/c1"),
];

fn method_cases(token: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for route in bearer_routes().chain([&WEBHOOK_ROUTE]) {
        for method in ["PUT", "PATCH", "HEAD", "OPTIONS", "TRACE"] {
            let request =
                RawRequest::new(method, route.target).with_token(token).with_json(route.body);
            cases.push(Case::new(&request, ROUTE_NOT_FOUND));
        }
    }
    for (method, target) in INVALID_METHODS {
        let request = || RawRequest::new(method, target).with_token(token);
        cases.push(Case::new(&request(), ROUTE_NOT_FOUND));
        for override_method in ["POST", "DELETE"] {
            let request = request().with_header("x-http-method-override", override_method);
            cases.push(Case::new(&request, ROUTE_NOT_FOUND));
        }
    }
    cases
}

/// Invalid bodies with a valid signature.
const INVALID_WEBHOOK_BODIES: &[&[u8]] = &[
    b"",
    b"null",
    b"7",
    b"[]",
    br#""call.ended""#,
    b"{",
    b"{}",
    br#"{"type":null}"#,
    br#"{"type":7}"#,
    br#"{"type":[]}"#,
    br#"{"type":NaN}"#,
    br#"{"type":1e999}"#,
    br#"{"type":"\ud800"}"#,
    b"{\"type\":\"\0\"}",
    b"{\"type\":\"\xff\"}",
    b"\xef\xbb\xbf{\"type\":\"call.ended\"}",
    br#"{"type":"call.ended","type":"user.deleted"}"#,
    br#"{"type":"health.check"}x"#,
    br#"{"type":"health.check"}{}"#,
    br#"{"type":"call.ended"}"#,
    br#"{"type":"call.ended","call_cid":"default:c1"}"#,
    br#"{"type":"call.ended","created_at":"2026-01-01T00:00:00Z"}"#,
    br#"{"type":"call.ended","created_at":"2026-01-01T00:00:00Z","call_cid":7}"#,
    br#"{"type":"call.ended","created_at":"yesterday","call_cid":"default:c1"}"#,
    br#"{"type":"call.ended","created_at":{"$gt":""},"call_cid":"default:c1"}"#,
    br#"{"type":"user.deleted","created_at":"2026-01-01T00:00:00Z"}"#,
    br#"{"type":"user.deleted","created_at":"2026-01-01T00:00:00Z","user":"alice"}"#,
    br#"{"type":"user.deleted","created_at":"2026-01-01T00:00:00Z","user":{"id":{"$ne":""}}}"#,
    br#"{"type":"user.banned","created_at":"2026-01-01T00:00:00Z"}"#,
    br#"{"type":"user.banned","created_at":"2026-01-01T00:00:00Z","user":"alice"}"#,
    br#"{"type":"user.banned","created_at":0,"user":{"id":"alice"},"expiration":"soon"}"#,
    br#"{"type":"user.banned","created_at":0,"user":{"id":"alice"},"expiration":1.5}"#,
    br#"{"type":"user.banned","created_at":0,"user":{"id":"alice"},"shadow":"yes"}"#,
    br#"{"type":"user.banned","created_at":0,"user":{"id":"alice"},"cid":7}"#,
    br#"{"type":"user.unbanned","user":{"id":"alice"}}"#,
    br#"{"type":"call.ended","created_at":1.5,"call_cid":"default:c1"}"#,
    br#"{"type":"call.ended","created_at":1e18,"call_cid":"default:c1"}"#,
    br#"{"type":"call.ended","created_at":99999999999999999999,"call_cid":"default:c1"}"#,
    br#"{"type":"call.ended","created_at":true,"call_cid":"default:c1"}"#,
    br#"{"type":"call.ended","created_at":"","call_cid":"default:c1"}"#,
    br#"{"type":"call.ended","created_at":"2026-01-01","call_cid":"default:c1"}"#,
    br#"{"type":"call.ended","created_at":"2026-13-01T00:00:00Z","call_cid":"default:c1"}"#,
    br#"{"type":"call.session_started","created_at":0,"call_cid":["default:c1"]}"#,
    br#"{"type":"call.stats_report_ready","created_at":0,"call_cid":"default:c1","session_id":7}"#,
    br#"{"type":"call.stats_report_ready","created_at":0,"call_cid":"default:c1"}"#,
    br#"{"type":"call.user_feedback_submitted","created_at":0,"call_cid":"default:c1","session_id":"s"}"#,
];

fn webhook_cases(app: &TestApp) -> Vec<Case> {
    const NAME: &str = "x-signature";
    let sign = |body: &[u8]| app.stack().sign_webhook(body);
    let valid_signature = sign(WEBHOOK_ROUTE.body.as_bytes());
    let signatures = [
        String::new(),
        valid_signature.to_uppercase(),
        valid_signature[..62].to_owned(),
        format!("{valid_signature}00"),
        format!("{valid_signature},{valid_signature}"),
        format!("sha256={valid_signature}"),
        "0".repeat(64),
        "g".repeat(64),
        "\u{e9}".repeat(32),
        "0".repeat(5_000),
        sign(b"{}"),
        sign(b""),
    ];
    let request = || RawRequest::for_route(&WEBHOOK_ROUTE);
    let mut requests: Vec<RawRequest> =
        signatures.iter().map(|signature| request().with_header(NAME, signature)).collect();
    requests.extend([
        request().with_token(&app.stack().token_for("alice")),
        request().with_token(&valid_signature),
        request().with_header(NAME, &valid_signature).with_header(NAME, &valid_signature),
        request()
            .with_header("x-api-key", &valid_signature)
            .with_header("signature", &valid_signature),
        request().with_header(NAME, &valid_signature).with_body(r#"{"type":"health.check"} "#),
        request().with_header(NAME, &valid_signature).with_body(""),
        request().with_header(NAME, &valid_signature).with_body(b"\x1f\x8b not gzip"),
        request().with_header(NAME, &valid_signature).with_body("x".repeat(65_537)),
        RawRequest::new("POST", &format!("{}?signature={valid_signature}", WEBHOOK_ROUTE.target))
            .with_json(WEBHOOK_ROUTE.body),
    ]);
    let mut cases: Vec<Case> =
        requests.iter().map(|request| Case::new(request, BAD_SIGNATURE)).collect();
    for body in INVALID_WEBHOOK_BODIES {
        let request = request().with_header(NAME, sign(body)).with_body(body);
        cases.push(Case::new(&request, INVALID_JSON));
    }
    let oversized = "x".repeat(256 * 1024 + 1);
    let signature = sign(oversized.as_bytes());
    cases.push(Case::new(
        &request().with_header(NAME, signature).with_body(oversized),
        BODY_TOO_LARGE,
    ));
    cases
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// A copy in which one bit of the byte at this distance from the end differs.
fn with_changed_bit(bytes: &[u8], from_end: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    let at = changed.len() - from_end;
    changed[at] ^= 1;
    changed
}

/// Compressed webhook bodies with the signature of what they seem to contain.
fn gzip_cases(app: &TestApp) -> Vec<Case> {
    let request = |signed: &[u8], sent: Vec<u8>| {
        let signature = app.stack().sign_webhook(signed);
        RawRequest::for_route(&WEBHOOK_ROUTE).with_header("x-signature", signature).with_body(sent)
    };
    let plain = WEBHOOK_ROUTE.body.as_bytes();
    let zipped = gzip(plain);
    let followed_by = |tail: &[u8]| [&zipped[..], tail].concat();
    let cut_by = |length: usize| zipped[..zipped.len() - length].to_vec();
    let mut wrong_method = zipped.clone();
    wrong_method[2] = 7;
    let too_large = vec![b' '; 1024 * 1024 + 1];
    let bodies = [
        // Bytes after the last member.
        followed_by(b"\0"),
        followed_by(b"\n"),
        followed_by(b"{}"),
        followed_by(plain),
        followed_by(b"\x1f"),
        followed_by(b"\x1f\x8b"),
        followed_by(&cut_by(1)),
        followed_by(&with_changed_bit(&zipped, 8)),
        // An incomplete or damaged member.
        cut_by(1),
        cut_by(4),
        cut_by(8),
        cut_by(zipped.len() - 10),
        cut_by(zipped.len() - 2),
        with_changed_bit(&zipped, 8),
        with_changed_bit(&zipped, 4),
        wrong_method,
        // A body within a body, and one that does not begin as gzip.
        gzip(&zipped),
        [&b"\0"[..], &zipped[..]].concat(),
    ];
    let mut cases: Vec<Case> =
        bodies.map(|sent| Case::new(&request(plain, sent), BAD_SIGNATURE)).into();
    // Over the size limit in one member, in two and in many.
    for size in [too_large.len(), 600_000, 4_096] {
        let sent = too_large.chunks(size).flat_map(gzip).collect();
        cases.push(Case::new(&request(&too_large, sent), BAD_SIGNATURE));
    }
    // The signature is valid, but the body is gzip instead of JSON.
    cases.push(Case::new(&request(&zipped, gzip(&zipped)), INVALID_JSON));
    cases
}

/// Invalid HTTP messages.
const INVALID_HTTP: &[&[u8]] = &[
    b"GET /api/stream/config\r\n\r\n",
    b"GET /api/stream/config \r\n\r\n",
    b"GET  HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET /api/stream/config HTTP/9.9\r\nhost: a\r\n\r\n",
    b"GET /api/stream/config HTTP/1.1 x\r\nhost: a\r\n\r\n",
    b"GET /api/stream/call/\xff HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET /api/stream/call/a\0b HTTP/1.1\r\nhost: a\r\n\r\n",
    b"G@T /api/stream/config HTTP/1.1\r\nhost: a\r\n\r\n",
    b" GET /api/stream/config HTTP/1.1\r\nhost: a\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n",
    b"GET /api/stream/config HTTP/1.1\r\nhost: a\r\nno header\r\n\r\n",
    b"GET /api/stream/config HTTP/1.1\r\nhost : a\r\n\r\n",
    b"GET /api/stream/config HTTP/1.1\r\n: a\r\n\r\n",
    b"GET /api/stream/config HTTP/1.1\r\nhost: a\r\nx: a\r\n b\r\n\r\n",
    b"GET /api/stream/config HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n",
    b"GET /api/stream/config HTTP/1.1\r\nhost: a\r\nx: a\rb\r\n\r\n",
    b"GET /api/stream/config HTTP/1.1\r\nhost: a\r\n\xc3\xa9: b\r\n\r\n",
    b"POST /api/stream/token HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n",
    b"POST /api/stream/token HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
    b"POST /api/stream/token HTTP/1.1\r\nhost: a\r\ncontent-length: +2\r\n\r\n{}",
    b"POST /api/stream/token HTTP/1.1\r\nhost: a\r\ncontent-length: 2, 3\r\n\r\n{}",
    b"POST /api/stream/token HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
    b"POST /api/stream/token HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n{}",
    b"POST /api/stream/token HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"POST /api/stream/token HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
];

/// Requests that could contain a second one. Each one has exactly one response, with the same
/// checks.
const SMUGGLED_REQUESTS: &[&[u8]] = &[
    b"POST /api/stream/token HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\
      transfer-encoding: chunked\r\nconnection: close\r\n\r\n0\r\n\r\n",
    b"POST /api/stream/token HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\
      content-length: 4\r\nconnection: close\r\n\r\n0\r\n\r\nGET /api/stream/config HTTP/1.1\r\n\r\n",
    b"POST /api/stream/token HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n\r\n\
      GET /api/stream/config HTTP/1.1\r\nhost: a\r\n\r\n",
    b"POST /api/stream/token HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\
      connection: close\r\n\r\n2\r\n{}\r\n0\r\nauthorization: Bearer x\r\n\r\n",
];

fn raw_http_cases() -> Vec<Case> {
    let mut cases: Vec<Case> =
        INVALID_HTTP.iter().map(|bytes| Case::raw(bytes, MALFORMED_HTTP)).collect();
    cases.extend(SMUGGLED_REQUESTS.iter().map(|bytes| Case::raw(bytes, UNAUTHENTICATED)));
    let many = format!("GET /api/stream/config HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(150));
    let claimed = "POST /api/stream/token HTTP/1.1\r\ncontent-length: 18446744073709551615\r\n\r\n";
    for large in [many.as_str(), claimed] {
        cases.push(Case::raw(large.as_bytes(), HEADERS_TOO_LARGE));
    }
    cases
}

fn all_cases(app: &TestApp) -> Vec<Case> {
    let token = app.stack().token_for("alice");
    let sections = [
        body_cases(&token),
        size_cases(&token),
        field_cases(&token),
        id_cases(&token),
        content_type_cases(&token),
        credential_cases(app),
        claim_cases(app),
        other_user_cases(&token),
        idempotency_key_cases(&token),
        host_cases(),
        path_cases(&token),
        query_cases(&token),
        method_cases(&token),
        webhook_cases(app),
        gzip_cases(app),
        raw_http_cases(),
    ];
    sections.into_iter().flatten().collect()
}

/// Sends the requests one after the other. Returns the failed cases.
async fn failed_cases(app: &TestApp, cases: &[Case]) -> Vec<String> {
    const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
    let mut failures = Vec::new();
    for case in cases {
        let response =
            timeout(RESPONSE_TIMEOUT, send_raw(app.stack().api_url(), &case.bytes)).await;
        let checked = match response {
            Ok(Ok(response)) => case.check(&response),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no response in time".to_owned()),
        };
        if let Err(reason) = checked {
            failures.push(format!("{}\n    {reason}", case.label));
        }
    }
    failures
}

/// The processes, the state of Stream and the table.
async fn system_state(app: &TestApp) -> (Vec<u32>, Value, Vec<Value>) {
    (app.stack().process_ids(), app.stream().snapshot(), app.scan_table().await)
}

async fn assert_every_route_works(app: &TestApp) {
    let sample = json!({"timestamp": app.now_millis(), "jitter": 0.01});
    for (path, body) in [
        ("/token", json!({})),
        ("/user/upsert", json!({"userData": {"name": "Alice"}})),
        ("/call/create", json!({"receiverId": "bob", "callId": "c2", "allowParallel": true})),
        ("/message/send", json!({"channelId": "call-c1", "message": "Hi"})),
        ("/call/quality/c1", json!({"samples": [sample]})),
    ] {
        let _ = app.post(path, "alice", body).await.expect_success();
    }
    for path in ["/config", "/call/c1", "/call/quality/c1", "/message/call-c1"] {
        let _ = app.get(path, "alice").await.expect_success();
    }
    let extend = json!({"maxDurationSeconds": 600});
    let _ = app.post_as_service("/call/c1/extend", extend).await.expect_success();
    let _ = app.send_webhook(&json!({"type": "health.check"})).await.expect_success();
    let _ = app.post("/call/end", "alice", json!({"callId": "c1"})).await.expect_success();
    let _ = app.post("/token/revoke", "alice", json!({})).await.expect_success();
    let _ = app.delete("/user/alice", "alice").await.expect_success();
}

#[tokio::test]
async fn invalid_requests_are_rejected_without_changes() {
    let app = TestApp::with_call("c1").await;
    let (unauthenticated, cases) = (unauthenticated_cases(), all_cases(&app));
    let count = unauthenticated.len() + cases.len();
    assert!(count >= 300, "{count}");
    let is_rejected =
        |case: &Case| case.allowed.iter().all(|(status, _)| (400..500).contains(status));
    assert!(cases.iter().all(is_rejected));

    // Every function has a process before the state is read.
    assert_eq!(failed_cases(&app, &unauthenticated).await, Vec::<String>::new());
    let before = system_state(&app).await;
    assert_eq!(before.0.len(), unauthenticated.len());
    app.reset_counts();

    let failures = failed_cases(&app, &cases).await;
    assert!(failures.is_empty(), "{} of {count}:\n{}", failures.len(), failures.join("\n"));
    // No request reached the table or Stream.
    assert_eq!(app.counts(), (0, 0));
    assert_eq!(system_state(&app).await, before);

    assert_every_route_works(&app).await;
    assert_eq!(app.stack().process_ids(), before.0);
    println!("{count} invalid requests were rejected");
}
