//! A minimal DynamoDB client: it creates a table at any endpoint, and reads raw items and streams.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html>

use std::fmt::Display;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use uuid::Uuid;

use crate::error::StartError;
use crate::template::{TableDefinition, Template};

/// A dummy signature. The emulators check only the format.
pub(super) const DUMMY_AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, \
     SignedHeaders=host, Signature=0";

/// A request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// No response, or one that is not JSON.
    #[error("{0}")]
    Transport(String),
    /// An error response with this body.
    #[error("{0}")]
    Rejected(Value),
}

impl CallError {
    /// Whether DynamoDB returned this exception, such as `ExpiredIteratorException`.
    pub(crate) fn is_exception(&self, name: &str) -> bool {
        match self {
            Self::Transport(_) => false,
            Self::Rejected(body) => {
                body["__type"].as_str().is_some_and(|exception| exception.ends_with(name))
            }
        }
    }
}

/// Sends a request, such as `GetItem`, to the DynamoDB at `endpoint`.
pub async fn call(endpoint: &str, operation: &str, body: &Value) -> Result<Value, StartError> {
    let response = send(endpoint, &format!("DynamoDB_20120810.{operation}"), body).await;
    response.map_err(|error| StartError::DynamoDb(error.to_string()))
}

/// Sends a request, such as `GetRecords`, to the DynamoDB Streams at `endpoint`.
pub(crate) async fn call_streams(
    endpoint: &str,
    operation: &str,
    body: &Value,
) -> Result<Value, CallError> {
    send(endpoint, &format!("DynamoDBStreams_20120810.{operation}"), body).await
}

async fn send(endpoint: &str, target: &str, body: &Value) -> Result<Value, CallError> {
    let transport_error = |error: &dyn Display| CallError::Transport(error.to_string());
    let request = Request::post(endpoint)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", target)
        .header("x-amz-date", "20260101T000000Z")
        .header("authorization", DUMMY_AUTHORIZATION)
        .body(Full::<Bytes>::from(body.to_string()))
        .map_err(|error| transport_error(&error))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.map_err(|error| transport_error(&error))?;
    let is_success = response.status().is_success();
    let body = response.into_body().collect().await.map_err(|error| transport_error(&error))?;
    let body: Value =
        serde_json::from_slice(&body.to_bytes()).map_err(|error| transport_error(&error))?;
    if is_success { Ok(body) } else { Err(CallError::Rejected(body)) }
}

/// Creates the template's table with its stream in the DynamoDB at `endpoint`, with a unique name.
/// Returns the name.
pub async fn create_table_at(endpoint: &str) -> Result<String, StartError> {
    create_table_with(endpoint, &Template::load()?.table, true).await
}

pub(super) async fn create_table_with(
    endpoint: &str,
    table: &TableDefinition,
    streams: bool,
) -> Result<String, StartError> {
    let name = format!("stream-{}", Uuid::new_v4());
    call(endpoint, "CreateTable", &table.create_table_request(&name, streams)).await?;
    Ok(name)
}
