//! The directory walk for import and detection: which files below a folder are images, and their names.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{DatasetError, is_image};
use crate::domain::Cancel;

/// Folders that systems create next to images; their content is never the user's.
const FOREIGN_FOLDERS: [&str; 2] = ["__MACOSX", "@eaDir"];

/// The images below a folder.
#[derive(Debug, Default)]
pub struct FoundImages {
    /// Name (the relative path with `/`) and relative path, sorted by name.
    pub images: Vec<(String, PathBuf)>,
    /// Unreadable entries by name, and why.
    pub left_out: Vec<(String, String)>,
    /// Number of files that are not images.
    pub passed_over: usize,
}

/// Walks `root` and all folders below it. Skips hidden files and folders (with a leading dot), `__MACOSX` and `@eaDir`; follows links and
/// enters each folder once. An unreadable folder below `root`, and a link to a folder around it, are skipped and reported.
///
/// Fails if `root` cannot be listed, or when `cancel` is set.
pub fn find_images(root: &Path, cancel: &Cancel) -> Result<FoundImages, DatasetError> {
    let root_in_full = root.canonicalize().map_err(DatasetError::io("open", root))?;
    let mut walk = Walk { root, root_in_full, found: FoundImages::default(), entered: HashSet::new() };
    walk.folder(root, cancel)?;
    walk.found.images.sort();
    Ok(walk.found)
}

struct Walk<'a> {
    root: &'a Path,
    root_in_full: PathBuf,
    found: FoundImages,
    /// Real paths of the folders entered, so that a link to a parent does not cause an endless loop.
    entered: HashSet<PathBuf>,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, cancel: &Cancel) -> Result<(), DatasetError> {
        if cancel.is_cancelled() {
            return Err(DatasetError::Cancelled);
        }
        let real = folder.canonicalize().map_err(DatasetError::io("open", folder))?;
        if self.root_in_full.starts_with(&real) && self.root_in_full != real {
            // It would lead to everything around the dataset, up to the whole disk.
            self.found.left_out.push((self.shown(folder), "it is a link to a folder around the dataset".to_owned()));
            return Ok(());
        }
        if !self.entered.insert(real) {
            return Ok(());
        }
        let (mut real, mut linked) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(folder).map_err(DatasetError::io("list", folder))? {
            let path = entry.map_err(DatasetError::io("list", folder))?.path();
            if is_hidden(&path) {
                continue;
            }
            if !path.is_dir() {
                self.file(&path);
            } else if path.is_symlink() {
                linked.push(path);
            } else {
                real.push(path);
            }
        }
        // Always in the same order, and a folder under its own name rather than that of a link to it.
        real.sort();
        linked.sort();
        for below in real.into_iter().chain(linked) {
            match self.folder(&below, cancel) {
                Err(DatasetError::Cancelled) => return Err(DatasetError::Cancelled),
                Err(error) => self.found.left_out.push((self.shown(&below), error.to_string())),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) {
        if !is_image(path) {
            self.found.passed_over += 1;
            return;
        }
        let relative = path.strip_prefix(self.root).unwrap_or(path);
        let parts: Option<Vec<&str>> = relative.iter().map(|part| part.to_str()).collect();
        match parts {
            Some(parts) => self.found.images.push((parts.join("/"), relative.to_path_buf())),
            None => self.found.left_out.push((self.shown(path), "its name is not UTF-8: rename it".to_owned())),
        }
    }

    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(self.root).unwrap_or(path).to_string_lossy().into_owned()
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| {
        name.as_encoded_bytes().starts_with(b".") || FOREIGN_FOLDERS.iter().any(|foreign| name == *foreign)
    })
}
