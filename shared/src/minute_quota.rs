//! A quota of requests to Stream in a minute, which all processes share. It keeps a part of one of
//! Stream's rate limits free for other work.
//!
//! The quota of a minute is an item with `pk = LIMIT#<name>` and `sk = <minute>`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::clock::Timestamp;
use crate::dynamo::{ConditionalResult, Table, attribute_names, key, number, update_conditionally};
use crate::store::StoreError;

/// A quota in the table. Clones share the cache.
#[derive(Clone, Debug)]
pub(crate) struct MinuteQuota {
    table: Table,
    name: &'static str,
    max_requests: u32,
    /// The last minute whose quota is known to be exhausted.
    exhausted_minute: Arc<AtomicI64>,
}

impl MinuteQuota {
    pub(crate) fn new(table: Table, name: &'static str, max_requests: u32) -> Self {
        let exhausted_minute = Arc::new(AtomicI64::new(i64::MIN));
        Self { table, name, max_requests, exhausted_minute }
    }

    /// Takes one request from the quota of the minute. False if none is left.
    pub(crate) async fn acquire(&self, at: Timestamp) -> Result<bool, StoreError> {
        let minute = at.as_secs().div_euclid(60);
        // One item counts the minute. Skipping the write avoids throttling by many requests.
        if self.exhausted_minute.load(Ordering::Relaxed) == minute {
            return Ok(false);
        }
        let update = self
            .table
            .update_item(key(format!("LIMIT#{}", self.name), minute.to_string()))
            .update_expression("SET #ttl = :ttl ADD #used :one")
            .condition_expression("attribute_not_exists(#used) OR #used < :most")
            .set_expression_attribute_names(Some(attribute_names(&["ttl", "used"])))
            .expression_attribute_values(":ttl", number((minute + 10) * 60))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":most", number(self.max_requests));
        let is_acquired =
            matches!(update_conditionally(update).await?, ConditionalResult::Applied(_));
        if !is_acquired {
            self.exhausted_minute.store(minute, Ordering::Relaxed);
        }
        Ok(is_acquired)
    }
}
