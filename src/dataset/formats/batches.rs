//! Reads many small annotation files in parallel batches, so that cancellation and progress are prompt and memory is bounded.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::dataset::DatasetError;
use crate::domain::{Cancel, Progress};

/// Calls `read` for batches of `size` files in parallel, and `take` with the results in the order of `files`. Stops at the first error of
/// `take` or at a cancellation.
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
