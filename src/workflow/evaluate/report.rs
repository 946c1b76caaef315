//! An evaluation's report, as printed and written to `summary.json`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::FddbEvaluation;
use crate::domain::shown_paths;
use crate::evaluation::{EvaluatedImage, FoldCurves, FoldSpread, Matching, RocCurve, TABLE_FALSE_POSITIVES};

/// True positive rates at a false positive count.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RateRow {
    pub false_positives: u64,
    pub discrete: f64,
    pub continuous: f64,
}

#[derive(Debug, Clone, Serialize)]
pub struct EvaluationReport {
    pub images: usize,
    pub faces: u64,
    pub detections: usize,
    pub matching: Matching,
    /// Number of ROC points of the pooled curve: distinct scores.
    pub points: usize,
    /// False positives with every detection kept.
    pub largest_false_positives: u64,
    pub pooled: Vec<RateRow>,
    /// By fold, at the false positives of that fold alone.
    pub folds: BTreeMap<u8, Vec<RateRow>>,
    pub spread: Vec<FoldSpread>,
    /// The files written, in `out`.
    #[serde(serialize_with = "shown_paths")]
    pub files: Vec<PathBuf>,
    #[serde(skip)]
    pub curves: FoldCurves,
}

fn rows(curve: &RocCurve) -> Vec<RateRow> {
    let row = |false_positives| RateRow {
        false_positives,
        discrete: curve.discrete_tpr_at(false_positives),
        continuous: curve.continuous_tpr_at(false_positives),
    };
    TABLE_FALSE_POSITIVES.into_iter().map(row).collect()
}

impl EvaluationReport {
    pub(super) fn new(config: &FddbEvaluation, images: &[EvaluatedImage], curves: FoldCurves) -> Self {
        Self {
            images: images.len(),
            faces: curves.pooled.faces,
            detections: images.iter().map(|i| i.detections.len()).sum(),
            matching: config.matching,
            points: curves.pooled.points.len(),
            largest_false_positives: curves.pooled.points.first().map_or(0, |p| p.false_positives),
            pooled: rows(&curves.pooled),
            folds: curves.folds.iter().map(|(fold, curve)| (*fold, rows(curve))).collect(),
            spread: curves.spread(),
            files: Vec::new(),
            curves,
        }
    }
}
