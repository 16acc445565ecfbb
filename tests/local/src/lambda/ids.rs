//! Ids in the formats of AWS.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use uuid::Uuid;

/// The AWS account of the stack.
pub(crate) const ACCOUNT_ID: &str = "123456789012";

/// A request id of API Gateway, such as `ATfSmjLgPHcESJw=`.
pub(crate) fn gateway_request_id() -> String {
    URL_SAFE.encode(&Uuid::new_v4().as_bytes()[..11])
}

/// A request id of Lambda.
pub(crate) fn invocation_id() -> String {
    Uuid::new_v4().to_string()
}

/// The root of an X-Ray trace, such as `Root=1-6a5145a9-1bae89e2512ec92d5d9438a0`.
/// <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-traceids>
pub(crate) fn xray_trace_root() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let random = Uuid::new_v4().as_u128() >> 32;
    format!("Root=1-{seconds:08x}-{random:024x}")
}
