//! The names and colors of the causes of lower quality.

use crate::quality::cause::Cause;
use crate::quality::chart::palette::Color;

/// The style of a cause.
pub(super) struct CauseStyle {
    pub(super) name: &'static str,
    /// The name after `incoming` or `outgoing`.
    pub(super) short_name: &'static str,
    pub(super) color: Color,
}

pub(super) fn cause_style(cause: Cause) -> CauseStyle {
    let (name, short_name, color) = match cause {
        Cause::Latency => ("latency", "latency", Color::Latency),
        Cause::Jitter => ("jitter", "jitter", Color::Jitter),
        Cause::Loss => ("packet loss", "loss", Color::Loss),
        Cause::Freezes => ("frozen video", "freezes", Color::Freezes),
        Cause::Resolution => ("low resolution", "resolution", Color::Resolution),
        Cause::FrameRate => ("low frame rate", "frame rate", Color::FrameRate),
        Cause::Bitrate => ("low bitrate", "bitrate", Color::Bitrate),
    };
    CauseStyle { name, short_name, color }
}

/// The text with a capital first letter.
pub(super) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + chars.as_str()
}
