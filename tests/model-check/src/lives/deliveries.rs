//! The deliveries of Stream's events: in any order, some twice, some late, and some never.

use shared::stream::event::{CallEvent, Event, EventKind};

use super::life::{Entry, Life};
use super::plan::Deliveries;
use super::process::{Delivery, ProcessKind};

impl Life<'_> {
    /// Stream sends events: in any order, some twice, some late, and some never.
    pub(super) fn send(&mut self, events: Vec<Event>) {
        let Deliveries { lost, repeated, late, very_late, unkeyed, max_skew } =
            self.plan.deliveries;
        for mut event in events {
            if self.rng.percent(lost) {
                self.sim.lock().record_trace(|| format!("lost: {event:?}"));
                continue;
            }
            if let EventKind::Call(_, CallEvent::Left(leave)) = &mut event.kind {
                let skew = self.rng.millis(0..max_skew);
                (leave.at, event.at) = (leave.at.plus(skew), event.at.plus(skew));
                if self.rng.percent(unkeyed) {
                    leave.joined_at = None;
                }
            }
            let copies = 1 + u64::from(self.rng.percent(repeated));
            for _ in 0..copies {
                let delay = if self.rng.percent(very_late) {
                    self.rng.millis(600_000..90_000_000)
                } else if self.rng.percent(late) {
                    self.rng.millis(2_000..900_000)
                } else {
                    self.rng.millis(30..1_500)
                };
                let event = Box::new(event.clone());
                let delivery = Delivery { event, attempt: 1, is_after_settlement: false };
                self.queue_after(delay, Entry::Delivery(delivery));
            }
        }
    }

    pub(super) fn deliver(&mut self, mut delivery: Delivery) {
        delivery.is_after_settlement = self.is_settled();
        self.late_events += u64::from(delivery.is_after_settlement);
        self.sim.lock().record_trace(|| format!("{delivery:?}"));
        let future = self.functions.handle_event((*delivery.event).clone());
        self.start(ProcessKind::Event(delivery), future);
    }

    fn is_settled(&self) -> bool {
        let core = self.sim.lock();
        let item = core.model.items.get(&self.ids.call);
        item.is_some_and(|item| item.call.settlement.is_some())
    }
}
