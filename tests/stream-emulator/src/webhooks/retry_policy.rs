//! Stream's retries of a webhook. 408, 429, 5xx and timeouts get up to three attempts, an
//! unreachable receiver gets two, and any other response ends the delivery. All attempts together
//! take at most 15 seconds.

use std::time::Duration;

/// The outcome of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AttemptOutcome {
    Responded(u16),
    TimedOut,
    Unreachable,
}

impl AttemptOutcome {
    pub(super) const fn status(self) -> Option<u16> {
        match self {
            Self::Responded(status) => Some(status),
            Self::TimedOut | Self::Unreachable => None,
        }
    }

    /// The maximum number of attempts after this outcome.
    const fn max_attempts(self) -> u32 {
        match self {
            Self::Responded(408 | 429 | 500..=u16::MAX) | Self::TimedOut => 3,
            Self::Unreachable => 2,
            Self::Responded(_) => 1,
        }
    }
}

/// The timeouts and the backoff of deliveries.
#[derive(Clone, Copy, Debug)]
pub(super) struct RetryPolicy {
    /// The timeout of one attempt.
    pub(super) attempt_timeout: Duration,
    /// The timeout of all attempts together, including the backoff between them.
    pub(super) total_timeout: Duration,
    /// The backoff before the second attempt. It doubles with every further attempt.
    pub(super) initial_backoff: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(6),
            total_timeout: Duration::from_secs(15),
            initial_backoff: Duration::from_millis(100),
        }
    }
}

impl RetryPolicy {
    /// The timeout of an attempt that starts now.
    pub(super) fn next_attempt_timeout(&self, elapsed: Duration) -> Duration {
        self.attempt_timeout.min(self.total_timeout.saturating_sub(elapsed))
    }

    /// The backoff after an attempt, or `None` if it was the last one. Attempts count from 1.
    pub(super) fn backoff(
        &self,
        outcome: AttemptOutcome,
        attempt: u32,
        elapsed: Duration,
    ) -> Option<Duration> {
        if attempt >= outcome.max_attempts() {
            return None;
        }
        let backoff = self.initial_backoff * 2_u32.saturating_pow(attempt.saturating_sub(1));
        (elapsed.saturating_add(backoff) < self.total_timeout).then_some(backoff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(outcome: AttemptOutcome) -> usize {
        let retries = |attempt: &u32| {
            RetryPolicy::default().backoff(outcome, *attempt, Duration::ZERO).is_some()
        };
        1 + (1..9).take_while(retries).count()
    }

    #[test]
    fn attempts_depend_on_the_outcome() {
        for (outcome, expected) in [
            (AttemptOutcome::Responded(200), 1),
            (AttemptOutcome::Responded(302), 1),
            (AttemptOutcome::Responded(400), 1),
            (AttemptOutcome::Responded(401), 1),
            (AttemptOutcome::Responded(404), 1),
            (AttemptOutcome::Responded(408), 3),
            (AttemptOutcome::Responded(429), 3),
            (AttemptOutcome::Responded(499), 1),
            (AttemptOutcome::Responded(500), 3),
            (AttemptOutcome::Responded(503), 3),
            (AttemptOutcome::TimedOut, 3),
            (AttemptOutcome::Unreachable, 2),
        ] {
            assert_eq!(attempts(outcome), expected, "{outcome:?}");
        }
    }

    #[test]
    fn backoff_doubles_within_the_total_timeout() {
        let policy = RetryPolicy::default();
        let backoff =
            |attempt, elapsed| policy.backoff(AttemptOutcome::Responded(500), attempt, elapsed);
        assert_eq!(backoff(1, Duration::ZERO), Some(Duration::from_millis(100)));
        assert_eq!(backoff(2, Duration::ZERO), Some(Duration::from_millis(200)));
        assert_eq!(backoff(2, Duration::from_millis(14_700)), Some(Duration::from_millis(200)));
        assert_eq!(backoff(2, Duration::from_millis(14_800)), None);
        assert_eq!(policy.next_attempt_timeout(Duration::ZERO), Duration::from_secs(6));
        assert_eq!(policy.next_attempt_timeout(Duration::from_secs(12)), Duration::from_secs(3));
        assert_eq!(policy.next_attempt_timeout(Duration::from_secs(16)), Duration::ZERO);
    }
}
