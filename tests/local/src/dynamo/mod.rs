//! A local DynamoDB: an embedded emulator behind a proxy that counts requests and injects faults.
//!
//! The table is created from the template. The emulator itself neither throttles nor loses
//! responses; a test injects such faults with a [`Rule`].

mod client;
mod faults;
mod proxy;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dynoxide::{Database, DynoxideError};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::StartError;
use crate::http_server::Server;
use crate::listener::bind_localhost;
use crate::options::TABLE_NAME;
use crate::template::{TableAction, TableDefinition, Template};
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
    ) -> Result<Self, StartError> {
        let (listener, address) = bind_localhost("DynamoDB", port).await?;
        let database = open_database(data_dir)?;
        create_table(&database, &template.table)?;
        let (emulator, upstream) = EmulatorServer::start(database).await?;
        let proxy = Arc::new(Proxy::new(upstream, template.policies()));
        let server_proxy = Arc::clone(&proxy);
        let server = Server::start(listener, move |request, _| {
            let proxy = Arc::clone(&server_proxy);
            async move { proxy.handle(request).await }
        });
        let url = format!("http://{address}");
        Ok(Self { url, table_name: TABLE_NAME, proxy, server, emulator })
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

fn open_database(data_dir: Option<&Path>) -> Result<Database, StartError> {
    let Some(folder) = data_dir else {
        return Database::memory().map_err(|error| database_error(&error));
    };
    let folder_error = |reason: &dyn Display| {
        StartError::DynamoDb(format!("cannot use the directory {}: {reason}", folder.display()))
    };
    fs::create_dir_all(folder).map_err(|error| folder_error(&error))?;
    let file = folder.join(DATABASE_FILE);
    let path = file.to_str().ok_or_else(|| folder_error(&"the path must be valid Unicode"))?;
    Database::new(path).map_err(|error| folder_error(&error))
}

/// Creates the template's table. An existing table is kept.
fn create_table(database: &Database, table: &TableDefinition) -> Result<(), StartError> {
    let create = serde_json::from_value(table.create_table_request(TABLE_NAME));
    match database.create_table(create.map_err(|error| database_error(&error))?) {
        Ok(_) | Err(DynoxideError::ResourceInUseException(_)) => {}
        Err(error) => return Err(database_error(&error)),
    }
    if let Some(request) = table.update_time_to_live_request(TABLE_NAME) {
        let update = serde_json::from_value(request).map_err(|error| database_error(&error))?;
        database.update_time_to_live(update).map_err(|error| database_error(&error))?;
    }
    Ok(())
}

fn database_error(error: &dyn Display) -> StartError {
    StartError::DynamoDb(error.to_string())
}
