//! The quality of a closed call, as the table stores it.

use serde::{Deserialize, Serialize};

use crate::quality_band::Band;
use crate::score_model::ScoreModel;

/// The quality of a call when the sweeper closed it. Later samples do not change it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallScore {
    /// The mean opinion score.
    pub mos: Mos,
    /// The band of the score before rounding.
    pub label: Band,
    /// Whether the score includes all stored samples.
    pub data_complete: bool,
    /// The version of the formula.
    #[serde(default, skip_serializing_if = "ScoreModel::is_default")]
    pub model: ScoreModel,
}

/// A mean opinion score, 1 to 4.5, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "f64", into = "f64")]
pub struct Mos(u16);

impl From<f64> for Mos {
    fn from(mos: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the value is in bounds, and NaN becomes 0"
        )]
        Self((mos * 1_000.0).round().clamp(0.0, f64::from(u16::MAX)) as u16)
    }
}

impl From<Mos> for f64 {
    fn from(Mos(thousandths): Mos) -> Self {
        Self::from(thousandths) / 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::calls::Call;
    use crate::clock::Timestamp;
    use crate::test_support::active_call;

    #[test]
    fn call_without_a_version_keeps_version_1() {
        let call = active_call(&["alice"], Timestamp::from_secs(1_767_225_600));
        assert_eq!(call.score_model, ScoreModel::CURRENT);
        let mut stored = serde_json::to_value(&call).unwrap();
        assert_eq!(stored["scoreModel"], 2);
        stored.as_object_mut().unwrap().remove("scoreModel");
        let old_call: Call = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(old_call.score_model, ScoreModel::V1);
        assert_eq!(serde_json::to_value(&old_call).unwrap(), stored);
        let old_score = json!({"mos": 4.2, "label": "good", "dataComplete": true});
        let score: CallScore = serde_json::from_value(old_score).unwrap();
        assert_eq!(score.model, ScoreModel::V1);
    }

    #[test]
    fn score_is_stored_in_thousandths() {
        for (mos, expected) in [(4.1234, 4.123), (1.0, 1.0), (4.4999, 4.5), (f64::NAN, 0.0)] {
            let stored = f64::from(Mos::from(mos));
            assert!((stored - expected).abs() < f64::EPSILON, "{stored}");
        }
    }
}
