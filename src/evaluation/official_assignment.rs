//! The official program's assignment solver (`fddb_spec.md`, section 7). It is NOT always optimal, but the published curves were made with
//! it: follow the specification, not a textbook.

use super::row_tops::CLEARLY_APART;

/// Two sums this close count as equal; the official program's constant.
pub(super) const EPS: f64 = 1e-15;

/// Upper bound on the accumulated error of a few roundings of numbers up to 1.
const NOISE: f64 = 9e-16;

/// Overlaps of `rows` x `columns`, `rows <= columns`, in row-major order.
#[derive(Debug, Clone, Default)]
pub struct Overlaps {
    pub rows: usize,
    pub columns: usize,
    pub values: Vec<f64>,
}

impl Overlaps {
    pub fn row(&self, i: usize) -> &[f64] {
        &self.values[i * self.columns..(i + 1) * self.columns]
    }

    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.values[i * self.columns + j]
    }

    /// Sum of the largest value of each row, in row order; negative values count as 0.
    pub fn sum_of_row_maxima(&self) -> f64 {
        (0..self.rows).map(|i| max(self.row(i).iter())).fold(0.0, |sum, m| sum + m)
    }

    /// Sum of the largest value of each column, in column order.
    pub fn sum_of_column_maxima(&self) -> f64 {
        (0..self.columns).map(|j| self.column_max(j)).fold(0.0, |sum, m| sum + m)
    }

    fn column_max(&self, j: usize) -> f64 {
        max(self.values[j..].iter().step_by(self.columns.max(1)))
    }
}

fn max<'a>(values: impl Iterator<Item = &'a f64>) -> f64 {
    values.fold(0.0, |m: f64, &v| if m < v { v } else { m })
}

/// The solver's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The column of each row; every row has one if there are enough columns.
    pub column_of_row: Vec<Option<usize>>,
    /// Whether rounding lost a star on the way; a reduced problem may then differ from the full one.
    pub lost_a_star: bool,
    /// How often the cover was changed.
    pub relabels: u32,
    /// Whether a decision depended on a difference within rounding error.
    pub close_call: bool,
}

/// The initial cover: `Rows` if the sum of row maxima is at most that of the column maxima.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cover {
    Rows,
    Columns,
}

impl Cover {
    pub fn of(r: &Overlaps) -> Self {
        if r.sum_of_row_maxima() <= r.sum_of_column_maxima() { Self::Rows } else { Self::Columns }
    }
}

/// Assigns a column to every row, like the official program when it starts from `cover`.
pub fn solve(r: &Overlaps, cover: Cover) -> Assignment {
    let mut solver = Solver::new(r, cover);
    solver.first_stars(cover);
    while {
        while solver.grow_any() {}
        solver.relabel()
    } {}
    let Solver { star_of_row, lost_a_star, relabels, close_call, .. } = solver;
    Assignment { column_of_row: star_of_row, lost_a_star, relabels, close_call }
}

struct Solver<'a> {
    r: &'a Overlaps,
    u: Vec<f64>,
    v: Vec<f64>,
    /// `|u + v - r| < EPS` in row-major order; updated when `u` or `v` changes.
    tight: Vec<bool>,
    star_of_row: Vec<Option<usize>>,
    star_of_column: Vec<Option<usize>>,
    seen: Vec<bool>,
    lost_a_star: bool,
    relabels: u32,
    close_call: bool,
}

impl<'a> Solver<'a> {
    fn new(r: &'a Overlaps, cover: Cover) -> Self {
        let (m, n) = (r.rows, r.columns);
        let (u, v) = match cover {
            Cover::Rows => ((0..m).map(|i| max(r.row(i).iter())).collect(), vec![0.0; n]),
            Cover::Columns => (vec![0.0; m], (0..n).map(|j| r.column_max(j)).collect()),
        };
        let mut solver = Self {
            r,
            u,
            v,
            tight: vec![false; m * n],
            star_of_row: vec![None; m],
            star_of_column: vec![None; n],
            seen: vec![false; m],
            lost_a_star: false,
            relabels: 0,
            close_call: false,
        };
        solver.refresh_tight();
        solver
    }

    fn is_tight(&self, i: usize, j: usize) -> bool {
        self.tight[i * self.r.columns + j]
    }

    fn refresh_tight(&mut self) {
        let n = self.r.columns.max(1);
        let mut close = false;
        let rows = self.tight.chunks_exact_mut(n).zip(self.r.values.chunks_exact(n)).zip(&self.u);
        for ((tight, values), &u) in rows {
            for ((t, &r), &v) in tight.iter_mut().zip(values).zip(&self.v) {
                let slack = ((u + v) - r).abs();
                *t = slack < EPS;
                close |= slack > NOISE && slack < CLEARLY_APART;
            }
        }
        self.close_call |= close;
    }

    fn star(&mut self, i: usize, j: usize) {
        self.star_of_row[i] = Some(j);
        self.star_of_column[j] = Some(i);
    }

    fn first_stars(&mut self, cover: Cover) {
        let (m, n) = (self.r.rows, self.r.columns);
        match cover {
            Cover::Rows => {
                for i in 0..m {
                    if let Some(j) = (0..n).find(|&j| self.is_tight(i, j) && self.star_of_column[j].is_none()) {
                        self.star(i, j);
                    }
                }
            }
            Cover::Columns => {
                for j in 0..n {
                    if let Some(i) = (0..m).find(|&i| self.is_tight(i, j) && self.star_of_row[i].is_none()) {
                        self.star(i, j);
                    }
                }
            }
        }
    }

    /// Step A: adds one starred column if possible; fills `seen` otherwise.
    fn grow_any(&mut self) -> bool {
        self.seen.fill(false);
        for j in 0..self.r.columns {
            if self.star_of_column[j].is_some() {
                continue;
            }
            for i in 0..self.r.rows {
                if self.is_tight(i, j) && !self.seen[i] && self.grow(i, j) {
                    return true;
                }
            }
        }
        false
    }

    /// Stars `(i, j)` and moves row `i`'s previous star to another row of its column. Depth-first with an explicit stack, so that long
    /// chains cannot overflow the thread's.
    fn grow(&mut self, i: usize, j: usize) -> bool {
        // (row, column to star in it, next row to try for the row's current star)
        let mut path = vec![(i, j, 0)];
        self.seen[i] = true;
        while let Some(&mut (row, _, ref mut next)) = path.last_mut() {
            let Some(column) = self.star_of_row[row] else {
                return self.move_stars(&path);
            };
            let found = (*next..self.r.rows).find(|&k| !self.seen[k] && self.tight[k * self.r.columns + column]);
            if let Some(k) = found {
                *next = k + 1;
                self.seen[k] = true;
                path.push((k, column, 0));
            } else {
                path.pop();
            }
        }
        false
    }

    fn move_stars(&mut self, path: &[(usize, usize, usize)]) -> bool {
        path.iter().rev().for_each(|&(row, column, _)| self.star(row, column));
        true
    }

    /// Steps B and C: lowers the cover; returns false when the official program stops.
    fn relabel(&mut self) -> bool {
        let essential: Vec<bool> = self.star_of_column.iter().map(|s| s.is_some_and(|i| !self.seen[i])).collect();
        let d = self.smallest_slack(&essential);
        if d.abs() < EPS {
            return false;
        }
        let free_columns = || essential.iter().zip(&self.v).filter(|(e, _)| !**e).map(|(_, &v)| v);
        let unseen_rows = || self.seen.iter().zip(&self.u).filter(|(s, _)| !**s).map(|(_, &u)| u);
        let (before_u, before_v) = (self.u.clone(), self.v.clone());
        if unseen_rows().any(|u| u == 0.0) {
            let q = free_columns().fold(d, f64::min);
            self.seen.iter().zip(&mut self.u).filter(|(s, _)| **s).for_each(|(_, u)| *u += q);
            essential.iter().zip(&mut self.v).filter(|(e, _)| !**e).for_each(|(_, v)| *v -= q);
        } else {
            let least = unseen_rows().fold(f64::INFINITY, f64::min);
            let (q, apart) = (d.min(least), (d - least).abs());
            self.close_call |= apart < CLEARLY_APART;
            self.seen.iter().zip(&mut self.u).filter(|(s, _)| !**s).for_each(|(_, u)| *u -= q);
            essential.iter().zip(&mut self.v).filter(|(e, _)| **e).for_each(|(_, v)| *v += q);
        }
        if before_u == self.u && before_v == self.v {
            // The official program would repeat this step forever.
            return false;
        }
        self.relabels += 1;
        self.refresh_tight();
        self.drop_loose_stars();
        true
    }

    /// The smallest `u + v - r` over unseen rows and non-essential columns; 0 if there are none.
    fn smallest_slack(&self, essential: &[bool]) -> f64 {
        let mut d = 0.0_f64;
        for i in (0..self.r.rows).filter(|&i| !self.seen[i]) {
            let u = self.u[i];
            for ((&r, &v), _) in self.r.row(i).iter().zip(&self.v).zip(essential).filter(|(_, e)| !**e) {
                let t = (u + v) - r;
                if d.abs() < EPS || (t > -EPS && t < d) {
                    d = t;
                }
            }
        }
        d
    }

    fn drop_loose_stars(&mut self) {
        for i in 0..self.r.rows {
            if let Some(j) = self.star_of_row[i]
                && !self.is_tight(i, j)
            {
                self.star_of_row[i] = None;
                self.star_of_column[j] = None;
                self.lost_a_star = true;
            }
        }
    }
}
