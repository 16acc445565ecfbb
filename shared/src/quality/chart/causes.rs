//! The names and colors of the causes of lower quality.

use crate::quality::chart::palette::Ink;
use crate::quality::response::Cause;

/// The style of a cause.
pub(super) struct CauseStyle {
    pub(super) name: &'static str,
    /// The name after `incoming` or `outgoing`.
    pub(super) short_name: &'static str,
    pub(super) ink: Ink,
}

pub(super) fn cause_style(cause: Cause) -> CauseStyle {
    let (name, short_name, ink) = match cause {
        Cause::Latency => ("latency", "latency", Ink::Latency),
        Cause::Jitter => ("jitter", "jitter", Ink::Jitter),
        Cause::Loss => ("packet loss", "loss", Ink::Loss),
        Cause::Freezes => ("frozen video", "freezes", Ink::Freezes),
        Cause::Resolution => ("low resolution", "resolution", Ink::Resolution),
        Cause::FrameRate => ("low frame rate", "frame rate", Ink::FrameRate),
        Cause::Bitrate => ("low bitrate", "bitrate", Ink::Bitrate),
    };
    CauseStyle { name, short_name, ink }
}

/// The text with a capital first letter.
pub(super) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + chars.as_str()
}
