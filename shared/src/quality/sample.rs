//! Samples: values of `RTCPeerConnection.getStats()` that an app reads every few seconds.
//!
//! The fields have the names and units of WebRTC (<https://www.w3.org/TR/webrtc-stats/>). WebRTC's
//! counters are cumulative. An app sends the difference to its previous sample instead, so that
//! each sample is valid even if others are lost.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::quality::unit::{
    BitsPerSecond, BurstRatio, Count, EpochMillis, Fraction, FramesPerSecond, KilobitsPerSecond,
    Millis, Percent, Pixels, Seconds, round_to_thousandth,
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

/// The audio codec of a stream (`mimeType` of its codec, without `audio/`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AudioCodec {
    /// Opus (RFC 6716).
    Opus,
    /// Opus with redundant copies of earlier packets (RFC 2198).
    Red,
    /// G.711, µ-law.
    Pcmu,
    /// G.711, A-law.
    Pcma,
    /// G.722.
    G722,
    /// Another codec.
    Other,
}

/// The video codec of a stream (`mimeType` of its codec, without `video/`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoCodec {
    /// VP8.
    Vp8,
    /// VP9.
    Vp9,
    /// H.264.
    H264,
    /// H.265.
    H265,
    /// AV1.
    Av1,
    /// Another codec.
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
    /// The mean delay of the audio in the jitter buffer since the previous sample.
    jitter_buffer_delay: Option<Seconds>,
    audio_codec: Option<AudioCodec>,
    /// Whether the audio has forward error correction in its packets.
    fec_enabled: Option<bool>,
    /// The audio's part of `packets_lost`.
    audio_packets_lost: Option<Count>,
    /// The audio's part of `packets_received`.
    audio_packets_received: Option<Count>,
    /// Gaps in the audio. Together with the concealed samples they give the length of a gap.
    concealment_events: Option<Count>,
    video_codec: Option<VideoCodec>,
    /// The video's part of `bitrate`.
    video_bitrate: Option<BitsPerSecond>,
}

/// A sample in the units of the response.
#[derive(Clone, Copy, Debug, PartialEq)]
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
    /// The mean delay of the audio in the jitter buffer.
    pub jitter_buffer_delay: Option<Millis>,
    /// The audio codec.
    pub audio_codec: Option<AudioCodec>,
    /// Whether the audio has forward error correction.
    pub fec_enabled: Option<bool>,
    /// The packet loss of the audio alone.
    pub audio_packet_loss: Option<Percent>,
    /// The burst ratio of the audio's packet loss, 1 for random loss.
    pub burst_ratio: Option<BurstRatio>,
    /// The video codec.
    pub video_codec: Option<VideoCodec>,
    /// The bitrate of the video alone.
    pub video_bitrate: Option<KilobitsPerSecond>,
}

impl From<RawSample> for Sample {
    fn from(raw: RawSample) -> Self {
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
            packet_loss: loss(raw.packets_lost, raw.packets_received)
                .or(raw.fraction_lost.map(Percent::from)),
            freeze_count: raw.freeze_count.map(|count| count.get().round()),
            freeze_duration: raw.total_freezes_duration.map(Millis::from),
            frame_width: raw.frame_width.map(|width| width.get().round()),
            frame_height: raw.frame_height.map(|height| height.get().round()),
            frame_rate: raw.frames_per_second.map(|rate| round_to_thousandth(rate.get())),
            bitrate: raw.bitrate.map(KilobitsPerSecond::from),
            audio_level: raw.audio_level.map(|level| round_to_thousandth(level.get())),
            concealment,
            quality_limitation_reason: raw.quality_limitation_reason,
            jitter_buffer_delay: raw.jitter_buffer_delay.map(Millis::from),
            audio_codec: raw.audio_codec,
            fec_enabled: raw.fec_enabled,
            audio_packet_loss: loss(raw.audio_packets_lost, raw.audio_packets_received),
            burst_ratio: raw.burst_ratio(),
            video_codec: raw.video_codec,
            video_bitrate: raw.video_bitrate.map(KilobitsPerSecond::from),
        }
    }
}

/// Lost packets in relation to all expected packets.
fn loss(lost: Option<Count>, received: Option<Count>) -> Option<Percent> {
    let lost = lost?;
    lost.percent_of(lost.get() + received?.get())
}

impl RawSample {
    /// The mean length of a gap in packets, in relation to that of random loss, which is
    /// `1 / (1 − loss)` (ITU-T G.107, `BurstR`). The concealed audio gives the length.
    fn burst_ratio(&self) -> Option<BurstRatio> {
        // Late packets cause gaps, too. Without a loss the gaps are only theirs.
        let lost = self.audio_packets_lost?.get();
        if lost <= 0.0 {
            return None;
        }
        let received = self.audio_packets_received?.get();
        let expected = lost + received;
        let total = self.total_samples_received?.get();
        let gap_samples = self.concealed_samples?.get() / self.concealment_events?.get();
        // `expected / total` is the number of packets per audio sample.
        BurstRatio::clamped(gap_samples * (expected / total) * (received / expected))
    }
}

impl Sample {
    /// The maximum per batch: two and a half minutes of both directions at five seconds.
    pub const MAX_PER_BATCH: usize = 60;

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

    /// The same with the values that only the second version of the score reads.
    fn full_raw_sample() -> serde_json::Value {
        let mut raw = raw_sample();
        let added = json!({
            "jitterBufferDelay": 0.0625,
            "audioCodec": "red",
            "fecEnabled": true,
            "audioPacketsLost": 2,
            "audioPacketsReceived": 48,
            "concealedSamples": 1_920,
            "concealmentEvents": 1,
            "videoCodec": "vp9",
            "videoBitrate": 1_200_000,
        });
        raw.as_object_mut().unwrap().extend(added.as_object().unwrap().clone());
        raw
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
            jitter_buffer_delay: None,
            audio_codec: None,
            fec_enabled: None,
            audio_packet_loss: None,
            burst_ratio: None,
            video_codec: None,
            video_bitrate: None,
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
    fn audio_and_video_are_measured_apart() {
        let sample = parse_sample(full_raw_sample());
        assert_eq!(sample.jitter_buffer_delay, Millis::from_stream(62.5));
        assert_eq!((sample.audio_codec, sample.fec_enabled), (Some(AudioCodec::Red), Some(true)));
        assert_eq!(sample.audio_packet_loss, Count::try_from(4.0).unwrap().percent_of(100.0));
        assert_eq!(sample.video_codec, Some(VideoCodec::Vp9));
        assert_eq!(sample.video_bitrate.map(KilobitsPerSecond::get), Some(1_200.0));
    }

    #[test]
    fn burst_ratio_is_the_length_of_a_gap() {
        let burst_ratio = |events: i64, concealed: i64, received: i64| {
            let mut raw = full_raw_sample();
            raw["concealmentEvents"] = json!(events);
            raw["concealedSamples"] = json!(concealed);
            raw["audioPacketsReceived"] = json!(received);
            parse_sample(raw).burst_ratio.map(BurstRatio::get)
        };
        // A packet has 960 samples. A gap of two packets with 4 % loss: 2 · 0.96.
        assert_eq!(burst_ratio(1, 1_920, 48), Some(1.92));
        assert_eq!(burst_ratio(2, 1_920, 48), Some(1.0));
        // All packets are lost in one gap.
        assert_eq!(burst_ratio(1, 48_000, 0), Some(1.0));
        assert_eq!(burst_ratio(1, 24_000, 48), Some(8.0));
        assert_eq!(burst_ratio(0, 0, 48), None);
        // Late packets caused the gaps.
        let mut without_loss = full_raw_sample();
        without_loss["audioPacketsLost"] = json!(0);
        assert_eq!(parse_sample(without_loss).burst_ratio, None);
        // The gap began before the previous sample.
        assert_eq!(burst_ratio(0, 1_920, 48), None);
        assert_eq!(parse_sample(raw_sample()).burst_ratio, None);
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
            ("jitterBufferDelay", json!(60.1)),
            ("audioCodec", json!("audio/opus")),
            ("fecEnabled", json!(1)),
            ("audioPacketsLost", json!(-1)),
            ("concealmentEvents", json!(-1)),
            ("videoCodec", json!("VP8")),
            ("videoBitrate", json!(1_000_000_001_i64)),
            ("userId", json!("bob")),
        ] {
            assert!(!parse_error_with(name, value.clone()).is_empty(), "{name} {value}");
        }
    }
}
