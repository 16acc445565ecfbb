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
struct CompactSample(
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
    let samples: Vec<CompactSample> = serde_json::from_str(text).map_err(|_| InvalidEncoding)?;
    Ok(samples.into_iter().map(Sample::from).collect())
}

impl From<CompactSample> for Sample {
    fn from(sample: CompactSample) -> Self {
        Self {
            round_trip_time: sample.2,
            latency: sample.3,
            jitter: sample.4,
            packet_loss: sample.5,
            freeze_count: sample.6,
            freeze_duration: sample.7,
            frame_width: sample.8,
            frame_height: sample.9,
            frame_rate: sample.10,
            bitrate: sample.11,
            audio_level: sample.12,
            concealment: sample.13,
            quality_limitation_reason: sample.14,
            ..sample_without_values(sample.0, sample.1)
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
