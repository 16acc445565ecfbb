//! Reads the stream of a table over HTTP, at any endpoint of DynamoDB.
//!
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB_Streams.html>
//!
//! The reader hides the differences between the embedded emulator and AWS:
//!
//! - The emulator also records a write that changes nothing. The reader drops such records.
//! - The emulator keeps records forever. The reader drops those that AWS has trimmed.
//! - The emulator gives an open shard an ending sequence number. The reader does not use this
//!   number: a shard has ended when `GetRecords` returns no next iterator.

use serde_json::{Value, json};

use super::RETENTION;
use super::record::StreamRecord;
use crate::clock::StackClock;
use crate::dynamo::{CallError, call_streams};
use crate::error::TableStreamError;
use crate::lambda::ids::ACCOUNT_ID;
use crate::options::REGION;

/// The maximum number of records in a response.
const MAX_RECORDS: u32 = 1_000;

/// A position in the stream of a table.
pub struct StreamReader {
    endpoint: String,
    /// The ARN at the endpoint.
    stream_arn: String,
    /// The ARN in the records. An emulator has another region and account in its ARNs.
    record_arn: String,
    clock: StackClock,
    /// The shards in the order of their creation.
    shards: Vec<Shard>,
    is_shard_list_stale: bool,
    trimmed: u64,
}

struct Shard {
    id: String,
    parent_id: Option<String>,
    /// The next iterator. `None` means that the position is after `last_sequence_number`.
    iterator: Option<String>,
    /// The last record that was read. `None` is the start of the shard.
    last_sequence_number: Option<String>,
    has_ended: bool,
}

/// A response of `GetRecords`.
struct Page {
    records: Vec<StreamRecord>,
    /// Whether DynamoDB returned no record, not even one that the reader drops.
    is_empty: bool,
}

impl StreamReader {
    /// Opens the stream of a table at its oldest record.
    pub async fn open(endpoint: &str, table: &str) -> Result<Self, TableStreamError> {
        Self::open_with_clock(endpoint, table, StackClock::default()).await
    }

    pub(crate) async fn open_with_clock(
        endpoint: &str,
        table: &str,
        clock: StackClock,
    ) -> Result<Self, TableStreamError> {
        let streams = call_streams(endpoint, "ListStreams", &json!({"TableName": table})).await?;
        let stream_arn = streams["Streams"][0]["StreamArn"].as_str();
        let stream_arn = stream_arn
            .ok_or_else(|| TableStreamError::Read(format!("the table {table} has no stream")))?;
        let mut reader = Self {
            endpoint: endpoint.to_owned(),
            stream_arn: stream_arn.to_owned(),
            record_arn: aws_arn(stream_arn),
            clock,
            shards: Vec::new(),
            is_shard_list_stale: false,
            trimmed: 0,
        };
        reader.update_shards().await?;
        Ok(reader)
    }

    /// The next records, all of one shard. Empty if all records have been read. A shard is read
    /// after its parent.
    pub async fn next_records(&mut self) -> Result<Vec<StreamRecord>, TableStreamError> {
        let mut index = 0;
        loop {
            if self.is_shard_list_stale {
                self.update_shards().await?;
                self.is_shard_list_stale = false;
                index = 0;
            }
            let readable = (index..self.shards.len()).find(|&index| self.is_readable(index));
            let Some(readable) = readable else { return Ok(Vec::new()) };
            let page = self.read_page(readable).await?;
            // The children of a shard that has ended are readable now, and may be new.
            self.is_shard_list_stale = self.shards[readable].has_ended;
            if !page.records.is_empty() {
                return Ok(page.records);
            }
            // An empty page is the current end of its shard. Otherwise all records were dropped.
            index = if page.is_empty { readable + 1 } else { readable };
        }
    }

    /// The number of records that were older than 24 hours when they were read. AWS deletes them
    /// before a consumer gets them.
    #[must_use]
    pub fn trimmed(&self) -> u64 {
        self.trimmed
    }

    /// Whether a shard has not ended, and its parent has. An unknown parent has been deleted.
    fn is_readable(&self, index: usize) -> bool {
        let shard = &self.shards[index];
        let parent = self.shards.iter().find(|other| Some(&other.id) == shard.parent_id.as_ref());
        !shard.has_ended && parent.is_none_or(|parent| parent.has_ended)
    }

    /// Adds the shards that are not in the list yet.
    async fn update_shards(&mut self) -> Result<(), TableStreamError> {
        let mut request = json!({"StreamArn": self.stream_arn});
        loop {
            let response = call_streams(&self.endpoint, "DescribeStream", &request).await?;
            let description = &response["StreamDescription"];
            for shard in description["Shards"].as_array().into_iter().flatten() {
                self.add_shard(shard);
            }
            let Some(last) = description["LastEvaluatedShardId"].as_str() else { return Ok(()) };
            request["ExclusiveStartShardId"] = json!(last);
        }
    }

    fn add_shard(&mut self, description: &Value) {
        let text = |name: &str| description[name].as_str().map(str::to_owned);
        if let Some(id) = text("ShardId")
            && self.shards.iter().all(|shard| shard.id != id)
        {
            self.shards.push(Shard {
                id,
                parent_id: text("ParentShardId"),
                iterator: None,
                last_sequence_number: None,
                has_ended: false,
            });
        }
    }

    async fn read_page(&mut self, index: usize) -> Result<Page, TableStreamError> {
        let response = self.get_records(index).await?;
        let wire_records = response["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
        let shard = &mut self.shards[index];
        let mut records = Vec::with_capacity(wire_records.len());
        for wire_record in wire_records {
            let record = StreamRecord::from_wire(&shard.id, &self.record_arn, wire_record);
            let record = record.ok_or_else(|| {
                TableStreamError::Read(format!("the record {wire_record} is incomplete"))
            })?;
            records.push(record);
        }
        if let Some(last) = records.last() {
            shard.last_sequence_number = Some(last.sequence_number().to_owned());
        }
        shard.iterator = response["NextShardIterator"].as_str().map(str::to_owned);
        shard.has_ended = shard.iterator.is_none();
        let now = self.clock.now();
        records.retain(|record| {
            let age = now.duration_since(record.created_at()).unwrap_or_default();
            self.trimmed += u64::from(age > RETENTION);
            age <= RETENTION && !record.changes_nothing()
        });
        Ok(Page { records, is_empty: wire_records.is_empty() })
    }

    /// Sends `GetRecords`. An iterator expires after 15 minutes; then a new one continues after the
    /// last record.
    async fn get_records(&mut self, index: usize) -> Result<Value, TableStreamError> {
        if let Some(iterator) = self.shards[index].iterator.take() {
            match self.get_records_at(&iterator).await {
                Err(error) if error.is_exception("ExpiredIteratorException") => {}
                Err(error) if error.is_exception("TrimmedDataAccessException") => {
                    self.shards[index].last_sequence_number = None;
                }
                result => return Ok(result?),
            }
        }
        let shard = &self.shards[index];
        let mut request = json!({"StreamArn": self.stream_arn, "ShardId": shard.id});
        match &shard.last_sequence_number {
            Some(number) => {
                request["ShardIteratorType"] = json!("AFTER_SEQUENCE_NUMBER");
                request["SequenceNumber"] = json!(number);
            }
            None => request["ShardIteratorType"] = json!("TRIM_HORIZON"),
        }
        let response = call_streams(&self.endpoint, "GetShardIterator", &request).await?;
        let iterator = response["ShardIterator"].as_str().unwrap_or_default();
        Ok(self.get_records_at(iterator).await?)
    }

    async fn get_records_at(&self, iterator: &str) -> Result<Value, CallError> {
        let request = json!({"ShardIterator": iterator, "Limit": MAX_RECORDS});
        call_streams(&self.endpoint, "GetRecords", &request).await
    }
}

/// AWS's form of a stream's ARN, with the region and the account of the stack.
fn aws_arn(stream_arn: &str) -> String {
    let resource = stream_arn.split_once("table/").map_or(stream_arn, |(_, resource)| resource);
    format!("arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{resource}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use http_body_util::BodyExt as _;
    use hyper::StatusCode;
    use uuid::Uuid;

    use super::*;
    use crate::Options;
    use crate::dynamo::{LocalDynamo, call};
    use crate::http_server::{ConnectionDropped, Server, json_response};
    use crate::listener::bind_localhost;
    use crate::sync::lock;
    use crate::template::Template;

    const TEMPLATE: &str = "
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
      TimeToLiveSpecification: {AttributeName: ttl, Enabled: true}
";

    async fn start_dynamo(clock: &StackClock) -> LocalDynamo {
        let template = Template::parse(TEMPLATE).unwrap();
        let options = Options { streams: true, ..Options::default() };
        LocalDynamo::start(&template, &options, clock, None).await.unwrap()
    }

    /// A table with a stream: in the embedded emulator, or in the DynamoDB at
    /// `STORE_TEST_ENDPOINT`.
    struct TestTable {
        endpoint: String,
        name: String,
        dynamo: Option<LocalDynamo>,
    }

    impl TestTable {
        async fn create() -> Self {
            let Ok(endpoint) = std::env::var("STORE_TEST_ENDPOINT") else {
                let dynamo = start_dynamo(&StackClock::default()).await;
                let name = dynamo.table_name().to_owned();
                return Self { endpoint: dynamo.stream_endpoint(), name, dynamo: Some(dynamo) };
            };
            let name = format!("stream-reader-{}", Uuid::new_v4());
            let request =
                Template::parse(TEMPLATE).unwrap().table.create_table_request(&name, true);
            call(&endpoint, "CreateTable", &request).await.unwrap();
            Self { endpoint, name, dynamo: None }
        }

        async fn put(&self, key: &str, value: u32) {
            let item = json!({"pk": {"S": key}, "value": {"N": value.to_string()}});
            let request = json!({"TableName": self.name, "Item": item});
            call(&self.endpoint, "PutItem", &request).await.unwrap();
        }

        async fn delete(&self, key: &str) {
            let request = json!({"TableName": self.name, "Key": {"pk": {"S": key}}});
            call(&self.endpoint, "DeleteItem", &request).await.unwrap();
        }

        async fn open(&self) -> StreamReader {
            StreamReader::open(&self.endpoint, &self.name).await.unwrap()
        }

        async fn stop(self) {
            if let Some(dynamo) = self.dynamo {
                dynamo.stop().await;
            }
        }
    }

    /// The event names, keys and values of all records that are not read yet.
    async fn read_changes(reader: &mut StreamReader) -> Vec<(String, String, String)> {
        let mut changes = Vec::new();
        loop {
            let records = reader.next_records().await.unwrap();
            if records.is_empty() {
                return changes;
            }
            changes.extend(records.iter().map(|record| {
                let event = record.event();
                let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
                let image = &event["dynamodb"]["NewImage"]["value"]["N"];
                let key = &event["dynamodb"]["Keys"]["pk"]["S"];
                (text(&event["eventName"]), text(key), text(image))
            }));
        }
    }

    fn change(name: &str, key: &str, value: &str) -> (String, String, String) {
        (name.to_owned(), key.to_owned(), value.to_owned())
    }

    #[tokio::test]
    async fn records_are_read_in_order_and_once() {
        let table = TestTable::create().await;
        table.put("a", 1).await;
        let mut reader = table.open().await;
        table.put("a", 2).await;
        // This write changes nothing.
        table.put("a", 2).await;
        table.delete("a").await;
        let expected =
            [change("INSERT", "a", "1"), change("MODIFY", "a", "2"), change("REMOVE", "a", "-")];
        assert_eq!(read_changes(&mut reader).await, expected);

        assert!(read_changes(&mut reader).await.is_empty());
        table.put("b", 3).await;
        assert_eq!(read_changes(&mut reader).await, [change("INSERT", "b", "3")]);
        // Another reader has its own position.
        assert_eq!(read_changes(&mut table.open().await).await.len(), 4);
        table.stop().await;
    }

    #[tokio::test]
    async fn record_has_the_region_and_arn_of_the_stack() {
        let table = TestTable::create().await;
        table.put("a", 1).await;
        table.put("a", 2).await;
        let records = table.open().await.next_records().await.unwrap();
        let event = records[1].event();
        assert_eq!(event["awsRegion"], REGION);
        assert_eq!(event["eventSource"], "aws:dynamodb");
        let arn = event["eventSourceARN"].as_str().unwrap();
        let prefix = format!("arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{}/stream/", table.name);
        assert!(arn.starts_with(&prefix), "{arn}");
        let change = &event["dynamodb"];
        assert_eq!(change["Keys"], json!({"pk": {"S": "a"}}));
        assert_eq!(change["OldImage"], json!({"pk": {"S": "a"}, "value": {"N": "1"}}));
        assert_eq!(change["NewImage"], json!({"pk": {"S": "a"}, "value": {"N": "2"}}));
        assert_eq!(change["StreamViewType"], "NEW_AND_OLD_IMAGES");
        assert!(change["SizeBytes"].is_u64() && change["ApproximateCreationDateTime"].is_u64());
        table.stop().await;
    }

    #[tokio::test]
    async fn old_records_are_trimmed() {
        let clock = StackClock::default();
        let dynamo = start_dynamo(&clock).await;
        let put = async |key: &str| {
            let item = json!({"pk": {"S": key}, "value": {"N": "1"}});
            let request = json!({"TableName": dynamo.table_name(), "Item": item});
            call(dynamo.url(), "PutItem", &request).await.unwrap();
        };
        put("a").await;
        clock.advance(Duration::from_hours(25));
        put("b").await;
        let (endpoint, name) = (dynamo.stream_endpoint(), dynamo.table_name());
        let mut reader =
            StreamReader::open_with_clock(&endpoint, name, clock.clone()).await.unwrap();
        assert_eq!(read_changes(&mut reader).await, [change("INSERT", "b", "1")]);
        assert_eq!(reader.trimmed(), 1);
        dynamo.stop().await;
    }

    #[tokio::test]
    async fn expired_item_is_removed_by_dynamodb() {
        let clock = StackClock::default();
        let dynamo = start_dynamo(&clock).await;
        let in_an_hour = clock.now() + Duration::from_hours(1);
        let ttl = in_an_hour.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let item = json!({"pk": {"S": "a"}, "ttl": {"N": ttl.to_string()}});
        let request = json!({"TableName": dynamo.table_name(), "Item": item});
        call(dynamo.url(), "PutItem", &request).await.unwrap();
        assert_eq!(dynamo.expire_items().await.unwrap(), 0);
        clock.advance(Duration::from_hours(2));
        assert_eq!(dynamo.expire_items().await.unwrap(), 1);

        let (endpoint, name) = (dynamo.stream_endpoint(), dynamo.table_name());
        let mut reader =
            StreamReader::open_with_clock(&endpoint, name, clock.clone()).await.unwrap();
        let records = reader.next_records().await.unwrap();
        let event = records[1].event();
        assert_eq!(event["eventName"], "REMOVE");
        let identity = json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"});
        assert_eq!(event["userIdentity"], identity);
        dynamo.stop().await;
    }

    #[tokio::test]
    async fn table_without_a_stream_is_an_error() {
        let template = Template::parse(TEMPLATE).unwrap();
        let clock = StackClock::default();
        let options = Options::default();
        let dynamo = LocalDynamo::start(&template, &options, &clock, None).await.unwrap();
        let opened = StreamReader::open(&dynamo.stream_endpoint(), dynamo.table_name()).await;
        let error = opened.err().unwrap().to_string();
        assert!(error.ends_with("the table stream-local has no stream"), "{error}");
        dynamo.stop().await;
    }

    /// A stream with several shards, which answers with scripted pages.
    #[derive(Default)]
    struct FakeStream {
        /// The descriptions of the shards. One response has one shard.
        shards: Vec<Value>,
        /// The pages of each shard by iterator: the records and the next iterator.
        pages: BTreeMap<&'static str, (Vec<u32>, Option<&'static str>)>,
        /// The iterators that have expired.
        expired: Vec<&'static str>,
        requests: Vec<String>,
    }

    impl FakeStream {
        fn respond(&mut self, operation: &str, request: &Value) -> (StatusCode, Value) {
            let text = |name: &str| request[name].as_str().unwrap_or_default().to_owned();
            match operation {
                "ListStreams" => {
                    let arn = "arn:aws:dynamodb:other:0:table/t/stream/1";
                    (StatusCode::OK, json!({"Streams": [{"StreamArn": arn}]}))
                }
                "DescribeStream" => {
                    let start = text("ExclusiveStartShardId");
                    let previous = self.shards.iter().position(|shard| shard["ShardId"] == start);
                    let index = previous.map_or(0, |previous| previous + 1);
                    let mut description = json!({"Shards": [self.shards[index]]});
                    if index + 1 < self.shards.len() {
                        description["LastEvaluatedShardId"] = self.shards[index]["ShardId"].clone();
                    }
                    (StatusCode::OK, json!({"StreamDescription": description}))
                }
                "GetShardIterator" => {
                    let (shard, number) = (text("ShardId"), text("SequenceNumber"));
                    self.requests.push(format!("{shard} {} {number}", text("ShardIteratorType")));
                    (StatusCode::OK, json!({"ShardIterator": format!("{shard}{number}")}))
                }
                _ => {
                    let iterator = text("ShardIterator");
                    if let Some(position) = self.expired.iter().position(|&id| id == iterator) {
                        self.expired.remove(position);
                        let kind = "com.amazonaws.dynamodb.v20120810#ExpiredIteratorException";
                        return (StatusCode::BAD_REQUEST, json!({"__type": kind}));
                    }
                    let (numbers, next) = self.pages[iterator.as_str()].clone();
                    let records: Vec<Value> = numbers.into_iter().map(wire_record).collect();
                    let mut response = json!({"Records": records});
                    if let Some(next) = next {
                        response["NextShardIterator"] = json!(next);
                    }
                    (StatusCode::OK, response)
                }
            }
        }
    }

    fn wire_record(number: u32) -> Value {
        let now = StackClock::default().now();
        let age = now.duration_since(std::time::UNIX_EPOCH).unwrap();
        json!({"eventName": "INSERT", "dynamodb": {
            "ApproximateCreationDateTime": age.as_secs(),
            "SequenceNumber": number.to_string(),
        }})
    }

    async fn serve(stream: FakeStream) -> (Arc<Mutex<FakeStream>>, Server, String) {
        let stream = Arc::new(Mutex::new(stream));
        let (listener, address) = bind_localhost("the test", 0).await.unwrap();
        let server_stream = Arc::clone(&stream);
        let server = Server::start(listener, move |request, _| {
            let stream = Arc::clone(&server_stream);
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.map_err(|_| ConnectionDropped)?.to_bytes();
                let target = parts.headers["x-amz-target"].to_str().unwrap().to_owned();
                let operation = target.strip_prefix("DynamoDBStreams_20120810.").unwrap();
                let request = serde_json::from_slice(&body).unwrap();
                let (status, response) = lock(&stream).respond(operation, &request);
                Ok(json_response(status, response.to_string()))
            }
        });
        (stream, server, format!("http://{address}"))
    }

    /// The shards and sequence numbers of the pages.
    async fn read_pages(reader: &mut StreamReader) -> Vec<(String, Vec<String>)> {
        let mut pages = Vec::new();
        loop {
            let records = reader.next_records().await.unwrap();
            let Some(first) = records.first() else { return pages };
            let numbers = records.iter().map(|record| record.sequence_number().to_owned());
            pages.push((first.shard_id().to_owned(), numbers.collect()));
        }
    }

    fn page(shard: &str, numbers: &[u32]) -> (String, Vec<String>) {
        (shard.to_owned(), numbers.iter().map(u32::to_string).collect())
    }

    #[tokio::test]
    async fn child_shard_is_read_after_its_parent() {
        let (stream, server, endpoint) = serve(FakeStream {
            // The child comes first. Its sibling has a parent that AWS has deleted.
            shards: vec![
                json!({"ShardId": "child", "ParentShardId": "parent"}),
                json!({"ShardId": "parent"}),
                json!({"ShardId": "orphan", "ParentShardId": "deleted"}),
            ],
            pages: BTreeMap::from([
                ("parent", (vec![1, 2], Some("parent-2"))),
                // A page may be empty although the shard continues.
                ("parent-2", (vec![], Some("parent-3"))),
                ("parent-3", (vec![3], None)),
                ("child", (vec![10], Some("child-2"))),
                ("child-2", (vec![], Some("child-2"))),
                ("orphan", (vec![20], None)),
            ]),
            ..FakeStream::default()
        })
        .await;
        let mut reader = StreamReader::open(&endpoint, "t").await.unwrap();
        let expected = [
            page("parent", &[1, 2]),
            page("orphan", &[20]),
            page("parent", &[3]),
            page("child", &[10]),
        ];
        assert_eq!(read_pages(&mut reader).await, expected);

        // A shard that was created later is found when its parent ends.
        {
            let mut stream = lock(&stream);
            stream.shards.push(json!({"ShardId": "grandchild", "ParentShardId": "child"}));
            stream.pages.insert("child-2", (vec![11], None));
            stream.pages.insert("grandchild", (vec![12], None));
        }
        let expected = [page("child", &[11]), page("grandchild", &[12])];
        assert_eq!(read_pages(&mut reader).await, expected);
        server.stop().await;
    }

    #[tokio::test]
    async fn expired_iterator_continues_after_the_last_record() {
        let (stream, server, endpoint) = serve(FakeStream {
            shards: vec![json!({"ShardId": "s"})],
            pages: BTreeMap::from([
                ("s", (vec![1], Some("old"))),
                ("s1", (vec![2], Some("end"))),
                ("end", (vec![], Some("end"))),
            ]),
            expired: vec!["old"],
            ..FakeStream::default()
        })
        .await;
        let mut reader = StreamReader::open(&endpoint, "t").await.unwrap();
        let expected = [page("s", &[1]), page("s", &[2])];
        assert_eq!(read_pages(&mut reader).await, expected);
        let expected = ["s TRIM_HORIZON ", "s AFTER_SEQUENCE_NUMBER 1"];
        assert_eq!(lock(&stream).requests, expected);
        server.stop().await;
    }
}
