//! How many retries a process has left. Where one request in ten fails, every retry is made; where
//! Stream is away, requests are sent once, so that nobody meets it with three times the load when
//! it comes back.

/// In tenths of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budget(u32);

/// What a process begins with, and has at most.
const MOST: u32 = 100;
/// What a retry takes.
const RETRY: u32 = 10;
/// What a success gives back.
const SUCCESS: u32 = 1;

impl Default for Budget {
    fn default() -> Self {
        Self(MOST)
    }
}

impl Budget {
    /// Takes a retry; whether there was one.
    pub(super) fn take(&mut self) -> bool {
        let left = self.0.checked_sub(RETRY);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }

    /// Gives a part of a retry back, since something has succeeded.
    pub(super) fn give_back(&mut self) {
        self.0 = self.0.saturating_add(SUCCESS).min(MOST);
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
    fn retries_are_made_while_there_is_something_left() {
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
            let mut budget = Budget::default();
            for step in steps {
                match *step {
                    Successes(times) => {
                        for _ in 0..times {
                            budget.give_back();
                        }
                    }
                    Retries(wanted, made) => {
                        let taken = (0..wanted).filter(|_| budget.take()).count();
                        assert_eq!(taken, made, "{step:?} of {steps:?}");
                    }
                }
            }
        }
    }
}
