//! The choice of schedules: exhaustive or random.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RunOutcome {
    /// No violation occurred.
    Passed,
    /// The run reached a state that was explored before.
    Pruned,
    /// A violation occurred.
    Failed(String),
}

/// Chooses what happens next.
pub(crate) trait Chooser {
    /// Chooses one of at least two options.
    fn choose(&mut self, options: usize) -> usize;

    /// Records a state. Returns whether the run should continue from it.
    fn is_new_state(&mut self, digest: u64) -> bool;
}

/// A hasher for digests, which need no further hashing.
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

/// The digests of the visited states.
pub(crate) type VisitedStates = HashSet<u64, BuildHasherDefault<IdentityHasher>>;

/// Explores all schedules by depth-first search. Each run starts from the initial state. The search
/// does not continue from a state that it has visited with the same number of remaining faults: the
/// model and the responses to each process determine everything that follows.
#[derive(Default)]
pub(crate) struct ExhaustiveChooser {
    path: Vec<(usize, usize)>,
    depth: usize,
    /// The length of the path that is equal to that of the previous run.
    replayed_depth: usize,
    pub(crate) visited: VisitedStates,
}

impl ExhaustiveChooser {
    /// Repeats the same schedule in the next run.
    pub(crate) fn replay(&mut self) {
        self.depth = 0;
        self.replayed_depth = usize::MAX;
    }

    /// Moves to the next unexplored schedule. Returns whether there is one.
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
        // Each run passes the states of its replayed path again.
        self.depth < self.replayed_depth || self.visited.insert(digest)
    }
}

/// Chooses at random. The same seed gives the same choices.
pub(crate) struct RandomChooser<'a> {
    pub(crate) rng_state: u64,
    pub(crate) visited: &'a mut VisitedStates,
}

impl RandomChooser<'_> {
    pub(crate) fn next_u64(&mut self) -> u64 {
        split_mix(&mut self.rng_state)
    }
}

/// `SplitMix64`. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
/// OOPSLA 2014.
pub(crate) fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
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
