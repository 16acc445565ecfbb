//! The execution of processes: each of their requests takes effect at one instant, or fails.

use std::task::{Context, Poll};

use futures_util::task::noop_waker;

use super::life::{Entry, Life};
use super::plan::Action;
use super::process::{Delivery, Process, ProcessFuture, ProcessKind};
use crate::sim::{StepKind, StepOutcome};
use crate::state::{DelayedEffect, MAX_EFFECT_DELAY};

/// How often Stream delivers an event that is not acknowledged.
const MAX_DELIVERIES: u8 = 3;
/// How often a client sends the request of the creation.
const MAX_CREATES: u8 = 3;

impl Life<'_> {
    pub(super) fn start(&mut self, kind: ProcessKind, future: ProcessFuture) {
        let is_zombie = matches!(kind, ProcessKind::Projection { is_zombie: true, .. });
        let max_latency = if is_zombie {
            40_000
        } else if self.rng.one_in(self.plan.faults.slow) {
            4_000
        } else {
            40
        };
        let process = self.processes.len();
        let new = Process { kind, future, max_latency, requests: 0, has_fault: false };
        self.processes.push(Some(new));
        self.poll(process);
    }

    fn poll(&mut self, process: usize) {
        let Some(running) = &mut self.processes[process] else { return };
        self.sim.lock().set_current_process(process);
        let polled = running.future.as_mut().poll(&mut Context::from_waker(&noop_waker()));
        if let Poll::Ready(result) = polled
            && let Some(finished) = self.processes[process].take()
        {
            self.complete(finished, Some(result));
        }
    }

    /// Queues the new steps of the processes.
    pub(super) fn queue_steps(&mut self) {
        let new: Vec<(u64, usize)> = {
            let core = self.sim.lock();
            let is_new = |step: &u64| *step >= self.next_step;
            let steps = core.pending.iter().map(|pending| (pending.step, pending.process));
            steps.filter(|(step, _)| is_new(step)).collect()
        };
        for (step, process) in new {
            self.next_step = self.next_step.max(step + 1);
            let max_latency = self.processes[process].as_ref().map_or(1, |it| it.max_latency);
            let latency = self.rng.millis(1..max_latency);
            self.queue_after(latency, Entry::Step(step));
        }
    }

    pub(super) fn resolve_step(&mut self, step: u64) {
        let pending = {
            let core = self.sim.lock();
            let index = core.pending.iter().position(|pending| pending.step == step);
            index.map(|index| (index, core.pending[index].process, core.pending[index].kind))
        };
        // A killed process has no steps.
        let Some((index, process, kind)) = pending else { return };
        if self.is_killed(process) {
            self.sim.lock().kill(process);
            if let Some(killed) = self.processes[process].take() {
                self.complete(killed, None);
            }
            return;
        }
        let outcome = self.choose_outcome(process, kind);
        if let Some(running) = &mut self.processes[process] {
            running.requests += 1;
            running.has_fault |= outcome != StepOutcome::Applied;
        }
        if outcome == StepOutcome::Delayed {
            self.queue_after(MAX_EFFECT_DELAY, Entry::DelayedEffect);
        }
        self.sim.lock().resolve(index, outcome);
        self.poll(process);
    }

    /// Whether a process may fail. An invocation that the mapping has given up may leave rows, which
    /// the settlement removes.
    fn may_fail(&self, process: usize) -> bool {
        let kind = self.processes[process].as_ref().map(|running| &running.kind);
        let is_zombie = matches!(kind, Some(ProcessKind::Projection { is_zombie: true, .. }));
        !is_zombie || !self.mapping.has_started_settlement()
    }

    fn is_killed(&mut self, process: usize) -> bool {
        let Some(running) = &self.processes[process] else { return false };
        if matches!(running.kind, ProcessKind::Create(_))
            && self.plan.create_killed_after == Some(running.requests)
        {
            return true;
        }
        self.rng.one_in(self.plan.faults.kill) && self.may_fail(process)
    }

    fn choose_outcome(&mut self, process: usize, kind: StepKind) -> StepOutcome {
        if !self.rng.one_in(self.plan.faults.request) || !self.may_fail(process) {
            return StepOutcome::Applied;
        }
        let running = self.processes[process].as_ref().map(|running| &running.kind);
        let is_projection = matches!(running, Some(ProcessKind::Projection { .. }));
        match kind {
            StepKind::Read => StepOutcome::Rejected,
            StepKind::Write if is_projection => {
                self.rng.pick([StepOutcome::Rejected, StepOutcome::ResponseLost])
            }
            StepKind::Write => self.rng.pick([
                StepOutcome::Rejected,
                StepOutcome::ResponseLost,
                StepOutcome::Delayed,
            ]),
            StepKind::Wait | StepKind::StreamEvent => StepOutcome::Applied,
        }
    }

    pub(super) fn apply_delayed_effect(&mut self) {
        let mut core = self.sim.lock();
        let now = core.model.now;
        let due = core.model.delayed_effects.iter().position(|effect| effect.applies_at <= now);
        let Some(index) = due else { return };
        let DelayedEffect { label, effect, .. } = core.model.delayed_effects.remove(index);
        effect(&mut core.model);
        core.model.record_changes();
        core.model.check_invariants();
        core.record_trace(|| format!("delayed: {label}"));
    }

    /// Continues after a process. Without a result, it was killed.
    fn complete(&mut self, process: Process, result: Option<Result<(), Vec<String>>>) {
        let Process { kind, has_fault, .. } = process;
        let has_failed = !matches!(result, Some(Ok(())));
        let is_unexpected = result.as_ref().is_some_and(Result::is_err) && !has_fault;
        match kind {
            ProcessKind::Create(attempt) => {
                let is_given_up = attempt >= MAX_CREATES || self.plan.create_killed_after.is_some();
                if has_failed && !is_given_up {
                    let delay = self.rng.millis(500..45_000);
                    self.queue_after(delay, Entry::Action(Action::Create(attempt + 1)));
                }
            }
            ProcessKind::Event(delivery) => {
                if is_unexpected && delivery.is_after_settlement {
                    self.fail("an event after the settlement is not acknowledged".to_owned());
                }
                let attempt = delivery.attempt + 1;
                if has_failed && attempt <= MAX_DELIVERIES {
                    let delay = self.rng.millis(1_000..60_000);
                    let delivery = Delivery { attempt, ..delivery };
                    self.queue_after(delay, Entry::Delivery(delivery));
                }
            }
            ProcessKind::Sweep if is_unexpected => self.fail("a sweep fails".to_owned()),
            ProcessKind::Sweep | ProcessKind::Request => {}
            ProcessKind::Projection { is_zombie: true, .. } => {
                self.mapping.zombies -= 1;
                self.mapping.has_lost_zombie |= has_failed;
            }
            ProcessKind::Projection { batch, is_zombie: false } => {
                self.mapping.is_waiting = false;
                match result {
                    Some(Err(_)) if is_unexpected => {
                        self.fail("the history's consumer fails".to_owned());
                    }
                    Some(result) => {
                        let failed = result.err().unwrap_or_default();
                        self.mapping.complete(batch, &failed);
                    }
                    None => {}
                }
                self.queue_mapping(has_failed);
            }
        }
    }
}
