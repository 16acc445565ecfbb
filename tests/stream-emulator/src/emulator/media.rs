//! The media side of Stream, which no server-side request can trigger: users join, leave, accept,
//! reject, miss, end and rate calls, and Stream measures their quality.

use std::time::Duration;

use super::Emulator;
use crate::timestamp::Timestamp;
use crate::views::{CallReport, JoinView, ParticipantSessionFaults, RingView};
use crate::world::{Cid, JoinMode};

impl Emulator {
    /// A user joins a call. Returns the `user_session_id` of this join, which [`Emulator::leave`]
    /// takes. The first join starts a session. Returns `None` if the call does not exist or has
    /// ended, or if the user is deactivated or deleted.
    #[must_use]
    pub fn join(&self, call_cid: &str, user_id: &str) -> Option<String> {
        self.state().with_inner(|inner, now| inner.world.join(call_cid, user_id, now))
    }

    /// A user joins a call under this `user_session_id`, as a client that reconnects does. If the
    /// user is present under it, that participant leaves at the same instant. Returns the
    /// `joined_at` of the participant, or `None` as [`Emulator::join`] does.
    #[must_use]
    pub fn join_as(&self, call_cid: &str, user_id: &str, user_session_id: &str) -> Option<i64> {
        let joined_at = self
            .state()
            .with_inner(|inner, now| inner.world.join_as(call_cid, user_id, user_session_id, now));
        joined_at.map(Timestamp::as_nanos)
    }

    /// All joins of a call, including those of former participants and sessions, in order. Empty if
    /// the call does not exist.
    #[must_use]
    pub fn joins(&self, call_cid: &str) -> Vec<JoinView> {
        self.state().with_inner(|inner, _| inner.world.join_views(call_cid))
    }

    /// One participant leaves a call. A session without participants ends after the call's
    /// inactivity timeout.
    pub fn leave(&self, call_cid: &str, user_session_id: &str) {
        self.state()
            .with_inner(|inner, now| inner.world.leave(call_cid, Some(user_session_id), now));
    }

    /// One participant leaves a call for a reason, such as a kick.
    pub fn leave_with(&self, call_cid: &str, user_session_id: &str, reason: &str) {
        self.state().with_inner(|inner, now| {
            inner.world.leave_with(call_cid, Some(user_session_id), Some(reason), now);
        });
    }

    /// A user leaves a call with all devices. If the cid is not valid, nothing happens.
    pub fn leave_user(&self, call_cid: &str, user_id: &str) {
        let Ok(cid) = call_cid.parse::<Cid>() else { return };
        self.state().with_inner(|inner, now| inner.world.leave_user(&cid, user_id, None, now));
    }

    /// The last video socket of a user closes. The user leaves the calls that a request joined,
    /// which [`JoinMode::Pretend`] allows.
    pub fn disconnect_user(&self, user_id: &str) {
        self.state().with_inner(|inner, now| inner.world.client_disconnected(user_id, now));
    }

    /// The socket of a media endpoint closes. Its participant, whom a request joined, leaves.
    pub fn disconnect_media(&self, user_session_id: &str) {
        self.state().with_inner(|inner, now| inner.world.media_disconnected(user_session_id, now));
    }

    /// Sets the response to a join.
    pub fn set_join_mode(&self, mode: JoinMode) {
        self.state().with_inner(|inner, _| inner.world.set_join_mode(mode));
    }

    /// All participants leave a call, as when Stream detects that their apps were killed.
    pub fn leave_all(&self, call_cid: &str) {
        self.state().with_inner(|inner, now| inner.world.leave(call_cid, None, now));
    }

    /// All rings of the members of a call, in order. Empty if the call does not exist.
    #[must_use]
    pub fn rings(&self, call_cid: &str) -> Vec<RingView> {
        self.state().with_inner(|inner, _| inner.world.ring_views(call_cid))
    }

    /// Sets whether `RingCall` also rings the creator of the call, which Stream does not document.
    /// By default it does not, as with `ring: true`.
    pub fn set_ring_call_rings_creator(&self, rings_creator: bool) {
        self.state().with_inner(|inner, _| inner.world.set_rings_creator(rings_creator));
    }

    /// Sets whether members also miss a call before the timeout of their ring: a busy member, and
    /// all members if the creator of the call rejects it. Stream documents this only in part. By
    /// default they do.
    pub fn set_early_misses(&self, has_early_misses: bool) {
        self.state().with_inner(|inner, _| inner.world.set_has_early_misses(has_early_misses));
    }

    /// A user accepts a ring.
    pub fn accept(&self, call_cid: &str, user_id: &str) {
        self.state().with_inner(|inner, now| inner.world.accept(call_cid, user_id, now));
    }

    /// A user rejects a ring without a reason.
    pub fn reject(&self, call_cid: &str, user_id: &str) {
        self.state().with_inner(|inner, now| inner.world.reject(call_cid, user_id, now));
    }

    /// A user rejects a ring. Clients give the reasons `decline`, `cancel`, `busy` and `timeout`.
    pub fn reject_with(&self, call_cid: &str, user_id: &str, reason: Option<&str>) {
        self.state()
            .with_inner(|inner, now| inner.world.reject_with(call_cid, user_id, reason, now));
    }

    /// A user misses a ring. A member who was rung also misses it without this method, if the
    /// `missed_call_timeout_ms` of the call passes without a response.
    pub fn miss(&self, call_cid: &str, user_id: &str) {
        self.state().with_inner(|inner, now| inner.world.miss(call_cid, user_id, now));
    }

    /// Ends a call without a request: by a user, or by Stream itself. If the call does not exist or
    /// has ended before, nothing happens.
    pub fn end_call(&self, call_cid: &str, user_id: Option<&str>, reason: Option<&str>) {
        let Ok(cid) = call_cid.parse::<Cid>() else { return };
        self.state().with_inner(|inner, now| inner.world.end_call_with(&cid, user_id, reason, now));
    }

    /// A user rates the last started session of a call. Without such a session, nothing happens.
    pub fn rate(&self, call_cid: &str, user_id: &str, rating: u8, reason: Option<&str>) {
        self.state()
            .with_inner(|inner, now| inner.world.rate(call_cid, user_id, rating, reason, now));
    }

    /// Stores a report on a session of a call, as Stream's media side does. The session is the
    /// report's `session_id`. If that is empty, it is the last session, provided that it has
    /// started and has no report yet. Otherwise the report creates a new session.
    ///
    /// A session without joins takes its times from the report, and a later report replaces it. A
    /// joined session keeps its times. If the session has ended, `call.stats_report_ready` is
    /// emitted. If the call does not exist, nothing happens.
    pub fn set_report(&self, call_cid: &str, report: CallReport) {
        self.state().with_inner(|inner, now| inner.world.set_report(call_cid, report, now));
    }

    /// Emits `call.stats_report_ready` for the last started session of a call. Without a stored
    /// report, it uses one with attendance only and no measurements.
    pub fn publish_report(&self, call_cid: &str) {
        self.state().with_inner(|inner, now| inner.world.publish_report(call_cid, now));
    }

    /// Sets how the participant sessions of all calls deviate from the joins.
    pub fn set_participant_session_faults(&self, faults: ParticipantSessionFaults) {
        self.state().with_inner(|inner, _| inner.world.set_participant_session_faults(faults));
    }

    /// Sets the time from a join or a leave until the participant sessions include it, by the
    /// emulator's clock. The default is 60 s. Those of an ended session include everything once it
    /// has a report, or once this time has passed since its end.
    pub fn set_participant_sessions_delay(&self, delay: Duration) {
        self.state().with_inner(|inner, _| inner.world.set_participant_sessions_delay(delay));
    }
}
