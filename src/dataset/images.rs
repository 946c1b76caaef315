//! Image files: detects image files by name, and reads many at once (hash and size of each, in parallel, with progress and cancellation).

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crossbeam_channel::bounded;

use super::byte_budget::ByteBudget;
use super::decode::read_image_file_within;
use super::{DatasetError, ImageHeader, read_header};
pub use crate::domain::IMAGE_EXTENSIONS;
use crate::domain::{Cancel, Progress};

/// Whether the file's name has an image extension in any letter case.
pub fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|e| IMAGE_EXTENSIONS.contains(&e.as_str()))
}

/// Reader threads per core: most of the time some of them wait for the disk.
const READERS_PER_CORE: usize = 4;
const MOST_READERS: usize = 32;
/// Byte budget of all readers. A larger file is read alone.
const READING_BYTES: u64 = 512 << 20;
/// Number of images between two progress reports.
const REPORTED: usize = 64;

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
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let readers = (READERS_PER_CORE * cores).min(MOST_READERS).min(paths.len());
    let (next, budget) = (AtomicUsize::new(0), ByteBudget::new(READING_BYTES));
    let mut probes: Vec<_> = paths.iter().map(|_| None).collect();
    thread::scope(|scope| {
        let (results_in, results) = bounded(REPORTED);
        for number in 0..readers {
            let (results_in, next, budget) = (results_in.clone(), &next, &budget);
            let work = move || {
                while let (false, at) = (cancel.is_cancelled(), next.fetch_add(1, Ordering::Relaxed))
                    && let Some(path) = paths.get(at)
                    && results_in.send((at, probe(&root.join(path), budget))).is_ok()
                {}
            };
            thread::Builder::new().name(format!("read-{number}")).spawn_scoped(scope, work)?;
        }
        drop(results_in);
        for (done, (at, probed)) in results.into_iter().enumerate() {
            if let Some(probe) = probes.get_mut(at) {
                *probe = Some(probed);
            }
            if (done + 1) % REPORTED == 0 || done + 1 == paths.len() {
                progress(Progress { what: "Reading images".into(), done: done as u64 + 1, total: paths.len() as u64 });
            }
        }
        Ok(())
    })
    .map_err(DatasetError::io("read images below", root))?;
    // One is missing only where a cancel ended the readers.
    probes.into_iter().collect::<Option<_>>().ok_or(DatasetError::Cancelled)
}

fn probe(path: &Path, budget: &ByteBudget) -> Result<Probe, DatasetError> {
    let (bytes, _held) = read_image_file_within(path, budget)?;
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
