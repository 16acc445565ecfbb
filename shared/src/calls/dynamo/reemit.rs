//! Requests the events of settled calls again. The change of an attribute makes them.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{CallUpdate, DynamoCallStore, attribute_values, timestamp_value};
use crate::clock::Timestamp;
use crate::dynamo::{
    ConditionalResult, Item, attribute_names, map_sdk_error, number, text, update_conditionally,
};
use crate::ids::CallId;
use crate::store::StoreError;

/// A page of settled calls.
#[derive(Debug)]
pub struct SettledCalls {
    /// The ids.
    pub ids: Vec<CallId>,
    /// The position of the next page, if there is one.
    pub next: Option<SettledPosition>,
}

/// A position in the table.
#[derive(Debug)]
pub struct SettledPosition(Item);

/// The id in the key of a call. An item with another key is not a call.
fn call_id(item: &Item) -> Option<CallId> {
    let AttributeValue::S(key) = item.get("pk")? else { return None };
    CallId::try_from(key.strip_prefix("CALL#")?.to_owned()).ok()
}

impl DynamoCallStore {
    /// Lists a page of the calls that were settled at `since` or later. Scans the table.
    ///
    /// # Errors
    ///
    /// Those of the table.
    pub async fn list_settled(
        &self,
        since: Timestamp,
        position: Option<SettledPosition>,
    ) -> Result<SettledCalls, StoreError> {
        let scan = self
            .table
            .scan()
            .filter_expression("sk = :sort AND #settlement.#settledAt >= :since")
            .projection_expression("pk")
            .set_expression_attribute_names(Some(attribute_names(&["settlement", "settledAt"])))
            .expression_attribute_values(":sort", text("CALL"))
            .expression_attribute_values(":since", timestamp_value(since))
            .set_exclusive_start_key(position.map(|SettledPosition(key)| key));
        let output = scan.send().await.map_err(map_sdk_error)?;
        let ids = output.items.unwrap_or_default().iter().filter_map(call_id).collect();
        Ok(SettledCalls { ids, next: output.last_evaluated_key.map(SettledPosition) })
    }

    /// Requests the events of a settled call again. Returns whether the call exists.
    ///
    /// # Errors
    ///
    /// Those of the table. The request may have been applied nevertheless, and a repeat makes the
    /// events once more.
    pub async fn request_events(&self, id: &CallId) -> Result<bool, StoreError> {
        let update = self.update(
            id,
            CallUpdate {
                expression: "ADD #reemits :one",
                condition: "attribute_exists(#settlement)",
                names: &["reemits", "settlement"],
                values: attribute_values([(":one", number(1))]),
            },
        );
        Ok(matches!(update_conditionally(update).await?, ConditionalResult::Applied(_)))
    }
}
