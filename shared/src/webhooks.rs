//! Handles Stream's webhook events.
//!
//! An event is a hint (`docs/adr/0008-webhooks-are-hints.md`): it may be lost, late, repeated or
//! out of order. So each event is one conditional write with the same effect in any order: the
//! earliest start, an earlier check, a final end. The end of a session does not end a call, since a
//! later session may have begun. The sweeper decides. An event from before the item that it names
//! is ignored: it concerns an earlier call or user with the same id.

use std::sync::Arc;
use std::time::Duration;

use crate::calls::outcome::EndedBy;
use crate::calls::{Call, CallStore, EndReason, EndRequest, Precondition};
use crate::clock::{Clock, Timestamp};
use crate::ids::{CallCid, CallId, UserId};
use crate::quality::{QualityStore, write_and_invalidate};
use crate::store::StoreError;
use crate::stream::event::{CallEvent, Event, EventKind, UserEvent};
use crate::users::{AccountStore, Ban, UserStatus};

/// The maximum delay between the inactivity timeout and Stream's end of the session.
const SESSION_END_MARGIN: Duration = Duration::from_secs(10);

/// Applies events to calls, users and quality data.
#[derive(Clone)]
pub struct EventHandler {
    /// The calls.
    pub call_store: Arc<dyn CallStore>,
    /// The accounts of users.
    pub account_store: Arc<dyn AccountStore>,
    /// The quality data of calls.
    pub quality_store: Arc<dyn QualityStore>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// How long Stream keeps a session open without participants.
    pub inactivity_timeout: Duration,
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
                self.handle_call_event(&cid, call_event, event.at).await
            }
            EventKind::ChannelDeleted(id) => {
                let source = Precondition::Event { at: event.at, call_type: None };
                self.end_call(&id, event.at, source).await
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
                return self.account_store.set_ban(id, Some(ban), at).await;
            }
            UserEvent::Unbanned => return self.account_store.set_ban(id, None, at).await,
        };
        self.account_store.set_status(id, status, at).await
    }

    async fn handle_call_event(
        &self,
        cid: &CallCid,
        event: CallEvent,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let (id, now) = (&cid.id, self.clock.now());
        let call_type = Some(&cid.call_type);
        let concerns = |call: &Call| call.cid() == *cid && call.existed_at(at);
        match event {
            CallEvent::Started(started_at) => self.call_store.record_start(cid, started_at).await,
            CallEvent::Joined(join) => {
                self.call_store.record_start(cid, join.joined_at.min(at)).await
            }
            CallEvent::Left(_) | CallEvent::ParticipantLeft => {
                let check_delay = self.inactivity_timeout + SESSION_END_MARGIN;
                let due_at = at.min(now).plus(check_delay).max(now);
                self.call_store.schedule_check(cid, due_at).await
            }
            CallEvent::SessionEnded | CallEvent::Rejected(_) | CallEvent::MissedOrRejected => {
                self.call_store.schedule_check_now(cid, now).await
            }
            CallEvent::Ended(end) => {
                self.end_call(id, end.at, Precondition::Event { at: end.at, call_type }).await
            }
            CallEvent::Deleted => {
                self.end_call(id, at, Precondition::Event { at, call_type }).await
            }
            CallEvent::StatsReport(report) => {
                let call = self.call_store.get(id).await?;
                let Some(call) = call.filter(concerns) else { return Ok(()) };
                let write = self.quality_store.store_report(id, &report, at);
                write_and_invalidate(&*self.quality_store, &call, now, write).await
            }
            CallEvent::Rating(rating) => {
                let call = self.call_store.get(id).await?;
                let concerns = |call: &Call| call.is_member(&rating.user) && concerns(call);
                let Some(call) = call.filter(concerns) else { return Ok(()) };
                let write = self.quality_store.store_rating(id, &rating, at);
                write_and_invalidate(&*self.quality_store, &call, now, write).await
            }
        }
    }

    /// Moves a call that has ended at Stream to `ending`. The sweeper cleans it up.
    async fn end_call(
        &self,
        id: &CallId,
        ended_at: Timestamp,
        source: Precondition<'_>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let reason = EndReason::ENDED_AT_STREAM.into();
        let request = EndRequest {
            at: ended_at.min(now),
            due_at: now,
            precondition: Some(source),
            ..EndRequest::new(id, &reason, &EndedBy::Stream, now)
        };
        self.call_store.end(request).await.map(|_| ())
    }
}
