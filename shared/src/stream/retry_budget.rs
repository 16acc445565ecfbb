//! How many retries a process has left. Where one request in ten fails, every retry is made; where
//! Stream is away, requests are sent once, so that nobody meets it with three times the load when
//! it comes back.

/// In tenths of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RetryBudget(u32);

/// What a process begins with, and has at most.
const CAPACITY: u32 = 100;
/// What a retry takes.
const RETRY_COST: u32 = 10;
/// What a success gives back.
const SUCCESS_REFUND: u32 = 1;

impl Default for RetryBudget {
    fn default() -> Self {
        Self(CAPACITY)
    }
}

impl RetryBudget {
    /// Takes a retry; whether there was one.
    pub(super) fn try_acquire(&mut self) -> bool {
        let remaining = self.0.checked_sub(RETRY_COST);
        self.0 = remaining.unwrap_or(self.0);
        remaining.is_some()
    }

    /// Gives a part of a retry back, since something has succeeded.
    pub(super) fn refund(&mut self) {
        self.0 = self.0.saturating_add(SUCCESS_REFUND).min(CAPACITY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is done to a budget.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// So many successes.
        Successes(u32),
        /// So many retries are wanted, of which so many are made.
        Retries(u32, usize),
    }

    #[test]
    fn retries_are_granted_while_budget_remains() {
        use Step::{Retries, Successes};
        for steps in [
            &[Retries(10, 10), Retries(5, 0)][..],
            // It never gets larger than it was.
            &[Successes(1_000), Retries(11, 10)],
            &[Retries(10, 10), Successes(9), Retries(1, 0), Successes(1), Retries(2, 1)],
            // What is too little for a retry is kept.
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
