//! The versions of the score's formula.

use serde::{Deserialize, Serialize};

/// A version of the formula. A call keeps the version of its creation, so that its score never
/// changes (`docs/adr/0035-score-model-2.md`).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(into = "u8", try_from = "u8")]
pub enum ScoreModel {
    /// A field form of the E-model, with frozen video. The version of items without one.
    #[default]
    V1,
    /// Audio by ITU-T G.107, and video by ITU-T P.1203.1.
    V2,
}

impl ScoreModel {
    /// The version of new calls.
    pub const CURRENT: Self = Self::V2;

    /// The name in responses and events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "g107-field-1",
            Self::V2 => "g107-p1203-2",
        }
    }

    /// Whether this is the version of items without one.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// No version of the formula has this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown version of the score's formula")]
pub struct UnknownScoreModel;

impl TryFrom<u8> for ScoreModel {
    type Error = UnknownScoreModel;

    fn try_from(number: u8) -> Result<Self, UnknownScoreModel> {
        match number {
            1 => Ok(Self::V1),
            2 => Ok(Self::V2),
            _ => Err(UnknownScoreModel),
        }
    }
}

impl From<ScoreModel> for u8 {
    fn from(model: ScoreModel) -> Self {
        match model {
            ScoreModel::V1 => 1,
            ScoreModel::V2 => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_stored_as_its_number() {
        for model in [ScoreModel::V1, ScoreModel::V2] {
            let stored = serde_json::to_string(&model).unwrap();
            assert_eq!(serde_json::from_str::<ScoreModel>(&stored).unwrap(), model);
            assert!(model.name().ends_with(&format!("-{stored}")));
        }
        assert!(serde_json::from_str::<ScoreModel>("3").is_err());
    }
}
