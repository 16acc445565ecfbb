//! The stored form of samples before the binary one: a list of lists. Batches in this form are in
//! the table until 30 days after the deployment of the binary one.

use serde::Deserialize;

use super::InvalidEncoding;
use super::fields::sample_without_values;
use crate::clock::Timestamp;
use crate::quality::sample::{Direction, QualityLimitationReason, Sample};
use crate::quality::unit::{KilobitsPerSecond, Millis, Percent};

/// A sample without field names.
#[derive(Deserialize)]
struct Row(
    Timestamp,
    Direction,
    Option<Millis>,
    Option<Millis>,
    Option<Millis>,
    Option<Percent>,
    Option<f64>,
    Option<Millis>,
    Option<f64>,
    Option<f64>,
    Option<f64>,
    Option<KilobitsPerSecond>,
    Option<f64>,
    Option<Percent>,
    Option<QualityLimitationReason>,
);

/// Decodes the JSON of a batch.
///
/// # Errors
///
/// The text is not a list of samples.
pub(in crate::quality) fn decode_json(text: &str) -> Result<Vec<Sample>, InvalidEncoding> {
    let rows: Vec<Row> = serde_json::from_str(text).map_err(|_| InvalidEncoding)?;
    Ok(rows.into_iter().map(Sample::from).collect())
}

impl From<Row> for Sample {
    fn from(row: Row) -> Self {
        Self {
            round_trip_time: row.2,
            latency: row.3,
            jitter: row.4,
            packet_loss: row.5,
            freeze_count: row.6,
            freeze_duration: row.7,
            frame_width: row.8,
            frame_height: row.9,
            frame_rate: row.10,
            bitrate: row.11,
            audio_level: row.12,
            concealment: row.13,
            quality_limitation_reason: row.14,
            ..sample_without_values(row.0, row.1)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::quality::sample::RawSample;

    #[test]
    fn batch_of_an_earlier_version_is_read() {
        let text = r#"[[1767225600123,"inbound",83.4,null,5.0,1.0,1.0,250.0,1280.0,720.0,24.0,
            1250.0,0.25,1.0,null],[1767225600124,"outbound",100.0,30.0,null,null,null,null,null,
            null,null,null,null,null,"bandwidth"]]"#;
        let raw = json!([{
            "timestamp": 1_767_225_600_123_i64, "roundTripTime": 0.0834, "jitter": 0.005,
            "packetsLost": 3, "packetsReceived": 297, "freezeCount": 1,
            "totalFreezesDuration": 0.25, "frameWidth": 1280, "frameHeight": 720,
            "framesPerSecond": 24, "bitrate": 1_250_000, "audioLevel": 0.25,
            "concealedSamples": 480, "totalSamplesReceived": 48_000,
        }, {
            "timestamp": 1_767_225_600_124_i64, "direction": "outbound", "roundTripTime": 0.1,
            "latency": 0.03, "qualityLimitationReason": "bandwidth",
        }]);
        let expected: Vec<RawSample> = serde_json::from_value(raw).unwrap();
        let expected: Vec<Sample> = expected.into_iter().map(Sample::from).collect();
        assert_eq!(decode_json(text).unwrap(), expected);
        assert_eq!(decode_json("[[1]]"), Err(InvalidEncoding));
    }
}
