//! A dataset's root folder, its files, and splits in file names.

use std::path::{Path, PathBuf};

use super::ReadOptions;
use crate::dataset::{DatasetError, IMAGE_EXTENSIONS};

/// Returns the absolute path with links resolved.
pub(super) fn absolute(path: &Path) -> Result<PathBuf, DatasetError> {
    path.canonicalize().map_err(DatasetError::io("open", path))
}

/// Returns the root for image paths: `--images`, the folder itself, or the file's folder; its parent if it is one of `annotation_folders`.
pub(super) fn root_of(
    path: &Path,
    options: &ReadOptions,
    annotation_folders: &[&str],
) -> Result<PathBuf, DatasetError> {
    if let Some(images) = &options.images {
        if !images.is_dir() {
            let hint = "--images takes the folder that the image names are relative to";
            return Err(DatasetError::NotAFolder { path: images.clone(), hint });
        }
        return absolute(images);
    }
    let mut folder = if path.is_dir() { path } else { path.parent().unwrap_or(path) };
    if annotation_folders.iter().any(|name| folder.file_name().is_some_and(|found| found == *name)) {
        folder = folder.parent().unwrap_or(folder);
    }
    Ok(folder.to_path_buf())
}

/// Returns regular files of `folder` with one of `extensions` (in any case), by name; hidden ones are skipped.
pub(super) fn files_in(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, DatasetError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(DatasetError::io("list", folder))? {
        let path = entry.map_err(DatasetError::io("list", folder))?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
        if !hidden && extension.is_some_and(|e| extensions.contains(&e.as_str())) && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// [`files_in`] for `folder` and all folders below it.
pub(super) fn files_below(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, DatasetError> {
    let mut found = files_in(folder, extensions)?;
    for below in folders_in(folder)? {
        found.extend(files_below(&below, extensions)?);
    }
    Ok(found)
}

/// Returns the subfolders of `folder` by name; hidden ones and links are skipped.
pub(super) fn folders_in(folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(DatasetError::io("list", folder))? {
        let entry = entry.map_err(DatasetError::io("list", folder))?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Returns the images below `root/folder` by path, relative to `root`; skips hidden files and folders, and links to folders.
pub(super) fn images_below(root: &Path, folder: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let mut found = Vec::new();
    let mut waiting = vec![root.join(folder)];
    while let Some(folder) = waiting.pop() {
        waiting.extend(folders_in(&folder)?);
        let images = files_in(&folder, &IMAGE_EXTENSIONS)?;
        found.extend(images.iter().filter_map(|image| image.strip_prefix(root).ok()).map(Path::to_path_buf));
    }
    found.sort();
    Ok(found)
}

/// Returns JSON files of a folder (`depth` 0: itself and its `annotations/`; 1: its subfolders).
pub(super) fn json_files(folder: &Path, depth: usize) -> Result<Vec<PathBuf>, DatasetError> {
    let mut found = Vec::new();
    if depth == 0 {
        found.extend(files_in(folder, &["json"])?);
        let annotations = folder.join("annotations");
        if annotations.is_dir() {
            found.extend(files_in(&annotations, &["json"])?);
        }
    } else {
        for below in folders_in(folder)? {
            found.extend(files_in(&below, &["json"])?);
        }
    }
    Ok(found)
}

/// Returns the split word in a name without its year: `train` in `instances_train2017`, `val` in `wider_face_val_bbx_gt`.
pub(super) fn split_in_name(name: &str) -> Option<String> {
    const SPLITS: [&str; 9] =
        ["train", "trainval", "val", "valid", "validation", "test", "minival", "training", "testing"];
    let words =
        name.split(|c: char| !c.is_alphanumeric()).map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()));
    words.map(str::to_lowercase).find(|word| SPLITS.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_say_their_split() {
        let check = |name: &str, expected: Option<&str>| assert_eq!(split_in_name(name).as_deref(), expected, "{name}");
        check("instances_train2017", Some("train"));
        check("wider_face_val_bbx_gt", Some("val"));
        check("Test", Some("test"));
        check("valid", Some("valid"));
        check("trains_of_europe", None);
        check("instances", None);
    }
}
