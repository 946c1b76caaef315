//! A training round, from the store's data to a checkpoint and its curves.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::classes::LabelMap;
use super::copies::Truth;
use super::device::check_device;
use super::held_out::HeldOut;
use super::previous_weights::{previous_weights, tested_on_training_images};
use super::retry::with_retries;
use super::round_data;
use super::round_hooks::{Hooks, LastTest};
use super::round_mining::by_class;
use super::round_negatives::negatives_of_round;
use super::split::Split;
use super::{Observer, Project, WorkEvent, WorkflowError, backbone};
use crate::dataset::decode_rgb;
use crate::detector::SamplerCounts;
use crate::domain::{
    Annotation, AnnotationSource, CANDIDATE_MAX_IOU, Cancel, ClassId, DatasetId, ImageId, ImageRecord, RoundInit,
    RoundRecord, RoundState, Shape, Sources, counted, counted_as, printable_path, shown_path_if_any, shown_paths,
};
use crate::evaluation::RocCurve;
use crate::geometry::BoundingBox;
use crate::mining::SAME_HARD_NEGATIVE_IOU;
use crate::store::Store;
use crate::training::{
    Difference, Outcome, RoundConfig, RoundHooks as _, RoundTask, RunLock, Start, TrainEvent, TrainingImage,
    last_model, least_memory_bytes, logged_steps, machine_memory_bytes, train_round,
};

/// The result of a round's training.
#[derive(Debug, Clone, Serialize)]
pub struct TrainReport {
    pub round: u32,
    pub steps: u64,
    pub seconds: f64,
    /// Median of the recent steps.
    pub step_seconds: f64,
    /// Ratio of the step time to the time without waiting for the loader; at best 1.
    pub loader_ratio: f64,
    pub training_images: usize,
    pub test_images: usize,
    pub hard_negatives: usize,
    /// Whether it was stopped before the last step; `quarry train --resume` continues it.
    pub stopped: bool,
    /// `None` if it was stopped before its first step.
    #[serde(serialize_with = "shown_path_if_any")]
    pub checkpoint: Option<PathBuf>,
    /// What the samplers drew over the whole round.
    pub sampler: SamplerCounts,
    /// The last evaluation of the held-out images, by output shape.
    pub curves: Vec<(String, RocCurve)>,
    /// Training images that could not be read and were skipped.
    #[serde(serialize_with = "shown_paths")]
    pub unreadable: Vec<PathBuf>,
    /// Held-out images that could not be read: their objects count as missed.
    #[serde(serialize_with = "shown_paths")]
    pub unreadable_test: Vec<PathBuf>,
}

/// Trains the next round of the project.
pub fn train(
    project: &Project,
    config: &RoundConfig,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<TrainReport, WorkflowError> {
    // Before reading anything: another training may be about to change it.
    let lock = RunLock::take(&project.runs_dir())?;
    let mut store = project.open_store()?;
    config.check()?;
    check_memory(config)?;
    check_device(&config.device)?;
    let number = store.rounds()?.last().map_or(1, |r| r.number + 1);
    let mut config = config.clone();
    config.detector.set_classes(&classes_of_round(&store, &config.detector.classes)?);
    let plan = plan(project, &store, &config, number, Start::Fresh, lock, observer)?;
    let has_ellipses = plan.training.iter().flat_map(|image| &image.faces).any(|shape| shape.ellipse().is_some());
    if config.detector.ellipse_head && !has_ellipses && config.init == RoundInit::Backbone {
        config.detector.ellipse_head = false;
        observer(WorkEvent::Log("No training object is an ellipse: only boxes are trained".to_owned()));
    }
    let config = &config;
    // Nothing is written before all checks have passed.
    let round = store.start_round(&config.to_toml())?;
    run_and_record(project, &mut store, &round, config, plan, observer, cancel)
}

/// Resumes the newest unfinished round with the images, objects and hard negatives that it started with. `asked` contains its settings with
/// the requested changes; settings that a started round cannot change are refused by name.
pub fn resume(
    project: &Project,
    requested: Option<&RoundConfig>,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<TrainReport, WorkflowError> {
    let lock = RunLock::take(&project.runs_dir())?;
    let mut store = project.open_store()?;
    let (round, own) = unfinished(&store)?;
    let requested = requested.map(|requested| with_facts_of(requested, &own));
    let config = requested.as_ref().unwrap_or(&own);
    check_resumable_with(&round, &own, config)?;
    config.check()?;
    check_memory(config)?;
    check_device(&config.device)?;
    check_run_folder(&store, &round, config, &project.run_dir(round.number), observer)?;
    let mut plan = plan(project, &store, config, round.number, Start::Resume, lock, observer)?;
    plan.changes = own.learning_differences(config);
    if own != *config {
        store.set_round_config(round.id, &config.to_toml())?;
    }
    run_and_record(project, &mut store, &round, config, plan, observer, cancel)
}

/// Extends the newest finished round by `steps`, with the images, objects and hard negatives that it started with. `asked` contains its
/// settings with the requested changes, as for [`resume`]. After a stop, [`resume`] continues it.
pub fn extend(
    project: &Project,
    steps: u64,
    requested: Option<&RoundConfig>,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<TrainReport, WorkflowError> {
    let lock = RunLock::take(&project.runs_dir())?;
    let mut store = project.open_store()?;
    let (round, own) = finished(&store)?;
    let mut requested = requested.map_or_else(|| own.clone(), |requested| with_facts_of(requested, &own));
    check_resumable_with(&round, &own, &requested)?;
    requested.lengthen(steps);
    let config = requested;
    config.check()?;
    check_memory(&config)?;
    check_device(&config.device)?;
    let run_dir = project.run_dir(round.number);
    if last_model(&run_dir).is_none() {
        return Err(WorkflowError::Refused(format!(
            "round {} has no checkpoint in {}. Start a new round with `quarry train`.",
            round.number,
            printable_path(&run_dir)
        )));
    }
    check_run_folder(&store, &round, &config, &run_dir, observer)?;
    let mut plan = plan(project, &store, &config, round.number, Start::Resume, lock, observer)?;
    plan.changes = own.learning_differences(&config);
    plan.log_lines = vec![rates_in_words(&own, &config)];
    if round.state == RoundState::Mined {
        plan.log_lines.push(format!(
            "Round {} was mined with its former weights: mine it again after training (`quarry mine --round {}`). Verdicts are kept",
            round.number, round.number
        ));
    }
    // The state is changed first: a round marked as trained has completed all steps of its settings.
    store.set_round_state(round.id, RoundState::Running)?;
    store.set_round_config(round.id, &config.to_toml())?;
    run_and_record(project, &mut store, &round, &config, plan, observer, cancel)
}

/// Returns the settings of the round that [`extend`] extends.
pub fn finished_settings(project: &Project) -> Result<RoundConfig, WorkflowError> {
    Ok(finished(&project.open_store_to_read()?)?.1)
}

/// Later rounds depend on earlier ones, so only the newest can be changed.
fn finished(store: &Store) -> Result<(RoundRecord, RoundConfig), WorkflowError> {
    let rounds = store.rounds()?;
    let Some(round) = rounds.iter().rfind(|r| r.is_own()) else {
        return Err(WorkflowError::Refused(
            "no round to extend: none is trained yet. Start one with `quarry train` without `--extend`.".to_owned(),
        ));
    };
    if !matches!(round.state, RoundState::Trained | RoundState::Mined) {
        return Err(WorkflowError::Refused(format!(
            "round {} is {}: only a finished round can be extended. Finish it with `quarry train --resume` first.",
            round.number,
            round.state.as_str()
        )));
    }
    let config = RoundConfig::from_stored(&round.config_toml, &format!("round {}", round.number))?;
    Ok((round.clone(), config))
}

/// Describes the schedule of an extended round, with its rates.
fn rates_in_words(before: &RoundConfig, after: &RoundConfig) -> String {
    let (old, new) = (before.lr_schedule(), after.lr_schedule());
    let done = before.iterations;
    format!(
        "The round continues from step {done} to step {}, with the learning rate of a round of this length and without a second warm-up: {:.3e} in step {} (step {done} had {:.3e}), {:.3e} in the last",
        after.iterations,
        new.lr(done),
        done + 1,
        old.lr(done.saturating_sub(1)),
        new.lr(after.iterations.saturating_sub(1)),
    )
}

/// Refuses by name changes that a started round cannot make.
fn check_resumable_with(round: &RoundRecord, own: &RoundConfig, requested: &RoundConfig) -> Result<(), WorkflowError> {
    let binding = own.binding_differences(requested);
    if !binding.is_empty() {
        return Err(WorkflowError::Refused(format!(
            "round {} cannot be resumed with these settings changed: {}. Only rates (base_lr, lr_factor, milestones, warmup, warmup_factor, clip_norm, max_loss) and the device can change; for the rest start a new round.",
            round.number,
            in_words(&binding)
        )));
    }
    Ok(())
}

/// Returns `asked` with what the round found in the project when it started: its classes, and whether there are ellipses.
fn with_facts_of(requested: &RoundConfig, own: &RoundConfig) -> RoundConfig {
    let mut config = requested.clone();
    if config.detector.classes.is_empty() {
        config.detector.classes.clone_from(&own.detector.classes);
        config.detector.num_classes = own.detector.num_classes;
    }
    config.detector.ellipse_head &= own.detector.ellipse_head;
    config
}

/// Returns the classes of a round, label 1 first: those that its settings name, otherwise all of the project, in its order.
fn classes_of_round(store: &Store, named: &[String]) -> Result<Vec<String>, WorkflowError> {
    let classes = store.classes()?;
    let known: Vec<String> = classes.iter().map(|class| class.name.clone()).collect();
    if named.is_empty() {
        // Without classes the project has no images or no objects, which is reported where those are needed.
        return Ok(known);
    }
    let mut chosen = Vec::new();
    for name in named {
        // A class may have been renamed since the settings were written.
        let id = store.class_by_name(name)?;
        let Some(class) = classes.iter().find(|class| Some(class.id) == id) else {
            return Err(WorkflowError::Refused(format!(
                "there is no class `{name}` in this project; it has {}. Choose among them with `detector.classes`.",
                known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            )));
        };
        if !chosen.contains(&class.name) {
            chosen.push(class.name.clone());
        }
    }
    Ok(chosen)
}

/// Returns the settings of the round that [`resume`] continues.
pub fn unfinished_settings(project: &Project) -> Result<RoundConfig, WorkflowError> {
    Ok(unfinished(&project.open_store_to_read()?)?.1)
}

fn unfinished(store: &Store) -> Result<(RoundRecord, RoundConfig), WorkflowError> {
    let open = |r: &RoundRecord| matches!(r.state, RoundState::Running | RoundState::Stopped | RoundState::Failed);
    let rounds = store.rounds()?;
    let Some(round) = rounds.iter().rfind(|r| r.is_own() && open(r)) else {
        let there = if rounds.is_empty() { "this project has no round yet" } else { "every round here is trained" };
        return Err(WorkflowError::Refused(format!(
            "nothing to resume: {there}. Start the next round with `quarry train` without `--resume`."
        )));
    };
    let config = RoundConfig::from_stored(&round.config_toml, &format!("round {}", round.number))?;
    Ok((round.clone(), config))
}

fn in_words(differences: &[Difference]) -> String {
    differences.iter().map(Difference::to_string).collect::<Vec<_>>().join(", ")
}

/// Trains until the round ends or is stopped, and stores the result.
fn run_and_record(
    project: &Project,
    store: &mut Store,
    round: &RoundRecord,
    config: &RoundConfig,
    plan: Plan,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<TrainReport, WorkflowError> {
    store.set_round_state(round.id, RoundState::Running)?;
    observer(WorkEvent::Round { round: round.number });
    let result = run(project, store, round, config, plan, observer, cancel);
    let state = match &result {
        Ok(report) if report.stopped => RoundState::Stopped,
        Ok(_) => RoundState::Trained,
        Err(WorkflowError::Training(error)) if error.is_interruption() => RoundState::Stopped,
        Err(WorkflowError::Moved(_)) => RoundState::Stopped,
        Err(_) => RoundState::Failed,
    };
    let tell = |text| observer(WorkEvent::Log(text));
    // A cancelled round's state is stored too.
    match (result, with_retries(&Cancel::new(), tell, || store.set_round_state(round.id, state))) {
        (Err(error), Err(unstored)) => {
            // The round's own error is more informative; this one most likely follows from it.
            observer(WorkEvent::Log(format!("Could not store that round {} failed: {unstored}", round.number)));
            Err(error)
        }
        (result, stored) => result.and_then(|report| Ok(stored.map(|()| report)?)),
    }
}

/// What a round needs from the project, collected before it starts.
struct Plan {
    training: Vec<TrainingImage>,
    /// Indices of training images excluded from this run.
    left_out: BTreeSet<usize>,
    training_sources: Sources,
    /// Whether the training images still have to be written to disk.
    is_new: bool,
    /// Settings that changed when the round was resumed.
    changes: Vec<Difference>,
    /// Additional lines for its log.
    log_lines: Vec<String>,
    held_out: HeldOut,
    held_out_files: (Vec<PathBuf>, Sources),
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
    // Corrections replace the dataset's own objects.
    let truth = if config.learns_corrections() { store.all_ground_truth()? } else { store.own_ground_truth()? };
    let mut split = Split::new(&images, &store.datasets()?, &truth, config)?;
    let mut test = std::mem::take(&mut split.test);
    let run_dir = project.run_dir(number);
    let begun = last_model(&run_dir).is_some();
    let kept = match start {
        Start::Resume => match round_data::read(&run_dir, |image| store.image_file(image)) {
            Err(WorkflowError::BadFile { path, reason }) => {
                // The checkpoint knows whether the project's current data is what it was trained on.
                observer(WorkEvent::Log(format!(
                    "{}: {reason}. Images and objects are taken from the project",
                    path.display()
                )));
                None
            }
            read => read?,
        },
        Start::Fresh => None,
    };
    let mut left_out = BTreeSet::new();
    if let Some(kept) = &kept {
        left_out = images_since_removed(kept, &images);
        let own = test.len();
        let trained_on: HashSet<ImageId> = kept.iter().map(|image| image.id).collect();
        test.retain(|image| !trained_on.contains(&image.id));
        let own = own - test.len();
        let trained = drop_trained(&mut test, store, kept)?;
        let log_lines = [
            (left_out.len(), "left out: an import found that the dataset no longer has this image"),
            (own, "not tested on: the round trains on what is held out now"),
            (trained, "not tested on: the round trains on the same bytes of another dataset"),
        ];
        for (count, what) in log_lines.into_iter().filter(|(count, _)| *count > 0) {
            observer(WorkEvent::Log(format!("{} {what}", counted_as(count, "image is", "images are"))));
        }
    }
    let tested_with = split.copies.tested_with(&test, &store.own_ground_truth()?);
    let held_out = HeldOut::new(test, &tested_with);
    let held_out_files = held_out.images.iter().map(|i| store.image_file(i.id)).collect::<Result<Vec<_>, _>>()?;
    let held_out_sources = sources(store, held_out_files.iter().map(PathBuf::as_path))?;
    // A round started without such a file continues with the current data.
    let is_new = kept.is_none() && !begun;
    let training = if let Some(training) = kept {
        training
    } else {
        split.notes().into_iter().for_each(|text| observer(WorkEvent::Log(text)));
        training_images(store, &split, &truth, config, number, observer)?
    };
    // No round starts or continues while a dataset is missing.
    held_out_sources.check()?;
    let read = training.iter().enumerate().filter(|(k, _)| !left_out.contains(k));
    let training_sources = sources(store, read.map(|(_, image)| image.path.as_path()))?;
    training_sources.check()?;
    let previous = if begun { None } else { previous_weights(project, number, config, observer)? };
    let backbone = if config.init == RoundInit::Backbone && !begun { backbone::find(config, observer)? } else { None };
    let (changes, mut log_lines) = (Vec::new(), Vec::new());
    if let Some(weights) = &previous {
        log_lines.extend(tested_on_training_images(project, store, weights, &held_out.images)?);
    }
    let previous = previous.map(|weights| weights.file);
    let held_out_files = (held_out_files, held_out_sources);
    Ok(Plan {
        training,
        left_out,
        training_sources,
        is_new,
        changes,
        log_lines,
        held_out,
        held_out_files,
        backbone,
        previous,
        start,
        lock,
    })
}

/// Refuses to begin a round again whose checkpoints or folder are away, and reports what is missing otherwise.
fn check_run_folder(
    store: &Store,
    round: &RoundRecord,
    config: &RoundConfig,
    run_dir: &Path,
    observer: &mut Observer,
) -> Result<(), WorkflowError> {
    let (number, shown) = (round.number, printable_path(run_dir));
    if !run_dir.exists() {
        if round.state == RoundState::Stopped || !store.curves(round.id)?.is_empty() {
            return Err(WorkflowError::Refused(format!(
                "{shown}, the folder of round {number}, is missing: its checkpoints are in it. Put it back, or start a new round with \
                 `quarry train`."
            )));
        }
        observer(WorkEvent::Log(format!("{shown} is missing: round {number} begins at its first step")));
        return Ok(());
    }
    if last_model(run_dir).is_some() {
        if !round_data::exists(run_dir) {
            observer(WorkEvent::Log(format!(
                "{shown}: the list of what the round trains on (data.json) is missing. Images and objects are taken from the project"
            )));
        }
        return Ok(());
    }
    // A step is logged before its checkpoint is written.
    let logged = logged_steps(run_dir).unwrap_or_default().last().map_or(0, |step| step.step);
    if config.checkpoint_every > 0 && logged > config.checkpoint_every {
        return Err(WorkflowError::Refused(format!(
            "round {number} was at step {logged}, and the checkpoints in {shown}{}checkpoints are missing. Put them back, or start a new \
             round with `quarry train`.",
            std::path::MAIN_SEPARATOR
        )));
    }
    Ok(())
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
    let Plan {
        training,
        left_out,
        training_sources,
        is_new,
        changes,
        log_lines,
        held_out,
        held_out_files,
        backbone,
        previous,
        start,
        lock,
    } = plan;
    let hard_negatives: usize = training.iter().map(|i| i.hard_negatives.len() + i.misclassified.len()).sum();
    let (training_images, test_images) = (training.len(), held_out.images.len());
    observer(WorkEvent::Log(format!(
        "Round {}: {}, {} with {}, {}",
        round.number,
        counted(training_images, "training image"),
        counted(test_images, "test image"),
        counted(held_out.face_count(), "object"),
        counted(hard_negatives, "hard negative"),
    )));
    let run_dir = project.run_dir(round.number);
    if is_new {
        round_data::write(&run_dir, &training)?;
    }
    let labels = LabelMap::new(store, &config.detector.class_names())?;
    let files = (held_out_files, training_sources.clone());
    let mut hooks = Hooks::new(store, round, (held_out, labels), files, &run_dir, observer, cancel)?;
    if !changes.is_empty() {
        hooks.event(TrainEvent::Warning(format!("The round continues with changed settings: {}", in_words(&changes))));
    }
    for text in log_lines {
        hooks.event(TrainEvent::Warning(text));
    }
    let task = RoundTask {
        lock,
        images: training,
        left_out,
        sources: training_sources,
        decode,
        backbone: backbone.as_deref(),
        previous: previous.as_deref(),
        run_dir: &run_dir,
        start,
    };
    let summary = train_round(config, task, &mut hooks, cancel)?;
    let LastTest { curves, unreadable: unreadable_test } = hooks.finish()?;
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
        unreadable: summary.unreadable,
        unreadable_test,
    })
}

fn decode(path: &Path) -> Result<image::RgbImage, String> {
    decode_rgb(path).map_err(|e| e.to_string())
}

/// Returns the indices in `kept` of images that are no longer in their dataset.
fn images_since_removed(kept: &[TrainingImage], images: &[ImageRecord]) -> BTreeSet<usize> {
    let there: HashSet<ImageId> = images.iter().map(|image| image.id).collect();
    kept.iter().enumerate().filter(|(_, image)| !there.contains(&image.id)).map(|(k, _)| k).collect()
}

/// Removes test images whose content the round trains on from another dataset added since; returns their number.
fn drop_trained(test: &mut Vec<ImageRecord>, store: &Store, kept: &[TrainingImage]) -> Result<usize, WorkflowError> {
    let mut trained: HashMap<String, HashSet<DatasetId>> = HashMap::new();
    for image in kept {
        let record = store.image(image.id)?;
        trained.entry(record.content_hash).or_default().insert(record.dataset);
    }
    let before = test.len();
    test.retain(|image| {
        trained.get(&image.content_hash).is_none_or(|datasets| datasets.iter().all(|d| *d == image.dataset))
    });
    Ok(before - test.len())
}

/// Returns the project's datasets with those of `files` in each.
fn sources<'a>(store: &Store, files: impl Iterator<Item = &'a Path>) -> Result<Sources, WorkflowError> {
    Ok(Sources::new(store.datasets()?.into_iter().map(|dataset| dataset.root), files))
}

/// Returns the training images with the review results of earlier rounds on them and on their copies in other datasets, as far as the round
/// uses them.
fn training_images(
    store: &Store,
    split: &Split,
    truth: &Truth,
    config: &RoundConfig,
    round: u32,
    observer: &mut Observer,
) -> Result<Vec<TrainingImage>, WorkflowError> {
    let corrected = config.learns_corrections();
    let mut hard = negatives_of_round(store, config, round, observer)?;
    let mut rejected = if corrected { store.rejected_regions()? } else { HashMap::new() };
    let learnt = |a: &Annotation| corrected || a.source == AnnotationSource::Imported;
    let labels: HashMap<ClassId, i64> = match config.detector.classes.as_slice() {
        // A round from before class names trains on all as one class.
        [] => store.classes()?.into_iter().map(|class| (class.id, 1)).collect(),
        names => {
            let label = |(k, name): (usize, &String)| Ok((store.class_by_name(name)?, k as i64 + 1));
            let all = names.iter().enumerate().map(label).collect::<Result<Vec<_>, WorkflowError>>()?;
            all.into_iter().filter_map(|(class, label)| Some((class?, label))).collect()
        }
    };
    let mut repeated = 0;
    let mut out = Vec::new();
    for image in &split.training {
        let annotations: Vec<Annotation> = split.copies.annotations(image, truth).into_iter().filter(learnt).collect();
        let boxes: Vec<BoundingBox> = annotations.iter().map(|a| a.shape.bounding_box()).collect();
        let is_background = |b: &BoundingBox| b.max_iou(&boxes).is_none_or(|(_, iou)| iou < CANDIDATE_MAX_IOU);
        let mut mined = hard.remove(&image.id).unwrap_or_default();
        let mut ignored = rejected.remove(&image.id).unwrap_or_default();
        for copy in split.copies.of(image) {
            mined.extend(hard.remove(&copy).unwrap_or_default().into_iter().filter(|h| is_background(&h.bbox)));
            ignored.extend(rejected.remove(&copy).unwrap_or_default().into_iter().filter(|b| is_background(b)));
        }
        ignored.extend(annotations.iter().filter(|a| a.ignored).map(|a| a.shape.bounding_box()));
        let count = mined.len();
        let (hard, misclassified) = by_class(mined.into_iter().map(|h| (h.kind, h.class, h.bbox, h.score)));
        let (hard_negatives, hard_negative_labels): (Vec<_>, Vec<_>) = hard
            .into_iter()
            .map(|(class, bbox, score)| ((bbox, score), labels.get(&class).copied().unwrap_or(1)))
            .unzip();
        repeated += count - hard_negatives.len() - misclassified.len();
        let objects: Vec<(Shape, i64)> =
            annotations.iter().filter(|a| !a.ignored).filter_map(|a| Some((a.shape, *labels.get(&a.class)?))).collect();
        out.push(TrainingImage {
            id: image.id,
            path: store.image_file(image.id)?,
            size: (image.width, image.height),
            faces: objects.iter().map(|(shape, _)| *shape).collect(),
            labels: objects.iter().map(|(_, label)| *label).collect(),
            hard_negatives,
            hard_negative_labels,
            misclassified,
            ignored,
        });
    }
    if out.iter().all(|i| i.faces.is_empty()) {
        return Err(WorkflowError::Refused(
            "the training images have no objects. Import annotated images, or hold out fewer folds.".to_owned(),
        ));
    }
    if repeated > 0 {
        observer(WorkEvent::Log(format!(
            "{} left out (IoU of at least {SAME_HARD_NEGATIVE_IOU} with one of a higher score)",
            counted_as(repeated, "duplicate hard negative is", "duplicate hard negatives are")
        )));
    }
    Ok(out)
}

/// Refuses settings that cannot fit into memory, before anything of the round is written.
fn check_memory(config: &RoundConfig) -> Result<(), WorkflowError> {
    let (least, has) = (least_memory_bytes(config), machine_memory_bytes().unwrap_or(u64::MAX));
    if least <= has {
        return Ok(());
    }
    let gigabytes = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    Err(WorkflowError::Refused(format!(
        "a round with these settings needs at least {:.1} GiB of memory, and this computer has {:.1} GiB. Lower `batch_images` (and raise \
         `accumulate` by as much), `prefetch`, `detector.shorter_side` or `detector.roi.hidden`.",
        gigabytes(least),
        gigabytes(has)
    )))
}
