//! Shared by all painting code: row spans, OpenCV's fixed point and its rounding (`fddb_spec.md`, section 4.2).

/// Pixels `x0..=x1` of row `y`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub y: i32,
    pub x0: i32,
    pub x1: i32,
}

impl Span {
    pub fn len(self) -> u64 {
        (i64::from(self.x1) - i64::from(self.x0) + 1) as u64
    }
}

/// One pixel in fixed point.
pub(super) const ONE: i64 = 1 << 16;

/// Rounds to the nearest integer, halves to even, after rounding to single precision, like OpenCV's `cvRound(float)`.
pub(crate) fn round_single(v: f64) -> i64 {
    f64::from(v as f32).round_ties_even() as i64
}
