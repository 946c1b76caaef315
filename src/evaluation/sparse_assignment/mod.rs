//! The official program's assignment solver for crowded images: bit-identical to `official_assignment.rs`, without its passes over the
//! whole table.
//!
//! The potentials `u` and `v` go through exactly the same additions; only how a decision is found differs. A column is free if it is not
//! essential: it has no star, or its star is in a seen row.
//! - Step A finds a longer alternating path or the reachable rows. Without a path, the rows that a cover change adds are found from the
//!   cells that became tight: only cells of unseen rows and free columns can, and reached rows stay reached unless rounding loses a star or
//!   one of the tight cells, after which the search restarts. Paths are taken in the official order, which determines the result; the
//!   official restart after each path is skipped (see `grow_all`).
//! - Step B's smallest slack is the minimum over the rows, and a row's is at its free column with the smallest `v - r`. Each row keeps the
//!   columns within [`MARGIN`] of the minimum, which rounding cannot exceed, and the slack itself is computed as in the official program,
//!   only for rows whose slack is close to the minimum. If a slack fell below 0 by more than the margin (after a lost star), all cells of
//!   the row are checked, since the official program skips such slacks.
//! - Cells without overlap differ only in `u + v`: the smallest `v` represents them all, and they are tight only if both are nearly 0.

mod candidates;
mod lower;
mod overlaps;
mod search;
#[cfg(test)]
mod tests;

use self::candidates::Candidates;
use self::search::{TightCells, ZeroRows};
use super::official_assignment::{Cover, EPS};

pub(super) use self::overlaps::SparseOverlaps;
use self::overlaps::overlap_at;

/// No row or column.
const NONE: u32 = u32::MAX;

/// From this potential on, a cell without overlap cannot be tight.
const NEARLY_ZERO: f64 = 1e-9;

/// The solver's result.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SparseAssignment {
    /// The overlap of each row with its column; 0 if it has none.
    pub overlaps: Vec<f64>,
    /// Whether rounding lost a star on the way.
    pub lost_a_star: bool,
}

/// Assigns a column to every row; `rows <= columns`.
pub(super) fn solve(r: &SparseOverlaps, cover: Cover) -> SparseAssignment {
    let mut solver = Solver::new(r, cover);
    solver.first_stars(cover);
    solver.note_free_columns();
    while {
        solver.grow_all();
        solver.lower()
    } {}
    let overlap = |(&column, &r): (&u32, &f64)| if column == NONE { 0.0 } else { r };
    let overlaps = solver.star_of_row.iter().zip(&solver.star_overlap).map(overlap).collect();
    SparseAssignment { overlaps, lost_a_star: solver.lost_a_star }
}

struct Solver<'a> {
    r: &'a SparseOverlaps,
    u: Vec<f64>,
    v: Vec<f64>,
    star_of_row: Vec<u32>,
    star_of_column: Vec<u32>,
    /// The overlap at each row's star.
    star_overlap: Vec<f64>,
    seen: Vec<bool>,
    /// In insertion order.
    seen_rows: Vec<u32>,
    /// The column through which each seen row was reached.
    reached_through: Vec<u32>,
    /// The overlap there; only valid while the cover is lowered.
    reached_overlap: Vec<f64>,
    zero_rows: ZeroRows,
    tight_cells: TightCells,
    candidates: Candidates,
    lost_a_star: bool,
}

impl<'a> Solver<'a> {
    fn new(r: &'a SparseOverlaps, cover: Cover) -> Self {
        let (rows, columns) = (r.rows(), r.columns());
        let (u, v) = match cover {
            Cover::Rows => ((0..rows).map(|i| r.row_max(i)).collect(), vec![0.0; columns]),
            Cover::Columns => (vec![0.0; rows], (0..columns).map(|j| r.column_max(j)).collect()),
        };
        Self {
            r,
            u,
            v,
            star_of_row: vec![NONE; rows],
            star_of_column: vec![NONE; columns],
            star_overlap: vec![0.0; rows],
            seen: vec![false; rows],
            seen_rows: Vec::with_capacity(rows),
            reached_through: vec![NONE; rows],
            reached_overlap: vec![0.0; rows],
            zero_rows: ZeroRows::default(),
            tight_cells: TightCells::default(),
            candidates: Candidates::new(rows, columns),
            lost_a_star: false,
        }
    }

    fn slack(&self, i: u32, j: u32, r: f64) -> f64 {
        (self.u[i as usize] + self.v[j as usize]) - r
    }

    fn is_tight(&self, i: u32, j: u32, r: f64) -> bool {
        self.slack(i, j, r).abs() < EPS
    }

    fn rows(&self) -> std::ops::Range<u32> {
        0..self.r.rows() as u32
    }

    fn columns(&self) -> std::ops::Range<u32> {
        0..self.r.columns() as u32
    }

    fn star(&mut self, i: u32, j: u32) {
        self.star_of_row[i as usize] = j;
        self.star_of_column[j as usize] = i;
        self.star_overlap[i as usize] = overlap_at(self.r.row(i as usize), j);
    }

    fn drop_star(&mut self, i: u32, j: u32) {
        self.star_of_row[i as usize] = NONE;
        self.star_of_column[j as usize] = NONE;
        self.lost_a_star = true;
    }

    /// Only cells with overlap are tight here: every row and column has one, so the cover's potentials are above 0.
    fn first_stars(&mut self, cover: Cover) {
        let r = self.r;
        match cover {
            Cover::Rows => {
                for i in self.rows() {
                    let free = |j: u32| self.star_of_column[j as usize] == NONE;
                    let found = r.row(i as usize).iter().find(|c| self.is_tight(i, c.0, c.1) && free(c.0));
                    if let Some(&(j, _)) = found {
                        self.star(i, j);
                    }
                }
            }
            Cover::Columns => {
                for j in self.columns() {
                    let free = |i: u32| self.star_of_row[i as usize] == NONE;
                    let found = r.column(j as usize).iter().find(|c| self.is_tight(c.0, j, c.1) && free(c.0));
                    if let Some(&(i, _)) = found {
                        self.star(i, j);
                    }
                }
            }
        }
    }
}
