//! A local DynamoDB: an embedded emulator behind a proxy that counts requests and injects faults.
//!
//! The table is created from the template. The emulator itself neither throttles nor loses
//! responses; a test injects such faults with a [`Rule`].
//!
//! Data in memory gets its times from the stack's clock: the records of the table's stream, and the
//! expiry of items. Data in a directory gets them from the machine's clock.

mod client;
mod faults;
mod proxy;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use dynoxide::actions::list_streams::ListStreamsRequest;
use dynoxide::storage_backend::Clock;
use dynoxide::{Database, DynoxideError};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use crate::clock::StackClock;
use crate::error::{StartError, TableStreamError};
use crate::http_server::Server;
use crate::listener::bind_localhost;
use crate::options::TABLE_NAME;
use crate::template::{TableAction, TableDefinition, Template};
pub(crate) use client::{CallError, call_streams};
pub use client::{call, create_table_at};
pub use faults::{Fault, Rule};
use proxy::Proxy;

/// The file in the data directory.
const DATABASE_FILE: &str = "dynamodb.sqlite";

/// How long the emulator may take to finish open requests before it is aborted.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// A running DynamoDB.
pub struct LocalDynamo {
    url: String,
    table_name: &'static str,
    proxy: Arc<Proxy>,
    server: Server,
    emulator: EmulatorServer,
    /// The address of the emulator itself.
    upstream: SocketAddr,
    database: Database,
}

/// The server of the emulator.
struct EmulatorServer {
    stop: oneshot::Sender<()>,
    serve_task: JoinHandle<Result<(), String>>,
}

impl LocalDynamo {
    pub(crate) async fn start(
        template: &Template,
        port: u16,
        data_dir: Option<&Path>,
        clock: &StackClock,
        streams: bool,
    ) -> Result<Self, StartError> {
        let (listener, address) = bind_localhost("DynamoDB", port).await?;
        let database = open_database(data_dir, clock)?;
        create_table(&database, &template.table, streams)?;
        let (emulator, upstream) = EmulatorServer::start(database.clone()).await?;
        let proxy = Arc::new(Proxy::new(upstream, template.policies()));
        let server_proxy = Arc::clone(&proxy);
        let server = Server::start(listener, move |request, _| {
            let proxy = Arc::clone(&server_proxy);
            async move { proxy.handle(request).await }
        });
        let url = format!("http://{address}");
        Ok(Self { url, table_name: TABLE_NAME, proxy, server, emulator, upstream, database })
    }

    /// The endpoint, such as `http://127.0.0.1:8000`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The name of the table.
    #[must_use]
    pub fn table_name(&self) -> &str {
        self.table_name
    }

    /// The endpoint for the table's stream: the emulator itself, so that the consumers' requests
    /// are not counted and do not fail.
    pub(crate) fn stream_endpoint(&self) -> String {
        format!("http://{}", self.upstream)
    }

    /// Deletes all items whose time to live has passed. DynamoDB does this within a few days.
    /// Returns the number of deleted items.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html>
    pub(crate) async fn expire_items(&self) -> Result<usize, TableStreamError> {
        let database = self.database.clone();
        let sweep = spawn_blocking(move || database.sweep_ttl());
        let deleted = sweep.await.map_err(|error| TableStreamError::Expiry(error.to_string()))?;
        deleted.map_err(|error| TableStreamError::Expiry(error.to_string()))
    }

    /// The number of requests of each operation, such as `GetItem`, including failed ones.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.proxy.counts()
    }

    /// The number of rounds of requests: concurrent requests are one round.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.proxy.rounds()
    }

    /// The actions that each function has used. Actions outside its policy are rejected as by IAM
    /// and are not included.
    #[must_use]
    pub fn used_actions(&self) -> BTreeSet<(String, TableAction)> {
        self.proxy.used_actions()
    }

    /// Resets the counts.
    pub fn reset_counts(&self) {
        self.proxy.reset_counts();
    }

    /// Makes some of the following requests fail. Earlier rules take precedence.
    pub fn inject_fault(&self, rule: Rule) {
        self.proxy.inject_fault(rule);
    }

    /// Removes all rules.
    pub fn clear_faults(&self) {
        self.proxy.clear_faults();
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
        // The proxy holds connections to the emulator, which must be closed first.
        drop(self.proxy);
        self.emulator.stop().await;
    }
}

impl EmulatorServer {
    async fn start(database: Database) -> Result<(Self, SocketAddr), StartError> {
        let (listener, address) = bind_localhost("the DynamoDB emulator", 0).await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serve_task =
            tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, async move {
                // An error means that the sender was dropped, which is also a reason to stop.
                let _ = stopped.await;
            }));
        Ok((Self { stop, serve_task }, address))
    }

    async fn stop(mut self) {
        // An error means that the server has already stopped.
        let _ = self.stop.send(());
        if timeout(SHUTDOWN_TIMEOUT, &mut self.serve_task).await.is_err() {
            self.serve_task.abort();
        }
    }
}

impl Clock for StackClock {
    fn now_unix_secs(&self) -> u64 {
        self.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    fn now_unix_secs_f64(&self) -> f64 {
        self.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    }
}

fn open_database(data_dir: Option<&Path>, clock: &StackClock) -> Result<Database, StartError> {
    let Some(folder) = data_dir else {
        let database = Database::memory_with_clock(Arc::new(clock.clone()));
        return database.map_err(|error| database_error(&error));
    };
    let folder_error = |reason: &dyn Display| {
        StartError::DynamoDb(format!("cannot use the directory {}: {reason}", folder.display()))
    };
    fs::create_dir_all(folder).map_err(|error| folder_error(&error))?;
    let file = folder.join(DATABASE_FILE);
    let path = file.to_str().ok_or_else(|| folder_error(&"the path must be valid Unicode"))?;
    Database::new(path).map_err(|error| folder_error(&error))
}

/// Creates the template's table. An existing table is kept, and gets a stream if it has none.
fn create_table(
    database: &Database,
    table: &TableDefinition,
    streams: bool,
) -> Result<(), StartError> {
    let create = serde_json::from_value(table.create_table_request(TABLE_NAME, streams));
    match database.create_table(create.map_err(|error| database_error(&error))?) {
        Err(DynoxideError::ResourceInUseException(_)) if streams => enable_stream(database, table)?,
        Ok(_) | Err(DynoxideError::ResourceInUseException(_)) => {}
        Err(error) => return Err(database_error(&error)),
    }
    if let Some(request) = table.update_time_to_live_request(TABLE_NAME) {
        let update = serde_json::from_value(request).map_err(|error| database_error(&error))?;
        database.update_time_to_live(update).map_err(|error| database_error(&error))?;
    }
    Ok(())
}

/// Enables the stream of a table from a data directory of an earlier version.
fn enable_stream(database: &Database, table: &TableDefinition) -> Result<(), StartError> {
    let Some(specification) = table.stream_specification() else { return Ok(()) };
    let list = ListStreamsRequest { table_name: Some(TABLE_NAME.to_owned()), ..Default::default() };
    let existing = database.list_streams(list).map_err(|error| database_error(&error))?;
    if existing.streams.is_empty() {
        let request = json!({"TableName": TABLE_NAME, "StreamSpecification": specification});
        let update = serde_json::from_value(request).map_err(|error| database_error(&error))?;
        database.update_table(update).map_err(|error| database_error(&error))?;
    }
    Ok(())
}

fn database_error(error: &dyn Display) -> StartError {
    StartError::DynamoDb(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use uuid::Uuid;

    use super::*;

    const TEMPLATE: &str = "
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
";

    #[tokio::test]
    async fn stored_table_gets_a_stream_and_keeps_it() {
        let folder = std::env::temp_dir().join(format!("local-dynamo-{}", Uuid::new_v4()));
        let template = Template::parse(TEMPLATE).unwrap();
        let mut arns = Vec::new();
        for streams in [false, true, true, false] {
            let clock = StackClock::default();
            let dynamo =
                LocalDynamo::start(&template, 0, Some(&folder), &clock, streams).await.unwrap();
            let response = call_streams(&dynamo.stream_endpoint(), "ListStreams", &json!({})).await;
            arns.push(response.unwrap()["Streams"][0]["StreamArn"].as_str().map(str::to_owned));
            dynamo.stop().await;
        }
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(arns[0], None);
        assert!(arns[1].is_some());
        assert_eq!(arns[1..], [arns[1].clone(), arns[1].clone(), arns[1].clone()]);
    }
}
