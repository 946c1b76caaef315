//! The built-in sample's whole loop: write it, import it, round 1, mine, review, round 2. The project's state determines which stages are
//! done, so that a stopped demo resumes.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::auto_review::auto_review;
use super::import::{ImportFormat, import, import_read};
use super::mine::mine;
use super::status::rates;
use super::train::{TrainReport, resume, train};
use super::{Observer, Project, WorkEvent, WorkflowError};
use crate::dataset::sample::{self, SampleConfig};
use crate::domain::{Cancel, HardNegativeSource, Progress, RoundRecord, RoundState, counted, printable_path};
use crate::evaluation::RocCurve;
use crate::training::RoundConfig;

/// The folds of the sample that no round trains on: two, since one has too few faces to distinguish two rounds.
pub const HELD_OUT_FOLDS: [u8; 2] = [9, 10];

/// The demo's result: one entry per round.
#[derive(Debug, Clone, Serialize)]
pub struct DemoReport {
    pub project: String,
    pub candidates: usize,
    pub verdicts: usize,
    pub rounds: Vec<DemoRound>,
}

#[derive(Debug, Clone, Serialize)]
pub struct DemoRound {
    pub round: u32,
    /// `(false positives, discrete TPR, continuous TPR)` of the held-out fold.
    pub at: Vec<(u64, f64, f64)>,
}

/// Returns the settings of the sample's first round. Its second is [`RoundConfig::next_round`], as in the window's form.
pub fn first_round_config() -> Result<RoundConfig, WorkflowError> {
    let test_splits = HELD_OUT_FOLDS.iter().map(u8::to_string).collect();
    let hard_negatives = HardNegativeSource::None;
    Ok(RoundConfig { test_splits, hard_negatives, ..RoundConfig::preset("sample")? })
}

/// What the demo does beyond its first round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DemoOptions {
    /// Review every candidate by the ground truth, then train round 2.
    pub with_review: bool,
    /// Annotate the sample's animals and toys as well as its faces.
    pub with_classes: bool,
}

/// Creates or continues a project in `dir` with the built-in sample.
pub fn prepare(
    dir: &Path,
    with_classes: bool,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<Project, WorkflowError> {
    // The sample is written into the project, and the store keeps its path as text.
    if std::path::absolute(dir).is_ok_and(|dir| dir.to_str().is_none()) {
        return Err(WorkflowError::Refused(format!(
            "{} is not a UTF-8 path. Choose another folder with --project.",
            printable_path(dir)
        )));
    }
    let project = Project::open_or_create(dir)?;
    check_is_sample(&project)?;
    let sample_dir = sample_dir(&project);
    if project.open_store()?.datasets()?.is_empty() {
        let mut progress = |p: Progress| observer(WorkEvent::Progress(p));
        sample::write(&sample_dir, &SampleConfig::default(), &mut progress)?;
        let summary = if with_classes {
            import_read(&project, &sample::read_with_classes(&sample_dir, &mut progress, cancel)?, false)?.summary
        } else {
            import(&project, ImportFormat::Fddb, &sample_dir, false, observer, cancel)?.summary
        };
        observer(WorkEvent::Log(format!(
            "The built-in sample: {} scenes with {} objects, folds {} and {} held out",
            summary.images, summary.objects, HELD_OUT_FOLDS[0], HELD_OUT_FOLDS[1]
        )));
    }
    Ok(project)
}

/// Refuses a project with other images than the sample's: its rounds would be trained as a demo, and an automatic review would confirm
/// candidates that nobody has seen.
pub fn check_is_sample(project: &Project) -> Result<(), WorkflowError> {
    let datasets = project.open_store()?.datasets()?;
    // A copy of a demo still refers to the original's sample.
    let is_sample = |root: &Path| root == sample_dir(project) || root.join(sample::DECOYS_FILE).is_file();
    match datasets.iter().find(|dataset| !is_sample(&dataset.root)) {
        None => Ok(()),
        Some(dataset) => Err(WorkflowError::Refused(format!(
            "{} has the dataset `{}`, which is not the built-in sample. The demo needs its own project: choose another folder with --project.",
            project.dir().display(),
            dataset.name
        ))),
    }
}

fn sample_dir(project: &Project) -> PathBuf {
    project.dir().join("sample")
}

/// Trains and mines round 1, ready for review. Returns the number of candidates.
pub fn first_round(project: &Project, observer: &mut Observer, cancel: &Cancel) -> Result<usize, WorkflowError> {
    let round = newest(project)?;
    let is_open = |r: &RoundRecord| matches!(r.state, RoundState::Running | RoundState::Stopped | RoundState::Failed);
    if round.as_ref().is_none_or(is_open)
        && train_or_go_on(project, &first_round_config()?, round.is_some(), observer, cancel)?.stopped
    {
        return Err(WorkflowError::Cancelled);
    }
    if newest(project)?.is_some_and(|r| r.state == RoundState::Trained && r.number == 1) {
        return Ok(mine(project, Some(1), observer, cancel)?.candidates);
    }
    Ok(0)
}

/// Runs the whole demo without a window. With `auto_review` the candidates are reviewed by the ground truth and round 2 follows.
pub fn run_headless(
    dir: &Path,
    options: DemoOptions,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<DemoReport, WorkflowError> {
    let DemoOptions { with_review, with_classes } = options;
    let project = prepare(dir, with_classes, observer, cancel)?;
    let mut candidates = 0;
    let mut verdicts = 0;
    if newest(&project)?.is_none_or(|r| r.number == 1) {
        candidates = first_round(&project, observer, cancel)?;
        if with_review {
            verdicts = auto_review(&project, 1)?;
            observer(WorkEvent::Log(format!(
                "Reviewed {} by comparison with the ground truth",
                counted(verdicts, "candidate")
            )));
        }
    }
    if with_review {
        let second = newest(&project)?.filter(|r| r.number == 2);
        if second.as_ref().is_none_or(|r| !matches!(r.state, RoundState::Trained | RoundState::Mined)) {
            let config = first_round_config()?.next_round();
            if train_or_go_on(&project, &config, second.is_some(), observer, cancel)?.stopped {
                return Err(WorkflowError::Cancelled);
            }
        }
    }
    Ok(DemoReport { project: project.dir().display().to_string(), candidates, verdicts, rounds: rounds(&project)? })
}

fn train_or_go_on(
    project: &Project,
    config: &RoundConfig,
    is_begun: bool,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<TrainReport, WorkflowError> {
    if is_begun { resume(project, None, observer, cancel) } else { train(project, config, observer, cancel) }
}

fn newest(project: &Project) -> Result<Option<RoundRecord>, WorkflowError> {
    Ok(project.open_store()?.rounds()?.pop())
}

fn rounds(project: &Project) -> Result<Vec<DemoRound>, WorkflowError> {
    let store = project.open_store()?;
    let mut out = Vec::new();
    for round in store.rounds()? {
        let stored = store.curves(round.id)?.into_iter().rfind(|c| c.label == "rectangle");
        let curve: Option<RocCurve> = stored.and_then(|c| serde_json::from_str(&c.json).ok());
        if let Some(curve) = curve {
            out.push(DemoRound { round: round.number, at: rates(&curve) });
        }
    }
    Ok(out)
}
