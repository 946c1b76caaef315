//! Mines a shard of a round's training images and writes a file. Only reads the project: it may be on a read-only disk shared by many
//! machines.

use std::path::{Path, PathBuf};

use super::{Shard, ShardReport};
use crate::detector::FoundObject;
use crate::domain::{Cancel, ImageRecord, Output};
use crate::workflow::detect::{
    Checkpoint, Grown, Header, ImageLine, OfImage, ShardFile, Task, ToGrow, Work, check_growing, clear_growing,
    detection_text, feature_text, fingerprint, grow, header_of, refused,
};
use crate::workflow::image_files::files_of;
use crate::workflow::mine::{MineRequest, Plan, detector_of, seen};
use crate::workflow::outputs::OutputPolicy;
use crate::workflow::{Observer, Project, WorkEvent, WorkflowError};

/// Detects on the shard's images of a round and writes a file in the folder `out`. A complete file of the same work is kept.
pub fn mine_shard(
    project: &Project,
    request: &MineRequest,
    shard: Shard,
    out: &Output,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<ShardReport, WorkflowError> {
    let store = project.open_store_to_read()?;
    let plan = Plan::new(project, &store, request.round, request.precision, observer)?;
    let header = header(&plan, shard);
    let name = shard.file_name(&format!("round-{}", plan.target.round.number));
    let policy = OutputPolicy::new().datasets(&store)?;
    let out = match ready(&policy, out, &name, &header)? {
        Ready::Done(report) => return Ok(report),
        Ready::ToWrite(out) => out,
    };
    let places: Vec<usize> = (0..plan.target.images.len()).filter(|place| shard.holds(*place)).collect();
    let images: Vec<ImageRecord> = places.iter().map(|&place| plan.target.images[place].clone()).collect();
    let (files, sources) = files_of(&store, images.iter().map(|image| image.id))?;
    drop(store);
    let detector = detector_of(&plan, request.device.as_deref(), observer)?;
    let what = format!("Detecting on shard {shard} of the training images");
    let task = Task { files: &files, sources: &sources, is_there: &|| Ok(()), what: &what, done_before: 0 };
    let source = Checkpoint { with_features: true, ..Checkpoint::new(&detector) };
    let line = |of_image: OfImage<FoundObject>| {
        let found = of_image.found.as_ref().map(|found| seen(&detector, found));
        ImageLine {
            place: places[of_image.place] as u64,
            name: None,
            image: images[of_image.place].content_hash.clone(),
            features: found.iter().flatten().map(|(_, feature)| feature_text(*feature)).collect(),
            detections: found.map(|found| found.iter().map(|(detection, _)| detection_text(detection)).collect()),
        }
    };
    let holds = |place: usize, line: &ImageLine| {
        Ok(line.place == places[place] as u64 && line.image == images[place].content_hash)
    };
    let to = ToGrow { header: &header, out: &out, holds: &holds, needs_most: true };
    placed(grow(&source, &task, &to, line, observer, cancel)?, &header, &out, observer)
}

/// Returns the header of a shard of the plan.
pub(super) fn header(plan: &Plan, shard: Shard) -> Header {
    let images = fingerprint(plan.target.images.iter().map(|image| image.content_hash.as_str()));
    Header {
        round: Some(plan.target.round.number),
        classes: plan.detector.class_names(),
        ellipses: plan.detector.ellipse_head,
        precision: plan.detector.precision,
        ..Header::new(Work::Mine, shard, plan.target.identity.clone(), images, plan.target.images.len())
    }
}

/// Whether a shard's file has to be written.
pub(super) enum Ready {
    Done(ShardReport),
    ToWrite(Output),
}

/// Checks the path of a shard's file in the folder `out`, which is created if missing. An existing file of the same work is kept if
/// complete, and rewritten otherwise; any other file is replaced only with permission.
pub(super) fn ready(policy: &OutputPolicy, out: &Output, name: &str, header: &Header) -> Result<Ready, WorkflowError> {
    let file = out.path.join(name);
    let is_ours = file.is_file() && header_of(&file).is_ok_and(|found| found == *header);
    if is_ours && let Ok(done) = ShardFile::open(&file) {
        clear_growing(&file);
        let unreadable = done.unreadable.iter().map(PathBuf::from).collect();
        return Ok(Ready::Done(report(header, done.images, done.detections, unreadable, file, true)));
    }
    let out = Output::new(&out.path, out.replace || is_ours);
    policy.check_folder(&out, [name])?;
    let failed = WorkflowError::io(&out.path, "Check that the folder is writable.");
    std::fs::create_dir_all(&out.path).map_err(failed)?;
    let out = Output::new(file, out.replace);
    check_growing(policy, &out)?;
    Ok(Ready::ToWrite(out))
}

pub(super) fn report(
    header: &Header,
    images: usize,
    detections: usize,
    unreadable: Vec<PathBuf>,
    out: PathBuf,
    was_done: bool,
) -> ShardReport {
    ShardReport { shard: header.shard, of: header.of, images, detections, unreadable, out, was_done }
}

/// Moves the file to its final path.
pub(super) fn placed(
    grown: Grown,
    header: &Header,
    out: &Output,
    observer: &mut Observer,
) -> Result<ShardReport, WorkflowError> {
    let Grown { images, detections, unreadable, pace, .. } = grown.place(out)?;
    observer(WorkEvent::Log(format!("Detected on {pace}")));
    Ok(report(header, images, detections, unreadable, out.path.clone(), false))
}

/// Refuses a file whose header belongs to another run.
pub(super) fn refuse_other(path: &Path, found: &Header, expected: &Header, whose: &str) -> Result<(), WorkflowError> {
    if found.of_run() == expected.of_run() {
        return Ok(());
    }
    let differs = [
        (found.work != expected.work, "it belongs to another kind of work"),
        (found.round != expected.round, "it belongs to another round"),
        (found.model != expected.model, "it belongs to another third-party model, or to other settings of it"),
        (found.of != expected.of, "it belongs to another number of shards"),
        (
            found.identity != expected.identity,
            "it was made with another checkpoint, other settings or another precision",
        ),
        (found.images != expected.images || found.count != expected.count, "its images differ"),
    ];
    let what = differs.into_iter().find(|(differs, _)| *differs).map_or("its classes differ", |(_, what)| what);
    Err(refused(path, format!("the shard does not belong to {whose}: {what}")))
}
