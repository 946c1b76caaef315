//! One image's counts at every threshold t: keeps the detections with score >= t, matches them to faces, counts (`fddb_spec.md`, sections 5
//! and 6).

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rayon::prelude::*;

use super::growing_problem::GrowingProblem;
use super::overlap::{TouchingDetection, touching_detections};
use super::region::EvaluatedImage;
use super::step::{Matching, Step};

/// Minimum number of overlapping faces and detections for matching one image's thresholds in parallel.
const CROWD: usize = 100;

const CROWD_PARTS: usize = 24;

/// The threshold of an image without detections (`DBL_MAX`, as in the official program).
pub const NO_DETECTIONS: f64 = f64::MAX;

/// The counts of one image at each of its own thresholds.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageOutcome {
    pub faces: u64,
    /// Ascending thresholds, never empty.
    pub steps: Vec<Step>,
}

/// Rough upper bound in core seconds for one image's thresholds under the official rule, measured on images where every face overlaps every
/// detection (docs/evaluation.md).
pub fn most_seconds(faces: usize, detections: usize) -> f64 {
    const CROWD: f64 = 1968.0;
    const SECONDS: f64 = 358.0;
    let share = |count: usize| count as f64 / CROWD;
    SECONDS * share(detections) * share(faces.min(detections)).powf(2.2)
}

/// Progress and cancellation of the matching.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Number of detections whose thresholds are done.
    pub done: AtomicU64,
    pub stop: AtomicBool,
}

/// Matches one image at each of its thresholds.
pub fn match_image(image: &EvaluatedImage, matching: Matching) -> ImageOutcome {
    match_watched(image, matching, &Watch::default())
}

/// [`match_image`] with progress; after a cancellation its result is incomplete.
pub(super) fn match_watched(image: &EvaluatedImage, matching: Matching, watch: &Watch) -> ImageOutcome {
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

    let groups: Vec<&[f64]> = scores.chunk_by(|a, b| a == b).collect();
    let part = |part: Range<usize>| {
        let growing = GrowingProblem::new(&touching, image.faces.len(), matching);
        steps_of(part, &groups, &touching, &entering, growing, watch)
    };
    let mut steps = if image.faces.len().min(touching.len()) < CROWD {
        part(0..groups.len())
    } else {
        let length = groups.len().div_ceil(CROWD_PARTS);
        let end = |k: usize| (k * length).min(groups.len());
        (0..CROWD_PARTS).into_par_iter().flat_map_iter(|k| part(end(k)..end(k + 1))).collect()
    };
    steps.reverse();
    ImageOutcome { faces, steps }
}

/// Returns the steps of the thresholds in `part`, highest first; detections above them are added first.
fn steps_of(
    part: Range<usize>,
    groups: &[&[f64]],
    touching: &[TouchingDetection],
    entering: &[usize],
    mut growing: GrowingProblem,
    watch: &Watch,
) -> Vec<Step> {
    let mut entering = entering.iter().copied().peekable();
    let mut kept = 0;
    let mut steps = Vec::with_capacity(part.len());
    for (k, same) in groups[..part.end].iter().enumerate() {
        if watch.stop.load(Ordering::Relaxed) {
            break;
        }
        kept += same.len() as u64;
        while let Some(k) = entering.next_if(|&k| touching[k].score == same[0]) {
            growing.enter(k);
        }
        if k >= part.start {
            let found = growing.counts();
            let false_positives = kept - found.true_positives;
            // 0.0 + turns -0 into 0: both are the same threshold.
            steps.push(Step { threshold: 0.0 + same[0], false_positives, ..found });
            watch.done.fetch_add(same.len() as u64, Ordering::Relaxed);
        }
    }
    steps
}
