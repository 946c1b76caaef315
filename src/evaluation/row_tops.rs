//! Selects the columns of a wide matching problem that can matter to the official solver.
//!
//! With faces as rows and detections as columns, all unstarred columns have lost the same amount from their initial potential: nothing from
//! the row cover, some Q from the column cover. So a row sees them in a fixed order of slack: by descending overlap from the row cover, by
//! how far a column's largest overlap exceeds the row's from the column cover. A row with a tight unstarred column is reached through the
//! first such column (lowest index on ties), and at most `rows` columns are starred at any time. So each row can only use its first `rows +
//! 1` columns in the order "larger value first, lower index first", the value being the overlap or the negated slack. Every other column is
//! dominated in the search, in the first stars and in the slack. This requires values that are equal or clearly distinct, which `near_tie`
//! checks, and no star lost to rounding, which the solver reports.

use std::collections::BTreeSet;

/// Unequal values closer than this make the reduction unsafe (the solver treats 1e-15 as equal).
pub(super) const CLEARLY_APART: f64 = 1e-13;

/// The first columns of each row.
#[derive(Debug)]
pub(super) struct RowTops {
    keep: usize,
    /// A row's columns as `(value, column)`, first column first: the kept ones and the next one.
    rows: Vec<Vec<(f64, u32)>>,
    /// In how many rows each column is kept.
    uses: Vec<u32>,
    kept: BTreeSet<u32>,
}

impl RowTops {
    pub fn new(rows: usize, columns: usize) -> Self {
        Self { keep: rows + 1, rows: vec![Vec::new(); rows], uses: vec![0; columns], kept: BTreeSet::new() }
    }

    /// Whether two neighbours among the first columns of any of `rows`, or the last kept one and the next, are too close.
    pub fn near_tie(&self, rows: &[usize]) -> bool {
        let close = |pair: &[(f64, u32)]| pair[0].0 != pair[1].0 && (pair[0].0 - pair[1].0).abs() < CLEARLY_APART;
        rows.iter().any(|&row| self.rows[row].windows(2).any(close))
    }

    /// Returns the kept columns, ascending.
    pub fn kept(&self) -> Vec<usize> {
        self.kept.iter().map(|&k| k as usize).collect()
    }

    /// Adds a column; `value` returns its value in each row and is called by ascending row. Returns true if any row's columns changed.
    pub fn insert(&mut self, column: usize, mut value: impl FnMut(usize) -> f64) -> bool {
        let mut changed = false;
        for row in 0..self.rows.len() {
            changed |= self.insert_in(row, value(row), column as u32);
        }
        changed
    }

    fn insert_in(&mut self, row: usize, value: f64, column: u32) -> bool {
        let keep = self.keep;
        let list = &mut self.rows[row];
        let at = list.partition_point(|&(v, c)| value < v || (v == value && c < column));
        if keep < at {
            return false;
        }
        list.insert(at, (value, column));
        list.truncate(keep + 1);
        let dropped = list.get(keep).map(|next| next.1);
        if at < keep {
            self.use_more(column);
            if let Some(dropped) = dropped {
                self.use_less(dropped);
            }
        }
        true
    }

    fn use_more(&mut self, column: u32) {
        let uses = &mut self.uses[column as usize];
        *uses += 1;
        if *uses == 1 {
            self.kept.insert(column);
        }
    }

    fn use_less(&mut self, column: u32) {
        let uses = &mut self.uses[column as usize];
        *uses -= 1;
        if *uses == 0 {
            self.kept.remove(&column);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_largest_then_the_lowest_index() {
        let mut tops = RowTops::new(1, 7);
        assert!(tops.insert(3, |_| 0.5));
        assert!(tops.insert(5, |_| 0.5));
        assert!(tops.insert(0, |_| 0.0)); // the next one
        assert!(!tops.insert(6, |_| 0.0));
        assert!(tops.insert(1, |_| 0.5)); // pushes 5 out
        assert!(tops.insert(4, |_| 0.7)); // pushes 3 out
        assert!(!tops.insert(2, |_| 0.3));
        assert_eq!((tops.kept(), tops.near_tie(&[0])), (vec![1, 4], false));
    }

    #[test]
    fn a_near_tie_is_over_when_it_is_pushed_out() {
        let mut tops = RowTops::new(2, 8);
        let close = 0.5 + 1e-15;
        for (column, value) in [(0, 0.5), (1, close), (2, 0.6)] {
            tops.insert(column, |row| if row == 0 { value } else { 0.0 });
        }
        assert_eq!((tops.near_tie(&[0]), tops.near_tie(&[1])), (true, false));
        tops.insert(3, |row| if row == 0 { 0.7 } else { 0.0 });
        assert!(tops.near_tie(&[0]), "the last kept and the next");
        tops.insert(4, |row| if row == 0 { 0.8 } else { 0.0 });
        assert!(!tops.near_tie(&[0]));
    }
}
