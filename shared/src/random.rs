//! Randomness. All other code takes a [`Random`], so that a test controls ids and jitter.

use uuid::{Builder, Uuid};

use crate::clock::Timestamp;

/// A source of ids and of jitter.
pub trait Random: Send + Sync {
    /// A version 4 UUID (RFC 9562, section 5.4): 122 random bits.
    fn uuid_v4(&self) -> Uuid;

    /// A version 7 UUID (RFC 9562, section 5.7), which sorts by the millisecond of its creation.
    fn uuid_v7(&self, now: Timestamp) -> Uuid {
        // Both versions have their fixed bits at the same positions of the last ten bytes.
        let [_, _, _, _, _, _, tail @ ..] = self.uuid_v4().into_bytes();
        Builder::from_unix_timestamp_millis(u64::try_from(now.as_millis()).unwrap_or(0), &tail)
            .into_uuid()
    }

    /// A number in `0.0..1.0`, for jitter.
    fn unit_f64(&self) -> f64 {
        let [a, b, c, d, ..] = self.uuid_v4().into_bytes();
        f64::from(u32::from_be_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0)
    }
}

/// The random number generator of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn uuid_v4(&self) -> Uuid {
        Uuid::new_v4()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_ids_sort_after_earlier_ones() {
        let at = |secs| SystemRandom.uuid_v7(Timestamp::from_secs(secs));
        let (first, second) = (at(1_767_225_600), at(1_767_225_601));
        assert!(first < second);
        assert_eq!(first.get_version_num(), 7);
        assert_ne!(at(1_767_225_600), first);
    }

    #[test]
    fn jitter_stays_below_one() {
        for _ in 0..1000 {
            assert!((0.0..1.0).contains(&SystemRandom.unit_f64()));
        }
    }
}
