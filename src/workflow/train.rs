//! A training round, from the store's facts to a checkpoint and its curves. Knows what a round needs from each room below;
//! must not know tensors, nor who watches.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::held_out::HeldOut;
use super::round_hooks::Hooks;
use super::split::Split;
use super::{Observer, Project, WorkEvent, WorkflowError, backbone};
use crate::dataset::decode_rgb;
use crate::detector::{SamplerCounts, choose_device};
use crate::domain::{Annotation, Cancel, HardNegativeSource, ImageId, ImageRecord, RoundInit, RoundRecord, RoundState};
use crate::evaluation::RocCurve;
use crate::store::Store;
use crate::training::{Outcome, RoundConfig, RoundTask, RunLock, Start, TrainingImage, last_model, train_round};

/// What became of a round's training.
#[derive(Debug, Clone, Serialize)]
pub struct TrainReport {
    pub round: u32,
    pub steps: u64,
    pub seconds: f64,
    /// Median of the recent steps.
    pub step_seconds: f64,
    /// Step time over what it would be without waiting for the loader, 1 at best.
    pub loader_ratio: f64,
    pub training_images: usize,
    pub test_images: usize,
    pub hard_negatives: usize,
    /// True when it was stopped before the last step; `quarry train --resume` goes on.
    pub stopped: bool,
    /// `None` when it was stopped before its first step.
    pub checkpoint: Option<PathBuf>,
    /// What the samplers drew over the whole round.
    pub sampler: SamplerCounts,
    /// The last evaluation of the held-out images, by output shape.
    pub curves: Vec<(String, RocCurve)>,
}

/// Trains the next round of the project, or goes on with the newest unfinished one when `resume` is set.
pub fn train(
    project: &Project,
    config: &RoundConfig,
    resume: bool,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<TrainReport, WorkflowError> {
    // Before anything is looked at: another training may be about to change it.
    let lock = RunLock::take(&project.runs_dir())?;
    let mut store = project.open_store()?;
    let unfinished = if resume { unfinished_round(&store)? } else { None };
    let config = match &unfinished {
        Some(round) => RoundConfig::from_toml(&round.config_toml, &format!("round {}", round.number))?,
        None => config.clone(),
    };
    config.check()?;
    choose_device(&config.device)?;
    let number = match &unfinished {
        Some(round) => round.number,
        None => store.rounds()?.last().map_or(1, |r| r.number + 1),
    };
    let start = if unfinished.is_some() { Start::Resume } else { Start::Fresh };
    let plan = plan(project, &store, &config, number, start, lock, observer)?;
    // Nothing is written before everything that can be refused has been looked at.
    let round = match unfinished {
        Some(round) => round,
        None => store.start_round(&config.to_toml())?,
    };
    store.set_round_state(round.id, RoundState::Running)?;
    observer(WorkEvent::Round { round: round.number });
    let result = run(project, &mut store, &round, &config, plan, observer, cancel);
    let state = match &result {
        Ok(report) if report.stopped => RoundState::Stopped,
        Ok(_) => RoundState::Trained,
        Err(_) => RoundState::Failed,
    };
    store.set_round_state(round.id, state)?;
    result
}

fn unfinished_round(store: &Store) -> Result<Option<RoundRecord>, WorkflowError> {
    let open = |r: &RoundRecord| matches!(r.state, RoundState::Running | RoundState::Stopped | RoundState::Failed);
    Ok(store.rounds()?.into_iter().rfind(open))
}

/// What a round needs from the project, gathered before it starts.
struct Plan {
    training: Vec<TrainingImage>,
    held_out: HeldOut,
    held_out_files: Vec<PathBuf>,
    backbone: Option<PathBuf>,
    previous: Option<PathBuf>,
    start: Start,
    lock: RunLock,
}

fn plan(
    project: &Project,
    store: &Store,
    config: &RoundConfig,
    number: u32,
    start: Start,
    lock: RunLock,
    observer: &mut Observer,
) -> Result<Plan, WorkflowError> {
    let images = store.images()?;
    let truth = store.all_ground_truth()?;
    let split = Split::new(&images, &store.datasets()?, config)?;
    if 0 < split.repeated {
        observer(WorkEvent::Log(format!(
            "{} images are not trained on: the same photographs are tested on under another name",
            split.repeated
        )));
    }
    let held_out = HeldOut::new(split.test, &truth);
    let held_out_files = held_out.images.iter().map(|i| store.image_file(i.id)).collect::<Result<_, _>>()?;
    let training = training_images(store, split.training, &truth, config, number)?;
    let previous = previous_checkpoint(project, number, config)?;
    let backbone = backbone::find(&config.detector, observer)?;
    Ok(Plan { training, held_out, held_out_files, backbone, previous, start, lock })
}

fn run(
    project: &Project,
    store: &mut Store,
    round: &RoundRecord,
    config: &RoundConfig,
    plan: Plan,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<TrainReport, WorkflowError> {
    let Plan { training, held_out, held_out_files, backbone, previous, start, lock } = plan;
    let hard_negatives = training.iter().map(|i| i.hard_negatives.len()).sum();
    let (training_images, test_images) = (training.len(), held_out.images.len());
    observer(WorkEvent::Log(format!(
        "Round {}: {training_images} training images, {test_images} test images with {} faces, {hard_negatives} hard negatives",
        round.number,
        held_out.face_count(),
    )));
    let run_dir = project.run_dir(round.number);
    let mut hooks = Hooks::new(store, round, held_out, held_out_files, &run_dir, observer, cancel);
    let task = RoundTask {
        lock,
        images: training,
        decode,
        backbone: backbone.as_deref(),
        previous: previous.as_deref(),
        run_dir: &run_dir,
        start,
    };
    let summary = train_round(config, task, &mut hooks, cancel)?;
    let curves = hooks.finish()?;
    Ok(TrainReport {
        round: round.number,
        steps: summary.step,
        seconds: summary.seconds,
        step_seconds: summary.step_seconds,
        loader_ratio: summary.loader_ratio,
        training_images,
        test_images,
        hard_negatives,
        stopped: summary.outcome == Outcome::Cancelled,
        checkpoint: summary.model,
        sampler: summary.counts,
        curves,
    })
}

fn decode(path: &Path) -> Result<image::RgbImage, String> {
    decode_rgb(path).map_err(|e| e.to_string())
}

/// The training images with what the reviews of earlier rounds said of them.
fn training_images(
    store: &Store,
    images: Vec<ImageRecord>,
    truth: &HashMap<ImageId, Vec<Annotation>>,
    config: &RoundConfig,
    round: u32,
) -> Result<Vec<TrainingImage>, WorkflowError> {
    let mut hard = match config.hard_negatives {
        HardNegativeSource::None => HashMap::new(),
        source => store.hard_negatives(source, round)?,
    };
    let mut rejected = store.rejected_regions()?;
    let mut out = Vec::new();
    for image in images {
        let annotations = truth.get(&image.id).map_or(&[][..], Vec::as_slice);
        let mut ignored = rejected.remove(&image.id).unwrap_or_default();
        ignored.extend(annotations.iter().filter(|a| a.ignored).map(|a| a.shape.bounding_box()));
        out.push(TrainingImage {
            id: image.id,
            path: store.image_file(image.id)?,
            faces: annotations.iter().filter(|a| !a.ignored).map(|a| a.shape).collect(),
            hard_negatives: hard.remove(&image.id).unwrap_or_default().into_iter().map(|h| (h.bbox, h.score)).collect(),
            ignored,
        });
    }
    if out.iter().all(|i| i.faces.is_empty()) {
        return Err(WorkflowError::Refused(
            "none of the training images has a face. Import annotated images, or hold out fewer folds.".to_owned(),
        ));
    }
    Ok(out)
}

fn previous_checkpoint(project: &Project, round: u32, config: &RoundConfig) -> Result<Option<PathBuf>, WorkflowError> {
    if config.init == RoundInit::Backbone {
        return Ok(None);
    }
    let found = (1..round).rev().find_map(|n| last_model(&project.run_dir(n)));
    found.map(Some).ok_or_else(|| {
        WorkflowError::Refused(
            "init is `previous`, but no earlier round has a checkpoint. Use `--init backbone`.".to_owned(),
        )
    })
}
