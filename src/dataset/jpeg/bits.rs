//! Reads bits and Huffman codes of a JPEG's entropy-coded data (ITU-T T.81, annexes C and F).

/// Why a walk through the data ended before its last block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The data ends here: at the end of the file or at a marker.
    Short,
    /// The bits are invalid for any decoder.
    Damaged,
}

/// Reads bits up to the next marker or the end of the file.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Offset of the next byte that is not in `buffer`.
    at: usize,
    /// The next bits, left-aligned, followed by zeros.
    buffer: u64,
    available: u32,
    is_at_end: bool,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, buffer: 0, available: 0, is_at_end: false }
    }

    /// Returns the next `count` bits, at most 16, as a number.
    #[inline]
    pub fn take(&mut self, count: u8) -> Result<u32, Stop> {
        if count == 0 {
            return Ok(0);
        }
        self.refill();
        let value = (self.buffer >> (64 - u32::from(count))) as u32;
        self.consume(u32::from(count))?;
        Ok(value)
    }

    /// Decodes the next symbol of `code`.
    #[inline]
    pub fn symbol(&mut self, code: &HuffmanCode) -> Result<u8, Stop> {
        self.refill();
        let (symbol, length) = self.peek(code)?;
        self.consume(u32::from(length)).map(|()| symbol)
    }

    /// Skips the next symbol of `code` and the number after it; returns how many coefficients they encode.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the top QUICK bits number the table")]
    pub fn pass(&mut self, code: &HuffmanCode) -> Result<u8, Stop> {
        self.refill();
        let Pass { bits, coefficients } = code.passes[(self.buffer >> (64 - QUICK)) as usize];
        // Also false for a code longer than the table's, which has 0 bits there.
        if u32::from(bits).wrapping_sub(1) < self.available {
            self.buffer <<= bits & 63;
            self.available -= u32::from(bits);
            return Ok(coefficients);
        }
        self.pass_slowly(code)
    }

    #[cold]
    fn pass_slowly(&mut self, code: &HuffmanCode) -> Result<u8, Stop> {
        let (symbol, length) = self.peek(code)?;
        let Pass { bits, coefficients } = Pass::new(code.class, symbol, length);
        match self.consume(u32::from(bits)) {
            Err(_) if bits == IMPOSSIBLE && u32::from(length) <= self.available => Err(Stop::Damaged),
            consumed => consumed.map(|()| coefficients),
        }
    }

    /// Returns the next symbol and the length of its code without consuming it.
    #[inline]
    fn peek(&self, code: &HuffmanCode) -> Result<(u8, u8), Stop> {
        match code.look_up((self.buffer >> 48) as u16) {
            Some(found) => Ok(found),
            None if self.available < 16 && self.is_at_end => Err(Stop::Short),
            None => Err(Stop::Damaged),
        }
    }

    /// Continues after the restart marker that must follow.
    pub fn restart(&mut self) -> Result<(), Stop> {
        match super::next_marker(self.bytes, self.position()) {
            Some((0xD0..=0xD7, after)) => {
                *self = Self::new(self.bytes, after);
                Ok(())
            }
            _ => Err(Stop::Short),
        }
    }

    /// Returns the offset of the first byte of which no bit was consumed.
    pub fn position(&self) -> usize {
        let mut at = self.at;
        for _ in 0..self.available / 8 {
            let is_stuffed = self.bytes.get(..at).is_some_and(|before| before.ends_with(&[0xFF, 0x00]));
            at -= if is_stuffed { 2 } else { 1 };
        }
        at
    }

    #[inline]
    fn consume(&mut self, count: u32) -> Result<(), Stop> {
        if count > self.available {
            return Err(Stop::Short);
        }
        self.buffer <<= count;
        self.available -= count;
        Ok(())
    }

    #[inline]
    fn refill(&mut self) {
        if self.available < 32 && !self.is_at_end {
            self.refill_bytes();
        }
    }

    fn refill_bytes(&mut self) {
        // Fast path: eight bytes without 0xFF, which is nearly always the case.
        if let Some(&next) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()) {
            let next = u64::from_be_bytes(next);
            if !has_marker_byte(next) {
                let bytes = (64 - self.available) / 8;
                self.buffer |= (next & (u64::MAX << (64 - 8 * bytes))) >> self.available;
                self.at += bytes as usize;
                self.available += 8 * bytes;
                return;
            }
        }
        while self.available <= 56 {
            let byte = match self.bytes.get(self.at) {
                Some(0xFF) if self.bytes.get(self.at + 1) == Some(&0x00) => {
                    self.at += 2;
                    0xFF
                }
                Some(0xFF) | None => {
                    self.is_at_end = true;
                    return;
                }
                Some(&byte) => {
                    self.at += 1;
                    byte
                }
            };
            self.buffer |= u64::from(byte) << (56 - self.available);
            self.available += 8;
        }
    }
}

/// Whether any of the eight bytes is 0xFF.
#[inline]
fn has_marker_byte(bytes: u64) -> bool {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // The usual search for a zero byte, in the complement.
    (!bytes).wrapping_sub(LOW) & bytes & HIGH != 0
}

/// Number of bits in a table lookup.
const QUICK: u32 = 10;

/// Marks a symbol that cannot have a number after it: more bits than possible.
const IMPOSSIBLE: u8 = u8::MAX;

/// The meaning of a code's symbols.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Number of bits of the difference to the previous block.
    Dc,
    /// Number of zeros before a coefficient, and its number of bits.
    Ac,
}

/// Coefficient count of an end-of-block symbol: more than any other symbol can reach.
pub(super) const END_OF_BLOCK: u8 = 128;

/// The effect of a symbol in a baseline scan.
#[derive(Debug, Clone, Copy, Default)]
struct Pass {
    /// Bits of the code and of the number after it; [`IMPOSSIBLE`] if there can be no such number.
    bits: u8,
    /// Number of coefficients encoded, including zeros; [`END_OF_BLOCK`].
    coefficients: u8,
}

impl Pass {
    fn new(class: Class, symbol: u8, length: u8) -> Self {
        let (zeros, size) = (symbol >> 4, symbol & 15);
        match class {
            Class::Dc if symbol > 16 => Self { bits: IMPOSSIBLE, coefficients: 1 },
            Class::Dc => Self { bits: length + symbol, coefficients: 1 },
            Class::Ac if size == 0 && zeros < 15 => Self { bits: length, coefficients: END_OF_BLOCK },
            Class::Ac => Self { bits: length + size, coefficients: zeros + 1 },
        }
    }
}

/// A Huffman code as a `DHT` segment defines it.
pub(super) struct HuffmanCode {
    class: Class,
    /// By the next [`QUICK`] bits: symbol and code length; length 0 if the code is longer.
    quick: [(u8, u8); 1 << QUICK],
    /// By the same bits; 0 bits if the code is longer.
    passes: [Pass; 1 << QUICK],
    /// By length: the first code beyond those of this length, left-aligned to 16 bits.
    beyond: [u32; 17],
    /// By length: the offset from a code to its symbol's index.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl HuffmanCode {
    /// `counts`: number of codes with 1, 2, ... 16 bits. `None` if the codes are inconsistent.
    #[expect(clippy::indexing_slicing, reason = "lengths are 1 to 16, of arrays of 17")]
    pub fn new(class: Class, counts: [u8; 16], symbols: &[u8]) -> Option<Box<Self>> {
        let mut made = Box::new(Self {
            class,
            quick: [(0, 0); 1 << QUICK],
            passes: [Pass::default(); 1 << QUICK],
            beyond: [0; 17],
            offset: [0; 17],
            symbols: symbols.to_vec(),
        });
        let (mut code, mut index) = (0_u32, 0_usize);
        for (length, count) in (1_u32..=16).zip(counts) {
            made.offset[length as usize] = index as i32 - code as i32;
            for _ in 0..count {
                let symbol = *symbols.get(index)?;
                if length <= QUICK {
                    let first = (code << (QUICK - length)) as usize;
                    let places = first..first + (1 << (QUICK - length));
                    made.quick.get_mut(places.clone())?.fill((symbol, length as u8));
                    made.passes.get_mut(places)?.fill(Pass::new(class, symbol, length as u8));
                }
                code += 1;
                index += 1;
            }
            if code > 1 << length {
                return None;
            }
            made.beyond[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Some(made)
    }

    /// Returns the symbol at the top of `next` and the length of its code in bits.
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "the top QUICK bits number the quick table; lengths are up to 16, of arrays of 17"
    )]
    fn look_up(&self, next: u16) -> Option<(u8, u8)> {
        let (symbol, length) = self.quick[usize::from(next >> (16 - QUICK))];
        if length > 0 {
            return Some((symbol, length));
        }
        let next = u32::from(next);
        let length = (QUICK + 1..=16).find(|&length| next < self.beyond[length as usize])?;
        let index = (next >> (16 - length)) as i32 + self.offset[length as usize];
        Some((*self.symbols.get(usize::try_from(index).ok()?)?, length as u8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_of_a_marker_is_found_among_eight() {
        for others in [0x00, 0x01, 0x7F, 0x80, 0xFE] {
            assert!(!has_marker_byte(u64::from_be_bytes([others; 8])), "{others:x}");
            for at in 0..8 {
                let mut bytes = [others; 8];
                bytes[at] = 0xFF;
                assert!(has_marker_byte(u64::from_be_bytes(bytes)), "{bytes:x?}");
            }
        }
    }
}
