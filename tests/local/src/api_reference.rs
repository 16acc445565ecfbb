//! The API reference of the local stack at `/docs`: Swagger UI with `docs/openapi.yaml`.
//!
//! The page needs no network. Its requests go to the local stack.

use std::borrow::Cow;
use std::io::{Cursor, Read as _};

use bytes::Bytes;
use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue};
use serde_json::{Value, json};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;
use zip::result::ZipError;

use crate::error::TemplateError;
use crate::http_server::{HttpResponse, json_response};
use crate::template::parse_yaml;

const DESCRIPTION: &str = include_str!("../../../docs/openapi.yaml");
const PAGE: &str = include_str!("../reference/index.html");
const START_SCRIPT: &str = include_str!("../reference/start.js");

/// The page may load resources of its own origin only. Swagger UI has images in `data:` URLs and
/// inline styles.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// A file of the reference cannot be read. Both causes are faults of the build.
#[derive(Debug, thiserror::Error)]
enum ReferenceError {
    #[error("docs/openapi.yaml is invalid: {0}")]
    Description(#[from] TemplateError),
    #[error("Swagger UI cannot be unpacked: {0}")]
    SwaggerUi(#[from] ZipError),
}

/// The response for a path below `/docs`, or `None` if nothing is there.
pub(crate) fn response(path: &str) -> Option<HttpResponse> {
    let (content_type, file) = match path {
        "/docs" | "/docs/" => ("text/html; charset=utf-8", Ok(Bytes::from_static(PAGE.as_bytes()))),
        "/docs/start.js" => ("text/javascript", Ok(Bytes::from_static(START_SCRIPT.as_bytes()))),
        "/docs/openapi.json" => ("application/json", local_description()),
        "/docs/swagger-ui.css" => ("text/css", unpack("swagger-ui.css")),
        "/docs/swagger-ui-bundle.js" => ("text/javascript", unpack("swagger-ui-bundle.js")),
        _ => return None,
    };
    Some(match file {
        Ok(bytes) => {
            let mut response = json_response(StatusCode::OK, bytes);
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            headers.insert(CONTENT_SECURITY_POLICY, POLICY);
            // The next start can serve another description.
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(error) => {
            let message = json!({ "message": error.to_string() });
            json_response(StatusCode::INTERNAL_SERVER_ERROR, message.to_string())
        }
    })
}

/// The API description as JSON, with the page's own origin as the only server.
fn local_description() -> Result<Bytes, ReferenceError> {
    let mut description = parse_yaml(DESCRIPTION)?;
    description["servers"] = json!([{ "url": "/", "description": "This local stack." }]);
    Ok(Value::to_string(&description).into())
}

/// A file of the distribution of Swagger UI.
fn unpack(name: &str) -> Result<Bytes, ReferenceError> {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    let is_file =
        |path: &str| path.ends_with(&format!("/dist/{name}")) && !path.contains("/flavors/");
    let paths = archive.file_names().filter_map(Result::ok);
    let path = paths.map(Cow::into_owned).find(|path| is_file(path));
    let path = path.ok_or(ZipError::FileNotFound)?;
    let mut bytes = Vec::new();
    archive.by_name(&path)?.read_to_end(&mut bytes).map_err(ZipError::from)?;
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    async fn text(path: &str) -> (HeaderValue, String) {
        let response = response(path).unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let content_type = response.headers()[CONTENT_TYPE].clone();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (content_type, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn every_file_of_the_page_is_served() {
        let (content_type, page) = text("/docs").await;
        assert_eq!(content_type, "text/html; charset=utf-8");
        let (_, script) = text("/docs/start.js").await;
        let quoted = |text: &str| {
            let parts = text.split(['"', '\'']).map(str::to_owned);
            parts.filter(|part| part.starts_with("/docs/")).collect::<Vec<_>>()
        };
        let paths = [quoted(&page), quoted(&script)].concat();
        assert_eq!(paths.len(), 5, "{paths:?}");
        for path in paths {
            let (_, file) = text(&path).await;
            assert!(file.len() > 100, "{path}");
        }
        assert!(!page.contains("//") && response("/docs/swagger-ui.js").is_none());
    }

    #[tokio::test]
    async fn description_has_the_routes_and_the_local_server() {
        let (content_type, description) = text("/docs/openapi.json").await;
        assert_eq!(content_type, "application/json");
        let description: Value = serde_json::from_str(&description).unwrap();
        assert_eq!(description["servers"][0]["url"], "/");
        assert_eq!(description["servers"].as_array().unwrap().len(), 1);
        for key in crate::template::route_keys().unwrap() {
            let (method, path) = key.split_once(' ').unwrap();
            let operation = &description["paths"][path][method.to_lowercase()];
            assert!(operation["responses"].is_object(), "{key}");
        }
    }

    #[test]
    fn page_may_not_load_from_other_origins() {
        let response = response("/docs").unwrap();
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self';") && !policy.contains("http"), "{policy}");
    }
}
