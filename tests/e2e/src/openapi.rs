//! Compares every response in the end-to-end tests with `docs/openapi.yaml`. An undocumented
//! response fails the test.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use http::Method;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::TestResponse;

/// The schema of API Gateway's own error responses.
const GATEWAY_MESSAGE_SCHEMA: &str = "#/components/schemas/GatewayMessage";

/// The description of the API.
pub struct OpenApiSpec {
    document: Value,
    /// Compiled validators, by the text of their schemas.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl OpenApiSpec {
    /// The document, which is read once.
    #[must_use]
    pub fn get() -> &'static Self {
        static SPEC: LazyLock<OpenApiSpec> = LazyLock::new(OpenApiSpec::load);
        &SPEC
    }

    #[expect(clippy::panic, reason = "a failed setup must fail the test")]
    fn load() -> Self {
        let path = local::workspace_root().join("docs").join("openapi.yaml");
        let text = fs::read_to_string(path).unwrap_or_default();
        match local::parse_yaml(&text) {
            Ok(document) => Self { document, validators: Mutex::default() },
            Err(error) => panic!("docs/openapi.yaml: {error}"),
        }
    }

    /// The documented error codes, each with its status and title.
    #[must_use]
    pub fn error_table(&self) -> BTreeSet<(String, u64, String)> {
        let problem = &self.document["components"]["schemas"]["Problem"];
        let rows = problem["dependentSchemas"]["code"]["oneOf"].as_array();
        let row = |row: &Value| {
            let const_value = |name: &str| row["properties"][name]["const"].clone();
            let text = |name: &str| const_value(name).as_str().unwrap_or_default().to_owned();
            (text("code"), const_value("status").as_u64().unwrap_or_default(), text("title"))
        };
        rows.into_iter().flatten().map(row).collect()
    }

    /// The error codes that operations return.
    #[must_use]
    pub fn response_error_codes(&self) -> BTreeSet<String> {
        let mut codes = BTreeSet::new();
        let items = self.document["paths"].as_object().into_iter().flatten();
        for (_, operation) in items.flat_map(|(_, item)| item.as_object().into_iter().flatten()) {
            for (_, response) in operation["responses"].as_object().into_iter().flatten() {
                let problem =
                    &self.resolve_reference(response)["content"]["application/problem+json"];
                for part in problem["schema"]["allOf"].as_array().into_iter().flatten() {
                    let named = part["properties"]["code"]["enum"].as_array();
                    let named = named.into_iter().flatten().filter_map(Value::as_str);
                    codes.extend(named.map(str::to_owned));
                }
            }
        }
        codes
    }

    /// Fails the test if the response to a request is not documented.
    pub(crate) fn assert_http_response(
        &self,
        method: &Method,
        path: &str,
        response: &TestResponse,
    ) {
        let violations = match self.find_operation(method, path) {
            Some(operation) => self.violations(operation, response),
            None if matches!(response.status, 400 | 404) => {
                self.schema_violations(&json!({ "$ref": GATEWAY_MESSAGE_SCHEMA }), &response.body)
            }
            None => vec!["the document has no such operation".to_owned()],
        };
        // The message has neither the query nor the body, which may contain personal data.
        let path = path.split('?').next().unwrap_or_default();
        let status = response.status;
        assert!(violations.is_empty(), "{method} {path} {status}: {}", violations.join("; "));
    }

    /// Fails the test if the response of a function is not documented.
    pub(crate) fn assert_function_response(&self, function: &str, response: &TestResponse) {
        let items = self.document["paths"].as_object().into_iter().flatten();
        let mut operations = items.flat_map(|(_, item)| {
            item.as_object().into_iter().flatten().map(|(_, operation)| operation)
        });
        let violations = match operations.find(|operation| operation["operationId"] == function) {
            Some(operation) => self.violations(operation, response),
            None => vec!["the document has no such operation".to_owned()],
        };
        let status = response.status;
        assert!(violations.is_empty(), "{function} {status}: {}", violations.join("; "));
    }

    /// The operation for a request. A literal segment takes precedence over a parameter.
    fn find_operation(&self, method: &Method, path: &str) -> Option<&Value> {
        let path = path.split('?').next().unwrap_or_default();
        let method = method.as_str().to_ascii_lowercase();
        let paths = self.document["paths"].as_object()?.iter();
        let matching = paths.filter(|(template, _)| path_matches(template, path));
        let operations =
            matching.filter_map(|(template, item)| Some((template, item.get(&method)?)));
        let best = operations.min_by_key(|(template, _)| template.matches('{').count());
        best.map(|(_, operation)| operation)
    }

    /// The differences between a response and the operation.
    fn violations(&self, operation: &Value, response: &TestResponse) -> Vec<String> {
        let Some(documented) = operation["responses"].get(response.status.to_string()) else {
            return vec![format!(
                "the status is not documented (code {:?})",
                response.error_code()
            )];
        };
        let documented = self.resolve_reference(documented);
        let content_type =
            response.headers.get("content-type").and_then(|value| value.to_str().ok());
        let media_type =
            content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let Some(media) = documented["content"].get(media_type) else {
            return vec![format!("the media type {media_type:?} is not documented")];
        };
        let mut violations = if media_type.ends_with("json") {
            self.schema_violations(&media["schema"], &response.body)
        } else {
            self.schema_violations(&media["schema"], &json!(response.text))
        };
        for (name, header) in documented["headers"].as_object().into_iter().flatten() {
            let value = response.headers.get(name.as_str());
            let value = value.map(|value| value.to_str().unwrap_or_default());
            let header_violations = self.header_violations(self.resolve_reference(header), value);
            violations.extend(
                header_violations.into_iter().map(|violation| format!("{name}: {violation}")),
            );
        }
        violations
    }

    /// The differences between a header and its description.
    fn header_violations(&self, header: &Value, value: Option<&str>) -> Vec<String> {
        let schema = &header["schema"];
        match value {
            Some(text) if schema["type"] == "integer" => {
                let number = text.parse::<u64>().map_or(Value::Null, Value::from);
                self.schema_violations(schema, &number)
            }
            Some(text) => self.schema_violations(schema, &json!(text)),
            None if header["required"] == true => vec!["the header is missing".to_owned()],
            None => Vec::new(),
        }
    }

    /// The schema violations of a value. They name the position and the rule, but not the value,
    /// which may be a token.
    fn schema_violations(&self, schema: &Value, value: &Value) -> Vec<String> {
        let validator = self.validator(schema);
        let errors = validator.iter_errors(value);
        errors.map(|error| format!("{}: {}", error.instance_path(), error.masked())).collect()
    }

    #[expect(clippy::panic, reason = "a failed setup must fail the test")]
    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let build = || {
            let mut root = schema.clone();
            // The schemas refer to the components of the document.
            root["components"] = json!({ "schemas": self.document["components"]["schemas"] });
            match jsonschema::draft202012::new(&root) {
                Ok(validator) => Arc::new(validator),
                Err(error) => panic!("docs/openapi.yaml: {schema}: {error}"),
            }
        };
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(validators.entry(schema.to_string()).or_insert_with(build))
    }

    /// The target of a reference. Other values are returned unchanged.
    fn resolve_reference<'a>(&'a self, value: &'a Value) -> &'a Value {
        let reference = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        let target = reference.and_then(|pointer| self.document.pointer(pointer));
        target.map_or(value, |target| self.resolve_reference(target))
    }
}

/// Whether a path matches a template such as `/api/stream/call/{callId}`.
fn path_matches(template: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    let all = template.split('/').all(|expected| {
        segments.next().is_some_and(|segment| {
            expected == segment || (expected.starts_with('{') && !segment.is_empty())
        })
    });
    all && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn operation_id(method: &Method, path: &str) -> String {
        let operation = OpenApiSpec::get().find_operation(method, path);
        operation
            .map(|operation| operation["operationId"].as_str().unwrap().to_owned())
            .unwrap_or_default()
    }

    /// The violations of a response to the operation of this path.
    fn violations(method: &Method, path: &str, response: &TestResponse) -> Vec<String> {
        let description = OpenApiSpec::get();
        description.violations(description.find_operation(method, path).unwrap(), response)
    }

    fn response(status: u16, media_type: &'static str, body: Value) -> TestResponse {
        let mut headers = HeaderMap::new();
        headers.insert("cache-control", HeaderValue::from_static("no-store"));
        headers.insert("content-type", HeaderValue::from_static(media_type));
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        TestResponse { status, headers, text: body.to_string(), body }
    }

    fn token_response() -> TestResponse {
        let body = json!({
            "error": false,
            "message": "Token created",
            "token": "header.claims.signature",
            "apiKey": "key",
            "userId": "alice",
            "expiresAt": "2026-01-02T12:00:00.000Z",
            "refreshAfter": "2026-01-02T07:12:00.000Z",
        });
        response(200, "application/json", body)
    }

    fn problem_response(status: u16, code: &str, title: &str) -> TestResponse {
        let body = json!({
            "error": true,
            "message": title,
            "type": format!("urn:stream-functions:{code}"),
            "title": title,
            "status": status,
            "detail": title,
            "code": code,
            "instance": "request-1",
        });
        response(status, "application/problem+json", body)
    }

    #[test]
    fn most_specific_operation_is_found() {
        for (method, path, name) in [
            (Method::POST, "/api/stream/token", "token"),
            (Method::POST, "/api/stream/call/create", "call-create"),
            (Method::GET, "/api/stream/call/create", "call-get"),
            (Method::GET, "/api/stream/call/quality", "call-get"),
            (Method::GET, "/api/stream/call/quality/c1?format=svg", "call-quality"),
            (Method::POST, "/api/stream/call/quality/c1", "quality-report"),
            (Method::POST, "/api/stream/call/c1/extend", "call-extend"),
            (Method::DELETE, "/api/stream/user/a%40b", "user-delete"),
            (Method::DELETE, "/api/stream/user/", ""),
            (Method::PUT, "/api/stream/token", ""),
            (Method::GET, "/api/stream", ""),
        ] {
            assert_eq!(operation_id(&method, path), name, "{method} {path}");
        }
    }

    #[test]
    fn documented_responses_have_no_violations() {
        let path = "/api/stream/token";
        let unauthenticated = "A valid bearer token is required";
        let mut rejected = problem_response(401, "unauthenticated", unauthenticated);
        rejected.headers.insert("www-authenticate", HeaderValue::from_static("Bearer"));
        let throttled = response(429, "application/json", json!({"message": "Too Many Requests"}));
        for response in [token_response(), rejected, throttled] {
            assert_eq!(violations(&Method::POST, path, &response), Vec::<String>::new());
        }
        let mut chart = response(200, "image/svg+xml", Value::Null);
        chart.text = "<svg/>".to_owned();
        let path = "/api/stream/call/quality/c1?format=svg";
        assert_eq!(violations(&Method::GET, path, &chart), Vec::<String>::new());
    }

    #[test]
    fn undocumented_responses_have_violations() {
        let with = |name: &str, value: Value| {
            let mut response = token_response();
            response.body[name] = value;
            response
        };
        let mut missing_field = token_response();
        missing_field.body.as_object_mut().unwrap().remove("userId");
        let mut wrong_media_type = token_response();
        wrong_media_type.headers.insert("content-type", HeaderValue::from_static("text/plain"));
        let mut missing_header = token_response();
        missing_header.headers.remove("cache-control");
        let mut wrong_header = token_response();
        wrong_header.headers.insert("cache-control", HeaderValue::from_static("public"));
        let mut zero_retry_after = problem_response(
            429,
            "too_many_requests",
            "The user sent too many requests in this minute",
        );
        zero_retry_after.headers.insert("retry-after", HeaderValue::from_static("0"));
        let missing_challenge =
            problem_response(401, "unauthenticated", "A valid bearer token is required");
        for (name, response) in [
            ("additional field", with("more", json!(1))),
            ("missing field", missing_field),
            ("wrong type", with("userId", json!(7))),
            ("wrong format", with("expiresAt", json!("2026-01-02T12:00:00Z"))),
            ("wrong media type", wrong_media_type),
            ("missing header", missing_header),
            ("wrong header", wrong_header),
            ("header out of range", zero_retry_after),
            ("missing challenge", missing_challenge),
            (
                "undocumented status",
                problem_response(418, "internal", "The service failed internally"),
            ),
            (
                "code of another operation",
                problem_response(
                    409,
                    "call_id_reused",
                    "The call id already names a different call",
                ),
            ),
            ("code of another status", problem_response(403, "call_ended", "The call has ended")),
            ("wrong title", problem_response(500, "internal", "Oh no")),
        ] {
            assert_ne!(
                violations(&Method::POST, "/api/stream/token", &response).len(),
                0,
                "{name}"
            );
        }
    }

    #[test]
    fn violations_do_not_contain_response_values() {
        let mut response = token_response();
        for (_, value) in response.body.as_object_mut().unwrap() {
            *value = json!("confidential value");
        }
        let violations = violations(&Method::POST, "/api/stream/token", &response).join("; ");
        assert!(violations.contains("/token: "), "{violations}");
        assert!(!violations.contains("confidential value"), "{violations}");
    }
}
