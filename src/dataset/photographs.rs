//! Photographs as files: which are some, where one of a name lies, and reading many at once (hash and size of each, in parallel, with
//! progress and cancellation). Must not know where the list of photographs came from.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{DatasetError, PhotographHeader, read_header, read_image_file};
use crate::domain::{Cancel, Progress};

/// The extensions of the formats that Quarry decodes, in lower case, commonest first.
pub const PHOTOGRAPH_EXTENSIONS: [&str; 14] =
    ["jpg", "jpeg", "png", "bmp", "ppm", "jpe", "jfif", "gif", "webp", "tif", "tiff", "pgm", "pbm", "pnm"];

/// Whether the file's name says that it is a photograph, in any case of letters.
pub fn is_photograph(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|e| PHOTOGRAPH_EXTENSIONS.contains(&e.as_str()))
}

/// The file below `root` that a list calls `name`: as it stands, or with the extension that lists such as FDDB's leave out.
pub fn photograph_file(root: &Path, name: &str) -> Option<PathBuf> {
    let extended = |extension: &str| root.join(format!("{name}.{extension}"));
    let both_cases = |e: &&str| [extended(e), extended(&e.to_ascii_uppercase())];
    std::iter::once(root.join(name))
        .chain(PHOTOGRAPH_EXTENSIONS.iter().flat_map(both_cases))
        .find(|file| file.is_file())
}

/// Photographs between two looks at `cancel`.
const BATCH: usize = 64;

/// Of one photograph, what an import keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Probe {
    pub content_hash: String,
    pub width: u32,
    pub height: u32,
    /// EXIF's orientation, 1 to 8.
    pub exif_orientation: u8,
}

/// Hash and size of `root/path` for every path, in the same order. A photograph that cannot be read is an `Err` in its place and does
/// not stop the others.
pub(super) fn probe_all(
    root: &Path,
    paths: &[&Path],
    progress: &mut dyn FnMut(Progress),
    cancel: &Cancel,
) -> Result<Vec<Result<Probe, DatasetError>>, DatasetError> {
    let total = paths.len() as u64;
    let mut probes = Vec::with_capacity(paths.len());
    for batch in paths.chunks(BATCH) {
        if cancel.is_cancelled() {
            return Err(DatasetError::Cancelled);
        }
        probes.par_extend(batch.par_iter().map(|path| probe(&root.join(path))));
        progress(Progress { what: "Reading photographs".into(), done: probes.len() as u64, total });
    }
    Ok(probes)
}

fn probe(path: &Path) -> Result<Probe, DatasetError> {
    let bytes = read_image_file(path)?;
    let header = read_header(&bytes, path)?;
    let PhotographHeader { width, height, exif_orientation } = header;
    Ok(Probe { content_hash: blake3::hash(&bytes).to_hex().to_string(), width, height, exif_orientation })
}

/// Remembers the first name of each content.
#[derive(Default)]
pub(super) struct SeenContent(HashMap<String, String>);

impl SeenContent {
    /// The name that had these bytes before, if any; otherwise `name` is remembered for them.
    pub fn earlier(&mut self, content_hash: &str, name: &str) -> Option<String> {
        if let Some(earlier) = self.0.get(content_hash) {
            return Some(earlier.clone());
        }
        self.0.insert(content_hash.to_owned(), name.to_owned());
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_a_list_finds_its_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("img_1")).unwrap();
        for file in ["img_1.jpg", "img_2.PNG", "img.3.bmp", "notes.txt"] {
            std::fs::write(dir.path().join(file), b"x").unwrap();
        }
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(photograph_file(dir.path(), name), expected.map(|file| dir.path().join(file)), "{name}");
        };
        check("img_1", Some("img_1.jpg"));
        check("img_1.jpg", Some("img_1.jpg"));
        check("img_2", Some("img_2.PNG"));
        check("img.3", Some("img.3.bmp"));
        check("notes", None);
        assert!(is_photograph(Path::new("a/B.JPG")) && !is_photograph(Path::new("notes.txt")));
    }
}
