//! The rating of a direction.

use serde::{Deserialize, Serialize};

use crate::quality::model::costs::CauseCosts;
use crate::quality::score::Score;

/// A medium of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Medium {
    /// The audio.
    Audio,
    /// The video.
    Video,
}

/// A score and the cost of each cause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::quality) struct Rating {
    pub(in crate::quality) score: Score,
    pub(in crate::quality) costs: CauseCosts,
}

/// The ratings of a direction.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::quality) struct Ratings {
    /// The rating of the direction; `None` if an input is missing.
    pub(in crate::quality) overall: Option<Rating>,
    /// The medium that determines the rating; `None` in version 1.
    pub(in crate::quality) medium: Option<Medium>,
    pub(in crate::quality) audio: Option<Rating>,
    pub(in crate::quality) video: Option<Rating>,
}
