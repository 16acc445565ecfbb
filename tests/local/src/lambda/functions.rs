//! The functions of a stack and their execution environments.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::instance::Instance;
use super::launcher::{Launcher, Tracing};
use super::process::ProcessIds;
use super::runtime_api::RuntimeApi;
use crate::cargo_build::Binaries;
use crate::clock::StackClock;
use crate::environment;
use crate::error::{InvokeError, StartError};
use crate::output::{FunctionOutput, report_error};
use crate::sync::{ShutdownSignal, ShutdownTrigger, lock};
use crate::template::Function;
use crate::trace::{Recorder, RequestKind, Span};

/// The upper limit of [`Options::max_instances`](crate::options::Options::max_instances).
const MAX_INSTANCES: usize = 100;

pub(crate) struct Functions {
    pools: BTreeMap<String, InstancePool>,
    pids: ProcessIds,
    shutdown: ShutdownTrigger,
    recorder: Option<Recorder>,
}

/// The execution environments of one function.
struct InstancePool {
    launcher: Launcher,
    /// One permit for each environment that may exist. An invocation holds one permit.
    permits: Semaphore,
    capacity: usize,
    /// The idle environments, most recently used last.
    idle: Mutex<Vec<Instance>>,
    /// Whether a failed start of the function was already reported.
    start_failure_reported: AtomicBool,
}

impl Functions {
    /// No process starts before the first invocation.
    #[expect(clippy::too_many_arguments, reason = "each is a part of the stack")]
    pub(crate) fn new(
        functions: &[Function],
        binaries: &Binaries,
        variables: &BTreeMap<String, String>,
        clock: &StackClock,
        api: &RuntimeApi,
        output: &FunctionOutput,
        max_instances: usize,
        tracing: Option<&Tracing>,
    ) -> Result<Self, StartError> {
        let capacity = max_instances.clamp(1, MAX_INSTANCES);
        let pids = ProcessIds::default();
        let mut pools = BTreeMap::new();
        for function in functions {
            let launcher = Launcher {
                function: function.name.clone(),
                program: binaries.find(&function.name)?,
                variables: Mutex::new(environment::function_variables(function, variables)),
                declared_variables: function.variables.clone(),
                memory_mb: function.memory_mb,
                timeout: function.timeout,
                clock: clock.clone(),
                connections: api.connections(),
                output: output.clone(),
                pids: pids.clone(),
                tracing: tracing.cloned(),
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
        let recorder = tracing.map(|tracing| tracing.recorder.clone());
        Ok(Self { pools, pids, shutdown: ShutdownTrigger::new(), recorder })
    }

    /// Invokes a function without an HTTP request, and records the run with a console.
    pub(crate) async fn run(
        self: &Arc<Self>,
        kind: RequestKind,
        function: &str,
        event: Bytes,
    ) -> Result<Bytes, InvokeError> {
        let recorder = self.recorder.as_ref();
        let span = recorder.map(|recorder| recorder.begin_run(kind, function, &event));
        let span = span.unwrap_or_default();
        let result = self.invoke_in(span.clone(), function, event).await;
        span.end_run(&result);
        result
    }

    /// Invokes a function for a request, and returns its response. As on Lambda, the invocation
    /// continues if the caller stops waiting.
    pub(crate) async fn invoke_in(
        self: &Arc<Self>,
        span: Span,
        function: &str,
        event: Bytes,
    ) -> Result<Bytes, InvokeError> {
        let functions = Arc::clone(self);
        let function = function.to_owned();
        let invocation = tokio::spawn(async move {
            match functions.pools.get(&function) {
                Some(pool) => pool.invoke(event, &span, functions.shutdown.subscribe()).await,
                None => Err(InvokeError::UnknownFunction(function)),
            }
        });
        invocation.await.unwrap_or(Err(InvokeError::ShuttingDown))
    }

    /// The ids of the running processes.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.pids.list()
    }

    /// Sets a variable of the functions that declare it, and ends all idle processes.
    pub(crate) async fn set_variable(&self, name: &str, value: &str) {
        for pool in self.pools.values() {
            pool.launcher.set_variable(name, value);
        }
        self.retire_idle_instances().await;
    }

    /// Ends all idle processes after the clock has changed. Busy processes end after their
    /// invocation.
    pub(crate) async fn retire_idle_instances(&self) {
        for pool in self.pools.values() {
            pool.terminate_idle().await;
        }
    }

    /// Ends every process and waits for it. Invocations in progress fail.
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
        span: &Span,
        mut shutdown: ShutdownSignal,
    ) -> Result<Bytes, InvokeError> {
        let _permit = self.permits.acquire().await.map_err(|_| InvokeError::ShuttingDown)?;
        if shutdown.is_triggered() {
            return Err(InvokeError::ShuttingDown);
        }
        let result = self.run(event, span, &mut shutdown).await;
        if let Err(error) = &result {
            self.report_start_failure(error);
        }
        result
    }

    async fn run(
        &self,
        event: Bytes,
        span: &Span,
        shutdown: &mut ShutdownSignal,
    ) -> Result<Bytes, InvokeError> {
        let mut instance = match self.take_idle() {
            Some(instance) => instance,
            None => self.launcher.start_instance()?,
        };
        let result = instance.invoke(event, span, shutdown).await;
        match &result {
            // After an error that the function reported, Lambda reuses the environment.
            Ok(_) | Err(InvokeError::FunctionError { .. }) => self.return_to_pool(instance).await,
            Err(_) => instance.terminate().await,
        }
        result
    }

    /// Keeps an environment for the next invocation, unless the clock has changed since its start.
    async fn return_to_pool(&self, instance: Instance) {
        if let Some(stale) = self.try_return(instance) {
            stale.terminate().await;
        }
    }

    /// Adds an environment to the idle ones, or returns it if the clock has changed. The clock is
    /// read under the lock. So either this method sees the new offset, or `retire_idle_instances`
    /// finds the environment in the list.
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
        // Exited environments make room for new ones.
        idle.retain(|instance| !instance.has_exited());
        // Environments with an old offset are ended by `retire_idle_instances`.
        let clock_offset = self.launcher.clock.offset();
        let index = idle.iter().rposition(|instance| instance.clock_offset() == clock_offset)?;
        Some(idle.remove(index))
    }

    /// Reports once that the function does not start. Clients only get a 500.
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
        // All permits are available only if no invocation is in progress.
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
