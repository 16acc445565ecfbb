//! The properties of a life.

use std::time::Duration;

use serde_json::Value;
use shared::calls::presence::Interval;
use shared::calls::timeouts::{SETTLE_DELAY, SETTLE_GIVE_UP};
use shared::calls::{Call, CallState, CallView, EndReason, SettledFrom, Settlement};
use shared::clock::{Timestamp, whole_millis};
use shared::events::EventType;
use shared::history::{HistoryRow, RowState};
use shared::stream::StreamTime;
use shared::stream::event::MAX_CLOCK_SKEW;

use super::life::Life;
use crate::listing::ListingFault;
use crate::state::{ModelState, Stay, StreamCall, overlaps};

/// The delay of a settlement by the cleanup recheck, two sweeps and the backoff.
const MAX_SETTLE_LATENESS: Duration = Duration::from_mins(15);

impl Life<'_> {
    /// The violation of a property after the end of the life, if any.
    pub(super) fn find_violation(&self) -> Option<String> {
        let core = self.sim.lock();
        let model = &core.model;
        if model.violation.is_some() {
            return model.violation.clone();
        }
        let call = model.items.get(&self.ids.call).map(|item| &item.call);
        let Some(call) = call.filter(|call| call.active_at.is_some()) else {
            return self.find_trace_of_inactive_call(model);
        };
        let Some(settlement) = &call.settlement else {
            return Some("the call is not settled".to_owned());
        };
        self.find_wrong_event(call)
            .or_else(|| self.find_wrong_figure(call, settlement, model))
            .or_else(|| self.find_wrong_participants(settlement))
            .or_else(|| find_difference(self.plan.members, model, call))
    }

    /// A call that never was active has no events and no rows.
    fn find_trace_of_inactive_call(&self, model: &ModelState) -> Option<String> {
        let has_event = EVENT_TYPES.iter().any(|kind| self.pipe.count(*kind) > 0);
        let has_trace = has_event || !model.history_rows.is_empty();
        has_trace.then(|| "a call that never was active has events or rows".to_owned())
    }

    fn find_wrong_event(&self, call: &Call) -> Option<String> {
        let expected = [
            (EventType::CallCreated, true),
            (EventType::CallAnswered, call.first_answered_at.is_some()),
            (EventType::CallEnded, true),
            (EventType::CallSettled, true),
            (EventType::CallQuality, self.plan.score.is_some()),
        ];
        expected.into_iter().find_map(|(kind, is_expected)| {
            let count = self.pipe.count(kind);
            let is_wrong = count != usize::from(is_expected);
            is_wrong.then(|| format!("the bus has {} {count} times", kind.as_str()))
        })
    }

    fn find_wrong_figure(
        &self,
        call: &Call,
        settlement: &Settlement,
        model: &ModelState,
    ) -> Option<String> {
        let ended_at = call.ending_at?;
        let Settlement { duration, talk_time, answered_at, settled_from, .. } = settlement;
        if answered_at.is_some() && call.first_answered_at.is_none() {
            return Some("the settlement has an answer that was not announced".to_owned());
        }
        if answered_at.is_some() && call.end_reason.as_ref().is_some_and(is_unanswered) {
            return Some("an answered call ends as unanswered".to_owned());
        }
        let longest = ended_at.since(call.created_at) + MAX_CLOCK_SKEW;
        if talk_time > duration || *duration > longest {
            return Some(format!("{talk_time:?} of talk exceed {duration:?} or {longest:?}"));
        }
        if let Some(latest) = self.latest_settlement(call).filter(|at| settlement.settled_at > *at)
        {
            return Some(format!("settled at {}, and not by {latest}", settlement.settled_at));
        }
        if !self.plan.is_stream_right {
            return None;
        }
        if *settled_from != SettledFrom::Stream {
            return Some("the settlement is not from Stream".to_owned());
        }
        let live = model.stream_calls.get(call.call_id.as_str())?;
        if self.is_too_early(live, settlement, ended_at) {
            return Some("the settlement is before the reports of all sessions".to_owned());
        }
        let expected = true_figures(live, call, ended_at);
        let actual = (*talk_time, *duration, *answered_at);
        if self.has_exact_figures(live, call, settlement) {
            return (actual != expected).then(|| {
                format!("settled {actual:?}, and not {expected:?}: talk, duration and answer")
            });
        }
        // Too little is settled then, and never too much.
        let is_exceeded = *talk_time > expected.0;
        is_exceeded.then(|| format!("{talk_time:?} of talk exceed {expected:?}"))
    }

    /// When the call is settled at the latest, unless a request fails.
    fn latest_settlement(&self, call: &Call) -> Option<Timestamp> {
        let has_lists = !matches!(
            self.plan.listing.fault,
            Some(ListingFault::Failing(_) | ListingFault::Unreadable(_))
        );
        let delay = if has_lists { SETTLE_DELAY } else { SETTLE_GIVE_UP };
        let finished_at = call.ended_at.filter(|_| self.plan.is_without_faults())?;
        Some(finished_at.plus(delay).plus(MAX_SETTLE_LATENESS))
    }

    /// Whether the call was settled before the reports of all sessions, and less than ten minutes
    /// after its end.
    fn is_too_early(
        &self,
        live: &StreamCall,
        settlement: &Settlement,
        ended_at: Timestamp,
    ) -> bool {
        let settled_at = self.stream_time(settlement.settled_at);
        let has_report = |number: usize| {
            let session = live.sessions().find(|(other, _)| *other == number);
            let reported_at = session.and_then(|(_, session)| session.reported_at);
            reported_at.is_some_and(|reported_at| reported_at <= settled_at)
        };
        let mut stays = live.stays.iter().filter(|stay| stay.joined_at < ended_at);
        settlement.settled_at < ended_at.plus(SETTLE_DELAY)
            && stays.any(|stay| !has_report(stay.session))
    }

    /// Whether the settlement has the true figures. If the end of a call is found late, its
    /// participants may still be in ten minutes after it. The list may lack their leaves then, and
    /// a look may have seen a participant last before the end.
    pub(super) fn has_exact_figures(
        &self,
        live: &StreamCall,
        call: &Call,
        settlement: &Settlement,
    ) -> bool {
        let settled_at = self.stream_time(settlement.settled_at);
        let is_listed = |stay: &Stay| {
            let session = live.sessions().find(|(number, _)| *number == stay.session);
            let left_at = stay.left_at.filter(|left_at| *left_at <= settled_at);
            session.zip(left_at).is_none_or(|((_, session), left_at)| {
                self.plan.listing.shows(left_at, session, settled_at)
            })
        };
        let is_inferred =
            |interval: &Interval| interval.left.is_some_and(|left| left.is_inferred());
        self.plan.is_stream_right
            && (live.stays.iter().all(is_listed)
                || !call.presence.intervals().iter().any(is_inferred))
    }

    /// The time by Stream's clock.
    fn stream_time(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_millis(at.as_millis() + self.plan.stream_clock_ahead)
    }

    /// The intervals of the event have the talk time of the settlement.
    fn find_wrong_participants(&self, settlement: &Settlement) -> Option<String> {
        let event = self.pipe.event(EventType::CallSettled)?;
        let event: Value = serde_json::from_str(event).ok()?;
        if event["data"]["participantsTruncated"] == true {
            return None;
        }
        let participants = event["data"]["participants"].as_array()?;
        let mut stays = Vec::new();
        for participant in participants {
            for interval in participant["intervals"].as_array()? {
                let [from, until] = ["joinedAt", "leftAt"].map(|name| parse_time(&interval[name]));
                stays.push((participant["userId"].to_string(), from?, until?));
            }
        }
        let talk_time = sum(&overlaps(&stays));
        let is_wrong = talk_time != settlement.talk_time
            || event["data"]["talkMillis"] != whole_millis(talk_time);
        is_wrong.then(|| format!("the participants of the event have {talk_time:?} of talk"))
    }

    /// A row that differs from the item, while the consumer has no work.
    pub(super) fn find_wrong_row(&self) -> Option<String> {
        let core = self.sim.lock();
        let call = &core.model.items.get(&self.ids.call)?.call;
        call.active_at?;
        if call.settlement.is_some() {
            return find_difference(self.plan.members, &core.model, call);
        }
        let is_over = call.state >= CallState::Ending;
        let state = if is_over { RowState::Ended } else { RowState::Open };
        let expected = CallView::new(call);
        // A webhook after the end changes the figures, which the settlement writes.
        let is_answered = !is_over && call.first_answered_at.is_some();
        let is_same = |row: &HistoryRow| {
            let row = &row.view;
            row.state == call.state
                && row.members == expected.members
                && row.max_duration_seconds == expected.max_duration_seconds
                && (!is_answered || row.started_at.is_some())
        };
        let rows = core.model.history_rows.values();
        let (rows, others): (Vec<_>, Vec<_>) = rows.partition(|row| row.key.state == state);
        let has_others = !others.is_empty() && !self.mapping.has_lost_zombie;
        if has_others || rows.len() != self.plan.members || !rows.iter().all(|row| is_same(row)) {
            return Some(format!("the rows of the {:?} call differ from the item", call.state));
        }
        None
    }
}

/// The types of the events of calls.
const EVENT_TYPES: [EventType; 5] = [
    EventType::CallCreated,
    EventType::CallAnswered,
    EventType::CallEnded,
    EventType::CallSettled,
    EventType::CallQuality,
];

fn is_unanswered(reason: &EndReason) -> bool {
    [EndReason::NOT_ANSWERED, EndReason::NOT_JOINED]
        .iter()
        .any(|unanswered| unanswered.as_str() == reason.as_str())
}

/// The talk time, the duration and the answer by the true stays.
fn true_figures(
    live: &StreamCall,
    call: &Call,
    ended_at: Timestamp,
) -> (Duration, Duration, Option<Timestamp>) {
    let periods = live.true_overlaps(ended_at);
    let first = periods.first().map(|[from, _]| *from);
    let duration = first.zip(periods.last()).map(|(first, [_, until])| until.since(first));
    let answered_at = first.map(|at| at.max(call.created_at));
    (sum(&periods), duration.unwrap_or_default(), answered_at)
}

fn sum(periods: &[[Timestamp; 2]]) -> Duration {
    periods.iter().map(|[from, until]| until.since(*from)).sum()
}

fn parse_time(text: &Value) -> Option<Timestamp> {
    serde_json::from_value::<StreamTime>(text.clone()).ok().map(|time| time.0)
}

/// A difference between the rows and a settled call: each member has one row, its view.
fn find_difference(members: usize, model: &ModelState, call: &Call) -> Option<String> {
    let view = CallView::new(call);
    let rows = &model.history_rows;
    let is_right = |row: &HistoryRow| row.key.state == RowState::Ended && row.view == view;
    if rows.len() == members && rows.values().all(is_right) {
        return None;
    }
    let rows: Vec<_> = rows.values().map(|row| (&row.user, &row.key.state, &row.view)).collect();
    Some(format!("the rows differ from the item {view:?}: {rows:?}"))
}
