//! A training round, from the store's facts to a checkpoint and its curves. Knows what a round needs from each room below;
//! must not know tensors, nor who watches.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::held_out::{HeldOut, OutputShape};
use super::{Observer, Project, WorkEvent, WorkflowError, backbone, fold_label};
use crate::dataset::decode_rgb;
use crate::detector::{Detector, SamplerCounts, choose_device};
use crate::domain::{
    Annotation, Cancel, Detection, HardNegativeSource, ImageId, ImageRecord, Progress, RoundId, RoundInit, RoundRecord,
    RoundState,
};
use crate::evaluation::{FoldCurves, RocCurve};
use crate::store::Store;
use crate::training::{
    Losses, Outcome, RoundConfig, RoundHooks, RoundTask, Start, TrainEvent, TrainingImage, last_model, train_round,
};

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
    let plan = plan(project, &store, &config, number, start, observer)?;
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
}

fn plan(
    project: &Project,
    store: &Store,
    config: &RoundConfig,
    number: u32,
    start: Start,
    observer: &mut Observer,
) -> Result<Plan, WorkflowError> {
    let images = store.images()?;
    let truth = store.all_ground_truth()?;
    check_folds(&images, &config.test_folds)?;
    let held_out = HeldOut::new(&images, &truth, config);
    let held_out_files = held_out.images.iter().map(|i| store.image_file(i.id)).collect::<Result<_, _>>()?;
    let training = training_images(store, &images, &truth, config, number)?;
    let previous = previous_checkpoint(project, number, config)?;
    let backbone = backbone::find(&config.detector, observer)?;
    Ok(Plan { training, held_out, held_out_files, backbone, previous, start })
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
    let Plan { training, held_out, held_out_files, backbone, previous, start } = plan;
    let hard_negatives = training.iter().map(|i| i.hard_negatives.len()).sum();
    let (training_images, test_images) = (training.len(), held_out.images.len());
    observer(WorkEvent::Log(format!(
        "Round {}: {training_images} training images, {test_images} test images with {} faces, {hard_negatives} hard negatives",
        round.number,
        held_out.face_count(),
    )));
    let run_dir = project.run_dir(round.number);
    let files = held_out_files;
    let mut hooks = Hooks {
        store,
        round,
        held_out,
        files,
        observer,
        cancel,
        curves: Vec::new(),
        metrics: Vec::new(),
        failure: None,
    };
    let task = RoundTask {
        images: training,
        decode,
        backbone: backbone.as_deref(),
        previous: previous.as_deref(),
        run_dir: &run_dir,
        start,
    };
    let summary = train_round(config, task, &mut hooks, cancel)?;
    hooks.flush()?;
    if let Some(failure) = hooks.failure.take() {
        return Err(failure);
    }
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
        curves: hooks.curves,
    })
}

fn decode(path: &Path) -> Result<image::RgbImage, String> {
    decode_rgb(path).map_err(|e| e.to_string())
}

fn check_folds(images: &[ImageRecord], test_folds: &[u8]) -> Result<(), WorkflowError> {
    if images.is_empty() {
        return Err(WorkflowError::Refused(
            "the project has no images yet. Import some first, e.g. `quarry import fddb DIR --project P`.".to_owned(),
        ));
    }
    for fold in test_folds {
        if !images.iter().any(|i| i.fold == Some(*fold)) {
            let mut known: Vec<u8> = images.iter().filter_map(|i| i.fold).collect();
            known.sort_unstable();
            known.dedup();
            return Err(WorkflowError::Refused(format!(
                "test fold {fold} has no images in this project; the folds with images are {known:?}. Choose one with --test-folds."
            )));
        }
    }
    Ok(())
}

/// Everything that is not held out, with what the reviews of earlier rounds said of it.
fn training_images(
    store: &Store,
    images: &[ImageRecord],
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
    for image in images.iter().filter(|i| config.trains_on(i.fold)) {
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

/// Metrics are written to the store in batches of at least this many values: one transaction each.
const METRIC_BATCH: usize = 450;

/// The best checkpoint is the one with the highest discrete TPR at this many false positives.
const MERIT_FALSE_POSITIVES: u64 = 50;

struct Hooks<'a, 'b> {
    store: &'a mut Store,
    round: &'a RoundRecord,
    held_out: HeldOut,
    files: Vec<PathBuf>,
    observer: &'a mut Observer<'b>,
    cancel: &'a Cancel,
    curves: Vec<(String, RocCurve)>,
    metrics: Vec<(u64, &'static str, f64)>,
    failure: Option<WorkflowError>,
}

impl Hooks<'_, '_> {
    fn flush(&mut self) -> Result<(), WorkflowError> {
        if !self.metrics.is_empty() {
            let rows: Vec<(u64, &str, f64)> = std::mem::take(&mut self.metrics);
            self.store.append_metrics(self.round.id, &rows)?;
        }
        Ok(())
    }

    fn note(&mut self, event: &TrainEvent) {
        let TrainEvent::Step(step) = event else { return };
        let losses = Losses::NAMES.into_iter().zip(step.losses.values());
        let rest = [("loss", step.total), ("lr", step.lr), ("grad_norm", step.grad_norm), ("step_s", step.seconds)];
        self.metrics.extend(losses.chain(rest).map(|(name, value)| (step.step, name, value)));
        if self.metrics.len() >= METRIC_BATCH
            && let Err(error) = self.flush()
        {
            self.failure.get_or_insert(error);
            self.cancel.cancel();
        }
    }
}

impl RoundHooks for Hooks<'_, '_> {
    fn event(&mut self, event: TrainEvent) {
        self.note(&event);
        (self.observer)(WorkEvent::Train(event));
    }

    fn evaluate(&mut self, step: u64, detector: &Detector) -> Result<Option<f64>, String> {
        if self.held_out.images.is_empty() {
            return Ok(None);
        }
        let what = format!("Evaluating at step {step}");
        let found =
            detect_files(detector, &self.files, &what, self.observer, self.cancel).map_err(|e| e.to_string())?;
        let mut shapes = vec![OutputShape::Rectangle];
        if found.iter().flatten().any(|d| d.ellipse.is_some()) {
            shapes.push(OutputShape::Ellipse);
        }
        self.curves.clear();
        for shape in shapes {
            let FoldCurves { pooled, folds } = self.held_out.curves(&found, shape);
            // A single fold's curve is the pooled one.
            let folds = if folds.len() < 2 { BTreeMap::new() } else { folds };
            let of_folds = folds.into_iter().map(|(fold, curve)| (fold_label(shape.as_str(), fold), curve));
            for (label, curve) in std::iter::once((shape.as_str().to_owned(), pooled)).chain(of_folds) {
                put_curve(self.store, self.round.id, step, &label, &curve).map_err(|e| e.to_string())?;
                let (round, label_shown, shown) = (self.round.number, label.clone(), curve.clone());
                (self.observer)(WorkEvent::Curve { round, step, label: label_shown, curve: shown });
                self.curves.push((label, curve));
            }
        }
        Ok(self.curves.first().map(|(_, curve)| curve.discrete_tpr_at(MERIT_FALSE_POSITIVES)))
    }
}

fn put_curve(store: &mut Store, round: RoundId, step: u64, label: &str, curve: &RocCurve) -> Result<(), WorkflowError> {
    let json =
        serde_json::to_string(curve).map_err(|e| WorkflowError::Refused(format!("a curve cannot be written: {e}")))?;
    store.put_curve(round, step, label, &json)?;
    Ok(())
}

/// Detects on image files in order; a picture that cannot be read gets no detections and is told once in the log.
pub(super) fn detect_files(
    detector: &Detector,
    files: &[PathBuf],
    what: &str,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<Vec<Vec<Detection>>, WorkflowError> {
    let mut out = Vec::with_capacity(files.len());
    for (done, file) in files.iter().enumerate() {
        if cancel.is_cancelled() {
            return Err(WorkflowError::Cancelled);
        }
        observer(WorkEvent::Progress(Progress { what: what.to_owned(), done: done as u64, total: files.len() as u64 }));
        match decode_rgb(file) {
            Ok(image) => out.push(detector.detect(&image)?),
            Err(error) => {
                observer(WorkEvent::Log(format!("Left out: {error}")));
                out.push(Vec::new());
            }
        }
    }
    observer(WorkEvent::Progress(Progress {
        what: what.to_owned(),
        done: files.len() as u64,
        total: files.len() as u64,
    }));
    Ok(out)
}
