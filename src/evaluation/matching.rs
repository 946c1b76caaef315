//! One image at every threshold: keeps the detections with score >= t, matches them to faces, counts
//! (`fddb_spec.md`, sections 5 and 6). Must not know other images, nor how a matching is found.

use serde::{Deserialize, Serialize};

use super::growing_problem::GrowingProblem;
use super::overlap::touching_detections;
use super::region::EvaluatedImage;

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
