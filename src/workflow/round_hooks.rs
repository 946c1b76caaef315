//! Writes a running round's results to the project: metrics and curves to the store, detections on the held-out images to files; forwards
//! events.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::classes::LabelMap;
use super::detect::{Found, detect_files, refuse_mostly_unreadable};
use super::held_out::{self, HeldOut, OutputShape};
use super::retry::with_retries;
use super::round_log::RoundLog;
use super::round_mining::negatives;
use super::round_report::MERIT_FALSE_POSITIVES;
use super::{Observer, WorkEvent, WorkflowError, fold_label};
use crate::detector::Detector;
use crate::domain::{Cancel, Detection, RoundId, RoundRecord, Sources};
use crate::evaluation::average_precision::AveragePrecision;
use crate::evaluation::{FoldCurves, RocCurve};
use crate::store::{Store, StoreError};
use crate::training::{Losses, MinedNegatives, Outcome, RoundHooks, StepReport, TrainEvent, TrainingImage};

/// Minimum number of metric values written to the store per transaction.
const METRIC_BATCH: usize = 450;
/// Maximum number of images named in a warning; the report names all.
const NAMED: usize = 5;

/// The result of the last test on the held-out images.
pub(super) struct LastTest {
    /// By output shape.
    pub curves: Vec<(String, RocCurve)>,
    /// Images that could not be read.
    pub unreadable: Vec<PathBuf>,
}

/// The hooks of one round.
pub(super) struct Hooks<'a, 'b> {
    store: &'a mut Store,
    round: &'a RoundRecord,
    held_out: HeldOut,
    labels: LabelMap,
    /// Paths of the held-out images.
    files: Vec<PathBuf>,
    sources: Sources,
    /// Those of the training images.
    training_sources: Sources,
    run_dir: &'a Path,
    log: RoundLog,
    observer: &'a mut Observer<'b>,
    cancel: &'a Cancel,
    curves: Vec<(String, RocCurve)>,
    /// Held-out images that the last evaluation could not read.
    unreadable: Vec<PathBuf>,
    /// The last step completed in this run.
    step: u64,
    metrics: Vec<(u64, &'static str, f64)>,
    /// Number of values per write; more while another program holds the database.
    batch: usize,
    failure: Option<WorkflowError>,
}

impl<'a, 'b> Hooks<'a, 'b> {
    pub fn new(
        store: &'a mut Store,
        round: &'a RoundRecord,
        (held_out, labels): (HeldOut, LabelMap),
        ((files, sources), training_sources): ((Vec<PathBuf>, Sources), Sources),
        run_dir: &'a Path,
        observer: &'a mut Observer<'b>,
        cancel: &'a Cancel,
    ) -> Result<Self, WorkflowError> {
        Ok(Self {
            store,
            round,
            held_out,
            labels,
            files,
            sources,
            training_sources,
            run_dir,
            log: RoundLog::open(run_dir)?,
            observer,
            cancel,
            curves: Vec::new(),
            unreadable: Vec::new(),
            step: 0,
            metrics: Vec::new(),
            batch: METRIC_BATCH,
            failure: None,
        })
    }

    /// Writes what is left, also after a cancel.
    pub fn finish(mut self) -> Result<LastTest, WorkflowError> {
        let rows = std::mem::take(&mut self.metrics);
        if !rows.is_empty() {
            self.with_retries(&Cancel::new(), |store, round| store.append_metrics(round, &rows))?;
        }
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(LastTest { curves: self.curves, unreadable: self.unreadable }),
        }
    }

    /// If another program holds the database, the rows are kept for the next time.
    fn flush(&mut self) -> Result<(), StoreError> {
        match self.store.append_metrics(self.round.id, &self.metrics) {
            Ok(()) => {
                self.metrics.clear();
                self.batch = METRIC_BATCH;
            }
            Err(StoreError::Busy(_)) => self.batch = self.metrics.len() + METRIC_BATCH,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Writes to the store, with retries while another program holds it.
    fn with_retries<T>(
        &mut self,
        cancel: &Cancel,
        write: impl Fn(&mut Store, RoundId) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let tell = |text: String| {
            // A failure to log it is no reason to stop.
            let _ = self.log.append(self.step, &text);
            (self.observer)(WorkEvent::Train(TrainEvent::Warning(text)));
        };
        with_retries(cancel, tell, || write(self.store, self.round.id))
    }

    fn note(&mut self, event: &TrainEvent) {
        match event {
            TrainEvent::Step(step) => self.note_step(step),
            TrainEvent::Started(start) => self.step = start.step,
            TrainEvent::Checkpoint { .. } => self.flush_or_stop(),
            TrainEvent::Warning(text) => self.log(text),
            TrainEvent::Finished { outcome: Outcome::Failed(reason) } => self.log(&format!("Failed: {reason}")),
            _ => {}
        }
    }

    /// Adds a line to the round's `log.txt`.
    fn log(&mut self, text: &str) {
        let failed = self.log.append(self.step, text).err();
        self.stop_for(failed);
    }

    fn note_step(&mut self, step: &StepReport) {
        self.step = step.step;
        let losses = Losses::NAMES.into_iter().zip(step.losses.values());
        let rest = [("loss", step.total), ("lr", step.lr), ("grad_norm", step.grad_norm), ("step_s", step.seconds)];
        self.metrics.extend(losses.chain(rest).map(|(name, value)| (step.step, name, value)));
        let memory = step.usage.memory_bytes.map(|bytes| ("memory_bytes", bytes as f64));
        let gpu =
            step.usage.gpu.map(|gpu| [("gpu_percent", f64::from(gpu.percent)), ("gpu_bytes", gpu.memory_bytes as f64)]);
        self.metrics
            .extend(memory.into_iter().chain(gpu.into_iter().flatten()).map(|(name, value)| (step.step, name, value)));
        if self.metrics.len() >= self.batch {
            self.flush_or_stop();
        }
    }

    fn put_curve(&mut self, step: u64, label: &str, curve: &RocCurve) -> Result<(), WorkflowError> {
        let json = serde_json::to_string(curve)
            .map_err(|e| WorkflowError::Refused(format!("a curve cannot be written: {e}")))?;
        self.with_retries(self.cancel, |store, round| store.put_curve(round, step, label, &json))?;
        Ok(())
    }

    /// Stored immediately: the curves screen reads it with the curves.
    fn note_average_precision(&mut self, step: u64, precision: AveragePrecision) -> Result<(), WorkflowError> {
        let named = AveragePrecision::NAMES.into_iter().zip(precision.values());
        let rows: Vec<(u64, &str, f64)> = named.filter_map(|(name, value)| Some((step, name, value?))).collect();
        self.with_retries(self.cancel, |store, round| store.append_metrics(round, &rows))?;
        Ok(())
    }

    fn flush_or_stop(&mut self) {
        let failed = self.flush().err().map(WorkflowError::from);
        self.stop_for(failed);
    }

    fn stop_for(&mut self, failed: Option<WorkflowError>) {
        if let Some(error) = failed {
            self.failure.get_or_insert(error);
            self.cancel.cancel();
        }
    }

    /// Reports unreadable held-out images once.
    fn report_unreadable(&mut self, unreadable: Vec<PathBuf>) {
        if unreadable == self.unreadable {
            return;
        }
        if !unreadable.is_empty() {
            let names: Vec<String> = unreadable.iter().take(NAMED).map(|path| path.display().to_string()).collect();
            let mut text = format!("{} of {} held-out images cannot be read, ", unreadable.len(), self.files.len());
            text += "and their objects count as missed: ";
            text += &names.join(", ");
            if unreadable.len() > NAMED {
                // Writing to a String cannot fail.
                let _ = write!(text, " and {} more", unreadable.len() - NAMED);
            }
            self.event(TrainEvent::Warning(text));
        }
        self.unreadable = unreadable;
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
        let Found { of_files, unreadable } =
            detect_files(detector, &self.files, &self.sources, &what, self.observer, self.cancel)
                .map_err(|e| e.to_string())?;
        if self.cancel.is_cancelled() {
            return Ok(None);
        }
        refuse_mostly_unreadable(&unreadable, self.files.len()).map_err(|e| e.to_string())?;
        self.report_unreadable(unreadable);
        let is_unread: Vec<bool> = of_files.iter().map(Option::is_none).collect();
        let in_project = |found: Vec<Detection>| found.iter().filter_map(|d| self.labels.in_project(d)).collect();
        let found: Vec<Vec<Detection>> = of_files.into_iter().map(Option::unwrap_or_default).map(in_project).collect();
        let shapes = OutputShape::of(detector.config());
        let classes = self.store.classes().map_err(|e| e.to_string())?;
        let evaluated = held_out::Found { step, detections: &found, is_unread: &is_unread, classes: &classes };
        let precision = self.held_out.write(self.run_dir, &evaluated, &shapes).map_err(|e| e.to_string())?;
        self.note_average_precision(step, precision).map_err(|e| e.to_string())?;
        self.curves.clear();
        for shape in shapes {
            let mut curves = self.held_out.curves(&found, shape);
            self.held_out.mark_unreadable(&mut curves, &is_unread);
            let FoldCurves { pooled, folds } = curves;
            // A single fold's curve is the pooled one.
            let folds = if folds.len() < 2 { BTreeMap::new() } else { folds };
            let of_folds = folds.into_iter().map(|(fold, curve)| (fold_label(shape.as_str(), fold), curve));
            for (label, curve) in std::iter::once((shape.as_str().to_owned(), pooled)).chain(of_folds) {
                self.put_curve(step, &label, &curve).map_err(|e| e.to_string())?;
                let (round, label_shown, shown) = (self.round.number, label.clone(), curve.clone());
                (self.observer)(WorkEvent::Curve { round, step, label: label_shown, curve: shown });
                self.curves.push((label, curve));
            }
        }
        Ok(self.curves.first().map(|(_, curve)| curve.discrete_tpr_at(MERIT_FALSE_POSITIVES)))
    }

    fn mine(
        &mut self,
        step: u64,
        detector: &Detector,
        images: &[&TrainingImage],
    ) -> Result<Vec<Option<MinedNegatives>>, String> {
        let files: Vec<PathBuf> = images.iter().map(|image| image.path.clone()).collect();
        let what = format!("Mining after step {step}");
        let Found { of_files, unreadable } =
            detect_files(detector, &files, &self.training_sources, &what, self.observer, self.cancel)
                .map_err(|e| e.to_string())?;
        refuse_mostly_unreadable(&unreadable, files.len()).map_err(|e| e.to_string())?;
        let min_score = detector.config().detection.score_threshold as f32;
        let of_image = |(image, found): (&&TrainingImage, Option<Vec<Detection>>)| {
            found.map(|found| negatives(image, &found, min_score))
        };
        let mined: Vec<Option<MinedNegatives>> = images.iter().zip(of_files).map(of_image).collect();
        let before: usize = images.iter().map(|image| image.hard_negatives.len()).sum();
        let after: usize = mined.iter().flatten().map(|image| image.hard_negatives.len()).sum();
        let text = format!(
            "Mining after step {step}: {} images have {after} hard negatives, {before} before the round",
            images.len()
        );
        self.log(&text);
        (self.observer)(WorkEvent::Log(text));
        Ok(mined)
    }
}
