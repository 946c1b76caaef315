//! Mines a round: runs its checkpoint on the training images and stores the candidates.

mod intake;
mod plan;
mod target;

use std::path::PathBuf;

use serde::Serialize;

pub(in crate::workflow) use self::intake::Intake;
pub(in crate::workflow) use self::plan::Plan;
pub(in crate::workflow) use self::target::Target;
pub(in crate::workflow) use super::detect::Seen;
use super::detect::{Checkpoint, OfImage, Task, detect_on, refuse_mostly_unreadable};
use super::detection_source::DetectionSource;
use super::device::load_detector;
use super::group::{config as group_config, group};
use super::image_files::files_of;
use super::{Observer, Project, WorkEvent, WorkflowError};
use crate::detector::{Detector, FoundObject, Precision};
use crate::domain::{Cancel, ImageRecord, counted, shown_paths};
use crate::store::{MinedCounts, Resume, Store};
use crate::training::RunLock;

/// The result of mining.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MineReport {
    pub round: u32,
    pub images: usize,
    /// Of these, images done by an earlier, interrupted run.
    pub resumed: usize,
    pub detections: usize,
    pub candidates: usize,
    pub background: usize,
    pub localisation: usize,
    pub classification: usize,
    pub both: usize,
    /// Number of further detections of an object, which are not candidates.
    pub duplicate: usize,
    /// Training images that could not be read: their candidates from an earlier run are unchanged.
    #[serde(serialize_with = "shown_paths")]
    pub unreadable: Vec<PathBuf>,
}

/// How a round is mined.
#[derive(Debug, Clone, Default)]
pub struct MineRequest {
    /// By default the newest trained one.
    pub round: Option<u32>,
    /// The network's precision; by default the checkpoint's.
    pub precision: Option<Precision>,
    /// By default the round's.
    pub device: Option<String>,
}

/// [`mine_with`] the round's own settings.
pub fn mine(
    project: &Project,
    round: Option<u32>,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<MineReport, WorkflowError> {
    mine_with(project, &MineRequest { round, ..MineRequest::default() }, observer, cancel)
}

/// Mines a round: detects on every image that it trained on and stores the false positives in batches. An interrupted run is resumed; a
/// finished one starts over, and replaces candidates that nobody has judged on readable images. No round may train meanwhile: it might be
/// this one.
pub fn mine_with(
    project: &Project,
    request: &MineRequest,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<MineReport, WorkflowError> {
    let lock = RunLock::take(&project.runs_dir())?;
    // Of a project that was moved, other errors only follow.
    mine_under(&lock, project, request, observer, cancel)
        .map_err(|error| lock.check().err().map_or(error, WorkflowError::from))
}

fn mine_under(
    lock: &RunLock,
    project: &Project,
    request: &MineRequest,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<MineReport, WorkflowError> {
    let mut store = project.open_store()?;
    let plan = Plan::new(project, &store, request.round, request.precision, observer)?;
    let detector = detector_of(&plan, request.device.as_deref(), observer)?;
    let (files, sources) = files_of(&store, plan.target.images.iter().map(|image| image.id))?;
    let names = plan.detector.class_names();
    let mut intake = Intake::begin(&plan.target, &mut store, Some(&names), Resume::Unfinished, observer, cancel)?;
    let is_there = || Ok(lock.check()?);
    let task = Task {
        files: &files,
        sources: &sources,
        is_there: &is_there,
        what: "Detecting on the training images",
        done_before: 0,
    };
    let source = Checkpoint { with_features: true, ..Checkpoint::new(&detector) };
    let seen = |_: &ImageRecord, found: Vec<FoundObject>| seen(&detector, &found);
    let Detected { resumed, unreadable } =
        detect_into(&source, &plan.target, &task, &mut intake, seen, observer, cancel)?;
    let counts = intake.finish(observer)?;
    grouped(&mut store, &plan.target, report(&plan.target, counts, resumed, unreadable), observer, cancel)
}

/// The result of detecting on a round's images.
pub(in crate::workflow) struct Detected {
    /// Number of images done by an earlier, interrupted run.
    pub resumed: usize,
    pub unreadable: Vec<PathBuf>,
}

/// Detects on the target's remaining images and stores what `seen` makes of the result, in batches. The files of `task` are those of all
/// images.
pub(in crate::workflow) fn detect_into<S: DetectionSource>(
    source: &S,
    target: &Target,
    task: &Task<'_>,
    intake: &mut Intake<'_>,
    mut seen: impl FnMut(&ImageRecord, Vec<S::Found>) -> Vec<Seen>,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<Detected, WorkflowError> {
    let all = task.files;
    let left: Vec<usize> = (0..all.len()).filter(|&k| !intake.is_done(&target.images[k])).collect();
    let resumed = all.len() - left.len();
    if resumed > 0 {
        let (number, of) = (target.round.number, all.len());
        observer(WorkEvent::Log(format!("Resuming the mining of round {number}: {resumed} of {of} images are done")));
    }
    let files: Vec<PathBuf> = left.iter().map(|&k| all[k].clone()).collect();
    let rest = Task { files: &files, done_before: resumed, ..*task };
    let mut unreadable = Vec::new();
    let take = |of_image: OfImage<S::Found>, observer: &mut Observer| {
        let Some(found) = of_image.found else {
            // Nothing was learnt about it: its stored data is kept.
            unreadable.push(files[of_image.place].clone());
            return refuse_mostly_unreadable(&unreadable, all.len());
        };
        (task.is_there)()?;
        let image = &target.images[left[of_image.place]];
        intake.take(image, &seen(image, found), observer)
    };
    let detected = detect_on(source, &rest, observer, cancel, take);
    if matches!(detected, Err(WorkflowError::Cancelled | WorkflowError::Away(_) | WorkflowError::Refused(_))) {
        // Mining resumes after the images done so far; report the original error.
        let _ = (task.is_there)().and_then(|()| intake.keep(observer));
    }
    observer(WorkEvent::Log(format!("Detected on {}", detected?)));
    (task.is_there)()?;
    Ok(Detected { resumed, unreadable })
}

/// Loads the plan's checkpoint with its detection settings.
pub(in crate::workflow) fn detector_of(
    plan: &Plan,
    device: Option<&str>,
    observer: &mut Observer,
) -> Result<Detector, WorkflowError> {
    let mut detector = load_detector(&plan.checkpoint, device.unwrap_or(&plan.device), observer)?;
    detector.set_detection(plan.detector.detection);
    detector.set_precision(plan.detector.precision);
    Ok(detector)
}

/// Returns objects whose labels the detector has a name for.
pub(in crate::workflow) fn seen(detector: &Detector, found: &[FoundObject]) -> Vec<Seen> {
    let known = found.iter().filter(|found| detector.knows(found.object.label));
    known.map(|found| (found.object.detection, found.feature)).collect()
}

pub(in crate::workflow) fn report(
    target: &Target,
    counts: MinedCounts,
    resumed: usize,
    unreadable: Vec<PathBuf>,
) -> MineReport {
    let MinedCounts { detections, background, localisation, classification, both, duplicate, .. } = counts;
    MineReport {
        round: target.round.number,
        images: target.images.len(),
        resumed,
        detections,
        candidates: background + localisation + classification + both,
        background,
        localisation,
        classification,
        both,
        duplicate,
        unreadable,
    }
}

/// Groups the new candidates and logs the result of mining.
pub(in crate::workflow) fn grouped(
    store: &mut Store,
    target: &Target,
    report: MineReport,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<MineReport, WorkflowError> {
    let config = group_config(store)?;
    let groups = group(store, &config, observer, cancel)?;
    observer(WorkEvent::Log(format!(
        "Round {}: {} on {}; {groups}",
        target.round.number,
        counted(report.candidates, "candidate"),
        counted(report.images, "image")
    )));
    Ok(report)
}
