//! The fields of a sample as columns of integers.

use crate::clock::Timestamp;
use crate::quality::sample::{AudioCodec, Direction, QualityLimitationReason, Sample, VideoCodec};
use crate::quality::unit;

/// Access to one field of a sample as an integer.
pub(super) struct Field {
    pub(super) get: fn(&Sample) -> Option<i64>,
    /// `None` if the integer is no value of the field.
    pub(super) set: fn(&mut Sample, i64) -> Option<()>,
}

/// The conversion of a field's type to an integer.
trait Code<T> {
    fn encode(value: T) -> i64;
    fn decode(code: i64) -> Option<T>;
}

/// A count or a number of pixels.
struct Whole;

/// A value in thousandths of its unit.
struct Thousandths;

/// A yes or no.
struct Flag;

/// A variant by its number.
struct Variant;

macro_rules! fields {
    ($($field:ident: $code:ty,)*) => {
        /// The columns, in their order in the stored form. A new field is appended, with another
        /// version of the layout.
        pub(super) const FIELDS: &[Field] = &[$(Field {
            get: |sample| sample.$field.map(<$code as Code<_>>::encode),
            set: |sample, code| {
                sample.$field = Some(<$code as Code<_>>::decode(code)?);
                Some(())
            },
        }),*];

        /// A sample with a time and a direction only.
        pub(super) fn sample_without_values(at: Timestamp, direction: Direction) -> Sample {
            Sample { at, direction, $($field: None),* }
        }
    };
}

fields! {
    round_trip_time: Thousandths,
    latency: Thousandths,
    jitter: Thousandths,
    packet_loss: Thousandths,
    freeze_count: Whole,
    freeze_duration: Thousandths,
    frame_width: Whole,
    frame_height: Whole,
    frame_rate: Thousandths,
    bitrate: Thousandths,
    audio_level: Thousandths,
    concealment: Thousandths,
    quality_limitation_reason: Variant,
    jitter_buffer_delay: Thousandths,
    audio_codec: Variant,
    fec_enabled: Flag,
    audio_packet_loss: Thousandths,
    burst_ratio: Thousandths,
    video_codec: Variant,
    video_bitrate: Thousandths,
}

impl<T: unit::Thousandths> Code<T> for Thousandths {
    fn encode(value: T) -> i64 {
        value.to_thousandths()
    }

    fn decode(code: i64) -> Option<T> {
        T::from_thousandths(code)
    }
}

impl Code<f64> for Whole {
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
    fn encode(value: f64) -> i64 {
        value.round() as i64
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are at most a billion")]
    fn decode(code: i64) -> Option<f64> {
        (code >= 0).then_some(code as f64)
    }
}

impl Code<bool> for Flag {
    fn encode(value: bool) -> i64 {
        value.into()
    }

    fn decode(code: i64) -> Option<bool> {
        match code {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

/// Numbers the variants of an enum. The numbers are part of the stored form.
macro_rules! variants {
    ($($name:ident { $($variant:ident = $number:literal),* })*) => {$(
        impl Code<$name> for Variant {
            fn encode(value: $name) -> i64 {
                match value {
                    $($name::$variant => $number),*
                }
            }

            fn decode(code: i64) -> Option<$name> {
                match code {
                    $($number => Some($name::$variant),)*
                    _ => None,
                }
            }
        }
    )*};
}

variants! {
    QualityLimitationReason { None = 0, Cpu = 1, Bandwidth = 2, Other = 3 }
    AudioCodec { Opus = 0, Red = 1, Pcmu = 2, Pcma = 3, G722 = 4, Other = 5 }
    VideoCodec { Vp8 = 0, Vp9 = 1, H264 = 2, H265 = 3, Av1 = 4, Other = 5 }
}
