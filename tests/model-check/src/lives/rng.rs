//! The random choices of a life.

use std::ops::Range;
use std::time::Duration;

use crate::explore::split_mix;

/// A generator of random numbers. The same seed and life give the same numbers.
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64, life: u64) -> Self {
        let mut state = seed;
        let mixed_seed = split_mix(&mut state);
        Self(mixed_seed ^ life.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// A number below `limit`, or zero.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        split_mix(&mut self.0) % limit.max(1)
    }

    /// A number below `limit`, or zero.
    pub(super) fn index(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        usize::try_from(self.below(limit)).unwrap_or(0)
    }

    /// Whether an event with this probability occurs.
    pub(super) fn percent(&mut self, probability: u64) -> bool {
        self.below(100) < probability
    }

    /// Whether an event occurs that happens once in `n` times. Zero is never.
    pub(super) fn one_in(&mut self, n: u64) -> bool {
        n > 0 && self.below(n) == 0
    }

    /// One of the options.
    pub(super) fn pick<T: Copy, const N: usize>(&mut self, options: [T; N]) -> T {
        options[self.index(N)]
    }

    /// A duration in milliseconds.
    pub(super) fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(range.start + self.below(range.end - range.start))
    }
}
