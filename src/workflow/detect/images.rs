//! Lists the images of a detection run: a folder's, or a list's.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::dataset::{ImageFinder, find_images};
use crate::domain::{Cancel, distinct_names, limits, read_text};
use crate::workflow::WorkflowError;

/// The images below a folder, and what could not be read.
pub(super) struct FolderImages {
    /// Unique `(name, file)` pairs in name order.
    pub images: Vec<(String, PathBuf)>,
    /// Path and reason.
    pub left_out: Vec<(String, String)>,
}

/// Returns every image that an import would find below `dir`. Names have no extension, unless two images would share one.
pub(super) fn images_in(dir: &Path, cancel: &Cancel) -> Result<FolderImages, WorkflowError> {
    let found = find_images(dir, cancel)?;
    if found.images.is_empty() {
        return Err(WorkflowError::Refused(format!("{}: no images found here.", dir.display())));
    }
    let names = distinct_names(found.images.iter().map(|(name, _)| name.as_str()));
    let files = found.images.iter().map(|(_, path)| dir.join(path));
    Ok(FolderImages { images: names.into_iter().zip(files).collect(), left_out: found.left_out })
}

/// Returns `(name as listed, file)` for every line. A missing or repeated image is an error with its line.
pub(super) fn images_of_list(list: &Path, root: Option<&Path>) -> Result<Vec<(String, PathBuf)>, WorkflowError> {
    let text = read_text(list, limits::TEXT).map_err(|error| {
        WorkflowError::Refused(format!(
            "{error} Note that `--images` takes a folder or a text file with one image name a line."
        ))
    })?;
    let root = root.map_or_else(|| list.parent().unwrap_or(Path::new(".")).to_path_buf(), Path::to_path_buf);
    let finder = ImageFinder::new(&root);
    let mut out = Vec::new();
    let mut lines: HashMap<PathBuf, usize> = HashMap::new();
    for (n, line) in text.lines().enumerate().map(|(n, l)| (n + 1, l.trim())).filter(|(_, l)| !l.is_empty()) {
        let Some(file) = finder.find(line) else {
            return Err(WorkflowError::Refused(format!(
                "{}:{n}: no image `{line}` in {} (tried the usual extensions). Set --root to the images' folder.",
                list.display(),
                root.display()
            )));
        };
        if let Some(earlier) = lines.insert(file.clone(), n) {
            return Err(WorkflowError::Refused(format!(
                "{}:{n}: the image `{line}` is already on line {earlier}. Remove one of the two lines.",
                list.display()
            )));
        }
        out.push((line.to_owned(), file));
    }
    if out.is_empty() {
        return Err(WorkflowError::Refused(format!("{}: the list is empty.", list.display())));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn names_lose_their_extension_where_they_stay_distinct() {
        let check = |names: &[&str], expected: &[&str]| {
            let found = distinct_names(names.iter().copied());
            assert_eq!(found, expected);
        };
        check(&["a.jpg", "b/a.jpg", "scan.1.jpg", "scan.png"], &["a", "b/a", "scan.1", "scan"]);
        check(&["a.jpg", "a.png", "b.jpg"], &["a.jpg", "a.png", "b"]);
        check(&["a.jpg", "a.jpg.png"], &["a", "a.jpg.png"]);
        check(&["a.JPG", "a.jpg"], &["a.JPG", "a.jpg"]);
    }

    #[test]
    fn a_line_without_an_image_of_its_own_is_named_with_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("one.jpg"), b"x").unwrap();
        fs::write(dir.path().join("two.jpg"), b"x").unwrap();
        let list = dir.path().join("list.txt");
        let check = |text: &str, parts: &[&str]| {
            fs::write(&list, text).unwrap();
            let message = images_of_list(&list, None).map_or_else(|e| e.to_string(), |_| String::new());
            assert!(parts.iter().all(|part| message.contains(part)), "{text:?}: {message}");
            assert_eq!(parts.is_empty(), message.is_empty(), "{text:?}: {message}");
        };
        check("one\n\nthree\n", &["list.txt:3", "`three`"]);
        check("one\ntwo\n\none\n", &["list.txt:4", "`one`", "already on line 1"]);
        check("one\none.jpg\n", &["list.txt:2", "`one.jpg`", "already on line 1"]);
        check("\n", &["the list is empty"]);
        check("two\none\n", &[]);
    }
}
