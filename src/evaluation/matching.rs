//! One image at every threshold: keeps the detections with score >= t, matches them to faces, counts
//! (`fddb_spec.md`, sections 5 and 6). Solves again only when what the solver can see has changed. Must not know other images.

use serde::{Deserialize, Serialize};

use super::official_assignment::{self, Cover, Overlaps};
use super::optimal_assignment;
use super::overlap::{TouchingDetection, touching_detections};
use super::region::EvaluatedImage;
use super::row_tops::RowTops;

/// The assignment of detections to faces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Matching {
    /// The official program's solver, which is not always optimal; what every published FDDB curve was made with.
    #[default]
    Official,
    /// The largest sum of IoU, to show the difference.
    Optimal,
}

/// The threshold of an image without detections (`DBL_MAX`, as the official program has it).
pub const NO_DETECTIONS: f64 = f64::MAX;

/// An image's counts when every detection with a score of at least `threshold` is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    pub threshold: f64,
    /// Pairs with IoU > 0.5.
    pub true_positives: u64,
    /// Kept detections that are no true positive.
    pub false_positives: u64,
    /// Sum of IoU over all pairs.
    pub continuous: f64,
}

/// The counts of one image at each of its own thresholds.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageOutcome {
    pub faces: u64,
    /// Ascending thresholds, never empty.
    pub steps: Vec<Step>,
}

/// Images with fewer touching detections than this are solved whole: reducing them costs more than it saves.
const REDUCE_FROM: usize = 64;

/// Matches one image at each of its thresholds.
pub fn match_image(image: &EvaluatedImage, matching: Matching) -> ImageOutcome {
    let faces = image.faces.len() as u64;
    if image.detections.is_empty() {
        let step = Step { threshold: NO_DETECTIONS, true_positives: 0, false_positives: 0, continuous: 0.0 };
        return ImageOutcome { faces, steps: vec![step] };
    }
    let touching = touching_detections(image);
    let mut scores: Vec<f64> = image.detections.iter().map(|d| d.score).collect();
    scores.sort_unstable_by(|a, b| b.total_cmp(a));
    let mut entering: Vec<usize> = (0..touching.len()).collect();
    entering.sort_by(|&a, &b| touching[b].score.total_cmp(&touching[a].score));

    let mut growing = GrowingProblem::new(&touching, image.faces.len(), matching);
    let mut entering = entering.into_iter().peekable();
    let mut kept = 0;
    let mut steps = Vec::new();
    for same in scores.chunk_by(|a, b| a == b) {
        kept += same.len() as u64;
        while let Some(k) = entering.next_if(|&k| touching[k].score == same[0]) {
            growing.enter(k);
        }
        let found = growing.counts();
        let false_positives = kept - found.true_positives;
        // 0.0 + turns -0 into 0: both are the same threshold.
        steps.push(Step { threshold: 0.0 + same[0], false_positives, ..found });
    }
    steps.reverse();
    ImageOutcome { faces, steps }
}

/// The matching problem of an image while detections enter it by falling score.
struct GrowingProblem<'a> {
    touching: &'a [TouchingDetection],
    matching: Matching,
    entered: Vec<bool>,
    count: usize,
    /// The largest overlap of each face; 0 while nothing touches it.
    face_best: Vec<f64>,
    /// Running sum of the detections' largest overlaps, in order of entry.
    detection_best_sum: f64,
    tops: Option<RowTops>,
    /// The last result, while it still holds.
    counts: Option<Step>,
    /// Whether the last result came from the row cover with at least as many detections as faces.
    from_rows: bool,
}

impl<'a> GrowingProblem<'a> {
    fn new(touching: &'a [TouchingDetection], faces: usize, matching: Matching) -> Self {
        let wide = REDUCE_FROM.max(2 * (faces + 1)) < touching.len();
        Self {
            touching,
            matching,
            entered: vec![false; touching.len()],
            count: 0,
            face_best: vec![0.0; faces],
            detection_best_sum: 0.0,
            tops: wide.then(|| RowTops::new(faces, touching.len())),
            counts: None,
            from_rows: false,
        }
    }

    fn enter(&mut self, k: usize) {
        let detection = &self.touching[k];
        self.entered[k] = true;
        self.count += 1;
        self.detection_best_sum += detection.best;
        let mut visible = true;
        if let Some(tops) = &mut self.tops {
            visible = tops.insert(k, &detection.faces) || tops.near_tie();
        }
        for &(face, iou) in &detection.faces {
            let best = &mut self.face_best[face as usize];
            visible |= *best == 0.0;
            *best = best.max(iou);
        }
        if visible || !self.from_rows {
            self.counts = None;
        }
    }

    /// The counts of the detections that entered (threshold and false positives are left to the caller).
    fn counts(&mut self) -> Step {
        if let Some(counts) = self.counts {
            return counts;
        }
        let counts = self.solve();
        self.counts = Some(counts);
        counts
    }

    fn solve(&mut self) -> Step {
        let faces: Vec<usize> = (0..self.face_best.len()).filter(|&f| self.face_best[f] != 0.0).collect();
        self.from_rows = false;
        if self.count < faces.len() {
            return self.solve_with(&self.all_entered(), &faces, true);
        }
        let reduced = match (&self.tops, self.cover(&faces)) {
            (Some(tops), Cover::Rows) if !tops.near_tie() => {
                Some((0..self.entered.len()).filter(|&k| tops.is_kept(k)).collect::<Vec<_>>())
            }
            _ => None,
        };
        let Some(columns) = reduced else {
            return self.solve_with(&self.all_entered(), &faces, false);
        };
        let r = self.overlaps(&columns, &faces, false);
        let assigned = match self.matching {
            Matching::Official => {
                let assignment = official_assignment::solve(&r, Cover::Rows);
                if assignment.lost_a_star {
                    return self.solve_with(&self.all_entered(), &faces, false);
                }
                assignment.column_of_row
            }
            Matching::Optimal => optimal_assignment::solve(&r),
        };
        self.from_rows = true;
        count(&r, &assigned)
    }

    fn all_entered(&self) -> Vec<usize> {
        (0..self.entered.len()).filter(|&k| self.entered[k]).collect()
    }

    /// The cover that the official solver starts from with faces as rows. Its sums run in order of index and decide by `<=`, so
    /// they are taken exactly wherever the running sum leaves any doubt.
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

    fn solve_with(&self, detections: &[usize], faces: &[usize], transposed: bool) -> Step {
        let r = self.overlaps(detections, faces, transposed);
        let assigned = match self.matching {
            Matching::Official => official_assignment::solve(&r, Cover::of(&r)).column_of_row,
            Matching::Optimal => optimal_assignment::solve(&r),
        };
        count(&r, &assigned)
    }

    /// Faces as rows, or detections as rows when `transposed`.
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

fn count(r: &Overlaps, assigned: &[Option<usize>]) -> Step {
    let mut counts = Step { threshold: 0.0, true_positives: 0, false_positives: 0, continuous: 0.0 };
    for (i, j) in assigned.iter().enumerate() {
        let iou = j.map_or(0.0, |j| r.at(i, j));
        counts.continuous += iou;
        counts.true_positives += u64::from(0.5 < iou);
    }
    counts
}
