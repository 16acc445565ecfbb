//! All functions, each with its execution environments.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::instance::Instance;
use super::launcher::Launcher;
use super::process::ProcessIds;
use super::runtime_api::RuntimeApi;
use crate::cargo_build::Binaries;
use crate::clock::StackClock;
use crate::environment;
use crate::error::{InvokeError, StartError};
use crate::output::{FunctionOutput, report_error};
use crate::sync::{ShutdownSignal, ShutdownTrigger, lock};
use crate::template::Function;

/// More processes than this of one function are a mistake in the options.
const MAX_INSTANCES: usize = 100;

/// The functions of a stack.
pub(crate) struct Functions {
    pools: BTreeMap<String, InstancePool>,
    pids: ProcessIds,
    shutdown: ShutdownTrigger,
}

/// One function.
struct InstancePool {
    launcher: Launcher,
    /// One permit for each environment that may exist. Whoever holds one may run an invocation.
    permits: Semaphore,
    capacity: usize,
    /// The environments that wait for work, the last used last.
    idle: Mutex<Vec<Instance>>,
    /// Whether it has been said that the function does not even start.
    start_failure_reported: AtomicBool,
}

impl Functions {
    /// Nothing is started before it is needed.
    pub(crate) fn new(
        functions: &[Function],
        binaries: &Binaries,
        variables: &BTreeMap<String, String>,
        clock: &StackClock,
        api: &RuntimeApi,
        output: &FunctionOutput,
        max_instances: usize,
    ) -> Result<Self, StartError> {
        let capacity = max_instances.clamp(1, MAX_INSTANCES);
        let pids = ProcessIds::default();
        let mut pools = BTreeMap::new();
        for function in functions {
            let launcher = Launcher {
                function: function.name.clone(),
                program: binaries.find(&function.name)?,
                variables: environment::function_variables(function, variables),
                memory_mb: function.memory_mb,
                timeout: function.timeout,
                clock: clock.clone(),
                connections: api.connections(),
                output: output.clone(),
                pids: pids.clone(),
            };
            let pool = InstancePool {
                launcher,
                permits: Semaphore::new(capacity),
                capacity,
                idle: Mutex::default(),
                start_failure_reported: AtomicBool::new(false),
            };
            pools.insert(function.name.clone(), pool);
        }
        Ok(Self { pools, pids, shutdown: ShutdownTrigger::new() })
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
                Some(pool) => pool.invoke(event, functions.shutdown.subscribe()).await,
                None => Err(InvokeError::UnknownFunction(function)),
            }
        });
        invocation.await.unwrap_or(Err(InvokeError::ShuttingDown))
    }

    /// The processes that are alive.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.pids.list()
    }

    /// Ends every process that waits for work, once the clock has been moved: none can follow it.
    /// Those at work are ended when they have done it.
    pub(crate) async fn retire_idle_instances(&self) {
        for pool in self.pools.values() {
            pool.terminate_idle().await;
        }
    }

    /// Ends every process and waits for its end. Invocations under way fail.
    pub(crate) async fn stop(&self) {
        self.shutdown.trigger();
        for pool in self.pools.values() {
            pool.stop().await;
        }
    }
}

impl InstancePool {
    async fn invoke(
        &self,
        event: Bytes,
        mut shutdown: ShutdownSignal,
    ) -> Result<Bytes, InvokeError> {
        let _permit = self.permits.acquire().await.map_err(|_| InvokeError::ShuttingDown)?;
        if shutdown.is_triggered() {
            return Err(InvokeError::ShuttingDown);
        }
        let result = self.run(event, &mut shutdown).await;
        if let Err(error) = &result {
            self.report_start_failure(error);
        }
        result
    }

    async fn run(&self, event: Bytes, shutdown: &mut ShutdownSignal) -> Result<Bytes, InvokeError> {
        let mut instance = match self.take_idle() {
            Some(instance) => instance,
            None => self.launcher.start_instance()?,
        };
        let result = instance.invoke(event, shutdown).await;
        match &result {
            // An error that the function reports is an answer; Lambda uses the environment again.
            Ok(_) | Err(InvokeError::FunctionError { .. }) => self.return_to_pool(instance).await,
            Err(_) => instance.terminate().await,
        }
        result
    }

    /// Keeps an environment for the next invocation, unless the clock has moved since it started.
    async fn return_to_pool(&self, instance: Instance) {
        if let Some(stale) = self.try_return(instance) {
            stale.terminate().await;
        }
    }

    /// Puts an environment among the idle ones, or gives it back. It looks at the clock under the
    /// lock: whoever has moved the clock finds the environment there, or it finds the clock moved.
    fn try_return(&self, instance: Instance) -> Option<Instance> {
        let mut idle = lock(&self.idle);
        if instance.clock_offset() == self.launcher.clock.offset() {
            idle.push(instance);
            None
        } else {
            Some(instance)
        }
    }

    fn take_idle(&self) -> Option<Instance> {
        let mut idle = lock(&self.idle);
        // Those that ended while nobody looked make room for new ones.
        idle.retain(|instance| !instance.has_exited());
        // Whoever moves the clock ends those that are behind it.
        let clock_offset = self.launcher.clock.offset();
        let index = idle.iter().rposition(|instance| instance.clock_offset() == clock_offset)?;
        Some(idle.remove(index))
    }

    /// Says once that the function does not start: to its callers it is only a 500.
    fn report_start_failure(&self, error: &InvokeError) {
        let is_start_failure = matches!(
            error,
            InvokeError::ExitedDuringInit { .. }
                | InvokeError::InitTimedOut { .. }
                | InvokeError::Spawn { .. }
        );
        if is_start_failure && !self.start_failure_reported.swap(true, Ordering::Relaxed) {
            report_error(&error.to_string());
        }
    }

    async fn stop(&self) {
        // Who holds every slot knows that no invocation is under way.
        let all_permits = u32::try_from(self.capacity).unwrap_or(u32::MAX);
        let _permits = self.permits.acquire_many(all_permits).await;
        self.terminate_idle().await;
        self.permits.close();
    }

    async fn terminate_idle(&self) {
        let idle = std::mem::take(&mut *lock(&self.idle));
        for instance in idle {
            instance.terminate().await;
        }
    }
}
