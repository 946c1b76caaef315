//! Builds a round's report from the store and the files next to its checkpoints. Read-only.

use serde::Serialize;

use super::status::{CurveStatus, last_curves};
use super::{Project, WorkflowError};
use crate::domain::RoundRecord;
use crate::store::Store;
use crate::training::{RoundConfig, SamplerTotals};

/// The best checkpoint has the highest discrete TPR at this false positive count.
pub const MERIT_FALSE_POSITIVES: u64 = 50;

/// A round in numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RoundReport {
    pub round: u32,
    /// Completed so far.
    pub steps: u64,
    /// Total over all steps.
    pub seconds: f64,
    /// Median of the last steps.
    pub step_seconds: Option<f64>,
    /// Peak resident memory measured, in bytes.
    pub memory_bytes: Option<u64>,
    /// What the samplers drew; `None` before the first mini-batch.
    pub sampler: Option<SamplerTotals>,
    /// Sampled foreground and hard negatives of each class of the round; empty if these were not counted, and with one class.
    pub classes: Vec<ClassDrawn>,
    /// The last evaluation of the held-out images.
    pub curves: Vec<CurveStatus>,
    /// The same for the previous round of the same model: before the hard negatives.
    pub before: Vec<CurveStatus>,
}

/// A class of the round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassDrawn {
    pub class: String,
    pub rois: u64,
    pub anchors: u64,
    /// Available hard negatives mistaken for the class, over all mini-batches, and how many of them were selected as RoIs.
    pub hard_negatives: u64,
    pub forced: u64,
}

/// Returns the report of `round`.
pub fn round_report(project: &Project, store: &Store, round: &RoundRecord) -> Result<RoundReport, WorkflowError> {
    let run_dir = project.run_dir(round.number);
    let steps = store.metric_summary(round.id, "step_s")?;
    let memory = store.metric_summary(round.id, "memory_bytes")?;
    let model = |round: &RoundRecord| round.imported.as_ref().map(|model| model.name.clone());
    let earlier = store.rounds()?.into_iter().rfind(|r| r.number < round.number && model(r) == model(round));
    let advice = "Check the permissions of the project's folder.";
    let sampler = SamplerTotals::read(&run_dir).map_err(WorkflowError::io(&run_dir, advice))?;
    Ok(RoundReport {
        round: round.number,
        steps: steps.count,
        seconds: steps.sum,
        step_seconds: steps.recent_median,
        memory_bytes: (memory.count > 0).then_some(memory.largest as u64),
        classes: sampler.as_ref().map_or_else(Vec::new, |totals| by_class(totals, round)),
        sampler,
        curves: last_curves(project, store, round)?,
        before: earlier.map_or_else(|| Ok(Vec::new()), |earlier| last_curves(project, store, &earlier))?,
    })
}

fn by_class(totals: &SamplerTotals, round: &RoundRecord) -> Vec<ClassDrawn> {
    let drawn = &totals.drawn;
    if drawn.foreground_of.is_empty() && drawn.rpn_foreground_of.is_empty() {
        return Vec::new();
    }
    let Ok(config) = RoundConfig::from_stored(&round.config_toml, "round.toml") else { return Vec::new() };
    let names = config.detector.class_names();
    if names.len() < 2 {
        return Vec::new();
    }
    let count = |of: &[u64], place: usize| of.get(place).copied().unwrap_or(0);
    let class = |(place, class): (usize, String)| ClassDrawn {
        class,
        rois: count(&drawn.foreground_of, place),
        anchors: count(&drawn.rpn_foreground_of, place),
        hard_negatives: count(&totals.hard_negatives_of, place),
        forced: count(&drawn.forced_of, place),
    };
    names.into_iter().enumerate().map(class).collect()
}
