//! Checks a dataset's files against the content hashes of the import, and sets a dataset's new folder if the same files are there.

use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use super::super::{Observer, WorkEvent, WorkflowError};
use crate::dataset::{DatasetError, decode_rgb_bytes, read_image_file};
use crate::domain::{Away, Cancel, ImageRecord, Progress, printable, shown_path};
use crate::store::{Dataset, Store};

/// The state of a dataset's images.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct IntegrityReport {
    pub dataset: String,
    #[serde(serialize_with = "shown_path")]
    pub root: PathBuf,
    pub images: usize,
    /// Files that are byte-identical to the imported ones.
    pub same: usize,
    /// Image names.
    pub missing: Vec<String>,
    /// Files with other bytes than the imported ones.
    pub changed: Vec<String>,
    /// Image name and reason.
    pub unreadable: Vec<(String, String)>,
    /// Set if the whole dataset is away: what to do. Its images are also in `missing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub away: Option<String>,
}

impl IntegrityReport {
    pub fn is_sound(&self) -> bool {
        self.same == self.images
    }

    /// Describes the images that are not the imported ones: `2 missing, 1 changed`. Empty if the dataset is sound.
    pub fn others(&self) -> String {
        let counts =
            [("missing", self.missing.len()), ("changed", self.changed.len()), ("unreadable", self.unreadable.len())];
        let found = counts.iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{count} {what}"));
        found.collect::<Vec<_>>().join(", ")
    }
}

/// Number of images read between two checks for cancellation.
const BATCH: usize = 256;

/// The state of a file.
enum Found {
    Same,
    Missing,
    Changed,
    Unreadable(String),
}

/// Reads every image of a dataset and compares its bytes with the imported ones; `decode` also decodes the pixels.
pub fn check(
    store: &Store,
    dataset: &Dataset,
    decode: bool,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<IntegrityReport, WorkflowError> {
    check_at(store, dataset, &dataset.root, decode, observer, cancel)
}

fn check_at(
    store: &Store,
    dataset: &Dataset,
    root: &Path,
    decode: bool,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<IntegrityReport, WorkflowError> {
    let images: Vec<ImageRecord> = store.images()?.into_iter().filter(|image| image.dataset == dataset.id).collect();
    let mut report = IntegrityReport {
        dataset: dataset.name.clone(),
        root: root.to_path_buf(),
        images: images.len(),
        ..IntegrityReport::default()
    };
    for (k, batch) in images.chunks(BATCH).enumerate() {
        if cancel.is_cancelled() {
            return Err(WorkflowError::Cancelled);
        }
        let found: Vec<Found> = batch.par_iter().map(|image| look(root, image, decode)).collect();
        for (image, found) in batch.iter().zip(found) {
            match found {
                Found::Same => report.same += 1,
                Found::Missing => report.missing.push(image.name.clone()),
                Found::Changed => report.changed.push(image.name.clone()),
                Found::Unreadable(why) => report.unreadable.push((image.name.clone(), why)),
            }
        }
        let (done, total) = (((k * BATCH) + batch.len()) as u64, images.len() as u64);
        observer(WorkEvent::Progress(Progress { what: format!("Checking {}", printable(&dataset.name)), done, total }));
    }
    if report.images > 0 && report.missing.len() == report.images {
        report.away = Some(Away::without_images(root).to_string());
    }
    Ok(report)
}

fn look(root: &Path, image: &ImageRecord, decode: bool) -> Found {
    let path = root.join(&image.path);
    let is_missing = |error: &io::Error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
    if path.symlink_metadata().as_ref().is_err_and(is_missing) {
        return Found::Missing;
    }
    let problem_of = |error: &DatasetError| Found::Unreadable(error.to_string());
    match read_image_file(&path) {
        Err(error) => problem_of(&error),
        Ok(bytes) if blake3::hash(&bytes).to_hex().as_str() != image.content_hash => Found::Changed,
        Ok(bytes) if decode => decode_rgb_bytes(&bytes, &path).map_or_else(|error| problem_of(&error), |_| Found::Same),
        Ok(_) => Found::Same,
    }
}

/// Sets a dataset's folder to `root` after looking for every image there. Refused if none is found, and unless `anyway` if any is missing
/// or different.
pub fn move_to(
    store: &mut Store,
    dataset: &Dataset,
    root: &Path,
    anyway: bool,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<IntegrityReport, WorkflowError> {
    let root = root.canonicalize().map_err(WorkflowError::io(root, "Check the path."))?;
    if !root.is_dir() {
        return Err(WorkflowError::Refused(format!(
            "{} is a file, and the dataset's folder is needed here.",
            root.display()
        )));
    }
    let report = check_at(store, dataset, &root, false, observer, cancel)?;
    let others = report.images - report.same;
    if report.images > 0 && report.same == 0 {
        let below = below(&root, dataset, store)?;
        let advice = below.map_or_else(
            || format!("Its images have the same paths relative to {}.", dataset.root.display()),
            |folder| format!("Did you mean {}?", folder.display()),
        );
        let text = format!("{}: no image of dataset `{}` is there. {advice}", root.display(), printable(&dataset.name));
        return Err(WorkflowError::Refused(text));
    }
    if others > 0 && !anyway {
        let example = report.missing.first().or(report.changed.first()).map_or("", String::as_str);
        let text = format!(
            "{}: {} of {} images of dataset `{}` do not match the import ({} missing, {} changed, {} unreadable, e.g. {}). \
             Nothing was changed. Take another folder, or --anyway and import the dataset again.",
            root.display(),
            others,
            report.images,
            printable(&dataset.name),
            report.missing.len(),
            report.changed.len(),
            report.unreadable.len(),
            printable(example)
        );
        return Err(WorkflowError::Refused(text));
    }
    store.move_dataset(dataset.id, &root)?;
    Ok(report)
}

/// Returns the folder above or directly below `root` that contains the dataset's first image: users often choose one level too high or too low.
fn below(root: &Path, dataset: &Dataset, store: &Store) -> Result<Option<PathBuf>, WorkflowError> {
    let Some(first) = store.images()?.into_iter().find(|image| image.dataset == dataset.id) else { return Ok(None) };
    let inside = std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    let around = root.parent().map(Path::to_path_buf).into_iter().chain(inside.take(1000));
    Ok(around.filter(|folder| folder.is_dir()).find(|folder| matches!(look(folder, &first, false), Found::Same)))
}
