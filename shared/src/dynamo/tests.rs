//! Compares requests to the table with those of the SDK's own client.

use std::fmt::Debug;
use std::time::Duration;

use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_dynamodb::Client as SdkClient;
use aws_sdk_dynamodb::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemFluentBuilder;
use aws_sdk_dynamodb::operation::batch_write_item::builders::BatchWriteItemFluentBuilder;
use aws_sdk_dynamodb::operation::delete_item::builders::DeleteItemFluentBuilder;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{DeleteRequest, PutRequest};
use futures_util::FutureExt as _;
use serde_json::json;

use crate::test_support::aws::{
    REGION, Reply, Server, credentials, http, without_variable_headers,
};

use super::*;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

fn config(server: &Server) -> StoreConfig {
    let (table, region) = ("table".to_owned(), REGION.to_owned());
    StoreConfig { table, region, endpoint: Some(server.url.clone()) }
}

fn ok() -> Reply {
    let (item, end) = (json!({"pk": {"S": "a"}}), json!({"pk": {"S": "c"}}));
    // Each operation reads its own part.
    let body = json!({
        "Attributes": item,
        "Item": item,
        "Items": [item],
        "Count": 1,
        "ScannedCount": 2,
        "LastEvaluatedKey": end,
        "Responses": {"table": [item]},
        "UnprocessedKeys": {"table": {"Keys": [end]}},
        "UnprocessedItems": {"table": [{"DeleteRequest": {"Key": end}}]},
    });
    Reply::json(200, body)
}

fn failure(status: u16, code: &str) -> Reply {
    let code = format!("com.amazonaws.dynamodb.v20120810#{code}");
    let body = json!({"__type": code, "message": "m", "Item": {"pk": {"S": "b"}}});
    Reply::json(status, body)
}

/// The kind of a result, and how the stores map it.
fn outcome<O: Debug, E>(result: Result<O, SdkError<E>>) -> String
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let error = match result {
        Ok(output) => return format!("{output:?}"),
        Err(error) => error,
    };
    let kind = match &error {
        SdkError::ServiceError(service) => {
            let code = service.err().code();
            format!("service error {code:?} {} {:?}", service.raw().status(), service.err())
        }
        SdkError::DispatchFailure(failure) => {
            format!("dispatch failure {} {}", failure.is_io(), failure.is_timeout())
        }
        SdkError::ConstructionFailure(_) => "construction failure".to_owned(),
        SdkError::ResponseError(_) => "response error".to_owned(),
        SdkError::TimeoutError(_) => "timeout".to_owned(),
        _ => "other".to_owned(),
    };
    match map_sdk_error(error) {
        StoreError::Unavailable(_) => format!("unavailable: {kind}"),
        StoreError::Internal(_) => format!("internal: {kind}"),
    }
}

/// The SDK's client with the methods of the table.
struct SdkTable(SdkClient);

impl SdkTable {
    fn new(server: &Server, credentials: impl ProvideCredentials + 'static) -> Self {
        let config = sdk::fixtures::config(REGION, &server.url, credentials, http());
        Self(SdkClient::new(&config))
    }

    fn batch_get_item(&self) -> BatchGetItemFluentBuilder {
        self.0.batch_get_item()
    }

    fn batch_write_item(&self) -> BatchWriteItemFluentBuilder {
        self.0.batch_write_item()
    }

    fn delete_item(&self, key: Item) -> DeleteItemFluentBuilder {
        self.0.delete_item().table_name("table").set_key(Some(key))
    }

    fn get_item(&self, key: Item) -> GetItemFluentBuilder {
        self.0.get_item().table_name("table").set_key(Some(key))
    }

    fn put_item(&self, item: Item) -> PutItemFluentBuilder {
        self.0.put_item().table_name("table").set_item(Some(item))
    }

    fn query(&self) -> QueryFluentBuilder {
        self.0.query().table_name("table")
    }

    fn scan(&self) -> ScanFluentBuilder {
        self.0.scan().table_name("table")
    }

    fn update_item(&self, key: Item) -> UpdateItemFluentBuilder {
        self.0.update_item().table_name("table").set_key(Some(key))
    }
}

/// Defines the same requests for the table and for the SDK's client.
macro_rules! requests {
    ($table:ty) => {
        impl $table {
            /// Sends an update twice.
            async fn send_update_twice(&self) -> Vec<String> {
                vec![self.send_update().await, self.send_update().await]
            }

            async fn send_update(&self) -> String {
                let request = self
                    .update_item(key("a", "b"))
                    .update_expression("SET #x = :x")
                    .condition_expression("attribute_exists(pk)")
                    .set_expression_attribute_names(Some(attribute_names(&["x"])))
                    .expression_attribute_values(":x", text("ä"))
                    .return_values(ReturnValue::AllNew)
                    .return_values_on_condition_check_failure(
                        ReturnValuesOnConditionCheckFailure::AllOld,
                    );
                outcome(request.send().await)
            }

            /// Sends a request of each operation.
            async fn send_all(&self) -> [String; 8] {
                let values = Item::from([(":x".to_owned(), number(1))]);
                let keys = KeysAndAttributes::builder().keys(key("a", "b")).build().unwrap();
                let get = self.batch_get_item();
                let get = get.set_request_items(Some(HashMap::from([("table".to_owned(), keys)])));
                let put = PutRequest::builder().set_item(Some(key("a", "b"))).build().unwrap();
                let delete = DeleteRequest::builder().set_key(Some(key("c", "d"))).build().unwrap();
                let writes = vec![
                    WriteRequest::builder().put_request(put).build(),
                    WriteRequest::builder().delete_request(delete).build(),
                ];
                let write = self.batch_write_item();
                let write =
                    write.set_request_items(Some(HashMap::from([("table".to_owned(), writes)])));
                let delete = self
                    .delete_item(key("a", "b"))
                    .condition_expression("x = :x")
                    .set_expression_attribute_values(Some(values.clone()));
                let get_item = self
                    .get_item(key("a", "b"))
                    .consistent_read(true)
                    .projection_expression("#x")
                    .expression_attribute_names("#x", "x");
                let put_item = self
                    .put_item(key("a", "b"))
                    .condition_expression("attribute_not_exists(pk)")
                    .return_values(ReturnValue::AllOld);
                let query = self
                    .query()
                    .index_name("index")
                    .key_condition_expression("pk = :x")
                    .set_expression_attribute_values(Some(values))
                    .set_exclusive_start_key(Some(key("a", "b")))
                    .scan_index_forward(false)
                    .select(Select::AllAttributes)
                    .limit(3);
                let scan = self
                    .scan()
                    .filter_expression("#x = :x")
                    .set_expression_attribute_names(Some(attribute_names(&["x"])))
                    .expression_attribute_values(":x", text("x"));
                [
                    outcome(get.send().await),
                    outcome(write.send().await),
                    outcome(delete.send().await),
                    outcome(get_item.send().await),
                    outcome(put_item.send().await),
                    outcome(query.send().await),
                    outcome(scan.send().await),
                    self.send_update().await,
                ]
            }
        }
    };
}

requests!(Table);
requests!(SdkTable);

fn debug(table: &Table) -> String {
    format!("{:?}", table.client.parts)
}

#[tokio::test]
async fn requests_and_retries_are_those_of_the_sdk() {
    for (replies, attempts) in [
        (vec![ok()], 2),
        (vec![failure(400, "ConditionalCheckFailedException")], 2),
        (vec![failure(400, "ValidationException")], 2),
        (vec![failure(500, "InternalServerError"), ok()], 3),
        (vec![failure(500, "InternalServerError")], 6),
        (vec![failure(503, "Unknown"), failure(400, "ThrottlingException"), ok()], 4),
        (vec![failure(400, "ProvisionedThroughputExceededException"), ok()], 3),
        (vec![failure(400, "RequestLimitExceeded")], 6),
        (vec![failure(400, "TransactionConflictException")], 2),
        (vec![Reply::Malformed], 2),
        (vec![Reply::Close, ok()], 3),
    ] {
        let server = Server::start(replies.clone()).await;
        let expected = SdkTable::new(&server, credentials()).send_update_twice().await;
        server.requests().iter().for_each(|request| request.check_signature("dynamodb"));
        let expected_requests = without_variable_headers(server.requests());
        assert_eq!(expected_requests.len(), attempts, "{replies:?}");
        let server = Server::start(replies.clone()).await;
        let table = Table::with_credentials(&config(&server), http(), credentials());
        assert_eq!(table.send_update_twice().await, expected, "{replies:?}");
        assert!(debug(&table).contains("has_key: true"));
        server.requests().iter().for_each(|request| request.check_signature("dynamodb"));
        assert_eq!(without_variable_headers(server.requests()), expected_requests, "{replies:?}");
    }
}

#[tokio::test]
async fn retries_keep_the_id_of_the_first_attempt() {
    let failure = failure(500, "InternalServerError");
    let server = Server::start(vec![failure.clone(), failure, ok()]).await;
    let table = Table::with_credentials(&config(&server), http(), credentials());
    table.send_update_twice().await;
    let ids: Vec<_> =
        server.requests().iter().map(|it| it.headers["amz-sdk-invocation-id"].clone()).collect();
    assert_eq!(ids.len(), 4);
    assert_eq!((&ids[0], &ids[0]), (&ids[1], &ids[2]));
    assert_ne!(ids[0], ids[3]);
}

/// The orchestrator sees all successes until they have refilled the retry quota.
#[tokio::test]
async fn requests_are_direct_while_the_retry_quota_is_full() {
    let error = failure(500, "InternalServerError");
    // Each retry takes ten of the quota. The first success returns those of the last retry, and
    // each further success returns one.
    let replies = [vec![error; 3], vec![ok()]].concat();
    let server = Server::start(replies).await;
    let table = Table::with_credentials(&config(&server), http(), credentials());
    let sends_directly = || table.client.parts.sends_directly();
    assert!(sends_directly());
    table.send_update().await;
    for success in 0..11 {
        assert!(!sends_directly(), "after {success} successes");
        table.send_update().await;
    }
    assert!(sends_directly());
    assert_eq!(server.requests().len(), 3 + 11);
    for (replies, is_direct) in [
        // The success of the retry returns what it took.
        (vec![failure(503, "Unknown"), ok()], true),
        (vec![failure(400, "ConditionalCheckFailedException")], true),
        (vec![Reply::Close], false),
    ] {
        let server = Server::start(replies.clone()).await;
        let table = Table::with_credentials(&config(&server), http(), credentials());
        table.send_update().await;
        assert_eq!(table.client.parts.sends_directly(), is_direct, "{replies:?}");
    }
}

/// Each retry takes ten of the quota of 500. An empty quota ends the retries, and successes fill it
/// again.
#[tokio::test]
async fn empty_retry_quota_is_refilled() {
    let replies = [vec![failure(500, "InternalServerError"); 150], vec![ok()]].concat();
    let server = Server::start(replies).await;
    let table = Table::with_credentials(&config(&server), http(), credentials());
    futures_util::future::join_all((0..100).map(|_| table.send_update())).await;
    assert_eq!(server.requests().len(), 100 + 50);
    for success in 0..491 {
        assert!(!table.client.parts.sends_directly(), "after {success} successes");
        table.send_update().await;
    }
    assert!(table.client.parts.sends_directly());
}

/// The orchestrator uses the path of an endpoint.
#[tokio::test]
async fn endpoint_with_a_path_is_not_sent_to_directly() {
    let server = Server::start(vec![ok()]).await;
    let endpoint = Some(format!("{}/path", server.url));
    let config = StoreConfig { endpoint, ..config(&server) };
    let table = Table::with_credentials(&config, http(), credentials());
    assert!(!table.client.parts.sends_directly());
    table.send_update().await;
    assert_eq!(server.requests()[0].line, "POST /path/ HTTP/1.1");
}

#[tokio::test]
async fn all_operations_are_those_of_the_sdk() {
    let throttled = failure(400, "ThrottlingException");
    for (replies, attempts) in [
        (vec![ok()], 8),
        (vec![failure(400, "ConditionalCheckFailedException")], 8),
        (vec![failure(400, "ResourceNotFoundException")], 8),
        (vec![[throttled, ok()]; 8].concat(), 16),
    ] {
        let server = Server::start(replies.clone()).await;
        let expected = SdkTable::new(&server, credentials()).send_all().await;
        let expected_requests = without_variable_headers(server.requests());
        assert_eq!(expected_requests.len(), attempts, "{replies:?}");
        let server = Server::start(replies.clone()).await;
        let table = Table::with_credentials(&config(&server), http(), credentials());
        assert_eq!(table.send_all().await, expected, "{replies:?}");
        server.requests().iter().for_each(|request| request.check_signature("dynamodb"));
        assert_eq!(without_variable_headers(server.requests()), expected_requests, "{replies:?}");
    }
}

/// `SdkOperation` drops these: telemetry has no receiver, the stalled stream protection is
/// disabled, and the endpoint is static.
#[test]
fn interceptors_of_operations_are_known() {
    let names = [
        SdkOperation::dropped_interceptors(&BatchGetItem::new()),
        SdkOperation::dropped_interceptors(&BatchWriteItem::new()),
        SdkOperation::dropped_interceptors(&DeleteItem::new()),
        SdkOperation::dropped_interceptors(&GetItem::new()),
        SdkOperation::dropped_interceptors(&PutItem::new()),
        SdkOperation::dropped_interceptors(&Query::new()),
        SdkOperation::dropped_interceptors(&Scan::new()),
        SdkOperation::dropped_interceptors(&UpdateItem::new()),
    ];
    let expected = [
        ("BatchGetItem", false),
        ("BatchWriteItem", false),
        ("DeleteItem", true),
        ("GetItem", true),
        ("PutItem", true),
        ("Query", true),
        ("Scan", true),
        ("UpdateItem", true),
    ]
    .map(|(operation, has_telemetry)| {
        let mut names = Vec::new();
        if has_telemetry {
            names.push(format!("{operation}TelemetryInputCaptureInterceptor"));
        }
        names.push("StalledStreamProtectionInterceptor".to_owned());
        names.push(format!("{operation}EndpointParamsInterceptor"));
        names
    });
    assert_eq!(names, expected);
}

#[test]
fn timeouts_are_those_of_the_sdk() {
    let run = |is_sdk: bool| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let server = Server::start(vec![Reply::Hang]).await;
            let started_at = tokio::time::Instant::now();
            let outcomes = if is_sdk {
                SdkTable::new(&server, credentials()).send_update_twice().await
            } else {
                let table = Table::with_credentials(&config(&server), http(), credentials());
                table.send_update_twice().await
            };
            (outcomes, server.requests().len(), started_at.elapsed())
        })
    };
    for is_sdk in [true, false] {
        let (outcomes, attempts, elapsed) = run(is_sdk);
        assert_eq!(outcomes, ["unavailable: timeout"; 2]);
        // Two attempts take a second each, and the operation ends the third.
        assert_eq!(attempts, 6);
        let expected = Duration::from_secs(5)..Duration::from_millis(5_010);
        assert!(expected.contains(&elapsed), "{elapsed:?}");
    }
}

/// The seconds that the signatures of the requests are later than that of the first.
fn offsets(server: &Server) -> Vec<i64> {
    let requests = server.requests();
    requests.iter().map(|request| request.signed_at() - requests[0].signed_at()).collect()
}

fn assert_close(offsets: &[i64], expected: &[i64]) {
    assert_eq!(offsets.len(), expected.len(), "{offsets:?}");
    for (offset, expected) in offsets.iter().zip(expected) {
        assert!((offset - expected).abs() <= 30, "{offsets:?}");
    }
}

#[tokio::test]
async fn clock_skew_is_corrected() {
    for ahead in [HOUR, -HOUR, 5 * MINUTE, -5 * MINUTE] {
        let reply = |status, body| Reply::Response { status, body, seconds_ahead: ahead };
        let rejected = reply(400, json!({"__type": "InvalidSignatureException"}));
        let accepted = reply(200, json!({}));
        let replies = vec![rejected, accepted];
        let server = Server::start(replies.clone()).await;
        let expected = SdkTable::new(&server, credentials()).send_update_twice().await;
        // The first request is repeated with the time of the service. The second has it at once.
        assert_close(&offsets(&server), &[0, ahead, ahead]);
        let server = Server::start(replies).await;
        let table = Table::with_credentials(&config(&server), http(), credentials());
        assert_eq!(table.send_update_twice().await, expected);
        assert_close(&offsets(&server), &[0, ahead, ahead]);
        server.requests().iter().for_each(|request| request.check_signature("dynamodb"));
    }
}

/// The SDK's client corrects these too. DynamoDB accepts such signatures, or the response was no
/// error.
#[tokio::test]
async fn clock_skew_is_ignored_without_need() {
    for (status, ahead) in [(500, 3 * MINUTE), (500, -3 * MINUTE), (200, HOUR), (200, -HOUR)] {
        let reply = |status, body| Reply::Response { status, body, seconds_ahead: ahead };
        let accepted = reply(200, json!({}));
        let first = reply(status, json!({"__type": "InternalServerError"}));
        let server = Server::start(vec![first, accepted]).await;
        let table = Table::with_credentials(&config(&server), http(), credentials());
        table.send_update_twice().await;
        let offsets = offsets(&server);
        assert_close(&offsets, &vec![0; if status == 500 { 3 } else { 2 }]);
        let text = debug(&table);
        assert!(text.contains("is_clock_skewed: false"), "{text}");
    }
}

#[tokio::test]
async fn missing_credentials_are_the_error_of_the_sdk() {
    #[derive(Debug)]
    struct NoCredentials;

    impl ProvideCredentials for NoCredentials {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("unset")))
        }
    }

    let server = Server::start(vec![ok()]).await;
    let expected = SdkTable::new(&server, NoCredentials).send_update_twice().await;
    let missing = Err(CredentialsError::not_loaded("unset"));
    let table = Table::from_credentials(&config(&server), http(), missing);
    assert_eq!(table.send_update_twice().await, expected);
    assert_eq!(server.requests(), []);
}

#[test]
fn endpoints_are_those_of_the_sdk() {
    endpoint::tests::check_endpoints(endpoint::DYNAMODB, |region| {
        let params = Params::builder().region(region.to_owned()).build()?;
        DefaultResolver::new().resolve_endpoint(&params).now_or_never().unwrap()
    });
}

#[tokio::test]
async fn debug_output_contains_no_credentials() {
    let server = Server::start(vec![ok()]).await;
    let table = Table::with_credentials(&config(&server), http(), credentials());
    table.send_update().await;
    let parts = &table.client.parts;
    let text = format!("{table:?} {parts:?} {:?}", table.client.update_item);
    assert!(text.contains("DailyKeySigner"), "{text}");
    assert!(text.contains("DirectClient"), "{text}");
    for secret in ["the-secret-key", "the-token"] {
        assert!(!text.contains(secret), "{text}");
    }
}
