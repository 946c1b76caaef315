//! The assignment with the maximum overlap sum, using the `pathfinding` crate, to show the difference from the official solver.

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

use super::official_assignment::Overlaps;

/// Overlaps are compared as integer multiples of 2^-40: finer than the difference of any two ratios of pixel counts below a million.
const UNIT: f64 = (1_u64 << 40) as f64;

/// Returns the column of each row for the maximum sum.
pub(super) fn solve(r: &Overlaps) -> Vec<Option<usize>> {
    let weights = r.values.iter().map(|v| (v * UNIT).round() as i64).collect();
    match Matrix::from_vec(r.rows, r.columns, weights) {
        Ok(matrix) if r.rows > 0 => kuhn_munkres(&matrix).1.into_iter().map(Some).collect(),
        _ => Vec::new(),
    }
}
