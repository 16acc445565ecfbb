//! The consumers of the change stream: the mapping of the history's consumer, and the pipe.

use std::ops::Range;
use std::time::Duration;

use shared::table_stream::Change;

use super::filters::{passes_mapping, passes_pipe};
use super::life::{Entry, Life};
use super::plan::{Action, START};
use super::process::ProcessKind;
use super::record::stream_record;

impl Life<'_> {
    /// Reads the new changes of the item.
    pub(super) fn read_changes(&mut self) {
        let changes = {
            let mut core = self.sim.lock();
            core.model.changes.journal.as_mut().map(std::mem::take).unwrap_or_default()
        };
        for change in changes {
            let Change::Call(images) = change else { continue };
            let (to_mapping, to_pipe) = (passes_mapping(&images), passes_pipe(&images));
            if to_mapping || to_pipe {
                let Some(record) = stream_record(self.changes, &images) else {
                    self.fail("a call is no item".to_owned());
                    return;
                };
                if to_pipe {
                    self.pipe.push(self.changes, &images, record.clone());
                }
                if to_mapping {
                    self.mapping.push(&images, record);
                }
            }
            self.changes += 1;
        }
        self.queue_mapping(false);
        self.queue_pipe();
    }

    fn consumers_delay(&mut self) -> Duration {
        let resumed_at = START.plus(self.plan.consumers_paused);
        resumed_at.since(self.sim.now()) + self.rng.millis(100..2_000)
    }

    pub(super) fn queue_mapping(&mut self, has_failed: bool) {
        if self.mapping.has_records() && !self.mapping.is_waiting && !self.is_mapping_queued {
            self.is_mapping_queued = true;
            let retry_delay = Duration::from_secs(if has_failed { 5 } else { 0 });
            let delay = self.consumers_delay() + retry_delay;
            self.queue_after(delay, Entry::Mapping);
        }
    }

    fn queue_pipe(&mut self) {
        if self.pipe.has_records() && !self.is_pipe_queued {
            self.is_pipe_queued = true;
            let delay = self.consumers_delay();
            self.queue_after(delay, Entry::Pipe);
        }
    }

    pub(super) fn run_pipe(&mut self) {
        self.is_pipe_queued = false;
        let is_repeated = self.rng.one_in(5);
        if let Some(message) = self.pipe.deliver(is_repeated) {
            self.fail(message);
        }
        self.queue_pipe();
    }

    pub(super) fn invoke_consumer(&mut self) {
        self.is_mapping_queued = false;
        if !self.mapping.has_records() || self.mapping.is_waiting {
            return;
        }
        let batch = self.mapping.next_batch(&mut self.rng);
        let is_zombie = self.rng.one_in(self.plan.faults.zombie);
        self.sim.lock().record_trace(|| format!("batch {batch:?}, is zombie: {is_zombie}"));
        if is_zombie {
            self.mapping.zombies += 1;
        } else {
            self.mapping.is_waiting = true;
        }
        self.project(batch, is_zombie);
        self.queue_mapping(false);
    }

    fn project(&mut self, batch: Range<usize>, is_zombie: bool) {
        let future = self.functions.project(self.mapping.records(batch.clone()));
        self.start(ProcessKind::Projection { batch, is_zombie }, future);
    }

    /// Projects all records so far at this instant, and compares the rows with the item.
    pub(super) fn compare_history(&mut self) {
        if !self.mapping.is_idle() {
            self.queue_after(Duration::from_secs(3), Entry::Action(Action::CompareHistory));
            return;
        }
        let batch = self.mapping.rest();
        if !batch.is_empty() {
            self.mapping.is_waiting = true;
            self.sim.lock().set_auto_steps(Some(u32::MAX));
            self.project(batch, false);
            self.sim.lock().set_auto_steps(None);
        }
        if let Some(message) = self.find_wrong_row() {
            self.fail(message);
        }
    }
}
