//! DynamoDB on this machine: an embedded emulator, behind a proxy that counts and that fails on
//! demand.
//!
//! The table is made from the template. The emulator does not throttle, nor does it lose answers;
//! the proxy does, when a test has it do so with a [`Rule`].

mod faults;
mod proxy;
mod wire;

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
use crate::listen::listen;
use crate::options::TABLE_NAME;
use crate::serve::Server;
use crate::template::{Action, Table, Template};
pub use faults::{Fault, Rule};
use proxy::Proxy;
pub use wire::{call, create_table_at};

/// The file in the data folder.
const FILE: &str = "dynamodb.sqlite";

/// How long the emulator may take to finish what it is doing; then it is cut off.
const GRACE: Duration = Duration::from_secs(1);

/// DynamoDB, as the functions see it.
pub struct DynamoFront {
    url: String,
    table: &'static str,
    proxy: Arc<Proxy>,
    server: Server,
    engine: Engine,
}

/// The emulator's own server.
struct Engine {
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), String>>,
}

impl DynamoFront {
    pub(crate) async fn start(
        template: &Template,
        port: u16,
        data_dir: Option<&Path>,
    ) -> Result<Self, StartError> {
        let (listener, address) = listen("DynamoDB", port).await?;
        let database = open(data_dir)?;
        prepare(&database, &template.table)?;
        let (engine, upstream) = Engine::start(database).await?;
        let proxy = Arc::new(Proxy::new(upstream, template.policies()));
        let answering = Arc::clone(&proxy);
        let server = Server::start(listener, move |request, _| {
            let proxy = Arc::clone(&answering);
            async move { proxy.answer(request).await }
        });
        let url = format!("http://{address}");
        Ok(Self { url, table: TABLE_NAME, proxy, server, engine })
    }

    /// Where it answers.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The name of the table.
    #[must_use]
    pub fn table(&self) -> &str {
        self.table
    }

    /// How many requests there were of each operation, such as `GetItem`, failed ones included.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.proxy.counts()
    }

    /// Which function has asked for what. What its policy does not allow is refused, as IAM would.
    #[must_use]
    pub fn used(&self) -> BTreeSet<(String, Action)> {
        self.proxy.used()
    }

    /// Starts counting anew.
    pub fn reset_counts(&self) {
        self.proxy.reset_counts();
    }

    /// Makes some of the following requests fail. Earlier rules come first.
    pub fn script(&self, rule: Rule) {
        self.proxy.script(rule);
    }

    /// Forgets all rules.
    pub fn clear_faults(&self) {
        self.proxy.clear_faults();
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
        // The proxy's connections to the emulator go with it.
        drop(self.proxy);
        self.engine.stop().await;
    }
}

impl Engine {
    async fn start(database: Database) -> Result<(Self, SocketAddr), StartError> {
        let (listener, address) = listen("the DynamoDB emulator", 0).await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving =
            tokio::spawn(dynoxide::server::serve_with_shutdown(listener, database, async move {
                // An error says that the other end is gone, which means the same.
                let _ = stopped.await;
            }));
        Ok((Self { stop, serving }, address))
    }

    async fn stop(mut self) {
        // An error says that it has stopped already.
        let _ = self.stop.send(());
        if timeout(GRACE, &mut self.serving).await.is_err() {
            self.serving.abort();
        }
    }
}

fn open(data_dir: Option<&Path>) -> Result<Database, StartError> {
    let Some(folder) = data_dir else {
        return Database::memory().map_err(|error| failed(&error));
    };
    let unusable = |reason: &dyn Display| {
        StartError::Database(format!("the folder {} cannot be used: {reason}", folder.display()))
    };
    fs::create_dir_all(folder).map_err(|error| unusable(&error))?;
    let file = folder.join(FILE);
    let path = file.to_str().ok_or_else(|| unusable(&"its name is not Unicode"))?;
    Database::new(path).map_err(|error| unusable(&error))
}

/// Makes the template's table. One that is there from an earlier time stays as it is.
fn prepare(database: &Database, table: &Table) -> Result<(), StartError> {
    let create = serde_json::from_value(table.create_table(TABLE_NAME));
    match database.create_table(create.map_err(|error| failed(&error))?) {
        Ok(_) | Err(DynoxideError::ResourceInUseException(_)) => {}
        Err(error) => return Err(failed(&error)),
    }
    if let Some(request) = table.update_time_to_live(TABLE_NAME) {
        let update = serde_json::from_value(request).map_err(|error| failed(&error))?;
        database.update_time_to_live(update).map_err(|error| failed(&error))?;
    }
    Ok(())
}

fn failed(error: &dyn Display) -> StartError {
    StartError::Database(error.to_string())
}
