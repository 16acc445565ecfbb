//! Fault rules: which requests fail, and how.
//!
//! A rule with [`FaultRule::skip_first`] counts every request that matches it, even if another rule
//! applies its fault. To fail the first request in one way and the second in another, add one rule
//! for each; the second rule skips one request. If several rules apply, the rule added first wins.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::operation::Operation;

/// The fault that is applied to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The connection is closed without a response; the request has no effect.
    RefuseConnection,
    /// The request takes effect; the connection is closed without a response.
    AppliedThenLost,
    /// The connection is closed at once, and the request takes effect after this delay. In JSON:
    /// milliseconds.
    AppliedLate(#[serde(with = "crate::millis")] Duration),
    /// The connection is closed at once, and the request takes effect when the emulator's clock has
    /// advanced by this delay. A test can move that clock. In JSON: milliseconds.
    AppliedLateByClock(#[serde(with = "crate::millis")] Duration),
    /// 429 with Stream's code 9 and an exhausted rate limit; no effect.
    TooManyRequests {
        /// The value of the `Retry-After` header in seconds; `None` omits the header.
        #[serde(default)]
        retry_after: Option<u64>,
    },
    /// This status with Stream's error body; no effect.
    Status(u16),
    /// This status with Stream's error body, marked `unrecoverable`; no effect.
    StatusUnrecoverable(u16),
    /// This status with an HTML page, as a proxy in front of Stream returns; no effect.
    NonJson(u16),
    /// This status with this body, whose content type is that of JSON; no effect. Each
    /// [`Fault::AUTHORIZATION`] in the body becomes the `Authorization` header of the request.
    Body {
        /// The status.
        status: u16,
        /// The body.
        body: String,
    },
    /// The request takes effect; the connection is closed after half of the response body.
    Truncated,
    /// The request takes effect after this delay, even if the client disconnects. The response
    /// follows. In JSON: milliseconds.
    Slow(#[serde(with = "crate::millis")] Duration),
    /// 302 with this location; no effect.
    Redirect(String),
    /// The request takes effect; the JSON response is padded to this many bytes.
    Huge(usize),
}

impl Fault {
    /// The placeholder in [`Fault::Body`] for the `Authorization` header of the request.
    pub const AUTHORIZATION: &str = "$authorization";

    /// This status with this body.
    #[must_use]
    pub fn body(status: u16, body: impl Into<String>) -> Self {
        Self::Body { status, body: body.into() }
    }
}

/// The requests to which a fault applies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The operation; `None` matches every operation.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// The number of matching requests that pass first.
    #[serde(default)]
    pub skip: u32,
    /// The number of matching requests that fail after that; `None` is unlimited.
    #[serde(default)]
    pub times: Option<u32>,
    /// The fault.
    pub fault: Fault,
}

impl FaultRule {
    /// A rule for every request of this operation.
    #[must_use]
    pub const fn for_operation(operation: Operation, fault: Fault) -> Self {
        Self { operation: Some(operation), skip: 0, times: None, fault }
    }

    /// A rule for every request.
    #[must_use]
    pub const fn for_any_operation(fault: Fault) -> Self {
        Self { operation: None, skip: 0, times: None, fault }
    }

    /// Limits the rule to one request.
    #[must_use]
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// Limits the rule to this number of requests.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Lets this number of matching requests pass first.
    #[must_use]
    pub fn skip_first(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    fn matches(&self, operation: Operation) -> bool {
        self.operation.is_none_or(|expected| expected == operation)
    }
}

/// The active rules with their counters.
#[derive(Debug, Default)]
pub(crate) struct FaultScript(Vec<RuleState>);

#[derive(Debug)]
struct RuleState {
    rule: FaultRule,
    skipped: u32,
    fired: u32,
}

impl RuleState {
    /// Counts a matching request. Returns whether the fault applies to it.
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

    /// The rules that still apply, with what is left of them.
    pub(crate) fn remaining(&self) -> Vec<FaultRule> {
        let remaining = |state: &RuleState| {
            let rule = &state.rule;
            let times = rule.times.map(|times| times.saturating_sub(state.fired));
            let skip = rule.skip.saturating_sub(state.skipped);
            (times != Some(0)).then(|| FaultRule { skip, times, ..rule.clone() })
        };
        self.0.iter().filter_map(remaining).collect()
    }

    /// Counts a request for this operation in every matching rule and returns the fault to apply.
    pub(crate) fn next_fault(&mut self, operation: Operation) -> Option<Fault> {
        let mut fault = None;
        for state in self.0.iter_mut().filter(|state| state.rule.matches(operation)) {
            if state.count_and_check() && fault.is_none() {
                state.fired = state.fired.saturating_add(1);
                fault = Some(state.rule.fault.clone());
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
    fn remaining_rules_have_the_rest_of_their_requests() {
        let end = FaultRule::for_operation(Operation::EndCall, Fault::Status(500));
        let mut script = script([end.clone().skip_first(1).times(2), end.clone()]);
        for _ in 0..2 {
            script.next_fault(Operation::EndCall);
        }
        assert_eq!(script.remaining(), [end.clone().times(1), end.clone()]);
        script.next_fault(Operation::EndCall);
        assert_eq!(script.remaining(), [end]);
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
            parse(json!({ "fault": { "body": { "status": 200, "body": "[]" } } })),
            Some(FaultRule::for_any_operation(Fault::body(200, "[]")))
        );
        assert_eq!(
            parse(json!({ "fault": "truncated", "skip": 2 })),
            Some(FaultRule::for_any_operation(Fault::Truncated).skip_first(2))
        );
        assert_eq!(parse(json!({ "fault": "truncated", "skips": 2 })), None);
    }
}
