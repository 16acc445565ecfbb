//! The retry policy for requests to Stream, a pure function.
//!
//! A request is retried only if that cannot repeat its effect, only within the deadline of the
//! invocation, and never if Stream marks the error as not retryable.

use std::time::Duration;

use crate::stream::Idempotency;

/// The maximum number of attempts of a request.
pub const MAX_ATTEMPTS: u32 = 3;
/// The timeout of an attempt.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// The minimum time for an attempt. With less time, no attempt starts.
const MIN_ATTEMPT_TIME: Duration = Duration::from_millis(100);
/// The first backoff before jitter. Each further backoff is twice as long.
const INITIAL_BACKOFF: Duration = Duration::from_millis(100);

/// The failure of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptFailure {
    /// No connection. Stream cannot have received the request.
    NotSent,
    /// Sent without a response. The request may have had an effect.
    NoResponse,
    /// An error response.
    ErrorStatus {
        /// The HTTP status.
        status: u16,
        /// Whether Stream marks the error as not retryable.
        unrecoverable: bool,
        /// The delay that Stream requests.
        retry_after: Option<Duration>,
    },
}

/// The delay before the next attempt, or `None` if the request is not retried.
///
/// `attempt` is the number of the failed attempt, starting with 1. `remaining` is the remaining
/// time of the invocation. `jitter` is a number in `0.0..1.0`.
#[must_use]
pub fn delay(
    attempt: u32,
    failure: AttemptFailure,
    idempotency: Idempotency,
    remaining: Duration,
    jitter: f64,
) -> Option<Duration> {
    let (is_safe, requested_delay) = match failure {
        AttemptFailure::NotSent => (true, None),
        AttemptFailure::NoResponse => (idempotency == Idempotency::Idempotent, None),
        AttemptFailure::ErrorStatus { unrecoverable: true, .. } => (false, None),
        // The rate limit rejects a request before it has an effect.
        AttemptFailure::ErrorStatus { status: 429, retry_after, .. } => (true, retry_after),
        AttemptFailure::ErrorStatus { status: 408 | 500..=599, retry_after, .. } => {
            (idempotency == Idempotency::Idempotent, retry_after)
        }
        AttemptFailure::ErrorStatus { .. } => (false, None),
    };
    if !is_safe || attempt >= MAX_ATTEMPTS {
        return None;
    }
    let backoff = INITIAL_BACKOFF * 2_u32.saturating_pow(attempt.saturating_sub(1));
    let delay = requested_delay.unwrap_or_else(|| backoff.mul_f64(jitter.clamp(0.0, 1.0)));
    (delay.saturating_add(MIN_ATTEMPT_TIME) <= remaining).then_some(delay)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONG_TIMEOUT: Duration = Duration::from_secs(10);

    fn error_status(status: u16) -> AttemptFailure {
        AttemptFailure::ErrorStatus { status, unrecoverable: false, retry_after: None }
    }

    #[test]
    fn retry_depends_on_failure_and_idempotency() {
        let cases = [
            // failure, retried if idempotent, retried if not idempotent
            (AttemptFailure::NotSent, true, true),
            (AttemptFailure::NoResponse, true, false),
            (error_status(500), true, false),
            (error_status(502), true, false),
            (error_status(503), true, false),
            (error_status(408), true, false),
            (error_status(429), true, true),
            (error_status(400), false, false),
            (error_status(401), false, false),
            (error_status(403), false, false),
            (error_status(404), false, false),
            (error_status(413), false, false),
            (
                AttemptFailure::ErrorStatus { status: 500, unrecoverable: true, retry_after: None },
                false,
                false,
            ),
            (
                AttemptFailure::ErrorStatus { status: 429, unrecoverable: true, retry_after: None },
                false,
                false,
            ),
        ];
        for (failure, if_idempotent, if_non_idempotent) in cases {
            for (idempotency, is_retried) in [
                (Idempotency::Idempotent, if_idempotent),
                (Idempotency::NonIdempotent, if_non_idempotent),
            ] {
                let result = delay(1, failure, idempotency, LONG_TIMEOUT, 0.5).is_some();
                assert_eq!(result, is_retried, "{failure:?} {idempotency:?}");
            }
        }
    }

    #[test]
    fn attempts_are_limited_to_three() {
        let is_retried = |attempt| {
            delay(attempt, AttemptFailure::NotSent, Idempotency::Idempotent, LONG_TIMEOUT, 0.5)
                .is_some()
        };
        assert_eq!(
            [is_retried(1), is_retried(2), is_retried(3), is_retried(4)],
            [true, true, false, false]
        );
    }

    #[test]
    fn back_off_doubles_under_full_jitter() {
        let backoff = |attempt, jitter| {
            delay(
                attempt,
                AttemptFailure::NoResponse,
                Idempotency::Idempotent,
                LONG_TIMEOUT,
                jitter,
            )
        };
        assert_eq!(backoff(1, 0.0), Some(Duration::ZERO));
        assert_eq!(backoff(1, 1.0), Some(Duration::from_millis(100)));
        assert_eq!(backoff(2, 1.0), Some(Duration::from_millis(200)));
    }

    #[test]
    fn retry_after_is_honoured_within_the_deadline() {
        let delay_for = |secs, remaining| {
            let failure = AttemptFailure::ErrorStatus {
                status: 429,
                unrecoverable: false,
                retry_after: Some(Duration::from_secs(secs)),
            };
            delay(1, failure, Idempotency::NonIdempotent, Duration::from_secs(remaining), 0.0)
        };
        assert_eq!(delay_for(2, 10), Some(Duration::from_secs(2)));
        assert_eq!(delay_for(10, 10), None);
        assert_eq!(delay_for(u64::MAX, 10), None);
    }

    #[test]
    fn no_retry_without_time_for_an_attempt() {
        let is_retried_with = |millis| {
            delay(
                1,
                AttemptFailure::NotSent,
                Idempotency::Idempotent,
                Duration::from_millis(millis),
                0.0,
            )
            .is_some()
        };
        assert_eq!(
            [is_retried_with(0), is_retried_with(99), is_retried_with(100)],
            [false, false, true]
        );
    }

    proptest! {
        /// For every failure, a retry cannot repeat an effect, and it has time for an attempt
        /// within the deadline.
        #[test]
        fn retries_are_always_safe_and_within_the_deadline(
            attempt in 0_u32..6,
            status in 100_u16..600,
            is_sent in any::<bool>(),
            has_response in any::<bool>(),
            unrecoverable in any::<bool>(),
            retry_after in proptest::option::of(0_u64..100_000),
            is_idempotent in any::<bool>(),
            remaining in 0_u64..20_000,
            jitter in -1.0..2.0_f64,
        ) {
            let failure = match (is_sent, has_response) {
                (false, _) => AttemptFailure::NotSent,
                (true, false) => AttemptFailure::NoResponse,
                (true, true) => {
                    let retry_after = retry_after.map(Duration::from_millis);
                    AttemptFailure::ErrorStatus { status, unrecoverable, retry_after }
                }
            };
            let idempotency = if is_idempotent {
                Idempotency::Idempotent
            } else {
                Idempotency::NonIdempotent
            };
            let remaining = Duration::from_millis(remaining);
            if let Some(delay) = delay(attempt, failure, idempotency, remaining, jitter) {
                prop_assert!(attempt < MAX_ATTEMPTS);
                prop_assert!(delay + MIN_ATTEMPT_TIME <= remaining);
                let is_rate_limited = matches!(failure, AttemptFailure::ErrorStatus { status: 429, .. });
                let is_not_sent = failure == AttemptFailure::NotSent;
                prop_assert!(is_idempotent || is_rate_limited || is_not_sent);
                let is_unrecoverable = matches!(failure, AttemptFailure::ErrorStatus { unrecoverable: true, .. });
                prop_assert!(!is_unrecoverable);
            }
        }
    }
}
