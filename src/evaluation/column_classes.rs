//! Groups bit-identical columns and selects those that can matter to the official solver.
//!
//! Equal columns start with equal potentials. An unstarred column is never essential, so all unstarred columns of a class change alike:
//! same potential, same slack, same tight cells. The solver always searches columns by ascending index (first stars, step A), so the first
//! unstarred column of a class represents the others. A starred column stays starred unless rounding loses the star, which the solver
//! reports. At most `rows` columns are starred, so the first `rows + 1` columns of a class include all that were starred and, if there is
//! one, an unstarred column. This is exact for both covers.

use std::collections::{BTreeSet, HashMap};

use super::overlap::TouchingDetection;

#[derive(Debug)]
pub(super) struct ColumnClasses {
    keep: usize,
    /// The first columns of each class, ascending.
    first: HashMap<Vec<(u32, u64)>, Vec<u32>>,
    kept: BTreeSet<u32>,
}

impl ColumnClasses {
    pub fn new(rows: usize) -> Self {
        Self { keep: rows + 1, first: HashMap::new(), kept: BTreeSet::new() }
    }

    /// Returns the columns that can matter, ascending.
    pub fn kept(&self) -> Vec<usize> {
        self.kept.iter().map(|&k| k as usize).collect()
    }

    /// Adds a column; returns true if it can matter.
    pub fn insert(&mut self, column: usize, detection: &TouchingDetection) -> bool {
        let class = detection.faces.iter().map(|&(face, iou)| (face, iou.to_bits())).collect();
        let (list, column) = (self.first.entry(class).or_default(), column as u32);
        let at = list.partition_point(|&c| c < column);
        if self.keep <= at {
            return false;
        }
        list.insert(at, column);
        self.kept.insert(column);
        if self.keep < list.len()
            && let Some(dropped) = list.pop()
        {
            self.kept.remove(&dropped);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_first_of_each_class() {
        let column = |iou| TouchingDetection { score: 0.0, faces: vec![(0, iou)], best: iou };
        let mut classes = ColumnClasses::new(1);
        for (k, iou, kept) in [(5, 0.5, true), (3, 0.5, true), (7, 0.5, false), (1, 0.5, true), (9, 0.25, true)] {
            assert_eq!(classes.insert(k, &column(iou)), kept, "{k}");
        }
        assert_eq!(classes.kept(), [1, 3, 9]);
    }
}
