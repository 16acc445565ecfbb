//! Samples: what an app reads of `RTCPeerConnection.getStats()` every few seconds.
//!
//! The fields have WebRTC's own names and units (<https://www.w3.org/TR/webrtc-stats/>). What
//! WebRTC counts up over a connection's life, an app sends as the difference to its sample before:
//! then a sample says something by itself, whatever became of the others.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::quality::unit::{
    BitsPerSecond, Count, EpochMillis, Fraction, FramesPerSecond, KilobitsPerSecond, Millis,
    Percent, Pixels, Seconds, round_to_thousandth,
};

/// Which way the media go, seen from the participant.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// What the participant hears and sees.
    #[default]
    Inbound,
    /// What the participant sends, as the other end reports it.
    Outbound,
}

/// What keeps an encoder from doing better (`qualityLimitationReason`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QualityLimitationReason {
    /// Nothing.
    None,
    /// The phone.
    Cpu,
    /// The network.
    Bandwidth,
    /// Something else.
    Other,
}

/// A sample as an app sends it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawSample {
    /// Milliseconds since the Unix epoch by the phone's clock.
    timestamp: EpochMillis,
    #[serde(default)]
    direction: Direction,
    /// There and back, in seconds.
    round_trip_time: Option<Seconds>,
    /// One way, in seconds, where the app knows better than half of there and back.
    latency: Option<Seconds>,
    /// In seconds.
    jitter: Option<Seconds>,
    packets_lost: Option<Count>,
    packets_received: Option<Count>,
    /// Where the packets are not counted.
    fraction_lost: Option<Fraction>,
    freeze_count: Option<Count>,
    /// In seconds, since the sample before.
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

/// A sample in the units that everything here is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "CompactSample", into = "CompactSample")]
pub struct Sample {
    /// When, by the phone's clock.
    pub at: Timestamp,
    /// Which way.
    pub direction: Direction,
    /// There and back.
    pub round_trip_time: Option<Millis>,
    /// One way, where it is known by itself.
    pub latency: Option<Millis>,
    /// Jitter.
    pub jitter: Option<Millis>,
    /// Packets lost.
    pub packet_loss: Option<Percent>,
    /// How often the picture stood still.
    pub freeze_count: Option<f64>,
    /// For how long.
    pub freeze_duration: Option<Millis>,
    /// The picture's width.
    pub frame_width: Option<f64>,
    /// The picture's height.
    pub frame_height: Option<f64>,
    /// Pictures a second.
    pub frame_rate: Option<f64>,
    /// How much was sent or received.
    pub bitrate: Option<KilobitsPerSecond>,
    /// How loud it was, 0 to 1.
    pub audio_level: Option<f64>,
    /// How much of the sound was made up to fill gaps.
    pub concealment: Option<Percent>,
    /// What kept the encoder from doing better.
    pub quality_limitation_reason: Option<QualityLimitationReason>,
}

impl From<RawSample> for Sample {
    fn from(raw: RawSample) -> Self {
        let counted_loss = match (raw.packets_lost, raw.packets_received) {
            (Some(lost), Some(received)) => lost.percent_of(lost.get() + received.get()),
            _ => None,
        };
        let concealment = match (raw.concealed_samples, raw.total_samples_received) {
            // Concealed samples are among those received.
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
            freeze_count: raw.freeze_count.map(|it| it.get().round()),
            freeze_duration: raw.total_freezes_duration.map(Millis::from),
            frame_width: raw.frame_width.map(|it| it.get().round()),
            frame_height: raw.frame_height.map(|it| it.get().round()),
            frame_rate: raw.frames_per_second.map(|it| round_to_thousandth(it.get())),
            bitrate: raw.bitrate.map(KilobitsPerSecond::from),
            audio_level: raw.audio_level.map(|it| round_to_thousandth(it.get())),
            concealment,
            quality_limitation_reason: raw.quality_limitation_reason,
        }
    }
}

impl Sample {
    /// One-way latency: as it was told, or else half of there and back.
    #[must_use]
    pub fn one_way_latency(&self) -> Option<Millis> {
        self.latency.or(self.round_trip_time.map(Millis::one_way))
    }

    /// How many lines the picture has, whichever way the phone is held: the shorter side.
    #[must_use]
    pub fn resolution(&self) -> Option<f64> {
        self.frame_height.map(|height| self.frame_width.map_or(height, |width| width.min(height)))
    }
}

/// A sample as it is stored: a third of the room that names would take.
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

    /// What Chrome's `getStats` says of an `inbound-rtp`, as an app sends it.
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
        let found = parse_sample(json!({
            "timestamp": 1_767_225_600_000_i64,
            "direction": "outbound",
            "latency": 0.03,
            "roundTripTime": 0.1,
            "fractionLost": 0.05,
            "qualityLimitationReason": "bandwidth",
        }));
        assert_eq!(found.direction, Direction::Outbound);
        assert_eq!(found.packet_loss, Some(Percent::from(Fraction::try_from(0.05).unwrap())));
        assert_eq!(found.one_way_latency(), Millis::from_stream(30.0));
        assert_eq!(found.quality_limitation_reason, Some(QualityLimitationReason::Bandwidth));
    }

    #[test]
    fn packet_loss_is_unknown_without_packet_counts() {
        let no_packets = json!({"timestamp": 0, "packetsLost": 0, "packetsReceived": 0});
        assert_eq!(parse_sample(no_packets).packet_loss, None);
        assert_eq!(parse_sample(json!({"timestamp": 0, "packetsLost": 7})).packet_loss, None);
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
