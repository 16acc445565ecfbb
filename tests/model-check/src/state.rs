//! The model of the table, Stream and the clock, with its invariants.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use shared::calls::presence::Interval;
use shared::calls::{Alias, Call, CallState, MemberSet, OpenCallPointer, SettledFrom};
use shared::clock::Timestamp;
use shared::history::{HistoryRow, RowKey};
use shared::ids::{CallId, UserId};
use shared::users::JoinedCall;

use crate::actors::TIMEOUTS;
use crate::changes::ChangeLog;
use crate::listing::Listing;
use crate::sim::Effect;

/// The maximum delay of a request that takes effect late.
pub(crate) const MAX_EFFECT_DELAY: Duration = Duration::from_secs(100);

/// The model: all state outside the processes.
pub(crate) struct ModelState {
    pub(crate) now: Timestamp,
    /// The call items of the table.
    pub(crate) items: BTreeMap<CallId, CallItem>,
    /// The open-call pointers of the table.
    pub(crate) open_call_pointers: BTreeMap<MemberSet, StoredPointer>,
    /// The aliases of the table, in the place of call items.
    pub(crate) aliases: BTreeMap<CallId, StoredAlias>,
    /// The calls that the users joined last, in the table.
    pub(crate) joined_calls: BTreeMap<UserId, JoinedCall>,
    /// The history rows of the table.
    pub(crate) history_rows: BTreeMap<(UserId, RowKey), HistoryRow>,
    /// The changes of the call items.
    pub(crate) changes: ChangeLog,
    /// The channels at Stream, by id.
    pub(crate) stream_channels: BTreeMap<String, StreamUserId>,
    /// The calls at Stream, by id.
    pub(crate) stream_calls: BTreeMap<String, StreamCall>,
    pub(crate) delayed_effects: Vec<DelayedEffect>,
    /// Whether `QueryCalls` lists the sessions before their last events.
    pub(crate) is_list_stale: bool,
    /// How Stream lists the participants of a call.
    pub(crate) listing: Listing,
    /// How far Stream's clock is ahead, in milliseconds.
    pub(crate) stream_clock_ahead: i64,
    /// Until when Stream rejects all requests.
    pub(crate) stream_down_until: Option<Timestamp>,
    /// Past events that the checks need.
    pub(crate) history: History,
    /// The first violation.
    pub(crate) violation: Option<String>,
}

type StreamUserId = String;

/// An open-call pointer and the attempt that set it.
#[derive(Clone, Debug, Hash)]
pub(crate) struct StoredPointer {
    pub(crate) pointer: OpenCallPointer,
    pub(crate) attempt: String,
}

/// An alias and its end.
#[derive(Clone, Debug, Hash)]
pub(crate) struct StoredAlias {
    pub(crate) alias: Alias,
    pub(crate) expires_at: Timestamp,
}

/// A call item.
#[derive(Clone, Debug, Hash)]
pub(crate) struct CallItem {
    pub(crate) call: Call,
    pub(crate) due_at: Option<Timestamp>,
    pub(crate) tries: u32,
}

/// A call at Stream.
#[derive(Clone, Debug, Hash)]
pub(crate) struct StreamCall {
    pub(crate) created_by: StreamUserId,
    pub(crate) ended_at: Option<Timestamp>,
    /// The sessions before the latest one.
    pub(crate) earlier_sessions: Vec<Session>,
    /// The latest session.
    pub(crate) session: Option<Session>,
    /// The maximum duration, by which Stream's timer ends each session.
    pub(crate) max_duration_seconds: Option<u64>,
    /// Whether a request has rung the members' phones.
    pub(crate) has_rung: bool,
    /// When a request last rang the call while it was open.
    pub(crate) last_ring_call_at: Option<Timestamp>,
    /// The users who have rejected the call, in any session.
    pub(crate) rejecting_users: BTreeSet<UserId>,
    /// How often participants have left.
    pub(crate) departures: u32,
    /// The session before the last event. `QueryCalls` may still list it.
    pub(crate) listed_session: Option<Session>,
    /// The true stays of all devices.
    pub(crate) stays: Vec<Stay>,
    /// The number of joins and leaves whose events were not acknowledged.
    pub(crate) unreported: u32,
    /// Since when a device has been out without an event of its leave.
    pub(crate) silent_since: Option<Timestamp>,
}

/// A session of a call at Stream.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Session {
    /// `None` until a participant joins.
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) ended_at: Option<Timestamp>,
    /// The current participants.
    pub(crate) participants: Vec<Participant>,
    pub(crate) rejected_by: BTreeMap<UserId, Timestamp>,
    /// When the report of the session became ready.
    pub(crate) reported_at: Option<Timestamp>,
}

/// A participant. The client keeps its session id when it joins again.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Participant {
    pub(crate) user: UserId,
    pub(crate) device: Device,
    pub(crate) joined_at: Timestamp,
}

/// A device of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Device {
    First,
    Second,
}

impl Device {
    /// The session id of the user's client on this device.
    pub(crate) fn session_of(self, user: &UserId) -> String {
        match self {
            Self::First => format!("session-of-{user}"),
            Self::Second => format!("second-session-of-{user}"),
        }
    }
}

/// The true time of a device in a call.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Stay {
    pub(crate) user: UserId,
    pub(crate) device: Device,
    /// The number of the session.
    pub(crate) session: usize,
    pub(crate) joined_at: Timestamp,
    /// `None` while the device is in.
    pub(crate) left_at: Option<Timestamp>,
    /// Whether the leave was reported, or will not be.
    pub(crate) is_reported: bool,
}

impl StreamCall {
    /// The session that has not ended, or a new one.
    pub(crate) fn open_session(&mut self) -> &mut Session {
        let ended = self.session.take_if(|session| session.ended_at.is_some());
        self.earlier_sessions.extend(ended);
        self.session.get_or_insert_default()
    }

    /// The number of the latest session.
    pub(crate) fn session_number(&self) -> usize {
        self.earlier_sessions.len() + 1
    }

    /// All sessions by their numbers, which begin with 1.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = (usize, &Session)> {
        (1..).zip(self.earlier_sessions.iter().chain(&self.session))
    }

    /// The session with this number.
    pub(crate) fn session_mut(&mut self, number: usize) -> Option<&mut Session> {
        self.earlier_sessions.iter_mut().chain(&mut self.session).nth(number.checked_sub(1)?)
    }

    /// Ends the call. All participants are in until then.
    pub(crate) fn end(&mut self, at: Timestamp) {
        self.ended_at.get_or_insert(at);
        if let Some(session) = &mut self.session {
            session.ended_at.get_or_insert(at);
            self.departures += u32::from(!session.participants.is_empty());
            session.participants.clear();
        }
        self.close_stays(at);
    }

    fn close_stays(&mut self, at: Timestamp) {
        for stay in self.stays.iter_mut().filter(|stay| stay.left_at.is_none()) {
            stay.left_at = Some(at);
        }
    }

    /// Ends the open session, if any.
    pub(crate) fn end_session(&mut self, at: Timestamp) {
        if let Some(session) = &mut self.session {
            session.ended_at.get_or_insert(at);
        }
        self.leave_silently(at);
    }

    /// All participants leave, and no event reports it.
    pub(crate) fn leave_silently(&mut self, at: Timestamp) {
        let Some(session) = &mut self.session else { return };
        if !session.participants.is_empty() {
            self.departures += 1;
            self.silent_since.get_or_insert(at);
            session.participants.clear();
            self.close_stays(at);
        }
    }

    /// The true time with two different users in the call, until its end.
    pub(crate) fn true_talk_time(&self, ended_at: Timestamp) -> Duration {
        self.true_overlaps(ended_at).iter().map(|[from, until]| until.since(*from)).sum()
    }

    /// The true periods with two different users in the call, by time, until its end. A period may
    /// be split.
    pub(crate) fn true_overlaps(&self, ended_at: Timestamp) -> Vec<[Timestamp; 2]> {
        let stays = self.stays.iter().map(|stay| {
            let left_at = stay.left_at.unwrap_or(ended_at).min(ended_at);
            (&stay.user, stay.joined_at, left_at)
        });
        overlaps(&stays.collect::<Vec<_>>())
    }
}

/// The periods in which stays of two different users overlap, by time. A period may be split.
pub(crate) fn overlaps<U: Ord>(stays: &[(U, Timestamp, Timestamp)]) -> Vec<[Timestamp; 2]> {
    let mut times: Vec<Timestamp> =
        stays.iter().flat_map(|(_, from, until)| [*from, *until]).collect();
    times.sort_unstable();
    times.dedup();
    let has_two_users = |at: Timestamp| {
        let present = stays.iter().filter(|(_, from, until)| *from <= at && at < *until);
        present.map(|(user, ..)| user).collect::<BTreeSet<_>>().len() > 1
    };
    let pairs = times.windows(2).filter(|pair| has_two_users(pair[0]));
    pairs.map(|pair| [pair[0], pair[1]]).collect()
}

/// A request that takes effect later.
pub(crate) struct DelayedEffect {
    pub(crate) applies_at: Timestamp,
    pub(crate) label: String,
    pub(crate) effect: Effect,
}

/// A leave whose event was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ReportedLeave {
    pub(crate) id: CallId,
    pub(crate) user: UserId,
    pub(crate) joined_at: Timestamp,
    pub(crate) left_at: Timestamp,
}

impl ReportedLeave {
    /// Whether the call has the leave as an event reported it, or an earlier one.
    fn is_stored_in(&self, call: &Call) -> bool {
        call.presence.intervals().iter().any(|interval| {
            interval.user == self.user
                && interval.joined_at == self.joined_at
                && interval.left.is_some_and(|left| !left.is_inferred() && left.at <= self.left_at)
        })
    }
}

/// Past events that the checks need.
#[derive(Default, Hash)]
pub(crate) struct History {
    /// The requested calls.
    pub(crate) requested: BTreeSet<CallId>,
    /// The calls that were active.
    pub(crate) activated: BTreeSet<CallId>,
    /// The calls that were `ending` or `ended`.
    pub(crate) ended: BTreeSet<CallId>,
    /// The calls whose end was acknowledged, with the time.
    pub(crate) acknowledged_ends: BTreeMap<CallId, Timestamp>,
    /// The calls that were ended at Stream, or whose channel was deleted there.
    pub(crate) changed_by_stream: BTreeSet<CallId>,
    /// The joins whose events were acknowledged.
    pub(crate) reported_joins: BTreeSet<(CallId, UserId)>,
    /// The leaves whose events were acknowledged.
    pub(crate) reported_leaves: BTreeSet<ReportedLeave>,
    /// The users whose rejects as busy were acknowledged.
    pub(crate) reported_busy: BTreeSet<(CallId, UserId)>,
    /// How often each call was begun.
    pub(crate) begins: BTreeMap<CallId, u32>,
    /// The calls whose create was rejected as busy.
    pub(crate) rejected_as_busy: BTreeSet<CallId>,
    /// Whether a request takes effect late.
    pub(crate) has_delayed_effect: bool,
}

impl Hash for ModelState {
    fn hash<H: Hasher>(&self, hash: &mut H) {
        let Self {
            now,
            items,
            open_call_pointers,
            aliases,
            joined_calls,
            history_rows: _,
            changes,
            stream_channels,
            stream_calls,
            delayed_effects,
            is_list_stale,
            listing: _,
            stream_clock_ahead: _,
            stream_down_until: _,
            history,
            violation: _,
        } = self;
        (now, items, open_call_pointers, stream_channels, stream_calls, history).hash(hash);
        (aliases, joined_calls, changes, is_list_stale).hash(hash);
        for DelayedEffect { applies_at, label, effect: _ } in delayed_effects {
            (applies_at, label).hash(hash);
        }
    }
}

impl ModelState {
    /// An empty model.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            now,
            items: BTreeMap::new(),
            open_call_pointers: BTreeMap::new(),
            aliases: BTreeMap::new(),
            joined_calls: BTreeMap::new(),
            history_rows: BTreeMap::new(),
            changes: ChangeLog::default(),
            stream_channels: BTreeMap::new(),
            stream_calls: BTreeMap::new(),
            delayed_effects: Vec::new(),
            is_list_stale: false,
            listing: Listing::default(),
            stream_clock_ahead: 0,
            stream_down_until: None,
            history: History::default(),
            violation: None,
        }
    }

    /// Records a violation, unless there was one before.
    pub(crate) fn record_violation(&mut self, message: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(message());
        }
    }

    /// The time by Stream's clock.
    pub(crate) fn stream_now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.as_millis() + self.stream_clock_ahead)
    }

    /// Records the changes of the call items, and checks their events.
    pub(crate) fn record_changes(&mut self) {
        if let Some(message) = self.changes.record(&self.items) {
            self.record_violation(|| message);
        }
    }

    /// Moves a call to another state. An earlier state is a violation.
    pub(crate) fn transition(&mut self, id: &CallId, state: CallState) {
        let Some(item) = self.items.get_mut(id) else { return };
        let previous = item.call.state;
        item.call.state = state;
        match state {
            CallState::Active => {
                self.history.activated.insert(id.clone());
            }
            CallState::Ending | CallState::Ended => {
                self.history.ended.insert(id.clone());
            }
            CallState::Creating => {}
        }
        if state < previous {
            self.record_violation(|| format!("{id} returns from {previous:?} to {state:?}"));
        }
    }

    /// Checks the invariants of every state.
    pub(crate) fn check_invariants(&mut self) {
        if self.violation.is_none() {
            self.violation = self.find_violation();
        }
    }

    fn find_violation(&self) -> Option<String> {
        let find_scheduled_check = |id: &str| {
            let item = self.items.iter().find(|(known, _)| known.as_str() == id)?.1;
            item.due_at.map(|_| ())
        };
        for channel in self.stream_channels.keys() {
            let id = channel.strip_prefix("call-").unwrap_or_default();
            if find_scheduled_check(id).is_none() {
                return Some(format!("no scheduled check will remove the channel {channel}"));
            }
        }
        for (id, live) in &self.stream_calls {
            if live.ended_at.is_none() && find_scheduled_check(id).is_none() {
                return Some(format!("no scheduled check will end the live call {id}"));
            }
        }
        for (id, user) in &self.history.reported_joins {
            let item = self.items.get(id);
            if item.is_some_and(|item| !item.call.presence.joined_users().contains(user)) {
                return Some(format!("{id} lacks the reported join of {user}"));
            }
        }
        for leave in &self.history.reported_leaves {
            let ReportedLeave { id, user, .. } = leave;
            let item = self.items.get(id);
            if item.is_some_and(|item| !leave.is_stored_in(&item.call)) {
                return Some(format!("{id} lacks the reported leave of {user}"));
            }
        }
        let mut active_member_sets = BTreeSet::new();
        for (id, item) in &self.items {
            let state = item.call.state;
            if state != CallState::Ended && item.due_at.is_none() {
                return Some(format!("{id} is {state:?} and not in the due index"));
            }
            if state <= CallState::Active && self.history.acknowledged_ends.contains_key(id) {
                return Some(format!("{id} is {state:?} after its end was acknowledged"));
            }
            if state != CallState::Active {
                continue;
            }
            let live = self.stream_calls.get(id.as_str());
            let limit = item.call.max_duration(TIMEOUTS.max_duration).as_secs();
            // A request of an earlier change may reach Stream later, and is then pushed over.
            let is_only_change = item.call.limit_version < 2;
            if is_only_change
                && item.call.is_limit_synced()
                && live.is_some_and(|live| live.max_duration_seconds != Some(limit))
            {
                return Some(format!("{id} has a confirmed limit that Stream does not have"));
            }
            let exists_at_stream = self.stream_channels.contains_key(&id.channel().to_string())
                && self.stream_calls.get(id.as_str()).is_some_and(|live| live.ended_at.is_none());
            if !exists_at_stream && !self.history.changed_by_stream.contains(id) {
                return Some(format!("{id} is active but missing at Stream"));
            }
            if !item.call.parallel && !active_member_sets.insert(MemberSet::new(&item.call.members))
            {
                return Some(format!("{id} is one of two active calls of the same members"));
            }
        }
        None
    }

    /// Checks that no create that was rejected as busy has left its reservation. After a fault, the
    /// lease of the reservation expires.
    pub(crate) fn check_busy_rejections(&mut self) {
        let is_creating = |id: &&CallId| {
            self.items.get(*id).is_some_and(|item| item.call.state == CallState::Creating)
        };
        let left = self.history.rejected_as_busy.iter().find(is_creating).cloned();
        if let Some(id) = left {
            self.record_violation(|| format!("{id} was rejected as busy, and is still creating"));
        }
    }

    /// Checks the talk time of each call that has ended. Once a call is settled, it is always right.
    pub(crate) fn check_talk_times(&mut self) {
        let wrong = self.items.values().find_map(|CallItem { call, .. }| {
            let live = self.stream_calls.get(call.call_id.as_str())?;
            let ended_at = call.ending_at?;
            let (talk_time, expected) = (call.talk_time()?, live.true_talk_time(ended_at));
            let is_inferred =
                |interval: Interval| interval.left.is_some_and(|left| left.is_inferred());
            // The table cannot know a leave without an event.
            let is_settled = call
                .settlement
                .as_ref()
                .is_some_and(|settlement| settlement.settled_from == SettledFrom::Stream);
            let is_told = live.unreported == 0
                && live.silent_since.is_none_or(|at| {
                    at > ended_at && !call.presence.intervals().into_iter().any(is_inferred)
                });
            ((is_settled || is_told) && talk_time != expected).then(|| {
                format!("{} has {talk_time:?} of talk, and not {expected:?}", call.call_id)
            })
        });
        if let Some(message) = wrong {
            self.record_violation(|| message);
        }
    }

    /// How often participants have left their calls.
    pub(crate) fn count_departures(&self) -> u32 {
        self.stream_calls.values().map(|live| live.departures).sum()
    }

    /// Whether a call is active, has not rung, and has no participant but this user.
    pub(crate) fn is_silent(&self, id: &CallId, user: &UserId) -> bool {
        let session = self.stream_calls.get(id.as_str()).and_then(|live| live.session.as_ref());
        let has_other = session.is_some_and(|session| {
            session.participants.iter().any(|participant| participant.user != *user)
        });
        let has_not_rung = |item: &CallItem| {
            item.call.state == CallState::Active && item.call.last_rung_at.is_none()
        };
        !has_other && self.items.get(id).is_some_and(has_not_rung)
    }

    /// The departures so far from the answered call that a user is in, by the table and by Stream.
    /// `None` if the user is in no such call. While the number is the same, the user stays in.
    pub(crate) fn departures_while_busy(&self, user: &UserId) -> Option<u32> {
        let id = &self.joined_calls.get(user)?.call_id;
        let call = &self.items.get(id)?.call;
        let live = self.stream_calls.get(id.as_str()).filter(|live| live.ended_at.is_none())?;
        let participants = &live.session.as_ref()?.participants;
        let is_in_call = call.state == CallState::Active
            && call.answered_at().is_some()
            && call.presence.present_users().contains(user)
            && participants.iter().any(|participant| participant.user == *user);
        is_in_call.then_some(live.departures)
    }

    /// Whether Stream has no channel and no live call for this id.
    pub(crate) fn is_cleaned_up(&self, id: &CallId) -> bool {
        !self.stream_channels.contains_key(&id.channel().to_string())
            && self.stream_calls.get(id.as_str()).is_none_or(|live| live.ended_at.is_some())
    }
}
