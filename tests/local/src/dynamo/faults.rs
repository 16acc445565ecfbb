//! Fault injection: rules that make requests fail.

use std::time::Duration;

/// A way in which a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed, and the request is not applied.
    ConnectionClosed,
    /// The request is applied, and the connection is closed without a response.
    AppliedThenLost,
    /// 400 `ThrottlingException`, and the request is not applied.
    Throttled,
    /// 500 `InternalServerError`, and the request is not applied.
    InternalError,
    /// The request is applied after this delay.
    Slow(Duration),
}

/// A rule for matching requests: the first `skip` requests succeed, and the next `times` requests
/// fail.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The operation of matching requests, such as `GetItem`. `None` matches every operation.
    pub operation: Option<String>,
    /// The number of matching requests that succeed first.
    pub skip: u32,
    /// The number of matching requests that fail then.
    pub times: u32,
    /// The fault of these requests.
    pub fault: Fault,
}

impl Rule {
    /// A rule for the next request of an operation.
    #[must_use]
    pub fn next(operation: impl Into<String>, fault: Fault) -> Self {
        Self { operation: Some(operation.into()), skip: 0, times: 1, fault }
    }

    /// A rule for every request.
    #[must_use]
    pub fn always(fault: Fault) -> Self {
        Self { operation: None, skip: 0, times: u32::MAX, fault }
    }
}

/// The active rules, in the order in which they were added.
#[derive(Default)]
pub(super) struct FaultRules(Vec<Rule>);

impl FaultRules {
    pub(super) fn add(&mut self, rule: Rule) {
        self.0.push(rule);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The rules that still apply to a request.
    pub(super) fn remaining(&self) -> Vec<Rule> {
        self.0.iter().filter(|rule| rule.times > 0).cloned().collect()
    }

    /// The fault for a request of this operation. The request counts for every matching rule that
    /// skips it. The first rule that does not skip it applies.
    pub(super) fn next_fault(&mut self, operation: &str) -> Option<Fault> {
        let matching = self.0.iter_mut().filter(|rule| {
            rule.times > 0 && rule.operation.as_deref().is_none_or(|expected| expected == operation)
        });
        for rule in matching {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else {
                rule.times -= 1;
                return Some(rule.fault);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_rules(rules: impl IntoIterator<Item = Rule>) -> FaultRules {
        FaultRules(rules.into_iter().collect())
    }

    #[test]
    fn rule_skips_then_applies_then_expires() {
        let rule = Rule { skip: 1, times: 2, ..Rule::next("PutItem", Fault::ConnectionClosed) };
        let mut rules = fault_rules([rule]);
        let has_fault = ["PutItem", "GetItem", "PutItem", "PutItem", "PutItem"]
            .map(|operation| rules.next_fault(operation).is_some());
        assert_eq!(has_fault, [false, false, true, true, false]);
        assert!(rules.remaining().is_empty());
        rules.add(Rule::next("GetItem", Fault::Throttled));
        assert_eq!(rules.remaining().len(), 1);
    }

    #[test]
    fn first_rule_that_does_not_skip_applies() {
        let mut rules = fault_rules([
            Rule { skip: 1, ..Rule::next("PutItem", Fault::Throttled) },
            Rule::always(Fault::InternalError),
        ]);
        assert_eq!(rules.next_fault("PutItem"), Some(Fault::InternalError));
        assert_eq!(rules.next_fault("PutItem"), Some(Fault::Throttled));
        assert_eq!(rules.next_fault("Query"), Some(Fault::InternalError));
        rules.clear();
        assert_eq!(rules.next_fault("Query"), None);
    }
}
