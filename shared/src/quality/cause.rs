//! The causes of lower quality, and of a missing score.

use serde::{Deserialize, Serialize};

/// The reason for a missing score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingInput {
    /// No source has data.
    #[serde(rename = "no_data")]
    Data,
    /// No source has the packet loss. Stream never has it.
    #[serde(rename = "no_packet_loss")]
    PacketLoss,
    /// No source has the latency.
    #[serde(rename = "no_latency")]
    Latency,
    /// No source has the jitter.
    #[serde(rename = "no_jitter")]
    Jitter,
}

/// A cause of lower quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// One-way delay.
    Latency,
    /// Jitter.
    Jitter,
    /// Packet loss.
    Loss,
    /// Frozen video.
    Freezes,
    /// Video with few pixels.
    Resolution,
    /// Video with few frames per second.
    FrameRate,
    /// Video with few bits per pixel and frame.
    Bitrate,
}

impl Cause {
    /// All causes.
    pub const ALL: [Self; 7] = [
        Self::Latency,
        Self::Jitter,
        Self::Loss,
        Self::Freezes,
        Self::Resolution,
        Self::FrameRate,
        Self::Bitrate,
    ];
}
