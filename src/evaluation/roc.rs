//! All images -> one ROC point per distinct score, with bit-exact sums in list order, and the text of the official files (`fddb_spec.md`,
//! sections 8 and 9).

use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::matching::{ImageOutcome, Watch, match_image, match_watched};
use super::percent_g::push_percent_g;
use super::region::EvaluatedImage;
use super::step::Matching;
use crate::domain::{Cancel, counted};

/// The counts over all images with every detection of score >= `threshold` kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    pub threshold: f64,
    pub false_positives: u64,
    /// Matches with IoU > 0.5.
    pub discrete: f64,
    /// Sum of IoU over all matches.
    pub continuous: f64,
}

/// An FDDB curve as counts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RocCurve {
    /// Number of annotated faces in all images: the denominator of the rates.
    pub faces: u64,
    /// By ascending threshold: most false positives first.
    pub points: Vec<RocPoint>,
    /// Number of test images that could not be read: their faces count as missed, so the curve is too low.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unreadable: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Computes the curve of `images`, evaluated in parallel and summed in the given order.
pub fn roc(images: &[EvaluatedImage], matching: Matching) -> RocCurve {
    merge(&match_images(images, matching))
}

/// Matches every image; the outcomes can be merged into the pooled curve and per-fold curves.
pub fn match_images(images: &[EvaluatedImage], matching: Matching) -> Vec<ImageOutcome> {
    images.par_iter().map(|image| match_image(image, matching)).collect()
}

/// [`match_images`] with progress, for crowds of thousands that take minutes: `tell` receives the number of finished detections several
/// times per second. Returns `None` after a cancellation.
pub fn match_images_watched(
    images: &[EvaluatedImage],
    matching: Matching,
    tell: &mut dyn FnMut(u64, u64),
    cancel: &Cancel,
) -> Option<Vec<ImageOutcome>> {
    const REPORT_INTERVAL: Duration = Duration::from_millis(200);
    let total = images.iter().map(|image| image.detections.len() as u64).sum();
    let watch = Watch::default();
    let outcomes = std::thread::scope(|scope| {
        let (ended, end) = channel::<()>();
        let work = scope.spawn(|| {
            let _ended = ended;
            images.par_iter().map(|image| match_watched(image, matching, &watch)).collect()
        });
        while end.recv_timeout(REPORT_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            tell(watch.done.load(Ordering::Relaxed), total);
            if cancel.is_cancelled() {
                watch.stop.store(true, Ordering::Relaxed);
            }
        }
        work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    (!watch.stop.load(Ordering::Relaxed)).then_some(outcomes)
}

/// Sums outcomes in order into one curve.
pub fn merge<'a>(outcomes: impl IntoIterator<Item = &'a ImageOutcome>) -> RocCurve {
    let outcomes: Vec<&ImageOutcome> = outcomes.into_iter().collect();
    let thresholds = distinct_thresholds(&outcomes);
    let runs: Vec<Vec<Run>> = outcomes.par_iter().map(|outcome| runs(outcome, &thresholds)).collect();
    let (discrete, false_positives) = sum_counts(&runs, thresholds.len());
    let continuous = sum_continuous(&runs, thresholds.len());
    let counts = discrete.iter().zip(false_positives).zip(continuous);
    let points = thresholds.iter().zip(counts).map(|(&threshold, ((&discrete, false_positives), continuous))| {
        RocPoint { threshold, false_positives, discrete: discrete as f64, continuous }
    });
    RocCurve { faces: outcomes.iter().map(|o| o.faces).sum(), points: points.collect(), unreadable: 0 }
}

fn distinct_thresholds(outcomes: &[&ImageOutcome]) -> Vec<f64> {
    let mut thresholds: Vec<f64> = outcomes.iter().flat_map(|o| o.steps.iter().map(|s| s.threshold)).collect();
    thresholds.par_sort_unstable_by(f64::total_cmp);
    thresholds.dedup();
    thresholds
}

/// Rows `start..end` to which an image contributes the same numbers.
struct Run {
    start: usize,
    end: usize,
    true_positives: u64,
    false_positives: u64,
    continuous: f64,
}

/// An image contributes to row t its step at the smallest own threshold >= t.
fn runs(outcome: &ImageOutcome, thresholds: &[f64]) -> Vec<Run> {
    let mut start = 0;
    let each = outcome.steps.iter().map(|step| {
        let end = start + thresholds[start..].partition_point(|&t| t <= step.threshold);
        let run = Run {
            start,
            end,
            true_positives: step.true_positives,
            false_positives: step.false_positives,
            continuous: step.continuous,
        };
        start = end;
        run
    });
    each.collect()
}

/// Computes true and false positives of each row from summed differences (integers, so order does not matter).
fn sum_counts(runs: &[Vec<Run>], rows: usize) -> (Vec<u64>, Vec<u64>) {
    let (mut discrete, mut false_positives) = (vec![0_u64; rows + 1], vec![0_u64; rows + 1]);
    for run in runs.iter().flatten() {
        for (sums, count) in [(&mut discrete, run.true_positives), (&mut false_positives, run.false_positives)] {
            sums[run.start] = sums[run.start].wrapping_add(count);
            sums[run.end] = sums[run.end].wrapping_sub(count);
        }
    }
    for sums in [&mut discrete, &mut false_positives] {
        let mut running = 0_u64;
        for value in sums.iter_mut() {
            running = running.wrapping_add(*value);
            *value = running;
        }
        sums.pop();
    }
    (discrete, false_positives)
}

/// Rows summed at once, so that the sums stay in the L1 cache.
const ROWS_AT_ONCE: usize = 2048;

/// Sums `((image 1 + image 2) + image 3) + ...` in each row, in f64 and list order, to match the official program bit by bit.
fn sum_continuous(runs: &[Vec<Run>], rows: usize) -> Vec<f64> {
    let mut sums = vec![0.0; rows];
    sums.par_chunks_mut(ROWS_AT_ONCE).enumerate().for_each(|(block, sums)| {
        let (first, end) = (block * ROWS_AT_ONCE, block * ROWS_AT_ONCE + sums.len());
        for image in runs {
            let from = image.partition_point(|run| run.end <= first);
            for run in image[from..].iter().take_while(|run| run.start < end) {
                // Adding 0 changes nothing, and many images have no match.
                if run.continuous != 0.0 {
                    let (a, b) = (run.start.max(first) - first, run.end.min(end) - first);
                    sums[a..b].iter_mut().for_each(|sum| *sum += run.continuous);
                }
            }
        }
    });
    sums
}

impl RocCurve {
    /// Returns the note after the curve's name if the curve is too low; otherwise empty.
    pub fn mark(&self) -> String {
        match self.unreadable {
            0 => String::new(),
            n => format!(" ({} unreadable)", counted(n, "test image")),
        }
    }

    /// Converts a count to a rate; 0 without faces.
    fn rate(&self, count: f64) -> f64 {
        if self.faces == 0 { 0.0 } else { count / self.faces as f64 }
    }

    /// Returns the discrete true positive rate at the last point with at most `fp` false positives. A curve that ends earlier keeps its
    /// last value; one that starts later has 0.
    pub fn discrete_tpr_at(&self, fp: u64) -> f64 {
        self.rate(self.point_at(fp).map_or(0.0, |p| p.discrete))
    }

    /// The continuous true positive rate, like `discrete_tpr_at`.
    pub fn continuous_tpr_at(&self, fp: u64) -> f64 {
        self.rate(self.point_at(fp).map_or(0.0, |p| p.continuous))
    }

    /// Returns the point that keeps the detections of this score and above; the discrete and the continuous rate with it. `None` if there are
    /// none.
    pub fn at_score(&self, score: f32) -> Option<(&RocPoint, f64, f64)> {
        // Scores are `f32` where they are found.
        let kept = self.points.iter().find(|point| point.threshold as f32 >= score)?;
        Some((kept, self.rate(kept.discrete), self.rate(kept.continuous))).filter(|_| kept.threshold != f64::MAX)
    }

    /// Returns the point with the lowest threshold that has at most `fp` false positives, which are not always monotone.
    pub fn point_at(&self, fp: u64) -> Option<&RocPoint> {
        self.points.iter().find(|p| p.false_positives <= fp)
    }

    /// Returns about `count` points for drawing: the lowest threshold of each false positive count, including the first and last; a quarter
    /// of `count` at the highest thresholds for a logarithmic axis, the others evenly spaced.
    #[must_use]
    pub fn thinned(&self, count: usize) -> Self {
        let mut points: Vec<RocPoint> = Vec::new();
        for point in &self.points {
            if points.last().is_none_or(|last| last.false_positives != point.false_positives) {
                points.push(*point);
            }
        }
        if count < points.len() {
            let (whole, step) = (points.len(), points.len().div_ceil((count * 3 / 4).max(1)));
            let keep = |k: usize| k == 0 || whole - k <= count / 4 + 1 || k.is_multiple_of(step);
            points = points.into_iter().enumerate().filter(|(k, _)| keep(*k)).map(|(_, point)| point).collect();
        }
        Self { faces: self.faces, points, unreadable: self.unreadable }
    }

    /// Formats `DiscROC.txt` like the official program: rate, false positives, threshold.
    pub fn disc_text(&self) -> String {
        self.text(|p| p.discrete, true)
    }

    /// Formats `ContROC.txt` like the official program: rate, false positives.
    pub fn cont_text(&self) -> String {
        self.text(|p| p.continuous, false)
    }

    fn text(&self, count: fn(&RocPoint) -> f64, with_threshold: bool) -> String {
        let mut out = String::with_capacity(self.points.len() * 24);
        for point in &self.points {
            push_percent_g(&mut out, self.rate(count(point)));
            out.push(' ');
            // Without faces the official program also drops the false positives.
            push_percent_g(&mut out, if self.faces == 0 { 0.0 } else { point.false_positives as f64 });
            if with_threshold {
                out.push(' ');
                push_percent_g(&mut out, point.threshold);
            }
            out.push('\n');
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: impl Iterator<Item = (f64, u64, f64)>) -> RocCurve {
        let point = |(threshold, false_positives, discrete)| RocPoint {
            threshold,
            false_positives,
            discrete,
            continuous: discrete,
        };
        RocCurve { faces: 10, points: points.map(point).collect(), unreadable: 0 }
    }

    /// An image full of overlapping faces: minutes of work without a cancellation.
    #[test]
    fn a_crowd_is_told_of_while_it_is_matched_and_left_when_told_to() {
        use crate::evaluation::{Region, ScoredRegion};

        let crowd = |count: u32| {
            let at = |k: u32, by: u32| f64::from(k * 7919 % by);
            let region =
                |k: u32| Region::Rectangle { x: at(k, 19), y: at(k, 23), w: 60.0 + at(k, 29), h: 60.0 + at(k, 31) };
            let scored = |k: u32| ScoredRegion { region: region(k + 1), score: at(k, count) };
            let (faces, detections) = ((0..count).map(region).collect(), (0..count).map(scored).collect());
            EvaluatedImage { name: "crowd".into(), width: 150, height: 150, faces, detections }
        };
        let cancel = Cancel::new();
        let mut reported = None;
        let mut tell = |done, total| {
            reported = Some((done, total));
            cancel.cancel();
        };
        assert_eq!(match_images_watched(&[crowd(900)], Matching::Official, &mut tell, &cancel), None);
        assert!(reported.is_some_and(|(done, total)| done < total && total == 900), "{reported:?}");

        let small = [crowd(20), crowd(30)];
        let watched = match_images_watched(&small, Matching::Official, &mut |_, _| {}, &Cancel::new());
        assert_eq!(watched, Some(match_images(&small, Matching::Official)));
    }

    #[test]
    fn the_lowest_threshold_within_the_false_positives_is_found() {
        let back = curve([(0.1, 5, 9.0), (0.2, 2, 8.0), (0.3, 3, 6.0), (0.4, 0, 1.0)].into_iter());
        assert_eq!([0, 2, 3, 4, 9].map(|fp| back.point_at(fp).unwrap().threshold), [0.4, 0.2, 0.2, 0.2, 0.1]);
    }

    #[test]
    fn a_long_curve_is_thinned_but_keeps_its_ends() {
        let short = curve([(0.1, 5, 9.0), (0.2, 5, 8.0), (0.4, 0, 1.0)].into_iter());
        assert_eq!(short.thinned(100).points, [short.points[0], short.points[2]]);
        let long = curve((0..50_000_u64).map(|k| (k as f64, 49_999 - k, 5.0)));
        let thin = long.thinned(1200);
        assert!((900..=1210).contains(&thin.points.len()), "{}", thin.points.len());
        assert_eq!((thin.points.first(), thin.points.last()), (long.points.first(), long.points.last()));
    }
}
