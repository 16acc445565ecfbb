//! Fault scripts: which requests go wrong, and how.
//!
//! A rule counts every request that matches it, whether or not another rule got there first, so
//! "the first fails this way and the second that way" is one rule each, the second one with
//! [`Rule::after`]. Where several rules are due, the one added first decides.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::operation::Operation;

/// What happens to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The connection is dropped before the request has any effect; not one byte is answered.
    RefuseConnection,
    /// The request takes effect; the connection is dropped without an answer.
    AppliedThenLost,
    /// The connection is dropped at once and the request takes effect this much later.
    /// In JSON: milliseconds.
    AppliedLate(#[serde(with = "crate::millis")] Duration),
    /// The same by the emulator's clock, which a test may move: the connection is dropped at once,
    /// and the request takes effect as soon as it is noticed that the clock is this much later.
    /// In JSON: milliseconds.
    AppliedLateByClock(#[serde(with = "crate::millis")] Duration),
    /// 429 with Stream's code 9 and an exhausted rate limit.
    TooManyRequests {
        /// Seconds for a `Retry-After` header, if there is to be one.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// This status with an error body of Stream's shape; no effect.
    Status(u16),
    /// The same, marked `unrecoverable`.
    StatusUnrecoverable(u16),
    /// This status with a page of HTML, as a proxy in front of Stream answers; no effect.
    NonJson(u16),
    /// The request takes effect; its answer breaks off half way.
    Truncated,
    /// Effect and answer come this much later, the effect even if nobody waits any more.
    /// In JSON: milliseconds.
    Slow(#[serde(with = "crate::millis")] Duration),
    /// 302 to this location; no effect.
    Redirect(String),
    /// The request takes effect; its JSON answer is padded to this many bytes.
    Huge(usize),
}

/// Which requests a fault befalls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The operation; `None` is any.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// How many matching requests get through first.
    #[serde(default)]
    pub skip: u32,
    /// How many matching requests fail after that; `None` is all of them.
    #[serde(default)]
    pub times: Option<u32>,
    /// What happens to them.
    pub fault: Fault,
}

impl Rule {
    /// Every request for this operation fails.
    #[must_use]
    pub const fn on(operation: Operation, fault: Fault) -> Self {
        Self { operation: Some(operation), skip: 0, times: None, fault }
    }

    /// Every request fails.
    #[must_use]
    pub const fn any(fault: Fault) -> Self {
        Self { operation: None, skip: 0, times: None, fault }
    }

    /// Only one request fails.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Only so many requests fail.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// So many matching requests get through first.
    #[must_use]
    pub fn after(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    fn matches(&self, operation: Operation) -> bool {
        self.operation.is_none_or(|wanted| wanted == operation)
    }
}

/// The rules in force.
#[derive(Debug, Default)]
pub(crate) struct Script(Vec<Line>);

#[derive(Debug)]
struct Line {
    rule: Rule,
    skipped: u32,
    used: u32,
}

impl Line {
    /// Counts a matching request; whether the fault is due for it.
    fn due(&mut self) -> bool {
        if self.skipped < self.rule.skip {
            self.skipped += 1;
            return false;
        }
        self.rule.times.is_none_or(|times| self.used < times)
    }
}

impl Script {
    pub(crate) fn add(&mut self, rule: Rule) {
        self.0.push(Line { rule, skipped: 0, used: 0 });
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// What is to happen to the next request for this operation.
    pub(crate) fn next(&mut self, operation: Operation) -> Option<Fault> {
        let mut chosen = None;
        for line in self.0.iter_mut().filter(|line| line.rule.matches(operation)) {
            if line.due() && chosen.is_none() {
                line.used = line.used.saturating_add(1);
                chosen = Some(line.rule.fault.clone());
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn script(rules: impl IntoIterator<Item = Rule>) -> Script {
        let mut script = Script::default();
        for rule in rules {
            script.add(rule);
        }
        script
    }

    fn hits(script: &mut Script, operation: Operation, requests: usize) -> Vec<bool> {
        (0..requests).map(|_| script.next(operation).is_some()).collect()
    }

    #[test]
    fn a_rule_without_times_holds_for_ever() {
        let mut script = script([Rule::on(Operation::EndCall, Fault::RefuseConnection)]);
        assert_eq!(hits(&mut script, Operation::EndCall, 3), [true, true, true]);
    }

    #[test]
    fn a_rule_skips_first_and_then_counts() {
        let mut script =
            script([Rule::on(Operation::EndCall, Fault::Status(500)).after(1).times(2)]);
        assert_eq!(hits(&mut script, Operation::EndCall, 5), [false, true, true, false, false]);
    }

    #[test]
    fn a_rule_does_not_see_other_operations() {
        let mut script = script([Rule::on(Operation::EndCall, Fault::Status(500)).after(1).once()]);
        assert_eq!(hits(&mut script, Operation::GetCall, 4), [false; 4]);
        assert_eq!(hits(&mut script, Operation::EndCall, 3), [false, true, false]);
    }

    #[test]
    fn a_rule_for_any_operation_sees_all_of_them() {
        let mut script = script([Rule::any(Fault::Status(503)).once()]);
        assert_eq!(script.next(Operation::GetApp), Some(Fault::Status(503)));
        assert_eq!(script.next(Operation::GetApp), None);
    }

    #[test]
    fn every_rule_counts_every_request() {
        let mut script = script([
            Rule::on(Operation::GetApp, Fault::Status(500)).once(),
            Rule::on(Operation::GetApp, Fault::Status(503)).after(1).once(),
        ]);
        assert_eq!(script.next(Operation::GetApp), Some(Fault::Status(500)));
        assert_eq!(script.next(Operation::GetApp), Some(Fault::Status(503)));
        assert_eq!(script.next(Operation::GetApp), None);
    }

    #[test]
    fn rules_without_skip_follow_one_another() {
        let mut script =
            script([Rule::any(Fault::Status(500)).once(), Rule::any(Fault::Status(503)).once()]);
        assert_eq!(script.next(Operation::GetApp), Some(Fault::Status(500)));
        assert_eq!(script.next(Operation::GetApp), Some(Fault::Status(503)));
    }

    #[test]
    fn a_rule_can_be_written_as_json() {
        let read = |value| serde_json::from_value::<Rule>(value).ok();
        assert_eq!(
            read(json!({ "operation": "EndCall", "times": 1, "fault": { "applied_late": 250 } })),
            Some(
                Rule::on(Operation::EndCall, Fault::AppliedLate(Duration::from_millis(250))).once()
            )
        );
        assert_eq!(
            read(json!({ "fault": { "applied_late_by_clock": 60_000 } })),
            Some(Rule::any(Fault::AppliedLateByClock(Duration::from_mins(1))))
        );
        assert_eq!(
            read(json!({ "fault": { "too_many_requests": {} } })),
            Some(Rule::any(Fault::TooManyRequests { retry_after: None }))
        );
        assert_eq!(
            read(json!({ "fault": "truncated", "skip": 2 })),
            Some(Rule::any(Fault::Truncated).after(2))
        );
        assert_eq!(read(json!({ "fault": "truncated", "skips": 2 })), None);
    }
}
