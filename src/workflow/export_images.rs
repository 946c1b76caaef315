//! Places the images of an exported ground truth where its lists expect them, as links or copies.

use std::path::Path;

use super::export::{ExportScope, check_below, images_in};
use super::image_files::files_of;
use super::outputs::OutputPolicy;
use super::training_export::{ImagesAs, files};
use super::{Observer, WorkEvent, WorkflowError};
use crate::dataset::formats::write::yolo_image_path;
use crate::domain::{Cancel, Output, Progress, counted, printable, write_output};
use crate::store::Store;

/// The placed images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlacedImages {
    pub images: usize,
    /// Image name and reason.
    pub left_out: Vec<(String, String)>,
}

impl PlacedImages {
    /// Returns a sentence on what is missing, if anything.
    pub fn warning(&self) -> Option<String> {
        let (name, why) = self.left_out.first()?;
        let (count, name) = (self.left_out.len(), printable(name));
        Some(format!("{} could not be put into the folder, e.g. {name} ({why}).", counted(count, "image")))
    }
}

/// Returns an error if a dataset of the scope is missing: before the lists are written that need its images.
pub fn check_images(store: &Store, scope: &ExportScope) -> Result<(), WorkflowError> {
    let (_, sources) = files_of(store, images_in(store, scope)?.iter().map(|image| image.id))?;
    Ok(sources.check()?)
}

/// Places the images of the scope in `out`, to which a ground truth was exported as yolo. An existing file is replaced only with
/// permission.
pub fn place_images(
    store: &Store,
    scope: &ExportScope,
    how: ImagesAs,
    out: &Output,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<PlacedImages, WorkflowError> {
    let policy = OutputPolicy::new().datasets(store)?;
    let images = images_in(store, scope)?;
    let mut placed = PlacedImages::default();
    let total = images.len() as u64;
    let (sources, datasets) = files_of(store, images.iter().map(|image| image.id))?;
    datasets.check()?;
    for (image, source) in images.into_iter().zip(sources) {
        if cancel.is_cancelled() {
            return Err(WorkflowError::Cancelled);
        }
        let path = yolo_image_path(&image.path);
        check_below(Path::new(&path))?;
        let target = out.file(&path);
        match place(&policy, how, &source, &target)? {
            Ok(()) => placed.images += 1,
            Err(why) => {
                datasets.check_around(&source)?;
                placed.left_out.push((image.name, why));
            }
        }
        observer(WorkEvent::Progress(Progress { what: "Exporting images".into(), done: placed.images as u64, total }));
    }
    Ok(placed)
}

/// The inner error concerns the source file: other images can still be placed.
fn place(
    policy: &OutputPolicy,
    how: ImagesAs,
    source: &Path,
    target: &Output,
) -> Result<Result<(), String>, WorkflowError> {
    let advice = "Check that the folder is writable.";
    let path = &target.path;
    policy.check_or_link(target)?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(WorkflowError::io(folder, advice))?;
    }
    match how {
        ImagesAs::Copy => match crate::dataset::read_image_file(source) {
            Ok(bytes) => write_output(target, &bytes).map_err(WorkflowError::io(path, advice))?,
            Err(error) => return Ok(Err(error.to_string())),
        },
        ImagesAs::Link => {
            if let Err(error) = source.metadata() {
                return Ok(Err(error.to_string()));
            }
            files::link_over(source, path, target.replace).map_err(WorkflowError::io(path, advice))?;
        }
    }
    Ok(Ok(()))
}
