//! Merges shard files into a project's round or into one detection file. Merging is idempotent and independent of order. Nothing is merged
//! before every file was read and found complete and of one run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::mine::{header, refuse_other};
use super::together::{FoundOnImage, Together};
use super::{Shard, model, numbers_in_words};
use crate::domain::{Cancel, ImageRecord, Output, Progress, printable, shown_path};
use crate::store::{Resume, Store};
use crate::training::RunLock;
use crate::workflow::detect::{
    DetectionFormat, FoundInList, Header, ModelHeader, ShardFile, TakeFound, Work, WrittenDetections,
    refuse_mostly_unreadable, refused, targets, write_found,
};
use crate::workflow::detections::DetectionsReport;
use crate::workflow::mine::{Intake, MineReport, Plan, Seen, Target, grouped, report};
use crate::workflow::outputs::{OutputPolicy, check_list_names};
use crate::workflow::{Observer, Project, WorkEvent, WorkflowError};

/// What to merge, and into what.
#[derive(Debug, Clone)]
pub struct ShardMergeRequest {
    /// Shard files, or folders of them.
    pub shards: Vec<PathBuf>,
    /// The project for a round's shards.
    pub project: Option<Project>,
    /// The file to write, for shards of an image list.
    pub out: Option<Output>,
    pub format: DetectionFormat,
    pub ellipses: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShardMergeReport {
    /// Number of shards given.
    pub shards: usize,
    pub of: u32,
    /// Shards whose images have not been merged yet.
    pub missing: Vec<u32>,
    #[serde(flatten)]
    pub result: ShardMergeResult,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ShardMergeResult {
    Mined(MineReport),
    /// For a third-party model whose shards are all merged; with some missing it is `Mined`.
    Model(Box<DetectionsReport>),
    Detected(MergedDetections),
}

/// A merged detection file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MergedDetections {
    pub images: usize,
    pub detections: usize,
    #[serde(serialize_with = "shown_path")]
    pub out: PathBuf,
    /// Names of unreadable images, which are not in the file.
    pub unreadable: Vec<String>,
}

/// Merges shard files. If shards of a round are missing, the available ones are merged and the missing ones are named in the report; the
/// round is mined once the last one is merged. A detection file is only written when complete.
pub fn merge(
    request: &ShardMergeRequest,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<ShardMergeReport, WorkflowError> {
    if let Some(out) = &request.out {
        OutputPolicy::new().inputs(&request.shards).check_file(out)?;
    }
    let files = one_of_each(open_all(&request.shards, observer, cancel)?, observer);
    let Some(first) = files.values().next() else {
        return Err(WorkflowError::Refused("no shards to merge.".to_owned()));
    };
    let run = first.header.clone();
    let whose = format!("the same run as {}", first.path.display());
    files.values().try_for_each(|file| refuse_other(&file.path, &file.header, &run, &whose))?;
    match run.work {
        Work::Mine => {
            let project = request.project.as_ref().ok_or_else(|| {
                WorkflowError::Refused(
                    "these shards are of a project's round: name the project with --project.".to_owned(),
                )
            })?;
            mined(project, &run, &files, observer, cancel)
        }
        Work::Detect => {
            let out = request.out.as_ref().ok_or_else(|| {
                WorkflowError::Refused(
                    "these shards are of a list of images: name the file to write with --out.".to_owned(),
                )
            })?;
            detected(request, out, &run, &files, observer, cancel)
        }
    }
}

type Files = BTreeMap<u32, ShardFile>;

/// Opens every shard file in `given` and reads it completely.
fn open_all(given: &[PathBuf], observer: &mut Observer, cancel: &Cancel) -> Result<Vec<ShardFile>, WorkflowError> {
    let mut paths = Vec::new();
    for path in given {
        if path.is_dir() { paths.extend(shards_in(path)?) } else { paths.push(path.clone()) }
    }
    let mut files = Vec::with_capacity(paths.len());
    for (done, path) in paths.iter().enumerate() {
        if cancel.is_cancelled() {
            return Err(WorkflowError::Cancelled);
        }
        let (what, total) = ("Reading the shards".to_owned(), paths.len() as u64);
        observer(WorkEvent::Progress(Progress { what, done: done as u64, total }));
        files.push(ShardFile::open(path)?);
    }
    Ok(files)
}

fn shards_in(folder: &Path) -> Result<Vec<PathBuf>, WorkflowError> {
    let failed = || WorkflowError::io(folder, "Check that the folder is readable.");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed())? {
        let path = entry.map_err(failed())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.contains("-shard-") && name.ends_with(".jsonl") {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(refused(folder, "no shard files here (*-shard-*-of-*.jsonl)"));
    }
    Ok(found)
}

/// If several files contain one shard (made on different devices), the same one is selected in any order.
fn one_of_each(files: Vec<ShardFile>, observer: &mut Observer) -> Files {
    let mut each = Files::new();
    for file in files {
        let number = file.header.shard;
        let Some(known) = each.get(&number).filter(|known| known.header.of_run() == file.header.of_run()) else {
            // The caller refuses a file of another run: it must not be hidden by its shard number.
            let free =
                (0..u32::from(u16::MAX)).map(|k| number + k * u32::from(u16::MAX)).find(|key| !each.contains_key(key));
            each.insert(free.unwrap_or(number), file);
            continue;
        };
        if known.checksum != file.checksum {
            observer(WorkEvent::Log(format!(
                "Shard {number} exists twice and differs ({} and {}): using the one with the lower checksum",
                known.path.display(),
                file.path.display()
            )));
        }
        if file.checksum < known.checksum {
            each.insert(number, file);
        }
    }
    each
}

/// Merges shards of a project's images into the round that they belong to.
fn mined(
    project: &Project,
    run: &Header,
    files: &Files,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<ShardMergeReport, WorkflowError> {
    let lock = RunLock::take(&project.runs_dir())?;
    let mut store = project.open_store()?;
    let merging = Merging { run, files, lock: &lock };
    let (missing, result) = match &run.model {
        Some(model) => merging.merge_models_round(project, &mut store, model, observer, cancel)?,
        None => merging.merge_own_round(project, &mut store, observer, cancel)?,
    };
    Ok(ShardMergeReport { shards: files.len(), of: run.of, missing, result })
}

/// The shards that are merged into a project, whose lock is held.
struct Merging<'a> {
    run: &'a Header,
    files: &'a Files,
    lock: &'a RunLock,
}

/// The missing shards and the result.
type Merged = (Vec<u32>, ShardMergeResult);

impl Merging<'_> {
    /// A round that Quarry trained.
    fn merge_own_round(
        &self,
        project: &Project,
        store: &mut Store,
        observer: &mut Observer,
        cancel: &Cancel,
    ) -> Result<Merged, WorkflowError> {
        let plan = Plan::new(project, store, self.run.round, Some(self.run.precision), observer)?;
        let whose = format!("round {} as this project has it", plan.target.round.number);
        self.refuse_others(&header(&plan, Shard { number: 1, of: self.run.of }), &whose)?;
        let names = plan.detector.class_names();
        let target = &plan.target;
        let mut intake = Intake::begin(target, store, Some(&names), Resume::Any, observer, cancel)?;
        let seen = &mut |_: &ImageRecord, found: Vec<Seen>| found;
        let taken = self.take_in(target, &mut intake, seen, observer, cancel)?;
        if !taken.missing.is_empty() {
            drop(intake);
            return taken.so_far(target, store);
        }
        let counts = intake.finish(observer)?;
        let report = report(target, counts, taken.known, taken.unreadable);
        Ok((taken.missing, ShardMergeResult::Mined(grouped(store, target, report, observer, cancel)?)))
    }

    /// The next round of a third-party model, which the first merge creates.
    fn merge_models_round(
        &self,
        project: &Project,
        store: &mut Store,
        model: &ModelHeader,
        observer: &mut Observer,
        cancel: &Cancel,
    ) -> Result<Merged, WorkflowError> {
        let (mut of_model, expected) = model::run_of(store, self.run, model)?;
        let whose = format!("`{}` on the images, classes and test images of this project", printable(&model.name));
        self.refuse_others(&expected, &whose)?;
        let target = model::round_of(&of_model, store, model, observer, cancel)?;
        let mut intake = Intake::begin(&target, store, None, Resume::Any, observer, cancel)?;
        let seen = &mut |image: &ImageRecord, found: Vec<Seen>| model::seen(&mut of_model, image, found);
        let taken = self.take_in(&target, &mut intake, seen, observer, cancel)?;
        drop(intake);
        if !taken.missing.is_empty() {
            return taken.so_far(&target, store);
        }
        let report = of_model.end(project, store, &target.round, taken.unreadable, observer, cancel)?;
        Ok((taken.missing, ShardMergeResult::Model(Box::new(report))))
    }

    /// Refuses a file that does not belong to the run according to the project.
    fn refuse_others(&self, expected: &Header, whose: &str) -> Result<(), WorkflowError> {
        self.files.values().try_for_each(|file| {
            let expected = Header { shard: file.header.shard, of: self.run.of, ..expected.clone() };
            refuse_other(&file.path, &file.header, &expected, whose)
        })
    }

    /// Stores the shards' detections. `seen` converts an image's detections to what the round stores.
    fn take_in(
        &self,
        target: &Target,
        intake: &mut Intake<'_>,
        seen: &mut dyn FnMut(&ImageRecord, Vec<Seen>) -> Vec<Seen>,
        observer: &mut Observer,
        cancel: &Cancel,
    ) -> Result<TakenIn, WorkflowError> {
        let shards: Vec<Shard> = (1..=self.run.of).filter_map(|number| Shard::new(number, self.run.of)).collect();
        let missing: Vec<u32> = shards
            .iter()
            .filter(|shard| !self.files.contains_key(&shard.number))
            .filter(|shard| {
                target.images.iter().enumerate().any(|(place, image)| shard.holds(place) && !intake.is_done(image))
            })
            .map(|shard| shard.number)
            .collect();
        let (mut known, mut unreadable) = (0, Vec::new());
        for (done, file) in self.files.values().enumerate() {
            let (what, total) = ("Merging the shards".to_owned(), self.files.len() as u64);
            observer(WorkEvent::Progress(Progress { what, done: done as u64, total }));
            let shard = shards[file.header.shard as usize - 1];
            file.each(|line, number| {
                if cancel.is_cancelled() {
                    return Err(WorkflowError::Cancelled);
                }
                let place = line.place as usize;
                let image =
                    target.images.get(place).filter(|image| shard.holds(place) && image.content_hash == line.image);
                let image = image.ok_or_else(|| {
                    refused(&file.path, format!("line {number}: unexpected image. Run this shard again"))
                })?;
                let Some(found) = line.found(&file.path, number)? else {
                    unreadable.push(PathBuf::from(&image.name));
                    return Ok(());
                };
                if intake.is_done(image) {
                    known += 1;
                    return Ok(());
                }
                self.lock.check()?;
                intake.take(image, &seen(image, found), observer)
            })?;
        }
        intake.keep(observer)?;
        refuse_mostly_unreadable(&unreadable, target.images.len())?;
        Ok(TakenIn { missing, known, unreadable })
    }
}

/// The result of merging shards.
struct TakenIn {
    /// Shards whose images have not been merged yet.
    missing: Vec<u32>,
    /// Number of images that were merged before.
    known: usize,
    unreadable: Vec<PathBuf>,
}

impl TakenIn {
    /// The round as it is while shards are missing.
    fn so_far(self, target: &Target, store: &Store) -> Result<Merged, WorkflowError> {
        let counts = store.mined_counts(target.round.id)?;
        Ok((self.missing, ShardMergeResult::Mined(report(target, counts, self.known, self.unreadable))))
    }
}

fn detected(
    request: &ShardMergeRequest,
    out: &Output,
    run: &Header,
    files: &Files,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<ShardMergeReport, WorkflowError> {
    let policy = OutputPolicy::new().inputs(&request.shards).inputs(files.values().map(|file| &file.path));
    policy.check_file(out)?;
    targets(request.format, &run.classes, out).iter().try_for_each(|(_, out)| policy.check_file(out))?;
    let missing: Vec<u32> = (1..=run.of).filter(|number| !files.contains_key(number)).collect();
    if !missing.is_empty() {
        return Err(WorkflowError::Refused(format!(
            "shards {} are missing: nothing was written. Run them, and merge all of them.",
            numbers_in_words(&missing, run.of)
        )));
    }
    if request.ellipses && !run.ellipses {
        return Err(WorkflowError::Refused(
            "the detector of these shards has no ellipse head. Remove `--shape ellipse`.".to_owned(),
        ));
    }
    let together = Together { files: files.values().collect(), count: run.count };
    let (mut images, mut unreadable) = (0, Vec::new());
    // Everything is validated before a line is written.
    together.each(cancel, |line| {
        let FoundOnImage { name, found, .. } = line;
        if request.format == DetectionFormat::Fddb {
            check_list_names([name.as_str()])?;
        }
        match found {
            Some(_) => images += 1,
            None => unreadable.push(name),
        }
        Ok(())
    })?;
    let each = |take: &mut TakeFound<'_>| {
        together.each(cancel, |FoundOnImage { place, name, found }| match found {
            Some(found) => take(&FoundInList { place: place + 1, name, found }),
            None => Ok(()),
        })
    };
    let WrittenDetections { detections, .. } =
        write_found(&each, &run.classes, request.format, request.ellipses, out, observer)?;
    let out = out.path.clone();
    let result = ShardMergeResult::Detected(MergedDetections { images, detections, out, unreadable });
    Ok(ShardMergeReport { shards: files.len(), of: run.of, missing, result })
}

impl ShardMergeReport {
    /// Formats the missing shards, `3, 17 of 64`.
    pub fn missing_in_words(&self) -> String {
        numbers_in_words(&self.missing, self.of)
    }
}
