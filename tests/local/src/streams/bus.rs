//! An EventBridge bus with an archive, and rules that send events to queues.
//!
//! - `PutEvents` takes up to 10 entries. Each entry is accepted or rejected on its own.
//!   <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html>
//! - A replay puts archived events on the bus again. They have a `replay-name`, and are not
//!   archived again.
//!   <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-archive.html>

use std::sync::Mutex;
use std::time::SystemTime;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::filter::Pattern;
use crate::clock::StackClock;
use crate::lambda::ids::ACCOUNT_ID;
use crate::options::REGION;
use crate::sync::lock;
use crate::template::EventBusDefinition;

/// The maximum number of entries in a request.
const MAX_ENTRIES: usize = 10;

/// The maximum size of an entry.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html>
const MAX_ENTRY_BYTES: usize = 256 * 1024;

/// The size of a time in an entry, by AWS's formula.
const TIME_BYTES: usize = 14;

/// An entry of a `PutEvents` request.
pub(super) struct Entry {
    pub(super) source: String,
    pub(super) detail_type: String,
    /// The time of the event. By default, the time of the request.
    pub(super) time: Option<Timestamp>,
    pub(super) detail: Value,
}

/// The error of a request, for which no entry is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PutEventsError {
    NoEntries,
    TooManyEntries,
    EntryTooLarge,
}

/// The error of one entry, with AWS's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryError {
    /// Injected by a test.
    InternalFailure,
    InvalidArgument,
    MalformedDetail,
    /// Only AWS's services may use a source that begins with `aws.`.
    NotAuthorizedForSource,
}

/// The id of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId(usize);

pub(super) struct Bus {
    definition: EventBusDefinition,
    clock: StackClock,
    state: Mutex<BusState>,
}

#[derive(Default)]
struct BusState {
    /// The events in the order of arrival, including replayed ones.
    events: Vec<Value>,
    archive: Vec<ArchivedEvent>,
    rules: Vec<Rule>,
    replay_count: u32,
}

#[derive(Clone)]
struct ArchivedEvent {
    event: Value,
    /// The time of the event, in seconds since 1970.
    second: i64,
    archived_at: SystemTime,
}

struct Rule {
    pattern: Pattern,
    queue: Vec<Value>,
}

impl Bus {
    pub(super) fn new(definition: EventBusDefinition, clock: StackClock) -> Self {
        Self { definition, clock, state: Mutex::default() }
    }

    /// Puts entries on the bus. Returns the id of each event, or its error. The entry at the index
    /// `failing_entry` fails.
    pub(super) fn put_events(
        &self,
        entries: &[Entry],
        failing_entry: Option<usize>,
    ) -> Result<Vec<Result<String, EntryError>>, PutEventsError> {
        if entries.is_empty() {
            return Err(PutEventsError::NoEntries);
        }
        if entries.len() > MAX_ENTRIES {
            return Err(PutEventsError::TooManyEntries);
        }
        if entries.iter().any(|entry| entry.size() >= MAX_ENTRY_BYTES) {
            return Err(PutEventsError::EntryTooLarge);
        }
        let put = |(index, entry): (usize, &Entry)| {
            if failing_entry == Some(index) {
                return Err(EntryError::InternalFailure);
            }
            entry.validate()?;
            Ok(self.put_event(entry))
        };
        Ok(entries.iter().enumerate().map(put).collect())
    }

    fn put_event(&self, entry: &Entry) -> String {
        let now = self.clock.now();
        let time = entry.time.unwrap_or_else(|| Timestamp::try_from(now).unwrap_or(Timestamp::MAX));
        let id = Uuid::new_v4().to_string();
        let event = json!({
            "version": "0",
            "id": id,
            "detail-type": entry.detail_type,
            "source": entry.source,
            "account": ACCOUNT_ID,
            // The bus drops the fraction of a second.
            "time": format!("{time:.0}"),
            "region": REGION,
            "resources": [],
            "detail": entry.detail,
        });
        let mut state = lock(&self.state);
        if self.definition.has_archive {
            let archived =
                ArchivedEvent { event: event.clone(), second: time.as_second(), archived_at: now };
            state.archive.push(archived);
        }
        state.publish(event);
        id
    }

    pub(super) fn events(&self) -> Vec<Value> {
        lock(&self.state).events.clone()
    }

    pub(super) fn add_rule(&self, pattern: Pattern) -> RuleId {
        let mut state = lock(&self.state);
        state.rules.push(Rule { pattern, queue: Vec::new() });
        RuleId(state.rules.len() - 1)
    }

    /// The events that a rule has sent to its queue.
    pub(super) fn rule_queue(&self, rule: RuleId) -> Vec<Value> {
        let state = lock(&self.state);
        state.rules.get(rule.0).map(|rule| rule.queue.clone()).unwrap_or_default()
    }

    /// Puts the archived events of this time range on the bus again. Returns their number.
    ///
    /// A replay processes one minute of events after the other. AWS guarantees no order within a
    /// minute, so this order is reversed here.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-replay-archived-event.html>
    pub(super) fn replay(&self, from: SystemTime, to: SystemTime) -> usize {
        let second = |at: SystemTime| Timestamp::try_from(at).unwrap_or(Timestamp::MAX).as_second();
        let range = second(from)..=second(to);
        let now = self.clock.now();
        let is_kept = |archived: &ArchivedEvent| {
            self.definition.archive_retention.is_none_or(|retention| {
                now.duration_since(archived.archived_at).unwrap_or_default() < retention
            })
        };
        let mut state = lock(&self.state);
        state.replay_count += 1;
        let name = format!("replay-{}", state.replay_count);
        let mut replayed: Vec<ArchivedEvent> = state
            .archive
            .iter()
            .filter(|archived| range.contains(&archived.second) && is_kept(archived))
            .cloned()
            .collect();
        replayed.reverse();
        replayed.sort_by_key(|archived| archived.second.div_euclid(60));
        let count = replayed.len();
        for ArchivedEvent { mut event, .. } in replayed {
            event["id"] = json!(Uuid::new_v4().to_string());
            event["replay-name"] = json!(name);
            state.publish(event);
        }
        count
    }
}

impl BusState {
    /// Sends an event to the queues of the rules that match it.
    fn publish(&mut self, event: Value) {
        for rule in self.rules.iter_mut().filter(|rule| rule.pattern.matches(&event)) {
            rule.queue.push(event.clone());
        }
        self.events.push(event);
    }
}

impl Entry {
    fn size(&self) -> usize {
        let time = if self.time.is_some() { TIME_BYTES } else { 0 };
        time + self.source.len() + self.detail_type.len() + self.detail.to_string().len()
    }

    fn validate(&self) -> Result<(), EntryError> {
        if self.source.is_empty() || self.detail_type.is_empty() {
            return Err(EntryError::InvalidArgument);
        }
        if self.source.starts_with("aws.") {
            return Err(EntryError::NotAuthorizedForSource);
        }
        if self.detail.is_object() { Ok(()) } else { Err(EntryError::MalformedDetail) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    /// 2026-01-01T00:00:00Z.
    const START: i64 = 1_767_225_600;

    fn bus(archive_retention: Option<Duration>) -> (Bus, StackClock) {
        let clock = StackClock::default();
        let definition = EventBusDefinition { has_archive: true, archive_retention };
        (Bus::new(definition, clock.clone()), clock)
    }

    fn entry(id: &str, second: i64) -> Entry {
        Entry {
            source: "stream-functions".to_owned(),
            detail_type: "call.created".to_owned(),
            time: Some(Timestamp::from_second(START + second).unwrap()),
            detail: json!({"id": id}),
        }
    }

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(START.unsigned_abs() + second)
    }

    fn detail_ids(events: &[Value]) -> Vec<&str> {
        events.iter().map(|event| event["detail"]["id"].as_str().unwrap()).collect()
    }

    #[test]
    fn event_has_the_shape_of_event_bridge() {
        let (bus, _) = bus(None);
        let results = bus.put_events(&[entry("e1", 1)], None).unwrap();
        let id = results[0].as_ref().unwrap();
        assert_eq!(
            bus.events(),
            [json!({
                "version": "0",
                "id": id,
                "detail-type": "call.created",
                "source": "stream-functions",
                "account": "123456789012",
                "time": "2026-01-01T00:00:01Z",
                "region": "us-east-1",
                "resources": [],
                "detail": {"id": "e1"},
            })]
        );
    }

    #[test]
    fn time_of_an_event_defaults_to_the_clock() {
        let (bus, clock) = bus(None);
        clock.advance(Duration::from_hours(48));
        bus.put_events(&[Entry { time: None, ..entry("e1", 0) }], None).unwrap()[0]
            .as_ref()
            .unwrap();
        let time: Timestamp = bus.events()[0]["time"].as_str().unwrap().parse().unwrap();
        let ahead = Timestamp::try_from(SystemTime::now()).unwrap().as_second() + 47 * 3_600;
        assert!(time.as_second() > ahead, "{time}");
    }

    #[test]
    fn entries_are_accepted_one_by_one() {
        let (bus, _) = bus(None);
        let entries = [
            entry("e1", 0),
            Entry { source: "aws.s3".to_owned(), ..entry("e2", 0) },
            Entry { detail: json!("text"), ..entry("e3", 0) },
            Entry { detail_type: String::new(), ..entry("e4", 0) },
            entry("e5", 0),
            entry("e6", 0),
        ];
        let results = bus.put_events(&entries, Some(4)).unwrap();
        let errors: Vec<Option<EntryError>> =
            results.iter().map(|result| result.as_ref().err().copied()).collect();
        let expected = [
            None,
            Some(EntryError::NotAuthorizedForSource),
            Some(EntryError::MalformedDetail),
            Some(EntryError::InvalidArgument),
            Some(EntryError::InternalFailure),
            None,
        ];
        assert_eq!(errors, expected);
        assert_eq!(detail_ids(&bus.events()), ["e1", "e6"]);
    }

    #[test]
    fn oversized_request_is_rejected() {
        let (bus, _) = bus(None);
        let many: Vec<Entry> = (0..11).map(|_| entry("e", 0)).collect();
        assert_eq!(bus.put_events(&many, None), Err(PutEventsError::TooManyEntries));
        assert_eq!(bus.put_events(&[], None), Err(PutEventsError::NoEntries));

        let text_of_size = |bytes: usize| {
            let mut entry = entry("", 0);
            let rest = entry.size();
            entry.detail = json!({"id": "x".repeat(bytes - rest)});
            assert_eq!(entry.size(), bytes);
            entry
        };
        let too_large = [text_of_size(MAX_ENTRY_BYTES)];
        assert_eq!(bus.put_events(&too_large, None), Err(PutEventsError::EntryTooLarge));
        assert!(bus.events().is_empty());
        assert!(bus.put_events(&[text_of_size(MAX_ENTRY_BYTES - 1)], None).is_ok());
    }

    #[test]
    fn rule_sends_matching_events_to_its_queue() {
        let (bus, _) = bus(None);
        let rule = |pattern: Value| bus.add_rule(Pattern::parse(&pattern).unwrap());
        let created = rule(json!({"detail-type": ["call.created"]}));
        let second = rule(json!({"detail": {"id": ["e2"]}}));
        bus.put_events(&[entry("e1", 0), entry("e2", 0)], None).unwrap();
        assert_eq!(detail_ids(&bus.rule_queue(created)), ["e1", "e2"]);
        assert_eq!(detail_ids(&bus.rule_queue(second)), ["e2"]);
        assert!(bus.rule_queue(RuleId(2)).is_empty());
    }

    #[test]
    fn replay_repeats_archived_events_once() {
        let (bus, _) = bus(None);
        let all = bus.add_rule(Pattern::parse(&json!({"version": ["0"]})).unwrap());
        let live_pattern = json!({"replay-name": [{"exists": false}]});
        let live = bus.add_rule(Pattern::parse(&live_pattern).unwrap());
        let entries = [("e1", 0), ("e2", 10), ("e3", 61), ("e4", 200)];
        let entries = entries.map(|(id, second)| entry(id, second));
        bus.put_events(&entries, None).unwrap();

        assert_eq!(bus.replay(at(0), at(100)), 3);
        assert_eq!(detail_ids(&bus.rule_queue(all)), ["e1", "e2", "e3", "e4", "e2", "e1", "e3"]);
        assert_eq!(detail_ids(&bus.rule_queue(live)), ["e1", "e2", "e3", "e4"]);
        let events = bus.events();
        assert_eq!(events.len(), 7);
        assert_eq!(events[4]["replay-name"], "replay-1");
        assert_ne!(events[4]["id"], events[1]["id"]);

        // Replayed events are not archived.
        assert_eq!(bus.replay(at(0), at(100)), 3);
        assert_eq!(bus.replay(at(300), at(400)), 0);
    }

    #[test]
    fn archive_drops_events_after_its_retention() {
        let (bus, clock) = bus(Some(Duration::from_hours(24)));
        bus.put_events(&[entry("e1", 0)], None).unwrap();
        clock.advance(Duration::from_hours(23));
        assert_eq!(bus.replay(at(0), at(0)), 1);
        clock.advance(Duration::from_hours(1));
        assert_eq!(bus.replay(at(0), at(0)), 0);
    }

    #[test]
    fn bus_without_archive_replays_nothing() {
        let bus = Bus::new(EventBusDefinition::default(), StackClock::default());
        bus.put_events(&[entry("e1", 0)], None).unwrap();
        assert_eq!(bus.replay(at(0), at(0)), 0);
    }
}
