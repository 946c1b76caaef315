//! Reads bits and Huffman codes of a JPEG's entropy-coded data (ITU-T T.81, annexes C and F).

use std::cell::RefCell;
use std::rc::Rc;

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

    /// Skips the next symbols of `code` and their numbers: as many as one lookup covers, within a block that has `k` coefficients so far.
    /// Returns the number of coefficients skipped.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the top WIDE bits number the table")]
    pub fn pass_run(&mut self, code: &HuffmanCode, k: u8) -> Result<u8, Stop> {
        self.refill();
        let run = code.runs[(self.buffer >> (64 - WIDE)) as usize];
        if run.bits().wrapping_sub(1) < self.available && k + run.before_last() < 64 {
            self.buffer <<= run.bits() & 63;
            self.available -= run.bits();
            return Ok(run.coefficients());
        }
        self.pass(code)
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

/// Number of bits in a lookup of several symbols: more bits cover more symbols, but the table outgrows the L1 cache.
const WIDE: u32 = 12;
/// Maximum number of bits of a run of symbols, so that a refill covers it.
const RUN_BITS: u32 = 32;

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

/// Consecutive symbols of a block in a baseline scan whose codes lie within the next [`WIDE`] bits, packed into one word: the number of
/// bits of all codes and numbers (0 if no symbol is known); the number of coefficients, plus [`END_OF_BLOCK`] if the last symbol ends the
/// block; the number of coefficients before the last symbol. A run is valid only if these leave the block unfinished.
#[derive(Debug, Clone, Copy, Default)]
struct Run(u32);

impl Run {
    #[inline]
    fn bits(self) -> u32 {
        self.0 & 0xFF
    }

    #[inline]
    fn coefficients(self) -> u8 {
        (self.0 >> 8) as u8
    }

    #[inline]
    fn before_last(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// Returns the run with one more symbol.
    fn then(self, symbol: Pass) -> Self {
        let coefficients = u32::from(self.coefficients());
        let with_symbol = coefficients + u32::from(symbol.coefficients);
        Self((self.bits() + u32::from(symbol.bits)) | (with_symbol << 8) | (coefficients << 16))
    }
}

/// A Huffman code as a `DHT` segment defines it.
pub(super) struct HuffmanCode {
    class: Class,
    counts: [u8; 16],
    /// By the next [`QUICK`] bits: symbol and code length; length 0 if the code is longer.
    quick: [(u8, u8); 1 << QUICK],
    /// By the same bits; 0 bits if the code is longer.
    passes: [Pass; 1 << QUICK],
    /// By the next [`WIDE`] bits; only for codes of AC coefficients.
    runs: Vec<Run>,
    /// By length: the first code beyond those of this length, left-aligned to 16 bits.
    beyond: [u32; 17],
    /// By length: the offset from a code to its symbol's index.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

/// Number of codes that each thread caches: most images use one of a few.
const RECENT_CODES: usize = 8;

thread_local! {
    static RECENT: RefCell<Vec<Rc<HuffmanCode>>> = const { RefCell::new(Vec::new()) };
}

impl HuffmanCode {
    /// Like [`HuffmanCode::new`], but reuses the tables of a code that this thread used recently.
    pub fn recent(class: Class, counts: [u8; 16], symbols: &[u8]) -> Option<Rc<Self>> {
        RECENT.with_borrow_mut(|recent| {
            let is_it = |code: &Rc<Self>| code.class == class && code.counts == counts && code.symbols == symbols;
            let code = match recent.iter().position(is_it) {
                Some(at) => recent.remove(at),
                None => Rc::from(Self::new(class, counts, symbols)?),
            };
            recent.truncate(RECENT_CODES - 1);
            recent.insert(0, Rc::clone(&code));
            Some(code)
        })
    }

    /// `counts`: number of codes with 1, 2, ... 16 bits. `None` if the codes are inconsistent.
    #[expect(clippy::indexing_slicing, reason = "lengths are 1 to 16, of arrays of 17")]
    fn new(class: Class, counts: [u8; 16], symbols: &[u8]) -> Option<Box<Self>> {
        let mut made = Box::new(Self {
            class,
            counts,
            quick: [(0, 0); 1 << QUICK],
            passes: [Pass::default(); 1 << QUICK],
            runs: Vec::new(),
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
        if class == Class::Ac {
            made.runs = (0..1 << WIDE).map(|next| made.run(next)).collect();
        }
        Some(made)
    }

    /// Returns the run of symbols at the top of `next`, a number of [`WIDE`] bits.
    #[expect(clippy::indexing_slicing, reason = "QUICK bits number both tables")]
    fn run(&self, next: u32) -> Run {
        let mut run = Run::default();
        while run.bits() < WIDE && run.coefficients() < 64 {
            let rest = (next << run.bits()) & ((1 << WIDE) - 1);
            let at = (rest >> (WIDE - QUICK)) as usize;
            let (length, symbol) = (u32::from(self.quick[at].1), self.passes[at]);
            // The code is longer than the table covers, or than the remaining bits.
            if length == 0 || run.bits() + length > WIDE || run.bits() + u32::from(symbol.bits) > RUN_BITS {
                break;
            }
            run = run.then(symbol);
        }
        run
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

    /// Walks blocks of random bits symbol by symbol and run by run: blocks, ends and errors are equal, also at the end of the data.
    #[test]
    fn runs_of_symbols_are_the_symbols_one_by_one() {
        let mut state = 7_u64;
        let mut random = move |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut of_runs = 0;
        for _ in 0..200 {
            // Few short codes and many long ones, as encoders make them, with the end of the block among the short ones.
            let mut counts = [0_u8; 16];
            let mut free = 1_u64;
            for count in &mut counts {
                free *= 2;
                *count = random(free.min(12)) as u8;
                free -= u64::from(*count);
            }
            let many: usize = counts.iter().map(|&n| usize::from(n)).sum();
            let symbols: Vec<u8> = (0..many).map(|n| if n == 1 { 0 } else { random(256) as u8 & 0xF7 }).collect();
            let code = HuffmanCode::new(Class::Ac, counts, &symbols).unwrap();
            let bytes: Vec<u8> = (0..300).map(|_| random(255) as u8).collect();
            let block = |bits: &mut Bits<'_>, by_runs: bool| {
                let mut k = 1;
                while k < 64 {
                    k += if by_runs { bits.pass_run(&code, k) } else { bits.pass(&code) }?;
                }
                Ok::<u8, Stop>(k)
            };
            let (mut singly, mut by_runs) = (Bits::new(&bytes, 0), Bits::new(&bytes, 0));
            loop {
                let (expected, got) = (block(&mut singly, false), block(&mut by_runs, true));
                assert_eq!(got, expected);
                if expected.is_err() {
                    break;
                }
                let place = |bits: &Bits<'_>| 8 * bits.at - bits.available as usize;
                assert_eq!(place(&by_runs), place(&singly));
                of_runs += 1;
            }
        }
        assert!(of_runs > 1000, "{of_runs} blocks are enough to compare");
    }
}
