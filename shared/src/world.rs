//! What a function needs of the world, put together at its start, and again when its secrets have
//! changed.

use std::sync::Arc;

use crate::calls::dynamo::DynamoCalls;
use crate::calls::limits;
use crate::calls::sweep::{Bounds, OpenCalls, Sweeper};
use crate::calls::{CallStore, Calls, Hearing};
use crate::clock::Clock;
use crate::config::{ConfigError, Env, StoreConfig, StreamConfig};
use crate::dynamo::Table;
use crate::erasure::Erasures;
use crate::erasure::dynamo::DynamoErasures;
use crate::error::Source;
use crate::limits::dynamo::DynamoLimits;
use crate::limits::{Limit, Route};
use crate::messages::Messages;
use crate::net;
use crate::quality::dynamo::DynamoEvidence;
use crate::quality::{CallMetrics, EvidenceStore, Readings, Reports};
use crate::random::{Random, SystemRandom};
use crate::stream::{HttpTransport, Stream};
use crate::telemetry;
use crate::users::Users;
use crate::users::dynamo::DynamoUsers;

/// Why a function does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used.
    #[error("the configuration cannot be used")]
    Config(#[from] ConfigError),
    /// A client could not be built.
    #[error("a client could not be built")]
    Client(#[source] Source),
    /// The secrets cannot be had now.
    #[error("the secrets cannot be fetched")]
    Secrets(#[source] Source),
}

/// Stream, where its credentials are configured.
#[derive(Clone)]
pub struct Configured {
    /// Where it is and who we are there.
    pub config: StreamConfig,
    /// The client.
    pub stream: Stream,
}

/// The world as a function finds it.
pub struct World {
    /// The environment.
    pub env: Env,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub random: Arc<dyn Random>,
    /// The table.
    pub table: Table,
    /// Stream.
    pub stream: Option<Configured>,
    /// Everything else on the web.
    pub(crate) http: net::Client,
}

impl World {
    /// Reads the configuration and builds what speaks to the world through this client. Nothing is
    /// sent yet.
    pub fn open(env: Env, clock: Arc<dyn Clock>, http: net::Client) -> Result<Self, StartError> {
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let table = Table::new(&StoreConfig::from_env(&env)?, http.clone());
        let stream = match StreamConfig::from_env(&env)? {
            Some(config) => {
                let transport = HttpTransport::new(http.clone(), &config)
                    .map_err(|error| StartError::Client(error.into()))?;
                let stream = Stream::new(Arc::new(transport), clock.clone(), random.clone());
                Some(Configured { config, stream })
            }
            None => None,
        };
        Ok(Self { env, clock, random, table, stream, http })
    }

    /// How many requests of a route's a user may send in a minute.
    pub fn limit(&self, route: Route) -> Result<Limit, ConfigError> {
        let store = Arc::new(DynamoLimits::new(self.table.clone()));
        Limit::from_env(route, &self.env, store, self.clock.clone())
    }

    /// The mappings of calls.
    #[must_use]
    pub fn call_store(&self) -> Arc<dyn CallStore> {
        Arc::new(DynamoCalls::new(self.table.clone()))
    }

    /// The chats of calls.
    #[must_use]
    pub fn messages(&self, stream: &Configured) -> Messages {
        Messages {
            calls: self.call_store(),
            stream: stream.stream.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
        }
    }

    /// The users.
    #[must_use]
    pub fn users(&self, stream: &Configured) -> Users {
        Users {
            store: Arc::new(DynamoUsers::new(self.table.clone())),
            stream: stream.stream.clone(),
            clock: self.clock.clone(),
        }
    }

    /// The calls.
    #[must_use]
    pub fn calls(&self, stream: &Configured) -> Calls {
        Calls {
            store: self.call_store(),
            users: Arc::new(DynamoUsers::new(self.table.clone())),
            stream: stream.stream.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
        }
    }

    /// Whoever listens to Stream's events.
    pub fn hearing(&self) -> Result<Hearing, ConfigError> {
        Ok(Hearing {
            calls: self.call_store(),
            users: Arc::new(DynamoUsers::new(self.table.clone())),
            evidence: self.evidence(),
            clock: self.clock.clone(),
            inactivity_timeout: limits::inactivity_timeout(&self.env)?,
        })
    }

    /// What is kept of calls' quality.
    fn evidence(&self) -> Arc<dyn EvidenceStore> {
        Arc::new(DynamoEvidence::new(self.table.clone()))
    }

    /// Whoever takes in what the apps measure.
    #[must_use]
    pub fn reports(&self) -> Reports {
        Reports { calls: self.call_store(), evidence: self.evidence(), clock: self.clock.clone() }
    }

    /// Whoever tells of calls' quality.
    #[must_use]
    pub fn readings(&self, stream: &Configured) -> Readings {
        Readings {
            calls: self.call_store(),
            evidence: self.evidence(),
            stream: stream.stream.clone(),
            clock: self.clock.clone(),
        }
    }

    /// Whoever erases users.
    #[must_use]
    pub fn erasures(&self, stream: &Configured) -> Erasures {
        Erasures {
            store: Arc::new(DynamoErasures::new(self.table.clone())),
            calls: self.calls(stream),
            evidence: self.evidence(),
        }
    }

    /// Whoever counts the open calls.
    #[must_use]
    pub fn open_calls(&self) -> OpenCalls {
        OpenCalls::new(DynamoCalls::new(self.table.clone()), self.clock.clone())
    }

    /// The sweeper.
    pub fn sweeper(&self, stream: &Configured) -> Result<Sweeper, ConfigError> {
        Ok(Sweeper {
            calls: self.calls(stream),
            due: Arc::new(DynamoCalls::new(self.table.clone())),
            bounds: Bounds::from_env(&self.env)?,
            epilogue: Arc::new(CallMetrics::new(
                self.evidence(),
                self.clock.clone(),
                &telemetry::namespace(&self.env),
            )),
        })
    }
}
