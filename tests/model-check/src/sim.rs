//! The scheduler: every await of the store, of Stream and of the clock stops here, until it is
//! said what comes of it.
//!
//! A process is one of the real handlers, polled by nobody else. What it asks for is an effect on
//! the [`World`] that happens at one instant, or fails in one of the ways of [`Verdict`].

use std::fmt::{Debug, Write as _};
use std::future::Future;
use std::hash::{Hash as _, Hasher as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use shared::clock::Timestamp;

use crate::hash::Fnv;
use crate::state::{DelayedEffect, MAX_EFFECT_DELAY, ModelState};

/// What happens to the world, at once or later.
pub(crate) type Effect = Arc<dyn Fn(&mut ModelState) + Send + Sync>;

/// What comes of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepOutcome {
    /// It takes effect and is answered.
    Applied,
    /// It is refused before it has any effect.
    Rejected,
    /// It takes effect, and its answer is lost.
    ResponseLost,
    /// No answer comes, and it takes effect later.
    Delayed,
}

/// Why a step has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoResponse {
    /// It was refused.
    Rejected,
    /// It may have happened.
    Unknown,
}

/// Whether a step changes the world, or waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepKind {
    /// It only reads, so it fails in one way.
    Read,
    /// It changes the world.
    Write,
    /// It lets time pass, and cannot fail.
    Wait,
    /// It is Stream's own doing, and cannot fail.
    StreamEvent,
}

/// Every process's way to the world.
#[derive(Clone)]
pub(crate) struct Sim(Arc<Mutex<SimState>>);

/// What the scheduler knows.
pub(crate) struct SimState {
    /// The world.
    pub(crate) model: ModelState,
    /// The steps that wait for their verdict.
    pub(crate) pending: Vec<PendingStep>,
    /// One line for each thing that happens, where somebody wants to read it.
    pub(crate) trace: Option<Vec<String>>,
    /// How many steps are taken at once, as they come; none where each waits for its verdict.
    auto_steps: Option<u32>,
    current_process: usize,
    processes: Vec<Process>,
    outcomes: Vec<(u64, StepOutcome)>,
    next_step: u64,
}

/// A step that waits.
pub(crate) struct PendingStep {
    pub(crate) process: usize,
    pub(crate) kind: StepKind,
    step: u64,
    label: String,
    waker: Waker,
}

/// What a process has been told so far: that alone decides what it does next. What it asks for at
/// the same time may be answered in any order, so the order does not count; what it asks for twice
/// is told apart by how often.
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
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, SimState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.lock().model.now
    }

    /// A number that differs every time, and is the same in every run.
    pub(crate) fn next_id(&self) -> u64 {
        let mut core = self.lock();
        let process = core.current_process;
        let ids = &mut core.processes[process].id_counter;
        *ids += 1;
        (process as u64) << 32 | *ids
    }

    /// One step: the effect at one instant, and what the process hears of it.
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
                let effect: Effect = Arc::new(move |world| {
                    effect(world);
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
            core.model.check_invariants();
        }
        core.record_trace(|| match &response {
            Ok(answer) => format!("{label}: {answer:?}"),
            Err(_) => format!("{label}: {outcome:?}"),
        });
        let now = core.model.now;
        core.processes[core.current_process].record_response(&label, &response, now);
        response
    }
}

/// Waits for the verdict on a step.
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
            let Some(index) = core.outcomes.iter().position(|(of, _)| *of == step) else {
                return Poll::Pending;
            };
            return Poll::Ready(core.outcomes.swap_remove(index).1);
        }
        match &mut core.auto_steps {
            // A process that is cut off in the middle.
            Some(0) => return Poll::Pending,
            Some(remaining) => {
                *remaining -= 1;
                return Poll::Ready(StepOutcome::Applied);
            }
            None => {}
        }
        let step = core.next_step;
        core.next_step += 1;
        let waiting = PendingStep {
            process: core.current_process,
            kind: self.kind,
            step,
            label: self.label.to_owned(),
            waker: context.waker().clone(),
        };
        core.pending.push(waiting);
        drop(core);
        self.step = Some(step);
        Poll::Pending
    }
}

impl SimState {
    /// Lets so many steps be taken as they come; with `None` each one waits for its verdict.
    pub(crate) fn set_auto_steps(&mut self, auto_steps: Option<u32>) {
        self.auto_steps = auto_steps;
    }

    /// Says which process is polled next, one that is new where it is not known yet.
    pub(crate) fn set_current_process(&mut self, process: usize) {
        while self.processes.len() <= process {
            self.processes.push(Process::default());
        }
        self.current_process = process;
    }

    /// Gives a waiting step its verdict.
    pub(crate) fn resolve(&mut self, index: usize, outcome: StepOutcome) {
        let PendingStep { process, step, label, waker, .. } = self.pending.remove(index);
        if outcome != StepOutcome::Applied {
            self.record_trace(|| format!("process {process}: {label} will be {outcome:?}"));
        }
        self.set_current_process(process);
        self.outcomes.push((step, outcome));
        waker.wake();
    }

    /// Forgets a process that is killed.
    pub(crate) fn kill(&mut self, process: usize) {
        self.pending.retain(|waiting| waiting.process != process);
        self.record_trace(|| format!("process {process} is killed"));
    }

    /// A line for the reader of the trace.
    pub(crate) fn record_trace(&mut self, line: impl FnOnce() -> String) {
        let (now, current) = (self.model.now, self.current_process);
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{now} [{current}] {}", line()));
        }
    }

    /// Everything that decides what can still happen, as one number.
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
