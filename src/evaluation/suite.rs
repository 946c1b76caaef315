//! Runs every box evaluator on one set. The result is stored with a round: curves thinned for display, metrics at full precision.

use serde::{Deserialize, Serialize};

use super::coco::{Coco, CocoReport};
use super::evaluator::Evaluator as _;
use super::miss_rate::{MissRate, MissRateReport};
use super::precision_recall::{PrCurve, PrReport, PrecisionRecall};
use super::set::EvaluationSet;
use super::tide::{Tide, TideReport};
use super::voc::{Voc, VocReport};

/// Approximate maximum number of points per stored curve.
const POINTS_MAX: usize = 1200;
/// Values of false positives per image below this share one interval of the logarithmic axis.
const LEAST_FPPI: f64 = 1e-4;

/// The reports of all evaluators but FDDB's, each at its default thresholds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Suite {
    pub coco: CocoReport,
    pub voc: VocReport,
    pub precision_recall: PrReport,
    pub miss_rate: MissRateReport,
    pub tide: TideReport,
}

impl Suite {
    pub fn evaluate(set: &EvaluationSet) -> Self {
        let (boxes, (curves, tide)) = rayon::join(
            || (Coco.evaluate(set), Voc::default().evaluate(set)),
            || {
                let curves = || (PrecisionRecall::default().evaluate(set), MissRate::default().evaluate(set));
                rayon::join(curves, || Tide::default().evaluate(set))
            },
        );
        let ((coco, voc), (precision_recall, miss_rate)) = (boxes, curves);
        Self { coco, voc, precision_recall, miss_rate, tide }
    }

    /// Thins curves to about a thousand points; keeps the ends and extremes of each axis interval, and the best F1.
    #[must_use]
    pub fn thinned(mut self) -> Self {
        let all = std::iter::once(&mut self.precision_recall.overall);
        for curve in all.chain(self.precision_recall.classes.iter_mut().map(|class| &mut class.curve)) {
            thin_precision_recall(curve);
        }
        for class in &mut self.miss_rate.classes {
            let stretch = |fppi: f64| (fppi.max(LEAST_FPPI).log10() * 100.0).floor() as i64;
            class.points = thinned(&class.points, |p| stretch(p.fppi), |p| p.miss_rate, |_| false);
        }
        self
    }
}

fn thin_precision_recall(curve: &mut PrCurve) {
    let best = curve.best;
    let stretches = (POINTS_MAX / 4) as f64;
    let stretch = |recall: f64| (recall * stretches) as i64;
    curve.points = thinned(&curve.points, |p| stretch(p.recall), |p| p.precision, |p| Some(*p) == best);
}

/// Returns the first, lowest, highest and last point of each interval, and points for which `is_kept` is true.
fn thinned<T: Copy>(
    points: &[T],
    stretch: impl Fn(&T) -> i64,
    value: impl Fn(&T) -> f64,
    is_kept: impl Fn(&T) -> bool,
) -> Vec<T> {
    if points.len() <= POINTS_MAX {
        return points.to_vec();
    }
    let mut kept = Vec::with_capacity(POINTS_MAX);
    for group in points.chunk_by(|a, b| stretch(a) == stretch(b)) {
        let by_value = |a: &usize, b: &usize| value(&group[*a]).total_cmp(&value(&group[*b]));
        let extremes = [(0..group.len()).min_by(by_value), (0..group.len()).max_by(by_value)];
        let mut places = vec![0, group.len() - 1];
        places.extend(extremes.into_iter().flatten());
        places.extend((0..group.len()).filter(|&k| is_kept(&group[k])));
        places.sort_unstable();
        places.dedup();
        kept.extend(places.into_iter().map(|k| group[k]));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::super::set::fixtures::{found, object, set};
    use super::*;

    /// Every third of 9,000 detections, over 3,000 images, finds its object.
    fn many() -> EvaluationSet {
        let image = |k: usize| {
            let score = |n: usize| 1.0 - (3 * k + n) as f64 / 9001.0;
            let detections = (0..3).map(|n| found(0, n as f64 * 300.0, 50.0, 50.0, score(n))).collect();
            (vec![object(0.0, 50.0)], detections)
        };
        set(2, (0..3000).map(image).collect())
    }

    #[test]
    fn thin_curves_keep_ends_extremes_and_the_best_threshold() {
        let whole = Suite::evaluate(&many());
        let thin = whole.clone().thinned();
        let (a, b) = (&whole.precision_recall.classes[0].curve, &thin.precision_recall.classes[0].curve);
        assert!(a.points.len() == 9000 && b.points.len() < POINTS_MAX + 10, "{} {}", a.points.len(), b.points.len());
        assert_eq!((a.points.first(), a.points.last(), a.best), (b.points.first(), b.points.last(), b.best));
        assert!(b.best.is_some_and(|best| b.points.contains(&best)));
        let (a, b) = (&whole.miss_rate.classes[0], &thin.miss_rate.classes[0]);
        assert!(b.points.len() < a.points.len(), "{} {}", a.points.len(), b.points.len());
        assert_eq!((a.log_average_miss_rate, &a.at_reference), (b.log_average_miss_rate, &b.at_reference));
        assert_eq!((&thin.coco, &thin.tide), (&whole.coco, &whole.tide));
    }

    #[test]
    fn what_is_written_is_read_again_to_the_last_digit() {
        let suite = Suite::evaluate(&many()).thinned();
        let text = serde_json::to_string(&suite).unwrap();
        assert_eq!(serde_json::from_str::<Suite>(&text).unwrap(), suite);
        let empty = Suite::evaluate(&set(1, vec![]));
        let text = serde_json::to_string(&empty).unwrap();
        assert_eq!(serde_json::from_str::<Suite>(&text).unwrap(), empty);
    }
}
