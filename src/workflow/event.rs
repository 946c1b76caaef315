//! The events of a running use case, for the command line and the window.

use crate::domain::Progress;
use crate::evaluation::RocCurve;
use crate::training::TrainEvent;

/// One event of a use case. Order within a round: `Round`, then `Train(..)` with `Curve`s between, `Train(Finished)` last.
#[derive(Debug, Clone)]
pub enum WorkEvent {
    /// The latest progress, which replaces the previous one.
    Progress(Progress),
    /// One line for the log, sentence case.
    Log(String),
    /// The part of a cross-validation that the following events belong to.
    Fold(FoldProgress),
    /// The round that the following events belong to.
    Round { round: u32 },
    /// A training event.
    Train(TrainEvent),
    /// An evaluation of the held-out images; `label` is `rectangle` or `ellipse`.
    Curve { round: u32, step: u64, label: String, curve: RocCurve },
}

/// The progress of a cross-validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FoldProgress {
    /// The fold that is tested on.
    pub fold: u8,
    /// Its position among the folds of this run, from 1.
    pub place: usize,
    pub folds: usize,
    pub round: u32,
    pub rounds: u32,
}

impl std::fmt::Display for FoldProgress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { fold, place, folds, round, rounds } = self;
        write!(f, "Fold {fold} ({place} of {folds}), round {round} of {rounds}")
    }
}

/// Returns the label of one test fold's curve, derived from the pooled curve's `label`.
pub fn fold_label(label: &str, fold: u8) -> String {
    format!("{label}, fold {fold}")
}

/// Splits a fold curve's label into the pooled curve's label and the fold; `None` for a pooled one.
pub fn split_fold_label(label: &str) -> Option<(&str, u8)> {
    let (pooled, fold) = label.rsplit_once(", fold ")?;
    Some((pooled, fold.parse().ok()?))
}
