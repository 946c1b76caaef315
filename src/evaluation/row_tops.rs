//! Which columns of a wide matching problem can matter to the official solver at all. Must not know where overlaps come from.
//!
//! With one row a face and one column a detection, started from the row cover, unstarred columns keep a potential of 0. Whenever
//! a row has a tight unstarred column it is reached through the first such column (lowest index among the equal largest), and at
//! most `rows` columns are starred at any time. So each row can only use its first `rows + 1` columns in the order "larger
//! value first, lower index first"; every other column is dominated, in the search, in the first stars and in the slack. This
//! needs values that are equal or clearly apart, which `near_tie` watches, and no star lost to rounding, which the solver reports.

/// Values closer than this without being equal make the reduction unsafe (the solver calls 1e-15 equal).
const CLEARLY_APART: f64 = 1e-13;

/// For each row its first `keep` columns.
#[derive(Debug)]
pub(super) struct RowTops {
    keep: usize,
    /// A row's columns as `(value, column)`, first column first.
    rows: Vec<Vec<(f64, u32)>>,
    /// In how many rows a column is kept.
    uses: Vec<u32>,
    near_tie: bool,
}

impl RowTops {
    pub fn new(rows: usize, columns: usize) -> Self {
        Self { keep: rows + 1, rows: vec![Vec::new(); rows], uses: vec![0; columns], near_tie: false }
    }

    pub fn near_tie(&self) -> bool {
        self.near_tie
    }

    pub fn is_kept(&self, column: usize) -> bool {
        self.uses[column] != 0
    }

    /// Adds a column given its values above 0 as `(row, value)`, rows ascending. True when any row's first columns changed.
    pub fn insert(&mut self, column: usize, values: &[(u32, f64)]) -> bool {
        let mut values = values.iter().peekable();
        let mut changed = false;
        for row in 0..self.rows.len() {
            let value = values.next_if(|v| v.0 as usize == row).map_or(0.0, |v| v.1);
            changed |= self.insert_in(row, value, column as u32);
        }
        changed
    }

    fn insert_in(&mut self, row: usize, value: f64, column: u32) -> bool {
        let list = &mut self.rows[row];
        let at = list.partition_point(|&(v, c)| value < v || (v == value && c < column));
        let close =
            |other: Option<&(f64, u32)>| other.is_some_and(|o| o.0 != value && (o.0 - value).abs() < CLEARLY_APART);
        self.near_tie |= close(list.get(at)) || close(at.checked_sub(1).and_then(|k| list.get(k)));
        if self.keep <= at {
            return false;
        }
        list.insert(at, (value, column));
        self.uses[column as usize] += 1;
        if self.keep < list.len()
            && let Some((_, dropped)) = list.pop()
        {
            self.uses[dropped as usize] -= 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_largest_then_the_lowest_index() {
        let mut tops = RowTops::new(1, 6);
        assert!(tops.insert(3, &[(0, 0.5)]));
        assert!(tops.insert(5, &[(0, 0.5)]));
        assert!(!tops.insert(0, &[]));
        assert!(tops.insert(1, &[(0, 0.5)])); // pushes 5 out
        assert!(tops.insert(4, &[(0, 0.7)])); // pushes 3 out
        assert!(!tops.insert(2, &[(0, 0.3)]));
        let kept: Vec<usize> = (0..6).filter(|&c| tops.is_kept(c)).collect();
        assert_eq!((kept, tops.near_tie()), (vec![1, 4], false));
        tops.insert(2, &[(0, 0.5 + 1e-15)]);
        assert!(tops.near_tie());
    }
}
