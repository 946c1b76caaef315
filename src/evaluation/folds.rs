//! Results over folds: a curve per fold, the pooled curve as in the official software (all images together, no averaging), and the spread
//! between folds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::matching::ImageOutcome;
use super::plot_curve::TABLE_FALSE_POSITIVES;
use super::roc::{RocCurve, merge};

/// Curves per fold, and the pooled curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FoldCurves {
    pub pooled: RocCurve,
    pub folds: BTreeMap<u8, RocCurve>,
}

/// The spread between folds at equal false positives per fold: with ten folds, a tenth of the pooled count each.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FoldSpread {
    /// False positives summed over all folds.
    pub false_positives: u64,
    pub discrete: Spread,
    pub continuous: Spread,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    pub mean: f64,
    /// Sample standard deviation (n - 1); 0 for a single fold.
    pub deviation: f64,
    pub lowest: f64,
    pub highest: f64,
}

impl FoldCurves {
    /// Builds the curves from outcomes in list order with each image's fold; images without a fold only count in the pooled curve.
    pub fn new(outcomes: &[ImageOutcome], folds: &[Option<u8>]) -> Self {
        let present: std::collections::BTreeSet<u8> = folds.iter().copied().flatten().collect();
        let of_fold = |fold| merge(outcomes.iter().zip(folds).filter(|(_, f)| **f == Some(fold)).map(|(o, _)| o));
        Self { pooled: merge(outcomes), folds: present.into_iter().map(|fold| (fold, of_fold(fold))).collect() }
    }

    /// Returns the spread at each false positive count of the table; empty with fewer than two folds.
    pub fn spread(&self) -> Vec<FoldSpread> {
        let folds: Vec<&RocCurve> = self.folds.values().collect();
        TABLE_FALSE_POSITIVES.into_iter().filter_map(|at| FoldSpread::of(&folds, at)).collect()
    }
}

impl FoldSpread {
    /// Computes the spread of the folds' curves at `false_positives` in total; `None` with fewer than two folds.
    pub fn of(folds: &[&RocCurve], false_positives: u64) -> Option<Self> {
        if folds.len() < 2 {
            return None;
        }
        let each = false_positives / folds.len() as u64;
        let spread = |rate: fn(&RocCurve, u64) -> f64| Spread::of(folds.iter().map(|curve| rate(curve, each)));
        Some(Self {
            false_positives,
            discrete: spread(RocCurve::discrete_tpr_at),
            continuous: spread(RocCurve::continuous_tpr_at),
        })
    }
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.collect();
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
        Self {
            mean,
            deviation: (squares / values.len().saturating_sub(1).max(1) as f64).sqrt(),
            lowest: values.iter().copied().fold(f64::INFINITY, f64::min),
            highest: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_of_known_values() {
        let s = Spread::of([0.5, 0.7, 0.9].into_iter());
        assert!((s.mean - 0.7).abs() < 1e-12 && (s.deviation - 0.2).abs() < 1e-12);
        assert_eq!((s.lowest, s.highest), (0.5, 0.9));
    }
}
