//! An execution environment: a process that runs one invocation at a time.

use std::pin::pin;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::time::sleep;

use super::ids;
use super::process::Process;
use super::runtime_api::{Invocation, ProcessConnection, RuntimeMessage};
use crate::error::InvokeError;
use crate::sync::ShutdownSignal;
use crate::trace::{ProcessTrace, Span};

/// The time limit from the start of a process to its first request for an invocation. Lambda allows
/// 10 s. A debug build on a busy machine needs more.
const INIT_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) struct Instance {
    function: String,
    timeout: Duration,
    /// The clock offset that the process got at its start.
    clock_offset: Duration,
    process: Process,
    connection: ProcessConnection,
    /// Whether the process has requested an invocation.
    is_initialized: bool,
    started_at: Instant,
    trace: ProcessTrace,
}

impl Instance {
    pub(super) fn new(
        function: String,
        timeout: Duration,
        clock_offset: Duration,
        process: Process,
        connection: ProcessConnection,
        trace: ProcessTrace,
    ) -> Self {
        Self {
            function,
            timeout,
            clock_offset,
            process,
            connection,
            is_initialized: false,
            started_at: Instant::now(),
            trace,
        }
    }

    pub(super) fn clock_offset(&self) -> Duration {
        self.clock_offset
    }

    pub(super) fn has_exited(&self) -> bool {
        self.process.has_exited()
    }

    /// Runs one invocation.
    pub(super) async fn invoke(
        &mut self,
        event: Bytes,
        span: &Span,
        shutdown: &mut ShutdownSignal,
    ) -> Result<Bytes, InvokeError> {
        let id = ids::invocation_id();
        // The requests of a start belong to the first invocation. A later one begins when the process
        // asks for it, so that work after a response stays with its own request.
        if !self.is_initialized {
            span.bind(self.trace.id(), &id, true);
        }
        self.send_invocation(&id, &event, span, shutdown).await?;
        let mut timed_out = pin!(sleep(self.timeout));
        loop {
            // The order matters: a response is valid even if the process exits right after it.
            let message = tokio::select! {
                biased;
                message = self.connection.messages.recv() => message,
                status = self.process.wait() => return Err(self.exit_error(status)),
                () = &mut timed_out => return Err(InvokeError::TimedOut {
                    function: self.function.clone(),
                    timeout: self.timeout,
                }),
                () = shutdown.triggered() => return Err(InvokeError::ShuttingDown),
            };
            match message {
                Some(RuntimeMessage::Response { request_id, payload }) if request_id == id => {
                    return Ok(payload);
                }
                Some(RuntimeMessage::Error { request_id, report }) if request_id == id => {
                    return Err(InvokeError::FunctionError {
                        function: self.function.clone(),
                        report: String::from_utf8_lossy(&report).into_owned(),
                    });
                }
                // A message about an earlier invocation.
                Some(_) => {}
                None => return Err(InvokeError::ShuttingDown),
            }
        }
    }

    /// Sends the event when the process requests an invocation.
    async fn send_invocation(
        &mut self,
        id: &str,
        event: &Bytes,
        span: &Span,
        shutdown: &mut ShutdownSignal,
    ) -> Result<(), InvokeError> {
        let mut timed_out = pin!(sleep(INIT_TIMEOUT));
        loop {
            let message = tokio::select! {
                biased;
                message = self.connection.messages.recv() => message,
                status = self.process.wait() => return Err(self.exit_error(status)),
                () = &mut timed_out => return Err(InvokeError::InitTimedOut {
                    function: self.function.clone(),
                    timeout: INIT_TIMEOUT,
                }),
                () = shutdown.triggered() => return Err(InvokeError::ShuttingDown),
            };
            let ready = match message {
                Some(RuntimeMessage::Next(ready)) => ready,
                // A late message about an earlier invocation.
                Some(_) => continue,
                None => return Err(InvokeError::ShuttingDown),
            };
            if self.is_initialized {
                span.bind(self.trace.id(), id, false);
            } else {
                span.set_init(self.started_at.elapsed());
            }
            self.is_initialized = true;
            let invocation = Invocation {
                request_id: id.to_owned(),
                deadline_millis: deadline_millis(self.timeout, self.clock_offset),
                event: event.clone(),
            };
            // The send fails if the request was aborted. Then the process sends another one, or has
            // exited.
            if ready.send(invocation).is_ok() {
                return Ok(());
            }
        }
    }

    /// Kills the process and waits for it.
    pub(super) async fn terminate(mut self) {
        self.process.kill_and_wait().await;
    }

    fn exit_error(&self, status: String) -> InvokeError {
        let function = self.function.clone();
        if self.is_initialized {
            InvokeError::Crashed { function, status }
        } else {
            InvokeError::ExitedDuringInit {
                function,
                status,
                last_output: self.process.last_lines(),
            }
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.trace.end();
    }
}

/// The deadline of an invocation that starts now, by the process's clock.
fn deadline_millis(timeout: Duration, clock_offset: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + clock_offset;
    let deadline = now + timeout;
    u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX)
}
