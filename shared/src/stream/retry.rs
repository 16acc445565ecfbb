//! Whether a request to Stream is sent again, and after how long: a pure function.
//!
//! A request goes out again only where that cannot do a thing twice, only while the invocation
//! has time for it, and never when Stream says that it is of no use.

use std::time::Duration;

use crate::stream::Idempotency;

/// How often one request is sent at most.
pub const MAX_ATTEMPTS: u32 = 3;
/// The longest that one attempt may take.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// An attempt that has less time than this is not worth starting.
const MIN_ATTEMPT_TIME: Duration = Duration::from_millis(100);
/// The first back-off before jitter; each later one is twice as long.
const INITIAL_BACKOFF: Duration = Duration::from_millis(100);

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptFailure {
    /// No connection: Stream cannot have seen the request.
    NotSent,
    /// Sent, but no answer came: it may have taken effect.
    NoResponse,
    /// Answered with an error.
    ErrorStatus {
        /// The HTTP status.
        status: u16,
        /// Whether Stream says that a repeat is of no use.
        unrecoverable: bool,
        /// How long Stream asks to wait.
        retry_after: Option<Duration>,
    },
}

/// How long to wait before the next attempt, or `None` where there is to be none.
///
/// `attempt` counts from 1 and is the one that just failed; `remaining` is the time left to the
/// invocation; `jitter` is a number in `0.0..1.0`.
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
        // Refused for its number alone, before anything was done.
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
            // outcome, when safe to repeat, when not
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
                let found = delay(1, failure, idempotency, LONG_TIMEOUT, 0.5).is_some();
                assert_eq!(found, is_retried, "{failure:?} {idempotency:?}");
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
            let outcome = AttemptFailure::ErrorStatus {
                status: 429,
                unrecoverable: false,
                retry_after: Some(Duration::from_secs(secs)),
            };
            delay(1, outcome, Idempotency::NonIdempotent, Duration::from_secs(remaining), 0.0)
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
        /// Whatever happened, no request goes out that could do a thing twice or that has no time,
        /// and nobody waits longer than the invocation lasts.
        #[test]
        fn retries_are_always_safe_and_within_the_deadline(
            attempt in 0_u32..6,
            status in 100_u16..600,
            sent in any::<bool>(),
            answered in any::<bool>(),
            unrecoverable in any::<bool>(),
            asked in proptest::option::of(0_u64..100_000),
            safe in any::<bool>(),
            remaining in 0_u64..20_000,
            jitter in -1.0..2.0_f64,
        ) {
            let outcome = match (sent, answered) {
                (false, _) => AttemptFailure::NotSent,
                (true, false) => AttemptFailure::NoResponse,
                (true, true) => {
                    let retry_after = asked.map(Duration::from_millis);
                    AttemptFailure::ErrorStatus { status, unrecoverable, retry_after }
                }
            };
            let repeat = if safe { Idempotency::Idempotent } else { Idempotency::NonIdempotent };
            let remaining = Duration::from_millis(remaining);
            if let Some(span) = delay(attempt, outcome, repeat, remaining, jitter) {
                prop_assert!(attempt < MAX_ATTEMPTS);
                prop_assert!(span + MIN_ATTEMPT_TIME <= remaining);
                let is_rate_limited = matches!(outcome, AttemptFailure::ErrorStatus { status: 429, .. });
                prop_assert!(safe || is_rate_limited || outcome == AttemptFailure::NotSent);
                let is_unrecoverable = matches!(outcome, AttemptFailure::ErrorStatus { unrecoverable: true, .. });
                prop_assert!(!is_unrecoverable);
            }
        }
    }
}
