//! The pure core of the trace: the last requests, and the processes that run them.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::log_line::LogLine;
use super::record::{Record, RecordKey, RequestEnd, RequestStart, Step};

/// The number of requests that are kept.
const MAX_RECORDS: usize = 500;

/// The number of requests of a process whose request line may be outstanding.
const MAX_AWAITING: usize = 16;

/// The trace of a stack.
#[derive(Default)]
pub(super) struct Trace {
    /// In the order in which the requests began.
    records: VecDeque<Record>,
    last_key: u64,
    last_seq: u64,
    processes: HashMap<String, ProcessState>,
}

/// The requests of a process.
struct ProcessState {
    /// The request that runs, or ran last.
    current: RecordKey,
    /// The requests whose request line has not been read. A process prints the lines of one request
    /// after those of the other, so a line without an id belongs to the first of them.
    awaiting: VecDeque<AwaitedLine>,
}

struct AwaitedLine {
    key: RecordKey,
    /// The ids in the request line: that of the gateway, or that of the invocation.
    ids: [String; 2],
}

impl Trace {
    /// Adds a request, and drops the oldest one if the trace is full.
    pub(super) fn begin(&mut self, start: RequestStart, at: Timestamp, now: Instant) -> RecordKey {
        if self.records.len() == MAX_RECORDS {
            self.records.pop_front();
        }
        self.last_key += 1;
        let key = RecordKey(self.last_key);
        self.records.push_back(Record::new(key, start, at, now));
        key
    }

    /// Assigns a process to a request. Its steps and lines belong to the request from now on.
    pub(super) fn bind(
        &mut self,
        key: RecordKey,
        process: &str,
        invocation_id: &str,
        is_cold_start: bool,
    ) {
        let Some(record) = self.record_mut(key) else { return };
        record.is_cold_start = is_cold_start;
        let awaited = AwaitedLine { key, ids: [record.start.id.clone(), invocation_id.to_owned()] };
        let state = self
            .processes
            .entry(process.to_owned())
            .or_insert_with(|| ProcessState { current: key, awaiting: VecDeque::new() });
        state.current = key;
        if state.awaiting.len() == MAX_AWAITING {
            state.awaiting.pop_front();
        }
        state.awaiting.push_back(awaited);
    }

    /// Forgets a process that has ended.
    pub(super) fn unbind(&mut self, process: &str) {
        self.processes.remove(process);
    }

    /// Sets how long the process of a cold start took to request its first invocation.
    pub(super) fn set_init(&mut self, key: RecordKey, init: Duration) {
        self.change(key, |record| record.init = Some(init));
    }

    /// The request that a process runs, with the instant at which it began.
    pub(super) fn current(&self, process: &str) -> Option<(RecordKey, Instant)> {
        let key = self.processes.get(process)?.current;
        self.record(key).map(|record| (key, record.began))
    }

    pub(super) fn has_process(&self, process: &str) -> bool {
        self.processes.contains_key(process)
    }

    /// When a request began.
    pub(super) fn began(&self, key: RecordKey) -> Option<Instant> {
        self.record(key).map(|record| record.began)
    }

    pub(super) fn add_step(&mut self, key: RecordKey, step: Step) {
        self.change(key, |record| record.add_step(step));
    }

    /// Adds a line of a process to its request.
    pub(super) fn add_log(&mut self, process: &str, line: LogLine) {
        let Some(state) = self.processes.get_mut(process) else { return };
        let named = line
            .request_id
            .as_ref()
            .and_then(|id| state.awaiting.iter().position(|awaited| awaited.ids.contains(id)));
        let key = match (named, state.awaiting.front()) {
            (Some(position), _) => {
                let key = state.awaiting[position].key;
                if line.is_request_line() {
                    state.awaiting.drain(..=position);
                }
                key
            }
            (None, Some(first)) => first.key,
            (None, None) => state.current,
        };
        self.change(key, |record| record.add_log(line));
    }

    /// Completes a request, which becomes visible.
    pub(super) fn end(&mut self, key: RecordKey, end: RequestEnd, now: Instant) {
        self.change(key, |record| {
            record.duration = now.duration_since(record.began);
            record.end = Some(end);
        });
    }

    /// The number of the last change.
    pub(super) fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// The ended requests that have changed after this number, in the order of their changes. A
    /// number of an earlier stack selects all.
    pub(super) fn changed_since(&self, after: u64) -> Vec<&Record> {
        let after = if after > self.last_seq { 0 } else { after };
        let mut changed: Vec<_> = self.records.iter().filter(|record| record.seq > after).collect();
        changed.sort_by_key(|record| record.seq);
        changed
    }

    pub(super) fn find(&self, id: &str) -> Option<&Record> {
        self.records.iter().rfind(|record| record.start.id == id)
    }

    /// Changes a request. It gets a new number if it has ended.
    fn change(&mut self, key: RecordKey, change: impl FnOnce(&mut Record)) {
        let seq = self.last_seq + 1;
        let Some(record) = self.record_mut(key) else { return };
        change(record);
        if record.end.is_some() {
            record.seq = seq;
            self.last_seq = seq;
        }
    }

    fn record(&self, key: RecordKey) -> Option<&Record> {
        self.records.get(self.index_of(key)?)
    }

    fn record_mut(&mut self, key: RecordKey) -> Option<&mut Record> {
        let index = self.index_of(key)?;
        self.records.get_mut(index)
    }

    /// The keys have no gaps.
    fn index_of(&self, key: RecordKey) -> Option<usize> {
        let first = self.records.front()?.key;
        usize::try_from(key.0.checked_sub(first.0)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::record::{Message, RequestKind, Service};
    use super::super::step_details::StepDetails;
    use super::*;

    fn start(id: &str) -> RequestStart {
        RequestStart {
            id: id.to_owned(),
            kind: RequestKind::Http,
            method: "POST".to_owned(),
            path_and_query: "/api/stream/token".to_owned(),
            function: Some("token".to_owned()),
            caller: None,
            call_id: None,
            request: Message::default(),
            resent_from: None,
        }
    }

    fn begin(trace: &mut Trace, id: &str) -> RecordKey {
        trace.begin(start(id), Timestamp::UNIX_EPOCH, Instant::now())
    }

    fn end(trace: &mut Trace, key: RecordKey) {
        let end = RequestEnd { status: Some(200), response: Message::default(), failure: None };
        trace.end(key, end, Instant::now());
    }

    fn line(message: &str, request_id: Option<&str>) -> LogLine {
        let line = json!({"level": "INFO", "message": message, "requestId": request_id});
        LogLine::parse(&line.to_string()).unwrap()
    }

    fn step(operation: &str, start: u64) -> Step {
        Step {
            service: Service::Dynamodb,
            operation: operation.to_owned(),
            start: Duration::from_millis(start),
            duration: Duration::from_millis(1),
            status: Some(200),
            details: StepDetails::default(),
            is_fault: false,
        }
    }

    fn messages(trace: &Trace, id: &str) -> Vec<String> {
        let logs = &trace.find(id).unwrap().logs;
        logs.iter().map(|line| line.message.clone()).collect()
    }

    fn ids(records: &[&Record]) -> Vec<String> {
        records.iter().map(|record| record.start.id.clone()).collect()
    }

    #[test]
    fn request_is_visible_once_it_has_ended_and_again_after_a_change() {
        let mut trace = Trace::default();
        let (first, second) = (begin(&mut trace, "r1"), begin(&mut trace, "r2"));
        trace.bind(first, "p1", "i1", true);
        trace.set_init(first, Duration::from_millis(40));
        assert!(trace.changed_since(0).is_empty());
        end(&mut trace, second);
        end(&mut trace, first);
        assert_eq!(ids(&trace.changed_since(0)), ["r2", "r1"]);
        assert_eq!(ids(&trace.changed_since(1)), ["r1"]);
        let record = trace.find("r1").unwrap();
        assert!(record.is_cold_start && record.init.is_some());

        trace.add_step(second, step("GetItem", 3));
        assert_eq!(ids(&trace.changed_since(2)), ["r2"]);
        assert_eq!(trace.last_seq(), 3);
        assert!(trace.changed_since(3).is_empty());
        // The page has a number of an earlier stack.
        assert_eq!(trace.changed_since(99).len(), 2);
    }

    #[test]
    fn steps_are_in_the_order_of_their_begin() {
        let mut trace = Trace::default();
        let key = begin(&mut trace, "r1");
        trace.bind(key, "p1", "i1", false);
        for (operation, start) in [("GetItem", 5), ("PutItem", 2), ("Query", 9)] {
            let (current, _) = trace.current("p1").unwrap();
            trace.add_step(current, step(operation, start));
        }
        let steps = &trace.find("r1").unwrap().steps;
        let operations: Vec<_> = steps.iter().map(|step| step.operation.as_str()).collect();
        assert_eq!(operations, ["PutItem", "GetItem", "Query"]);
        assert_eq!(trace.current("p2"), None);
        assert!(trace.has_process("p1") && !trace.has_process("p2"));
        trace.unbind("p1");
        assert_eq!(trace.current("p1"), None);
    }

    #[test]
    fn late_lines_belong_to_their_own_request() {
        let mut trace = Trace::default();
        let (first, second) = (begin(&mut trace, "r1"), begin(&mut trace, "r2"));
        trace.bind(first, "p1", "i1", true);
        end(&mut trace, first);
        // The process already runs the next request when its lines are read.
        trace.bind(second, "p1", "i2", false);
        trace.add_log("p1", line("first", None));
        trace.add_log("p1", line("request completed", Some("r1")));
        trace.add_log("p1", line("second", None));
        trace.add_log("p1", line("run completed", Some("i2")));
        trace.add_log("p1", line("after the request line", None));
        trace.add_log("p2", line("of no process", None));
        assert_eq!(messages(&trace, "r1"), ["first", "request completed"]);
        let expected = ["second", "run completed", "after the request line"];
        assert_eq!(messages(&trace, "r2"), expected);
    }

    #[test]
    fn outstanding_request_lines_are_bounded() {
        let mut trace = Trace::default();
        for number in 0..=MAX_AWAITING {
            let key = begin(&mut trace, &format!("r{number}"));
            trace.bind(key, "p1", &format!("i{number}"), false);
        }
        trace.add_log("p1", line("of the first that is awaited", None));
        assert!(messages(&trace, "r0").is_empty());
        assert_eq!(messages(&trace, "r1"), ["of the first that is awaited"]);
    }

    #[test]
    fn trace_is_bounded() {
        let mut trace = Trace::default();
        let keys: Vec<_> =
            (0..=MAX_RECORDS).map(|number| begin(&mut trace, &number.to_string())).collect();
        for key in &keys {
            end(&mut trace, *key);
        }
        assert_eq!(trace.changed_since(0).len(), MAX_RECORDS);
        assert!(trace.find("0").is_none());
        assert!(trace.find("1").is_some());
        // A step of a dropped request is discarded.
        trace.add_step(keys[0], step("GetItem", 1));
        assert_eq!(trace.find("1").unwrap().steps.len(), 0);
    }
}
