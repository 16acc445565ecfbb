//! Rate limit counters in the table: one item per route, user and minute with
//! `pk = LIMIT#<route>#<userId>` and `sk = <minute>`.

use async_trait::async_trait;
use aws_sdk_dynamodb::types::ReturnValue;
use serde::Deserialize;

use crate::dynamo::{
    ConditionalResult, Table, attribute_names, key, number, parse_item, update_conditionally,
};
use crate::ids::UserId;
use crate::rate_limiter::{RateLimitStore, Route, Window};
use crate::store::StoreError;

/// The store of counters in DynamoDB.
#[derive(Clone, Debug)]
pub struct DynamoRateLimitStore(Table);

impl DynamoRateLimitStore {
    /// A store in this table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self(table)
    }
}

#[derive(Deserialize)]
struct Counter {
    count: u32,
}

#[async_trait]
impl RateLimitStore for DynamoRateLimitStore {
    async fn increment(
        &self,
        route: Route,
        user: &UserId,
        window: Window,
        max_requests: u32,
    ) -> Result<Option<u32>, StoreError> {
        let partition = format!("LIMIT#{}#{user}", route.name());
        let update = self
            .0
            .update_item(key(partition, window.number().to_string()))
            .update_expression("SET #ttl = :ttl ADD #count :one")
            .condition_expression("attribute_not_exists(#count) OR #count < :most")
            .set_expression_attribute_names(Some(attribute_names(&["ttl", "count"])))
            .expression_attribute_values(":ttl", number(window.expires_at().as_secs()))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":most", number(max_requests))
            .return_values(ReturnValue::AllNew);
        match update_conditionally(update).await? {
            ConditionalResult::Applied(item) => Ok(Some(parse_item::<Counter>(item)?.count)),
            ConditionalResult::ConditionFailed(_) => Ok(None),
        }
    }
}
