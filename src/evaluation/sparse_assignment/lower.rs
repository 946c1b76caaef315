//! Steps B and C: lowers the cover until an augmenting path exists or the solver is done.

use super::candidates::MARGIN;
use super::overlaps::{Cells, is_listed, overlap_at};
use super::{EPS, NEARLY_ZERO, NONE, Solver};

/// Rows and columns between two searches.
struct Stretch {
    seen: Vec<u32>,
    unseen: Vec<u32>,
    /// The free columns.
    free: Vec<u32>,
    /// The smallest potential of the free columns.
    least_v: f64,
    /// The unseen rows' smallest slacks over all free columns, each to within half of [`MARGIN`], in row order.
    nearly: Vec<f64>,
    /// The smallest potential of the unseen rows.
    least_u: f64,
    /// Whether any of them has potential 0.
    has_zero: bool,
}

/// The result of a change of the cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// The official program stops, or would repeat this step forever.
    None,
    Made,
    /// Rounding lost a star, or a cell through which a row was reached.
    Broken,
}

impl Solver<'_> {
    /// Returns false when the official program stops.
    pub fn lower(&mut self) -> bool {
        let mut stretch = self.begin();
        loop {
            if stretch.unseen.is_empty() || stretch.free.is_empty() {
                return false;
            }
            match self.change_cover(&mut stretch) {
                Change::None => return false,
                Change::Broken => return true,
                Change::Made => {}
            }
            if self.reach_more(&mut stretch) {
                return true;
            }
        }
    }

    fn begin(&mut self) -> Stretch {
        let free = self.note_free_columns();
        let (mut seen, mut unseen) = (Vec::with_capacity(self.seen.len()), Vec::with_capacity(self.seen.len()));
        for i in self.rows() {
            if self.seen[i as usize] {
                seen.push(i);
                self.reached_overlap[i as usize] = overlap_at(self.r.row(i as usize), self.reached_through[i as usize]);
            } else {
                unseen.push(i);
            }
        }
        let least_v = free.iter().map(|&j| self.v[j as usize]).fold(f64::INFINITY, f64::min);
        let nearly = Vec::with_capacity(unseen.len());
        let mut stretch = Stretch { seen, unseen, free, least_v, nearly, least_u: 0.0, has_zero: false };
        self.look_at_unseen(&mut stretch);
        stretch
    }

    /// Updates which columns are free after a search.
    pub fn note_free_columns(&mut self) -> Vec<u32> {
        let mut free = Vec::with_capacity(self.v.len());
        for j in self.columns() {
            let row = self.star_of_column[j as usize];
            if row == NONE || self.seen[row as usize] {
                free.push(j);
                self.candidates.free_column(self.r, &self.v, j);
            } else {
                self.candidates.bind_column(self.r, j);
            }
        }
        self.candidates.refresh(self.r, &self.v);
        free
    }

    fn change_cover(&mut self, stretch: &mut Stretch) -> Change {
        let d = self.smallest_slack(stretch);
        if d.abs() < EPS {
            return Change::None;
        }
        if stretch.has_zero {
            self.lower_free_columns(stretch, d.min(stretch.least_v))
        } else {
            self.lower_unseen_rows(stretch, d.min(stretch.least_u))
        }
    }

    /// Updates the potentials of the unseen rows and their slacks.
    fn look_at_unseen(&self, stretch: &mut Stretch) {
        let Stretch { unseen, nearly, least_v, .. } = stretch;
        let (mut least_u, mut has_zero) = (f64::INFINITY, false);
        nearly.clear();
        nearly.extend(unseen.iter().map(|&i| {
            let u = self.u[i as usize];
            least_u = least_u.min(u);
            has_zero |= u == 0.0;
            self.candidates.nearly_least_slack(i, u).min(u + *least_v)
        }));
        (stretch.least_u, stretch.has_zero) = (least_u, has_zero);
    }

    fn lower_free_columns(&mut self, stretch: &mut Stretch, q: f64) -> Change {
        let mut changed = false;
        let mut add = |value: &mut f64, q: f64| {
            let before = *value;
            *value += q;
            changed |= *value != before;
        };
        let mut least_v = f64::INFINITY;
        for &j in &stretch.free {
            let v = &mut self.v[j as usize];
            add(v, -q);
            least_v = least_v.min(*v);
        }
        stretch.least_v = least_v;
        let mut broken = false;
        for &i in &stretch.seen {
            add(&mut self.u[i as usize], q);
            let (star, through) = (self.star_of_row[i as usize], self.reached_through[i as usize]);
            if star != NONE && !self.is_tight(i, star, self.star_overlap[i as usize]) {
                self.drop_star(i, star);
                broken = true;
            }
            broken |= through != star && !self.is_tight(i, through, self.reached_overlap[i as usize]);
        }
        if !changed {
            return Change::None;
        }
        self.candidates.lower(self.r, &self.v, q);
        if broken { Change::Broken } else { Change::Made }
    }

    fn lower_unseen_rows(&mut self, stretch: &Stretch, q: f64) -> Change {
        let (mut changed, mut broken) = (false, false);
        for &i in &stretch.unseen {
            let u = &mut self.u[i as usize];
            let before = *u;
            *u -= q;
            changed |= *u != before;
            let star = self.star_of_row[i as usize];
            if star != NONE {
                let v = &mut self.v[star as usize];
                let before = *v;
                *v += q;
                changed |= *v != before;
                if !self.is_tight(i, star, self.star_overlap[i as usize]) {
                    self.drop_star(i, star);
                    broken = true;
                }
            }
        }
        match (changed, broken) {
            (false, _) => Change::None,
            (true, true) => Change::Broken,
            (true, false) => Change::Made,
        }
    }

    /// Adds the rows that the last change made reachable; returns true if one of them has no star, so that a path can grow.
    fn reach_more(&mut self, stretch: &mut Stretch) -> bool {
        self.look_at_unseen(stretch);
        let mut reached: Vec<u32> = Vec::new();
        for (&i, &nearly) in stretch.unseen.iter().zip(&stretch.nearly) {
            if nearly > MARGIN {
                continue;
            }
            let through = self.tight_free_cells(i).next().or_else(|| self.tight_without_overlap(i, stretch));
            if let Some((through, r)) = through
                && self.reach(i, through, r, &mut reached)
            {
                return true;
            }
        }
        let mut at = 0;
        while let Some(&row) = reached.get(at) {
            at += 1;
            let column = self.star_of_row[row as usize];
            self.candidates.free_column(self.r, &self.v, column);
            stretch.free.push(column);
            stretch.least_v = stretch.least_v.min(self.v[column as usize]);
            if self.reach_from(column, stretch, &mut reached) {
                return true;
            }
        }
        if at > 0 {
            stretch.unseen.retain(|&i| !self.seen[i as usize]);
            stretch.seen.append(&mut reached);
            self.look_at_unseen(stretch);
        }
        false
    }

    /// Adds the rows that are tight with a column that became free.
    fn reach_from(&mut self, column: u32, stretch: &Stretch, reached: &mut Vec<u32>) -> bool {
        let cells = self.r.column(column as usize);
        for &(i, r) in cells {
            if !self.seen[i as usize] && self.is_tight(i, column, r) && self.reach(i, column, r, reached) {
                return true;
            }
        }
        if self.v[column as usize] >= NEARLY_ZERO {
            return false;
        }
        stretch.unseen.iter().any(|&i| {
            let open = !self.seen[i as usize] && self.u[i as usize] < NEARLY_ZERO;
            open && self.is_tight(i, column, 0.0) && !is_listed(cells, i) && self.reach(i, column, 0.0, reached)
        })
    }

    /// Returns true if row `i` has no star.
    fn reach(&mut self, i: u32, through: u32, r: f64, reached: &mut Vec<u32>) -> bool {
        self.seen[i as usize] = true;
        self.reached_through[i as usize] = through;
        self.reached_overlap[i as usize] = r;
        reached.push(i);
        self.star_of_row[i as usize] == NONE
    }

    /// Returns a free column that is tight with row `i` without overlapping it.
    fn tight_without_overlap(&self, i: u32, stretch: &Stretch) -> Option<(u32, f64)> {
        if self.u[i as usize] + stretch.least_v >= NEARLY_ZERO {
            return None;
        }
        let cells = self.r.row(i as usize);
        let tight = |&j: &u32| self.v[j as usize] < NEARLY_ZERO && self.is_tight(i, j, 0.0) && !is_listed(cells, j);
        stretch.free.iter().copied().find(tight).map(|j| (j, 0.0))
    }

    /// Returns the slack by which the cover is lowered: the official program starts with that of the first row and column, and takes a
    /// smaller one that is not below 0.
    fn smallest_slack(&self, stretch: &Stretch) -> f64 {
        // Only rows whose slack is close to the smallest, or close to below 0, are computed exactly.
        let above = stretch.nearly.iter().map(|&nearly| if nearly > MARGIN { nearly } else { f64::INFINITY });
        let least_above = above.fold(f64::INFINITY, f64::min);
        let (mut d, mut below) = (f64::INFINITY, Vec::new());
        for (&i, &nearly) in stretch.unseen.iter().zip(&stretch.nearly) {
            if nearly <= MARGIN + least_above {
                let least = self.least_slack(i, stretch);
                if least > -EPS {
                    d = d.min(least);
                } else {
                    below.push(i);
                }
            }
        }
        if below.is_empty() {
            return d;
        }
        let (Some(&i), Some(&j)) = (stretch.unseen.iter().min(), stretch.free.iter().min()) else { return 0.0 };
        let first = self.slack(i, j, overlap_at(self.r.row(i as usize), j));
        if first <= -EPS {
            return first;
        }
        let least_columns = stretch.free.iter().copied().filter(|&j| self.v[j as usize] == stretch.least_v);
        let least_columns: Vec<u32> = least_columns.take(8).collect();
        // Rows with a slack below 0 come last: the values of the other rows shorten their search.
        below.into_iter().fold(d, |d, i| self.least_slack_above_zero(i, stretch, &least_columns, d))
    }

    /// A free column that does not overlap has slack `u + v`; an overlapping one has less, so the smallest `v` of all columns can be used
    /// for it.
    fn least_slack(&self, i: u32, stretch: &Stretch) -> f64 {
        let cells = self.candidates.cells(i).iter();
        cells.map(|c| self.slack(i, c.0, c.1)).fold(self.u[i as usize] + stretch.least_v, f64::min)
    }

    /// Returns the smallest slack of row `i` that is not below 0, if it is less than `d`, otherwise `d`. `least_columns`: some of the free
    /// columns with the smallest potential.
    fn least_slack_above_zero(&self, i: u32, stretch: &Stretch, least_columns: &[u32], d: f64) -> f64 {
        let cells = self.r.row(i as usize);
        let above = |d: f64, cells: &Cells| {
            let free = cells.iter().filter(|c| self.candidates.is_free(c.0));
            free.map(|c| self.slack(i, c.0, c.1)).filter(|&t| t >= EPS).fold(d, f64::min)
        };
        let mut d = above(d, self.candidates.cells(i));
        if self.u[i as usize] + self.candidates.beyond(i) - MARGIN < d {
            d = above(d, cells);
        }
        // Without overlap the slack is `u + v`, which rounding cannot make smaller than with the smallest `v`.
        let least = self.u[i as usize] + stretch.least_v;
        if least >= d {
            return d;
        }
        if least >= EPS && least_columns.iter().any(|&j| !is_listed(cells, j)) {
            return least;
        }
        stretch.free.iter().fold(d, |least, &j| {
            let t = self.slack(i, j, 0.0);
            if t >= EPS && t < least && !is_listed(cells, j) { t } else { least }
        })
    }
}
