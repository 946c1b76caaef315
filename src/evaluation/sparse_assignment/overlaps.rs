//! The non-zero overlaps of one matching problem by row and by column.

/// A row's or a column's overlaps: `(column or row, IoU)`, ascending, IoU > 0.
pub(in super::super) type Cells = [(u32, f64)];

/// Overlaps of `rows` x `columns`; unlisted ones are 0.
#[derive(Debug)]
pub(in super::super) struct SparseOverlaps {
    row_ends: Vec<usize>,
    row_cells: Vec<(u32, f64)>,
    column_ends: Vec<usize>,
    column_cells: Vec<(u32, f64)>,
}

impl SparseOverlaps {
    /// Builds it from the cells of each row in ascending order.
    pub fn new(columns: usize, rows: impl Iterator<Item = impl Iterator<Item = (u32, f64)>>) -> Self {
        let (mut row_ends, mut row_cells) = (Vec::new(), Vec::new());
        for row in rows {
            row_cells.extend(row);
            row_ends.push(row_cells.len());
        }
        let mut sparse = Self { row_ends, row_cells, column_ends: Vec::new(), column_cells: Vec::new() };
        (sparse.column_ends, sparse.column_cells) = sparse.turned(columns);
        sparse
    }

    /// Exchanges rows and columns.
    pub fn transposed(self) -> Self {
        Self {
            row_ends: self.column_ends,
            row_cells: self.column_cells,
            column_ends: self.row_ends,
            column_cells: self.row_cells,
        }
    }

    fn turned(&self, columns: usize) -> (Vec<usize>, Vec<(u32, f64)>) {
        let mut next = vec![0; columns + 1];
        self.row_cells.iter().for_each(|&(j, _)| next[j as usize + 1] += 1);
        for j in 0..columns {
            next[j + 1] += next[j];
        }
        let mut cells = vec![(0, 0.0); self.row_cells.len()];
        for i in 0..self.rows() {
            for &(j, r) in self.row(i) {
                cells[next[j as usize]] = (i as u32, r);
                next[j as usize] += 1;
            }
        }
        // Each start index now points to its column's end.
        next.truncate(columns);
        (next, cells)
    }

    pub fn rows(&self) -> usize {
        self.row_ends.len()
    }

    pub fn columns(&self) -> usize {
        self.column_ends.len()
    }

    pub fn row(&self, i: usize) -> &Cells {
        &self.row_cells[start(&self.row_ends, i)..self.row_ends[i]]
    }

    pub fn column(&self, j: usize) -> &Cells {
        &self.column_cells[start(&self.column_ends, j)..self.column_ends[j]]
    }

    pub fn row_max(&self, i: usize) -> f64 {
        largest(self.row(i))
    }

    pub fn column_max(&self, j: usize) -> f64 {
        largest(self.column(j))
    }
}

fn start(ends: &[usize], k: usize) -> usize {
    if k == 0 { 0 } else { ends[k - 1] }
}

fn largest(cells: &Cells) -> f64 {
    cells.iter().map(|c| c.1).fold(0.0, f64::max)
}

/// Returns the overlap at `at`; 0 if unlisted.
pub(super) fn overlap_at(cells: &Cells, at: u32) -> f64 {
    cells.binary_search_by_key(&at, |c| c.0).map_or(0.0, |k| cells[k].1)
}

pub(super) fn is_listed(cells: &Cells, at: u32) -> bool {
    cells.binary_search_by_key(&at, |c| c.0).is_ok()
}
