//! A change of an item of the table.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_dynamo::{AttributeValue, Item};

use crate::calls::Call;
use crate::clock::Timestamp;
use crate::error::{ApiError, Code};
use crate::ids::UserId;
use crate::users::UserStatus;

/// A stream record.
#[derive(Clone, Debug, Deserialize)]
pub struct StreamRecord {
    dynamodb: StreamData,
}

/// The change of a record. `OldImage` is absent for a new item, and `NewImage` for a deleted one.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_StreamRecord.html>
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StreamData {
    sequence_number: String,
    /// In seconds.
    approximate_creation_date_time: Option<f64>,
    keys: Item,
    old_image: Option<Item>,
    new_image: Option<Item>,
}

/// A change of an item whose changes have consumers.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// A call before and after the change.
    Call(Box<[Call; 2]>),
    /// A user's profile before and after the change.
    Profile([ProfileImage; 2]),
    /// A change without consumers: a new or deleted item, or one of another kind.
    Other,
}

/// The attributes of a profile that say whether the user is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileImage {
    /// The id of the user.
    pub user_id: UserId,
    /// The status.
    #[serde(default)]
    pub status: UserStatus,
    /// When the status changed last.
    pub status_at: Option<Timestamp>,
}

/// The error of a record whose item does not have the expected attributes.
#[derive(Debug, thiserror::Error)]
#[error("the {item} of record {sequence_number} is invalid")]
pub struct InvalidRecord {
    item: &'static str,
    sequence_number: String,
    #[source]
    source: serde_dynamo::Error,
}

impl From<InvalidRecord> for ApiError {
    fn from(error: InvalidRecord) -> Self {
        Self::from_code(Code::Internal).with_source(error)
    }
}

impl StreamRecord {
    /// The sequence number, which identifies the record within its shard.
    #[must_use]
    pub fn sequence_number(&self) -> &str {
        &self.dynamodb.sequence_number
    }

    /// When the item changed, to the second. Some senders omit it.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a time in milliseconds fits")]
    pub fn created_at(&self) -> Option<Timestamp> {
        let seconds = self.dynamodb.approximate_creation_date_time?;
        Some(Timestamp::from_millis((seconds * 1_000.0) as i64))
    }

    /// The change of the item.
    ///
    /// # Errors
    ///
    /// [`InvalidRecord`] if a call or profile lacks attributes. An item of another kind is
    /// [`Change::Other`], whatever its attributes.
    pub fn change(self) -> Result<Change, InvalidRecord> {
        let StreamData { sequence_number, keys, old_image, new_image, .. } = self.dynamodb;
        let (Some(old), Some(new)) = (old_image, new_image) else { return Ok(Change::Other) };
        let images = Images { old, new, sequence_number };
        Ok(match sort_key(&keys) {
            Some("CALL") if images.is_call() => Change::Call(Box::new(images.parse("call")?)),
            Some("PROFILE") => Change::Profile(images.parse("profile")?),
            _ => Change::Other,
        })
    }
}

fn sort_key(keys: &Item) -> Option<&str> {
    match keys.inner().get("sk")? {
        AttributeValue::S(key) => Some(key),
        _ => None,
    }
}

/// An item before and after a change.
struct Images {
    old: Item,
    new: Item,
    sequence_number: String,
}

impl Images {
    /// Whether both images are calls. An alias has the key of a call.
    fn is_call(&self) -> bool {
        [&self.old, &self.new].iter().all(|image| !image.inner().contains_key("answeredWith"))
    }

    fn parse<T: DeserializeOwned>(self, item: &'static str) -> Result<[T; 2], InvalidRecord> {
        let Self { old, new, sequence_number } = self;
        let parsed = serde_dynamo::from_item(old)
            .and_then(|old| serde_dynamo::from_item(new).map(|new| [old, new]));
        parsed.map_err(|source| InvalidRecord { item, sequence_number, source })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(sort: &str, old: &Value, new: &Value) -> StreamRecord {
        let mut record = json!({
            "eventID": "1",
            "eventName": "MODIFY",
            "eventSource": "aws:dynamodb",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_767_225_600,
                "Keys": {"pk": {"S": "x"}, "sk": {"S": sort}},
                "SequenceNumber": "42",
                "SizeBytes": 100,
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
        });
        for (name, image) in [("OldImage", old), ("NewImage", new)] {
            if !image.is_null() {
                record["dynamodb"][name] = image.clone();
            }
        }
        serde_json::from_value(record).unwrap()
    }

    fn profile(status: Option<&str>) -> Value {
        let mut item = json!({"userId": {"S": "alice"}, "version": {"N": "3"}});
        if let Some(status) = status {
            item["status"] = json!({"S": status});
            item["statusAt"] = json!({"N": "1767225600123"});
        }
        item
    }

    #[test]
    fn profile_is_parsed() {
        let record = record("PROFILE", &profile(None), &profile(Some("deleted")));
        assert_eq!(record.sequence_number(), "42");
        assert_eq!(record.created_at(), Some(Timestamp::from_secs(1_767_225_600)));
        let Change::Profile([old, new]) = record.change().unwrap() else { panic!() };
        assert_eq!((old.status, old.status_at), (UserStatus::Active, None));
        let deleted_at = Some(Timestamp::from_millis(1_767_225_600_123));
        assert_eq!((new.status, new.status_at), (UserStatus::Deleted, deleted_at));
    }

    #[test]
    fn new_deleted_and_other_items_have_no_consumers() {
        let (alias, call) = (json!({"answeredWith": {"S": "c2"}}), json!({}));
        for (sort, old, new) in [
            ("CALL", &Value::Null, &call),
            ("CALL", &call, &Value::Null),
            ("CALL", &call, &alias),
            ("CALL", &alias, &call),
            ("HISTORY#OPEN#1#c1", &call, &call),
            ("OPEN", &call, &call),
        ] {
            assert_eq!(
                record(sort, old, new).change().unwrap(),
                Change::Other,
                "{sort} {old} {new}"
            );
        }
    }

    #[test]
    fn invalid_call_is_an_error_with_its_position() {
        let error = record("CALL", &json!({}), &json!({})).change().unwrap_err();
        assert_eq!(error.to_string(), "the call of record 42 is invalid");
    }
}
