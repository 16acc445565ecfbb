//! The perceived quality as a category.

use serde::{Deserialize, Serialize};

/// The perceived quality as a category, by its mean opinion score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Band {
    /// Below 3.10.
    Bad,
    /// From 3.10.
    Poor,
    /// From 3.60.
    Fair,
    /// From 4.02.
    Good,
    /// From 4.34.
    Excellent,
}
