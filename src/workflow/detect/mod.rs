//! Runs a checkpoint on any images and writes a detection file, without a project.

mod file;
mod foreign;
mod growing;
mod identity;
mod images;
mod model;
mod output;
mod pipeline;
mod shard;

use std::path::{Path, PathBuf};

use serde::Serialize;

pub(super) use self::file::{
    Header, ImageLine, ModelHeader, Seen, ShardFile, ShardLines, Work, detection_text, feature_text, fingerprint,
    header_of, refused,
};
pub(super) use self::foreign::{ForeignModel, labelled};
pub(super) use self::growing::{Grown, ToGrow, check_growing, clear_growing, grow, is_of_these_bytes};
pub(super) use self::identity::identity;
use self::images::{images_in, images_of_list};
pub(super) use self::model::AnyModel;
use self::output::CocoWriter;
pub(super) use self::output::fddb_text;
pub(super) use self::pipeline::{Checkpoint, OfImage, Task, detect_on};
pub use self::shard::Shard;
use super::detection_source::DetectionSource;
use super::device::load_detector;
use super::good_model::good_model;
use super::outputs::{self, OutputPolicy};
use super::weights::checkpoint_file;
use super::{Observer, WorkEvent, WorkflowError};
use crate::detector::{DetectionConfig, Detector, LabelledDetection, Precision};
use crate::domain::{Cancel, Detection, Output, Sources, counted, shown_path, shown_paths, write_output_with};
use crate::training::MODEL_FILE;

/// The output format of detections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetectionFormat {
    /// FDDB's text: name, count, then one `x y w h score` or `ra rb theta cx cy score` line each. It has no classes: with several, each
    /// gets a file, such as `found-cat.txt` and `found-dog.txt` for `found.txt`.
    Fddb,
    /// COCO's result list; `image_id` counts from 1 in list order, `file_name` is added, and if ellipses are requested `ellipse`: `[cx, cy,
    /// ra, rb, theta]`.
    Coco,
}

impl DetectionFormat {
    /// Parses `coco`; any other word is FDDB's.
    pub fn parse(word: &str) -> Self {
        if word == "coco" { Self::Coco } else { Self::Fddb }
    }
}

/// What to detect on and where to write.
#[derive(Debug, Clone)]
pub struct DetectRequest {
    /// A checkpoint, or a round's folder, whose last one is used; or a third-party model (ONNX, TorchScript).
    pub checkpoint: PathBuf,
    /// A list with one name or path per line, or a folder of images.
    pub images: PathBuf,
    /// Folder to which the names in a list are relative; by default the list's own.
    pub root: Option<PathBuf>,
    pub out: Output,
    pub format: DetectionFormat,
    /// Also write ellipses; a detector without an ellipse head is refused.
    pub ellipses: bool,
    /// Image size relative to training; by default the checkpoint's.
    pub scale: Option<f64>,
    /// The network's precision; by default the checkpoint's.
    pub precision: Option<Precision>,
    pub device: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DetectReport {
    pub images: usize,
    pub detections: usize,
    #[serde(serialize_with = "shown_path")]
    pub out: PathBuf,
    /// The written files: `out`, or in FDDB's format with several classes one each.
    #[serde(serialize_with = "shown_paths")]
    pub files: Vec<PathBuf>,
    /// The checkpoint that was used.
    #[serde(serialize_with = "shown_path")]
    pub checkpoint: PathBuf,
    /// Unreadable images. They are not in the file, as nothing is known about them.
    #[serde(serialize_with = "shown_paths")]
    pub unreadable: Vec<PathBuf>,
}

/// The detections on image files, one entry per file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found<T> {
    /// `None` if the file could not be read: nothing is known about it.
    pub of_files: Vec<Option<Vec<T>>>,
    pub unreadable: Vec<PathBuf>,
}

pub fn detect(
    request: &DetectRequest,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<DetectReport, WorkflowError> {
    let images = images_of(request, observer, cancel)?;
    let policy = output_policy(request).listed_images(images.iter().map(|(_, file)| file));
    let check = |classes: &[String]| {
        targets(request.format, classes, &request.out).iter().try_for_each(|(_, out)| policy.check_file(out))
    };
    check(&[])?;
    if request.format == DetectionFormat::Fddb {
        outputs::check_list_names(images.iter().map(|(name, _)| name.as_str()))?;
    }
    check_growing(&policy, &request.out)?;
    let model = AnyModel::of(request, observer)?;
    let classes = model.classes();
    check(&classes)?;
    let list = (fingerprint(images.iter().map(|(name, _)| name.as_str())), images.len());
    let mut header = model.header(Shard::ALL, list)?;
    // Another device computes different last digits, which would make the file inconsistent.
    header.identity = format!("{} on {}", header.identity, request.device);
    let files: Vec<PathBuf> = images.iter().map(|(_, file)| file.clone()).collect();
    let sources = Sources::new(images_root(request), files.iter().map(PathBuf::as_path));
    let task = Task { files: &files, sources: &sources, is_there: &|| Ok(()), what: "Detecting", done_before: 0 };
    let name = |place: usize| (place, images[place].0.as_str());
    let holds = |place: usize, line: &ImageLine| {
        let (name, file) = &images[place];
        Ok(line.place == place as u64 && line.name.as_deref() == Some(name) && is_of_these_bytes(file, line))
    };
    let to = ToGrow { header: &header, out: &request.out, holds: &holds, needs_most: false };
    let grown = model.grow(&task, &to, &name, observer, cancel)?;
    tracing::info!("{}: {}", task.what, grown.pace);
    let file = ShardFile::open(grown.path())?;
    // Images keep their position in the list if others could not be read.
    let found = |take: &mut TakeFound<'_>| {
        file.each(|line, number| {
            let found = line.labelled(&file.path, number)?;
            let (place, name) = (line.place as usize + 1, line.name.unwrap_or_default());
            found.map_or(Ok(()), |found| take(&FoundInList { place, name, found }))
        })
    };
    let written = write_found(&found, &classes, request.format, request.ellipses, &request.out, observer)?;
    let WrittenDetections { detections, files } = written;
    let Grown { images, unreadable, .. } = grown.remove();
    let (out, checkpoint) = (request.out.path.clone(), model.path().clone());
    Ok(DetectReport { images, detections, out, files, checkpoint, unreadable })
}

/// Returns `(name, file)` of the images to detect on.
pub(super) fn images_of(
    request: &DetectRequest,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<Vec<(String, PathBuf)>, WorkflowError> {
    if !request.images.is_dir() {
        return images_of_list(&request.images, request.root.as_deref());
    }
    let found = images_in(&request.images, cancel)?;
    for (name, why) in &found.left_out {
        observer(WorkEvent::Log(format!("Left out: {name}: {why}")));
    }
    Ok(found.images)
}

/// Loads the request's checkpoint and configures its detector.
pub(super) fn detector_of(
    request: &DetectRequest,
    observer: &mut Observer,
) -> Result<(PathBuf, Detector), WorkflowError> {
    let is_round = request.checkpoint.is_dir() && !request.checkpoint.join(MODEL_FILE).is_file();
    let of_round = if is_round { good_model(&request.checkpoint, observer)? } else { None };
    let checkpoint = of_round.map_or_else(|| checkpoint_file(&request.checkpoint), Ok)?;
    let mut detector = load_detector(&checkpoint, &request.device, observer)?;
    if let Some(scale) = request.scale {
        detector.set_detection(DetectionConfig { scale, ..detector.config().detection });
        detector.config().validate()?;
    }
    if let Some(precision) = request.precision {
        detector.set_precision(precision);
    }
    if request.ellipses && !detector.config().ellipse_head {
        return Err(WorkflowError::Refused(format!(
            "{}: this detector has no ellipse head. Remove `--shape ellipse`, or use a checkpoint of a round with `ellipse_head = true`.",
            checkpoint.display()
        )));
    }
    Ok((checkpoint, detector))
}

/// The detections on one image of a list.
pub(super) struct FoundInList {
    /// Position in the whole list, from 1.
    pub place: usize,
    pub name: String,
    pub found: Vec<LabelledDetection>,
}

/// The written files.
pub(super) struct WrittenDetections {
    pub detections: usize,
    /// One file, or in FDDB's format one per class if there are several.
    pub files: Vec<PathBuf>,
}

/// Receives the detections of one image after the other.
pub(super) type TakeFound<'a> = dyn FnMut(&FoundInList) -> Result<(), WorkflowError> + 'a;
/// Provides the detections of a list's images in order; may be called repeatedly.
pub(super) type EachFound<'a> = dyn Fn(&mut TakeFound<'_>) -> Result<(), WorkflowError> + 'a;

/// Writes image by image, so that the detections are never all in memory.
pub(super) fn write_found(
    each: &EachFound<'_>,
    classes: &[String],
    format: DetectionFormat,
    ellipses: bool,
    out: &Output,
    observer: &mut Observer,
) -> Result<WrittenDetections, WorkflowError> {
    let (mut detections, mut count, mut files) = (0, 0, Vec::new());
    for (label, out) in targets(format, classes, out) {
        let failed = |error| WorkflowError::from(outputs::not_written(&out, error));
        count = 0;
        write_output_with(&out, failed, |file| match format {
            DetectionFormat::Fddb => each(&mut |FoundInList { name, found, .. }| {
                let of_label = with_label(found, label);
                (count, detections) = (count + found.len(), detections + of_label.len());
                file.write_all(fddb_text(&[name], &[of_label], ellipses).as_bytes()).map_err(failed)
            }),
            DetectionFormat::Coco => {
                let mut results = CocoWriter::begin(file).map_err(failed)?;
                each(&mut |image| {
                    (count, detections) = (count + image.found.len(), detections + image.found.len());
                    results.image(image, classes, ellipses).map_err(failed)
                })?;
                results.end().map_err(failed)
            }
        })?;
        files.push(out.path);
    }
    if count > detections {
        observer(WorkEvent::Log(format!(
            "{} of other classes than {FIRST_LABEL}, left out: FDDB's format has no classes (`--format coco` has)",
            counted(count - detections, "detection")
        )));
    }
    Ok(WrittenDetections { detections, files })
}

/// The class written to FDDB's format for a detector without class names.
const FIRST_LABEL: i64 = 1;

/// Returns the files to write, each with its label in FDDB's format.
pub(super) fn targets(format: DetectionFormat, classes: &[String], out: &Output) -> Vec<(i64, Output)> {
    if format == DetectionFormat::Coco || classes.len() < 2 {
        return vec![(FIRST_LABEL, out.clone())];
    }
    let paths = class_files(&out.path, classes);
    (FIRST_LABEL..).zip(paths).map(|(label, path)| (label, Output { path, ..out.clone() })).collect()
}

/// Converts `found.txt` with classes `cat` and `dog` to `found-cat.txt`, `found-dog.txt`. Other characters than letters and digits become
/// `_`; equal names then get numbers.
fn class_files(out: &Path, names: &[String]) -> Vec<PathBuf> {
    let plain = |name: &String| name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect::<String>();
    let plain: Vec<String> = names.iter().map(plain).collect();
    let lower: Vec<String> = plain.iter().map(|name| name.to_lowercase()).collect();
    let stem = out.file_stem().unwrap_or_default().to_string_lossy();
    let extension = out.extension().map_or(String::new(), |extension| format!(".{}", extension.to_string_lossy()));
    let file = |(k, name): (usize, &String)| {
        let is_only = lower.iter().filter(|other| **other == lower[k]).count() == 1;
        let number = if is_only { String::new() } else { format!("-{}", k + 1) };
        out.with_file_name(format!("{stem}-{name}{number}{extension}"))
    };
    plain.iter().enumerate().map(file).collect()
}

/// Protects everything that the run reads: the list or image folder, the list's root if named, the checkpoint, and the datasets of its
/// project.
pub(super) fn output_policy(request: &DetectRequest) -> OutputPolicy {
    let policy = OutputPolicy::new().input(&request.images).input(&request.checkpoint);
    let policy = policy.project_around(&request.checkpoint).project_around(&request.images);
    request.root.iter().fold(policy, |policy, root| policy.images(root))
}

/// Returns the folder that contains all images.
pub(super) fn images_root(request: &DetectRequest) -> Option<PathBuf> {
    if request.images.is_dir() {
        return Some(request.images.clone());
    }
    request.root.clone().or_else(|| request.images.parent().map(Path::to_path_buf))
}

fn with_label(found: &[LabelledDetection], label: i64) -> Vec<Detection> {
    found.iter().filter(|d| d.label == label).map(|d| d.detection).collect()
}

/// Detects on image files in order and drops labels that the detector has no name for. An unreadable file is logged once; if its whole
/// dataset is missing, that is an error.
pub(super) fn detect_files(
    detector: &Detector,
    files: &[PathBuf],
    sources: &Sources,
    what: &str,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<Found<Detection>, WorkflowError> {
    let task = Task { files, sources, is_there: &|| Ok(()), what, done_before: 0 };
    let found = on_files(&Checkpoint::new(detector), &task, |found| found.object, observer, cancel)?;
    let known = |found: Vec<LabelledDetection>| {
        found.into_iter().filter(|found| detector.knows(found.label)).map(|found| found.detection).collect()
    };
    let of_files = found.of_files.into_iter().map(|found| found.map(known)).collect();
    Ok(Found { of_files, unreadable: found.unreadable })
}

/// Returns all detections on the task's files, converted by `of`.
fn on_files<S: DetectionSource, T>(
    source: &S,
    task: &Task<'_>,
    of: impl Fn(S::Found) -> T,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<Found<T>, WorkflowError> {
    let (mut of_files, mut unreadable) = (Vec::with_capacity(task.files.len()), Vec::new());
    let take = |of_image: OfImage<S::Found>, _: &mut Observer| {
        if of_image.found.is_none() {
            unreadable.push(task.files[of_image.place].clone());
        }
        of_files.push(of_image.found.map(|found| found.into_iter().map(&of).collect()));
        Ok(())
    };
    let pace = detect_on(source, task, observer, cancel, take)?;
    tracing::info!("{}: {pace}", task.what);
    Ok(Found { of_files, unreadable })
}

/// Returns an error if more than half of the images are unreadable although the files exist: results on the rest would be useless.
pub(super) fn refuse_mostly_unreadable(unreadable: &[PathBuf], images: usize) -> Result<(), WorkflowError> {
    match unreadable.first() {
        Some(first) if unreadable.len() * 2 > images => Err(WorkflowError::Refused(format!(
            "{} of {images} images cannot be read, the first is {}. Restore them and run the command again; their existing results were kept.",
            unreadable.len(),
            first.display()
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_a_file_of_its_own() {
        let files = |out: &str, names: &[&str]| -> Vec<String> {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            class_files(Path::new(out), &names).iter().map(|path| path.display().to_string()).collect()
        };
        assert_eq!(files("a/found.txt", &["cat", "dog"]), ["a/found-cat.txt", "a/found-dog.txt"]);
        assert_eq!(files("found", &["traffic light", "../x"]), ["found-traffic_light", "found-___x"]);
        assert_eq!(files("f.txt", &["a b", "A_b", "ü"]), ["f-a_b-1.txt", "f-A_b-2.txt", "f-ü.txt"]);
    }
}
