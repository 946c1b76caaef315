//! A checkpoint on any images -> a detection file. Needs no project. Must not know how detections are judged.

mod images;
mod output;

use std::path::{Path, PathBuf};

use image::RgbImage;
use serde::Serialize;

use self::images::{images_in, images_of_list};
use self::output::coco_text;
pub(super) use self::output::fddb_text;
use super::device::load_detector;
use super::outputs::{self, OutputPolicy};
use super::train::good_model;
use super::weights::checkpoint_file;
use super::{Observer, WorkEvent, WorkflowError};
use crate::dataset::decode_rgb;
use crate::detector::{DetectionConfig, Detector, DetectorError, LabelledDetection};
use crate::domain::{Cancel, Detection, Output, Progress, Sources, shown_path, shown_paths};
use crate::training::MODEL_FILE;

/// How detections are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetectionFormat {
    /// FDDB's text: name, count, then `x y w h score` or `ra rb theta cx cy score` a line. Faces alone: it has no classes.
    Fddb,
    /// COCO's result list; `image_id` counts from 1 in list order, `file_name` stands beside it, and where ellipses are wanted
    /// `ellipse`: `[cx, cy, ra, rb, theta]`.
    Coco,
}

/// What to detect on and where to write it.
#[derive(Debug, Clone)]
pub struct DetectRequest {
    /// A checkpoint, or the folder of a round, whose last one counts.
    pub checkpoint: PathBuf,
    /// A list of names or paths, one a line, or a folder of photographs.
    pub images: PathBuf,
    /// What the names in a list are relative to; the list's own folder when `None`.
    pub root: Option<PathBuf>,
    pub out: Output,
    pub format: DetectionFormat,
    /// Write ellipses too; a detector without an ellipse head is refused.
    pub ellipses: bool,
    /// Pictures this many times as large as the detector was trained on; as the checkpoint says when `None`.
    pub scale: Option<f64>,
    pub device: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DetectReport {
    pub images: usize,
    pub detections: usize,
    #[serde(serialize_with = "shown_path")]
    pub out: PathBuf,
    /// The checkpoint that was used.
    #[serde(serialize_with = "shown_path")]
    pub checkpoint: PathBuf,
    /// Images that could not be read. They are left out of the file, as nothing is known of them.
    #[serde(serialize_with = "shown_paths")]
    pub unreadable: Vec<PathBuf>,
}

/// What was found on image files, one entry a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found<T> {
    /// `None` where the file could not be read: nothing is known of it.
    pub of_files: Vec<Option<Vec<T>>>,
    pub unreadable: Vec<PathBuf>,
}

pub fn detect(
    request: &DetectRequest,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<DetectReport, WorkflowError> {
    let images = if request.images.is_dir() {
        let found = images_in(&request.images, cancel)?;
        for (name, why) in &found.left_out {
            observer(WorkEvent::Log(format!("Left out: {name}: {why}")));
        }
        found.images
    } else {
        images_of_list(&request.images, request.root.as_deref())?
    };
    policy(request).inputs(images.iter().map(|(_, file)| file)).check_file(&request.out)?;
    if request.format == DetectionFormat::Fddb {
        outputs::check_list_names(images.iter().map(|(name, _)| name.as_str()))?;
    }
    let is_round = request.checkpoint.is_dir() && !request.checkpoint.join(MODEL_FILE).is_file();
    let of_round = if is_round { good_model(&request.checkpoint, observer)? } else { None };
    let checkpoint = of_round.map_or_else(|| checkpoint_file(&request.checkpoint), Ok)?;
    let mut detector = load_detector(&checkpoint, &request.device, observer)?;
    if let Some(scale) = request.scale {
        detector.set_detection(DetectionConfig { scale, ..detector.config().detection });
        detector.config().validate()?;
    }
    if request.ellipses && !detector.config().ellipse_head {
        return Err(WorkflowError::Refused(format!(
            "{}: this detector has no ellipse head. Leave `--shape ellipse` out, or take a checkpoint of a round with `ellipse_head = true`.",
            checkpoint.display()
        )));
    }
    let files: Vec<PathBuf> = images.iter().map(|(_, file)| file.clone()).collect();
    let sources = Sources::new(images_root(request), files.iter().map(PathBuf::as_path));
    let detect = |image: &RgbImage| detector.detect_labelled(image);
    let Found { of_files, unreadable } =
        on_files(detect, &files, (&sources, &|| Ok(())), "Detecting", observer, cancel)?;
    // Their place in the list stays the images' own where others could not be read.
    let read = (1..)
        .zip(&images)
        .zip(of_files)
        .filter_map(|((place, (name, _)), found)| Some(((place, name.as_str()), found?)));
    let (names, found): (Vec<(usize, &str)>, Vec<Vec<LabelledDetection>>) = read.unzip();
    let (text, detections) = match request.format {
        DetectionFormat::Fddb => {
            let faces: Vec<Vec<Detection>> = found.iter().map(|of_image| faces_among(of_image)).collect();
            let names: Vec<&str> = names.iter().map(|(_, name)| *name).collect();
            (fddb_text(&names, &faces, request.ellipses), count(&faces))
        }
        DetectionFormat::Coco => (coco_text(&names, &found, request.ellipses, &request.out.path)?, count(&found)),
    };
    let left_out = count(&found) - detections;
    if 0 < left_out {
        observer(WorkEvent::Log(format!(
            "{left_out} detections of other classes than {FIRST_LABEL} were left out: FDDB's format has no classes (`--format coco` has)"
        )));
    }
    outputs::write(&request.out, text.as_bytes())?;
    Ok(DetectReport { images: names.len(), detections, out: request.out.path.clone(), checkpoint, unreadable })
}

/// The only class of FDDB's format.
const FIRST_LABEL: i64 = 1;

/// What the run reads: the list or the folder of images, what the list's names are relative to where that is named, the checkpoint, and
/// the datasets of the project that it lies in.
fn policy(request: &DetectRequest) -> OutputPolicy {
    let policy = OutputPolicy::new().input(&request.images).input(&request.checkpoint);
    let policy = policy.project_around(&request.checkpoint).project_around(&request.images);
    request.root.iter().fold(policy, |policy, root| policy.images(root))
}

/// The folder that all images lie in.
fn images_root(request: &DetectRequest) -> Option<PathBuf> {
    if request.images.is_dir() {
        return Some(request.images.clone());
    }
    request.root.clone().or_else(|| request.images.parent().map(Path::to_path_buf))
}

fn faces_among(found: &[LabelledDetection]) -> Vec<Detection> {
    found.iter().filter(|d| d.label == FIRST_LABEL).map(|d| d.detection).collect()
}

fn count<T>(found: &[Vec<T>]) -> usize {
    found.iter().map(Vec::len).sum()
}

/// The datasets that images are read from, and whether what the work is for is still in its place.
type Watched<'a> = (&'a Sources, &'a dyn Fn() -> Result<(), WorkflowError>);

/// Detects on image files in order. A file that cannot be read is told once in the log; where its whole dataset is away, that is an
/// error.
pub(super) fn detect_files(
    detector: &Detector,
    files: &[PathBuf],
    sources: &Sources,
    what: &str,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<Found<Detection>, WorkflowError> {
    on_files(|picture| detector.detect(picture), files, (sources, &|| Ok(())), what, observer, cancel)
}

/// [`detect_files`] with another way to detect.
pub(super) fn on_files<T>(
    detect: impl Fn(&RgbImage) -> Result<Vec<T>, DetectorError>,
    files: &[PathBuf],
    (sources, is_there): Watched<'_>,
    what: &str,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<Found<T>, WorkflowError> {
    sources.check()?;
    let (mut of_files, mut unreadable) = (Vec::with_capacity(files.len()), Vec::new());
    for (done, file) in files.iter().enumerate() {
        cancel.wait_while_paused();
        if cancel.is_cancelled() {
            return Err(WorkflowError::Cancelled);
        }
        is_there()?;
        observer(WorkEvent::Progress(Progress { what: what.to_owned(), done: done as u64, total: files.len() as u64 }));
        match decode_rgb(file) {
            Ok(image) => of_files.push(Some(detect(&image)?)),
            Err(error) => {
                sources.check_around(file)?;
                observer(WorkEvent::Log(format!("Left out: {error}")));
                unreadable.push(file.clone());
                of_files.push(None);
            }
        }
    }
    observer(WorkEvent::Progress(Progress {
        what: what.to_owned(),
        done: files.len() as u64,
        total: files.len() as u64,
    }));
    Ok(Found { of_files, unreadable })
}

/// An error where more than half of the images could not be read, although the files are there: what the rest says is of no use.
pub(super) fn refuse_mostly_unreadable(unreadable: &[PathBuf], images: usize) -> Result<(), WorkflowError> {
    match unreadable.first() {
        Some(first) if unreadable.len() * 2 > images => Err(WorkflowError::Refused(format!(
            "{} of {images} images cannot be read, the first is {}. Restore them and run the command again; what is known of them \
             was kept.",
            unreadable.len(),
            first.display()
        ))),
        _ => Ok(()),
    }
}
