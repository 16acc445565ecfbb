//! A column: one optional integer per sample (frame of reference encoding).
//!
//! Layout: whether no value, every value or some values are present, and in the last case one bit
//! per value. Then the minimum, and the differences to it in the width of the largest one. So a
//! column without values takes 2 bits, and one of equal values no bit per value.

use super::bits::{BitReader, BitWriter};

const PRESENCE_BITS: u32 = 2;
const NONE_PRESENT: u64 = 0;
const ALL_PRESENT: u64 = 1;
const SOME_PRESENT: u64 = 2;

pub(super) fn write(writer: &mut BitWriter, values: &[Option<i64>]) {
    let (Some(min), Some(max)) = (values.iter().flatten().min(), values.iter().flatten().max())
    else {
        writer.write(NONE_PRESENT, PRESENCE_BITS);
        return;
    };
    if values.iter().all(Option::is_some) {
        writer.write(ALL_PRESENT, PRESENCE_BITS);
    } else {
        writer.write(SOME_PRESENT, PRESENCE_BITS);
        for value in values {
            writer.write(u64::from(value.is_some()), 1);
        }
    }
    writer.write_integer(*min);
    // The wrapped difference of two integers is exact as an unsigned number.
    let offset = |value: &i64| value.wrapping_sub(*min).cast_unsigned();
    let width = writer.write_width_of(offset(max));
    for value in values.iter().flatten() {
        writer.write(offset(value), width);
    }
}

/// Reads a column of this many values. Calls `set` with the index of each present value. Fails if
/// the bits are not a column or `set` fails.
pub(super) fn read(
    reader: &mut BitReader<'_>,
    count: usize,
    mut set: impl FnMut(usize, i64) -> Option<()>,
) -> Option<()> {
    let mut presence = match reader.read(PRESENCE_BITS)? {
        NONE_PRESENT => return Some(()),
        ALL_PRESENT => None,
        SOME_PRESENT => {
            let presence = reader.clone();
            reader.skip(count)?;
            Some(presence)
        }
        _ => return None,
    };
    let min = reader.read_integer()?;
    let width = reader.read_width()?;
    for index in 0..count {
        if let Some(presence) = &mut presence
            && presence.read(1)? == 0
        {
            continue;
        }
        set(index, min.wrapping_add(reader.read(width)?.cast_signed()))?;
    }
    Some(())
}

/// Reads a column whose values are all present.
pub(super) fn read_all(reader: &mut BitReader<'_>, count: usize) -> Option<Vec<i64>> {
    let mut values = Vec::with_capacity(count);
    read(reader, count, |_, value| {
        values.push(value);
        Some(())
    })?;
    (values.len() == count).then_some(values)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(values: &[Option<i64>]) -> Vec<u8> {
        let mut writer = BitWriter::new(0);
        write(&mut writer, values);
        writer.into_bytes()
    }

    fn decode(bytes: &[u8], count: usize) -> Option<Vec<Option<i64>>> {
        let mut values = vec![None; count];
        read(&mut BitReader::new(bytes), count, |index, value| {
            values[index] = Some(value);
            Some(())
        })?;
        Some(values)
    }

    proptest! {
        #[test]
        fn written_column_is_read(
            values in proptest::collection::vec(proptest::option::of(any::<i64>()), 0..70),
            shift in 0..64_u32,
        ) {
            let values: Vec<_> = values.into_iter().map(|value| Some(value? >> shift)).collect();
            let bytes = encode(&values);
            let all: Option<Vec<i64>> = values.iter().copied().collect();
            prop_assert_eq!(read_all(&mut BitReader::new(&bytes[1..]), values.len()), all);
            prop_assert_eq!(decode(&bytes[1..], values.len()), Some(values));
        }
    }

    #[test]
    fn equal_and_missing_values_take_no_space() {
        assert_eq!(encode(&[None; 60]).len() - 1, 1);
        assert_eq!(encode(&[Some(720); 60]), encode(&[Some(720); 2]));
    }

    #[test]
    fn invalid_presence_is_rejected() {
        assert_eq!(decode(&[3], 1), None);
        assert_eq!(decode(&[], 1), None);
    }
}
