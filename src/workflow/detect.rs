//! A checkpoint on any images -> a detection file. Needs no project. Must not know how detections are judged.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use image::RgbImage;
use serde::Serialize;

use super::project::write_atomically;
use super::{Observer, WorkEvent, WorkflowError};
use crate::dataset::{decode_rgb, is_photograph, photograph_file};
use crate::detector::{Detector, DetectorError, choose_device};
use crate::domain::{Cancel, Detection, Progress};

/// How detections are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetectionFormat {
    /// FDDB's text: name, count, then `x y w h score` or `ra rb theta cx cy score` a line.
    Fddb,
    /// COCO's result list; `image_id` counts from 1 in list order, `file_name` stands beside it.
    Coco,
}

/// What to detect on and where to write it.
#[derive(Debug, Clone)]
pub struct DetectRequest {
    pub checkpoint: PathBuf,
    /// A list of names or paths, one a line, or a folder of photographs.
    pub images: PathBuf,
    /// What the names in a list are relative to; the list's own folder when `None`.
    pub root: Option<PathBuf>,
    pub out: PathBuf,
    pub format: DetectionFormat,
    /// Write ellipses where the detector gives them (FDDB format only).
    pub ellipses: bool,
    pub device: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DetectReport {
    pub images: usize,
    pub detections: usize,
    pub out: PathBuf,
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

#[derive(Serialize)]
struct CocoResult<'a> {
    image_id: usize,
    file_name: &'a str,
    category_id: u32,
    bbox: [f64; 4],
    score: f32,
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
    let detector = Detector::load(&request.checkpoint, choose_device(&request.device)?)?;
    let files: Vec<PathBuf> = images.iter().map(|(_, file)| file.clone()).collect();
    let Found { of_files: found, unreadable } = detect_files(&detector, &files, "Detecting", observer, cancel)?;
    let names: Vec<&str> = images.iter().map(|(name, _)| name.as_str()).collect();
    let text = match request.format {
        DetectionFormat::Fddb => fddb_text(&names, &found, request.ellipses),
        DetectionFormat::Coco => coco_text(&names, &found, &request.out)?,
    };
    write_atomically(&request.out, text.as_bytes())?;
    let (images, detections) = (names.len(), found.iter().map(Vec::len).sum());
    Ok(DetectReport { images, detections, out: request.out.clone(), unreadable })
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

/// `(name without extension, file)` of every photograph below `dir`, in name order.
fn images_in(dir: &Path) -> Result<Vec<(String, PathBuf)>, WorkflowError> {
    let mut out = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(WorkflowError::io(&folder, "Check the path."))?;
        for entry in entries {
            let path = entry.map_err(WorkflowError::io(&folder, "Check the path."))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if is_photograph(&path) {
                let relative = path.strip_prefix(dir).unwrap_or(&path).with_extension("");
                out.push((relative.to_string_lossy().replace('\\', "/"), path));
            }
        }
    }
    out.sort();
    if out.is_empty() {
        return Err(WorkflowError::Refused(format!("{}: no photographs found here.", dir.display())));
    }
    Ok(out)
}

fn images_of_list(list: &Path, root: Option<&Path>) -> Result<Vec<(String, PathBuf)>, WorkflowError> {
    let text = fs::read_to_string(list)
        .map_err(WorkflowError::io(list, "--images takes a folder or a text file with one image name a line."))?;
    let root = root.map_or_else(|| list.parent().unwrap_or(Path::new(".")).to_path_buf(), Path::to_path_buf);
    let mut out = Vec::new();
    for (n, line) in text.lines().enumerate().map(|(n, l)| (n + 1, l.trim())).filter(|(_, l)| !l.is_empty()) {
        let Some(file) = photograph_file(&root, line) else {
            return Err(WorkflowError::Refused(format!(
                "{}:{n}: no picture `{line}` under {} (tried the usual extensions). Set --root to the pictures' folder.",
                list.display(),
                root.display()
            )));
        };
        out.push((line.to_owned(), file));
    }
    if out.is_empty() {
        return Err(WorkflowError::Refused(format!("{}: the list is empty.", list.display())));
    }
    Ok(out)
}

/// FDDB's text of `found`, one list for each of `names`. Every number is written so that reading it gives the same `f64` again: the
/// curves of the file are those of the detections.
pub(super) fn fddb_text(names: &[&str], found: &[Vec<Detection>], ellipses: bool) -> String {
    let mut text = String::new();
    for (name, detections) in names.iter().zip(found) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}\n{}", detections.len());
        for d in detections {
            let score = f64::from(d.score);
            let _ = if let Some(e) = d.ellipse.filter(|_| ellipses) {
                writeln!(text, "{} {} {} {} {} {}", e.ra, e.rb, e.theta, e.cx, e.cy, score)
            } else {
                let b = &d.bbox;
                writeln!(text, "{} {} {} {} {}", b.x1, b.y1, b.width(), b.height(), score)
            };
        }
    }
    text
}

fn coco_text(names: &[&str], found: &[Vec<Detection>], out: &Path) -> Result<String, WorkflowError> {
    let results = names.iter().enumerate().zip(found).flat_map(|((index, name), detections)| {
        detections.iter().map(move |d| CocoResult {
            image_id: index + 1,
            file_name: name,
            category_id: 1,
            bbox: [d.bbox.x1, d.bbox.y1, d.bbox.width(), d.bbox.height()],
            score: d.score,
        })
    });
    let results: Vec<CocoResult> = results.collect();
    serde_json::to_string(&results)
        .map_err(|e| WorkflowError::BadFile { path: out.to_path_buf(), reason: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{BoundingBox, Ellipse};

    #[test]
    fn fddb_text_writes_both_shapes_and_empty_images() {
        let bbox = BoundingBox::from_xywh(1.5, 2.0, 30.0, 40.0);
        let plain = Detection { bbox, ellipse: None, score: 0.5 };
        let round = Detection { ellipse: Some(Ellipse::new(20.0, 15.0, 1.5, 16.0, 22.0)), ..plain };
        let found = vec![vec![plain, round], Vec::new()];
        assert_eq!(fddb_text(&["a", "b"], &found, false), "a\n2\n1.5 2 30 40 0.5\n1.5 2 30 40 0.5\nb\n0\n");
        assert_eq!(fddb_text(&["a", "b"], &found, true), "a\n2\n1.5 2 30 40 0.5\n20 15 1.5 16 22 0.5\nb\n0\n");
    }

    #[test]
    fn a_missing_picture_is_named_with_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("one.jpg"), b"x").unwrap();
        fs::write(dir.path().join("list.txt"), "one\n\ntwo\n").unwrap();
        let message = images_of_list(&dir.path().join("list.txt"), None).unwrap_err().to_string();
        assert!(message.contains("list.txt:3") && message.contains("`two`"), "{message}");
    }
}
