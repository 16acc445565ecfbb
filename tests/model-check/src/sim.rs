//! The simulator: every await of the store, Stream and the clock blocks here until the run chooses
//! its outcome.
//!
//! A process is one of the real handlers. Each of its requests is an effect on the [`ModelState`]
//! that is applied at one instant, or fails as one of the [`StepOutcome`]s.

use std::fmt::{Debug, Write as _};
use std::future::Future;
use std::hash::{Hash as _, Hasher as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use shared::clock::Timestamp;

use crate::hash::Fnv;
use crate::state::{DelayedEffect, MAX_EFFECT_DELAY, ModelState};

/// A change of the model.
pub(crate) type Effect = Arc<dyn Fn(&mut ModelState) + Send + Sync>;

/// The outcome of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepOutcome {
    /// The step takes effect, and the process gets a response.
    Applied,
    /// The step is rejected before it takes effect.
    Rejected,
    /// The step takes effect, and the response is lost.
    ResponseLost,
    /// The process gets no response, and the step takes effect later.
    Delayed,
}

/// A step failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoResponse {
    /// It was rejected.
    Rejected,
    /// It may have taken effect.
    Unknown,
}

/// The kind of a step, which determines the possible outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepKind {
    /// Reads only. It can only be rejected.
    Read,
    /// Changes the model.
    Write,
    /// Waits. It cannot fail.
    Wait,
    /// A change at Stream. It cannot fail.
    StreamEvent,
}

/// A handle to the simulation.
#[derive(Clone)]
pub(crate) struct Sim(Arc<Mutex<SimState>>);

/// The state of the simulation.
pub(crate) struct SimState {
    /// The model.
    pub(crate) model: ModelState,
    /// The steps that wait for an outcome.
    pub(crate) pending: Vec<PendingStep>,
    /// The trace, if it is recorded.
    pub(crate) trace: Option<Vec<String>>,
    /// The number of steps that are applied immediately. `None`: each step waits for its outcome.
    auto_steps: Option<u32>,
    current_process: usize,
    processes: Vec<Process>,
    outcomes: Vec<(u64, StepOutcome)>,
    next_step: u64,
    /// Whether the responses to the processes are digested.
    has_digests: bool,
}

/// A step that waits for its outcome.
pub(crate) struct PendingStep {
    pub(crate) process: usize,
    pub(crate) kind: StepKind,
    /// The number of the step. Later steps have higher numbers.
    pub(crate) step: u64,
    label: String,
    waker: Waker,
}

/// The responses to a process so far, which alone determine its behavior. The digest does not
/// depend on the order, since the responses to concurrent requests may arrive in any order. A
/// counter distinguishes repeated requests.
#[derive(Clone, Default)]
struct Process {
    response_digest: u64,
    request_counts: Vec<(u64, u32)>,
    id_counter: u64,
}

impl Process {
    fn record_response(&mut self, label: &str, response: &dyn Debug, now: Timestamp) {
        let mut request_hasher = Fnv::default();
        request_hasher.write(label.as_bytes());
        let request_digest = request_hasher.finish();
        let existing = self.request_counts.iter_mut().find(|(known, _)| *known == request_digest);
        let occurrence = if let Some((_, times)) = existing {
            *times += 1;
            *times
        } else {
            self.request_counts.push((request_digest, 1));
            1
        };
        let mut response_hasher = Fnv::default();
        (request_digest, occurrence, now).hash(&mut response_hasher);
        let _ = write!(response_hasher, "{response:?}");
        self.response_digest = self.response_digest.wrapping_add(response_hasher.finish());
    }
}

impl Sim {
    pub(crate) fn new(model: ModelState, has_trace: bool) -> Self {
        Self(Arc::new(Mutex::new(SimState {
            model,
            pending: Vec::new(),
            trace: has_trace.then(Vec::new),
            auto_steps: None,
            current_process: 0,
            processes: Vec::new(),
            outcomes: Vec::new(),
            next_step: 0,
            has_digests: true,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, SimState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.lock().model.now
    }

    /// A number that is unique within a run and equal in every run.
    pub(crate) fn next_id(&self) -> u64 {
        let mut core = self.lock();
        let process = core.current_process;
        let ids = &mut core.processes[process].id_counter;
        *ids += 1;
        (process as u64) << 32 | *ids
    }

    /// Performs a step: applies the effect at one instant and returns the response.
    pub(crate) async fn step<T: Debug>(
        &self,
        kind: StepKind,
        label: impl FnOnce() -> String,
        effect: impl Fn(&mut ModelState) -> T + Send + Sync + 'static,
    ) -> Result<T, NoResponse> {
        let label = label();
        let outcome = StepFuture { sim: self, step: None, label: &label, kind }.await;
        let mut core = self.lock();
        let core = &mut *core;
        let response = match outcome {
            StepOutcome::Applied => Ok(effect(&mut core.model)),
            StepOutcome::Rejected => Err(NoResponse::Rejected),
            StepOutcome::ResponseLost => {
                effect(&mut core.model);
                Err(NoResponse::Unknown)
            }
            StepOutcome::Delayed => {
                let applies_at = core.model.now.plus(MAX_EFFECT_DELAY);
                let effect: Effect = Arc::new(move |model| {
                    effect(model);
                });
                core.model.history.has_delayed_effect = true;
                core.model.delayed_effects.push(DelayedEffect {
                    applies_at,
                    label: label.clone(),
                    effect,
                });
                Err(NoResponse::Unknown)
            }
        };
        if kind != StepKind::Read {
            core.model.record_changes();
            core.model.check_invariants();
        }
        core.record_trace(|| match &response {
            Ok(response) => format!("{label}: {response:?}"),
            Err(_) => format!("{label}: {outcome:?}"),
        });
        if core.has_digests {
            let now = core.model.now;
            core.processes[core.current_process].record_response(&label, &response, now);
        }
        response
    }
}

/// Waits for the outcome of a step.
struct StepFuture<'a> {
    sim: &'a Sim,
    step: Option<u64>,
    label: &'a str,
    kind: StepKind,
}

impl Future for StepFuture<'_> {
    type Output = StepOutcome;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<StepOutcome> {
        let mut core = self.sim.lock();
        if let Some(step) = self.step {
            let Some(index) = core.outcomes.iter().position(|(resolved, _)| *resolved == step)
            else {
                return Poll::Pending;
            };
            return Poll::Ready(core.outcomes.swap_remove(index).1);
        }
        match &mut core.auto_steps {
            // The process is interrupted here.
            Some(0) => return Poll::Pending,
            Some(remaining) => {
                *remaining -= 1;
                return Poll::Ready(StepOutcome::Applied);
            }
            None => {}
        }
        let step = core.next_step;
        core.next_step += 1;
        let pending = PendingStep {
            process: core.current_process,
            kind: self.kind,
            step,
            label: self.label.to_owned(),
            waker: context.waker().clone(),
        };
        core.pending.push(pending);
        drop(core);
        self.step = Some(step);
        Poll::Pending
    }
}

impl SimState {
    /// Applies this number of steps immediately. With `None`, each step waits for its outcome.
    pub(crate) fn set_auto_steps(&mut self, auto_steps: Option<u32>) {
        self.auto_steps = auto_steps;
    }

    /// Skips the digests of responses, which only an exploration of schedules needs.
    pub(crate) fn skip_digests(&mut self) {
        self.has_digests = false;
    }

    /// Sets the process that is polled next, and creates it if necessary.
    pub(crate) fn set_current_process(&mut self, process: usize) {
        while self.processes.len() <= process {
            self.processes.push(Process::default());
        }
        self.current_process = process;
    }

    /// Sets the outcome of a pending step.
    pub(crate) fn resolve(&mut self, index: usize, outcome: StepOutcome) {
        let PendingStep { process, step, label, waker, .. } = self.pending.remove(index);
        if outcome != StepOutcome::Applied {
            self.record_trace(|| format!("process {process}: {label} becomes {outcome:?}"));
        }
        self.set_current_process(process);
        self.outcomes.push((step, outcome));
        waker.wake();
    }

    /// Removes the pending steps of a killed process.
    pub(crate) fn kill(&mut self, process: usize) {
        self.pending.retain(|pending| pending.process != process);
        self.record_trace(|| format!("process {process} is killed"));
    }

    /// Adds a line to the trace.
    pub(crate) fn record_trace(&mut self, line: impl FnOnce() -> String) {
        let (now, current) = (self.model.now, self.current_process);
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{now} [{current}] {}", line()));
        }
    }

    /// A digest of everything that determines the further course.
    pub(crate) fn digest(&self, faults: u8, alive: &[bool], responded: &[bool]) -> u64 {
        let mut hash = Fnv::default();
        self.model.hash(&mut hash);
        (faults, responded).hash(&mut hash);
        for (process, alive) in self.processes.iter().zip(alive) {
            alive.then_some(process.response_digest).hash(&mut hash);
        }
        hash.finish()
    }
}
