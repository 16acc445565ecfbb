//! How the orders are gone through: all of them, or some by chance.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything held.
    Good,
    /// It came to a point that was gone on from before.
    Known,
    /// Something did not hold.
    Wrong(String),
}

/// Who decides what happens next.
pub(crate) trait Chooser {
    /// One of so many options, two at least.
    fn choose(&mut self, options: usize) -> usize;

    /// Whether nobody has gone on from this point yet.
    fn is_news(&mut self, digest: u64) -> bool;
}

/// A digest is as good as random already.
#[derive(Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// The points that were gone on from.
pub(crate) type Seen = HashSet<u64, BuildHasherDefault<AsItIs>>;

/// Goes through every order, depth first, each run from the beginning. A point from which
/// everything was tried before, with as many faults left, is not gone on from again: what the
/// world looks like and what each process has heard so far decide all that can follow.
#[derive(Default)]
pub(crate) struct Every {
    path: Vec<(usize, usize)>,
    depth: usize,
    /// How far the path is the same as in the run before.
    known: usize,
    pub(crate) seen: Seen,
}

impl Every {
    /// Goes the same way once more.
    pub(crate) fn again(&mut self) {
        self.depth = 0;
        self.known = usize::MAX;
    }

    /// Goes back to the last point where something else could have been chosen; whether there is
    /// one.
    pub(crate) fn next(&mut self) -> bool {
        self.depth = 0;
        while let Some((chosen, options)) = self.path.pop() {
            if chosen + 1 < options {
                self.path.push((chosen + 1, options));
                self.known = self.path.len();
                return true;
            }
        }
        false
    }
}

impl Chooser for Every {
    fn choose(&mut self, options: usize) -> usize {
        let depth = self.depth;
        self.depth += 1;
        if let Some((chosen, _)) = self.path.get(depth) {
            return *chosen;
        }
        self.path.push((0, options));
        0
    }

    fn is_news(&mut self, digest: u64) -> bool {
        // The way there is gone again by every run.
        self.depth < self.known || self.seen.insert(digest)
    }
}

/// Chooses by chance, the same for the same seed.
pub(crate) struct Dice<'a> {
    pub(crate) state: u64,
    pub(crate) seen: &'a mut Seen,
}

impl Dice<'_> {
    /// `SplitMix64`. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number
    /// generators", OOPSLA 2014.
    pub(crate) fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Chooser for Dice<'_> {
    fn choose(&mut self, options: usize) -> usize {
        let options = u64::try_from(options).unwrap_or(1).max(1);
        usize::try_from(self.roll() % options).unwrap_or(0)
    }

    fn is_news(&mut self, digest: u64) -> bool {
        self.seen.insert(digest);
        true
    }
}
