//! A sequence of bits in bytes, the least significant bit first.

/// The number of bits of a width.
const WIDTH_BITS: u32 = 6;
/// The width that stands for 64 bits, so that all widths fit into [`WIDTH_BITS`].
const FULL_WIDTH: u32 = 63;
/// A wider value is written in two parts, so that it fits beside the pending bits.
const MAX_CHUNK_BITS: u32 = 32;

/// Appends bits to bytes.
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    pending: u64,
    pending_bits: u32,
}

impl BitWriter {
    /// A writer whose bits follow this byte.
    pub(super) fn new(first_byte: u8) -> Self {
        Self { bytes: vec![first_byte], pending: 0, pending_bits: 0 }
    }

    /// Writes the lowest `width` bits.
    pub(super) fn write(&mut self, value: u64, width: u32) {
        if width > MAX_CHUNK_BITS {
            self.write(value, MAX_CHUNK_BITS);
            self.write(value >> MAX_CHUNK_BITS, width - MAX_CHUNK_BITS);
            return;
        }
        self.pending |= (value & low_bits(width)) << self.pending_bits;
        self.pending_bits += width;
        while self.pending_bits >= 8 {
            self.push_byte();
            self.pending_bits -= 8;
        }
    }

    /// Writes the number of bits of some value, and returns the number to use.
    pub(super) fn write_width_of(&mut self, value: u64) -> u32 {
        let width = u64::BITS - value.leading_zeros();
        self.write(u64::from(width.min(FULL_WIDTH)), WIDTH_BITS);
        usable_width(width)
    }

    /// Writes an integer of any size. A number close to 0 takes fewer bits.
    pub(super) fn write_integer(&mut self, value: i64) {
        // The sign in the lowest bit keeps small negative numbers short (zigzag).
        let zigzag = ((value << 1) ^ (value >> 63)).cast_unsigned();
        let width = self.write_width_of(zigzag);
        self.write(zigzag, width);
    }

    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        if self.pending_bits > 0 {
            self.push_byte();
        }
        self.bytes
    }

    fn push_byte(&mut self) {
        let [byte, ..] = self.pending.to_le_bytes();
        self.bytes.push(byte);
        self.pending >>= 8;
    }
}

/// Reads bits from bytes. Every method returns `None` after the end.
#[derive(Clone)]
pub(super) struct BitReader<'a> {
    bytes: std::slice::Iter<'a, u8>,
    pending: u64,
    pending_bits: u32,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.iter(), pending: 0, pending_bits: 0 }
    }

    /// Reads `width` bits.
    pub(super) fn read(&mut self, width: u32) -> Option<u64> {
        if width > MAX_CHUNK_BITS {
            let low = self.read(MAX_CHUNK_BITS)?;
            return Some(low | self.read(width - MAX_CHUNK_BITS)? << MAX_CHUNK_BITS);
        }
        while self.pending_bits < width {
            self.pending |= u64::from(*self.bytes.next()?) << self.pending_bits;
            self.pending_bits += 8;
        }
        let value = self.pending & low_bits(width);
        self.pending >>= width;
        self.pending_bits -= width;
        Some(value)
    }

    /// Skips this many bits.
    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        for _ in 0..count / 32 {
            self.read(32)?;
        }
        self.read(u32::try_from(count % 32).ok()?)?;
        Some(())
    }

    /// Reads what [`BitWriter::write_width_of`] wrote.
    pub(super) fn read_width(&mut self) -> Option<u32> {
        let width = u32::try_from(self.read(WIDTH_BITS)?).ok()?;
        Some(usable_width(width))
    }

    /// Reads what [`BitWriter::write_integer`] wrote.
    pub(super) fn read_integer(&mut self) -> Option<i64> {
        let width = self.read_width()?;
        let zigzag = self.read(width)?;
        Some((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }
}

fn low_bits(width: u32) -> u64 {
    u64::MAX.checked_shr(u64::BITS - width).unwrap_or(0)
}

fn usable_width(width: u32) -> u32 {
    if width >= FULL_WIDTH { u64::BITS } else { width }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn written_bits_are_read(values in proptest::collection::vec((any::<u64>(), 0..=64_u32), 0..50)) {
            let mut writer = BitWriter::new(7);
            for (value, width) in &values {
                writer.write(*value, *width);
            }
            let bytes = writer.into_bytes();
            prop_assert_eq!(bytes[0], 7);
            let mut reader = BitReader::new(&bytes[1..]);
            for (value, width) in values {
                prop_assert_eq!(reader.read(width), Some(value & low_bits(width)));
            }
            prop_assert_eq!(reader.read(8), None);
        }

        #[test]
        fn written_integer_is_read(value in any::<i64>()) {
            for value in [value, value >> 32, value >> 56, i64::MIN, i64::MAX, 0] {
                let mut writer = BitWriter::new(0);
                writer.write_integer(value);
                prop_assert_eq!(BitReader::new(&writer.into_bytes()[1..]).read_integer(), Some(value));
            }
        }
    }

    #[test]
    fn small_integers_are_short() {
        for (value, bytes) in [(0, 1), (1, 1), (-1, 1), (60, 2), (-5_000, 3)] {
            let mut writer = BitWriter::new(0);
            writer.write_integer(value);
            assert_eq!(writer.into_bytes().len() - 1, bytes, "{value}");
        }
    }
}
