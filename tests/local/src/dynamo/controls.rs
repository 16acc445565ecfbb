//! What the console reads and controls at DynamoDB.

use std::sync::Arc;

use serde_json::{Value, json};

use super::client::call;
use super::faults::Rule;
use super::proxy::Proxy;
use crate::error::StartError;

/// A handle that the console holds.
#[derive(Clone)]
pub(crate) struct DynamoControls {
    proxy: Arc<Proxy>,
    /// The endpoint of the emulator itself, so that no fault affects the console.
    endpoint: String,
    table_name: String,
}

impl DynamoControls {
    pub(super) fn new(proxy: Arc<Proxy>, endpoint: String, table_name: String) -> Self {
        Self { proxy, endpoint, table_name }
    }

    pub(crate) fn inject_fault(&self, rule: Rule) {
        self.proxy.inject_fault(rule);
    }

    pub(crate) fn faults(&self) -> Vec<Rule> {
        self.proxy.faults()
    }

    pub(crate) fn clear_faults(&self) {
        self.proxy.clear_faults();
    }

    /// All call items, in DynamoDB's JSON. A table on one machine is small.
    pub(crate) async fn scan_calls(&self) -> Result<Vec<Value>, StartError> {
        let mut items = Vec::new();
        let mut start_key = Value::Null;
        loop {
            let mut request = json!({
                "TableName": self.table_name,
                "FilterExpression": "#sk = :call AND attribute_exists(#state)",
                "ExpressionAttributeNames": {"#sk": "sk", "#state": "state"},
                "ExpressionAttributeValues": {":call": {"S": "CALL"}},
            });
            if !start_key.is_null() {
                request["ExclusiveStartKey"] = start_key.take();
            }
            let mut page = call(&self.endpoint, "Scan", &request).await?;
            if let Value::Array(found) = page["Items"].take() {
                items.extend(found);
            }
            start_key = page["LastEvaluatedKey"].take();
            if start_key.is_null() {
                return Ok(items);
            }
        }
    }
}
