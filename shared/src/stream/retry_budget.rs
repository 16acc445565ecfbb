//! The retry budget of a process. If one request in ten fails, all retries are made. During an
//! outage of Stream, requests are sent only once, so that retries do not triple the load when
//! Stream recovers.

/// The remaining budget, in tenths of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RetryBudget(u32);

/// The initial and maximum budget.
const CAPACITY: u32 = 100;
/// The cost of a retry.
const RETRY_COST: u32 = 10;
/// The refund for a success.
const SUCCESS_REFUND: u32 = 1;

impl Default for RetryBudget {
    fn default() -> Self {
        Self(CAPACITY)
    }
}

impl RetryBudget {
    /// Takes the cost of a retry. Returns whether the budget was sufficient.
    pub(super) fn try_acquire(&mut self) -> bool {
        let remaining = self.0.checked_sub(RETRY_COST);
        self.0 = remaining.unwrap_or(self.0);
        remaining.is_some()
    }

    /// Refunds a part of a retry after a success.
    pub(super) fn refund(&mut self) {
        self.0 = self.0.saturating_add(SUCCESS_REFUND).min(CAPACITY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step of a test.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// This many requests succeed.
        Successes(u32),
        /// Requests the first number of retries and expects the second to be granted.
        Retries(u32, usize),
    }

    #[test]
    fn retries_are_granted_while_budget_remains() {
        use Step::{Retries, Successes};
        for steps in [
            &[Retries(10, 10), Retries(5, 0)][..],
            // The budget never exceeds its capacity.
            &[Successes(1_000), Retries(11, 10)],
            &[Retries(10, 10), Successes(9), Retries(1, 0), Successes(1), Retries(2, 1)],
            // A budget below the cost of a retry is kept.
            &[Retries(10, 10), Successes(15), Retries(2, 1), Successes(5), Retries(2, 1)],
            &[Retries(4, 4), Successes(40), Retries(11, 10)],
            &[Retries(20, 10), Successes(200), Retries(20, 10)],
        ] {
            let mut budget = RetryBudget::default();
            for step in steps {
                match *step {
                    Successes(times) => {
                        for _ in 0..times {
                            budget.refund();
                        }
                    }
                    Retries(requested, granted) => {
                        let acquired = (0..requested).filter(|_| budget.try_acquire()).count();
                        assert_eq!(acquired, granted, "{step:?} of {steps:?}");
                    }
                }
            }
        }
    }
}
