//! All functions, each with its execution environments.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::instance::Instance;
use super::launch::Launch;
use super::process::Pids;
use super::runtime_api::RuntimeApi;
use crate::cargo_build::Binaries;
use crate::clock::StackClock;
use crate::environment;
use crate::error::{InvokeError, StartError};
use crate::output::{Output, alarm};
use crate::sync::{Shutdown, Stopping, lock};
use crate::template::Function;

/// More processes than this of one function are a mistake in the options.
const MOST_INSTANCES: usize = 100;

/// The functions of a stack.
pub(crate) struct Functions {
    pools: BTreeMap<String, Pool>,
    pids: Pids,
    shutdown: Shutdown,
}

/// One function.
struct Pool {
    launch: Launch,
    /// One permit for each environment that may exist. Whoever holds one may run an invocation.
    slots: Semaphore,
    capacity: usize,
    /// The environments that wait for work, the last used last.
    idle: Mutex<Vec<Instance>>,
    /// Whether it has been said that the function does not even start.
    reported: AtomicBool,
}

impl Functions {
    /// Nothing is started before it is needed.
    pub(crate) fn new(
        functions: &[Function],
        binaries: &Binaries,
        values: &BTreeMap<String, String>,
        clock: &StackClock,
        api: &RuntimeApi,
        output: &Output,
        max_instances: usize,
    ) -> Result<Self, StartError> {
        let capacity = max_instances.clamp(1, MOST_INSTANCES);
        let pids = Pids::default();
        let mut pools = BTreeMap::new();
        for function in functions {
            let launch = Launch {
                function: function.name.clone(),
                program: binaries.of(&function.name)?,
                variables: environment::given(function, values),
                memory_mb: function.memory_mb,
                timeout: function.timeout,
                clock: clock.clone(),
                switchboard: api.switchboard(),
                output: output.clone(),
                pids: pids.clone(),
            };
            let pool = Pool {
                launch,
                slots: Semaphore::new(capacity),
                capacity,
                idle: Mutex::default(),
                reported: AtomicBool::new(false),
            };
            pools.insert(function.name.clone(), pool);
        }
        Ok(Self { pools, pids, shutdown: Shutdown::new() })
    }

    /// Invokes a function and returns what it answered. The invocation goes on when nobody waits
    /// for it any longer, as it does on Lambda.
    pub(crate) async fn invoke(
        self: &Arc<Self>,
        function: &str,
        event: Bytes,
    ) -> Result<Bytes, InvokeError> {
        let functions = Arc::clone(self);
        let function = function.to_owned();
        let invocation = tokio::spawn(async move {
            match functions.pools.get(&function) {
                Some(pool) => pool.invoke(event, functions.shutdown.listen()).await,
                None => Err(InvokeError::Unknown(function)),
            }
        });
        invocation.await.unwrap_or(Err(InvokeError::Stopping))
    }

    /// The processes that are alive.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.pids.list()
    }

    /// Ends every process that waits for work, once the clock has been moved: none can follow it.
    /// Those at work are ended when they have done it.
    pub(crate) async fn follow_clock(&self) {
        for pool in self.pools.values() {
            pool.end_idle().await;
        }
    }

    /// Ends every process and waits for its end. Invocations under way fail.
    pub(crate) async fn stop(&self) {
        self.shutdown.begin();
        for pool in self.pools.values() {
            pool.stop().await;
        }
    }
}

impl Pool {
    async fn invoke(&self, event: Bytes, mut stopping: Stopping) -> Result<Bytes, InvokeError> {
        let _slot = self.slots.acquire().await.map_err(|_| InvokeError::Stopping)?;
        if stopping.has_begun() {
            return Err(InvokeError::Stopping);
        }
        let answer = self.run(event, &mut stopping).await;
        if let Err(error) = &answer {
            self.report(error);
        }
        answer
    }

    async fn run(&self, event: Bytes, stopping: &mut Stopping) -> Result<Bytes, InvokeError> {
        let mut instance = match self.take_idle() {
            Some(instance) => instance,
            None => self.launch.instance()?,
        };
        let answer = instance.handle(event, stopping).await;
        match &answer {
            // An error that the function reports is an answer; Lambda uses the environment again.
            Ok(_) | Err(InvokeError::Reported { .. }) => self.keep(instance).await,
            Err(_) => instance.end().await,
        }
        answer
    }

    /// Keeps an environment for the next invocation, unless the clock has moved since it started.
    async fn keep(&self, instance: Instance) {
        if let Some(late) = self.offer(instance) {
            late.end().await;
        }
    }

    /// Puts an environment among the idle ones, or gives it back. It looks at the clock under the
    /// lock: whoever has moved the clock finds the environment there, or it finds the clock moved.
    fn offer(&self, instance: Instance) -> Option<Instance> {
        let mut idle = lock(&self.idle);
        if instance.ahead() == self.launch.clock.ahead() {
            idle.push(instance);
            None
        } else {
            Some(instance)
        }
    }

    fn take_idle(&self) -> Option<Instance> {
        let mut idle = lock(&self.idle);
        // Those that ended while nobody looked make room for new ones.
        idle.retain(|instance| !instance.has_ended());
        // Whoever moves the clock ends those that are behind it.
        let now = self.launch.clock.ahead();
        let last = idle.iter().rposition(|instance| instance.ahead() == now)?;
        Some(idle.remove(last))
    }

    /// Says once that the function does not start: to its callers it is only a 500.
    fn report(&self, error: &InvokeError) {
        let never_worked = matches!(
            error,
            InvokeError::EndedEarly { .. }
                | InvokeError::NeverReady { .. }
                | InvokeError::Spawn { .. }
        );
        if never_worked && !self.reported.swap(true, Ordering::Relaxed) {
            alarm(&error.to_string());
        }
    }

    async fn stop(&self) {
        // Who holds every slot knows that no invocation is under way.
        let every = u32::try_from(self.capacity).unwrap_or(u32::MAX);
        let _slots = self.slots.acquire_many(every).await;
        self.end_idle().await;
        self.slots.close();
    }

    async fn end_idle(&self) {
        let idle = std::mem::take(&mut *lock(&self.idle));
        for instance in idle {
            instance.end().await;
        }
    }
}
