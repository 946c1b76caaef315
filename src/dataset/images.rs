//! Image files: detects image files by name, and reads many at once (hash and size of each, in parallel, with progress and cancellation).

use std::collections::HashMap;
use std::path::Path;

use rayon::prelude::*;

use super::{DatasetError, ImageHeader, read_header, read_image_file};
pub use crate::domain::IMAGE_EXTENSIONS;
use crate::domain::{Cancel, Progress};

/// Whether the file's name has an image extension in any letter case.
pub fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|e| IMAGE_EXTENSIONS.contains(&e.as_str()))
}

/// Number of images between two checks of `cancel`.
const BATCH: usize = 64;

/// What an import stores of an image file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Probe {
    pub content_hash: String,
    pub width: u32,
    pub height: u32,
    /// EXIF orientation, 1 to 8.
    pub exif_orientation: u8,
}

/// Returns hash and size of `root/path` for every path, in the same order. An unreadable image is an `Err` in its place and does not stop
/// the others.
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
        progress(Progress { what: "Reading images".into(), done: probes.len() as u64, total });
    }
    Ok(probes)
}

fn probe(path: &Path) -> Result<Probe, DatasetError> {
    let bytes = read_image_file(path)?;
    let header = read_header(&bytes, path)?;
    let ImageHeader { width, height, exif_orientation } = header;
    Ok(Probe { content_hash: blake3::hash(&bytes).to_hex().to_string(), width, height, exif_orientation })
}

/// Maps each content hash to the first name with it.
#[derive(Default)]
pub(super) struct SeenContent(HashMap<String, String>);

impl SeenContent {
    /// Returns the earlier name with this content, if any; otherwise records `name` for it.
    pub fn earlier(&mut self, content_hash: &str, name: &str) -> Option<String> {
        if let Some(earlier) = self.0.get(content_hash) {
            return Some(earlier.clone());
        }
        self.0.insert(content_hash.to_owned(), name.to_owned());
        None
    }
}
