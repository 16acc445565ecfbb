//! The committed changes of the call items, as the table's change stream has them, and their events.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::mem;
use std::sync::LazyLock;

use shared::calls::{Call, CallState};
use shared::config::Env;
use shared::events::{EventSource, EventType, derive};
use shared::ids::CallId;
use shared::table_stream::Change;

use crate::state::CallItem;

/// The source of all events.
static SOURCE: LazyLock<Option<EventSource>> =
    LazyLock::new(|| EventSource::from_env(&Env::default()).ok());

/// The changes of the call items so far.
#[derive(Default)]
pub(crate) struct ChangeLog {
    /// The call items after the last change.
    images: BTreeMap<CallId, Call>,
    /// The events of all changes.
    events: BTreeSet<(CallId, EventType)>,
    /// The changes in the order of their writes, if a consumer reads them.
    pub(crate) journal: Option<Vec<Change>>,
}

/// The items determine everything else.
impl Hash for ChangeLog {
    fn hash<H: Hasher>(&self, hash: &mut H) {
        self.events.hash(hash);
    }
}

impl ChangeLog {
    /// Records the changes of the items since the last call. Returns a violation, if any.
    pub(crate) fn record(&mut self, items: &BTreeMap<CallId, CallItem>) -> Option<String> {
        self.images.retain(|id, _| items.contains_key(id));
        let mut violation = None;
        for (id, CallItem { call, .. }) in items {
            match self.images.get_mut(id) {
                Some(image) if image == call => {}
                Some(image) => {
                    let old = mem::replace(image, call.clone());
                    violation = violation.or_else(|| find_changed_fact(&old, call));
                    let is_repeated = call.reemits > old.reemits;
                    let change = Change::Call(Box::new([old, call.clone()]));
                    violation = violation.or(self.record_events(&change, call, is_repeated));
                    if let Some(journal) = &mut self.journal {
                        journal.push(change);
                    }
                }
                // A new item has no events.
                None => {
                    self.images.insert(id.clone(), call.clone());
                }
            }
        }
        violation
    }

    /// Each event has one change, unless it is repeated. An item has the events that its attributes
    /// show.
    fn record_events(&mut self, change: &Change, call: &Call, is_repeated: bool) -> Option<String> {
        let id = &call.call_id;
        for event in SOURCE.as_ref().map(|source| derive(change, source)).unwrap_or_default() {
            let kind = event.kind();
            if !self.events.insert((id.clone(), kind)) && !is_repeated {
                return Some(format!("{id} has two changes with the event {}", kind.as_str()));
            }
        }
        expected_events(call).into_iter().find_map(|(kind, is_expected)| {
            let is_made = self.events.contains(&(id.clone(), kind));
            let verb = if is_expected { "lacks" } else { "must not have" };
            (is_made != is_expected).then(|| format!("{id} {verb} the event {}", kind.as_str()))
        })
    }
}

/// The events that a call has had by its attributes. A call that never was active has none.
fn expected_events(call: &Call) -> [(EventType, bool); 5] {
    let was_active = call.active_at.is_some();
    [
        (EventType::CallCreated, was_active),
        (EventType::CallAnswered, was_active && call.first_answered_at.is_some()),
        (EventType::CallEnded, was_active && call.state >= CallState::Ending),
        (EventType::CallSettled, call.settlement.is_some()),
        (EventType::CallQuality, call.quality.is_some()),
    ]
}

/// A change of a fact that an event has announced. A settled call may be cleaned up and get its
/// quality later, and its events may be repeated. Nothing else of it changes.
fn find_changed_fact(old: &Call, new: &Call) -> Option<String> {
    if old.first_answered_at.is_some() && new.first_answered_at != old.first_answered_at {
        return Some(format!("{} has another first answer than before", old.call_id));
    }
    old.settlement.as_ref()?;
    let quality = old.quality.clone().or_else(|| new.quality.clone());
    let mut expected = Call { quality, reemits: new.reemits, ..old.clone() };
    if old.state == CallState::Ending && new.state == CallState::Ended {
        (expected.state, expected.ended_at) = (new.state, new.ended_at);
    }
    (*new != expected).then(|| format!("{} changes after its settlement", old.call_id))
}
