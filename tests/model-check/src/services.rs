//! The real services, running on the model.

use std::sync::Arc;

use shared::calls::sweep::{ClosedCallObserver, Shard, Sweeper};
use shared::calls::{CallEnder, CallExtender, CallService, CallTimeouts};
use shared::ids::{CallTypeName, UserId};
use shared::stream::StreamClient;
use shared::webhooks::EventHandler;

use crate::mutants::Mutant;
use crate::sim::Sim;
use crate::store::ModelStore;
use crate::stream::ModelStream;

/// The services of a run.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) calls: CallService,
    pub(crate) ender: CallEnder,
    pub(crate) extender: CallExtender,
    pub(crate) event_handler: EventHandler,
    pub(crate) sweeper: Sweeper,
}

/// The configuration of the services.
pub(crate) struct Configuration {
    /// The shard of all calls of the run.
    pub(crate) shard: Shard,
    pub(crate) service_user: UserId,
    pub(crate) timeouts: CallTimeouts,
    pub(crate) observer: Arc<dyn ClosedCallObserver>,
}

impl Services {
    pub(crate) fn new(sim: &Sim, configuration: Configuration, mutant: Option<Mutant>) -> Self {
        let Configuration { shard, service_user, timeouts, observer } = configuration;
        let store = Arc::new(ModelStore { sim: sim.clone(), mutant, shard });
        let transport = ModelStream { sim: sim.clone(), mutant };
        let clock = Arc::new(sim.clone());
        let stream = StreamClient::new(Arc::new(transport), clock.clone(), clock.clone());
        let calls = CallService {
            store: store.clone(),
            members: store.clone(),
            stream: stream.clone(),
            clock: clock.clone(),
            random: clock.clone(),
            call_type: CallTypeName::default(),
            service_user: service_user.clone(),
        };
        let ender = CallEnder {
            store: store.clone(),
            stream: stream.clone(),
            clock: clock.clone(),
            service_user,
        };
        let extender =
            CallExtender { store: store.clone(), stream: stream.clone(), clock: clock.clone() };
        let due_store = store.clone();
        Self {
            sweeper: Sweeper {
                calls: store.clone(),
                ender: ender.clone(),
                extender: extender.clone(),
                stream: stream.clone(),
                clock: clock.clone(),
                due_store,
                timeouts,
                observer,
            },
            event_handler: EventHandler {
                calls: store.clone(),
                accounts: store.clone(),
                reports: store,
                stream,
                clock,
                timeouts,
            },
            calls,
            ender,
            extender,
        }
    }
}
