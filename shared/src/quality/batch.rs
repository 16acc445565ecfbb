//! Batches of samples: what an app sends at once, and where it is kept.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{BatchId, UserId};
use crate::quality::Sample;
use crate::quality::sample::RawSample;

/// The samples of a batch: 1 to 60 of them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Vec<RawSample>")]
pub struct Samples(Vec<Sample>);

impl Samples {
    /// The most that a batch has: half a minute of one a second, both ways.
    pub const MAX_COUNT: usize = 60;

    /// The samples themselves.
    #[must_use]
    pub fn as_slice(&self) -> &[Sample] {
        &self.0
    }

    /// The samples themselves.
    #[must_use]
    pub fn into_vec(self) -> Vec<Sample> {
        self.0
    }
}

/// Why a batch's samples are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {} samples", Samples::MAX_COUNT)]
pub struct InvalidSampleCount;

impl TryFrom<Vec<RawSample>> for Samples {
    type Error = InvalidSampleCount;

    fn try_from(reported: Vec<RawSample>) -> Result<Self, InvalidSampleCount> {
        if (1..=Self::MAX_COUNT).contains(&reported.len()) {
            Ok(Self(reported.into_iter().map(Sample::from).collect()))
        } else {
            Err(InvalidSampleCount)
        }
    }
}

impl BatchId {
    /// The id of a batch that has none: the same for the same samples.
    #[must_use]
    pub fn from_samples(samples: &Samples) -> Self {
        let json = serde_json::to_vec(samples.as_slice()).unwrap_or_default();
        Self::from_digest(&sha256(&json))
    }
}

/// What a batch was measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// Apple's phones and tablets.
    Ios,
    /// Android.
    Android,
    /// A browser.
    Web,
    /// Something else.
    Other,
}

/// A batch as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Its id.
    pub id: BatchId,
    /// Whose samples they are.
    pub user: UserId,
    /// What they were measured on.
    pub platform: Option<Platform>,
    /// When it came, by our clock.
    pub received_at: Timestamp,
    /// The samples.
    pub samples: Vec<Sample>,
}

/// One of the places in which a user's batches of a call are kept.
///
/// There are only so many, so nobody can store without bounds, and nothing has to be counted: a
/// batch's id says where it is looked for and put, one place after the other. A place is never
/// given up, so a batch that is repeated meets itself first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u16);

impl Slot {
    /// How many there are: a prime, so that every step goes round all of them.
    pub const COUNT: u16 = 997;
    /// How many are tried. With half of them taken, one batch in 65,536 finds no place.
    const MAX_PROBES: u16 = 16;

    /// Where a batch may be, the first place first.
    pub fn probe_sequence(id: &BatchId) -> impl Iterator<Item = Self> {
        let digest = sha256(id.as_str().as_bytes());
        let start = u16::from_be_bytes([digest[0], digest[1]]) % Self::COUNT;
        let step = u16::from_be_bytes([digest[2], digest[3]]) % (Self::COUNT - 1) + 1;
        let indices =
            std::iter::successors(Some(start), move |index| Some((index + step) % Self::COUNT));
        indices.take(usize::from(Self::MAX_PROBES)).map(Self)
    }

    /// Its number, below [`Slot::COUNT`].
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    digest
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn samples(count: usize) -> Result<Samples, serde_json::Error> {
        serde_json::from_value(json!(vec![json!({"timestamp": 5}); count]))
    }

    #[test]
    fn batch_size_is_limited() {
        for (count, is_valid) in [(0, false), (1, true), (60, true), (61, false)] {
            assert_eq!(samples(count).is_ok(), is_valid, "{count}");
        }
    }

    #[test]
    fn batch_id_is_derived_from_the_samples() {
        let id = |count| BatchId::from_samples(&samples(count).unwrap());
        assert_eq!(id(2), id(2));
        assert_ne!(id(2), id(3));
        assert!(BatchId::try_from(id(2).as_str().to_owned()).is_ok());
    }

    #[test]
    fn half_of_the_slots_are_filled_without_rejection() {
        let mut taken = BTreeSet::new();
        for number in 0..480 {
            let id = BatchId::try_from(format!("batch-{number}")).unwrap();
            assert!(Slot::probe_sequence(&id).any(|slot| taken.insert(slot)), "{number}");
        }
        assert_eq!(taken.len(), 480);
    }

    #[test]
    fn every_probe_sequence_has_distinct_slots() {
        // So many that every step is among them.
        for number in 0..20_000 {
            let id = BatchId::try_from(format!("batch-{number}")).unwrap();
            let slots: BTreeSet<Slot> = Slot::probe_sequence(&id).collect();
            assert_eq!(slots.len(), 16, "{number}");
        }
    }

    proptest! {
        #[test]
        fn probe_sequence_is_distinct_and_deterministic(name in "[a-z0-9_-]{1,64}") {
            let id = BatchId::try_from(name).unwrap();
            let slots: Vec<Slot> = Slot::probe_sequence(&id).collect();
            let distinct: BTreeSet<_> = slots.iter().collect();
            prop_assert_eq!(distinct.len(), 16);
            prop_assert!(slots.iter().all(|slot| slot.number() < Slot::COUNT));
            prop_assert_eq!(slots, Slot::probe_sequence(&id).collect::<Vec<_>>());
        }
    }
}
