//! Whether a request to Stream is sent again, and after how long: a pure function.
//!
//! A request goes out again only where that cannot do a thing twice, only while the invocation
//! has time for it, and never when Stream says that it is of no use.

use std::time::Duration;

use crate::stream::Repeat;

/// How often one request is sent at most.
pub const MOST_ATTEMPTS: u32 = 3;
/// The longest that one attempt may take.
pub const ATTEMPT: Duration = Duration::from_secs(3);
/// An attempt that has less time than this is not worth starting.
const LEAST_ATTEMPT: Duration = Duration::from_millis(100);
/// The first back-off before jitter; each later one is twice as long.
const BACKOFF: Duration = Duration::from_millis(100);

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No connection: Stream cannot have seen the request.
    NotSent,
    /// Sent, but no answer came: it may have taken effect.
    Lost,
    /// Answered with an error.
    Refused {
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
pub fn wait(
    attempt: u32,
    outcome: Outcome,
    repeat: Repeat,
    remaining: Duration,
    jitter: f64,
) -> Option<Duration> {
    let (harmless, asked) = match outcome {
        Outcome::NotSent => (true, None),
        Outcome::Lost => (repeat == Repeat::Safe, None),
        Outcome::Refused { unrecoverable: true, .. } => (false, None),
        // Refused for its number alone, before anything was done.
        Outcome::Refused { status: 429, retry_after, .. } => (true, retry_after),
        Outcome::Refused { status: 408 | 500..=599, retry_after, .. } => {
            (repeat == Repeat::Safe, retry_after)
        }
        Outcome::Refused { .. } => (false, None),
    };
    if !harmless || attempt >= MOST_ATTEMPTS {
        return None;
    }
    let backoff = BACKOFF * 2_u32.saturating_pow(attempt.saturating_sub(1));
    let span = asked.unwrap_or_else(|| backoff.mul_f64(jitter.clamp(0.0, 1.0)));
    (span.saturating_add(LEAST_ATTEMPT) <= remaining).then_some(span)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLENTY: Duration = Duration::from_secs(10);

    fn refused(status: u16) -> Outcome {
        Outcome::Refused { status, unrecoverable: false, retry_after: None }
    }

    #[test]
    fn what_is_sent_again() {
        let cases = [
            // outcome, when safe to repeat, when not
            (Outcome::NotSent, true, true),
            (Outcome::Lost, true, false),
            (refused(500), true, false),
            (refused(502), true, false),
            (refused(503), true, false),
            (refused(408), true, false),
            (refused(429), true, true),
            (refused(400), false, false),
            (refused(401), false, false),
            (refused(403), false, false),
            (refused(404), false, false),
            (refused(413), false, false),
            (
                Outcome::Refused { status: 500, unrecoverable: true, retry_after: None },
                false,
                false,
            ),
            (
                Outcome::Refused { status: 429, unrecoverable: true, retry_after: None },
                false,
                false,
            ),
        ];
        for (outcome, safe, unsafe_) in cases {
            for (repeat, again) in [(Repeat::Safe, safe), (Repeat::Unsafe, unsafe_)] {
                let found = wait(1, outcome, repeat, PLENTY, 0.5).is_some();
                assert_eq!(found, again, "{outcome:?} {repeat:?}");
            }
        }
    }

    #[test]
    fn attempts_are_counted() {
        let again = |attempt| wait(attempt, Outcome::NotSent, Repeat::Safe, PLENTY, 0.5).is_some();
        assert_eq!([again(1), again(2), again(3), again(4)], [true, true, false, false]);
    }

    #[test]
    fn back_off_doubles_under_full_jitter() {
        let span = |attempt, jitter| wait(attempt, Outcome::Lost, Repeat::Safe, PLENTY, jitter);
        assert_eq!(span(1, 0.0), Some(Duration::ZERO));
        assert_eq!(span(1, 1.0), Some(Duration::from_millis(100)));
        assert_eq!(span(2, 1.0), Some(Duration::from_millis(200)));
    }

    #[test]
    fn retry_after_is_honoured_where_it_fits() {
        let asked = |secs, remaining| {
            let outcome = Outcome::Refused {
                status: 429,
                unrecoverable: false,
                retry_after: Some(Duration::from_secs(secs)),
            };
            wait(1, outcome, Repeat::Unsafe, Duration::from_secs(remaining), 0.0)
        };
        assert_eq!(asked(2, 10), Some(Duration::from_secs(2)));
        assert_eq!(asked(10, 10), None);
        assert_eq!(asked(u64::MAX, 10), None);
    }

    #[test]
    fn nothing_starts_that_has_no_time_to_end() {
        let left = |millis| {
            wait(1, Outcome::NotSent, Repeat::Safe, Duration::from_millis(millis), 0.0).is_some()
        };
        assert_eq!([left(0), left(99), left(100)], [false, false, true]);
    }

    proptest! {
        /// Whatever happened, no request goes out that could do a thing twice or that has no time,
        /// and nobody waits longer than the invocation lasts.
        #[test]
        fn no_repeat_is_ever_unsafe_or_late(
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
                (false, _) => Outcome::NotSent,
                (true, false) => Outcome::Lost,
                (true, true) => {
                    let retry_after = asked.map(Duration::from_millis);
                    Outcome::Refused { status, unrecoverable, retry_after }
                }
            };
            let repeat = if safe { Repeat::Safe } else { Repeat::Unsafe };
            let remaining = Duration::from_millis(remaining);
            if let Some(span) = wait(attempt, outcome, repeat, remaining, jitter) {
                prop_assert!(attempt < MOST_ATTEMPTS);
                prop_assert!(span + LEAST_ATTEMPT <= remaining);
                let refused_first = matches!(outcome, Outcome::Refused { status: 429, .. });
                prop_assert!(safe || refused_first || outcome == Outcome::NotSent);
                let useless = matches!(outcome, Outcome::Refused { unrecoverable: true, .. });
                prop_assert!(!useless);
            }
        }
    }
}
