//! Which requests fail, and how.

use std::time::Duration;

/// How a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is closed, and nothing was done.
    ConnectionClosed,
    /// The request is carried out, and the connection closed instead of answering.
    AppliedThenLost,
    /// 400 `ThrottlingException`: the table is asked for more than it can do.
    Throttled,
    /// 500 `InternalServerError`, and nothing was done.
    InternalError,
    /// The request is carried out after this long.
    Slow(Duration),
}

/// Which requests a fault befalls: of those that match, the first `skip` are spared, and then
/// `times` are hit.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Only requests of this operation, such as `GetItem`; all without one.
    pub operation: Option<String>,
    /// How many matching requests are spared first.
    pub skip: u32,
    /// How many matching requests are hit then.
    pub times: u32,
    /// What happens to them.
    pub fault: Fault,
}

impl Rule {
    /// The next request of an operation.
    #[must_use]
    pub fn next(operation: impl Into<String>, fault: Fault) -> Self {
        Self { operation: Some(operation.into()), skip: 0, times: 1, fault }
    }

    /// Every request.
    #[must_use]
    pub fn always(fault: Fault) -> Self {
        Self { operation: None, skip: 0, times: u32::MAX, fault }
    }
}

/// The rules in force.
#[derive(Default)]
pub(super) struct FaultRules(Vec<Rule>);

impl FaultRules {
    pub(super) fn add(&mut self, rule: Rule) {
        self.0.push(rule);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// What befalls a request of this operation. Every rule that matches and still spares requests
    /// counts it; the first that does not spare it decides.
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
