//! The `DynamoDB` behind the proxy: the embedded emulator, or another server.

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
use crate::dynamo::client::create_table_with;
use crate::error::{StartError, TableStreamError};
use crate::listener::bind_localhost;
use crate::options::{Options, TABLE_NAME};
use crate::template::TableDefinition;

/// The file in the data directory.
const DATABASE_FILE: &str = "dynamodb.sqlite";

/// How long the emulator may take to finish open requests before it is aborted.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// A `DynamoDB` with the template's table.
pub(super) enum Upstream {
    /// The embedded emulator.
    Embedded { server: EmulatorServer, address: SocketAddr, database: Database },
    /// Another server, such as AWS's `DynamoDB` Local.
    Other(SocketAddr),
}

/// The server of the emulator.
pub(super) struct EmulatorServer {
    stop: oneshot::Sender<()>,
    serve_task: JoinHandle<Result<(), String>>,
}

impl Upstream {
    /// Starts the embedded emulator. Returns it with the name of the table.
    pub(super) async fn start(
        table: &TableDefinition,
        options: &Options,
        clock: &StackClock,
    ) -> Result<(Self, String), StartError> {
        let database = open_database(options.data_dir.as_deref(), clock)?;
        create_table(&database, table, options.streams)?;
        let (server, address) = EmulatorServer::start(database.clone()).await?;
        Ok((Self::Embedded { server, address, database }, TABLE_NAME.to_owned()))
    }

    /// Creates a table with a unique name on another server. Returns the name as well.
    pub(super) async fn connect(
        address: SocketAddr,
        table: &TableDefinition,
        streams: bool,
    ) -> Result<(Self, String), StartError> {
        let name = create_table_with(&format!("http://{address}"), table, streams).await?;
        Ok((Self::Other(address), name))
    }

    pub(super) fn address(&self) -> SocketAddr {
        match self {
            Self::Embedded { address, .. } | Self::Other(address) => *address,
        }
    }

    /// Deletes all items whose time to live has passed. Another server does this by itself.
    pub(super) async fn expire_items(&self) -> Result<usize, TableStreamError> {
        let Self::Embedded { database, .. } = self else { return Ok(0) };
        let database = database.clone();
        let sweep = spawn_blocking(move || database.sweep_ttl());
        let deleted = sweep.await.map_err(|error| TableStreamError::Expiry(error.to_string()))?;
        deleted.map_err(|error| TableStreamError::Expiry(error.to_string()))
    }

    pub(super) async fn stop(self) {
        if let Self::Embedded { server, .. } = self {
            server.stop().await;
        }
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
    use crate::dynamo::{LocalDynamo, call_streams};
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
";

    #[tokio::test]
    async fn stored_table_gets_a_stream_and_keeps_it() {
        let folder = std::env::temp_dir().join(format!("local-dynamo-{}", Uuid::new_v4()));
        let template = Template::parse(TEMPLATE).unwrap();
        let mut arns = Vec::new();
        for streams in [false, true, true, false] {
            let clock = StackClock::default();
            let data_dir = Some(folder.clone());
            let options = Options { data_dir, streams, ..Options::default() };
            let dynamo = LocalDynamo::start(&template, &options, &clock, None).await.unwrap();
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
