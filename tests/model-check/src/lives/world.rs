//! The changes of a call at Stream, and their events.

use std::time::Duration;

use shared::calls::presence::{Join, Leave};
use shared::clock::Timestamp;
use shared::ids::{CallId, CallTypeName, SessionId, UserId};
use shared::stream::event::{CallEnd, CallEvent, Event, EventKind, StatsReport};

use crate::listing;
use crate::state::{Device, ModelState, Participant, Stay, StreamCall};
use crate::stream_events::session_id;

/// A call at Stream.
pub(super) struct World<'a> {
    id: &'a CallId,
    live: &'a mut StreamCall,
    now: Timestamp,
    /// The events of the changes.
    pub(super) events: Vec<Event>,
}

impl<'a> World<'a> {
    /// The call, if it exists at Stream.
    pub(super) fn new(model: &'a mut ModelState, id: &'a CallId) -> Option<Self> {
        let now = model.stream_now();
        let live = model.stream_calls.get_mut(id.as_str())?;
        Some(Self { id, live, now, events: Vec::new() })
    }

    /// The call, if it has not ended.
    pub(super) fn open(model: &'a mut ModelState, id: &'a CallId) -> Option<Self> {
        Self::new(model, id).filter(|world| world.live.ended_at.is_none())
    }

    /// `QueryCalls` may still list the session as it is now.
    fn begin_change(&mut self) {
        self.live.listed_session.clone_from(&self.live.session);
    }

    fn emit(&mut self, session: usize, event: CallEvent) {
        let session = SessionId::try_from(listing::session_id(session)).ok();
        let cid = self.id.with_type(&CallTypeName::default());
        self.events.push(Event { at: self.now, session, kind: EventKind::Call(cid, event) });
    }

    /// When the device joined, if it is in.
    pub(super) fn joined_at(&self, user: &UserId, device: Device) -> Option<Timestamp> {
        let participants = &self.live.session.as_ref()?.participants;
        let is_in = |other: &&Participant| other.user == *user && other.device == device;
        participants.iter().find(is_in).map(|participant| participant.joined_at)
    }

    /// A device joins. If it is in, its earlier stay ends. A device does not join twice at one
    /// instant.
    pub(super) fn join(&mut self, user: &UserId, device: Device) {
        let now = self.now;
        let is_same =
            |stay: &Stay| stay.user == *user && stay.device == device && stay.joined_at == now;
        if self.live.stays.iter().any(is_same) {
            return;
        }
        if self.joined_at(user, device).is_some() {
            self.leave(user, device, now, true);
        }
        self.begin_change();
        let session = self.live.open_session();
        let is_first = session.started_at.is_none();
        session.started_at.get_or_insert(now);
        session.participants.push(Participant { user: user.clone(), device, joined_at: now });
        let number = self.live.session_number();
        self.live.stays.push(Stay {
            user: user.clone(),
            device,
            session: number,
            joined_at: now,
            left_at: None,
            is_reported: false,
        });
        if is_first {
            self.emit(number, CallEvent::Started(now));
        }
        if let Some(session) = session_id(user, device) {
            let join = Join { user: user.clone(), session, joined_at: now };
            self.emit(number, CallEvent::Joined(join));
        }
    }

    /// A device leaves, if it is in. Stream knows that it left at `left_at`.
    pub(super) fn leave(
        &mut self,
        user: &UserId,
        device: Device,
        left_at: Timestamp,
        is_reported: bool,
    ) {
        let Some(joined_at) = self.joined_at(user, device) else { return };
        self.begin_change();
        if let Some(session) = &mut self.live.session {
            session.participants.retain(|other| other.user != *user || other.device != device);
        }
        self.live.departures += 1;
        let is_left = |stay: &&mut Stay| {
            stay.user == *user && stay.device == device && stay.left_at.is_none()
        };
        for stay in self.live.stays.iter_mut().filter(is_left) {
            stay.left_at = Some(left_at.max(joined_at));
            stay.is_reported = !is_reported;
        }
        if is_reported {
            self.report_leaves();
        }
    }

    /// The session ends, and its participants leave.
    pub(super) fn end_session(&mut self) {
        let number = self.live.session_number();
        let is_open = |live: &StreamCall| {
            live.session
                .as_ref()
                .is_some_and(|session| session.started_at.is_some() && session.ended_at.is_none())
        };
        if is_open(self.live) {
            self.begin_change();
            self.live.end_session(self.now);
            self.report_leaves();
            self.emit(number, CallEvent::SessionEnded);
        }
    }

    /// The call ends. All participants leave.
    pub(super) fn end(&mut self) {
        self.begin_change();
        self.live.end(self.now);
    }

    /// The events of the end of the call, by whatever it has ended.
    pub(super) fn report_end(&mut self, user: Option<UserId>) {
        let Some(ended_at) = self.live.ended_at else { return };
        self.report_leaves();
        let number = self.live.session_number();
        let session_started_at = self.live.session.as_ref().and_then(|session| session.started_at);
        let end = CallEnd { at: ended_at, user, session_started_at, timer_ends_at: None };
        self.emit(number, CallEvent::Ended(end));
        if session_started_at.is_some() {
            self.emit(number, CallEvent::SessionEnded);
        }
    }

    /// The events of the leaves that have none.
    fn report_leaves(&mut self) {
        let is_new = |stay: &&mut Stay| stay.left_at.is_some() && !stay.is_reported;
        let mut leaves = Vec::new();
        for stay in self.live.stays.iter_mut().filter(is_new) {
            stay.is_reported = true;
            leaves.push(stay.clone());
        }
        for Stay { user, device, session: number, joined_at, left_at, .. } in leaves {
            let (Some(session), Some(at)) = (session_id(&user, device), left_at) else { continue };
            let duration = Some(Duration::from_secs(at.since(joined_at).as_secs()));
            let leave = Leave { user, session, joined_at: Some(joined_at), at, duration };
            self.emit(number, CallEvent::Left(leave));
        }
    }

    /// The report of a session is ready, and the list of its participants is final.
    pub(super) fn report_session(&mut self, number: usize) {
        let Some(session) = self.live.session_mut(number) else { return };
        session.reported_at.get_or_insert(self.now);
        if let Ok(session) = SessionId::try_from(listing::session_id(number)) {
            let report = StatsReport { session, stats_json: None };
            self.emit(number, CallEvent::StatsReport(report));
        }
    }

    /// The number of the session and of departures, if the session has no participants.
    pub(super) fn idle_session(&self) -> Option<(usize, u32)> {
        let session = self.live.session.as_ref()?;
        let is_idle = session.ended_at.is_none() && session.participants.is_empty();
        is_idle.then(|| (self.live.session_number(), self.live.departures))
    }

    /// The number of the latest session, if it was used and has ended.
    pub(super) fn ended_session(&self) -> Option<usize> {
        let session = self.live.session.as_ref()?;
        let has_ended = session.started_at.is_some() && session.ended_at.is_some();
        has_ended.then(|| self.live.session_number())
    }
}
