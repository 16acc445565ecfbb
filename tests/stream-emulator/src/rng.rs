//! A pseudorandom number generator, `SplitMix64`: for seeded shuffles and for webhook ids that are
//! unique across emulators.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// A generator whose sequence is determined by its seed.
#[derive(Debug)]
pub(crate) struct SplitMix64(u64);

impl Default for SplitMix64 {
    /// A random seed. Two emulators must not generate the same ids: a backend that has stored the
    /// ids of the first would treat the webhooks of the second as duplicates.
    fn default() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }
}

impl SplitMix64 {
    pub(crate) const fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Shuffles the items in place.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            let choices = u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1);
            let other = usize::try_from(self.next_u64() % choices).unwrap_or_default();
            items.swap(index, other);
        }
    }

    /// A version 4 UUID.
    pub(crate) fn uuid(&mut self) -> String {
        let (first, second) = (self.next_u64(), self.next_u64());
        format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            first >> 32,
            (first >> 16) & 0xffff,
            first & 0xfff,
            second >> 52,
            second & 0xffff_ffff_ffff,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_equals_reference_splitmix64() {
        let mut numbers = SplitMix64::from_seed(1_234_567);
        assert_eq!(numbers.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(numbers.next_u64(), 3_203_168_211_198_807_973);
        assert_eq!(numbers.next_u64(), 9_817_491_932_198_370_423);
    }

    #[test]
    fn shuffle_is_a_permutation_determined_by_the_seed() {
        let order = |seed: u64| {
            let mut items = [0, 1, 2, 3, 4, 5, 6, 7];
            SplitMix64::from_seed(seed).shuffle(&mut items);
            items
        };
        assert_eq!(order(1), [4, 3, 2, 7, 5, 6, 0, 1]);
        assert_eq!(order(42), [3, 1, 6, 2, 4, 0, 7, 5]);
        SplitMix64::from_seed(1).shuffle::<u8>(&mut []);
    }

    #[test]
    fn ids_are_distinct_version_4_uuids() {
        let mut rng = SplitMix64::default();
        let (first, second) = (rng.uuid(), rng.uuid());
        assert_ne!(first, second);
        assert_ne!(SplitMix64::default().uuid(), SplitMix64::default().uuid());
        let parts: Vec<usize> = first.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert!(first.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit()));
        assert_eq!(&first[14..15], "4");
    }
}
