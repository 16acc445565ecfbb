//! How Stream lists the sessions of a call and their participants. The list is late, has pages, and
//! its rows have several forms.

use std::time::Duration;

use serde_json::{Value, json};
use shared::clock::Timestamp;

use crate::state::{ModelState, Session, Stay, StreamCall};
use crate::stream::{Response, not_found};

/// The rules of the lists.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// The time until the list shows a join or a leave. A session with a report has no delay.
    pub(crate) row_delay: Duration,
    /// The time until the list shows a session.
    pub(crate) session_delay: Duration,
    /// The number of entries of a page.
    pub(crate) page_size: usize,
    /// Whether each page repeats the last entry of the page before.
    pub(crate) repeats: Repeats,
    /// The forms of the rows, in turn.
    pub(crate) forms: Vec<RowForm>,
    /// The deviation from the truth, if any.
    pub(crate) fault: Option<ListingFault>,
}

impl Default for Listing {
    fn default() -> Self {
        Self {
            row_delay: Duration::ZERO,
            session_delay: Duration::ZERO,
            page_size: 100,
            repeats: Repeats::None,
            forms: Vec::new(),
            fault: None,
        }
    }
}

/// The entries that a page repeats from the page before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeats {
    None,
    /// The last one.
    Last,
    /// The last one, which the page before has without the leave.
    FirstWithoutLeave,
}

/// The form of a row. All forms have the same meaning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RowForm {
    /// Both times.
    #[default]
    Times,
    /// Both times, and the duration in whole seconds.
    WithWholeSeconds,
    /// Both times in nanoseconds, and the exact duration.
    InNanoseconds,
    /// The join and the exact duration.
    WithoutLeave,
    /// The leave and the exact duration.
    WithoutJoin,
}

/// A deviation of the lists from the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListingFault {
    /// Every second row is absent.
    RowsAbsent,
    /// No row has a time. Every second one has a duration.
    TimesAbsent,
    /// Every second row has other times.
    TimesWrong,
    /// No session is listed.
    SessionsAbsent,
    /// The list of sessions is not found.
    SessionsNotFound,
    /// The lists of participants are not found.
    RowsNotFound,
    /// Both lists fail until this time.
    Failing(Timestamp),
    /// Both lists are unreadable until this time.
    Unreadable(Timestamp),
}

impl Listing {
    /// Whether the list shows a join or a leave of a session at the time `now`.
    pub(crate) fn shows(&self, at: Timestamp, session: &Session, now: Timestamp) -> bool {
        let has_report = session.reported_at.is_some_and(|reported_at| reported_at <= now);
        has_report || at.plus(self.row_delay) <= now
    }

    fn has_fault(&self, fault: ListingFault) -> bool {
        self.fault == Some(fault)
    }

    /// The response if the lists fail now.
    fn failure(&self, now: Timestamp) -> Option<Response> {
        match self.fault? {
            ListingFault::Failing(until) if now < until => Some(failed()),
            ListingFault::Unreadable(until) if now < until => Some((200, json!({"list": []}))),
            _ => None,
        }
    }

    /// A page of these entries, and the cursor of the next one.
    fn page(&self, mut entries: Vec<Value>, cursor: Option<&str>) -> (Vec<Value>, Option<String>) {
        let start = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0_usize);
        let end = start.saturating_add(self.page_size).min(entries.len());
        let next = (end < entries.len()).then(|| end.to_string());
        if next.is_some()
            && self.repeats == Repeats::FirstWithoutLeave
            && let Some(last) = entries.get_mut(end - 1)
            && !last["joined_at"].is_null()
        {
            last["left_at"] = Value::Null;
            last["duration_in_seconds"] = Value::Null;
        }
        let first = start.saturating_sub(usize::from(self.repeats != Repeats::None));
        (entries.into_iter().take(end).skip(first).collect(), next)
    }
}

/// The id of a session at Stream.
pub(crate) fn session_id(number: usize) -> String {
    format!("session-{number}")
}

/// The response of a request that fails. The client does not retry it.
pub(crate) fn failed() -> Response {
    (503, json!({"code": -1, "message": "failed", "unrecoverable": true}))
}

/// Lists the sessions of a call in which participants have been.
pub(crate) fn query_sessions(id: &str, cursor: Option<&str>, model: &ModelState) -> Response {
    let listing = &model.listing;
    if let Some(failure) = listing.failure(model.now) {
        return failure;
    }
    if listing.has_fault(ListingFault::SessionsNotFound) {
        return not_found();
    }
    let now = model.stream_now();
    let is_listed = |session: &Session| {
        session
            .started_at
            .is_some_and(|at| session.reported_at.is_some() || has_passed(at, listing, now))
    };
    let sessions = model.stream_calls.get(id).into_iter().flat_map(StreamCall::sessions);
    let entries = sessions
        .filter(|(_, session)| is_listed(session))
        .filter(|_| !listing.has_fault(ListingFault::SessionsAbsent))
        .map(|(number, _)| json!({"call_session_id": session_id(number), "call_id": id}));
    let (page, next) = listing.page(entries.collect(), cursor);
    (201, json!({"call_stats": page, "next": next}))
}

fn has_passed(started_at: Timestamp, listing: &Listing, now: Timestamp) -> bool {
    started_at.plus(listing.session_delay) <= now
}

/// Lists the participants of a session.
pub(crate) fn query_rows(
    id: &str,
    session: &str,
    cursor: Option<&str>,
    model: &ModelState,
) -> Response {
    let (listing, now) = (&model.listing, model.stream_now());
    if let Some(failure) = listing.failure(model.now) {
        return failure;
    }
    let Some(live) = model.stream_calls.get(id) else { return not_found() };
    let found = live.sessions().find(|(number, _)| session_id(*number) == session);
    let Some((number, session)) = found.filter(|_| !listing.has_fault(ListingFault::RowsNotFound))
    else {
        return not_found();
    };
    let is_shown = |at: &Timestamp| listing.shows(*at, session, now);
    let stays = live.stays.iter().filter(|stay| stay.session == number);
    let entries = stays
        .filter(|stay| is_shown(&stay.joined_at))
        .enumerate()
        .filter_map(|(n, stay)| row(n, stay, stay.left_at.filter(is_shown), listing));
    let (page, next) = listing.page(entries.collect(), cursor);
    (200, json!({"participants_sessions": page, "next": next}))
}

/// The row of a stay. `left_at` is the leave as far as the list shows it.
fn row(n: usize, stay: &Stay, left_at: Option<Timestamp>, listing: &Listing) -> Option<Value> {
    let is_second = n % 2 == 1;
    let mut row = json!({
        "user_id": stay.user,
        "user_session_id": stay.device.session_of(&stay.user),
    });
    let joined_at = stay.joined_at;
    let length = left_at.map(|left_at| left_at.since(joined_at));
    match listing.fault {
        Some(ListingFault::RowsAbsent) if is_second => return None,
        Some(ListingFault::TimesAbsent) => {
            row["duration_in_seconds"] = json!(length.filter(|_| is_second).map(in_seconds));
            return Some(row);
        }
        Some(ListingFault::TimesWrong) if is_second => {
            let hour = Duration::from_hours(1);
            row["joined_at"] = json!(joined_at.plus(Duration::from_secs(7)).to_string());
            row["left_at"] = json!(left_at.map(|at| at.plus(hour).to_string()));
            row["duration_in_seconds"] = json!(length.map(|length| in_seconds(length * 3)));
            return Some(row);
        }
        _ => {}
    }
    let forms = &listing.forms;
    let form = if forms.is_empty() { RowForm::default() } else { forms[n % forms.len()] };
    let Some((left_at, length)) = left_at.zip(length) else {
        row["joined_at"] = json!(joined_at.to_string());
        // A duration that is not computed yet.
        row["duration_in_seconds"] = json!((form == RowForm::WithWholeSeconds).then_some(0));
        return Some(row);
    };
    // Without the leave, a duration of zero is one that is not computed yet.
    let form = if length.is_zero() { RowForm::Times } else { form };
    if form != RowForm::WithoutJoin {
        row["joined_at"] = time(joined_at, form);
    }
    if form != RowForm::WithoutLeave {
        row["left_at"] = time(left_at, form);
    }
    match form {
        RowForm::Times => {}
        RowForm::WithWholeSeconds => row["duration_in_seconds"] = json!(length.as_secs()),
        RowForm::InNanoseconds | RowForm::WithoutLeave | RowForm::WithoutJoin => {
            row["duration_in_seconds"] = json!(in_seconds(length));
        }
    }
    Some(row)
}

fn in_seconds(length: Duration) -> f64 {
    length.as_secs_f64()
}

fn time(at: Timestamp, form: RowForm) -> Value {
    if form == RowForm::InNanoseconds {
        json!(at.as_millis() * 1_000_000 + 987_654)
    } else {
        json!(at.to_string())
    }
}
