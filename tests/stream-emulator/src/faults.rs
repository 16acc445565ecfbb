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
pub struct FaultRule {
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

impl FaultRule {
    /// Every request for this operation fails.
    #[must_use]
    pub const fn for_operation(operation: Operation, fault: Fault) -> Self {
        Self { operation: Some(operation), skip: 0, times: None, fault }
    }

    /// Every request fails.
    #[must_use]
    pub const fn for_any_operation(fault: Fault) -> Self {
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
    pub fn skip_first(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    fn matches(&self, operation: Operation) -> bool {
        self.operation.is_none_or(|expected| expected == operation)
    }
}

/// The rules in force.
#[derive(Debug, Default)]
pub(crate) struct FaultScript(Vec<RuleState>);

#[derive(Debug)]
struct RuleState {
    rule: FaultRule,
    skipped: u32,
    fired: u32,
}

impl RuleState {
    /// Counts a matching request; whether the fault is due for it.
    fn count_and_check(&mut self) -> bool {
        if self.skipped < self.rule.skip {
            self.skipped += 1;
            return false;
        }
        self.rule.times.is_none_or(|times| self.fired < times)
    }
}

impl FaultScript {
    pub(crate) fn add(&mut self, rule: FaultRule) {
        self.0.push(RuleState { rule, skipped: 0, fired: 0 });
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// What is to happen to the next request for this operation.
    pub(crate) fn next_fault(&mut self, operation: Operation) -> Option<Fault> {
        let mut fault = None;
        for line in self.0.iter_mut().filter(|line| line.rule.matches(operation)) {
            if line.count_and_check() && fault.is_none() {
                line.fired = line.fired.saturating_add(1);
                fault = Some(line.rule.fault.clone());
            }
        }
        fault
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn script(rules: impl IntoIterator<Item = FaultRule>) -> FaultScript {
        let mut script = FaultScript::default();
        for rule in rules {
            script.add(rule);
        }
        script
    }

    fn which_requests_fail(
        script: &mut FaultScript,
        operation: Operation,
        requests: usize,
    ) -> Vec<bool> {
        (0..requests).map(|_| script.next_fault(operation).is_some()).collect()
    }

    #[test]
    fn rule_without_times_never_expires() {
        let mut script =
            script([FaultRule::for_operation(Operation::EndCall, Fault::RefuseConnection)]);
        assert_eq!(which_requests_fail(&mut script, Operation::EndCall, 3), [true, true, true]);
    }

    #[test]
    fn skipped_requests_do_not_count_as_times() {
        let mut script = script([FaultRule::for_operation(Operation::EndCall, Fault::Status(500))
            .skip_first(1)
            .times(2)]);
        assert_eq!(
            which_requests_fail(&mut script, Operation::EndCall, 5),
            [false, true, true, false, false]
        );
    }

    #[test]
    fn rule_ignores_other_operations() {
        let mut script = script([FaultRule::for_operation(Operation::EndCall, Fault::Status(500))
            .skip_first(1)
            .once()]);
        assert_eq!(which_requests_fail(&mut script, Operation::GetCall, 4), [false; 4]);
        assert_eq!(which_requests_fail(&mut script, Operation::EndCall, 3), [false, true, false]);
    }

    #[test]
    fn rule_without_operation_matches_every_operation() {
        let mut script = script([FaultRule::for_any_operation(Fault::Status(503)).once()]);
        assert_eq!(script.next_fault(Operation::GetApp), Some(Fault::Status(503)));
        assert_eq!(script.next_fault(Operation::GetApp), None);
    }

    #[test]
    fn every_matching_rule_counts_the_request() {
        let mut script = script([
            FaultRule::for_operation(Operation::GetApp, Fault::Status(500)).once(),
            FaultRule::for_operation(Operation::GetApp, Fault::Status(503)).skip_first(1).once(),
        ]);
        assert_eq!(script.next_fault(Operation::GetApp), Some(Fault::Status(500)));
        assert_eq!(script.next_fault(Operation::GetApp), Some(Fault::Status(503)));
        assert_eq!(script.next_fault(Operation::GetApp), None);
    }

    #[test]
    fn rules_without_skip_apply_in_order() {
        let mut script = script([
            FaultRule::for_any_operation(Fault::Status(500)).once(),
            FaultRule::for_any_operation(Fault::Status(503)).once(),
        ]);
        assert_eq!(script.next_fault(Operation::GetApp), Some(Fault::Status(500)));
        assert_eq!(script.next_fault(Operation::GetApp), Some(Fault::Status(503)));
    }

    #[test]
    fn rule_is_parsed_from_json() {
        let parse = |value| serde_json::from_value::<FaultRule>(value).ok();
        assert_eq!(
            parse(json!({ "operation": "EndCall", "times": 1, "fault": { "applied_late": 250 } })),
            Some(
                FaultRule::for_operation(
                    Operation::EndCall,
                    Fault::AppliedLate(Duration::from_millis(250))
                )
                .once()
            )
        );
        assert_eq!(
            parse(json!({ "fault": { "applied_late_by_clock": 60_000 } })),
            Some(FaultRule::for_any_operation(Fault::AppliedLateByClock(Duration::from_mins(1))))
        );
        assert_eq!(
            parse(json!({ "fault": { "too_many_requests": {} } })),
            Some(FaultRule::for_any_operation(Fault::TooManyRequests { retry_after: None }))
        );
        assert_eq!(
            parse(json!({ "fault": "truncated", "skip": 2 })),
            Some(FaultRule::for_any_operation(Fault::Truncated).skip_first(2))
        );
        assert_eq!(parse(json!({ "fault": "truncated", "skips": 2 })), None);
    }
}
