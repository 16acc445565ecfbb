//! Records of the table's stream.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::options::REGION;

/// The members of `dynamodb` that both DynamoDB and Lambda's event have.
const CHANGE_MEMBERS: [&str; 6] =
    ["Keys", "NewImage", "OldImage", "SequenceNumber", "SizeBytes", "StreamViewType"];

/// A record of the table's stream.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamRecord {
    shard_id: String,
    sequence_number: String,
    created_at: SystemTime,
    event: Value,
}

impl StreamRecord {
    /// Converts a record of `GetRecords` to the shape of Lambda's event.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html>
    ///
    /// The region and the source are AWS's, since an emulator has others. `GetRecords` at AWS
    /// capitalizes the members of `userIdentity`, and Lambda's event does not.
    pub(super) fn from_wire(shard_id: &str, stream_arn: &str, wire: &Value) -> Option<Self> {
        let dynamodb = &wire["dynamodb"];
        let sequence_number = dynamodb["SequenceNumber"].as_str()?.to_owned();
        let seconds = dynamodb["ApproximateCreationDateTime"].as_f64()?;
        let age = Duration::from_secs(Duration::try_from_secs_f64(seconds).ok()?.as_secs());
        let mut change = json!({"ApproximateCreationDateTime": age.as_secs()});
        for name in CHANGE_MEMBERS {
            if let Some(value) = dynamodb.get(name) {
                change[name] = value.clone();
            }
        }
        let mut event = json!({
            "eventID": wire["eventID"],
            "eventName": wire["eventName"],
            "eventVersion": wire["eventVersion"],
            "eventSource": "aws:dynamodb",
            "awsRegion": REGION,
            "dynamodb": change,
            "eventSourceARN": stream_arn,
        });
        if let Some(identity) = wire.get("userIdentity").filter(|identity| identity.is_object()) {
            let member = |name: &str, wire_name: &str| {
                identity.get(name).or_else(|| identity.get(wire_name)).cloned()
            };
            event["userIdentity"] = json!({
                "type": member("type", "Type"),
                "principalId": member("principalId", "PrincipalId"),
            });
        }
        let created_at = UNIX_EPOCH.checked_add(age)?;
        Some(Self { shard_id: shard_id.to_owned(), sequence_number, created_at, event })
    }

    /// The record in the shape of Lambda's event, without the `Records` wrapper.
    #[must_use]
    pub fn event(&self) -> &Value {
        &self.event
    }

    /// The shard of the record.
    #[must_use]
    pub fn shard_id(&self) -> &str {
        &self.shard_id
    }

    /// The position of the record in its shard.
    #[must_use]
    pub fn sequence_number(&self) -> &str {
        &self.sequence_number
    }

    /// The time of the write, in whole seconds.
    #[must_use]
    pub fn created_at(&self) -> SystemTime {
        self.created_at
    }

    /// The ARN of the stream.
    pub(super) fn stream_arn(&self) -> &str {
        self.event["eventSourceARN"].as_str().unwrap_or_default()
    }

    /// Whether the item has this partition key.
    pub(super) fn has_partition_key(&self, value: &str) -> bool {
        self.event["dynamodb"]["Keys"]["pk"]["S"] == value
    }

    /// Whether the write changed nothing. DynamoDB creates no record for such a write, but the
    /// embedded emulator does.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_Record.html>
    pub(super) fn changes_nothing(&self) -> bool {
        let image = |name: &str| self.event["dynamodb"].get(name);
        image("OldImage").is_some() && image("OldImage") == image("NewImage")
    }
}

/// Records for the tests of the consumers.
#[cfg(test)]
pub(super) mod samples {
    use super::*;

    /// The ARN of the stream of all sample records.
    pub(in crate::streams) const STREAM_ARN: &str =
        "arn:aws:dynamodb:us-east-1:123456789012:table/stream-local/stream/1";

    /// A change of the call `c<number>` with the sequence number `<number>` at this time.
    pub(in crate::streams) fn record(number: u32, created_at: SystemTime) -> StreamRecord {
        let age = created_at.duration_since(UNIX_EPOCH).unwrap();
        let key = json!({"pk": {"S": format!("CALL#c{number}")}, "sk": {"S": "CALL"}});
        let wire = json!({
            "eventID": format!("e{number}"),
            "eventName": "MODIFY",
            "eventVersion": "1.1",
            "dynamodb": {
                "ApproximateCreationDateTime": age.as_secs_f64(),
                "Keys": key,
                "SequenceNumber": number.to_string(),
                "SizeBytes": 10,
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
        });
        StreamRecord::from_wire("shard-1", STREAM_ARN, &wire).unwrap()
    }

    /// Changes with these sequence numbers.
    pub(in crate::streams) fn records(
        numbers: impl IntoIterator<Item = u32>,
        created_at: SystemTime,
    ) -> Vec<StreamRecord> {
        numbers.into_iter().map(|number| record(number, created_at)).collect()
    }

    /// The sequence numbers of records.
    pub(in crate::streams) fn numbers(records: &[StreamRecord]) -> Vec<u32> {
        records.iter().map(|record| record.sequence_number().parse().unwrap()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(user_identity: &Value, old: &Value, new: &Value) -> Value {
        json!({
            "eventID": "e1",
            "eventName": "MODIFY",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "dynoxide",
            "userIdentity": user_identity,
            "dynamodb": {
                "ApproximateCreationDateTime": 1_767_225_600.25,
                "Keys": {"pk": {"S": "CALL#c1"}, "sk": {"S": "CALL"}},
                "OldImage": old,
                "NewImage": new,
                "SequenceNumber": "100000000000000000001",
                "SizeBytes": 50,
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
        })
    }

    #[test]
    fn record_has_the_shape_of_lambdas_event() {
        let (old, new) = (json!({"state": {"S": "creating"}}), json!({"state": {"S": "active"}}));
        let record = StreamRecord::from_wire("s1", "arn:stream", &wire(&Value::Null, &old, &new));
        let record = record.unwrap();
        assert_eq!(
            record.event(),
            &json!({
                "eventID": "e1",
                "eventName": "MODIFY",
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": "us-east-1",
                "eventSourceARN": "arn:stream",
                "dynamodb": {
                    "ApproximateCreationDateTime": 1_767_225_600,
                    "Keys": {"pk": {"S": "CALL#c1"}, "sk": {"S": "CALL"}},
                    "OldImage": old,
                    "NewImage": new,
                    "SequenceNumber": "100000000000000000001",
                    "SizeBytes": 50,
                    "StreamViewType": "NEW_AND_OLD_IMAGES",
                },
            })
        );
        assert_eq!(record.shard_id(), "s1");
        assert_eq!(record.sequence_number(), "100000000000000000001");
        assert_eq!(record.created_at(), UNIX_EPOCH + Duration::from_hours(490_896));
        assert!(record.has_partition_key("CALL#c1") && !record.has_partition_key("CALL#c2"));
    }

    #[test]
    fn user_identity_has_lower_case_members() {
        let expected = json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"});
        let capitalized = json!({"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"});
        for identity in [&expected, &capitalized] {
            let image = json!({});
            let record = StreamRecord::from_wire("s", "a", &wire(identity, &image, &image));
            assert_eq!(record.unwrap().event()["userIdentity"], expected);
        }
    }

    #[test]
    fn equal_images_change_nothing() {
        let (one, two) = (json!({"n": {"N": "1"}}), json!({"n": {"N": "2"}}));
        for (old, new, changes_nothing) in [(&one, &one, true), (&one, &two, false)] {
            let record = StreamRecord::from_wire("s", "a", &wire(&Value::Null, old, new));
            assert_eq!(record.unwrap().changes_nothing(), changes_nothing);
        }
        let mut insert = wire(&Value::Null, &one, &one);
        insert["dynamodb"].as_object_mut().unwrap().remove("OldImage");
        assert!(!StreamRecord::from_wire("s", "a", &insert).unwrap().changes_nothing());
    }

    #[test]
    fn incomplete_record_is_rejected() {
        for member in ["SequenceNumber", "ApproximateCreationDateTime"] {
            let mut record = wire(&Value::Null, &json!({}), &json!({}));
            record["dynamodb"].as_object_mut().unwrap().remove(member);
            assert_eq!(StreamRecord::from_wire("s", "a", &record), None, "{member}");
        }
    }
}
