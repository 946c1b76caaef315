//! One training round from its first step to its last, over any number of sessions.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use self::opening::{average, continued, fresh, started};
use super::checkpoint::{self, Checkpoints, Marks};
use super::config::RoundConfig;
use super::device::unused_gpu;
use super::error::TrainingError;
use super::events::{Losses, Outcome, StepClock, StepReport, TrainEvent};
use super::loader::{Decode, Loader, TrainingImage};
use super::lock::RunLock;
use super::memory::{halved, halved_times, is_out_of_memory};
use super::meter::Meter;
use super::mined::{MinedImages, MinedNegatives, with_mined};
use super::optimiser::Sgd;
use super::progress::{MODEL_FILE, OPTIMISER_FILE, RoundProgress, TRAINED_FILE};
use super::records::Records;
use super::schedule::Schedule;
use super::step::{Stepped, Stepper};
use crate::detector::{Detector, SamplerCounts, cuda_index};
use crate::domain::{Cancel, Place, Sources, caught, make_folder};

/// A round's training data and its location.
#[derive(Debug)]
pub struct RoundTask<'a> {
    /// The lock of the folder that contains `run_dir`, held by any writer.
    pub lock: RunLock,
    pub images: Vec<TrainingImage>,
    /// Indices of images excluded from this session.
    pub left_out: BTreeSet<usize>,
    /// The datasets of the images; if one is missing, the round stops.
    pub sources: Sources,
    pub decode: Decode,
    /// Pretrained weights; without them a round with `init = "backbone"` starts from random weights, with a warning.
    pub backbone: Option<&'a Path>,
    /// The previous round's `model.safetensors`, for `init = "previous"`.
    pub previous: Option<&'a Path>,
    /// The round's own folder.
    pub run_dir: &'a Path,
    pub start: Start,
}

/// Whether the round may have checkpoints already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The folder must not contain a checkpoint.
    Fresh,
    /// Resumes from the last checkpoint, or starts over if none was written.
    Resume,
}

/// Callbacks of a running round.
pub trait RoundHooks {
    fn event(&mut self, event: TrainEvent);

    /// Tests the detector after `step` steps. The score (higher is better) determines the best checkpoint; an error stops the round after
    /// its checkpoint is written.
    fn evaluate(&mut self, step: u64, detector: &Detector) -> Result<Option<f64>, String>;

    /// Detects on these training images after `step` steps and returns the hard negatives of each that could be read, together with those
    /// that it has. The detector has the mining settings. An error stops the round after its checkpoint is written.
    fn mine(
        &mut self,
        step: u64,
        detector: &Detector,
        images: &[&TrainingImage],
    ) -> Result<Vec<Option<MinedNegatives>>, String>;
}

/// The result of a session of a round.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainSummary {
    /// `Done` or `Cancelled`; a failure is an error instead.
    pub outcome: Outcome,
    /// Completed steps, summed over sessions.
    pub step: u64,
    pub iterations: u64,
    /// Sampled over the whole round.
    pub counts: SamplerCounts,
    /// Means of this session's last steps, at most [`RECENT_LOSSES`] of them.
    pub losses: Losses,
    /// Seconds of all steps, summed over sessions.
    pub seconds: f64,
    /// Median of the recent steps.
    pub step_seconds: f64,
    /// Ratio of this session's step time to the time without waiting for the loader; at best 1.
    pub loader_ratio: f64,
    /// The last checkpoint's weights; `None` if cancelled before the first step.
    pub model: Option<PathBuf>,
    /// The best evaluated step with its score.
    pub best: Option<(u64, f64)>,
    /// Images that could not be read.
    pub unreadable: Vec<PathBuf>,
}

/// Number of steps averaged in the summary's losses.
pub const RECENT_LOSSES: usize = 50;

/// Trains or resumes a round. `Finished` is always the last event, also after a cancel, an error or a panic. A cancel takes effect within
/// one step and leaves a checkpoint.
pub fn train_round(
    config: &RoundConfig,
    task: RoundTask<'_>,
    hooks: &mut dyn RoundHooks,
    cancel: &Cancel,
) -> Result<TrainSummary, TrainingError> {
    let mut step = 0;
    let run_dir = task.run_dir.to_path_buf();
    let result = caught(|| run(config, task, hooks, cancel, &mut step));
    let result = result.unwrap_or_else(|panic| Err(TrainingError::panic(panic)));
    let result = result.map_err(|error| error.explained(step + 1, &run_dir));
    let outcome = match &result {
        Ok(summary) => summary.outcome.clone(),
        Err(error) => Outcome::Failed(error.to_string()),
    };
    hooks.event(TrainEvent::Finished { outcome });
    result
}

fn run(
    config: &RoundConfig,
    task: RoundTask<'_>,
    hooks: &mut dyn RoundHooks,
    cancel: &Cancel,
    step: &mut u64,
) -> Result<TrainSummary, TrainingError> {
    config.check()?;
    check_images(&task.images)?;
    task.lock.check()?;
    make_folder(task.run_dir).map_err(TrainingError::io(task.run_dir, "making the round's folder"))?;
    let place = Place::open(task.run_dir).map_err(TrainingError::io(task.run_dir, "opening"))?;
    let opened = Round::open(config, task, hooks, cancel);
    // Of a project that was moved, other errors only follow.
    let mut round = opened.map_err(|error| place.check().err().map_or(error, TrainingError::from))?;
    *step = round.progress.step;
    let outcome = round.train(step);
    // Progress before an error stays on disk; the last good checkpoint is named to the user.
    let outcome = outcome.map_err(|error| round.placed(error))?;
    Ok(round.summary(outcome))
}

fn check_images(images: &[TrainingImage]) -> Result<(), TrainingError> {
    if images.is_empty() {
        return Err(TrainingError::NoImages);
    }
    if images.iter().all(|image| image.faces.is_empty()) {
        return Err(TrainingError::NoFaces { images: images.len() });
    }
    Ok(())
}

/// A running round.
struct Round<'a> {
    config: &'a RoundConfig,
    /// The same, with settings halved after running out of memory.
    fitting: RoundConfig,
    run_dir: &'a Path,
    hooks: &'a mut dyn RoundHooks,
    cancel: &'a Cancel,
    schedule: Schedule,
    checkpoints: Checkpoints,
    marks: Marks,
    /// Checkpoints that are never pruned, whatever the settings.
    kept: Vec<u64>,
    progress: RoundProgress,
    lock: RunLock,
    stepper: Stepper,
    /// The images as the round got them, if it mines itself.
    images: Vec<TrainingImage>,
    /// What it mined itself.
    mined: MinedImages,
    records: Records,
    clock: StepClock,
    meter: Meter,
    /// From this session.
    reports: Vec<StepReport>,
    waited_s: f64,
    worked_s: f64,
}

impl<'a> Round<'a> {
    fn open(
        config: &'a RoundConfig,
        task: RoundTask<'a>,
        hooks: &'a mut dyn RoundHooks,
        cancel: &'a Cancel,
    ) -> Result<Self, TrainingError> {
        let checkpoints = Checkpoints::open(task.run_dir)?;
        let data = checkpoint::fingerprint(&task.images);
        let newest = match task.start {
            Start::Fresh => checkpoints.steps().last().copied(),
            Start::Resume => checkpoints.newest_good(|text| hooks.event(TrainEvent::Warning(text)))?,
        };
        let (marks, lost) = checkpoints.marks()?;
        // The previous best is among them.
        let kept = if lost.is_some() { checkpoints.steps() } else { Vec::new() };
        if let Some(text) = lost {
            hooks.event(TrainEvent::Warning(text));
        }
        let (detector, progress) = match (task.start, newest) {
            (Start::Fresh, Some(step)) => {
                return Err(TrainingError::AlreadyStarted { dir: task.run_dir.to_path_buf(), step });
            }
            (Start::Resume, Some(step)) => continued(config, &checkpoints, step, &data)?,
            (_, None) => (fresh(config, &task, hooks)?, RoundProgress::start(config, data)),
        };
        if let Some(text) = unused_gpu(&config.device, detector.device()) {
            hooks.event(TrainEvent::Warning(text));
        }
        let mut sgd = Sgd::new(detector.trainable(), config)?;
        if progress.step > 0 {
            sgd.load(&checkpoints.path(progress.step).join(OPTIMISER_FILE))?;
        }
        let average = average(config, &checkpoints, progress.step, &detector, &sgd)?;
        hooks.event(TrainEvent::Started(started(config, &task.images, &progress, &sgd, &detector)));
        let fitting = halved_times(config, progress.halvings);
        let mined = checkpoints.read_mined(&progress)?;
        let (given, images) = if config.mine_every > 0 {
            (with_mined(&task.images, &mined), task.images)
        } else {
            (task.images, Vec::new())
        };
        // Retry images that could not be read before.
        let loader =
            Loader::start(&fitting, config.batch_images, given, task.decode, progress.position, task.left_out)?;
        let loader = loader.watching(task.sources);
        Ok(Self {
            schedule: config.lr_schedule(),
            marks: marks.up_to(progress.step),
            kept,
            records: Records::open(task.run_dir, progress.step)?,
            lock: task.lock,
            meter: Meter::new(cuda_index(detector.device())),
            stepper: Stepper { detector, sgd, average, loader, updating: false, seen: Vec::new() },
            images,
            mined,
            clock: StepClock::default(),
            reports: Vec::new(),
            waited_s: 0.0,
            worked_s: 0.0,
            fitting,
            run_dir: task.run_dir,
            config,
            hooks,
            cancel,
            checkpoints,
            progress,
        })
    }

    fn train(&mut self, at: &mut u64) -> Result<Outcome, TrainingError> {
        // A crash may have happened between a checkpoint and its evaluation.
        if self.progress.step > 0 {
            self.evaluate_if_due()?;
        }
        while self.progress.step < self.config.iterations {
            self.mine_or_keep()?;
            let has_more = !self.cancel.is_cancelled() && self.step_or_keep()?;
            if !has_more {
                self.checkpoint()?;
                return Ok(Outcome::Cancelled);
            }
            *at = self.progress.step;
            self.pause_if_requested()?;
            if self.due(self.config.checkpoint_every) || self.evaluation_due() {
                self.checkpoint()?;
            }
            self.evaluate_if_due()?;
        }
        Ok(if self.evaluation_due() { Outcome::Cancelled } else { Outcome::Done })
    }

    /// While paused, writes a checkpoint and waits.
    fn pause_if_requested(&mut self) -> Result<(), TrainingError> {
        if !self.cancel.is_paused() || self.cancel.is_cancelled() {
            return Ok(());
        }
        let step = self.progress.step;
        self.checkpoint()?;
        self.hooks.event(TrainEvent::Paused { step });
        self.cancel.wait_while_paused();
        if !self.cancel.is_cancelled() {
            self.hooks.event(TrainEvent::Resumed { step });
        }
        Ok(())
    }

    /// [`Self::step`]; if images are unavailable, saves the progress made so far.
    fn step_or_keep(&mut self) -> Result<bool, TrainingError> {
        let stepped = self.step();
        if matches!(&stepped, Err(error) if error.is_interruption()) {
            self.checkpoint()?;
        }
        stepped
    }

    /// Makes one step; returns false after a cancel.
    fn step(&mut self) -> Result<bool, TrainingError> {
        self.lock.check()?;
        let step = self.progress.step + 1;
        let lr = self.schedule.lr(self.progress.step);
        let stepped = loop {
            let tried = caught(|| self.try_step(step, lr));
            match tried.unwrap_or_else(|panic| Err(TrainingError::panic(panic))) {
                Err(error) if is_out_of_memory(&error.to_string()) && !self.stepper.updating => self.shrink(error)?,
                other => break other?,
            }
        };
        let Some(stepped) = stepped else { return Ok(false) };
        let mut report = stepped.report;
        self.clock.record(report.seconds);
        report.images_per_s = self.config.images_per_step() as f64 / self.clock.median().max(f64::MIN_POSITIVE);
        report.eta_s = self.clock.eta(self.config.iterations - step);
        report.usage = self.meter.read();
        self.records.step(&report)?;
        self.progress.step = step;
        self.progress.position = self.stepper.loader.position();
        self.progress.seconds += report.seconds;
        self.progress.counts += stepped.counts;
        self.waited_s += report.loader_wait_s;
        self.worked_s += report.seconds;
        self.reports.push(report.clone());
        if self.reports.len() > RECENT_LOSSES {
            self.reports.remove(0);
        }
        self.hooks.event(TrainEvent::Step(report));
        Ok(true)
    }

    fn try_step(&mut self, step: u64, lr: f64) -> Result<Option<Stepped>, TrainingError> {
        let hooks = &mut *self.hooks;
        let mut warn = |text| hooks.event(TrainEvent::Warning(text));
        self.stepper.step(&self.fitting, step, lr, &mut self.records, self.cancel, &mut warn)
    }

    /// Prepares a retry of the step with lower memory use; returns the error if nothing is left to halve.
    fn shrink(&mut self, error: TrainingError) -> Result<(), TrainingError> {
        let Some((smaller, what)) = halved(&self.fitting) else { return Err(error) };
        let step = self.progress.step;
        let text = format!("Out of memory in step {}. The round continues with less at a time: {what}", step + 1);
        self.hooks.event(TrainEvent::Warning(text));
        self.progress.halvings += 1;
        self.fitting = smaller;
        // The images of the failed step are loaded again, and their lines rewritten.
        self.stepper.loader = self.stepper.loader.restarted(&self.fitting, self.progress.position)?;
        self.records = Records::open(self.run_dir, step)?;
        Ok(())
    }

    /// Whether something with this interval in steps (0: never), and always at the end, is due now.
    fn due(&self, every: u64) -> bool {
        let step = self.progress.step;
        step == self.config.iterations || (every > 0 && step.is_multiple_of(every))
    }

    fn evaluation_due(&self) -> bool {
        self.due(self.config.evaluate_every) && self.marks.evaluated < Some(self.progress.step)
    }

    fn evaluate_if_due(&mut self) -> Result<(), TrainingError> {
        if !self.evaluation_due() {
            return Ok(());
        }
        let step = self.progress.step;
        self.lock.check()?;
        self.hooks.event(TrainEvent::Evaluating { step });
        let evaluated = self.hooks.evaluate(step, self.stepper.detecting());
        if self.cancel.is_cancelled() {
            // A cancelled evaluation saw only some of the images: it is repeated on resume.
            return Ok(());
        }
        self.lock.check()?;
        let score = evaluated.map_err(|message| TrainingError::Evaluation { step, message })?;
        self.marks.evaluated = Some(step);
        if let Some(score) = score.filter(|score| self.marks.best.is_none_or(|(_, best)| best < *score)) {
            self.marks.best = Some((step, score));
        }
        self.checkpoints.set_marks(self.marks)?;
        self.hooks.event(TrainEvent::Evaluated { step, score });
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), TrainingError> {
        let step = self.progress.step;
        if step == 0 || self.checkpoints.steps().contains(&step) {
            return Ok(());
        }
        self.lock.check()?;
        if !self.stepper.sgd.is_finite()? {
            let images = format!("{}; the weights after it hold NaN or infinity", self.stepper.image_names());
            return Err(TrainingError::Diverged { step, total: f64::NAN, images, last: String::new() });
        }
        self.progress.unreadable = self.stepper.loader.unreadable().clone();
        let stepper = &self.stepper;
        let path = self.checkpoints.write(&self.progress, |dir| {
            stepper.detecting().save(&dir.join(MODEL_FILE))?;
            if stepper.average.is_some() {
                stepper.detector.save(&dir.join(TRAINED_FILE))?;
            }
            if self.progress.mined_at > 0 {
                Checkpoints::write_mined(dir, &self.mined)?;
            }
            stepper.sgd.save(&dir.join(OPTIMISER_FILE))
        })?;
        self.checkpoints.prune(self.config, self.marks.best.map(|(step, _)| step), &self.kept)?;
        self.hooks.event(TrainEvent::Checkpoint { step, path });
        Ok(())
    }

    /// Adds to the error which checkpoint the round can resume from.
    fn placed(&self, error: TrainingError) -> TrainingError {
        // If the folder was moved, that explains more than a failed write in it.
        if let Err(moved) = self.lock.check() {
            return moved;
        }
        match error {
            TrainingError::Diverged { step, total, images, .. } => {
                let last = match self.checkpoints.steps().last() {
                    Some(good) => format!("The last good checkpoint is step {good}"),
                    None => "No checkpoint was written yet".to_owned(),
                };
                TrainingError::Diverged { step, total, images, last }
            }
            error => error,
        }
    }

    fn summary(&self, outcome: Outcome) -> TrainSummary {
        let loader = &self.stepper.loader;
        let step = self.progress.step;
        TrainSummary {
            outcome,
            step,
            iterations: self.config.iterations,
            counts: self.progress.counts.clone(),
            losses: mean_losses(&self.reports),
            seconds: self.progress.seconds,
            step_seconds: self.clock.median(),
            loader_ratio: self.worked_s
                / (self.worked_s - self.waited_s).max(f64::MIN_POSITIVE).max(self.worked_s * 1e-9),
            model: (step > 0).then(|| self.checkpoints.path(step).join(MODEL_FILE)),
            best: self.marks.best,
            unreadable: loader.given_up().iter().map(|&index| loader.image(index).path.clone()).collect(),
        }
    }
}

fn mean_losses(reports: &[StepReport]) -> Losses {
    let mean = |part: fn(&Losses) -> f64| {
        reports.iter().map(|report| part(&report.losses)).sum::<f64>() / reports.len().max(1) as f64
    };
    Losses {
        classifier: mean(|l| l.classifier),
        box_reg: mean(|l| l.box_reg),
        objectness: mean(|l| l.objectness),
        rpn_box_reg: mean(|l| l.rpn_box_reg),
        ellipse: mean(|l| l.ellipse),
    }
}

mod mining;
mod opening;
#[cfg(test)]
mod tests;
