//! Step A: adds one star if possible, in the official order.

use super::candidates::MARGIN;
use super::overlaps::{Cells, is_listed};
use super::{NEARLY_ZERO, NONE, Solver};

/// Rows with a potential near 0, which can be tight without overlap.
#[derive(Debug, Default)]
pub(super) struct ZeroRows {
    /// Ascending.
    rows: Vec<u32>,
    place_of_row: Vec<u32>,
    /// For each index the next one that may hold an unseen row; its own if it does.
    next: Vec<u32>,
    unseen: usize,
}

impl ZeroRows {
    fn list(&mut self, u: &[f64]) {
        self.rows.clear();
        self.rows.extend((0..u.len() as u32).filter(|&i| u[i as usize] < NEARLY_ZERO));
        self.place_of_row.resize(u.len(), NONE);
        self.rows.iter().enumerate().for_each(|(k, &i)| self.place_of_row[i as usize] = k as u32);
        self.next.clear();
        self.next.extend(0..=self.rows.len() as u32);
        self.unseen = self.rows.len();
    }

    fn see(&mut self, i: u32) {
        let place = self.place_of_row[i as usize];
        self.next[place as usize] = place + 1;
        self.unseen -= 1;
    }

    /// Returns the first index from `place` on with an unseen row, with path compression.
    fn unseen_from(&mut self, mut place: u32) -> u32 {
        while self.next[place as usize] != place {
            let further = self.next[self.next[place as usize] as usize];
            self.next[place as usize] = further;
            place = further;
        }
        place
    }
}

/// The tight cells of the free columns, by column.
#[derive(Debug, Default)]
pub(super) struct TightCells {
    ends: Vec<usize>,
    rows: Vec<u32>,
    /// Kept for reuse: `(column, row)`, by row.
    by_row: Vec<(u32, u32)>,
}

impl TightCells {
    fn of(&self, j: u32) -> &[u32] {
        let start = if j == 0 { 0 } else { self.ends[j as usize - 1] };
        &self.rows[start..self.ends[j as usize]]
    }
}

impl Solver<'_> {
    /// Stars all possible columns, one after another, and leaves in `seen` the rows that the others reach.
    ///
    /// The official program restarts after each star. The result is known: the columns that failed before reach the same rows again,
    /// because no star in these rows was moved. Only what the successful search saw must be cleared.
    pub fn grow_all(&mut self) {
        self.list_tight_cells();
        self.zero_rows.list(&self.u);
        self.seen.fill(false);
        self.seen_rows.clear();
        for j in self.columns() {
            if self.star_of_column[j as usize] != NONE {
                continue;
            }
            let failed = self.seen_rows.len();
            let mut from = 0;
            while let Some(i) = self.next_tight_row(j, from) {
                if self.grow(i, j) {
                    self.forget_from(failed);
                    break;
                }
                from = i + 1;
            }
        }
    }

    /// Clears the marks of the most recently seen rows.
    fn forget_from(&mut self, first: usize) {
        let forgotten = self.seen_rows.split_off(first);
        let had_zero = forgotten.iter().any(|&i| self.u[i as usize] < NEARLY_ZERO);
        for i in forgotten {
            self.seen[i as usize] = false;
        }
        if had_zero {
            self.zero_rows.list(&self.u);
            for &i in self.seen_rows.iter().filter(|&&i| self.u[i as usize] < NEARLY_ZERO) {
                self.zero_rows.see(i);
            }
        }
    }

    /// Stars `(i, j)` and moves row `i`'s previous star to another row of its column, depth-first.
    fn grow(&mut self, i: u32, j: u32) -> bool {
        // (row, column to star in it, next row to try for the row's current star)
        let mut path = vec![(i, j, 0)];
        self.see(i, j);
        while let Some(&mut (row, _, ref mut next)) = path.last_mut() {
            let column = self.star_of_row[row as usize];
            if column == NONE {
                path.iter().rev().for_each(|&(row, column, _)| self.star(row, column));
                return true;
            }
            if let Some(k) = self.next_tight_row(column, *next) {
                *next = k + 1;
                self.see(k, column);
                path.push((k, column, 0));
            } else {
                path.pop();
            }
        }
        false
    }

    fn see(&mut self, i: u32, through: u32) {
        self.seen[i as usize] = true;
        self.seen_rows.push(i);
        self.reached_through[i as usize] = through;
        if self.u[i as usize] < NEARLY_ZERO {
            self.zero_rows.see(i);
        }
    }

    /// Returns the first unseen row from `from` on that is tight with column `j`.
    fn next_tight_row(&mut self, j: u32, from: u32) -> Option<u32> {
        let cells = self.r.column(j as usize);
        let overlapping = if self.candidates.is_free(j) {
            let rows = self.tight_cells.of(j);
            rows[rows.partition_point(|&i| i < from)..].iter().copied().find(|&i| !self.seen[i as usize])
        } else {
            let rest = &cells[cells.partition_point(|c| c.0 < from)..];
            rest.iter().find(|c| !self.seen[c.0 as usize] && self.is_tight(c.0, j, c.1)).map(|c| c.0)
        };
        if self.zero_rows.unseen == 0 || self.v[j as usize] >= NEARLY_ZERO {
            return overlapping;
        }
        self.next_zero_row(j, from, overlapping.unwrap_or(NONE)).or(overlapping)
    }

    /// Returns the first unseen row in `from..end` that is tight with column `j` without overlap.
    fn next_zero_row(&mut self, j: u32, from: u32, end: u32) -> Option<u32> {
        let cells = self.r.column(j as usize);
        let mut place = self.zero_rows.rows.partition_point(|&i| i < from) as u32;
        loop {
            place = self.zero_rows.unseen_from(place);
            let i = *self.zero_rows.rows.get(place as usize).filter(|&&i| i < end)?;
            if self.is_tight(i, j, 0.0) && !is_listed(cells, i) {
                return Some(i);
            }
            place += 1;
        }
    }

    fn list_tight_cells(&mut self) {
        let TightCells { mut ends, mut rows, mut by_row } = std::mem::take(&mut self.tight_cells);
        by_row.clear();
        for i in self.rows() {
            by_row.extend(self.tight_free_cells(i).map(|(j, _)| (j, i)));
        }
        ends.clear();
        ends.resize(self.r.columns() + 1, 0);
        for &(j, _) in &by_row {
            ends[j as usize + 1] += 1;
        }
        for j in 1..ends.len() {
            ends[j] += ends[j - 1];
        }
        rows.clear();
        rows.resize(ends.last().copied().unwrap_or(0), 0);
        for &(j, i) in &by_row {
            rows[ends[j as usize]] = i;
            ends[j as usize] += 1;
        }
        // Each start index now points to its column's end.
        self.tight_cells = TightCells { ends, rows, by_row };
    }

    /// Returns the overlapping free columns that are tight with row `i`.
    pub(super) fn tight_free_cells(&self, i: u32) -> impl Iterator<Item = (u32, f64)> {
        let cells = self.cells_that_may_be_tight(i).iter();
        cells.filter(move |c| self.candidates.is_free(c.0) && self.is_tight(i, c.0, c.1)).copied()
    }

    /// A row with a slack far below 0 can be tight anywhere; every other row only where its slack is close to the minimum.
    fn cells_that_may_be_tight(&self, i: u32) -> &Cells {
        let cells = self.candidates.cells(i);
        let below = cells.iter().any(|c| self.slack(i, c.0, c.1) <= -MARGIN / 2.0);
        if below { self.r.row(i as usize) } else { cells }
    }
}
