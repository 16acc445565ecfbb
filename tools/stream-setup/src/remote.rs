//! The app at Stream: four requests, by the functions' own client.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use shared::clock::{Clock, Deadline, SystemClock};
use shared::config::{Env, StreamConfig};
use shared::error::Source;
use shared::net;
use shared::random::SystemRandom;
use shared::stream::ops::{GetAppSettings, ListRoles, UpdateEventHooks};
use shared::stream::{HttpTransport, Stream, StreamError};

/// The environment names no app.
#[derive(Debug, thiserror::Error)]
#[error("STREAM_API_KEY and STREAM_API_SECRET are not both set")]
struct NoApp;

/// The app.
pub(crate) struct Remote {
    stream: Stream,
    clock: Arc<dyn Clock>,
}

impl Remote {
    /// The app whose key and secret are in the environment.
    pub(crate) fn open(env: &Env) -> Result<Self, Source> {
        let config = StreamConfig::from_env(env)?.ok_or(NoApp)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let transport = HttpTransport::new(net::client()?, &config)?;
        let stream = Stream::new(Arc::new(transport), clock.clone(), Arc::new(SystemRandom));
        Ok(Self { stream, clock })
    }

    /// The app's settings, whole.
    pub(crate) async fn settings(&self) -> Result<Box<RawValue>, StreamError> {
        self.stream.send(&GetAppSettings, self.deadline()).await
    }

    /// The names of its roles.
    pub(crate) async fn roles(&self) -> Result<BTreeSet<String>, StreamError> {
        let answer = self.stream.send(&ListRoles, self.deadline()).await?;
        Ok(answer.roles.into_iter().map(|role| role.name).collect())
    }

    /// Replaces its list of hooks.
    pub(crate) async fn replace(&self, hooks: &[Box<RawValue>]) -> Result<(), StreamError> {
        self.stream.send(&UpdateEventHooks { hooks }, self.deadline()).await?;
        Ok(())
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.clock.now(), Duration::from_secs(15))
    }
}
