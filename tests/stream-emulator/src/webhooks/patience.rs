//! How often Stream tries to deliver a webhook: a server that may recover gets three attempts, one
//! that is not there two, and an answer that says no is taken for one. After 15 seconds all of
//! them have had their time.

use std::time::Duration;

/// How one attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Answered(u16),
    TimedOut,
    Unreachable,
}

impl Outcome {
    pub(super) const fn status(self) -> Option<u16> {
        match self {
            Self::Answered(status) => Some(status),
            Self::TimedOut | Self::Unreachable => None,
        }
    }

    /// How many attempts there are, if they end like this one.
    const fn attempts(self) -> u32 {
        match self {
            Self::Answered(408 | 429 | 500..=u16::MAX) | Self::TimedOut => 3,
            Self::Unreachable => 2,
            Self::Answered(_) => 1,
        }
    }
}

/// How long Stream waits for what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For one answer.
    pub(super) attempt: Duration,
    /// For all attempts together, and the pauses between them.
    pub(super) total: Duration,
    /// Before the second attempt; every further pause is twice as long.
    pub(super) pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(6),
            total: Duration::from_secs(15),
            pause: Duration::from_millis(100),
        }
    }
}

impl Patience {
    /// How long an attempt that begins now may take.
    pub(super) fn left(&self, spent: Duration) -> Duration {
        self.attempt.min(self.total.saturating_sub(spent))
    }

    /// How long to wait before another attempt, if there is to be one. Attempts count from 1, and
    /// this one has just ended.
    pub(super) fn pause(
        &self,
        outcome: Outcome,
        attempt: u32,
        spent: Duration,
    ) -> Option<Duration> {
        if attempt >= outcome.attempts() {
            return None;
        }
        let pause = self.pause * 2_u32.saturating_pow(attempt.saturating_sub(1));
        (spent.saturating_add(pause) < self.total).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(outcome: Outcome) -> usize {
        let again =
            |attempt: &u32| Patience::default().pause(outcome, *attempt, Duration::ZERO).is_some();
        1 + (1..9).take_while(again).count()
    }

    #[test]
    fn how_often_it_is_tried() {
        for (outcome, expected) in [
            (Outcome::Answered(200), 1),
            (Outcome::Answered(302), 1),
            (Outcome::Answered(400), 1),
            (Outcome::Answered(401), 1),
            (Outcome::Answered(404), 1),
            (Outcome::Answered(408), 3),
            (Outcome::Answered(429), 3),
            (Outcome::Answered(499), 1),
            (Outcome::Answered(500), 3),
            (Outcome::Answered(503), 3),
            (Outcome::TimedOut, 3),
            (Outcome::Unreachable, 2),
        ] {
            assert_eq!(attempts(outcome), expected, "{outcome:?}");
        }
    }

    #[test]
    fn pauses_grow_and_end_with_the_time() {
        let patience = Patience::default();
        let pause = |attempt, spent| patience.pause(Outcome::Answered(500), attempt, spent);
        assert_eq!(pause(1, Duration::ZERO), Some(Duration::from_millis(100)));
        assert_eq!(pause(2, Duration::ZERO), Some(Duration::from_millis(200)));
        assert_eq!(pause(2, Duration::from_millis(14_700)), Some(Duration::from_millis(200)));
        assert_eq!(pause(2, Duration::from_millis(14_800)), None);
        assert_eq!(patience.left(Duration::ZERO), Duration::from_secs(6));
        assert_eq!(patience.left(Duration::from_secs(12)), Duration::from_secs(3));
        assert_eq!(patience.left(Duration::from_secs(16)), Duration::ZERO);
    }
}
