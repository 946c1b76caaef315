//! A JPEG's frame: its components, their number of blocks, and which data the scans have provided so far.

use crate::dataset::limits::check_size;

/// A component's sampling and state.
pub(super) struct Component {
    pub id: u8,
    /// Blocks per MCU, horizontally and vertically.
    pub across: usize,
    pub down: usize,
    /// Blocks with pixels: those in a scan of only this component.
    pub columns: usize,
    pub rows: usize,
    /// Blocks per row, padded to whole MCUs.
    pub stride: usize,
    /// Progressive: a bitmask per block of the non-zero coefficients.
    pub nonzero: Vec<u64>,
    /// Number of missing low bits per coefficient; `None` before its first scan.
    pub missing_bits: [Option<u8>; 64],
}

/// The content of `SOF0`, `SOF1` and `SOF2`.
pub(super) struct Frame {
    pub is_progressive: bool,
    pub mcu_columns: usize,
    pub mcu_rows: usize,
    pub components: Vec<Component>,
}

impl Frame {
    pub fn parse(segment: &[u8], is_progressive: bool) -> Option<Self> {
        let (&[precision, h1, h0, w1, w0, count], rest) = segment.split_first_chunk()?;
        let (height, width) = (usize::from(h1) << 8 | usize::from(h0), usize::from(w1) << 8 | usize::from(w0));
        let count = usize::from(count);
        // A height of 0 is defined later in a separate segment, which decoders do not support.
        if precision != 8 || check_size(width as u32, height as u32, 0).is_err() || !(1..=4).contains(&count) {
            return None;
        }
        let sampling = rest
            .as_chunks()
            .0
            .iter()
            .take(count)
            .map(|&[id, size, _]| (id, usize::from(size >> 4), usize::from(size & 15)));
        let sampling: Vec<(u8, usize, usize)> = sampling.collect();
        if sampling.len() != count || sampling.iter().any(|(_, h, v)| !(1..=4).contains(h) || !(1..=4).contains(v)) {
            return None;
        }
        let across_max = sampling.iter().map(|s| s.1).max()?;
        let down_max = sampling.iter().map(|s| s.2).max()?;
        let (mcu_columns, mcu_rows) = (width.div_ceil(8 * across_max), height.div_ceil(8 * down_max));
        let component = |(id, across, down): (u8, usize, usize)| Component {
            id,
            across,
            down,
            columns: (width * across).div_ceil(across_max).div_ceil(8),
            rows: (height * down).div_ceil(down_max).div_ceil(8),
            stride: mcu_columns * across,
            nonzero: vec![0; if is_progressive { mcu_columns * across * mcu_rows * down } else { 0 }],
            missing_bits: [None; 64],
        };
        let components = sampling.into_iter().map(component).collect();
        Some(Self { is_progressive, mcu_columns, mcu_rows, components })
    }

    /// Whether every bit of every coefficient was present.
    pub fn is_complete(&self) -> bool {
        self.components.iter().all(|c| c.missing_bits.iter().all(|&bits| bits == Some(0)))
    }

    /// Whether every component was in a scan.
    pub fn has_all_components(&self) -> bool {
        self.components.iter().all(|c| c.missing_bits[0].is_some())
    }
}
