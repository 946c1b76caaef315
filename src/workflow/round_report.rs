//! What became of a round, from the store and from the files beside its checkpoints; for the window's history. Reads only.

use serde::Serialize;

use super::status::{CurveStatus, last_curves};
use super::{Project, WorkflowError};
use crate::domain::RoundRecord;
use crate::store::Store;
use crate::training::SamplerTotals;

/// The best checkpoint is the one with the highest discrete TPR at this many false positives.
pub const MERIT_FALSE_POSITIVES: u64 = 50;

/// A round in numbers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RoundReport {
    pub round: u32,
    /// Made so far.
    pub steps: u64,
    /// Of all steps together.
    pub seconds: f64,
    /// Median of the last steps.
    pub step_seconds: Option<f64>,
    /// The most resident memory that was measured, in bytes.
    pub memory_bytes: Option<u64>,
    /// What the samplers drew; `None` before the first mini-batch.
    pub sampler: Option<SamplerTotals>,
    /// The last evaluation of the held-out images.
    pub curves: Vec<CurveStatus>,
}

/// The report of `round`.
pub fn round_report(project: &Project, store: &Store, round: &RoundRecord) -> Result<RoundReport, WorkflowError> {
    let run_dir = project.run_dir(round.number);
    let steps = store.metric_summary(round.id, "step_s")?;
    let memory = store.metric_summary(round.id, "memory_bytes")?;
    let advice = "Check the rights of the project's folder.";
    Ok(RoundReport {
        round: round.number,
        steps: steps.count,
        seconds: steps.sum,
        step_seconds: steps.recent_median,
        memory_bytes: (0 < memory.count).then_some(memory.largest as u64),
        sampler: SamplerTotals::read(&run_dir).map_err(WorkflowError::io(&run_dir, advice))?,
        curves: last_curves(project, store, round)?,
    })
}
