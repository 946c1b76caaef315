//! Checks that an image's file exists and is still the imported one.

use std::path::Path;

use super::listing::FileProblem;
use crate::dataset::{read_header, read_image_file};

/// How thoroughly a file is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileDepth {
    /// Only that it exists.
    Presence,
    /// Also its bytes and header; reads the whole file.
    Whole,
}

/// Returns the problem with an image's file; `content_hash` is the blake3 recorded at import.
pub fn check_file(path: &Path, content_hash: &str, depth: FileDepth) -> Option<FileProblem> {
    if !path.is_file() {
        return Some(FileProblem::Missing);
    }
    if depth == FileDepth::Presence {
        return None;
    }
    let Ok(bytes) = read_image_file(path) else { return Some(FileProblem::Unreadable) };
    if read_header(&bytes, path).is_err() {
        return Some(FileProblem::Unreadable);
    }
    (blake3::hash(&bytes).to_hex().as_str() != content_hash).then_some(FileProblem::Changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_of_a_file_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        image::RgbImage::new(4, 3).save(path("good.png")).unwrap();
        std::fs::write(path("text.png"), "no image").unwrap();
        let hash = blake3::hash(&std::fs::read(path("good.png")).unwrap()).to_hex().to_string();
        let check = |name: &str, hash: &str, depth| check_file(&path(name), hash, depth);
        assert_eq!(check("good.png", &hash, FileDepth::Whole), None);
        assert_eq!(check("good.png", "other", FileDepth::Whole), Some(FileProblem::Changed));
        assert_eq!(check("good.png", "other", FileDepth::Presence), None);
        assert_eq!(check("text.png", &hash, FileDepth::Whole), Some(FileProblem::Unreadable));
        for depth in [FileDepth::Presence, FileDepth::Whole] {
            assert_eq!(check("gone.png", &hash, depth), Some(FileProblem::Missing));
        }
    }
}
