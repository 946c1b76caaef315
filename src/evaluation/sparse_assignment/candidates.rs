//! The free columns of each row that may have its smallest slack.

use super::overlaps::{Cells, SparseOverlaps};

/// The accumulated rounding error of a problem stays far below this.
pub(super) const MARGIN: f64 = 1e-11;

/// After this many changes of the free columns' potentials the rows' lists are rebuilt, long before rounding errors reach the margin.
const CHANGES_BEFORE_NEW: u32 = 10_000;

#[derive(Debug, Clone, Default)]
struct Row {
    /// Every other cell has at least this value.
    beyond: f64,
    cells: Vec<(u32, f64)>,
    stale: bool,
}

#[derive(Debug)]
pub(super) struct Candidates {
    rows: Vec<Row>,
    /// The smallest `v - r` of each row, plus what the free columns have lost since they were added.
    least: Vec<f64>,
    free: Vec<bool>,
    /// What every free column has lost.
    lowered: f64,
    changes: u32,
}

impl Candidates {
    pub fn new(rows: usize, columns: usize) -> Self {
        let empty = Row { beyond: f64::INFINITY, ..Row::default() };
        let least = vec![f64::INFINITY; rows];
        Self { rows: vec![empty; rows], least, free: vec![false; columns], lowered: 0.0, changes: 0 }
    }

    /// Returns the overlapping free columns where row `i`'s slack may be smallest.
    pub fn cells(&self, i: u32) -> &Cells {
        &self.rows[i as usize].cells
    }

    /// Returns the smallest slack of row `i` with potential `u` over overlapping free columns, to within half of [`MARGIN`].
    pub fn nearly_least_slack(&self, i: u32, u: f64) -> f64 {
        u + (self.least[i as usize] - self.lowered)
    }

    /// A lower bound of `v - r` over all other overlapping free columns.
    pub fn beyond(&self, i: u32) -> f64 {
        self.rows[i as usize].beyond - self.lowered
    }

    /// Whether the column's cells are among the rows' candidates.
    pub fn is_free(&self, j: u32) -> bool {
        self.free[j as usize]
    }

    pub fn free_column(&mut self, r: &SparseOverlaps, v: &[f64], j: u32) {
        if !std::mem::replace(&mut self.free[j as usize], true) {
            for &(i, overlap) in r.column(j as usize) {
                let row = &mut self.rows[i as usize];
                if !row.stale {
                    row.add(&mut self.least[i as usize], j, overlap, v[j as usize] - overlap + self.lowered);
                }
            }
        }
    }

    /// Removes a column; a row that had it among its candidates is recomputed by [`Self::refresh`].
    pub fn bind_column(&mut self, r: &SparseOverlaps, j: u32) {
        if std::mem::replace(&mut self.free[j as usize], false) {
            for &(i, _) in r.column(j as usize) {
                let row = &mut self.rows[i as usize];
                row.stale |= row.cells.iter().any(|c| c.0 == j);
            }
        }
    }

    /// Records that all free columns lost `q`.
    pub fn lower(&mut self, r: &SparseOverlaps, v: &[f64], q: f64) {
        self.lowered += q;
        self.changes += 1;
        if self.changes >= CHANGES_BEFORE_NEW {
            (self.changes, self.lowered) = (0, 0.0);
            self.rows.iter_mut().for_each(|row| row.stale = true);
            self.refresh(r, v);
        }
    }

    pub fn refresh(&mut self, r: &SparseOverlaps, v: &[f64]) {
        for (i, row) in self.rows.iter_mut().enumerate().filter(|(_, row)| row.stale) {
            let mut least = f64::INFINITY;
            (row.beyond, row.stale) = (f64::INFINITY, false);
            row.cells.clear();
            for &(j, overlap) in r.row(i).iter().filter(|c| self.free[c.0 as usize]) {
                row.add(&mut least, j, overlap, v[j as usize] - overlap + self.lowered);
            }
            self.least[i] = least;
        }
    }
}

impl Row {
    /// `least` belongs to the row.
    fn add(&mut self, least: &mut f64, j: u32, overlap: f64, key: f64) {
        if key > *least + MARGIN {
            self.beyond = self.beyond.min(key);
            return;
        }
        if key < *least - MARGIN {
            self.beyond = *least;
            self.cells.clear();
        }
        self.cells.push((j, overlap));
        *least = least.min(key);
    }
}
