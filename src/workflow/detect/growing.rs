//! Writes the detections of an image list line by line to a file. An interrupted run is resumed from it.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::file::{Header, ImageLine, Left, ShardWriter, is_ours, left};
use super::pipeline::{OfImage, Pace, Task, detect_on, span};
use super::refuse_mostly_unreadable;
use crate::dataset::{decode_rgb, read_image_file};
use crate::domain::{Cancel, GrowingFile, Output, open_growing, open_regular, printable_path, write_output_with};
use crate::workflow::detection_source::DetectionSource;
use crate::workflow::outputs::{OutputPolicy, not_written};
use crate::workflow::{Observer, WorkEvent, WorkflowError};

/// What is written, and where.
pub(in crate::workflow) struct ToGrow<'a> {
    pub header: &'a Header,
    /// The user's output; the file grows next to it until it is complete.
    pub out: &'a Output,
    /// Whether an existing line still equals the one that the image would produce, as far as that is known without detecting.
    pub holds: &'a dyn Fn(usize, &ImageLine) -> Result<bool, WorkflowError>,
    /// Whether it is an error if most images are unreadable.
    pub needs_most: bool,
}

/// A complete file, next to its final path.
pub(in crate::workflow) struct Grown {
    path: PathBuf,
    /// Held until the file is removed: two runs must not write to it.
    _lock: GrowingFile,
    /// Number of images, without unreadable ones.
    pub images: usize,
    pub detections: usize,
    pub unreadable: Vec<PathBuf>,
    pub pace: Pace,
}

/// Returns the path of the growing file for `out`.
fn growing(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(".unfinished");
    out.with_file_name(name)
}

/// Refuses an output if the growing file cannot be created next to it.
pub(in crate::workflow) fn check_growing(policy: &OutputPolicy, out: &Output) -> Result<(), WorkflowError> {
    let path = growing(&out.path);
    policy.check(&Output::new(&path, true))?;
    // Permission to replace the output does not cover another file.
    if path.is_file() && !is_ours(&path)? {
        return Err(WorkflowError::Refused(format!(
            "{}: unfinished detections are saved here, and this file was not written by Quarry. Move it, or name another output.",
            printable_path(&path)
        )));
    }
    Ok(())
}

/// Detects on the task's images that an earlier run did not reach, and writes a line for each.
pub(in crate::workflow) fn grow<S: DetectionSource>(
    source: &S,
    task: &Task<'_>,
    to: &ToGrow<'_>,
    line: impl Fn(OfImage<S::Found>) -> ImageLine,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<Grown, WorkflowError> {
    let path = growing(&to.out.path);
    let failed = |error| WorkflowError::from(not_written(&Output::new(&path, true), error));
    let mut growing = open_growing(&path).map_err(failed)?.ok_or_else(|| {
        let path = printable_path(&path);
        WorkflowError::Refused(format!("{path}: another run writes this file. Wait for it, or name another output."))
    })?;
    let left = resume_from(&path, span(source), task, to, observer, cancel)?;
    let all = task.files.len();
    let file = growing.file();
    let begun = begin(file, &left).map_err(failed)?;
    let (mut images, mut detections) = (left.images - left.unreadable.len(), left.detections);
    let mut unreadable: Vec<PathBuf> =
        left.unreadable.iter().filter_map(|&place| task.files.get(place).cloned()).collect();
    for path in &unreadable {
        observer(WorkEvent::Log(format!("Left out, as before: {} cannot be read", printable_path(path))));
    }
    let mut writer = if begun {
        ShardWriter::resume(file, left.hasher, left.images as u64 + 1)
    } else {
        ShardWriter::begin(file, to.header).map_err(failed)?
    };
    let rest = Task { files: task.files.get(left.images..).unwrap_or_default(), done_before: left.images, ..*task };
    let mut done = left.images;
    let take = |of_image: OfImage<S::Found>, _: &mut Observer| {
        let place = left.images + of_image.place;
        let line = line(OfImage { place, ..of_image });
        match &line.detections {
            Some(found) => (images, detections) = (images + 1, detections + found.len()),
            None => unreadable.extend(task.files.get(place).cloned()),
        }
        if to.needs_most {
            refuse_mostly_unreadable(&unreadable, task.files.len())?;
        }
        writer.image(&line).map_err(failed)?;
        done += 1;
        Ok(())
    };
    let pace = match detect_on(source, &rest, observer, cancel, take) {
        Ok(pace) => pace,
        Err(error) => {
            if done == 0 {
                let _ = fs::remove_file(&path);
            } else {
                observer(WorkEvent::Log(format!(
                    "Kept the detections of {done} of {all} images in {}: the same command continues from there",
                    printable_path(&path)
                )));
            }
            return Err(error);
        }
    };
    writer.end().map_err(failed)?;
    Ok(Grown { path, _lock: growing, images, detections, unreadable, pace })
}

/// Reads what an earlier run of the same work left.
fn resume_from(
    path: &Path,
    span: usize,
    task: &Task<'_>,
    to: &ToGrow<'_>,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<Left, WorkflowError> {
    let is_new = fs::metadata(path).is_ok_and(|found| found.len() == 0);
    if is_new {
        return Ok(Left::default());
    }
    let holds = |place: usize, line: &ImageLine| {
        if cancel.is_cancelled() {
            return Err(WorkflowError::Cancelled);
        }
        (task.is_there)()?;
        let Some(file) = task.files.get(place) else { return Ok(false) };
        // Retry images that could not be read.
        Ok((to.holds)(place, line)? && (line.detections.is_some() || decode_rgb(file).is_err()))
    };
    let found = left(path, to.header, span, holds)?;
    let (done, of) = (found.as_ref().map_or(0, |left| left.images), task.files.len());
    observer(WorkEvent::Log(match found {
        Some(_) => format!("Resuming: {done} of {of} images are done"),
        None => {
            format!("{} belongs to other images, another model or other settings: it starts over", printable_path(path))
        }
    }));
    Ok(found.unwrap_or_default())
}

/// Truncates the file to the reusable part; returns whether there is any.
fn begin(file: &mut File, left: &Left) -> io::Result<bool> {
    file.set_len(left.bytes)?;
    file.seek(SeekFrom::Start(left.bytes))?;
    Ok(left.bytes > 0)
}

/// Whether the image file has the content that the line was made from.
pub(in crate::workflow) fn is_of_these_bytes(file: &Path, line: &ImageLine) -> bool {
    let is_read = line.detections.is_some();
    !is_read || read_image_file(file).is_ok_and(|bytes| *blake3::hash(&bytes).to_hex() == *line.image)
}

impl Grown {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the file to its final path.
    pub fn place(self, out: &Output) -> Result<Self, WorkflowError> {
        let failed = |error| WorkflowError::from(not_written(out, error));
        let (mut whole, _) = open_regular(&self.path)?;
        write_output_with(out, failed, |file| io::copy(&mut whole, file).map_err(failed))?;
        Ok(self.remove())
    }

    /// Removes the file after its content was stored elsewhere.
    pub fn remove(self) -> Self {
        let _ = fs::remove_file(&self.path);
        self
    }
}

/// Removes leftovers of a run that was killed after its file was moved into place.
pub(in crate::workflow) fn clear_growing(out: &Path) {
    let path = growing(out);
    if is_ours(&path).unwrap_or(false) {
        let _ = fs::remove_file(path);
    }
}
