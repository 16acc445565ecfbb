//! Batches of samples: what an app sends at once, and where it is kept.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{BatchId, UserId};
use crate::quality::Sample;
use crate::quality::sample::Reported;

/// The samples of a batch: 1 to 60 of them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Vec<Reported>")]
pub struct Samples(Vec<Sample>);

impl Samples {
    /// The most that a batch has: half a minute of one a second, both ways.
    pub const MOST: usize = 60;

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
#[error("must have 1 to {} samples", Samples::MOST)]
pub struct BadNumber;

impl TryFrom<Vec<Reported>> for Samples {
    type Error = BadNumber;

    fn try_from(reported: Vec<Reported>) -> Result<Self, BadNumber> {
        if (1..=Self::MOST).contains(&reported.len()) {
            Ok(Self(reported.into_iter().map(Sample::from).collect()))
        } else {
            Err(BadNumber)
        }
    }
}

impl BatchId {
    /// The id of a batch that has none: the same for the same samples.
    #[must_use]
    pub fn of(samples: &Samples) -> Self {
        let text = serde_json::to_vec(samples.as_slice()).unwrap_or_default();
        Self::from_digest(&digest(&text))
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
    const TRIED: u16 = 16;

    /// Where a batch may be, the first place first.
    pub fn of(id: &BatchId) -> impl Iterator<Item = Self> {
        let digest = digest(id.as_str().as_bytes());
        let start = u16::from_be_bytes([digest[0], digest[1]]) % Self::COUNT;
        let step = u16::from_be_bytes([digest[2], digest[3]]) % (Self::COUNT - 1) + 1;
        let places = std::iter::successors(Some(start), move |at| Some((at + step) % Self::COUNT));
        places.take(usize::from(Self::TRIED)).map(Self)
    }

    /// Its number, below [`Slot::COUNT`].
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
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
    fn a_batch_has_so_many_samples_and_no_more() {
        for (count, good) in [(0, false), (1, true), (60, true), (61, false)] {
            assert_eq!(samples(count).is_ok(), good, "{count}");
        }
    }

    #[test]
    fn samples_name_their_batch() {
        let id = |count| BatchId::of(&samples(count).unwrap());
        assert_eq!(id(2), id(2));
        assert_ne!(id(2), id(3));
        assert!(BatchId::try_from(id(2).as_str().to_owned()).is_ok());
    }

    #[test]
    fn half_of_the_places_are_filled_without_a_refusal() {
        let mut taken = BTreeSet::new();
        for number in 0..480 {
            let id = BatchId::try_from(format!("batch-{number}")).unwrap();
            assert!(Slot::of(&id).any(|slot| taken.insert(slot)), "{number}");
        }
        assert_eq!(taken.len(), 480);
    }

    #[test]
    fn every_step_goes_somewhere() {
        // So many that every step is among them.
        for number in 0..20_000 {
            let id = BatchId::try_from(format!("batch-{number}")).unwrap();
            let places: BTreeSet<Slot> = Slot::of(&id).collect();
            assert_eq!(places.len(), 16, "{number}");
        }
    }

    proptest! {
        #[test]
        fn places_are_different_and_always_the_same(name in "[a-z0-9_-]{1,64}") {
            let id = BatchId::try_from(name).unwrap();
            let places: Vec<Slot> = Slot::of(&id).collect();
            let different: BTreeSet<_> = places.iter().collect();
            prop_assert_eq!(different.len(), 16);
            prop_assert!(places.iter().all(|slot| slot.number() < Slot::COUNT));
            prop_assert_eq!(places, Slot::of(&id).collect::<Vec<_>>());
        }
    }
}
