//! Many small annotation files read in parallel, a batch at a time, so that cancellation and progress are prompt and memory is bounded.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::dataset::DatasetError;
use crate::domain::{Cancel, Progress};

/// Calls `read` for each of `files`, `size` of them at a time in parallel, and `take` with what it gave, in the order of `files`. The
/// first error of `take`, or a cancellation, ends it.
pub(super) fn read_in_batches<T: Send>(
    files: &[PathBuf],
    size: usize,
    progress: &mut dyn FnMut(Progress),
    cancel: &Cancel,
    read: impl Fn(&Path) -> T + Sync,
    mut take: impl FnMut(&Path, T) -> Result<(), DatasetError>,
) -> Result<(), DatasetError> {
    let total = files.len() as u64;
    for (k, batch) in files.chunks(size).enumerate() {
        if cancel.is_cancelled() {
            return Err(DatasetError::Cancelled);
        }
        let all: Vec<T> = batch.par_iter().map(|file| read(file)).collect();
        for (file, one) in batch.iter().zip(all) {
            take(file, one)?;
        }
        progress(Progress { what: "Reading annotations".into(), done: (k * size + batch.len()) as u64, total });
    }
    Ok(())
}
