//! The walk through one scan of a JPEG: baseline (ITU-T T.81, annex F) and progressive (annex G).

use std::rc::Rc;

use super::bits::{Bits, Class, END_OF_BLOCK, HuffmanCode, Stop};
use super::frame::{Component, Frame};

/// Tables that apply to the following scans.
#[derive(Default)]
pub(super) struct Tables {
    dc: [Option<Rc<HuffmanCode>>; 4],
    ac: [Option<Rc<HuffmanCode>>; 4],
    /// MCUs between two restart markers; 0 for none.
    pub restart_interval: usize,
}

impl Tables {
    /// Reads a `DHT` segment.
    pub fn define(&mut self, mut segment: &[u8]) -> Option<()> {
        while let Some((&head, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let (symbols, rest) = rest.split_at_checked(counts.iter().map(|&n| usize::from(n)).sum())?;
            let (class, codes) = if head >> 4 == 0 { (Class::Dc, &mut self.dc) } else { (Class::Ac, &mut self.ac) };
            *codes.get_mut(usize::from(head & 15))? = Some(HuffmanCode::recent(class, *counts, symbols)?);
            segment = rest;
        }
        Some(())
    }
}

/// The content of an `SOS` segment.
pub(super) struct Scan {
    /// Component, index of its DC table, index of its AC table.
    components: Vec<(usize, usize, usize)>,
    /// The band of coefficients.
    first: u8,
    last: u8,
    /// The lowest bit provided by this scan, and whether it is a refinement.
    low_bit: u8,
    is_refinement: bool,
}

impl Scan {
    pub fn parse(segment: &[u8], frame: &Frame) -> Option<Self> {
        let (&count, rest) = segment.split_first()?;
        let (listed, rest) = rest.split_at_checked(2 * usize::from(count))?;
        let component = |&[id, tables]: &[u8; 2]| {
            let index = frame.components.iter().position(|c| c.id == id)?;
            Some((index, usize::from(tables >> 4), usize::from(tables & 15)))
        };
        let components: Vec<_> = listed.as_chunks().0.iter().map(component).collect::<Option<_>>()?;
        let &[first, last, bits] = rest.first_chunk()?;
        let scan = if frame.is_progressive {
            Self { components, first, last, low_bit: bits & 15, is_refinement: bits >> 4 != 0 }
        } else {
            Self { components, first: 0, last: 63, low_bit: 0, is_refinement: false }
        };
        let is_band = scan.first <= scan.last && scan.last < 64 && scan.low_bit < 14;
        let is_one_kind = !frame.is_progressive || (scan.first == 0) == (scan.last == 0);
        let is_listed = !scan.components.is_empty() && (scan.components.len() == 1 || scan.first == 0);
        (is_band && is_one_kind && is_listed).then_some(scan)
    }

    /// Walks the scan's data from `at` and returns where it ends.
    #[expect(
        clippy::indexing_slicing,
        reason = "`parse` found each component in the frame, at least one of them, and checked the band"
    )]
    pub fn walk(&self, frame: &mut Frame, tables: &Tables, bytes: &[u8], at: usize) -> Result<usize, Stop> {
        let mut walk = Walk { scan: self, tables, bits: Bits::new(bytes, at), end_of_band_run: 0 };
        let is_alone = self.components.len() == 1;
        let (columns, rows) = match self.components[0] {
            (index, ..) if is_alone => (frame.components[index].columns, frame.components[index].rows),
            _ => (frame.mcu_columns, frame.mcu_rows),
        };
        let is_progressive = frame.is_progressive;
        for mcu in 0..columns * rows {
            if tables.restart_interval > 0 && mcu > 0 && mcu % tables.restart_interval == 0 {
                walk.bits.restart()?;
                walk.end_of_band_run = 0;
            }
            let (row, column) = (mcu / columns, mcu % columns);
            for &(index, dc, ac) in &self.components {
                let component = &mut frame.components[index];
                let (across, down) = if is_alone { (1, 1) } else { (component.across, component.down) };
                for block in 0..across * down {
                    if is_progressive {
                        let (y, x) = (row * down + block / across, column * across + block % across);
                        walk.progressive_block(component, y * component.stride + x, dc, ac)?;
                    } else {
                        walk.baseline_block(dc, ac)?;
                    }
                }
            }
        }
        for &(index, ..) in &self.components {
            let band = usize::from(self.first)..=usize::from(self.last);
            frame.components[index].missing_bits[band].fill(Some(self.low_bit));
        }
        Ok(walk.bits.position())
    }
}

struct Walk<'a> {
    scan: &'a Scan,
    tables: &'a Tables,
    bits: Bits<'a>,
    /// Number of blocks without further coefficients in this band.
    end_of_band_run: u32,
}

impl Walk<'_> {
    fn baseline_block(&mut self, dc: usize, ac: usize) -> Result<(), Stop> {
        self.dc_difference(dc)?;
        let code = code_of(&self.tables.ac, ac)?;
        let mut k = 1;
        while k < 64 {
            k += self.bits.pass_run(code, k)?;
        }
        if k > 64 && k < END_OF_BLOCK { Err(Stop::Damaged) } else { Ok(()) }
    }

    fn progressive_block(&mut self, component: &mut Component, block: usize, dc: usize, ac: usize) -> Result<(), Stop> {
        match (self.scan.first, self.scan.is_refinement) {
            (0, false) => self.dc_difference(dc),
            (0, true) => self.bits.take(1).map(drop),
            (_, false) => self.first_of_band(component.nonzero.get_mut(block).ok_or(Stop::Damaged)?, ac),
            (_, true) => self.refined_band(component.nonzero.get_mut(block).ok_or(Stop::Damaged)?, ac),
        }
    }

    fn dc_difference(&mut self, dc: usize) -> Result<(), Stop> {
        self.bits.pass(code_of(&self.tables.dc, dc)?).map(drop)
    }

    fn first_of_band(&mut self, nonzero: &mut u64, ac: usize) -> Result<(), Stop> {
        if self.end_of_band_run > 0 {
            self.end_of_band_run -= 1;
            return Ok(());
        }
        let code = code_of(&self.tables.ac, ac)?;
        let mut k = self.scan.first;
        while k <= self.scan.last {
            let symbol = self.bits.symbol(code)?;
            let (zeros, size) = (symbol >> 4, symbol & 15);
            match (zeros, size) {
                (15, 0) => k += 16,
                (_, 0) => {
                    self.end_of_band_run = (1 << zeros) - 1 + self.bits.take(zeros)?;
                    break;
                }
                _ => {
                    k += zeros;
                    self.bits.take(size)?;
                    *nonzero |= 1_u64.checked_shl(u32::from(k)).ok_or(Stop::Damaged)?;
                    k += 1;
                }
            }
        }
        Ok(())
    }

    fn refined_band(&mut self, nonzero: &mut u64, ac: usize) -> Result<(), Stop> {
        let (mut k, last) = (self.scan.first, self.scan.last);
        let code = code_of(&self.tables.ac, ac)?;
        while self.end_of_band_run == 0 && k <= last {
            let symbol = self.bits.symbol(code)?;
            let (mut zeros, size) = (symbol >> 4, symbol & 15);
            if size == 0 && zeros < 15 {
                self.end_of_band_run = (1 << zeros) + self.bits.take(zeros)?;
                break;
            }
            // The sign of the coefficient that becomes non-zero.
            self.bits.take(u8::from(size > 0))?;
            while k <= last {
                if *nonzero >> k & 1 == 1 {
                    self.bits.take(1)?;
                } else if zeros == 0 {
                    break;
                } else {
                    zeros -= 1;
                }
                k += 1;
            }
            if size > 0 && k <= last {
                *nonzero |= 1 << k;
            }
            k += 1;
        }
        if self.end_of_band_run > 0 {
            for k in k..=last {
                self.bits.take((*nonzero >> k & 1) as u8)?;
            }
            self.end_of_band_run -= 1;
        }
        Ok(())
    }
}

fn code_of(codes: &[Option<Rc<HuffmanCode>>; 4], number: usize) -> Result<&HuffmanCode, Stop> {
    codes.get(number).and_then(Option::as_deref).ok_or(Stop::Damaged)
}
