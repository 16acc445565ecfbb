//! The billing consumer of `docs/EVENTS.md`.

use std::collections::HashMap;

/// The billed talk time in milliseconds, by event id.
#[derive(Debug, Default)]
pub struct Biller(pub HashMap<String, u64>);

impl Biller {
    /// Bills a message of the queue, unless its event is billed already.
    pub fn bill(&mut self, message: &str) -> Result<(), &'static str> {
        let event: serde_json::Value = serde_json::from_str(message).map_err(|_| "invalid JSON")?;
        let detail = &event["detail"];
        if detail["type"] == "call.settled" {
            let id = detail["id"].as_str().ok_or("no id")?;
            let talk_millis = detail["data"]["talkMillis"].as_u64().ok_or("no talkMillis")?;
            // A real consumer: PutItem with the condition `attribute_not_exists(id)`.
            self.0.entry(id.to_owned()).or_insert(talk_millis);
        }
        Ok(())
    }
}
