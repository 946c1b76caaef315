//! A round's checkpoint -> detections on the training images -> candidates in the store. Must not know how they are reviewed.

mod identity;
mod intake;
mod plan;

use std::path::PathBuf;

use serde::Serialize;

pub(in crate::workflow) use self::identity::identity;
pub(in crate::workflow) use self::intake::{Intake, Seen};
pub(in crate::workflow) use self::plan::Plan;
use super::detect::{Checkpoint, OfImage, Task, detect_on, refuse_mostly_unreadable};
use super::device::load_detector;
use super::group::{config as group_config, group};
use super::{Observer, Project, WorkEvent, WorkflowError};
use crate::detector::{Detector, FoundObject, Precision};
use crate::domain::{Cancel, ImageRecord, Sources, shown_paths};
use crate::store::{MinedCounts, Resume, Store};
use crate::training::RunLock;

/// What mining found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MineReport {
    pub round: u32,
    pub images: usize,
    /// Of these, images that an earlier mining which was cut off had done.
    pub resumed: usize,
    pub detections: usize,
    pub candidates: usize,
    pub background: usize,
    pub localisation: usize,
    pub classification: usize,
    pub both: usize,
    /// Further detections of an object: found, and no candidates.
    pub duplicate: usize,
    /// Training images that could not be read: their candidates of an earlier mining stay as they are.
    #[serde(serialize_with = "shown_paths")]
    pub unreadable: Vec<PathBuf>,
}

/// How a round is mined.
#[derive(Debug, Clone, Default)]
pub struct MineRequest {
    /// The newest trained one when `None`.
    pub round: Option<u32>,
    /// What the network computes in; as the checkpoint says when `None`.
    pub precision: Option<Precision>,
    /// As the round says when `None`.
    pub device: Option<String>,
}

/// [`mine_with`] as the round itself says.
pub fn mine(
    project: &Project,
    round: Option<u32>,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<MineReport, WorkflowError> {
    mine_with(project, &MineRequest { round, ..MineRequest::default() }, observer, cancel)
}

/// Mines a round: detects on every image that it trained on and keeps the false positives, batch by batch. A mining that was cut off
/// goes on where it was; one that came to its end begins anew, and replaces candidates that nobody has judged on the images that can be
/// read. No round may train meanwhile: it might be this one.
pub fn mine_with(
    project: &Project,
    request: &MineRequest,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<MineReport, WorkflowError> {
    let lock = RunLock::take(&project.runs_dir())?;
    let mut store = project.open_store()?;
    let plan = Plan::new(project, &store, request.round, request.precision, observer)?;
    let detector = detector_of(&plan, request.device.as_deref(), observer)?;
    let (all, sources) = files_of(&store, &plan.images)?;
    let mut intake = Intake::begin(&plan, &mut store, Resume::Unfinished, observer, cancel)?;
    let left: Vec<usize> = (0..all.len()).filter(|&k| !intake.is_done(&plan.images[k])).collect();
    let resumed = all.len() - left.len();
    if resumed > 0 {
        observer(WorkEvent::Log(format!(
            "The mining of round {} goes on: {resumed} of {} images are done",
            plan.round.number,
            all.len()
        )));
    }
    let files: Vec<PathBuf> = left.iter().map(|&k| all[k].clone()).collect();
    drop(all);
    let is_there = || Ok(lock.check()?);
    let task = Task {
        files: &files,
        sources: &sources,
        is_there: &is_there,
        what: "Detecting on the training images",
        done_before: resumed,
    };
    let mut unreadable = Vec::new();
    let take = |of_image: OfImage<FoundObject>, observer: &mut Observer| {
        let Some(found) = of_image.found else {
            // Nothing was learnt of it: what is known of it stays.
            unreadable.push(files[of_image.place].clone());
            return refuse_mostly_unreadable(&unreadable, plan.images.len());
        };
        is_there()?;
        intake.take(&plan.images[left[of_image.place]], &seen(&detector, &found), observer)
    };
    let source = Checkpoint { with_features: true, ..Checkpoint::new(&detector) };
    let detected = detect_on(&source, &task, observer, cancel, take);
    if matches!(detected, Err(WorkflowError::Cancelled | WorkflowError::Away(_) | WorkflowError::Refused(_))) {
        // The mining goes on after what it has seen; the error that led here is the one to tell.
        let _ = is_there().and_then(|()| intake.keep(observer));
    }
    observer(WorkEvent::Log(format!("Detected on {}", detected?)));
    is_there()?;
    let counts = intake.finish(observer)?;
    grouped(&mut store, &plan, report(&plan, counts, resumed, unreadable), observer, cancel)
}

/// The checkpoint of a plan, ready to detect as the plan says.
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

/// Where images lie, and the datasets that they are of.
pub(in crate::workflow) fn files_of(
    store: &Store,
    images: &[ImageRecord],
) -> Result<(Vec<PathBuf>, Sources), WorkflowError> {
    let files = images.iter().map(|image| store.image_file(image.id)).collect::<Result<Vec<_>, _>>()?;
    let roots = store.datasets()?.into_iter().map(|dataset| dataset.root);
    let sources = Sources::new(roots, files.iter().map(PathBuf::as_path));
    Ok((files, sources))
}

/// Objects whose labels the detector has a name for.
pub(in crate::workflow) fn seen(detector: &Detector, found: &[FoundObject]) -> Vec<Seen> {
    let known = found.iter().filter(|found| detector.knows(found.object.label));
    known.map(|found| (found.object.detection, found.feature)).collect()
}

pub(in crate::workflow) fn report(
    plan: &Plan,
    counts: MinedCounts,
    resumed: usize,
    unreadable: Vec<PathBuf>,
) -> MineReport {
    let MinedCounts { detections, background, localisation, classification, both, duplicate, .. } = counts;
    MineReport {
        round: plan.round.number,
        images: plan.images.len(),
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

/// Groups the new candidates, and tells what the mining came to.
pub(in crate::workflow) fn grouped(
    store: &mut Store,
    plan: &Plan,
    report: MineReport,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<MineReport, WorkflowError> {
    let alike = group_config(store)?;
    let groups = group(store, &alike, observer, cancel)?;
    observer(WorkEvent::Log(format!(
        "Round {}: {} candidates on {} images; {groups}",
        plan.round.number, report.candidates, report.images
    )));
    Ok(report)
}
