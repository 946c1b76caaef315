//! Reads a plain folder of images without objects, for mining: every detection in it is a false positive.

use std::path::{Path, PathBuf};

use super::images::{IMAGE_EXTENSIONS, SeenContent, probe_all};
use super::imported::LeftOut;
use super::{DatasetError, ImportedDataset, ImportedImage, find_images};
use crate::domain::{Cancel, Progress, counted_as};

/// Reads all images below `dir` by path, without objects or folds. Unreadable images, and those with the same bytes as an earlier one, are
/// skipped and reported in the summary; hidden files and other kinds of files are skipped.
///
/// Fails if `dir` is not a folder, contains no image or only unreadable ones, or when `cancel` is set.
pub fn read_folder(
    dir: &Path,
    progress: &mut dyn FnMut(Progress),
    cancel: &Cancel,
) -> Result<ImportedDataset, DatasetError> {
    let root = absolute_folder(dir, "choose a folder with images")?;
    let found = find_images(&root, cancel)?;
    if found.images.is_empty() {
        let first = found.left_out.first().map(|(name, why)| format!("; {name} was left out: {why}"));
        let what = format!(
            "no images in this folder or its subfolders; Quarry reads {}{}",
            IMAGE_EXTENSIONS.join(", "),
            first.unwrap_or_default()
        );
        return Err(DatasetError::layout(&root, what));
    }
    let mut left_out = LeftOut { unreadable: found.left_out, ..LeftOut::default() };
    if found.passed_over > 0 {
        left_out.warnings.push(format!(
            "Skipped {}.",
            counted_as(found.passed_over, "file that is no image", "files that are no images")
        ));
    }
    let paths: Vec<&Path> = found.images.iter().map(|(_, path)| path.as_path()).collect();
    let probes = probe_all(&root, &paths, progress, cancel)?;
    let mut seen = SeenContent::default();
    let mut images = Vec::with_capacity(probes.len());
    for ((name, path), probe) in found.images.into_iter().zip(probes) {
        match probe {
            Err(error) => left_out.unreadable.push((name, error.to_string())),
            Ok(probe) => match seen.earlier(&probe.content_hash, &name) {
                Some(earlier) => left_out.duplicates.push((name, earlier)),
                None => images.push(ImportedImage {
                    name,
                    path,
                    content_hash: probe.content_hash,
                    width: probe.width,
                    height: probe.height,
                    split: None,
                    objects: Vec::new(),
                }),
            },
        }
    }
    if let (true, Some((name, why))) = (images.is_empty(), left_out.unreadable.first()) {
        return Err(DatasetError::layout(&root, format!("cannot read any of its images; the first, {name}: {why}")));
    }
    Ok(ImportedDataset::new("folder", root, Vec::new(), images, left_out))
}

/// Returns the folder's absolute path with links resolved.
pub(super) fn absolute_folder(dir: &Path, hint: &'static str) -> Result<PathBuf, DatasetError> {
    if !dir.is_dir() {
        return Err(DatasetError::NotAFolder { path: dir.to_path_buf(), hint });
    }
    dir.canonicalize().map_err(DatasetError::io("open", dir))
}
