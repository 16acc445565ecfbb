//! The stored form of a batch's samples: bit-packed columns in one binary attribute.
//!
//! JSON of a minute's samples takes three write units, this form takes one
//! (`docs/adr/0036-binary-sample-batches.md`). It is lossless, because a [`Sample`] contains
//! milliseconds, thousandths, counts and enums only.
//!
//! Layout: a version byte, then bits. The bits are the number of samples, their directions, and for
//! each direction with samples the times and one column per field.

mod bits;
mod column;
mod fields;
mod json;

use crate::clock::Timestamp;
use crate::quality::sample::{Direction, Sample};
use bits::{BitReader, BitWriter};
use fields::{FIELDS, sample_without_values};
pub(super) use json::decode_json;

/// The version of the layout. A changed layout needs another version, and code that still reads
/// this one: batches stay in the table for 30 days.
const VERSION: u8 = 1;

/// The bytes are not an encoded batch, or have an unknown version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid encoding of samples")]
pub(crate) struct InvalidEncoding;

/// Encodes the samples of a batch.
pub(crate) fn encode(samples: &[Sample]) -> Vec<u8> {
    let mut writer = BitWriter::new(VERSION);
    writer.write_integer(i64::try_from(samples.len()).unwrap_or(i64::MAX));
    let directions = samples.iter().map(|sample| Some(direction_code(sample.direction)));
    column::write(&mut writer, &directions.collect::<Vec<_>>());
    for direction in [Direction::Inbound, Direction::Outbound] {
        let samples: Vec<&Sample> =
            samples.iter().filter(|sample| sample.direction == direction).collect();
        write_times(&mut writer, &samples);
        if samples.is_empty() {
            continue;
        }
        for field in FIELDS {
            let values: Vec<_> = samples.iter().map(|sample| (field.get)(sample)).collect();
            column::write(&mut writer, &values);
        }
    }
    writer.into_bytes()
}

/// Decodes the samples of a batch.
///
/// # Errors
///
/// The bytes are not the result of [`encode`], or of a newer version of it.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Sample>, InvalidEncoding> {
    let (&version, bytes) = bytes.split_first().ok_or(InvalidEncoding)?;
    if version != VERSION {
        return Err(InvalidEncoding);
    }
    decode_bits(&mut BitReader::new(bytes)).ok_or(InvalidEncoding)
}

fn decode_bits(reader: &mut BitReader<'_>) -> Option<Vec<Sample>> {
    let count = reader.read_integer().and_then(|count| usize::try_from(count).ok())?;
    if count > Sample::MAX_PER_BATCH {
        return None;
    }
    let directions = column::read_all(reader, count)?;
    let directions: Vec<Direction> =
        directions.into_iter().map(direction_from_code).collect::<Option<_>>()?;
    let mut inbound = decode_direction(reader, &directions, Direction::Inbound)?.into_iter();
    let mut outbound = decode_direction(reader, &directions, Direction::Outbound)?.into_iter();
    let next = |direction| match direction {
        Direction::Inbound => inbound.next(),
        Direction::Outbound => outbound.next(),
    };
    directions.into_iter().map(next).collect()
}

/// The samples of one direction.
fn decode_direction(
    reader: &mut BitReader<'_>,
    directions: &[Direction],
    direction: Direction,
) -> Option<Vec<Sample>> {
    let count = directions.iter().filter(|it| **it == direction).count();
    let times = read_times(reader, count)?;
    let mut samples: Vec<Sample> =
        times.into_iter().map(|at| sample_without_values(at, direction)).collect();
    if samples.is_empty() {
        return Some(samples);
    }
    for field in FIELDS {
        column::read(reader, count, |index, value| (field.set)(&mut samples[index], value))?;
    }
    Some(samples)
}

/// Writes the first time and the column of the intervals. Phones measure at regular intervals, so
/// the intervals need fewer bits than the times.
fn write_times(writer: &mut BitWriter, samples: &[&Sample]) {
    let times: Vec<i64> = samples.iter().map(|sample| sample.at.as_millis()).collect();
    let Some(first) = times.first() else { return };
    writer.write_integer(*first);
    let intervals = times.windows(2).map(|pair| Some(pair[1].wrapping_sub(pair[0])));
    column::write(writer, &intervals.collect::<Vec<_>>());
}

fn read_times(reader: &mut BitReader<'_>, count: usize) -> Option<Vec<Timestamp>> {
    let Some(interval_count) = count.checked_sub(1) else { return Some(Vec::new()) };
    let mut at_ms = reader.read_integer()?;
    let mut times = Vec::with_capacity(count);
    times.push(Timestamp::from_millis(at_ms));
    for interval in column::read_all(reader, interval_count)? {
        at_ms = at_ms.wrapping_add(interval);
        times.push(Timestamp::from_millis(at_ms));
    }
    Some(times)
}

fn direction_code(direction: Direction) -> i64 {
    match direction {
        Direction::Inbound => 0,
        Direction::Outbound => 1,
    }
}

fn direction_from_code(code: i64) -> Option<Direction> {
    match code {
        0 => Some(Direction::Inbound),
        1 => Some(Direction::Outbound),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::quality::Samples;
    use crate::test_support::samples::SampleGenerator;

    /// A number of JSON in a range, often at its bounds.
    fn number(min: f64, max: f64) -> impl Strategy<Value = serde_json::Value> {
        prop_oneof![
            2 => (min..=max).prop_map(|value| json!(value)),
            1 => (0.0..=1.0_f64).prop_map(move |part| json!((min + part * part.powi(8)).min(max))),
            1 => prop_oneof![Just(json!(min)), Just(json!(max))],
        ]
    }

    /// A member of a sample: its name, and a value in its whole range.
    fn member() -> impl Strategy<Value = (&'static str, serde_json::Value)> {
        let numbers = [
            ("roundTripTime", 60.0),
            ("latency", 60.0),
            ("jitter", 60.0),
            ("packetsLost", 1e9),
            ("packetsReceived", 1e9),
            ("fractionLost", 1.0),
            ("freezeCount", 1e9),
            ("totalFreezesDuration", 60.0),
            ("frameWidth", 16_384.0),
            ("frameHeight", 16_384.0),
            ("framesPerSecond", 240.0),
            ("bitrate", 1e9),
            ("audioLevel", 1.0),
            ("concealedSamples", 1e9),
            ("totalSamplesReceived", 1e9),
            ("jitterBufferDelay", 60.0),
            ("audioPacketsLost", 1e9),
            ("audioPacketsReceived", 1e9),
            ("concealmentEvents", 1e9),
            ("videoBitrate", 1e9),
        ];
        let texts: [(&str, &[&str]); 4] = [
            ("direction", &["inbound", "outbound"]),
            ("qualityLimitationReason", &["none", "cpu", "bandwidth", "other"]),
            ("audioCodec", &["opus", "red", "pcmu", "pcma", "g722", "other"]),
            ("videoCodec", &["vp8", "vp9", "h264", "h265", "av1", "other"]),
        ];
        let number = proptest::sample::select(numbers.to_vec())
            .prop_flat_map(|(name, max)| (Just(name), number(0.0, max)));
        let text = proptest::sample::select(texts.to_vec()).prop_flat_map(|(name, values)| {
            let value = proptest::sample::select(values.to_vec());
            (Just(name), value.prop_map(|value| json!(value)))
        });
        let flag = any::<bool>().prop_map(|value| ("fecEnabled", json!(value)));
        prop_oneof![20 => number, 4 => text, 1 => flag]
    }

    fn sample() -> impl Strategy<Value = serde_json::Value> {
        let members = proptest::collection::vec(member(), 0..40);
        (number(946_684_800_000.0, 4_102_444_800_000.0), members).prop_map(|(at, members)| {
            let mut sample = json!({"timestamp": at});
            for (name, value) in members {
                sample[name] = value;
            }
            sample
        })
    }

    proptest! {
        #[test]
        fn encoded_samples_are_decoded_without_loss(
            samples in proptest::collection::vec(sample(), 1..=Sample::MAX_PER_BATCH)
        ) {
            let samples: Samples = serde_json::from_value(json!(samples)).unwrap();
            let encoded = encode(samples.as_slice());
            prop_assert!(encoded.len() < 5 * 1024, "{}", encoded.len());
            prop_assert_eq!(decode(&encoded).unwrap(), samples.into_vec());
        }

        #[test]
        fn a_minute_of_samples_takes_600_bytes(seed: u64) {
            let samples = SampleGenerator::new(seed).next_minute();
            let encoded = encode(samples.as_slice());
            prop_assert!(encoded.len() <= 600, "{}", encoded.len());
            prop_assert_eq!(decode(&encoded).unwrap(), samples.into_vec());
        }

        #[test]
        fn invalid_bytes_are_rejected(
            seed: u64, flips in proptest::collection::vec(any::<proptest::sample::Index>(), 1..4),
            length: proptest::sample::Index,
        ) {
            let mut bytes = encode(SampleGenerator::new(seed).next_minute().as_slice());
            prop_assert!(decode(&bytes[..length.index(bytes.len())]).is_err());
            for flip in flips {
                let bit = flip.index(bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            // Changed bits can be other samples, but must not panic, and must stay in range.
            if let Ok(samples) = decode(&bytes) {
                prop_assert_eq!(decode(&encode(&samples)).unwrap(), samples);
            }
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            let _ = decode(&bytes);
            let _ = decode(&[&[VERSION], &*bytes].concat());
        }
    }

    /// The layout of stored batches must not change without another version.
    #[test]
    fn layout_of_the_version_is_fixed() {
        let samples: Samples = serde_json::from_value(json!([
            {"timestamp": 1_767_225_600_000_i64, "roundTripTime": 0.08, "audioCodec": "red"},
            {"timestamp": 1_767_225_605_000_i64, "roundTripTime": 0.081, "fecEnabled": true},
            {"timestamp": 1_767_225_605_000_i64, "direction": "outbound", "jitter": 0.004},
        ]))
        .unwrap();
        let encoded = hex::encode(encode(samples.as_slice()));
        assert_eq!(
            encoded,
            "01830302aa0050b5ed36e7409c4012409c0a00e80300006082800a02002ac45d6dbbcd400dd0070000000000",
        );
        assert_eq!(decode(&hex::decode(encoded).unwrap()).unwrap(), samples.into_vec());
    }

    #[test]
    fn more_samples_than_a_batch_has_are_rejected() {
        let sample = SampleGenerator::new(1).next_minute().as_slice()[0];
        for (count, is_valid) in [(Sample::MAX_PER_BATCH, true), (Sample::MAX_PER_BATCH + 1, false)]
        {
            assert_eq!(decode(&encode(&vec![sample; count])).is_ok(), is_valid, "{count}");
        }
    }

    #[test]
    fn other_version_is_rejected() {
        let mut encoded = encode(SampleGenerator::new(1).next_minute().as_slice());
        encoded[0] = VERSION + 1;
        assert_eq!(decode(&encoded), Err(InvalidEncoding));
        assert_eq!(decode(b""), Err(InvalidEncoding));
    }
}
