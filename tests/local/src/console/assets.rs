//! The files of the page. They are read when they are requested, so that an edit is visible after a
//! reload of the page.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};

use crate::cargo_build::workspace_root;
use crate::control::message_response;
use crate::http_server::{HttpResponse, json_response};

/// The directory of the files, in the root of the workspace.
const DIRECTORY: &str = "tests/local/console";

const PAGE: &str = "index.html";

/// The content types of the files, by their extension.
const CONTENT_TYPES: [(&str, &str); 3] = [
    ("css", "text/css; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("svg", "image/svg+xml"),
];

/// The page. Its policy permits requests to the stack alone.
pub(super) fn page(stream_origin: Option<&str>) -> HttpResponse {
    let mut response = match read(PAGE) {
        Some(page) => response(page, "text/html; charset=utf-8"),
        None => message_response(StatusCode::NOT_FOUND, "tests/local/console has no page"),
    };
    if let Ok(policy) = HeaderValue::try_from(content_security_policy(stream_origin)) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// A file of the page.
pub(super) fn file(name: &str) -> HttpResponse {
    let found = content_type(name).and_then(|content_type| Some((read(name)?, content_type)));
    match found {
        Some((content, content_type)) => response(content, content_type),
        None => message_response(StatusCode::NOT_FOUND, "the console has no such file"),
    }
}

/// The content type of a file that the page may use. A name is no path.
fn content_type(name: &str) -> Option<&'static str> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    let extension = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())?.1;
    let content_type = CONTENT_TYPES.iter().find(|(known, _)| *known == extension)?.1;
    is_plain.then_some(content_type)
}

fn read(name: &str) -> Option<Vec<u8>> {
    let path: PathBuf = workspace_root().join(Path::new(DIRECTORY)).join(name);
    fs::read(path).ok()
}

fn response(content: Vec<u8>, content_type: &'static str) -> HttpResponse {
    let mut response = json_response(StatusCode::OK, Bytes::from(content));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The page loads its own files, and connects to the stack and to Stream.
fn content_security_policy(stream_origin: Option<&str>) -> String {
    let stream = stream_origin.map_or_else(String::new, |origin| {
        let websocket = origin.replacen("http", "ws", 1);
        format!(" {origin} {websocket}")
    });
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
         connect-src 'self'{stream}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_of_known_types_are_served() {
        for (name, expected) in [
            ("app.js", Some("text/javascript; charset=utf-8")),
            ("a-b_c.1.css", Some("text/css; charset=utf-8")),
            ("../console/app.js", None),
            ("..%2fapp.js", None),
            ("types.d.ts", None),
            ("index.html", None),
            (".js", None),
            ("js", None),
        ] {
            assert_eq!(content_type(name), expected, "{name}");
        }
        assert_eq!(file("../src/lib.rs").status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn policy_permits_the_stack_alone() {
        let policy = content_security_policy(Some("https://192.168.1.5:3300"));
        let connect = "connect-src 'self' https://192.168.1.5:3300 wss://192.168.1.5:3300;";
        assert!(policy.contains(connect), "{policy}");
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(content_security_policy(None).contains("connect-src 'self';"));
    }
}
