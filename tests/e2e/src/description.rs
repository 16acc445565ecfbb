//! `docs/openapi.yaml`, against which every answer of the API's is held: an operation answers what
//! is written there, or the test fails.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use http::Method;
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::Answer;

/// What API Gateway answers where no function is reached.
const OF_GATEWAY: &str = "#/components/schemas/GatewayMessage";

/// The API's description.
pub struct Description {
    document: Value,
    /// By the text of their schemas.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

impl Description {
    /// The description, which is read once.
    #[must_use]
    pub fn get() -> &'static Self {
        static READ: LazyLock<Description> = LazyLock::new(Description::read);
        &READ
    }

    #[expect(clippy::panic, reason = "a test cannot go on without it")]
    fn read() -> Self {
        let path = local::workspace_root().join("docs").join("openapi.yaml");
        let text = fs::read_to_string(path).unwrap_or_default();
        match local::read_yaml(&text) {
            Ok(document) => Self { document, validators: Mutex::default() },
            Err(error) => panic!("docs/openapi.yaml: {error}"),
        }
    }

    /// The table of errors: each code with its status and its title.
    #[must_use]
    pub fn error_table(&self) -> BTreeSet<(String, u64, String)> {
        let rows = self.document["components"]["schemas"]["ErrorTable"]["oneOf"].as_array();
        let row = |row: &Value| {
            let said = |name: &str| row["properties"][name]["const"].clone();
            let text = |name: &str| said(name).as_str().unwrap_or_default().to_owned();
            (text("code"), said("status").as_u64().unwrap_or_default(), text("title"))
        };
        rows.into_iter().flatten().map(row).collect()
    }

    /// The codes that operations answer.
    #[must_use]
    pub fn answered_codes(&self) -> BTreeSet<String> {
        let mut codes = BTreeSet::new();
        let items = self.document["paths"].as_object().into_iter().flatten();
        for (_, operation) in items.flat_map(|(_, item)| item.as_object().into_iter().flatten()) {
            for (_, response) in operation["responses"].as_object().into_iter().flatten() {
                let problem = &self.follow(response)["content"]["application/problem+json"];
                for part in problem["schema"]["allOf"].as_array().into_iter().flatten() {
                    let named = part["properties"]["code"]["enum"].as_array();
                    let named = named.into_iter().flatten().filter_map(Value::as_str);
                    codes.extend(named.map(str::to_owned));
                }
            }
        }
        codes
    }

    /// Fails the test where a request was answered what is not written.
    pub(crate) fn hold_request(&self, method: &Method, path: &str, answer: &Answer) {
        let misfits = match self.operation_of(method, path) {
            Some(operation) => self.misfits(operation, answer),
            None if matches!(answer.status, 400 | 404) => {
                self.against(&json!({ "$ref": OF_GATEWAY }), &answer.body)
            }
            None => vec!["there is no such operation".to_owned()],
        };
        // Neither the query nor the body, which may hold what is nobody's to see.
        let path = path.split('?').next().unwrap_or_default();
        let status = answer.status;
        assert!(misfits.is_empty(), "{method} {path} {status}: {}", misfits.join("; "));
    }

    /// Fails the test where a function answered what is not written.
    pub(crate) fn hold_function(&self, function: &str, answer: &Answer) {
        let items = self.document["paths"].as_object().into_iter().flatten();
        let mut operations =
            items.flat_map(|(_, item)| item.as_object().into_iter().flatten().map(|(_, it)| it));
        let misfits = match operations.find(|it| it["operationId"] == function) {
            Some(operation) => self.misfits(operation, answer),
            None => vec!["there is no such operation".to_owned()],
        };
        let status = answer.status;
        assert!(misfits.is_empty(), "{function} {status}: {}", misfits.join("; "));
    }

    /// The operation that a request is for. A literal segment wins over a parameter.
    fn operation_of(&self, method: &Method, path: &str) -> Option<&Value> {
        let path = path.split('?').next().unwrap_or_default();
        let method = method.as_str().to_ascii_lowercase();
        let paths = self.document["paths"].as_object()?.iter();
        let fitting = paths.filter(|(template, _)| fits(template, path));
        let operations =
            fitting.filter_map(|(template, item)| Some((template, item.get(&method)?)));
        let best = operations.min_by_key(|(template, _)| template.matches('{').count());
        best.map(|(_, operation)| operation)
    }

    /// Why an operation may not answer so; empty where it may.
    fn misfits(&self, operation: &Value, answer: &Answer) -> Vec<String> {
        let Some(response) = operation["responses"].get(answer.status.to_string()) else {
            return vec![format!("it does not answer so (code {:?})", answer.code())];
        };
        let response = self.follow(response);
        let said = answer.headers.get("content-type").and_then(|value| value.to_str().ok());
        let media_type = said.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        let Some(media) = response["content"].get(media_type) else {
            return vec![format!("it does not answer {media_type:?}")];
        };
        let mut misfits = if media_type.ends_with("json") {
            self.against(&media["schema"], &answer.body)
        } else {
            self.against(&media["schema"], &json!(answer.text))
        };
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            let found = answer.headers.get(name.as_str());
            let found = found.map(|value| value.to_str().unwrap_or_default());
            let wrong = self.header_misfits(self.follow(header), found);
            misfits.extend(wrong.into_iter().map(|misfit| format!("{name}: {misfit}")));
        }
        misfits
    }

    /// Why a header may not be so.
    fn header_misfits(&self, header: &Value, found: Option<&str>) -> Vec<String> {
        let schema = &header["schema"];
        match found {
            Some(text) if schema["type"] == "integer" => {
                let number = text.parse::<u64>().map_or(Value::Null, Value::from);
                self.against(schema, &number)
            }
            Some(text) => self.against(schema, &json!(text)),
            None if header["required"] == true => vec!["it is missing".to_owned()],
            None => Vec::new(),
        }
    }

    /// Why a value does not fit a schema: where, and what is asked for. What stands there is not
    /// said, since it may be a token.
    fn against(&self, schema: &Value, value: &Value) -> Vec<String> {
        let validator = self.validator(schema);
        let errors = validator.iter_errors(value);
        errors.map(|error| format!("{}: {}", error.instance_path(), error.masked())).collect()
    }

    #[expect(clippy::panic, reason = "a test cannot go on without it")]
    fn validator(&self, schema: &Value) -> Arc<Validator> {
        let build = || {
            let mut root = schema.clone();
            // Where the references of every schema lead.
            root["components"] = json!({ "schemas": self.document["components"]["schemas"] });
            match jsonschema::draft202012::new(&root) {
                Ok(validator) => Arc::new(validator),
                Err(error) => panic!("docs/openapi.yaml: {schema}: {error}"),
            }
        };
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(validators.entry(schema.to_string()).or_insert_with(build))
    }

    /// What a reference stands for; anything else is itself.
    fn follow<'a>(&'a self, value: &'a Value) -> &'a Value {
        let reference = value["$ref"].as_str().and_then(|it| it.strip_prefix('#'));
        let target = reference.and_then(|pointer| self.document.pointer(pointer));
        target.map_or(value, |target| self.follow(target))
    }
}

/// Whether a path is one of a template such as `/api/stream/call/{callId}`.
fn fits(template: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    let all = template.split('/').all(|expected| {
        segments.next().is_some_and(|found| {
            expected == found || (expected.starts_with('{') && !found.is_empty())
        })
    });
    all && segments.next().is_none()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn operation(method: &Method, path: &str) -> String {
        let found = Description::get().operation_of(method, path);
        found.map(|it| it["operationId"].as_str().unwrap().to_owned()).unwrap_or_default()
    }

    /// What `operation` finds wrong with an answer.
    fn misfits(method: &Method, path: &str, answer: &Answer) -> Vec<String> {
        let description = Description::get();
        description.misfits(description.operation_of(method, path).unwrap(), answer)
    }

    fn answer(status: u16, media_type: &'static str, body: Value) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("cache-control", HeaderValue::from_static("no-store"));
        headers.insert("content-type", HeaderValue::from_static(media_type));
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        Answer { status, headers, text: body.to_string(), body }
    }

    fn token() -> Answer {
        let body = json!({
            "error": false,
            "message": "Token created",
            "token": "header.claims.signature",
            "apiKey": "key",
            "userId": "alice",
            "expiresAt": "2026-01-02T12:00:00.000Z",
            "refreshAfter": "2026-01-02T07:12:00.000Z",
        });
        answer(200, "application/json", body)
    }

    fn problem(status: u16, code: &str, title: &str) -> Answer {
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
        answer(status, "application/problem+json", body)
    }

    #[test]
    fn a_request_is_for_the_most_specific_operation() {
        for (method, path, name) in [
            (Method::POST, "/api/stream/token", "token"),
            (Method::POST, "/api/stream/call/create", "call-create"),
            (Method::GET, "/api/stream/call/create", "call-get"),
            (Method::GET, "/api/stream/call/quality", "call-get"),
            (Method::GET, "/api/stream/call/quality/c1?format=svg", "call-quality"),
            (Method::POST, "/api/stream/call/quality/c1", "quality-report"),
            (Method::DELETE, "/api/stream/user/a%40b", "user-delete"),
            (Method::DELETE, "/api/stream/user/", ""),
            (Method::PUT, "/api/stream/token", ""),
            (Method::GET, "/api/stream", ""),
        ] {
            assert_eq!(operation(&method, path), name, "{method} {path}");
        }
    }

    #[test]
    fn what_is_written_fits() {
        let path = "/api/stream/token";
        let unauthenticated = "A valid bearer token is required";
        let mut refused = problem(401, "unauthenticated", unauthenticated);
        refused.headers.insert("www-authenticate", HeaderValue::from_static("Bearer"));
        let throttled = answer(429, "application/json", json!({"message": "Too Many Requests"}));
        for found in [token(), refused, throttled] {
            assert_eq!(misfits(&Method::POST, path, &found), Vec::<String>::new());
        }
        let mut picture = answer(200, "image/svg+xml", Value::Null);
        picture.text = "<svg/>".to_owned();
        let path = "/api/stream/call/quality/c1?format=svg";
        assert_eq!(misfits(&Method::GET, path, &picture), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_written_does_not_fit() {
        let with = |name: &str, value: Value| {
            let mut answer = token();
            answer.body[name] = value;
            answer
        };
        let mut less = token();
        less.body.as_object_mut().unwrap().remove("userId");
        let mut text = token();
        text.headers.insert("content-type", HeaderValue::from_static("text/plain"));
        let mut cached = token();
        cached.headers.remove("cache-control");
        let mut stored = token();
        stored.headers.insert("cache-control", HeaderValue::from_static("public"));
        let mut at_once = problem(429, "too_many_requests", "Too many requests of this user");
        at_once.headers.insert("retry-after", HeaderValue::from_static("0"));
        let unchallenged = problem(401, "unauthenticated", "A valid bearer token is required");
        for (name, found) in [
            ("a field more", with("more", json!(1))),
            ("a field less", less),
            ("another type", with("userId", json!(7))),
            ("another form", with("expiresAt", json!("2026-01-02T12:00:00Z"))),
            ("another media type", text),
            ("a header less", cached),
            ("another header", stored),
            ("a header out of bounds", at_once),
            ("no challenge", unchallenged),
            (
                "a status that is not there",
                problem(418, "internal", "Something failed on our side"),
            ),
            (
                "a code of another operation",
                problem(409, "call_id_reused", "The call id already names a different call"),
            ),
            ("a code of another status", problem(403, "call_ended", "The call has ended")),
            ("another title", problem(500, "internal", "Oh no")),
        ] {
            assert_ne!(misfits(&Method::POST, "/api/stream/token", &found).len(), 0, "{name}");
        }
    }

    #[test]
    fn what_does_not_fit_is_not_repeated() {
        let mut found = token();
        for (_, value) in found.body.as_object_mut().unwrap() {
            *value = json!("not to be seen");
        }
        let misfits = misfits(&Method::POST, "/api/stream/token", &found).join("; ");
        assert!(misfits.contains("/token: "), "{misfits}");
        assert!(!misfits.contains("not to be seen"), "{misfits}");
    }
}
