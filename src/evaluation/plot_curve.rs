//! A curve as plotted: rate over false positives, own or published, with decimation for the screen.

use serde::{Deserialize, Serialize};

use super::roc::RocCurve;

/// One of FDDB's two rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScoreKind {
    Discrete,
    Continuous,
}

impl ScoreKind {
    pub const ALL: [Self; 2] = [Self::Discrete, Self::Continuous];

    pub fn title(self) -> &'static str {
        match self {
            Self::Discrete => "Discrete score",
            Self::Continuous => "Continuous score",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    pub false_positives: f64,
    /// True positive rate, 0..=1.
    pub rate: f64,
    /// The score threshold; `None` if a published file does not contain it.
    pub threshold: Option<f64>,
}

/// A curve in order of ascending false positives, the last rate at equal false positives last.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PlotCurve {
    pub points: Vec<CurvePoint>,
}

/// False positive counts of the table next to the curves.
pub const TABLE_FALSE_POSITIVES: [u64; 6] = [50, 100, 200, 500, 1000, 2000];

impl PlotCurve {
    /// Accepts points in any order and sorts them by false positives, then by descending threshold or ascending rate.
    pub fn new(mut points: Vec<CurvePoint>) -> Self {
        // A missing threshold sorts highest: no detection is kept there.
        let threshold = |p: &CurvePoint| p.threshold.unwrap_or(f64::INFINITY);
        points.sort_by(|a, b| {
            let by_threshold = threshold(b).total_cmp(&threshold(a));
            a.false_positives.total_cmp(&b.false_positives).then(by_threshold).then(a.rate.total_cmp(&b.rate))
        });
        Self { points }
    }

    /// Extracts one rate of `curve`. The point without detections (threshold `DBL_MAX`) gets no threshold.
    pub fn of(curve: &RocCurve, kind: ScoreKind) -> Self {
        let faces = curve.faces.max(1) as f64;
        let points = curve.points.iter().rev().map(|p| CurvePoint {
            false_positives: p.false_positives as f64,
            rate: match kind {
                ScoreKind::Discrete => p.discrete / faces,
                ScoreKind::Continuous => p.continuous / faces,
            },
            threshold: (p.threshold != f64::MAX).then_some(p.threshold),
        });
        Self { points: points.collect() }
    }

    /// Returns the rate at the last point with at most `fp` false positives, which are not always monotone; a curve that ends earlier keeps
    /// its last value. `None` if the curve starts later.
    pub fn rate_at(&self, fp: f64) -> Option<f64> {
        self.points.iter().rev().find(|p| p.false_positives <= fp).map(|p| p.rate)
    }

    pub fn largest_false_positives(&self) -> f64 {
        self.points.last().map_or(0.0, |p| p.false_positives)
    }

    /// Returns about `count` points that draw the same line: the first, lowest, highest and last of each axis interval. Intervals are even
    /// in `log10(1 + fp)` if `logarithmic`, otherwise in false positives up to `x_end`.
    #[must_use]
    pub fn decimated(&self, count: usize, logarithmic: bool, x_end: f64) -> Self {
        if self.points.len() <= count.max(4) {
            return self.clone();
        }
        let scale = |fp: f64| if logarithmic { (1.0 + fp).log10() } else { fp };
        let stretches = (count / 4).max(1) as f64;
        let end = scale(x_end.max(1.0));
        let stretch = |p: &CurvePoint| (scale(p.false_positives) / end * stretches) as u64;
        let mut kept = Vec::with_capacity(count);
        for group in self.points.chunk_by(|a, b| stretch(a) == stretch(b)) {
            let by_rate = |a: &usize, b: &usize| group[*a].rate.total_cmp(&group[*b].rate);
            let lowest = (0..group.len()).min_by(by_rate).unwrap_or(0);
            let highest = (0..group.len()).max_by(by_rate).unwrap_or(0);
            let mut places = vec![0, lowest, highest, group.len() - 1];
            places.sort_unstable();
            places.dedup();
            kept.extend(places.into_iter().map(|k| group[k]));
        }
        Self { points: kept }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[(f64, f64)]) -> PlotCurve {
        PlotCurve::new(
            points.iter().map(|&(f, r)| CurvePoint { false_positives: f, rate: r, threshold: None }).collect(),
        )
    }

    #[test]
    fn rates_hold_their_last_value() {
        let c = curve(&[(3.0, 0.5), (0.0, 0.2), (10.0, 0.6)]);
        assert_eq!([0.0, 2.9, 3.0, 99.0].map(|fp| c.rate_at(fp)), [Some(0.2), Some(0.2), Some(0.5), Some(0.6)]);
        assert_eq!(curve(&[(5.0, 0.1)]).rate_at(4.0), None);
        // When a detection is added, the official solver may find one face more and have one false positive less.
        let point = |false_positives, rate| CurvePoint { false_positives, rate, threshold: None };
        let back = PlotCurve { points: vec![point(0.0, 0.1), point(3.0, 0.2), point(2.0, 0.4), point(5.0, 0.5)] };
        assert_eq!([2.0, 3.0, 4.0].map(|fp| back.rate_at(fp)), [Some(0.4); 3]);
    }

    /// Points with and without a threshold are sorted the same from any input order.
    #[test]
    fn points_without_threshold_come_first() {
        let point = |rate, threshold| CurvePoint { false_positives: 0.0, rate, threshold };
        let points = [point(0.0, None), point(0.3, Some(0.5)), point(0.2, Some(0.7)), point(0.1, None)];
        let rates = |order: [usize; 4]| PlotCurve::new(order.map(|k| points[k]).to_vec()).points;
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
            assert_eq!(rates(order).iter().map(|p| p.rate).collect::<Vec<_>>(), [0.0, 0.1, 0.2, 0.3], "{order:?}");
        }
    }

    #[test]
    fn thinning_keeps_ends_and_extremes() {
        let points: Vec<(f64, f64)> = (0..50_000).map(|k| (f64::from(k), f64::from(k) / 5e4)).collect();
        let whole = curve(&points);
        for logarithmic in [false, true] {
            let thin = whole.decimated(400, logarithmic, 50_000.0);
            assert!(thin.points.len() <= 410, "{}", thin.points.len());
            assert_eq!((thin.points.first(), thin.points.last()), (whole.points.first(), whole.points.last()));
        }
    }
}
