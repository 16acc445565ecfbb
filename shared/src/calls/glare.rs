//! Glare: two members call each other at the same time, or one of them taps twice. A set of
//! members has one open call, unless somebody asks for another one.
//!
//! The open call is marked in an item of the set's own. The mark is a pointer and no lock: whoever
//! finds it looks at the call itself, so a mark that was left behind by a call that is over, or by
//! an attempt that died, is passed over.

use std::time::Duration;

use crate::calls::create::{Entry, not_active_yet};
use crate::calls::limits::Limits;
use crate::calls::store::LEASE;
use crate::calls::sweep::{Look, look};
use crate::calls::{
    Call, CallState, Calls, Created, EndReason, EndRequest, Ending, Mark, Marked, MemberSet,
    NewCall, Seen, TakenOver,
};
use crate::clock::{Deadline, Timestamp};
use crate::error::{ApiError, Code};
use crate::ids::{CallId, UserId};
use crate::stream::StreamError;
use crate::stream::ops::GetCall;

/// A call that is being made is waited for less than this: three waits, each twice the one before.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the first wait is.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// What another mark than one's own leads to.
pub(super) enum Met {
    /// A call that is open, at Stream too.
    Open(Call),
    /// A call that is being made, and is not done after a while.
    Coming(Option<Call>),
}

/// What has become of a marked call.
enum Found {
    Open(Call),
    Coming(Option<Call>),
    /// It is over, or never came to be.
    Over,
}

impl Calls {
    /// Finds another call marked than the new one: which one is it to be? `None` is the new one,
    /// which is marked now.
    pub(super) async fn meet(
        &self,
        set: &MemberSet,
        new: &NewCall,
        mut mark: Mark,
        limits: Limits,
        deadline: Deadline,
    ) -> Result<Option<Met>, ApiError> {
        let mut waits = Waits::new(new.at, deadline);
        loop {
            let now = self.clock.now();
            match self.look_through(set, &mark, limits, now, deadline).await? {
                Found::Open(call) => return Ok(Some(Met::Open(call))),
                Found::Over => match self.store.mark(set, new, now, Some(&mark)).await? {
                    Marked::Ours { .. } => return Ok(None),
                    Marked::Theirs(other) => mark = other,
                },
                Found::Coming(call) => match waits.next(now) {
                    Some(wait) => self.clock.sleep(wait).await,
                    None => return Ok(Some(Met::Coming(call))),
                },
            }
        }
    }

    /// Goes on with the call that was met, now that one's own is given up.
    pub(super) async fn join_in(&self, new: NewCall, met: Met) -> Result<Entry, ApiError> {
        match met {
            Met::Open(call) => Ok(Entry::Done(Created { call, created: false })),
            Met::Coming(found) => self.help(new, found).await,
        }
    }

    /// Waits for a call that the other side is making under the very same id.
    pub(super) async fn wait_for(
        &self,
        mut call: Call,
        since: Timestamp,
        deadline: Deadline,
    ) -> Result<Entry, ApiError> {
        let mut waits = Waits::new(since, deadline);
        loop {
            match call.state {
                CallState::Active => return Ok(Entry::Done(Created { call, created: false })),
                CallState::Ending | CallState::Ended => {
                    return Err(ApiError::plain(Code::CallEnded));
                }
                CallState::Creating => {}
            }
            let wait = waits.next(self.clock.now()).ok_or_else(not_active_yet)?;
            self.clock.sleep(wait).await;
            call = self.store.get(&call.call_id).await?.ok_or_else(not_active_yet)?;
        }
    }

    /// What has become of the marked call.
    async fn look_through(
        &self,
        set: &MemberSet,
        mark: &Mark,
        limits: Limits,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Found, ApiError> {
        let Some(call) = self.store.get(&mark.call).await? else {
            // It is written at the same time as its mark: a little patience.
            let young = now.since(mark.at) < LEASE;
            return Ok(if young { Found::Coming(None) } else { Found::Over });
        };
        if MemberSet::of(&call.members) != *set {
            return Ok(Found::Over);
        }
        match call.state {
            CallState::Creating if call.lease_until.is_some_and(|until| until > now) => {
                Ok(Found::Coming(Some(call)))
            }
            // Nobody has it in hand any more, unless somebody takes it over at this moment.
            CallState::Creating => {
                self.end_if_same(&call, EndReason::NOT_CREATED.into(), now, now).await
            }
            CallState::Active if call.parallel => Ok(Found::Over),
            CallState::Active => match self.look_at_stream(&call, limits, now, deadline).await? {
                Look::Again(_) => Ok(Found::Open(call)),
                Look::Over { reason, since } => {
                    self.end_if_same(&call, reason.into(), since, now).await
                }
            },
            CallState::Ending | CallState::Ended => Ok(Found::Over),
        }
    }

    /// Looks at a call that the table has open as the sweeper would, had it come by just now:
    /// nobody is given a call that was declined, or left.
    async fn look_at_stream(
        &self,
        call: &Call,
        limits: Limits,
        now: Timestamp,
        deadline: Deadline,
    ) -> Result<Look, ApiError> {
        let live = match self.stream.send(&GetCall { id: &call.call_id }, deadline).await {
            Ok(found) => Some(found.call),
            Err(StreamError::NotFound(_)) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(look(call, live.as_ref(), limits.bounds(), now))
    }

    /// Ends a call that is over, or gives it up, unless another attempt has it in hand by now, and
    /// leaves it to the sweeper to clear it away.
    async fn end_if_same(
        &self,
        call: &Call,
        reason: EndReason,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Found, ApiError> {
        let request = EndRequest {
            at: since,
            due: now,
            unless_moved: Some(Seen::Attempt(&call.attempt)),
            ..EndRequest::now(&call.call_id, &reason, now)
        };
        match self.store.end(request).await? {
            Ending::Was(call) if call.state <= CallState::Active => Ok(Found::Coming(Some(call))),
            _ => Ok(Found::Over),
        }
    }

    /// Makes way for the marked call with one that an earlier attempt has begun.
    pub(super) async fn give_up(&self, call: &Call) {
        let (reason, now) = (EndReason::NOT_CREATED.into(), self.clock.now());
        if let Err(error) = self.end_if_same(call, reason, now, now).await {
            error.note("a call that was given up stays open until its lease ends", &call.call_id);
        }
    }

    /// Takes the mark off a call that is over, whoever has set it, or off one that is withdrawn, if
    /// this attempt has. Left behind it would only be looked through.
    pub(super) async fn unmark(&self, members: &[UserId], id: &CallId, attempt: Option<&str>) {
        if let Err(error) = self.store.unmark(&MemberSet::of(members), id, attempt).await {
            ApiError::from(error).note("a call that is over is still marked", id);
        }
    }

    /// Takes a call over that the very same request is making, and does not get done.
    async fn help(&self, new: NewCall, found: Option<Call>) -> Result<Entry, ApiError> {
        let same = |call: &Call| call.owner == new.owner && call.fingerprint == new.fingerprint;
        let Some(call) = found.filter(same) else { return Err(not_active_yet()) };
        let theirs = NewCall { id: call.call_id, at: self.clock.now(), ..new };
        match self.store.take_over(&theirs).await? {
            TakenOver::Taken => Ok(Entry::InHand(theirs)),
            TakenOver::Moved(call) if call.state == CallState::Active => {
                Ok(Entry::Done(Created { call, created: false }))
            }
            TakenOver::Moved(_) | TakenOver::Gone => Err(not_active_yet()),
        }
    }
}

/// The waits for a call that is being made.
struct Waits {
    until: Timestamp,
    next: Duration,
}

impl Waits {
    fn new(since: Timestamp, deadline: Deadline) -> Self {
        Self { until: since.plus(PATIENCE.min(deadline.remaining(since))), next: FIRST_WAIT }
    }

    /// How long to wait now; `None` where patience is at an end.
    fn next(&mut self, now: Timestamp) -> Option<Duration> {
        let wait = self.next;
        self.next = wait * 2;
        (now.plus(wait) < self.until).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends_before_two_seconds_and_before_the_deadline() {
        let start = Timestamp::from_secs(1_767_225_600);
        let all = |budget| {
            let mut waits = Waits::new(start, Deadline::after(start, budget));
            let mut now = start;
            let mut found = Vec::new();
            while let Some(wait) = waits.next(now) {
                now = now.plus(wait);
                found.push(wait.as_millis());
            }
            found
        };
        assert_eq!(all(Duration::from_secs(10)), [250, 500, 1_000]);
        assert_eq!(all(Duration::from_secs(1)), [250, 500]);
        assert_eq!(all(Duration::ZERO), []);
    }
}
