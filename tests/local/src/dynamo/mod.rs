//! A local DynamoDB: an embedded emulator behind a proxy that counts requests and injects faults.
//!
//! The table is created from the template. The emulator itself neither throttles nor loses
//! responses; a test injects such faults with a [`Rule`].
//!
//! Data in memory gets its times from the stack's clock: the records of the table's stream, and the
//! expiry of items. Data in a directory gets them from the machine's clock.

mod client;
mod controls;
mod faults;
mod proxy;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use crate::clock::StackClock;
use crate::error::{StartError, TableStreamError};
use crate::http_server::Server;
use crate::listener::bind_localhost;
use crate::options::Options;
use crate::template::{TableAction, Template};
use crate::trace::Recorder;
pub(crate) use client::{CallError, call_streams};
pub use client::{call, create_table_at};
pub(crate) use controls::DynamoControls;
pub use faults::{Fault, Rule};
use proxy::Proxy;
use upstream::Upstream;

/// A running DynamoDB.
pub struct LocalDynamo {
    url: String,
    address: SocketAddr,
    table_name: String,
    proxy: Arc<Proxy>,
    server: Server,
    upstream: Upstream,
}

impl LocalDynamo {
    pub(crate) async fn start(
        template: &Template,
        options: &Options,
        clock: &StackClock,
        recorder: Option<Recorder>,
    ) -> Result<Self, StartError> {
        let (listener, address) = bind_localhost("DynamoDB", options.dynamo_port).await?;
        let (upstream, table_name) = match options.dynamo_server {
            Some(address) => Upstream::connect(address, &template.table, options.streams).await?,
            None => Upstream::start(&template.table, options, clock).await?,
        };
        let proxy = Arc::new(Proxy::new(upstream.address(), template.policies(), recorder));
        let server_proxy = Arc::clone(&proxy);
        let server = Server::start(listener, move |request, _| {
            let proxy = Arc::clone(&server_proxy);
            async move { proxy.handle(request).await }
        });
        let url = format!("http://{address}");
        Ok(Self { url, address, table_name, proxy, server, upstream })
    }

    /// The endpoint, such as `http://127.0.0.1:8000`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What the console reads and controls.
    pub(crate) fn controls(&self) -> DynamoControls {
        let endpoint = self.stream_endpoint();
        DynamoControls::new(Arc::clone(&self.proxy), endpoint, self.table_name.clone())
    }

    /// The address of the endpoint.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The name of the table.
    #[must_use]
    pub fn table_name(&self) -> &str {
        &self.table_name
    }

    /// The endpoint for the table's stream: the emulator itself, so that the consumers' requests
    /// are not counted and do not fail.
    pub(crate) fn stream_endpoint(&self) -> String {
        format!("http://{}", self.upstream.address())
    }

    /// Deletes all items whose time to live has passed. DynamoDB does this within a few days.
    /// Returns the number of deleted items.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html>
    pub(crate) async fn expire_items(&self) -> Result<usize, TableStreamError> {
        self.upstream.expire_items().await
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

    /// The rules that still apply to a request.
    #[must_use]
    pub fn faults(&self) -> Vec<Rule> {
        self.proxy.faults()
    }

    /// Removes all rules.
    pub fn clear_faults(&self) {
        self.proxy.clear_faults();
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
        // The proxy holds connections to the emulator, which must be closed first.
        drop(self.proxy);
        self.upstream.stop().await;
    }
}
