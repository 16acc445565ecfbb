//! One execution environment: a process that works on one invocation at a time.

use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::time::sleep;

use super::ids;
use super::process::Process;
use super::runtime_api::{Invocation, Line, Message};
use crate::error::InvokeError;
use crate::sync::Stopping;

/// How long a process may take to ask for its first invocation. Lambda allows 10 s; a debug build on
/// a machine that is busy with other tests gets more.
const START_LIMIT: Duration = Duration::from_secs(30);

/// An execution environment.
pub(super) struct Instance {
    function: String,
    timeout: Duration,
    /// How far ahead of the machine's clock the process has been told to be.
    ahead: Duration,
    process: Process,
    line: Line,
    /// Whether the process has ever asked for work.
    started: bool,
}

impl Instance {
    pub(super) fn new(
        function: String,
        timeout: Duration,
        ahead: Duration,
        process: Process,
        line: Line,
    ) -> Self {
        Self { function, timeout, ahead, process, line, started: false }
    }

    pub(super) fn ahead(&self) -> Duration {
        self.ahead
    }

    pub(super) fn has_ended(&self) -> bool {
        self.process.has_ended()
    }

    /// Has the process work on one event.
    pub(super) async fn handle(
        &mut self,
        event: Bytes,
        stopping: &mut Stopping,
    ) -> Result<Bytes, InvokeError> {
        let id = ids::invocation();
        self.hand_over(&id, &event, stopping).await?;
        let mut expired = pin!(sleep(self.timeout));
        loop {
            // In this order: an answer counts even if the process ends right after it.
            let message = tokio::select! {
                biased;
                message = self.line.messages.recv() => message,
                status = self.process.ended() => return Err(self.crashed(status)),
                () = &mut expired => return Err(InvokeError::TimedOut {
                    function: self.function.clone(),
                    limit: self.timeout,
                }),
                () = stopping.begun() => return Err(InvokeError::Stopping),
            };
            match message {
                Some(Message::Response { request_id, payload }) if request_id == id => {
                    return Ok(payload);
                }
                Some(Message::Error { request_id, report }) if request_id == id => {
                    return Err(InvokeError::Reported {
                        function: self.function.clone(),
                        report: String::from_utf8_lossy(&report).into_owned(),
                    });
                }
                // Not about this invocation.
                Some(_) => {}
                None => return Err(InvokeError::Stopping),
            }
        }
    }

    /// Gives the process the event, as soon as it asks for work.
    async fn hand_over(
        &mut self,
        id: &str,
        event: &Bytes,
        stopping: &mut Stopping,
    ) -> Result<(), InvokeError> {
        let mut expired = pin!(sleep(START_LIMIT));
        loop {
            let message = tokio::select! {
                biased;
                message = self.line.messages.recv() => message,
                status = self.process.ended() => return Err(self.crashed(status)),
                () = &mut expired => return Err(InvokeError::NeverReady {
                    function: self.function.clone(),
                    limit: START_LIMIT,
                }),
                () = stopping.begun() => return Err(InvokeError::Stopping),
            };
            let ready = match message {
                Some(Message::Next(ready)) => ready,
                // Late news of an invocation that is over.
                Some(_) => continue,
                None => return Err(InvokeError::Stopping),
            };
            self.started = true;
            let invocation = Invocation {
                request_id: id.to_owned(),
                deadline: deadline(self.timeout, self.ahead),
                event: event.clone(),
            };
            // Refused by a request that is gone; the process asks again, or has ended.
            if ready.send(invocation).is_ok() {
                return Ok(());
            }
        }
    }

    /// Kills the process and waits for its end.
    pub(super) async fn end(mut self) {
        self.process.end().await;
    }

    fn crashed(&self, status: String) -> InvokeError {
        let function = self.function.clone();
        if self.started {
            InvokeError::Crashed { function, status }
        } else {
            InvokeError::EndedEarly { function, status, printed: self.process.last_lines() }
        }
    }
}

/// The moment after which Lambda stops an invocation that begins now, by the process's own clock.
fn deadline(timeout: Duration, ahead: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + ahead;
    let end = now + timeout;
    u64::try_from(end.as_millis()).unwrap_or(u64::MAX)
}
