//! The images that a detection run goes through: a folder's, or a list's. Must not know detectors.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::dataset::{is_photograph, photograph_file};
use crate::workflow::WorkflowError;

/// `(name without extension, file)` of every photograph below `dir`, in name order.
pub(super) fn images_in(dir: &Path) -> Result<Vec<(String, PathBuf)>, WorkflowError> {
    let mut out = Vec::new();
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).map_err(WorkflowError::io(&folder, "Check the path."))?;
        for entry in entries {
            let path = entry.map_err(WorkflowError::io(&folder, "Check the path."))?.path();
            if path.is_dir() {
                folders.push(path);
            } else if is_photograph(&path) {
                let relative = path.strip_prefix(dir).unwrap_or(&path).with_extension("");
                out.push((relative.to_string_lossy().replace('\\', "/"), path));
            }
        }
    }
    out.sort();
    if out.is_empty() {
        return Err(WorkflowError::Refused(format!("{}: no photographs found here.", dir.display())));
    }
    Ok(out)
}

/// `(name as it stands in the list, file)` of every line. A picture that is not there, or stands there twice, is an error with its line.
pub(super) fn images_of_list(list: &Path, root: Option<&Path>) -> Result<Vec<(String, PathBuf)>, WorkflowError> {
    let text = fs::read_to_string(list)
        .map_err(WorkflowError::io(list, "--images takes a folder or a text file with one image name a line."))?;
    let root = root.map_or_else(|| list.parent().unwrap_or(Path::new(".")).to_path_buf(), Path::to_path_buf);
    let mut out = Vec::new();
    let mut lines: HashMap<PathBuf, usize> = HashMap::new();
    for (n, line) in text.lines().enumerate().map(|(n, l)| (n + 1, l.trim())).filter(|(_, l)| !l.is_empty()) {
        let Some(file) = photograph_file(&root, line) else {
            return Err(WorkflowError::Refused(format!(
                "{}:{n}: no picture `{line}` under {} (tried the usual extensions). Set --root to the pictures' folder.",
                list.display(),
                root.display()
            )));
        };
        if let Some(earlier) = lines.insert(file.clone(), n) {
            return Err(WorkflowError::Refused(format!(
                "{}:{n}: the picture `{line}` stands on line {earlier} already. Take one of the two lines out.",
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
    use super::*;

    #[test]
    fn a_line_without_a_picture_of_its_own_is_named_with_file_and_line() {
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
        check("one\ntwo\n\none\n", &["list.txt:4", "`one`", "line 1 already"]);
        check("one\none.jpg\n", &["list.txt:2", "`one.jpg`", "line 1 already"]);
        check("\n", &["the list is empty"]);
        check("two\none\n", &[]);
    }
}
