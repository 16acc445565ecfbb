//! Video or voice, and the settings that follow.

use serde::{Deserialize, Serialize};

/// Video or voice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallType {
    /// Picture and sound.
    #[default]
    Video,
    /// Sound alone; the apps also say `audio`.
    #[serde(alias = "audio")]
    Voice,
}

/// What members may do in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the five switches that the apps read")]
pub struct CallSettings {
    /// Speak.
    pub audio: bool,
    /// Show a picture.
    pub video: bool,
    /// Share a screen.
    pub screen_sharing: bool,
    /// Record.
    pub recording: bool,
    /// Have it written down.
    pub transcribing: bool,
}

impl CallType {
    /// What members may do. It is not only said: the call is made at Stream with these very
    /// settings in place of the call type's own.
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
