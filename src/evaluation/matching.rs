//! One image's counts at every threshold t: keeps the detections with score >= t, matches them to faces, counts (`fddb_spec.md`, sections 5
//! and 6).

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rayon::prelude::*;

use super::growing_problem::GrowingProblem;
use super::overlap::{TouchingDetection, touching_detections};
use super::region::EvaluatedImage;
use super::step::{Matching, Step};

/// From this many overlapping faces and detections on, one image's thresholds are matched in parallel.
const CROWD: usize = 100;

const CROWD_PARTS: usize = 24;

/// The threshold of an image without detections (`DBL_MAX`, as the official program has it).
pub const NO_DETECTIONS: f64 = f64::MAX;

/// The counts of one image at each of its own thresholds.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageOutcome {
    pub faces: u64,
    /// Ascending thresholds, never empty.
    pub steps: Vec<Step>,
}

/// At most about so many seconds of one core take the thresholds of an image by the official rule: as measured on images where every face
/// overlaps every detection (docs/evaluation.md).
pub fn most_seconds(faces: usize, detections: usize) -> f64 {
    const CROWD: f64 = 1968.0;
    const SECONDS: f64 = 358.0;
    let share = |count: usize| count as f64 / CROWD;
    SECONDS * share(detections) * share(faces.min(detections)).powf(2.2)
}

/// How far matching is, and whether it is to stop.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Detections whose thresholds are done.
    pub done: AtomicU64,
    pub stop: AtomicBool,
}

/// Matches one image at each of its thresholds.
pub fn match_image(image: &EvaluatedImage, matching: Matching) -> ImageOutcome {
    match_watched(image, matching, &Watch::default())
}

/// [`match_image`]; after a cancel its result is incomplete.
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

/// The steps of the thresholds in `part`, highest first; the detections above them enter first.
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
