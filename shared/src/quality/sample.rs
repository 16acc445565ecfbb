//! Samples: values of `RTCPeerConnection.getStats()` that an app reads every few seconds.
//!
//! The fields have the names and units of WebRTC (<https://www.w3.org/TR/webrtc-stats/>). WebRTC's
//! counters are cumulative. An app sends the difference to its previous sample instead, so that
//! each sample is valid even if others are lost.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::quality::unit::{
    BitsPerSecond, Count, EpochMillis, Fraction, FramesPerSecond, KilobitsPerSecond, Millis,
    Percent, Pixels, Seconds, round_to_thousandth,
};

/// The direction of the media, from the participant's view.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Media that the participant receives.
    #[default]
    Inbound,
    /// Media that the participant sends, as reported by the remote end.
    Outbound,
}

/// The limit of the video encoder (`qualityLimitationReason`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QualityLimitationReason {
    /// No limit.
    None,
    /// The CPU.
    Cpu,
    /// The bandwidth.
    Bandwidth,
    /// Another limit.
    Other,
}

/// A sample from an app.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawSample {
    /// By the phone's clock.
    timestamp: EpochMillis,
    #[serde(default)]
    direction: Direction,
    round_trip_time: Option<Seconds>,
    /// One way, if the app has a better value than half of the round trip.
    latency: Option<Seconds>,
    jitter: Option<Seconds>,
    packets_lost: Option<Count>,
    packets_received: Option<Count>,
    /// Used if the packet counts are missing.
    fraction_lost: Option<Fraction>,
    freeze_count: Option<Count>,
    /// Since the previous sample.
    total_freezes_duration: Option<Seconds>,
    frame_width: Option<Pixels>,
    frame_height: Option<Pixels>,
    frames_per_second: Option<FramesPerSecond>,
    bitrate: Option<BitsPerSecond>,
    audio_level: Option<Fraction>,
    concealed_samples: Option<Count>,
    total_samples_received: Option<Count>,
    quality_limitation_reason: Option<QualityLimitationReason>,
}

/// A sample in the units of the response.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "CompactSample", into = "CompactSample")]
pub struct Sample {
    /// The time, by the phone's clock.
    pub at: Timestamp,
    /// The direction.
    pub direction: Direction,
    /// The round-trip time.
    pub round_trip_time: Option<Millis>,
    /// The one-way latency, if the app sends it.
    pub latency: Option<Millis>,
    /// The jitter.
    pub jitter: Option<Millis>,
    /// The packet loss.
    pub packet_loss: Option<Percent>,
    /// The number of freezes.
    pub freeze_count: Option<f64>,
    /// The total duration of the freezes.
    pub freeze_duration: Option<Millis>,
    /// The width of the video frame.
    pub frame_width: Option<f64>,
    /// The height of the video frame.
    pub frame_height: Option<f64>,
    /// The video frames per second.
    pub frame_rate: Option<f64>,
    /// The bitrate, sent or received.
    pub bitrate: Option<KilobitsPerSecond>,
    /// The audio level, 0 to 1.
    pub audio_level: Option<f64>,
    /// The share of concealed audio samples.
    pub concealment: Option<Percent>,
    /// The limit of the video encoder.
    pub quality_limitation_reason: Option<QualityLimitationReason>,
}

impl From<RawSample> for Sample {
    fn from(raw: RawSample) -> Self {
        let counted_loss = match (raw.packets_lost, raw.packets_received) {
            (Some(lost), Some(received)) => lost.percent_of(lost.get() + received.get()),
            _ => None,
        };
        let concealment = match (raw.concealed_samples, raw.total_samples_received) {
            // `totalSamplesReceived` includes the concealed samples.
            (Some(concealed), Some(total)) => {
                concealed.percent_of(total.get().max(concealed.get()))
            }
            _ => None,
        };
        Self {
            at: raw.timestamp.to_timestamp(),
            direction: raw.direction,
            round_trip_time: raw.round_trip_time.map(Millis::from),
            latency: raw.latency.map(Millis::from),
            jitter: raw.jitter.map(Millis::from),
            packet_loss: counted_loss.or(raw.fraction_lost.map(Percent::from)),
            freeze_count: raw.freeze_count.map(|count| count.get().round()),
            freeze_duration: raw.total_freezes_duration.map(Millis::from),
            frame_width: raw.frame_width.map(|width| width.get().round()),
            frame_height: raw.frame_height.map(|height| height.get().round()),
            frame_rate: raw.frames_per_second.map(|rate| round_to_thousandth(rate.get())),
            bitrate: raw.bitrate.map(KilobitsPerSecond::from),
            audio_level: raw.audio_level.map(|level| round_to_thousandth(level.get())),
            concealment,
            quality_limitation_reason: raw.quality_limitation_reason,
        }
    }
}

impl Sample {
    /// The one-way latency: the app's value, or else half of the round-trip time.
    #[must_use]
    pub fn one_way_latency(&self) -> Option<Millis> {
        self.latency.or(self.round_trip_time.map(Millis::one_way))
    }

    /// The shorter side of the video frame, which does not depend on the phone's orientation.
    #[must_use]
    pub fn resolution(&self) -> Option<f64> {
        self.frame_height.map(|height| self.frame_width.map_or(height, |width| width.min(height)))
    }
}

/// The stored form of a sample. Without field names it takes a third of the space.
#[derive(Serialize, Deserialize)]
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

impl From<Sample> for CompactSample {
    fn from(sample: Sample) -> Self {
        Self(
            sample.at,
            sample.direction,
            sample.round_trip_time,
            sample.latency,
            sample.jitter,
            sample.packet_loss,
            sample.freeze_count,
            sample.freeze_duration,
            sample.frame_width,
            sample.frame_height,
            sample.frame_rate,
            sample.bitrate,
            sample.audio_level,
            sample.concealment,
            sample.quality_limitation_reason,
        )
    }
}

impl From<CompactSample> for Sample {
    fn from(compact: CompactSample) -> Self {
        Self {
            at: compact.0,
            direction: compact.1,
            round_trip_time: compact.2,
            latency: compact.3,
            jitter: compact.4,
            packet_loss: compact.5,
            freeze_count: compact.6,
            freeze_duration: compact.7,
            frame_width: compact.8,
            frame_height: compact.9,
            frame_rate: compact.10,
            bitrate: compact.11,
            audio_level: compact.12,
            concealment: compact.13,
            quality_limitation_reason: compact.14,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse_sample(json: serde_json::Value) -> Sample {
        serde_json::from_value::<RawSample>(json).unwrap().into()
    }

    /// A sample that an app derives from Chrome's `inbound-rtp` statistics.
    fn raw_sample() -> serde_json::Value {
        json!({
            "timestamp": 1_767_225_600_123.456,
            "roundTripTime": 0.0834,
            "jitter": 0.005,
            "packetsLost": 3,
            "packetsReceived": 297,
            "freezeCount": 1,
            "totalFreezesDuration": 0.25,
            "frameWidth": 1280,
            "frameHeight": 720,
            "framesPerSecond": 24,
            "bitrate": 1_250_000,
            "audioLevel": 0.25,
            "concealedSamples": 480,
            "totalSamplesReceived": 48_000,
        })
    }

    #[test]
    fn get_stats_values_are_converted() {
        let expected = Sample {
            at: Timestamp::from_millis(1_767_225_600_123),
            direction: Direction::Inbound,
            round_trip_time: Millis::from_stream(83.4),
            latency: None,
            jitter: Millis::from_stream(5.0),
            packet_loss: Count::try_from(1.0).unwrap().percent_of(100.0),
            freeze_count: Some(1.0),
            freeze_duration: Millis::from_stream(250.0),
            frame_width: Some(1280.0),
            frame_height: Some(720.0),
            frame_rate: Some(24.0),
            bitrate: Some(KilobitsPerSecond::from(BitsPerSecond::try_from(1_250_000.0).unwrap())),
            audio_level: Some(0.25),
            concealment: Count::try_from(1.0).unwrap().percent_of(100.0),
            quality_limitation_reason: None,
        };
        assert_eq!(parse_sample(raw_sample()), expected);
        assert_eq!(expected.one_way_latency(), Millis::from_stream(41.7));
    }

    #[test]
    fn remote_inbound_rtp_describes_the_outbound_direction() {
        let sample = parse_sample(json!({
            "timestamp": 1_767_225_600_000_i64,
            "direction": "outbound",
            "latency": 0.03,
            "roundTripTime": 0.1,
            "fractionLost": 0.05,
            "qualityLimitationReason": "bandwidth",
        }));
        assert_eq!(sample.direction, Direction::Outbound);
        assert_eq!(sample.packet_loss, Some(Percent::from(Fraction::try_from(0.05).unwrap())));
        assert_eq!(sample.one_way_latency(), Millis::from_stream(30.0));
        assert_eq!(sample.quality_limitation_reason, Some(QualityLimitationReason::Bandwidth));
    }

    #[test]
    fn packet_loss_is_unknown_without_packet_counts() {
        let at = 1_767_225_600_000_i64;
        let no_packets = json!({"timestamp": at, "packetsLost": 0, "packetsReceived": 0});
        assert_eq!(parse_sample(no_packets).packet_loss, None);
        assert_eq!(parse_sample(json!({"timestamp": at, "packetsLost": 7})).packet_loss, None);
    }

    #[test]
    fn stored_sample_round_trips() {
        let stored = serde_json::to_string(&parse_sample(raw_sample())).unwrap();
        assert!(stored.len() < 120, "{stored}");
        assert_eq!(serde_json::from_str::<Sample>(&stored).unwrap(), parse_sample(raw_sample()));
    }

    #[test]
    fn invalid_values_are_rejected() {
        let parse_error_with = |name: &str, value: serde_json::Value| {
            let mut raw = raw_sample();
            raw[name] = value;
            serde_json::from_value::<RawSample>(raw).map(|_| ()).unwrap_err().to_string()
        };
        for (name, value) in [
            ("timestamp", json!(-1)),
            ("timestamp", json!(946_684_799_999_i64)),
            ("timestamp", json!(4_102_444_800_001_i64)),
            ("roundTripTime", json!(-0.1)),
            ("jitter", json!(1e308)),
            ("jitter", json!("0.1")),
            ("packetsLost", json!(-1)),
            ("fractionLost", json!(1.1)),
            ("totalFreezesDuration", json!(61)),
            ("frameWidth", json!(16_385)),
            ("framesPerSecond", json!(241)),
            ("bitrate", json!(-5)),
            ("audioLevel", json!(2)),
            ("direction", json!("sideways")),
            ("qualityLimitationReason", json!("mood")),
            ("userId", json!("bob")),
        ] {
            assert!(!parse_error_with(name, value.clone()).is_empty(), "{name} {value}");
        }
    }
}
