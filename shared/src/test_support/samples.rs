//! Samples of a video call over a mobile network, as the reporter of `docs/QUALITY.md` sends them.

use serde_json::json;

use crate::quality::Samples;

/// The samples of a phone, generated from a seed.
pub(crate) struct SampleGenerator {
    /// The state of `SplitMix64`.
    state: u64,
    at_ms: f64,
    round_trip_time: f64,
    bitrate: f64,
}

impl SampleGenerator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            state: seed,
            at_ms: 1_767_225_600_000.0,
            round_trip_time: 0.08,
            bitrate: 1_300_000.0,
        }
    }

    /// The samples of the next minute: every five seconds one of each direction.
    pub(crate) fn next_minute(&mut self) -> Samples {
        let samples: Vec<_> = (0..12).flat_map(|_| self.next_samples()).collect();
        serde_json::from_value(json!(samples)).unwrap()
    }

    /// The samples of the next five seconds. Every third one has losses.
    fn next_samples(&mut self) -> [serde_json::Value; 2] {
        self.at_ms += self.between(4_990.0, 5_040.0).round();
        self.round_trip_time = (self.round_trip_time + self.between(-0.02, 0.02)).clamp(0.02, 0.5);
        self.bitrate = (self.bitrate * self.between(0.8, 1.25)).clamp(150_000.0, 2_500_000.0);
        let is_lossy = self.between(0.0, 1.0) < 0.33;
        let lost = if is_lossy { self.between(0.0, 60.0).round() } else { 0.0 };
        let is_frozen = is_lossy && self.between(0.0, 1.0) < 0.5;
        let frozen = if is_frozen { self.between(0.15, 2.5) } else { 0.0 };
        let (audio_lost, concealed) = if is_lossy {
            (self.between(0.0, 9.0).round(), self.between(400.0, 9_000.0).round())
        } else {
            (0.0, self.between(0.0, 200.0).round())
        };
        let inbound = json!({
            "timestamp": self.at_ms,
            "direction": "inbound",
            "roundTripTime": self.round_trip_time,
            "jitter": self.between(0.001, 0.03),
            "packetsLost": lost,
            "packetsReceived": self.between(700.0, 1_400.0).round(),
            "freezeCount": u8::from(is_frozen),
            "totalFreezesDuration": frozen,
            "frameWidth": 1280,
            "frameHeight": 720,
            "framesPerSecond": self.between(19.0, 25.0).round(),
            "bitrate": self.bitrate.round(),
            "audioLevel": self.between(0.0, 0.4),
            "concealedSamples": concealed,
            "totalSamplesReceived": 240_000,
            "jitterBufferDelay": self.between(0.04, 0.12),
            "audioCodec": "opus",
            "fecEnabled": true,
            "audioPacketsLost": audio_lost,
            "audioPacketsReceived": 250.0 - audio_lost,
            "concealmentEvents": if is_lossy { self.between(1.0, 9.0).round() } else { 0.0 },
            "videoCodec": "vp8",
            "videoBitrate": (self.bitrate - 32_000.0).round(),
        });
        let outbound = json!({
            "timestamp": self.at_ms,
            "direction": "outbound",
            "roundTripTime": self.round_trip_time * self.between(0.9, 1.1),
            "jitter": self.between(0.001, 0.03),
            "packetsLost": self.between(0.0, 3.0).floor(),
            "packetsReceived": self.between(700.0, 1_400.0).round(),
            "frameWidth": 960,
            "frameHeight": 540,
            "framesPerSecond": self.between(25.0, 30.0).round(),
            "bitrate": (self.bitrate * self.between(0.7, 1.4)).round(),
            "qualityLimitationReason": if is_lossy { "bandwidth" } else { "none" },
            "audioCodec": "opus",
            "fecEnabled": true,
            "audioPacketsLost": self.between(0.0, 2.0).floor(),
            "audioPacketsReceived": 250,
            "videoCodec": "vp8",
            "videoBitrate": (self.bitrate * self.between(0.7, 1.4)).round(),
        });
        [inbound, outbound]
    }

    #[expect(clippy::cast_precision_loss, reason = "a random fraction")]
    fn between(&mut self, min: f64, max: f64) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let fraction = ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
        min + (max - min) * fraction
    }
}
