//! A checkpoint on any images -> a detection file. Needs no project. Must not know how detections are judged.

mod images;
mod output;

use std::path::PathBuf;

use image::RgbImage;
use serde::Serialize;

use self::images::{images_in, images_of_list};
use self::output::coco_text;
pub(super) use self::output::fddb_text;
use super::outputs::{self, OutputPolicy};
use super::weights::checkpoint_file;
use super::{Observer, WorkEvent, WorkflowError};
use crate::dataset::decode_rgb;
use crate::detector::{DetectionConfig, Detector, DetectorError, FACE_LABEL, LabelledDetection, choose_device};
use crate::domain::{Cancel, Detection, Output, Progress};

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
    pub out: PathBuf,
    /// The checkpoint that was used.
    pub checkpoint: PathBuf,
    /// Pictures that could not be read; they stand in the file without a detection.
    pub unreadable: Vec<PathBuf>,
}

/// What was found on image files, one entry a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found<T> {
    pub of_files: Vec<Vec<T>>,
    /// Their entries are empty.
    pub unreadable: Vec<PathBuf>,
}

pub fn detect(
    request: &DetectRequest,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<DetectReport, WorkflowError> {
    let images = if request.images.is_dir() {
        images_in(&request.images)?
    } else {
        images_of_list(&request.images, request.root.as_deref())?
    };
    policy(request).inputs(images.iter().map(|(_, file)| file)).check_file(&request.out)?;
    let checkpoint = checkpoint_file(&request.checkpoint)?;
    let mut detector = Detector::load(&checkpoint, choose_device(&request.device)?)?;
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
    let Found { of_files: found, unreadable } =
        on_files(|picture| detector.detect_labelled(picture), &files, "Detecting", observer, cancel)?;
    let names: Vec<&str> = images.iter().map(|(name, _)| name.as_str()).collect();
    let (text, detections) = match request.format {
        DetectionFormat::Fddb => {
            let faces: Vec<Vec<Detection>> = found.iter().map(|of_image| faces_among(of_image)).collect();
            (fddb_text(&names, &faces, request.ellipses), count(&faces))
        }
        DetectionFormat::Coco => (coco_text(&names, &found, request.ellipses, &request.out.path)?, count(&found)),
    };
    let left_out = count(&found) - detections;
    if 0 < left_out {
        observer(WorkEvent::Log(format!(
            "{left_out} detections of other classes than {FACE_LABEL} were left out: FDDB's format has no classes (`--format coco` has)"
        )));
    }
    outputs::write(&request.out, text.as_bytes())?;
    Ok(DetectReport { images: names.len(), detections, out: request.out.path.clone(), checkpoint, unreadable })
}

/// What the run reads: the list or the folder of images, what the list's names are relative to where that is named, the checkpoint, and
/// the datasets of the project that it lies in.
fn policy(request: &DetectRequest) -> OutputPolicy {
    let policy = OutputPolicy::new().input(&request.images).input(&request.checkpoint);
    let policy = policy.project_around(&request.checkpoint).project_around(&request.images);
    request.root.iter().fold(policy, |policy, root| policy.images(root))
}

fn faces_among(found: &[LabelledDetection]) -> Vec<Detection> {
    found.iter().filter(|d| d.label == FACE_LABEL).map(|d| d.detection).collect()
}

fn count<T>(found: &[Vec<T>]) -> usize {
    found.iter().map(Vec::len).sum()
}

/// Detects on image files in order; a picture that cannot be read gets no detections and is told once in the log.
pub(super) fn detect_files(
    detector: &Detector,
    files: &[PathBuf],
    what: &str,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<Found<Detection>, WorkflowError> {
    on_files(|picture| detector.detect(picture), files, what, observer, cancel)
}

/// [`detect_files`] with another way to detect.
pub(super) fn on_files<T>(
    detect: impl Fn(&RgbImage) -> Result<Vec<T>, DetectorError>,
    files: &[PathBuf],
    what: &str,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<Found<T>, WorkflowError> {
    let (mut of_files, mut unreadable) = (Vec::with_capacity(files.len()), Vec::new());
    for (done, file) in files.iter().enumerate() {
        cancel.wait_while_paused();
        if cancel.is_cancelled() {
            return Err(WorkflowError::Cancelled);
        }
        observer(WorkEvent::Progress(Progress { what: what.to_owned(), done: done as u64, total: files.len() as u64 }));
        match decode_rgb(file) {
            Ok(image) => of_files.push(detect(&image)?),
            Err(error) => {
                observer(WorkEvent::Log(format!("Left out: {error}")));
                unreadable.push(file.clone());
                of_files.push(Vec::new());
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
