//! The actions of the members, of operators and of Stream.

use shared::stream::event::{Event, EventKind};

use super::LifeIds;
use super::life::{Entry, Life};
use super::plan::{Action, MemberDevice};
use super::process::ProcessKind;
use super::world::World;
use crate::state::ModelState;

impl Life<'_> {
    pub(super) fn act(&mut self, action: Action) {
        self.sim.lock().record_trace(|| format!("{action:?}"));
        let user = |device: MemberDevice| self.ids.users[device.member].clone();
        match action {
            Action::Create(attempt) => {
                if let Some(future) = self.functions.create(&self.plan) {
                    self.start(ProcessKind::Create(attempt), future);
                }
            }
            Action::Join(device) => {
                let user = user(device);
                self.change_world(|world| world.join(&user, device.device));
            }
            Action::Leave(device) => {
                let (user, now) = (user(device), self.sim.lock().model.stream_now());
                self.change_world(|world| world.leave(&user, device.device, now, true));
            }
            Action::Crash { device, notice_after, is_backdated } => {
                let (user, mut joined_at) = (user(device), None);
                self.change_world(|world| joined_at = world.joined_at(&user, device.device));
                if let Some(joined_at) = joined_at {
                    let left_at = is_backdated.then(|| self.sim.lock().model.stream_now());
                    let notice = Action::Notice { device, joined_at, left_at };
                    self.queue_after(notice_after, Entry::Action(notice));
                }
            }
            Action::Notice { device, joined_at, left_at } => {
                let (user, now) = (user(device), self.sim.lock().model.stream_now());
                self.change_world(|world| {
                    if world.joined_at(&user, device.device) == Some(joined_at) {
                        world.leave(&user, device.device, left_at.unwrap_or(now), false);
                    }
                });
            }
            Action::EndSession => self.change_world(|world| {
                world.end_session();
            }),
            Action::EndAtStream(member) => {
                let mut has_ended = false;
                self.change_world(|world| {
                    world.end();
                    has_ended = true;
                });
                if has_ended {
                    self.ended_by = member;
                    self.mark_changed_by_stream();
                }
            }
            Action::DeleteChannel => self.delete_channel(),
            Action::End(member) => {
                let future = self.functions.end(self.ids.users[member].clone());
                self.start(ProcessKind::Request, future);
            }
            Action::Extend(seconds) => {
                let future = self.functions.extend(seconds, &self.plan);
                self.start(ProcessKind::Request, future);
            }
            Action::StreamOutage(duration) => {
                let model = &mut self.sim.lock().model;
                model.stream_down_until = Some(model.now.plus(duration));
            }
            Action::CompareHistory => self.compare_history(),
            Action::Reemit => self.reemit(),
        }
    }

    fn mark_changed_by_stream(&self) {
        let history = &mut self.sim.lock().model.history;
        history.changed_by_stream.insert(self.ids.call.clone());
    }

    fn delete_channel(&mut self) {
        let id = self.ids.call.clone();
        let channel = id.channel().to_string();
        let (removed, at) = {
            let model = &mut self.sim.lock().model;
            (model.stream_channels.remove(&channel), model.stream_now())
        };
        if removed.is_some() {
            self.mark_changed_by_stream();
            self.send(vec![Event { at, session: None, kind: EventKind::ChannelDeleted(id) }]);
        }
    }

    /// Changes the call at Stream, unless it has ended, and sends the events.
    pub(super) fn change_world(&mut self, change: impl FnOnce(&mut World<'_>)) {
        self.change(change, |model, ids| World::open(model, &ids.call));
    }

    pub(super) fn change_any_world(&mut self, change: impl FnOnce(&mut World<'_>)) {
        self.change(change, |model, ids| World::new(model, &ids.call));
    }

    fn change(
        &mut self,
        change: impl FnOnce(&mut World<'_>),
        open: impl for<'m> FnOnce(&'m mut ModelState, &'m LifeIds) -> Option<World<'m>>,
    ) {
        let (events, idle) = {
            let mut core = self.sim.lock();
            let Some(mut world) = open(&mut core.model, self.ids) else { return };
            change(&mut world);
            (std::mem::take(&mut world.events), world.idle_session())
        };
        if let Some((number, departures)) = idle {
            let delay = self.plan.timeouts.inactivity_timeout;
            self.queue_after(delay, Entry::IdleSession { number, departures });
        }
        self.send(events);
    }

    /// Sends the events of the call's end, by whatever it has ended at Stream.
    pub(super) fn report_end(&mut self) {
        if self.is_end_reported {
            return;
        }
        let has_ended = {
            let core = self.sim.lock();
            let live = core.model.stream_calls.get(self.ids.call.as_str());
            live.is_some_and(|live| live.ended_at.is_some())
        };
        if has_ended {
            self.is_end_reported = true;
            let user = self.ended_by.map(|member| self.ids.users[member].clone());
            self.change_any_world(|world| world.report_end(user));
        }
    }

    /// Queues the report of a session that has ended.
    pub(super) fn queue_session_report(&mut self) {
        let number = {
            let mut core = self.sim.lock();
            World::new(&mut core.model, &self.ids.call).and_then(|world| world.ended_session())
        };
        let Some(number) = number.filter(|number| !self.reported_sessions.contains(number)) else {
            return;
        };
        self.reported_sessions.push(number);
        if let Some(delay) = self.plan.report_after {
            self.queue_after(delay, Entry::Report(number));
        }
    }

    fn reemit(&mut self) {
        let mut core = self.sim.lock();
        if let Some(item) = core.model.items.get_mut(&self.ids.call)
            && item.call.settlement.is_some()
        {
            item.call.reemits += 1;
            core.model.record_changes();
        }
    }
}
