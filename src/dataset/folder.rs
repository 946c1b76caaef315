//! A plain folder of photographs without faces, to mine from: everything a detector finds in it is a false positive. Walks
//! subfolders. Must not know any annotation format.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::imported::LeftOut;
use super::photographs::{PHOTOGRAPH_EXTENSIONS, SeenContent, is_photograph, probe_all};
use super::{DatasetError, ImportedDataset, ImportedImage};
use crate::domain::{Cancel, Progress};

/// Reads all photographs below `dir`, by path, without faces and without folds. Unreadable ones, and those with the same bytes as an
/// earlier one, are left out and told in the summary; hidden files and other kinds of files are passed over.
///
/// Fails when `dir` is no folder, holds no photograph at all or only unreadable ones, and when `cancel` is set.
pub fn read_folder(
    dir: &Path,
    progress: &mut dyn FnMut(Progress),
    cancel: &Cancel,
) -> Result<ImportedDataset, DatasetError> {
    let root = absolute_folder(dir, "name a folder that holds photographs")?;
    let mut walk = Walk::default();
    walk.folder(&root, &root, cancel)?;
    walk.photographs.sort();
    if walk.photographs.is_empty() {
        return Err(DatasetError::layout(
            &root,
            format!("no photograph in it or below it; Quarry reads {}", PHOTOGRAPH_EXTENSIONS.join(", ")),
        ));
    }
    let mut left_out = walk.left_out;
    if walk.passed_over > 0 {
        left_out.warnings.push(format!("{} files that are no pictures were passed over.", walk.passed_over));
    }
    let paths: Vec<&Path> = walk.photographs.iter().map(|(_, path)| path.as_path()).collect();
    let probes = probe_all(&root, &paths, progress, cancel)?;
    let mut seen = SeenContent::default();
    let mut images = Vec::with_capacity(probes.len());
    for ((name, path), probe) in walk.photographs.into_iter().zip(probes) {
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
    if images.is_empty() {
        let (name, why) = &left_out.unreadable[0];
        return Err(DatasetError::layout(&root, format!("none of its pictures can be read; the first, {name}: {why}")));
    }
    Ok(ImportedDataset::new("folder", root, Vec::new(), images, left_out))
}

/// The folder's absolute path, links resolved.
pub(super) fn absolute_folder(dir: &Path, hint: &'static str) -> Result<PathBuf, DatasetError> {
    if !dir.is_dir() {
        return Err(DatasetError::NotAFolder { path: dir.to_path_buf(), hint });
    }
    dir.canonicalize().map_err(DatasetError::io("open", dir))
}

#[derive(Default)]
struct Walk {
    /// Name (relative path with `/`) and relative path.
    photographs: Vec<(String, PathBuf)>,
    left_out: LeftOut,
    passed_over: usize,
    /// Real paths of the folders entered, so that a link to a parent does not go round for ever.
    entered: HashSet<PathBuf>,
}

impl Walk {
    fn folder(&mut self, root: &Path, folder: &Path, cancel: &Cancel) -> Result<(), DatasetError> {
        if cancel.is_cancelled() {
            return Err(DatasetError::Cancelled);
        }
        if !self.entered.insert(folder.canonicalize().map_err(DatasetError::io("open", folder))?) {
            return Ok(());
        }
        for entry in std::fs::read_dir(folder).map_err(DatasetError::io("list", folder))? {
            let path = entry.map_err(DatasetError::io("list", folder))?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
                continue;
            }
            if path.is_dir() {
                self.folder(root, &path, cancel)?;
            } else {
                self.file(root, &path);
            }
        }
        Ok(())
    }

    fn file(&mut self, root: &Path, path: &Path) {
        if !is_photograph(path) {
            self.passed_over += 1;
            return;
        }
        let relative = path.strip_prefix(root).unwrap_or(path);
        let parts: Option<Vec<&str>> = relative.iter().map(|part| part.to_str()).collect();
        match parts {
            Some(parts) => self.photographs.push((parts.join("/"), relative.to_path_buf())),
            None => self
                .left_out
                .unreadable
                .push((relative.to_string_lossy().into_owned(), "its name is not UTF-8: rename it".to_owned())),
        }
    }
}
