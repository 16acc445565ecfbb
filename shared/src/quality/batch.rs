//! Batches of samples, and the slots in which they are stored.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{BatchId, DeviceId, UserId};
use crate::quality::sample::RawSample;
use crate::quality::{Sample, codec};

/// The samples of a batch: 1 to 60.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Vec<RawSample>")]
pub struct Samples(Vec<Sample>);

impl Samples {
    /// The maximum per batch.
    pub const MAX_COUNT: usize = Sample::MAX_PER_BATCH;

    /// The samples as a slice.
    #[must_use]
    pub fn as_slice(&self) -> &[Sample] {
        &self.0
    }

    /// The samples as a vector.
    #[must_use]
    pub fn into_vec(self) -> Vec<Sample> {
        self.0
    }
}

/// The batch has no samples or too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {} samples", Samples::MAX_COUNT)]
pub struct InvalidSampleCount;

impl TryFrom<Vec<RawSample>> for Samples {
    type Error = InvalidSampleCount;

    fn try_from(raw: Vec<RawSample>) -> Result<Self, InvalidSampleCount> {
        if (1..=Self::MAX_COUNT).contains(&raw.len()) {
            Ok(Self(raw.into_iter().map(Sample::from).collect()))
        } else {
            Err(InvalidSampleCount)
        }
    }
}

impl BatchId {
    /// Derives the id of a batch without one. Equal samples yield equal ids.
    #[must_use]
    pub fn from_samples(samples: &Samples) -> Self {
        Self::from_digest(&sha256(&codec::encode(samples.as_slice())))
    }
}

/// The platform that measured a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Platform {
    /// A phone or tablet by Apple.
    Ios,
    /// An Android device.
    Android,
    /// A browser.
    Web,
    /// Any other platform.
    Other,
}

/// A stored batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The id.
    pub id: BatchId,
    /// The user who sent the samples.
    pub user: UserId,
    /// The platform that measured the samples.
    pub platform: Option<Platform>,
    /// The installation that measured the samples. All its samples have the same clock.
    pub device_id: Option<DeviceId>,
    /// The time of receipt, by the server's clock.
    pub received_at: Timestamp,
    /// The samples.
    pub samples: Vec<Sample>,
}

/// A slot for one batch of a user in a call.
///
/// The number of slots bounds a user's storage without a counter. The batch id determines the probe
/// sequence (open addressing). Slots are freed only by TTL, so a repeated batch finds its first
/// copy before an empty slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u16);

impl Slot {
    /// The number of slots: a prime, so that every step size visits all slots.
    pub const COUNT: u16 = 997;
    /// The probes per batch. With half of the slots taken, 1 in 65,536 batches finds no slot.
    const MAX_PROBES: u16 = 16;

    /// The slots to try for a batch, in order.
    pub fn probe_sequence(id: &BatchId) -> impl Iterator<Item = Self> {
        let digest = sha256(id.as_str().as_bytes());
        let start = u16::from_be_bytes([digest[0], digest[1]]) % Self::COUNT;
        let step = u16::from_be_bytes([digest[2], digest[3]]) % (Self::COUNT - 1) + 1;
        let indices =
            std::iter::successors(Some(start), move |index| Some((index + step) % Self::COUNT));
        indices.take(usize::from(Self::MAX_PROBES)).map(Self)
    }

    /// The slot number, below [`Slot::COUNT`].
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
        serde_json::from_value(json!(vec![json!({"timestamp": 1_767_225_600_000_i64}); count]))
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
        // Enough batches to cover every step size.
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
