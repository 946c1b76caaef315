//! The matching problem of one image while detections are added by descending score. Solves again only when the solver's input has changed,
//! and only with the columns that can matter.

use super::column_classes::ColumnClasses;
use super::official_assignment::{self, Assignment, Cover, Overlaps};
use super::optimal_assignment;
use super::overlap::TouchingDetection;
use super::row_tops::RowTops;
use super::sparse_assignment::{self, SparseOverlaps};
use super::step::{Matching, Step};

/// Problems with fewer touching detections are solved in full: reducing them costs more than it saves.
const REDUCE_FROM: usize = 64;

/// Official problems with at least this many rows are solved without their full cell table.
const SPARSE_FROM: usize = 48;

/// For this many cover changes, the rounding errors of the column cover stay well below the solver's tolerance.
const RELABELS_BEYOND_DOUBT: u32 = 3;

/// Which columns produced the last result, and so what invalidates it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// All columns.
    Whole,
    /// Each face's largest overlaps, from the row cover.
    RowTops,
    /// Each face's smallest slacks, from the column cover.
    SlackTops,
    /// The first of each set of equal columns, from this cover.
    Classes(Cover),
}

pub(super) struct GrowingProblem<'a> {
    touching: &'a [TouchingDetection],
    matching: Matching,
    entered: Vec<bool>,
    count: usize,
    /// The largest overlap of each face; 0 while nothing touches it.
    face_best: Vec<f64>,
    /// Running sum of the detections' largest overlaps, in insertion order.
    detection_best_sum: f64,
    /// The problem is reduced from this many detections on.
    reduce_from: usize,
    row_tops: Option<RowTops>,
    /// Created when the column cover first occurs.
    slack_tops: Option<RowTops>,
    /// Created when neither other reduction is certain for the first time.
    classes: Option<ColumnClasses>,
    /// The last result, while it is valid.
    counts: Option<Step>,
    found: Found,
}

impl<'a> GrowingProblem<'a> {
    pub fn new(touching: &'a [TouchingDetection], faces: usize, matching: Matching) -> Self {
        let reduce_from = REDUCE_FROM.max(2 * (faces + 1)) + 1;
        let wide = reduce_from <= touching.len();
        Self {
            touching,
            matching,
            entered: vec![false; touching.len()],
            count: 0,
            face_best: vec![0.0; faces],
            detection_best_sum: 0.0,
            reduce_from,
            row_tops: wide.then(|| RowTops::new(faces, touching.len())),
            slack_tops: None,
            classes: None,
            counts: None,
            found: Found::Whole,
        }
    }

    pub fn enter(&mut self, k: usize) {
        let touching = self.touching;
        let detection = &touching[k];
        self.entered[k] = true;
        self.count += 1;
        self.detection_best_sum += detection.best;
        let mut touches_first = false;
        for &(face, iou) in &detection.faces {
            let best = &mut self.face_best[face as usize];
            touches_first |= *best == 0.0;
            *best = best.max(iou);
        }
        let in_rows = self.row_tops.as_mut().is_some_and(|tops| tops.insert(k, overlaps_of(detection)));
        let in_slacks = self.slack_tops.as_mut().is_some_and(|tops| tops.insert(k, slacks_of(detection)));
        let in_classes = self.classes.as_mut().is_some_and(|classes| classes.insert(k, detection));
        let unseen = match self.found {
            Found::Whole => false,
            Found::RowTops => !in_rows,
            Found::SlackTops => !in_slacks,
            Found::Classes(_) => !in_classes,
        };
        if touches_first || !unseen {
            self.counts = None;
        }
    }

    /// Returns the counts for the detections added so far (the caller sets threshold and false positives).
    pub fn counts(&mut self) -> Step {
        // A detection that the solver does not see still counts in the sums that select the cover.
        let needs = match self.found {
            Found::Whole | Found::RowTops => None,
            Found::SlackTops => Some(Cover::Columns),
            Found::Classes(cover) => Some(cover),
        };
        if let Some(counts) = self.counts
            && needs.is_none_or(|cover| self.cover(&self.touched_faces()) == cover)
        {
            return counts;
        }
        let counts = self.solve();
        self.counts = Some(counts);
        counts
    }

    fn touched_faces(&self) -> Vec<usize> {
        (0..self.face_best.len()).filter(|&f| self.face_best[f] != 0.0).collect()
    }

    fn solve(&mut self) -> Step {
        let faces = self.touched_faces();
        self.found = Found::Whole;
        if self.count < faces.len() {
            return self.solve_whole(&faces, true);
        }
        if self.count < self.reduce_from {
            return self.solve_whole(&faces, false);
        }
        match self.matching {
            Matching::Official => self.solve_reduced(&faces),
            Matching::Optimal => {
                // A maximum sum never needs more columns of a face than there are faces.
                let columns = self.row_tops.as_ref().map_or_else(|| self.all_entered(), RowTops::kept);
                let r = self.overlaps(&columns, &faces, false);
                self.found = Found::RowTops;
                count(&r, &optimal_assignment::solve(&r))
            }
        }
    }

    /// Finds the official result with fewer columns: each face's first ones if that is certain, otherwise the first of each set of equal
    /// columns, which is exact unless rounding loses a star.
    fn solve_reduced(&mut self, faces: &[usize]) -> Step {
        let cover = self.cover(faces);
        if faces.len() >= SPARSE_FROM {
            return self.solve_reduced_sparse(faces, cover);
        }
        let (tops, found) = match cover {
            Cover::Rows => (self.row_tops.take(), Found::RowTops),
            Cover::Columns => (Some(self.slack_tops.take().unwrap_or_else(|| self.new_slack_tops())), Found::SlackTops),
        };
        let by_tops = tops.as_ref().filter(|tops| !tops.near_tie(faces)).and_then(|tops| {
            let r = self.overlaps(&tops.kept(), faces, false);
            let assignment = official_assignment::solve(&r, cover);
            is_beyond_doubt(&assignment, cover).then(|| count(&r, &assignment.column_of_row))
        });
        match cover {
            Cover::Rows => self.row_tops = tops,
            Cover::Columns => self.slack_tops = tops,
        }
        if let Some(counts) = by_tops {
            self.found = found;
            return counts;
        }
        let classes = self.classes.take().unwrap_or_else(|| self.new_classes());
        let r = self.overlaps(&classes.kept(), faces, false);
        self.classes = Some(classes);
        let assignment = official_assignment::solve(&r, cover);
        if assignment.lost_a_star {
            return self.solve_whole(faces, false);
        }
        self.found = Found::Classes(cover);
        count(&r, &assignment.column_of_row)
    }

    /// The same for many faces. From the column cover nothing is certain here, because hundreds of rounding errors add up.
    fn solve_reduced_sparse(&mut self, faces: &[usize], cover: Cover) -> Step {
        let tops = self.row_tops.as_ref().filter(|tops| cover == Cover::Rows && !tops.near_tie(faces));
        let by_tops = tops.map(|tops| sparse_assignment::solve(&self.sparse_overlaps(&tops.kept(), faces), cover));
        if let Some(found) = by_tops.filter(|found| !found.lost_a_star) {
            self.found = Found::RowTops;
            return count_overlaps(found.overlaps);
        }
        let classes = self.classes.take().unwrap_or_else(|| self.new_classes());
        let kept = classes.kept();
        self.classes = Some(classes);
        let found = sparse_assignment::solve(&self.sparse_overlaps(&kept, faces), cover);
        if found.lost_a_star && kept.len() < self.count {
            return self.solve_whole(faces, false);
        }
        self.found = if found.lost_a_star { Found::Whole } else { Found::Classes(cover) };
        count_overlaps(found.overlaps)
    }

    fn new_slack_tops(&self) -> RowTops {
        let mut tops = RowTops::new(self.face_best.len(), self.touching.len());
        for k in self.all_entered() {
            tops.insert(k, slacks_of(&self.touching[k]));
        }
        tops
    }

    fn new_classes(&self) -> ColumnClasses {
        let mut classes = ColumnClasses::new(self.face_best.len());
        for k in self.all_entered() {
            classes.insert(k, &self.touching[k]);
        }
        classes
    }

    fn all_entered(&self) -> Vec<usize> {
        (0..self.entered.len()).filter(|&k| self.entered[k]).collect()
    }

    /// The cover that the official solver starts from with faces as rows. Its sums run in index order and are compared by `<=`, so they are
    /// computed exactly wherever the running sum leaves any doubt.
    fn cover(&self, faces: &[usize]) -> Cover {
        let rows: f64 = faces.iter().map(|&f| self.face_best[f]).fold(0.0, |sum, b| sum + b);
        let doubt = 1e-9 * (1.0 + self.detection_best_sum);
        if doubt < (rows - self.detection_best_sum).abs() {
            return if rows < self.detection_best_sum { Cover::Rows } else { Cover::Columns };
        }
        let entered = self.touching.iter().zip(&self.entered).filter(|(_, e)| **e);
        let columns = entered.map(|(t, _)| t.best).fold(0.0, |sum, b| sum + b);
        if rows <= columns { Cover::Rows } else { Cover::Columns }
    }

    fn solve_whole(&self, faces: &[usize], transposed: bool) -> Step {
        let detections = self.all_entered();
        if self.matching == Matching::Official && faces.len().min(detections.len()) >= SPARSE_FROM {
            let r = self.sparse_overlaps(&detections, faces);
            let r = if transposed { r.transposed() } else { r };
            return count_overlaps(sparse_assignment::solve(&r, cover_of(&r)).overlaps);
        }
        let r = self.overlaps(&detections, faces, transposed);
        let assigned = match self.matching {
            Matching::Official => official_assignment::solve(&r, Cover::of(&r)).column_of_row,
            Matching::Optimal => optimal_assignment::solve(&r),
        };
        count(&r, &assigned)
    }

    /// Faces as rows.
    fn sparse_overlaps(&self, detections: &[usize], faces: &[usize]) -> SparseOverlaps {
        let mut row_of_face = vec![u32::MAX; self.face_best.len()];
        faces.iter().enumerate().for_each(|(row, &face)| row_of_face[face] = row as u32);
        let row_of_face = &row_of_face;
        // Every face touched by an added detection is among `faces`.
        let by_detection = detections
            .iter()
            .map(|&k| self.touching[k].faces.iter().map(|&(face, iou)| (row_of_face[face as usize], iou)));
        SparseOverlaps::new(faces.len(), by_detection).transposed()
    }

    /// Faces as rows, or detections as rows if `transposed`.
    fn overlaps(&self, detections: &[usize], faces: &[usize], transposed: bool) -> Overlaps {
        let (rows, columns) =
            if transposed { (detections.len(), faces.len()) } else { (faces.len(), detections.len()) };
        let mut values = vec![0.0; rows * columns];
        for (d, &k) in detections.iter().enumerate() {
            for &(face, iou) in &self.touching[k].faces {
                let Ok(f) = faces.binary_search(&(face as usize)) else { continue };
                let (row, column) = if transposed { (d, f) } else { (f, d) };
                values[row * columns + column] = iou;
            }
        }
        Overlaps { rows, columns, values }
    }
}

/// A column's overlap with each face, sorted by [`RowTops`] for the row cover: larger first.
fn overlaps_of(detection: &TouchingDetection) -> impl FnMut(usize) -> f64 {
    let mut faces = detection.faces.iter().peekable();
    move |face| faces.next_if(|v| v.0 as usize == face).map_or(0.0, |v| v.1)
}

/// The same for the column cover: a column's largest overlap minus its overlap with each face, negated.
fn slacks_of(detection: &TouchingDetection) -> impl FnMut(usize) -> f64 {
    let (mut overlap, best) = (overlaps_of(detection), detection.best);
    move |face| overlap(face) - best
}

/// Whether the solver, given all columns, would have found the same assignment. From the row cover, an omitted column has exactly the
/// potential 0 of its representatives. From the column cover, its potential may differ from theirs in the last bits, so no decision may
/// depend on these.
fn is_beyond_doubt(assignment: &Assignment, cover: Cover) -> bool {
    let sure = match cover {
        Cover::Rows => true,
        Cover::Columns => assignment.relabels <= RELABELS_BEYOND_DOUBT && !assignment.close_call,
    };
    sure && !assignment.lost_a_star
}

/// [`Cover::of`] for overlaps without zeros.
fn cover_of(r: &SparseOverlaps) -> Cover {
    let rows = (0..r.rows()).map(|i| r.row_max(i)).fold(0.0, |sum, m| sum + m);
    let columns = (0..r.columns()).map(|j| r.column_max(j)).fold(0.0, |sum, m| sum + m);
    if rows <= columns { Cover::Rows } else { Cover::Columns }
}

fn count(r: &Overlaps, assigned: &[Option<usize>]) -> Step {
    count_overlaps(assigned.iter().enumerate().map(|(i, j)| j.map_or(0.0, |j| r.at(i, j))))
}

/// Counts the overlaps of the matched pairs, row by row.
fn count_overlaps(overlaps: impl IntoIterator<Item = f64>) -> Step {
    let mut counts = Step { threshold: 0.0, true_positives: 0, false_positives: 0, continuous: 0.0 };
    for iou in overlaps {
        counts.continuous += iou;
        counts.true_positives += u64::from(iou > 0.5);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds columns of `(face, IoU)` in order; returns what the last result was found with.
    fn found(faces: usize, columns: impl Iterator<Item = Vec<(u32, f64)>>) -> Found {
        let best = |faces: &[(u32, f64)]| faces.iter().map(|f| f.1).fold(0.0, f64::max);
        let touching: Vec<TouchingDetection> =
            columns.map(|faces| TouchingDetection { score: 0.0, best: best(&faces), faces }).collect();
        let mut problem = GrowingProblem::new(&touching, faces, Matching::Official);
        (0..touching.len()).for_each(|k| problem.enter(k));
        problem.counts();
        problem.found
    }

    #[test]
    fn wide_problems_are_reduced_from_either_cover() {
        let all = |iou: f64| (0..12).map(|face| (face, iou)).collect::<Vec<_>>();
        let specks =
            |count: usize| std::iter::once(all(0.8)).chain((0..count).map(move |k| all(1e-5 + 1e-9 * k as f64)));
        assert_eq!(found(12, specks(3000)), Found::SlackTops);
        assert_eq!(found(12, (0..3000).map(|k| vec![(k % 12, 0.3 + 1e-5 * f64::from(k))])), Found::RowTops);
        assert_eq!(found(12, specks(30)), Found::Whole);
        // 1e-15 apart: only equal columns may represent each other.
        let ties = (0..3000).map(|k| vec![(k % 12, if k < 60 { 0.5 + 1e-15 } else { 0.5 })]);
        assert_eq!(found(12, ties), Found::Classes(Cover::Rows));
    }
}
