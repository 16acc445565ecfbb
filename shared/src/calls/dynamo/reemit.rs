//! Requests the events of settled calls again. The change of an attribute makes them.

use serde::Deserialize;

use super::{CallUpdate, DynamoCallStore, attribute_values, timestamp_value};
use crate::clock::Timestamp;
use crate::dynamo::{
    ConditionalResult, Item, attribute_names, map_sdk_error, number, parse_item, text,
    update_conditionally,
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

impl DynamoCallStore {
    /// Lists a page of the settled calls that ended at `since` or later. Scans the table.
    ///
    /// # Errors
    ///
    /// Those of the table.
    pub async fn list_settled(
        &self,
        since: Timestamp,
        position: Option<SettledPosition>,
    ) -> Result<SettledCalls, StoreError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct SettledItem {
            call_id: CallId,
        }
        let scan = self
            .table
            .client
            .scan()
            .table_name(&self.table.name)
            .filter_expression(
                "sk = :sort AND attribute_exists(#settlement) AND #endingAt >= :since",
            )
            .projection_expression("#callId")
            .set_expression_attribute_names(Some(attribute_names(&[
                "settlement",
                "endingAt",
                "callId",
            ])))
            .expression_attribute_values(":sort", text("CALL"))
            .expression_attribute_values(":since", timestamp_value(since))
            .set_exclusive_start_key(position.map(|SettledPosition(key)| key));
        let output = scan.send().await.map_err(map_sdk_error)?;
        let items = output.items.unwrap_or_default().into_iter();
        let ids = items.map(|item| parse_item(item).map(|SettledItem { call_id }| call_id));
        let next = output.last_evaluated_key.map(SettledPosition);
        Ok(SettledCalls { ids: ids.collect::<Result<_, _>>()?, next })
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
