//! Access to the app at Stream, through the functions' own client.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use shared::clock::{Clock, Deadline, SystemClock};
use shared::config::{Env, StreamConfig};
use shared::error::BoxError;
use shared::net;
use shared::random::SystemRandom;
use shared::stream::ops::{GetAppSettings, ListRoles, UpdateEventHooks};
use shared::stream::{HttpTransport, StreamClient, StreamError};

#[derive(Debug, thiserror::Error)]
#[error("set both STREAM_API_KEY and STREAM_API_SECRET")]
struct MissingCredentials;

pub(crate) struct AppClient {
    stream: StreamClient,
    clock: Arc<dyn Clock>,
}

impl AppClient {
    /// Reads the app's key and secret from the environment.
    pub(crate) fn from_env(env: &Env) -> Result<Self, BoxError> {
        let config = StreamConfig::from_env(env)?.ok_or(MissingCredentials)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let transport = HttpTransport::new(net::client()?, &config)?;
        let stream = StreamClient::new(Arc::new(transport), clock.clone(), Arc::new(SystemRandom));
        Ok(Self { stream, clock })
    }

    pub(crate) async fn get_settings(&self) -> Result<Box<RawValue>, StreamError> {
        self.stream.send(&GetAppSettings, self.deadline()).await
    }

    pub(crate) async fn list_roles(&self) -> Result<BTreeSet<String>, StreamError> {
        let response = self.stream.send(&ListRoles, self.deadline()).await?;
        Ok(response.roles.into_iter().map(|role| role.name).collect())
    }

    /// Replaces the app's whole list of hooks.
    pub(crate) async fn replace_hooks(&self, hooks: &[Box<RawValue>]) -> Result<(), StreamError> {
        self.stream.send(&UpdateEventHooks { hooks }, self.deadline()).await?;
        Ok(())
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.clock.now(), Duration::from_secs(15))
    }
}
