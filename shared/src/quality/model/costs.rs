//! The costs in R of the causes of lower quality.

use crate::quality::cause::Cause;
use crate::quality::emodel::Costs;

/// The cost in R of each cause. The sum may exceed R.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::quality) struct CauseCosts([f64; Cause::ALL.len()]);

impl CauseCosts {
    /// These costs; every other cause costs nothing.
    pub(in crate::quality) fn new<const N: usize>(costs: [(Cause, f64); N]) -> Self {
        let mut all = Self::default();
        for (cause, cost) in costs {
            all.0[cause as usize] = cost;
        }
        all
    }

    /// The cost of a cause.
    #[cfg(test)]
    pub(in crate::quality) fn get(&self, cause: Cause) -> f64 {
        self.0[cause as usize]
    }

    /// The sum of all costs.
    pub(in crate::quality) fn total(&self) -> f64 {
        self.0.iter().sum()
    }

    /// The causes and their costs, in the order of [`Cause::ALL`].
    pub(in crate::quality) fn iter(&self) -> impl Iterator<Item = (Cause, f64)> {
        Cause::ALL.into_iter().zip(self.0)
    }

    /// Adds the product of these costs and a factor.
    pub(in crate::quality) fn add_scaled(&mut self, costs: &Self, factor: f64) {
        for (sum, cost) in self.0.iter_mut().zip(costs.0) {
            *sum += cost * factor;
        }
    }
}

impl From<Costs> for CauseCosts {
    fn from(Costs { latency, jitter, loss, freezes }: Costs) -> Self {
        Self::new([
            (Cause::Latency, latency),
            (Cause::Jitter, jitter),
            (Cause::Loss, loss),
            (Cause::Freezes, freezes),
        ])
    }
}
