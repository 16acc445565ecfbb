//! The clients and services of a function, built from one environment.
//!
//! An [`AppContext`] holds the clients. The state of a function holds the services that the
//! function needs. Both are built at init, and again after a change of the secrets.

use std::sync::Arc;

use crate::calls::dynamo::DynamoCallStore;
use crate::calls::sweep::{OpenCallCounter, Sweeper};
use crate::calls::{CallEnder, CallExtender, CallReader, CallService, CallTimeouts, MemberRemover};
use crate::clock::Clock;
use crate::config::{ConfigError, Env, StoreConfig, StreamConfig};
use crate::dynamo::Table;
use crate::erasure::ErasureService;
use crate::erasure::dynamo::DynamoErasureStore;
use crate::error::BoxError;
use crate::history::dynamo::DynamoHistoryStore;
use crate::history::{HistoryProjector, HistoryService};
use crate::messages::MessageService;
use crate::net;
use crate::quality::dynamo::DynamoQualityStore;
use crate::quality::{CallMetricsEmitter, QualityService, SampleIngest};
use crate::random::{Random, SystemRandom};
use crate::rate_limiter::dynamo::DynamoRateLimitStore;
use crate::rate_limiter::{RateLimiter, Route};
use crate::redact;
use crate::stream::{HttpTransport, StreamClient};
use crate::stream_names;
use crate::telemetry;
use crate::users::dynamo::DynamoUserStore;
use crate::users::{AccountReader, QueuedPushes, UserService};
use crate::webhooks::EventHandler;

/// An error that prevents a function from building its state.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is invalid.
    #[error("invalid configuration")]
    Config(#[from] ConfigError),
    /// A client cannot be built.
    #[error("a client cannot be built")]
    Client(#[source] BoxError),
    /// The secrets cannot be fetched.
    #[error("the secrets cannot be fetched")]
    Secrets(#[source] BoxError),
    /// The state needs Stream's credentials, and they are not configured.
    #[error("Stream's credentials are not configured")]
    StreamNotConfigured,
}

impl StartError {
    /// Converts [`Self::StreamNotConfigured`] to `None`, so that the function starts without
    /// Stream.
    pub(crate) fn allow_missing_stream<S>(result: Result<S, Self>) -> Result<Option<S>, Self> {
        match result {
            Ok(state) => Ok(Some(state)),
            Err(Self::StreamNotConfigured) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Stream's credentials and a client that uses them.
#[derive(Clone)]
pub struct StreamContext {
    /// The credentials and the base URL.
    pub config: StreamConfig,
    /// The client.
    pub client: StreamClient,
}

/// The clients and settings from which a function builds its state.
pub struct AppContext {
    /// The environment, including the fetched secrets.
    pub env: Env,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The source of ids and jitter.
    pub random: Arc<dyn Random>,
    /// The DynamoDB table.
    pub table: Table,
    /// Stream; `None` if its credentials are not configured.
    pub stream: Option<StreamContext>,
    /// The HTTP client that all clients share.
    pub(crate) http: net::Client,
}

impl AppContext {
    /// Reads the configuration and builds the clients. Sends no request.
    pub fn new(env: Env, clock: Arc<dyn Clock>, http: net::Client) -> Result<Self, StartError> {
        redact::register_secrets(env.secrets());
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let table = Table::new(&StoreConfig::from_env(&env)?, http.clone());
        let stream = match StreamConfig::from_env(&env)? {
            Some(config) => {
                let transport = HttpTransport::new(http.clone(), &config)
                    .map_err(|error| StartError::Client(error.into()))?;
                let client = StreamClient::new(Arc::new(transport), clock.clone(), random.clone());
                Some(StreamContext { config, client })
            }
            None => None,
        };
        Ok(Self { env, clock, random, table, stream, http })
    }

    /// Stream's credentials and client.
    ///
    /// # Errors
    ///
    /// [`StartError::StreamNotConfigured`] if the credentials are not configured.
    pub fn require_stream(&self) -> Result<&StreamContext, StartError> {
        self.stream.as_ref().ok_or(StartError::StreamNotConfigured)
    }

    /// The rate limiter of a route.
    pub fn rate_limiter(&self, route: Route) -> Result<RateLimiter, ConfigError> {
        let store = Arc::new(DynamoRateLimitStore::new(self.table.clone()));
        RateLimiter::from_env(route, &self.env, store, self.clock.clone())
    }

    /// The reader of calls.
    #[must_use]
    pub fn call_reader(&self) -> Arc<dyn CallReader> {
        self.call_store()
    }

    /// The reader of accounts.
    #[must_use]
    pub fn account_reader(&self) -> Arc<dyn AccountReader> {
        self.user_store()
    }

    /// The service for the chat messages of calls.
    pub fn message_service(&self) -> Result<MessageService, StartError> {
        Ok(MessageService {
            calls: self.call_reader(),
            accounts: self.account_reader(),
            stream: self.require_stream()?.client.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
        })
    }

    /// The service for users, in the table and at Stream.
    pub fn user_service(&self) -> Result<UserService, StartError> {
        Ok(UserService {
            store: self.user_store(),
            stream: self.require_stream()?.client.clone(),
            clock: self.clock.clone(),
            service_user: stream_names::service_user(&self.env)?,
        })
    }

    /// The service that creates calls, in the table and at Stream.
    pub fn call_service(&self) -> Result<CallService, StartError> {
        Ok(CallService {
            store: self.call_store(),
            members: self.user_store(),
            stream: self.require_stream()?.client.clone(),
            clock: self.clock.clone(),
            random: self.random.clone(),
            call_type: stream_names::call_type(&self.env)?,
            service_user: stream_names::service_user(&self.env)?,
        })
    }

    /// The service that ends calls, in the table and at Stream.
    pub fn call_ender(&self) -> Result<CallEnder, StartError> {
        Ok(CallEnder {
            store: self.call_store(),
            stream: self.require_stream()?.client.clone(),
            clock: self.clock.clone(),
            service_user: stream_names::service_user(&self.env)?,
        })
    }

    /// The service that extends calls, in the table and at Stream.
    pub fn call_extender(&self) -> Result<CallExtender, StartError> {
        Ok(CallExtender {
            store: self.call_store(),
            stream: self.require_stream()?.client.clone(),
            clock: self.clock.clone(),
        })
    }

    /// The handler of Stream's webhook events.
    pub fn event_handler(&self) -> Result<EventHandler, StartError> {
        Ok(EventHandler {
            calls: self.call_store(),
            accounts: self.user_store(),
            reports: self.quality_store(),
            stream: self.require_stream()?.client.clone(),
            clock: self.clock.clone(),
            timeouts: CallTimeouts::from_env(&self.env)?,
        })
    }

    /// The ingest of quality samples.
    #[must_use]
    pub fn sample_ingest(&self) -> SampleIngest {
        SampleIngest {
            calls: self.call_reader(),
            accounts: self.account_reader(),
            batches: self.quality_store(),
            clock: self.clock.clone(),
        }
    }

    /// The service for the quality of calls.
    pub fn quality_service(&self) -> Result<QualityService, StartError> {
        Ok(QualityService {
            calls: self.call_reader(),
            accounts: self.account_reader(),
            names: self.user_store(),
            summaries: self.quality_store(),
            stream: self.require_stream()?.client.clone(),
            clock: self.clock.clone(),
        })
    }

    /// The service for the erasure of users.
    pub fn erasure_service(&self) -> Result<ErasureService, StartError> {
        let ender = self.call_ender()?;
        Ok(ErasureService {
            store: Arc::new(DynamoErasureStore::new(self.table.clone())),
            quality_eraser: self.quality_store(),
            stream: ender.stream.clone(),
            clock: ender.clock.clone(),
            service_user: ender.service_user.clone(),
            member_remover: MemberRemover { store: self.call_store(), ender },
        })
    }

    /// The queued pushes of profiles.
    pub fn queued_pushes(&self) -> Result<QueuedPushes, StartError> {
        Ok(QueuedPushes { queue: self.user_store(), users: self.user_service()? })
    }

    /// The projector of calls into history rows.
    #[must_use]
    pub fn history_projector(&self) -> HistoryProjector {
        HistoryProjector { store: self.history_store() }
    }

    /// The service for the history of users.
    #[must_use]
    pub fn history_service(&self) -> HistoryService {
        HistoryService {
            rows: self.history_store(),
            accounts: self.account_reader(),
            clock: self.clock.clone(),
        }
    }

    /// The counter of open calls.
    #[must_use]
    pub fn open_call_counter(&self) -> OpenCallCounter {
        OpenCallCounter::new(DynamoCallStore::new(self.table.clone()), self.clock.clone())
    }

    /// The sweeper.
    pub fn sweeper(&self) -> Result<Sweeper, StartError> {
        Ok(Sweeper {
            calls: self.call_store(),
            ender: self.call_ender()?,
            extender: self.call_extender()?,
            stream: self.require_stream()?.client.clone(),
            clock: self.clock.clone(),
            due_store: self.call_store(),
            timeouts: CallTimeouts::from_env(&self.env)?,
            observer: Arc::new(CallMetricsEmitter::new(
                self.quality_store(),
                self.clock.clone(),
                &telemetry::namespace(&self.env),
            )),
        })
    }

    fn call_store(&self) -> Arc<DynamoCallStore> {
        Arc::new(DynamoCallStore::new(self.table.clone()))
    }

    fn user_store(&self) -> Arc<DynamoUserStore> {
        Arc::new(DynamoUserStore::new(self.table.clone()))
    }

    fn history_store(&self) -> Arc<DynamoHistoryStore> {
        Arc::new(DynamoHistoryStore::new(self.table.clone()))
    }

    fn quality_store(&self) -> Arc<DynamoQualityStore> {
        Arc::new(DynamoQualityStore::new(self.table.clone()))
    }
}
