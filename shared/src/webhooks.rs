//! Handles Stream's webhook events.
//!
//! An event may be lost, late, repeated or out of order, so its effect does not depend on the order:
//! facts about joins, leaves and rejects are stored as sets, and the earliest start and the final end
//! win. An event that can end a call is decided at once, by `GetCall` and the same pure function as
//! in the sweeper (`docs/adr/0028-events-decide-at-once.md`). If that fails, a sweep decides. The end
//! of a session does not end a call, since a later session may have begun. An event from before the
//! item that it names is ignored: it concerns an earlier call or user with the same id.

use std::sync::Arc;
use std::time::Duration;

use crate::calls::look::Look;
use crate::calls::outcome::{
    EndedBy, Outcome, PresenceTimeouts, StreamView, decide, is_end_by_limit,
};
use crate::calls::presence_writer::write_presence;
use crate::calls::rejects::RejectReason;
use crate::calls::settle::settle_by;
use crate::calls::timeouts::POLL_INTERVAL;
use crate::calls::{
    Call, CallEventStore, CallState, CallTimeouts, EndReason, EndRequest, EndResult, Precondition,
    SystemEndReason,
};
use crate::clock::{Clock, Deadline, Timestamp};
use crate::error::ApiError;
use crate::ids::{CallCid, CallId, SessionId, UserId};
use crate::quality::{ReportStore, write_and_invalidate};
use crate::store::StoreError;
use crate::stream::StreamClient;
use crate::stream::event::{CallEnd, CallEvent, Event, EventKind, UserEvent};
use crate::users::{Ban, JoinedCall, JoinedCallWriter, UserStatus};

/// The maximum delay between the inactivity timeout and Stream's end of the session.
const SESSION_END_MARGIN: Duration = Duration::from_secs(10);
/// The timeout of `GetCall`. Stream waits for the response of the webhook meanwhile.
const LOOK_TIMEOUT: Duration = Duration::from_millis(1_500);

/// Applies events to calls, users and quality data.
#[derive(Clone)]
pub struct EventHandler {
    /// The calls.
    pub calls: Arc<dyn CallEventStore>,
    /// The accounts of users.
    pub accounts: Arc<dyn JoinedCallWriter>,
    /// Stream's statistics and the ratings of users.
    pub reports: Arc<dyn ReportStore>,
    /// The Stream client.
    pub stream: StreamClient,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The timeouts of calls.
    pub timeouts: CallTimeouts,
}

/// The reason and the actor of an end at Stream.
struct StreamEnd {
    ended_at: Timestamp,
    reason: SystemEndReason,
    ended_by: EndedBy,
}

impl StreamEnd {
    fn by_stream(ended_at: Timestamp) -> Self {
        Self { ended_at, reason: EndReason::ENDED_AT_STREAM, ended_by: EndedBy::Stream }
    }

    /// The end of a call that no user ended may be that of its limit.
    fn from_event(end: CallEnd, max_duration: Duration) -> Self {
        let CallEnd { at, user, session_started_at, timer_ends_at } = end;
        let is_limit =
            user.is_none() && is_end_by_limit(at, timer_ends_at, session_started_at, max_duration);
        if is_limit {
            Self { ended_at: at, reason: EndReason::TOO_LONG, ended_by: EndedBy::System }
        } else {
            Self { ended_by: EndedBy::from_event(user), ..Self::by_stream(at) }
        }
    }
}

impl EventHandler {
    /// Applies an event. The write is durable when this returns.
    ///
    /// # Errors
    ///
    /// Those of the table. After an error Stream must send the event again.
    pub async fn handle(&self, event: Event) -> Result<(), StoreError> {
        match event.kind {
            EventKind::Call(cid, call_event) => {
                self.handle_call_event(&cid, call_event, event.session.as_ref(), event.at).await
            }
            EventKind::ChannelDeleted(id) => {
                let source = Precondition::Event { at: event.at, call_type: None };
                self.end_call(&id, StreamEnd::by_stream(event.at), source).await
            }
            EventKind::User(id, user_event) => {
                self.handle_user_event(&id, user_event, event.at).await
            }
            EventKind::Other => Ok(()),
        }
    }

    async fn handle_user_event(
        &self,
        id: &UserId,
        event: UserEvent,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let status = match event {
            UserEvent::Deactivated => UserStatus::Deactivated,
            UserEvent::Reactivated => UserStatus::Active,
            UserEvent::Deleted => UserStatus::Deleted,
            UserEvent::Banned(until) => {
                let ban = Ban { until: until.unwrap_or(Ban::FOREVER) };
                return self.accounts.set_ban(id, Some(ban), at).await;
            }
            UserEvent::Unbanned => return self.accounts.set_ban(id, None, at).await,
        };
        self.accounts.set_status(id, status, at).await
    }

    async fn handle_call_event(
        &self,
        cid: &CallCid,
        event: CallEvent,
        session: Option<&SessionId>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (id, now) = (&cid.id, self.clock.now());
        let call_type = Some(&cid.call_type);
        let concerns = |call: &Call| call.cid() == *cid && call.existed_at(at);
        match event {
            CallEvent::Started(started_at) => self.calls.record_start(cid, started_at).await,
            CallEvent::Joined(join) => {
                let change = |call: &mut Call| {
                    record_session(call, session) | call.presence.record_join(&join)
                };
                let Some(call) = self.write_presence(cid, at, change).await? else {
                    return Ok(());
                };
                if call.is_member(&join.user) {
                    let joined = JoinedCall { call_id: id.clone(), joined_at: join.joined_at };
                    self.accounts.set_joined_call(&join.user, &joined).await?;
                }
                self.schedule_limit_check(&call, at).await
            }
            CallEvent::Left(leave) => {
                let change = |call: &mut Call| {
                    record_session(call, session) | call.presence.record_leave(&leave)
                };
                match self.write_presence(cid, at, change).await? {
                    Some(call) if call.members.len() == 2 => self.check(call).await,
                    Some(call) => self.schedule_next_check(&call).await,
                    None => Ok(()),
                }
            }
            CallEvent::ParticipantLeft => {
                let check_delay = self.timeouts.inactivity_timeout + SESSION_END_MARGIN;
                let due_at = at.min(now).plus(check_delay).max(now);
                self.calls.schedule_check(cid, due_at).await
            }
            CallEvent::SessionEnded => self.calls.set_next_check(cid, now).await,
            CallEvent::Rejected(reject) => {
                let reason = RejectReason::from_text(reject.reason.as_deref());
                let change = |call: &mut Call| {
                    call.is_member(&reject.user) && call.rejects.record(&reject.user, reason, at)
                };
                match self.write_presence(cid, at, change).await? {
                    Some(call) => self.check(call).await,
                    None => Ok(()),
                }
            }
            CallEvent::MissedOrRejected => match self.calls.get(id).await?.filter(concerns) {
                Some(call) => self.check(call).await,
                None => Ok(()),
            },
            CallEvent::Ended(end) => {
                let source = Precondition::Event { at: end.at, call_type };
                let max_duration = self.max_duration(id, &end).await?;
                let end = StreamEnd::from_event(end, max_duration);
                self.end_call(id, end, source).await
            }
            CallEvent::Deleted => {
                let source = Precondition::Event { at, call_type };
                self.end_call(id, StreamEnd::by_stream(at), source).await
            }
            CallEvent::StatsReport(report) => {
                let change = |call: &mut Call| call.presence.record_report(&report.session);
                let call = self.write_presence(cid, at, change).await?;
                let Some(call) = call.filter(concerns) else { return Ok(()) };
                let write = self.reports.store_report(id, &report, at);
                write_and_invalidate(&*self.reports, &call, now, write).await?;
                if call.state == CallState::Ended
                    && call.needs_settlement()
                    && call.presence.is_reported()
                {
                    let settle_by = settle_by(&call);
                    self.calls.schedule_settlement(cid, settle_by, now).await?;
                }
                Ok(())
            }
            CallEvent::Rating(rating) => {
                let call = self.calls.get(id).await?;
                let concerns = |call: &Call| call.is_member(&rating.user) && concerns(call);
                let Some(call) = call.filter(concerns) else { return Ok(()) };
                let write = self.reports.store_rating(id, &rating, at);
                write_and_invalidate(&*self.reports, &call, now, write).await
            }
        }
    }

    /// The maximum duration of a call. The call is read only if it may decide the reason of the end.
    async fn max_duration(&self, id: &CallId, end: &CallEnd) -> Result<Duration, StoreError> {
        let configured = self.timeouts.max_duration;
        if end.user.is_some() || end.timer_ends_at.is_some() || end.session_started_at.is_none() {
            return Ok(configured);
        }
        let call = self.calls.get(id).await?;
        Ok(call.map_or(configured, |call| call.max_duration(configured)))
    }

    /// Changes the presence or the rejects of the call of an event. `None` if the event does not
    /// concern a call.
    async fn write_presence(
        &self,
        cid: &CallCid,
        at: Timestamp,
        change: impl Fn(&mut Call) -> bool + Send + Sync,
    ) -> Result<Option<Call>, StoreError> {
        let call = self.calls.get(&cid.id).await?.filter(|call| call.cid() == *cid);
        let Some(call) = call else { return Ok(None) };
        write_presence(&*self.calls, call, at, change).await
    }

    /// Schedules a check when the call reaches its limit, if no earlier check is certain.
    async fn schedule_limit_check(
        &self,
        call: &Call,
        joined_at: Timestamp,
    ) -> Result<(), StoreError> {
        let started_at = call.started_at.unwrap_or(joined_at);
        let limit_at = started_at.plus(call.max_duration(self.timeouts.max_duration));
        let now = self.clock.now();
        if limit_at >= now.plus(POLL_INTERVAL) {
            return Ok(());
        }
        self.calls.schedule_check(&call.cid(), limit_at.max(now)).await
    }

    /// Schedules the next check of an active call by its item alone.
    async fn schedule_next_check(&self, call: &Call) -> Result<(), StoreError> {
        let (cid, now) = (call.cid(), self.clock.now());
        let facts = call.facts(self.timeouts, StreamView::Unknown);
        match decide(&facts, PresenceTimeouts::from(self.timeouts), now) {
            Outcome::Continues { next_check } => self.calls.schedule_check(&cid, next_check).await,
            Outcome::NeedsGetCall | Outcome::Over { .. } => {
                self.calls.set_next_check(&cid, now).await
            }
        }
    }

    /// Ends an active call if it is over. After a failure a sweep checks it.
    async fn check(&self, call: Call) -> Result<(), StoreError> {
        if call.state != CallState::Active {
            return Ok(());
        }
        let cid = call.cid();
        let is_checked = match self.end_if_over(call).await {
            Ok(is_checked) => is_checked,
            Err(error) => {
                error.log("checking a call failed, leaving it to the next sweep", &cid.id);
                false
            }
        };
        if is_checked {
            return Ok(());
        }
        self.calls.set_next_check(&cid, self.clock.now()).await
    }

    /// Looks at the call at Stream and ends it, or schedules its next check. Returns whether the call
    /// needs no further check now.
    async fn end_if_over(&self, call: Call) -> Result<bool, ApiError> {
        let (cid, now) = (call.cid(), self.clock.now());
        let deadline = Deadline::after(now, LOOK_TIMEOUT);
        let look = Look::fetch_once(&self.stream, &*self.clock, &cid, deadline).await?;
        let current = look.record(&*self.calls, call).await?;
        let is_active = |call: &Call| call.state == CallState::Active;
        let Some(call) = current.filter(is_active) else { return Ok(true) };
        // The event with the reason of a reject may still arrive.
        let mut rejected = look.state().into_iter().flat_map(|state| state.rejected_by.keys());
        if rejected.any(|user| call.rejects.first(user).is_none()) {
            return Ok(false);
        }
        match look.decide(&call, self.timeouts) {
            Outcome::Continues { next_check } => {
                self.calls.schedule_check(&cid, next_check).await?;
                Ok(true)
            }
            Outcome::NeedsGetCall => Ok(false),
            Outcome::Over { reason, ended_at, ended_by } => {
                let reason = reason.into();
                let request = EndRequest {
                    at: ended_at,
                    due_at: now,
                    presence_version: Some(call.presence.version()),
                    limit_version: Some(call.limit_version),
                    ..EndRequest::new(&cid.id, &reason, &ended_by, now)
                };
                // An event that is stored meanwhile changes the decision.
                Ok(match self.calls.end(request).await? {
                    EndResult::Ending(_) | EndResult::Missing => true,
                    EndResult::Unchanged(call) => call.state > CallState::Active,
                })
            }
        }
    }

    /// Moves a call that has ended at Stream to `ending`. The sweeper cleans it up.
    async fn end_call(
        &self,
        id: &CallId,
        end: StreamEnd,
        source: Precondition<'_>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let StreamEnd { ended_at, reason, ended_by } = end;
        let reason = reason.into();
        let request = EndRequest {
            at: ended_at.min(now),
            due_at: now,
            precondition: Some(source),
            ..EndRequest::new(id, &reason, &ended_by, now)
        };
        self.calls.end(request).await.map(|_| ())
    }
}

/// Records the session of the call that an event names.
fn record_session(call: &mut Call, session: Option<&SessionId>) -> bool {
    session.is_some_and(|session| call.presence.record_session(session))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::user_id;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(1_767_225_600 + seconds)
    }

    #[test]
    fn end_without_a_user_at_the_limit_is_too_long() {
        let max_duration = Duration::from_mins(1);
        let alice = user_id("alice");
        let by_stream = (EndReason::ENDED_AT_STREAM, EndedBy::Stream);
        let by_limit = (EndReason::TOO_LONG, EndedBy::System);
        let by_alice = (EndReason::ENDED_AT_STREAM, EndedBy::User { user_id: alice.clone() });
        for (user, started, timer, expected) in [
            (None, None, None, &by_stream),
            (None, Some(0), None, &by_stream),
            (None, Some(-60), None, &by_limit),
            (None, None, Some(2), &by_limit),
            (None, None, Some(3), &by_stream),
            // The timer outweighs the start of the session.
            (None, Some(-60), Some(3), &by_stream),
            (Some(alice), None, Some(0), &by_alice),
        ] {
            let end = CallEnd {
                at: at(0),
                user,
                session_started_at: started.map(at),
                timer_ends_at: timer.map(at),
            };
            let StreamEnd { ended_at, reason, ended_by } = StreamEnd::from_event(end, max_duration);
            assert_eq!((reason, ended_by), *expected, "{started:?} {timer:?}");
            assert_eq!(ended_at, at(0));
        }
    }
}
