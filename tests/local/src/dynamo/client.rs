//! A minimal DynamoDB client for tests: it creates a table at any endpoint and reads raw items.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html>

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use uuid::Uuid;

use crate::error::StartError;
use crate::template::Template;

/// A dummy signature. The emulators check only the format.
const DUMMY_AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, \
     SignedHeaders=host, Signature=0";

/// Sends a request, such as `GetItem`, to the DynamoDB at `endpoint`.
pub async fn call(endpoint: &str, operation: &str, body: &Value) -> Result<Value, StartError> {
    let database_error = |error: &dyn std::fmt::Display| StartError::DynamoDb(error.to_string());
    let request = Request::post(endpoint)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .header("x-amz-date", "20260101T000000Z")
        .header("authorization", DUMMY_AUTHORIZATION)
        .body(Full::<Bytes>::from(body.to_string()))
        .map_err(|error| database_error(&error))?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.map_err(|error| database_error(&error))?;
    let is_success = response.status().is_success();
    let body =
        response.into_body().collect().await.map_err(|error| database_error(&error))?.to_bytes();
    let body: Value = serde_json::from_slice(&body).map_err(|error| database_error(&error))?;
    if is_success { Ok(body) } else { Err(database_error(&body)) }
}

/// Creates the template's table in the DynamoDB at `endpoint`, with a unique name. Returns the
/// name.
pub async fn create_table_at(endpoint: &str) -> Result<String, StartError> {
    let name = format!("stream-{}", Uuid::new_v4());
    call(endpoint, "CreateTable", &Template::load()?.table.create_table_request(&name)).await?;
    Ok(name)
}
