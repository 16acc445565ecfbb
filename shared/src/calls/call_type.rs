//! The type of a call and its settings at Stream.

use serde::{Deserialize, Serialize};

use crate::stream::ops::SettingsOverride;

/// The type of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallType {
    /// Audio and video.
    #[default]
    Video,
    /// Audio only. The apps also send `audio` for it.
    #[serde(alias = "audio")]
    Voice,
}

/// The media features that are enabled in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the apps read five booleans")]
pub struct CallSettings {
    /// Sending audio.
    pub audio: bool,
    /// Sending video.
    pub video: bool,
    /// Sharing a screen.
    pub screen_sharing: bool,
    /// Recording.
    pub recording: bool,
    /// Transcription.
    pub transcribing: bool,
}

impl From<CallSettings> for SettingsOverride {
    fn from(settings: CallSettings) -> Self {
        let CallSettings { video, screen_sharing, recording, transcribing, audio: _ } = settings;
        Self { video, screen_sharing, recording, transcribing }
    }
}

impl CallType {
    /// The settings of this type. They override those of Stream's call type when the call is
    /// created.
    #[must_use]
    pub const fn settings(self) -> CallSettings {
        let has_video = matches!(self, Self::Video);
        CallSettings {
            audio: true,
            video: has_video,
            screen_sharing: has_video,
            recording: false,
            transcribing: false,
        }
    }
}
