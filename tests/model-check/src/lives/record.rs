//! The records of the change stream.

use serde_dynamo::Item;
use serde_json::{Value, json};
use shared::calls::Call;
use shared::table_stream::StreamRecord;

/// The record of a change, as the consumers get it. The number is that of the change.
pub(super) fn stream_record(number: usize, images: &[Call; 2]) -> Option<StreamRecord> {
    let [old, new] = images;
    let image = |call: &Call| -> Option<Value> {
        let item: Item = serde_dynamo::to_item(call).ok()?;
        serde_json::to_value(item).ok()
    };
    let record = json!({"dynamodb": {
        "Keys": {"pk": {"S": format!("CALL#{}", new.call_id)}, "sk": {"S": "CALL"}},
        "SequenceNumber": number.to_string(),
        "OldImage": image(old)?,
        "NewImage": image(new)?,
    }});
    serde_json::from_value(record).ok()
}
