//! What a step was for and what it did, from its request and its response. `docs/DATA.md` has the
//! items, and the operations on them.

use serde_json::Value;

/// What is known of a step besides its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct StepDetails {
    /// A short word, such as `reserve`.
    pub(super) purpose: Option<&'static str>,
    /// The name of the error.
    pub(super) error: Option<String>,
    /// The call item that the response returned.
    pub(super) call: Option<CallItem>,
}

/// The part of a call item that decides a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CallItem {
    pub(super) id: String,
    pub(super) state: String,
    pub(super) end_reason: Option<String>,
    /// The user who ended the call, or `service`, `system` or `stream`.
    pub(super) ended_by: Option<String>,
    pub(super) members: Vec<String>,
}

impl StepDetails {
    /// The details of a request to DynamoDB. `response` is `None` without a response.
    pub(crate) fn dynamodb(operation: &str, request: &[u8], response: Option<&[u8]>) -> Self {
        let request = parse(request);
        let response = response.map(parse).unwrap_or_default();
        let exception = response["__type"].as_str();
        let error = exception.map(|name| name.rsplit('#').next().unwrap_or(name).to_owned());
        let item = [&response["Attributes"], &response["Item"]];
        Self {
            purpose: dynamodb_purpose(operation, &request),
            error,
            call: item.into_iter().find_map(CallItem::parse),
        }
    }

    /// The details of a request to Stream.
    pub(crate) fn stream(operation: &str, request: &[u8], response: Option<&[u8]>) -> Self {
        let request = parse(request);
        let response = response.map(parse).unwrap_or_default();
        let is_ring = operation == "GetOrCreateCall" && request["ring"] == true;
        // Stream's errors have a code and a message.
        let error = response["code"].as_i64().and_then(|code| {
            let message = response["message"].as_str()?;
            Some(format!("code {code}: {message}"))
        });
        Self { purpose: is_ring.then_some("ring"), error, call: None }
    }
}

impl CallItem {
    fn parse(item: &Value) -> Option<Self> {
        let text = |name: &str| item[name]["S"].as_str().map(str::to_owned);
        let ended_by = &item["endedBy"]["M"];
        let user = ended_by["userId"]["S"].as_str().or_else(|| ended_by["kind"]["S"].as_str());
        let members = item["members"]["L"].as_array().into_iter().flatten();
        Some(Self {
            id: text("pk")?.strip_prefix("CALL#")?.to_owned(),
            state: text("state")?,
            end_reason: text("endReason"),
            ended_by: user.map(str::to_owned),
            members: members.filter_map(|user| user["S"].as_str().map(str::to_owned)).collect(),
        })
    }
}

fn parse(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

fn dynamodb_purpose(operation: &str, request: &Value) -> Option<&'static str> {
    match operation {
        "Query" => query_purpose(request),
        "BatchGetItem" => batch_purpose(request),
        _ => {
            let key = if operation == "PutItem" { &request["Item"] } else { &request["Key"] };
            let (partition, sort) = (key["pk"]["S"].as_str()?, key["sk"]["S"].as_str()?);
            item_purpose(operation, partition, sort, request)
        }
    }
}

/// The purpose of an operation on one item.
fn item_purpose(
    operation: &str,
    partition: &str,
    sort: &str,
    request: &Value,
) -> Option<&'static str> {
    let kind = partition.split('#').next().unwrap_or_default();
    Some(match (kind, sort.split('#').next().unwrap_or_default()) {
        ("CALL", "CALL") => return call_purpose(operation, request),
        ("CALL", "SAMPLES") => "samples",
        ("CALL", "RATING") => "rating",
        ("CALL", "REPORT") => "report",
        ("CALL", "QUALITY") => "summary",
        ("MEMBERS", _) => "open call",
        ("USER", "PROFILE") => return user_purpose(operation, request),
        ("USER", "IN_CALL") => "joined call",
        ("USER", "HISTORY") => "history",
        ("LIMIT", _) if partition.starts_with("LIMIT#push-profile") => "push quota",
        ("LIMIT", _) if partition.starts_with("LIMIT#delete-channel") => "deletion quota",
        ("LIMIT", _) => "rate limit",
        ("PROFILES", _) => "queued push",
        ("ERASURES", _) => "erasure",
        ("SWEEP", _) => "checkpoint",
        ("PROBE", _) => "probe",
        _ => return None,
    })
}

fn call_purpose(operation: &str, request: &Value) -> Option<&'static str> {
    Some(match operation {
        "GetItem" => "read call",
        "PutItem" if request["Item"].get("answeredWith").is_some() => "alias",
        "PutItem" => "reserve",
        "DeleteItem" => "release",
        "UpdateItem" => {
            return first_of(
                request,
                &[
                    ("settlement", "settle"),
                    ("activeAt", "activate"),
                    ("endingAt", "end"),
                    ("endedAt", "finish"),
                    ("leaseUntil", "take over"),
                    ("maxDurationSeconds", "limit"),
                    ("limitSynced", "confirm limit"),
                    ("lastRungAt", "ring"),
                    // A join also sets the start of the call, if it is the first one.
                    ("presence", "presence"),
                    ("startedAt", "first join"),
                    ("members", "members"),
                    ("dueShard", "done"),
                    ("tries", "reschedule"),
                    ("dueAt", "schedule check"),
                ],
            );
        }
        _ => return None,
    })
}

fn user_purpose(operation: &str, request: &Value) -> Option<&'static str> {
    if operation == "GetItem" {
        return Some("read user");
    }
    first_of(
        request,
        &[
            ("tokenCount", "count"),
            ("erasedAt", "erased"),
            ("revokedAt", "revoke"),
            ("statusAt", "status"),
            ("banAt", "ban"),
            ("synced", "confirm push"),
            ("version", "profile"),
        ],
    )
}

/// The purpose of the first attribute that the update changes.
fn first_of(request: &Value, purposes: &[(&str, &'static str)]) -> Option<&'static str> {
    let expression = request["UpdateExpression"].as_str()?;
    let is_changed = |attribute: &str| {
        let name = format!("#{attribute}");
        expression
            .split(|character: char| !character.is_ascii_alphanumeric() && character != '#')
            .any(|word| word == name)
    };
    purposes.iter().find(|(attribute, _)| is_changed(attribute)).map(|(_, purpose)| *purpose)
}

fn query_purpose(request: &Value) -> Option<&'static str> {
    if request["IndexName"] == "due" {
        let is_count = request["Select"] == "COUNT";
        return Some(if is_count { "count open calls" } else { "due calls" });
    }
    let values = request["ExpressionAttributeValues"].as_object()?;
    let has = |prefix: &str| {
        values
            .values()
            .any(|value| value["S"].as_str().is_some_and(|text| text.starts_with(prefix)))
    };
    let purposes = [
        ("PROFILES", "queued pushes"),
        ("ERASURES", "erasures"),
        ("HISTORY#", "history"),
        ("USER#", "history"),
        ("CALL#", "quality data"),
    ];
    purposes.into_iter().find(|(prefix, _)| has(prefix)).map(|(_, purpose)| purpose)
}

fn batch_purpose(request: &Value) -> Option<&'static str> {
    let tables = request["RequestItems"].as_object()?;
    let keys = tables.values().filter_map(|table| table["Keys"].as_array()).flatten();
    let partitions: Vec<&str> = keys.filter_map(|key| key["pk"]["S"].as_str()).collect();
    let has = |prefix: &str| partitions.iter().any(|partition| partition.starts_with(prefix));
    match (has("USER#"), has("CALL#")) {
        (true, true) => Some("call and members"),
        (true, false) => Some("users"),
        (false, true) => Some("calls"),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn purpose(operation: &str, request: &Value) -> Option<&'static str> {
        StepDetails::dynamodb(operation, request.to_string().as_bytes(), None).purpose
    }

    fn key(partition: &str, sort: &str) -> Value {
        json!({"pk": {"S": partition}, "sk": {"S": sort}})
    }

    #[test]
    fn purpose_of_an_item_operation() {
        for (operation, partition, sort, expected) in [
            ("GetItem", "CALL#c1", "CALL", Some("read call")),
            ("DeleteItem", "CALL#c1", "CALL", Some("release")),
            ("GetItem", "CALL#c1", "QUALITY#SUMMARY", Some("summary")),
            ("DeleteItem", "MEMBERS#d", "OPEN", Some("open call")),
            ("GetItem", "USER#alice", "PROFILE", Some("read user")),
            ("UpdateItem", "USER#alice", "IN_CALL", Some("joined call")),
            ("DeleteItem", "USER#alice", "HISTORY#OPEN#1#c", Some("history")),
            ("UpdateItem", "LIMIT#push-profile", "1", Some("push quota")),
            ("UpdateItem", "LIMIT#delete-channel", "1", Some("deletion quota")),
            ("UpdateItem", "LIMIT#call-create#alice", "1", Some("rate limit")),
            ("DeleteItem", "PROFILES", "alice", Some("queued push")),
            ("GetItem", "PROBE", "PROBE", Some("probe")),
            ("GetItem", "OTHER", "OTHER", None),
        ] {
            let request = json!({"Key": key(partition, sort)});
            assert_eq!(purpose(operation, &request), expected, "{operation} {partition} {sort}");
        }
        let mut item = key("CALL#c1", "CALL");
        assert_eq!(purpose("PutItem", &json!({"Item": item})), Some("reserve"));
        item["answeredWith"] = json!({"S": "c2"});
        assert_eq!(purpose("PutItem", &json!({"Item": item})), Some("alias"));
    }

    #[test]
    fn purpose_of_an_update_is_that_of_its_attributes() {
        for (partition, sort, expression, expected) in [
            (
                "CALL#c",
                "CALL",
                "SET #state = :active, #activeAt = :at, #dueAt = :due REMOVE #leaseUntil, #tries",
                Some("activate"),
            ),
            (
                "CALL#c",
                "CALL",
                "SET #state = :ending, #endingAt = :at, #endReason = :reason",
                Some("end"),
            ),
            (
                "CALL#c",
                "CALL",
                "SET #state = :ended, #endedAt = :at, #dueAt = :due",
                Some("finish"),
            ),
            (
                "CALL#c",
                "CALL",
                "SET #presence = :presence, #rejects = :rejects, #startedAt = :start",
                Some("presence"),
            ),
            ("CALL#c", "CALL", "SET #dueAt = :due", Some("schedule check")),
            ("CALL#c", "CALL", "SET #dueAt = :until, #tries = :tries", Some("reschedule")),
            ("CALL#c", "CALL", "REMOVE #dueShard, #dueAt, #tries", Some("done")),
            ("CALL#c", "CALL", "SET #settlement = :s, #presence = :p", Some("settle")),
            ("CALL#c", "CALL", "ADD #reemits :one", None),
            ("USER#a", "PROFILE", "SET #tokenMinute = :minute, #tokenCount = :one", Some("count")),
            ("USER#a", "PROFILE", "SET #name = :name ADD #version :one", Some("profile")),
        ] {
            let request = json!({"Key": key(partition, sort), "UpdateExpression": expression});
            assert_eq!(purpose("UpdateItem", &request), expected, "{expression}");
        }
    }

    #[test]
    fn purpose_of_queries_and_batches() {
        assert_eq!(purpose("Query", &json!({"IndexName": "due"})), Some("due calls"));
        let count = json!({"IndexName": "due", "Select": "COUNT"});
        assert_eq!(purpose("Query", &count), Some("count open calls"));
        let query =
            |partition: &str| json!({"ExpressionAttributeValues": {":pk": {"S": partition}}});
        assert_eq!(purpose("Query", &query("USER#alice")), Some("history"));
        assert_eq!(purpose("Query", &query("ERASURES")), Some("erasures"));
        let batch = |partitions: &[&str]| {
            let keys: Vec<_> = partitions.iter().map(|partition| key(partition, "X")).collect();
            json!({"RequestItems": {"table": {"Keys": keys}}})
        };
        assert_eq!(purpose("BatchGetItem", &batch(&["USER#a", "USER#b"])), Some("users"));
        assert_eq!(purpose("BatchGetItem", &batch(&["CALL#c"])), Some("calls"));
        let both = batch(&["CALL#c", "USER#b"]);
        assert_eq!(purpose("BatchGetItem", &both), Some("call and members"));
    }

    #[test]
    fn response_has_the_error_or_the_call() {
        let exception =
            json!({"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"});
        let details =
            StepDetails::dynamodb("GetItem", b"{}", Some(exception.to_string().as_bytes()));
        assert_eq!(details.error.as_deref(), Some("ConditionalCheckFailedException"));
        let item = json!({"Attributes": {
            "pk": {"S": "CALL#c1"}, "sk": {"S": "CALL"}, "state": {"S": "ending"},
            "endReason": {"S": "left"}, "members": {"L": [{"S": "alice"}, {"S": "bob"}]},
            "endedBy": {"M": {"kind": {"S": "user"}, "userId": {"S": "bob"}}},
        }});
        let details = StepDetails::dynamodb("UpdateItem", b"{}", Some(item.to_string().as_bytes()));
        let expected = CallItem {
            id: "c1".to_owned(),
            state: "ending".to_owned(),
            end_reason: Some("left".to_owned()),
            ended_by: Some("bob".to_owned()),
            members: vec!["alice".to_owned(), "bob".to_owned()],
        };
        assert_eq!((details.call, details.error), (Some(expected), None));
    }

    #[test]
    fn step_at_stream_has_its_error_and_whether_it_rings() {
        let error = json!({"code": 16, "message": "not found", "StatusCode": 404}).to_string();
        let ring =
            StepDetails::stream("GetOrCreateCall", br#"{"ring":true}"#, Some(error.as_bytes()));
        assert_eq!(ring.purpose, Some("ring"));
        assert_eq!(ring.error.as_deref(), Some("code 16: not found"));
        let silent = StepDetails::stream("GetOrCreateCall", b"{}", Some(br#"{"call":{}}"#));
        assert_eq!(silent, StepDetails::default());
    }
}
