//! What was heard of Stream, for the metrics.

use std::time::Duration;

/// What was heard of Stream since it was last asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How long each attempt took, answered or not.
    pub attempts: Vec<Duration>,
    /// How many of them Stream asked to slow down.
    pub rate_limited: u64,
    /// How many of them got no answer, or a 5xx.
    pub failures: u64,
}

impl Tally {
    /// One more attempt, which took so long; `None` is no answer.
    pub(super) fn attempt(&mut self, took: Duration, status: Option<u16>) {
        self.attempts.push(took);
        match status {
            Some(429) => self.rate_limited += 1,
            None | Some(500..) => self.failures += 1,
            Some(_) => {}
        }
    }
}
