//! The bits of a JPEG's entropy-coded data, and its Huffman codes (ITU-T T.81, annexes C and F).

/// Why a walk through the data ended before its last block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The data ends here: at the end of the file or at a marker.
    Short,
    /// No decoder would know what these bits mean.
    Damaged,
}

/// Reads bits up to the next marker or the end of the file.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte that is not in `buffer`.
    at: usize,
    /// The next bits, from the top; below them are zeros.
    buffer: u64,
    available: u32,
    is_at_end: bool,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, buffer: 0, available: 0, is_at_end: false }
    }

    /// The next `count` bits, at most 16, as a number.
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

    /// The next symbol of `code`.
    #[inline]
    pub fn symbol(&mut self, code: &HuffmanCode) -> Result<u8, Stop> {
        self.refill();
        let next = (self.buffer >> 48) as u16;
        match code.look_up(next) {
            Some((symbol, length)) => self.consume(u32::from(length)).map(|()| symbol),
            None if self.available < 16 && self.is_at_end => Err(Stop::Short),
            None => Err(Stop::Damaged),
        }
    }

    /// Continues after the restart marker that has to follow.
    pub fn restart(&mut self) -> Result<(), Stop> {
        match super::next_marker(self.bytes, self.position()) {
            Some((0xD0..=0xD7, after)) => {
                *self = Self::new(self.bytes, after);
                Ok(())
            }
            _ => Err(Stop::Short),
        }
    }

    /// Where the first byte lies of which no bit was taken.
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

/// Bits that are looked up at once.
const QUICK: u32 = 9;

/// A Huffman code as a `DHT` segment defines it.
pub(super) struct HuffmanCode {
    /// By the next [`QUICK`] bits: length and symbol of the code; length 0 where the code is longer.
    quick: [(u8, u8); 1 << QUICK],
    /// By length: the first code beyond those of this length, aligned to 16 bits from the top.
    beyond: [u32; 17],
    /// By length: what to add to a code to get its symbol's index.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl HuffmanCode {
    /// `counts`: how many codes have 1, 2, ... 16 bits. `None` where the codes do not fit.
    #[expect(clippy::indexing_slicing, reason = "lengths are 1 to 16, of arrays of 17")]
    pub fn new(counts: [u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut made =
            Self { quick: [(0, 0); 1 << QUICK], beyond: [0; 17], offset: [0; 17], symbols: symbols.to_vec() };
        let (mut code, mut index) = (0_u32, 0_usize);
        for (length, count) in (1_u32..=16).zip(counts) {
            made.offset[length as usize] = index as i32 - code as i32;
            for _ in 0..count {
                let symbol = *symbols.get(index)?;
                if length <= QUICK {
                    let first = (code << (QUICK - length)) as usize;
                    made.quick.get_mut(first..first + (1 << (QUICK - length)))?.fill((length as u8, symbol));
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

    /// The symbol at the top of `next` and the length of its code in bits.
    #[inline]
    #[expect(
        clippy::indexing_slicing,
        reason = "the top QUICK bits number the quick table; lengths are up to 16, of arrays of 17"
    )]
    fn look_up(&self, next: u16) -> Option<(u8, u8)> {
        let (length, symbol) = self.quick[usize::from(next >> (16 - QUICK))];
        if length > 0 {
            return Some((symbol, length));
        }
        let next = u32::from(next);
        let length = (QUICK + 1..=16).find(|&length| next < self.beyond[length as usize])?;
        let index = (next >> (16 - length)) as i32 + self.offset[length as usize];
        Some((*self.symbols.get(usize::try_from(index).ok()?)?, length as u8))
    }
}
