//! Cross-validation: for each fold, trains on the others, tests on it and mines between its rounds; then pools the folds' detections like
//! FDDB.
//!
//! Each fold is a separate project, `runs/<name>/fold-<n>/`, with only the images and the datasets' own annotations. So no hard negative,
//! verdict or promoted object can reach a fold from another fold or from the project's own rounds, whose detectors may have seen its test
//! images. Progress is read from disk: the same command resumes an interrupted run.

mod facts;
mod fold;
mod merge;
mod plan;
mod pool;

use std::path::PathBuf;

use serde::Serialize;

pub use fold::{FoldRecord, FoldRound};
pub use pool::{PooledRates, PooledRound};

use super::split::folds_of;
use super::{FoldProgress, Observer, Project, WorkflowError};
use crate::domain::{Cancel, Place, shown_path, shown_paths};
use crate::training::RoundConfig;
use facts::Facts;
use fold::Fold;
use plan::Plan;

/// What to cross-validate.
#[derive(Debug, Clone)]
pub struct CrossValidation {
    /// The folder in `runs/`.
    pub name: String,
    /// The settings of every round; `test_splits` is set per fold.
    pub config: RoundConfig,
    pub rounds: u32,
    /// The folds of this run; empty for all that have images. Others may be run elsewhere and merged.
    pub folds: Vec<u8>,
}

/// The results so far, from this run and earlier ones.
#[derive(Debug, Clone, Serialize)]
pub struct CrossValidationReport {
    #[serde(serialize_with = "shown_path")]
    pub dir: PathBuf,
    /// The folds of the project.
    pub all_folds: Vec<u8>,
    pub folds: Vec<FoldRecord>,
    /// One entry per round; each lists the folds that it pools.
    pub rounds: Vec<PooledRound>,
    #[serde(serialize_with = "shown_paths")]
    pub files: Vec<PathBuf>,
}

/// The default folder in `runs/`.
pub const DEFAULT_NAME: &str = super::run_curves::DEFAULT_RUN;

/// Runs what is left, then pools every completed fold. A cancel leaves the fold's checkpoint and returns [`WorkflowError::Cancelled`];
/// folds completed before it are pooled.
pub fn cross_validate(
    project: &Project,
    request: &CrossValidation,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<CrossValidationReport, WorkflowError> {
    let dir = folder(project, &request.name)?;
    // Held from the first fold to the last, so that every fold trains on the data read now.
    let _lock = project.lock("cross-validation")?;
    let place = Place::open(project.dir()).map_err(WorkflowError::io(project.dir(), "Check the path."))?;
    let facts = Facts::of(project)?;
    let folds = chosen_folds(&facts, &request.folds)?;
    if !request.config.test_dataset.is_empty() {
        return Err(WorkflowError::Refused(
            "a cross-validation tests on folds, not on a dataset: remove `test_dataset` from the settings.".to_owned(),
        ));
    }
    if request.rounds == 0 {
        return Err(WorkflowError::Refused("a cross-validation has at least 1 round.".to_owned()));
    }
    let plan = Plan::new(&dir, &request.config, &facts)?;
    let opened: Vec<Fold> = folds.iter().map(|&fold| Fold::at(&dir, fold, &plan)).collect();
    for fold in &opened {
        fold.check_reviewed(request.rounds)?;
    }
    plan.begin(&dir)?;
    for (index, fold) in opened.iter().enumerate() {
        let at = |round| FoldProgress {
            fold: fold.number,
            place: index + 1,
            folds: folds.len(),
            round,
            rounds: request.rounds,
        };
        place.check()?;
        let was_done = fold.record()?.is_some_and(|record| request.rounds <= record.rounds.len() as u32);
        let done = fold.run(&facts, request.rounds, at, observer, cancel);
        // Any other error follows from this one.
        place.check()?;
        // The curves on screen grow fold by fold, and remain after a cancel.
        if matches!(done, Err(WorkflowError::Cancelled)) || (done.is_ok() && !was_done && index + 1 < opened.len()) {
            pool_all(&dir, &plan, &facts)?;
        }
        done?;
    }
    pool_all(&dir, &plan, &facts)
}

/// Takes over the folds that copies of this project (on other machines) have completed, then pools everything. Each of `others` is a
/// project folder or the folder of a cross-validation in it. Trains nothing.
pub fn merge(
    project: &Project,
    name: &str,
    others: &[PathBuf],
    observer: &mut Observer,
) -> Result<CrossValidationReport, WorkflowError> {
    let dir = folder(project, name)?;
    let _lock = project.lock("merging a cross-validation")?;
    let facts = Facts::of(project)?;
    let plan = merge::take_over(&dir, name, others, &facts, observer)?;
    pool_all(&dir, &plan, &facts)
}

fn pool_all(dir: &std::path::Path, plan: &Plan, facts: &Facts) -> Result<CrossValidationReport, WorkflowError> {
    let all_folds = facts.folds();
    let mut folds = Vec::new();
    for &number in &all_folds {
        folds.extend(Fold::at(dir, number, plan).record()?);
    }
    let (rounds, mut files) = pool::write(dir, facts, &folds)?;
    let summary = dir.join("summary.json");
    files.push(summary.clone());
    let report = CrossValidationReport { dir: dir.to_path_buf(), all_folds, folds, rounds, files };
    plan::write_json(&summary, &report)?;
    Ok(report)
}

/// Returns `runs/<name>`; a name that could refer to another folder is refused.
fn folder(project: &Project, name: &str) -> Result<PathBuf, WorkflowError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_round = name.chars().all(|c| c.is_ascii_digit());
    if is_round || name.starts_with('.') || !name.chars().all(is_plain) {
        return Err(WorkflowError::Refused(format!(
            "`{name}` is not a valid name of a cross-validation: use letters, digits, - and _, but not digits alone (those are rounds)."
        )));
    }
    Ok(project.runs_dir().join(name))
}

fn chosen_folds(facts: &Facts, wanted: &[u8]) -> Result<Vec<u8>, WorkflowError> {
    let known = folds_of(&facts.images);
    if known.len() < 2 {
        return Err(WorkflowError::Refused(format!(
            "a cross-validation needs images in at least two folds; this project has folds {known:?}."
        )));
    }
    match wanted.iter().find(|fold| !known.contains(fold)) {
        Some(fold) => Err(WorkflowError::Refused(format!(
            "fold {fold} has no images in this project; the folds with images are {known:?}."
        ))),
        None if wanted.is_empty() => Ok(known),
        None => Ok(wanted.to_vec()),
    }
}
