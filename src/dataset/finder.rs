//! Finds the image file for a listed name: exactly, or with the extension that lists such as FDDB's omit.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::{IMAGE_EXTENSIONS, without_image_extension};

/// Finds images below one folder. Each folder is listed at most once, so that many names need few disk accesses.
#[derive(Debug)]
pub struct ImageFinder {
    root: PathBuf,
    folders: Mutex<HashMap<PathBuf, Arc<Listing>>>,
}

/// A folder's image files by name without extension, each in search order.
type Listing = HashMap<String, Vec<String>>;

impl ImageFinder {
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf(), folders: Mutex::default() }
    }

    /// Returns the file for `name`: the exact file; otherwise with an extension, in the order of [`IMAGE_EXTENSIONS`], lower case first;
    /// otherwise with its own extension in another case. Only regular files match.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let exact = self.root.join(name);
        let usual = self.root.join(format!("{name}.{}", IMAGE_EXTENSIONS[0]));
        if let Some(file) = [&exact, &usual].into_iter().find(|file| file.is_file()) {
            return Some(file.clone());
        }
        let folder = exact.parent()?;
        let named = exact.file_name()?.to_str()?;
        let listing = self.listing(folder);
        let extended = listing.get(named).into_iter().flatten();
        let in_another_case = listing.get(without_image_extension(named)).into_iter().flatten();
        let in_another_case = in_another_case.filter(|file| file.eq_ignore_ascii_case(named));
        extended.chain(in_another_case).map(|file| folder.join(file)).find(|file| file.is_file())
    }

    fn listing(&self, folder: &Path) -> Arc<Listing> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(folders.entry(folder.to_path_buf()).or_insert_with(|| Arc::new(list(folder))))
    }
}

/// A missing or unreadable folder has no images.
fn list(folder: &Path) -> Listing {
    let mut listing = Listing::new();
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for file in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
        let stem = without_image_extension(&file);
        if stem.len() < file.len() {
            listing.entry(stem.to_owned()).or_default().push(file);
        }
    }
    for files in listing.values_mut() {
        files.sort_by_key(|file| rank(file));
    }
    listing
}

/// Returns the index of the extension, whether it is lower case, and the name.
fn rank(file: &str) -> (usize, bool, String) {
    let extension = file.rsplit('.').next().unwrap_or_default();
    let lower = extension.to_ascii_lowercase();
    let place = IMAGE_EXTENSIONS.iter().position(|known| *known == lower).unwrap_or(IMAGE_EXTENSIONS.len());
    (place, lower != extension, file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_list_finds_its_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("img_1")).unwrap();
        std::fs::create_dir(dir.path().join("img_7.jpg")).unwrap();
        let files = ["img_1.jpg", "img_2.PNG", "img.3.bmp", "notes.txt", "img_4.JPG", "img_4.png", "img_5.Jpeg"];
        for file in files.into_iter().chain(["img_6", "img_6.jpg", "img_7.png", "img_8.PNG", "img_8.png"]) {
            std::fs::write(dir.path().join(file), b"x").unwrap();
        }
        let finder = ImageFinder::new(dir.path());
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(finder.find(name), expected.map(|file| dir.path().join(file)), "{name}");
        };
        check("img_1", Some("img_1.jpg"));
        check("img_1.jpg", Some("img_1.jpg"));
        check("img_2", Some("img_2.PNG"));
        check("img.3", Some("img.3.bmp"));
        check("img", None);
        check("notes", None);
        check("notes.txt", Some("notes.txt"));
        check("img_4", Some("img_4.JPG"));
        check("img_5", Some("img_5.Jpeg"));
        check("img_6", Some("img_6"));
        check("img_7", Some("img_7.png"));
        check("img_8", Some("img_8.png"));
        check("img_2.png", Some("img_2.PNG"));
        check("img_5.JPEG", Some("img_5.Jpeg"));
        check("img_5.png", None);
        check("gone/img_1", None);
    }
}
