//! FDDB and plain image folders behind the common format trait; their readers are outside this folder.

use std::path::Path;

use super::{Format, ReadOptions};
use crate::dataset::fddb::{FOLDS_FOLDER, read_fddb_tolerantly};
use crate::dataset::{DatasetError, ImportedDataset, is_image, read_fddb, read_folder};
use crate::domain::{Cancel, Progress};

/// FDDB as distributed.
#[derive(Debug)]
pub struct Fddb;

/// A folder of images without objects, for mining.
#[derive(Debug)]
pub struct Folder;

impl Format for Fddb {
    fn name(&self) -> &'static str {
        "fddb"
    }

    fn recognise(&self, path: &Path) -> Option<String> {
        path.join(FOLDS_FOLDER).is_dir().then(|| format!("it holds {FOLDS_FOLDER}/"))
    }

    fn read(
        &self,
        path: &Path,
        options: &ReadOptions,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<ImportedDataset, DatasetError> {
        refuse_images_option(path, options, "FDDB's images are in originalPics/")?;
        let read = if options.strict { read_fddb } else { read_fddb_tolerantly };
        apply_options(read(path, progress, cancel)?, options)
    }
}

impl Format for Folder {
    fn name(&self) -> &'static str {
        "folder"
    }

    fn recognise(&self, path: &Path) -> Option<String> {
        let has_image = path.is_dir() && has_image_below(path, 3);
        has_image.then(|| "a folder with images and no annotations that Quarry knows".to_owned())
    }

    fn read(
        &self,
        path: &Path,
        options: &ReadOptions,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<ImportedDataset, DatasetError> {
        refuse_images_option(path, options, "the folder itself holds the images")?;
        apply_options(read_folder(path, progress, cancel)?, options)
    }
}

fn has_image_below(folder: &Path, depth: usize) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    let mut folders = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            folders.push(path);
        } else if is_image(&path) {
            return true;
        }
    }
    depth > 0 && folders.iter().any(|folder| has_image_below(folder, depth - 1))
}

fn refuse_images_option(path: &Path, options: &ReadOptions, why: &str) -> Result<(), DatasetError> {
    match options.images {
        Some(_) => Err(DatasetError::layout(path, format!("{why}: leave --images out"))),
        None => Ok(()),
    }
}

/// Adds strictness and split selection to readers that support neither.
fn apply_options(dataset: ImportedDataset, options: &ReadOptions) -> Result<ImportedDataset, DatasetError> {
    let summary = &dataset.summary;
    let unusable = summary.unreadable.first().map(|(name, why)| format!("{name}: {why}"));
    let unusable = unusable.or_else(|| summary.missing.first().map(|name| format!("the image {name} does not exist")));
    if let (true, Some(problem)) = (options.strict, unusable) {
        return Err(DatasetError::layout(
            &dataset.root,
            format!("{problem}. Correct it, or import without --strict to leave it out"),
        ));
    }
    match &options.split {
        None => Ok(dataset),
        Some(wanted) => dataset.only_split(wanted),
    }
}
