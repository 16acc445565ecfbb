//! The DynamoDB requests that create the template's table.

use serde_json::{Map, Value, json};

/// The properties that `AWS::DynamoDB::Table` shares with `CreateTable` and that affect requests to
/// the table. Others, such as backups, have no effect locally.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-dynamodb-table.html>
const CREATE_TABLE_PROPERTIES: [&str; 5] = [
    "AttributeDefinitions",
    "BillingMode",
    "GlobalSecondaryIndexes",
    "KeySchema",
    "LocalSecondaryIndexes",
];

/// The properties of the template's table.
pub(crate) struct TableDefinition(Value);

impl TableDefinition {
    pub(super) fn new(properties: Value) -> Self {
        Self(properties)
    }

    /// The `CreateTable` request. With `streams`, the table has the template's stream.
    pub(crate) fn create_table_request(&self, name: &str, streams: bool) -> Value {
        let shared = CREATE_TABLE_PROPERTIES.iter().filter_map(|&member| {
            self.0.get(member).map(|value| (member.to_owned(), value.clone()))
        });
        let mut request: Map<String, Value> = shared.collect();
        request.insert("TableName".to_owned(), json!(name));
        if let Some(specification) = self.stream_specification().filter(|_| streams) {
            request.insert("StreamSpecification".to_owned(), specification);
        }
        // The throughput limits depend on the parameters of a deployment.
        let indexes = request.get_mut("GlobalSecondaryIndexes").and_then(Value::as_array_mut);
        for index in indexes.into_iter().flatten().filter_map(Value::as_object_mut) {
            index.remove("OnDemandThroughput");
        }
        Value::Object(request)
    }

    /// The `StreamSpecification` of a request, if the template has a stream. `CloudFormation` has
    /// only the view type, and enables every stream.
    pub(crate) fn stream_specification(&self) -> Option<Value> {
        let view_type = self.0.get("StreamSpecification")?.get("StreamViewType")?;
        Some(json!({"StreamEnabled": true, "StreamViewType": view_type}))
    }

    /// The `UpdateTimeToLive` request, if the template has a time to live.
    pub(crate) fn update_time_to_live_request(&self, name: &str) -> Option<Value> {
        let specification = self.0.get("TimeToLiveSpecification")?;
        Some(json!({"TableName": name, "TimeToLiveSpecification": specification}))
    }
}
