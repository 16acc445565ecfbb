//! Samples: what an app reads of `RTCPeerConnection.getStats()` every few seconds.
//!
//! The fields have WebRTC's own names and units (<https://www.w3.org/TR/webrtc-stats/>). What
//! WebRTC counts up over a connection's life, an app sends as the difference to its sample before:
//! then a sample says something by itself, whatever became of the others.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::quality::unit::{
    BitsPerSecond, Count, EpochMillis, Fraction, FramesPerSecond, Kilobits, Millis, Percent,
    Pixels, Seconds, rounded,
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
pub enum Limitation {
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
pub struct Reported {
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
    quality_limitation_reason: Option<Limitation>,
}

/// A sample in the units that everything here is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
pub struct Sample {
    /// When, by the phone's clock.
    pub at: Timestamp,
    /// Which way.
    pub direction: Direction,
    /// There and back.
    pub round_trip: Option<Millis>,
    /// One way, where it is known by itself.
    pub latency: Option<Millis>,
    /// Jitter.
    pub jitter: Option<Millis>,
    /// Packets lost.
    pub loss: Option<Percent>,
    /// How often the picture stood still.
    pub freeze_count: Option<f64>,
    /// For how long.
    pub frozen: Option<Millis>,
    /// The picture's width.
    pub width: Option<f64>,
    /// The picture's height.
    pub height: Option<f64>,
    /// Pictures a second.
    pub frame_rate: Option<f64>,
    /// How much was sent or received.
    pub bitrate: Option<Kilobits>,
    /// How loud it was, 0 to 1.
    pub audio_level: Option<f64>,
    /// How much of the sound was made up to fill gaps.
    pub concealed: Option<Percent>,
    /// What kept the encoder from doing better.
    pub limitation: Option<Limitation>,
}

impl From<Reported> for Sample {
    fn from(said: Reported) -> Self {
        let counted = match (said.packets_lost, said.packets_received) {
            (Some(lost), Some(received)) => lost.percent_of(lost.get() + received.get()),
            _ => None,
        };
        let concealed = match (said.concealed_samples, said.total_samples_received) {
            // Concealed samples are among those received.
            (Some(concealed), Some(all)) => concealed.percent_of(all.get().max(concealed.get())),
            _ => None,
        };
        Self {
            at: said.timestamp.instant(),
            direction: said.direction,
            round_trip: said.round_trip_time.map(Millis::from),
            latency: said.latency.map(Millis::from),
            jitter: said.jitter.map(Millis::from),
            loss: counted.or(said.fraction_lost.map(Percent::from)),
            freeze_count: said.freeze_count.map(|it| it.get().round()),
            frozen: said.total_freezes_duration.map(Millis::from),
            width: said.frame_width.map(|it| it.get().round()),
            height: said.frame_height.map(|it| it.get().round()),
            frame_rate: said.frames_per_second.map(|it| rounded(it.get())),
            bitrate: said.bitrate.map(Kilobits::from),
            audio_level: said.audio_level.map(|it| rounded(it.get())),
            concealed,
            limitation: said.quality_limitation_reason,
        }
    }
}

impl Sample {
    /// One-way latency: as it was told, or else half of there and back.
    #[must_use]
    pub fn one_way(&self) -> Option<Millis> {
        self.latency.or(self.round_trip.map(Millis::one_way))
    }

    /// How many lines the picture has, whichever way the phone is held: the shorter side.
    #[must_use]
    pub fn lines(&self) -> Option<f64> {
        self.height.map(|height| self.width.map_or(height, |width| width.min(height)))
    }
}

/// A sample as it is stored: a third of the room that names would take.
#[derive(Serialize, Deserialize)]
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
    Option<Kilobits>,
    Option<f64>,
    Option<Percent>,
    Option<Limitation>,
);

impl From<Sample> for Row {
    fn from(it: Sample) -> Self {
        Self(
            it.at,
            it.direction,
            it.round_trip,
            it.latency,
            it.jitter,
            it.loss,
            it.freeze_count,
            it.frozen,
            it.width,
            it.height,
            it.frame_rate,
            it.bitrate,
            it.audio_level,
            it.concealed,
            it.limitation,
        )
    }
}

impl From<Row> for Sample {
    fn from(row: Row) -> Self {
        Self {
            at: row.0,
            direction: row.1,
            round_trip: row.2,
            latency: row.3,
            jitter: row.4,
            loss: row.5,
            freeze_count: row.6,
            frozen: row.7,
            width: row.8,
            height: row.9,
            frame_rate: row.10,
            bitrate: row.11,
            audio_level: row.12,
            concealed: row.13,
            limitation: row.14,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample(said: serde_json::Value) -> Sample {
        serde_json::from_value::<Reported>(said).unwrap().into()
    }

    /// What Chrome's `getStats` says of an `inbound-rtp`, as an app sends it.
    fn said() -> serde_json::Value {
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
    fn what_get_stats_says_in_our_units() {
        let expected = Sample {
            at: Timestamp::from_millis(1_767_225_600_123),
            direction: Direction::Inbound,
            round_trip: Millis::from_stream(83.4),
            latency: None,
            jitter: Millis::from_stream(5.0),
            loss: Count::try_from(1.0).unwrap().percent_of(100.0),
            freeze_count: Some(1.0),
            frozen: Millis::from_stream(250.0),
            width: Some(1280.0),
            height: Some(720.0),
            frame_rate: Some(24.0),
            bitrate: Some(Kilobits::from(BitsPerSecond::try_from(1_250_000.0).unwrap())),
            audio_level: Some(0.25),
            concealed: Count::try_from(1.0).unwrap().percent_of(100.0),
            limitation: None,
        };
        assert_eq!(sample(said()), expected);
        assert_eq!(expected.one_way(), Millis::from_stream(41.7));
    }

    #[test]
    fn a_remote_inbound_rtp_tells_of_the_way_out() {
        let found = sample(json!({
            "timestamp": 1_767_225_600_000_i64,
            "direction": "outbound",
            "latency": 0.03,
            "roundTripTime": 0.1,
            "fractionLost": 0.05,
            "qualityLimitationReason": "bandwidth",
        }));
        assert_eq!(found.direction, Direction::Outbound);
        assert_eq!(found.loss, Some(Percent::from(Fraction::try_from(0.05).unwrap())));
        assert_eq!(found.one_way(), Millis::from_stream(30.0));
        assert_eq!(found.limitation, Some(Limitation::Bandwidth));
    }

    #[test]
    fn without_packets_nothing_is_known_of_their_loss() {
        let none = json!({"timestamp": 0, "packetsLost": 0, "packetsReceived": 0});
        assert_eq!(sample(none).loss, None);
        assert_eq!(sample(json!({"timestamp": 0, "packetsLost": 7})).loss, None);
    }

    #[test]
    fn a_sample_is_stored_as_it_is() {
        let stored = serde_json::to_string(&sample(said())).unwrap();
        assert!(stored.len() < 120, "{stored}");
        assert_eq!(serde_json::from_str::<Sample>(&stored).unwrap(), sample(said()));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let with = |name: &str, value: serde_json::Value| {
            let mut said = said();
            said[name] = value;
            serde_json::from_value::<Reported>(said).map(|_| ()).unwrap_err().to_string()
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
            assert!(!with(name, value.clone()).is_empty(), "{name} {value}");
        }
    }
}
