//! The events of a change.

use crate::calls::{Call, CallState};
use crate::events::data::UserDeleted;
use crate::events::data::{Answered, CallRef, Created, Ended, EventData, FinalFigures, Quality};
use crate::events::{Event, EventSource, EventType};
use crate::table_stream::{Change, ProfileImage};
use crate::users::UserStatus;

/// The events of a change: at most five, in the order of a call's life. The same change makes the
/// same events.
///
/// A call that never was active has no events. Each event of a call is made by the one change that
/// first shows it. A change of `reemits` makes the events of a settled call again.
#[must_use]
pub fn derive(change: &Change, source: &EventSource) -> Vec<Event> {
    match change {
        Change::Call(images) => {
            let [old, new] = &**images;
            call_events(old, new, source)
        }
        Change::Profile([old, new]) => user_deleted(old, new, source).into_iter().collect(),
        Change::Other => Vec::new(),
    }
}

fn call_events(old: &Call, new: &Call, source: &EventSource) -> Vec<Event> {
    if new.active_at.is_none() {
        return Vec::new();
    }
    let again = new.reemits > old.reemits && new.settlement.is_some();
    let is_new = |is_present: fn(&Call) -> bool| is_present(new) && (again || !is_present(old));
    // Participants can join before the creation is stored.
    let is_answered = |call: &Call| call.active_at.is_some() && call.first_answered_at.is_some();
    let is_over = |call: &Call| call.state >= CallState::Ending;
    [
        is_new(|call| call.active_at.is_some()).then(|| created(new, source)),
        is_new(is_answered).then(|| answered(new, source)),
        is_new(is_over).then(|| ended(new, source)),
        is_new(|call| call.settlement.is_some()).then(|| settled(new, source)),
        is_new(|call| call.quality.is_some()).then(|| quality(new, source)),
    ]
    .into_iter()
    .flatten()
    .flatten()
    .collect()
}

fn created(call: &Call, source: &EventSource) -> Option<Event> {
    let data = Created { call: CallRef::new(call), created_at: call.created_at };
    let (kind, data) = (EventType::CallCreated, EventData::Created(data));
    Some(Event::new(call.call_id.as_str(), kind, source, call.active_at?, data))
}

fn answered(call: &Call, source: &EventSource) -> Option<Event> {
    let answered_at = call.first_answered_at?;
    let data = EventData::Answered(Answered { call: CallRef::new(call), answered_at });
    Some(Event::new(call.call_id.as_str(), EventType::CallAnswered, source, answered_at, data))
}

fn ended(call: &Call, source: &EventSource) -> Option<Event> {
    let data = Ended::new(call)?;
    let (kind, time) = (EventType::CallEnded, data.ended_at());
    Some(Event::new(call.call_id.as_str(), kind, source, time, EventData::Ended(data)))
}

fn settled(call: &Call, source: &EventSource) -> Option<Event> {
    let settlement = call.settlement.as_ref()?;
    let data = EventData::Settled(FinalFigures::new(call, settlement)?);
    let (kind, time) = (EventType::CallSettled, settlement.settled_at);
    Some(Event::new(call.call_id.as_str(), kind, source, time, data))
}

/// The score of a call that the sweeper has closed, which is never before its settlement.
fn quality(call: &Call, source: &EventSource) -> Option<Event> {
    let (score, settlement) = (call.quality.as_ref()?, call.settlement.as_ref()?);
    let data = Quality {
        call: CallRef::new(call),
        mos: score.mos,
        label: score.label,
        data_complete: score.data_complete,
        model: score.model.name(),
    };
    let (kind, time) = (EventType::CallQuality, settlement.settled_at);
    Some(Event::new(call.call_id.as_str(), kind, source, time, EventData::Quality(data)))
}

fn user_deleted(old: &ProfileImage, new: &ProfileImage, source: &EventSource) -> Option<Event> {
    let is_deletion = old.status != UserStatus::Deleted && new.status == UserStatus::Deleted;
    let deleted_at = new.status_at.filter(|_| is_deletion)?;
    let data = EventData::UserDeleted(UserDeleted { user_id: new.user_id.clone(), deleted_at });
    Some(Event::new(new.user_id.as_str(), EventType::UserDeleted, source, deleted_at, data))
}
