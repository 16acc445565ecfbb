//! How the orders are gone through: all of them, or some by chance.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RunOutcome {
    /// Everything held.
    Passed,
    /// It came to a point that was gone on from before.
    Pruned,
    /// Something did not hold.
    Failed(String),
}

/// Who decides what happens next.
pub(crate) trait Chooser {
    /// One of so many options, two at least.
    fn choose(&mut self, options: usize) -> usize;

    /// Whether nobody has gone on from this point yet.
    fn is_new_state(&mut self, digest: u64) -> bool;
}

/// A digest is as good as random already.
#[derive(Default)]
pub(crate) struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

/// The points that were gone on from.
pub(crate) type VisitedStates = HashSet<u64, BuildHasherDefault<IdentityHasher>>;

/// Goes through every order, depth first, each run from the beginning. A point from which
/// everything was tried before, with as many faults left, is not gone on from again: what the
/// world looks like and what each process has heard so far decide all that can follow.
#[derive(Default)]
pub(crate) struct ExhaustiveChooser {
    path: Vec<(usize, usize)>,
    depth: usize,
    /// How far the path is the same as in the run before.
    replayed_depth: usize,
    pub(crate) visited: VisitedStates,
}

impl ExhaustiveChooser {
    /// Goes the same way once more.
    pub(crate) fn replay(&mut self) {
        self.depth = 0;
        self.replayed_depth = usize::MAX;
    }

    /// Goes back to the last point where something else could have been chosen; whether there is
    /// one.
    pub(crate) fn backtrack(&mut self) -> bool {
        self.depth = 0;
        while let Some((chosen, options)) = self.path.pop() {
            if chosen + 1 < options {
                self.path.push((chosen + 1, options));
                self.replayed_depth = self.path.len();
                return true;
            }
        }
        false
    }
}

impl Chooser for ExhaustiveChooser {
    fn choose(&mut self, options: usize) -> usize {
        let depth = self.depth;
        self.depth += 1;
        if let Some((chosen, _)) = self.path.get(depth) {
            return *chosen;
        }
        self.path.push((0, options));
        0
    }

    fn is_new_state(&mut self, digest: u64) -> bool {
        // The way there is gone again by every run.
        self.depth < self.replayed_depth || self.visited.insert(digest)
    }
}

/// Chooses by chance, the same for the same seed.
pub(crate) struct RandomChooser<'a> {
    pub(crate) rng_state: u64,
    pub(crate) visited: &'a mut VisitedStates,
}

impl RandomChooser<'_> {
    /// `SplitMix64`. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number
    /// generators", OOPSLA 2014.
    pub(crate) fn next_u64(&mut self) -> u64 {
        self.rng_state = self.rng_state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.rng_state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Chooser for RandomChooser<'_> {
    fn choose(&mut self, options: usize) -> usize {
        let options = u64::try_from(options).unwrap_or(1).max(1);
        usize::try_from(self.next_u64() % options).unwrap_or(0)
    }

    fn is_new_state(&mut self, digest: u64) -> bool {
        self.visited.insert(digest);
        true
    }
}
