//! Worker threads that read, decode and resize images ahead of the detector. Images are returned in file order; memory is bounded.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, Scope};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use image::RgbImage;

use super::byte_budget::ByteBudget;
use super::decode::read_image_file_within;
use super::{DatasetError, decode_rgb_bytes, read_size};
use crate::domain::Cancel;

/// Byte budget for files and pixels being decoded by all workers. A larger image is decoded alone.
const DECODING_BYTES: u64 = 512 << 20;
/// Byte budget for prepared images waiting for the detector.
const READY_BYTES: u64 = 256 << 20;
/// Memory per pixel while it is decoded, rotated upright and converted to RGB.
const BYTES_PER_PIXEL: u64 = 6;
/// More threads would only compete for memory and disk.
const MOST_WORKERS: usize = 16;
/// Maximum time before a wait for a worker notices a cancel.
const CANCEL_POLL: Duration = Duration::from_millis(20);

/// An image prepared for the detector.
#[derive(Debug)]
pub struct ReadyImage<R> {
    pub image: R,
    /// blake3 of the file's bytes, lower-case hex.
    pub content_hash: String,
}

/// Why an image could not be prepared.
#[derive(Debug)]
pub enum NotReady<E> {
    /// The file cannot be read or decoded.
    Unreadable(DatasetError),
    /// Preparing it failed for another reason than the file.
    Failed(E),
    /// Preparing it panicked.
    Panicked,
}

/// An item of the queue.
#[derive(Debug)]
pub enum Next<R, E> {
    /// An image with its index among the files.
    Image(usize, Result<ReadyImage<R>, NotReady<E>>),
    End,
    Cancelled,
}

type Made<R, E> = Result<ReadyImage<R>, NotReady<E>>;

/// Prepares an image on any thread.
pub type Prepare<'a, R, E> = dyn Fn(&RgbImage) -> Result<R, E> + Sync + 'a;

/// Decodes images ahead of the detector. Dropping it stops its workers.
pub struct DecodeAhead<R, E> {
    jobs: Sender<usize>,
    results: Receiver<(usize, Made<R, E>)>,
    waiting: BTreeMap<usize, Made<R, E>>,
    files: usize,
    requested: usize,
    next: usize,
    /// Number of images requested in advance.
    ahead: usize,
    /// Number of images that the detector processes together: as many can always be ready at once.
    span: usize,
    bytes_of: fn(&R) -> u64,
}

impl<R: Send, E: Send> DecodeAhead<R, E> {
    /// Starts one worker per core in `scope`. `bytes_of` returns the memory of a prepared image.
    pub fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        files: &'scope [PathBuf],
        prepare: &'scope Prepare<'scope, R, E>,
        span: usize,
        bytes_of: fn(&R) -> u64,
    ) -> io::Result<Self>
    where
        R: 'scope,
        E: 'scope,
    {
        let workers = thread::available_parallelism().map_or(1, usize::from).min(MOST_WORKERS);
        let (jobs, queue) = unbounded::<usize>();
        let (results_in, results) = unbounded();
        let budget = Arc::new(ByteBudget::new(DECODING_BYTES));
        for number in 0..workers {
            let (queue, results_in, budget) = (queue.clone(), results_in.clone(), Arc::clone(&budget));
            let work = move || {
                while let Ok(at) = queue.recv() {
                    let Some(file) = files.get(at) else { continue };
                    let made = catch_unwind(AssertUnwindSafe(|| make(file, prepare, &budget)));
                    let made = made.unwrap_or(Err(NotReady::Panicked));
                    if results_in.send((at, made)).is_err() {
                        return;
                    }
                }
            };
            thread::Builder::new().name(format!("decode-{number}")).spawn_scoped(scope, work)?;
        }
        let (waiting, files) = (BTreeMap::new(), files.len());
        Ok(Self { jobs, results, waiting, files, requested: 0, next: 0, ahead: span + 2 * workers, span, bytes_of })
    }

    /// Returns the next image in file order.
    pub fn next(&mut self, cancel: &Cancel) -> Next<R, E> {
        if self.next == self.files {
            return Next::End;
        }
        while self.requested < self.files.min(self.next + self.ahead) {
            // Fails only if every worker has exited, which the next wait reports.
            let _ = self.jobs.send(self.requested);
            self.requested += 1;
        }
        loop {
            if cancel.is_cancelled() {
                return Next::Cancelled;
            }
            if let Some(made) = self.waiting.remove(&self.next) {
                let at = self.next;
                self.next += 1;
                return Next::Image(at, made);
            }
            match self.results.recv_timeout(CANCEL_POLL) {
                Ok((at, made)) => self.keep(at, made),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.keep(self.next, Err(NotReady::Panicked)),
            }
        }
    }

    fn keep(&mut self, at: usize, made: Made<R, E>) {
        if let Ok(ready) = &made {
            let fitting = (READY_BYTES / (self.bytes_of)(&ready.image).max(1)) as usize;
            self.ahead = self.ahead.min(fitting).max(self.span);
        }
        self.waiting.insert(at, made);
    }
}

fn make<R, E>(file: &Path, prepare: &Prepare<'_, R, E>, budget: &ByteBudget) -> Made<R, E> {
    let (bytes, held) = read_image_file_within(file, budget).map_err(NotReady::Unreadable)?;
    drop(held);
    let content_hash = blake3::hash(&bytes).to_hex().to_string();
    let header = read_size(&bytes, file).map_err(NotReady::Unreadable)?;
    let pixels = u64::from(header.width) * u64::from(header.height);
    let _held = budget.take(bytes.len() as u64 + pixels * BYTES_PER_PIXEL);
    let picture = decode_rgb_bytes(&bytes, file).map_err(NotReady::Unreadable)?;
    drop(bytes);
    Ok(ReadyImage { image: prepare(&picture).map_err(NotReady::Failed)?, content_hash })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of different sizes, one of which is not an image, in a folder.
    fn files(dir: &Path, count: u32) -> Vec<PathBuf> {
        let file = |k: u32| {
            let path = dir.join(format!("{k}.png"));
            if k == 5 {
                std::fs::write(&path, "no image").unwrap();
            } else {
                RgbImage::new(1 + 37 * (k % 7), 9 + k).save(&path).unwrap();
            }
            path
        };
        (0..count).map(file).collect()
    }

    #[test]
    fn images_come_in_order_whatever_their_size_and_a_broken_one_keeps_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path(), 60);
        let prepare = |image: &RgbImage| -> Result<_, ()> { Ok(image.dimensions()) };
        // Each takes so much that few fit: all images are still returned.
        for bytes_of in [|_: &(u32, u32)| 1_u64, |_: &(u32, u32)| READY_BYTES] {
            let seen = thread::scope(|scope| {
                let mut ahead = DecodeAhead::start(scope, &files, &prepare, 1, bytes_of).unwrap();
                let mut seen = Vec::new();
                while let Next::Image(at, made) = ahead.next(&Cancel::new()) {
                    seen.push((at, made.ok().map(|ready| ready.image)));
                }
                seen
            });
            let expected = |k: usize| (k != 5).then_some((1 + 37 * (k as u32 % 7), 9 + k as u32));
            assert_eq!(seen, (0..60).map(|k| (k, expected(k))).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_cancel_and_a_dropped_queue_end_the_workers() {
        let dir = tempfile::tempdir().unwrap();
        let files = files(dir.path(), 20);
        let prepare = |image: &RgbImage| -> Result<_, ()> { Ok(image.dimensions()) };
        thread::scope(|scope| {
            let mut ahead = DecodeAhead::start(scope, &files, &prepare, 1, |_| 1).unwrap();
            assert!(matches!(ahead.next(&Cancel::new()), Next::Image(0, Ok(_))));
            let cancel = Cancel::new();
            cancel.cancel();
            assert!(matches!(ahead.next(&cancel), Next::Cancelled));
        });
        let panics = |_: &RgbImage| -> Result<u32, ()> { std::panic::panic_any("a fault of the program") };
        thread::scope(|scope| {
            let mut ahead = DecodeAhead::start(scope, &files[..1], &panics, 1, |_| 1).unwrap();
            assert!(matches!(ahead.next(&Cancel::new()), Next::Image(0, Err(NotReady::Panicked))));
            assert!(matches!(ahead.next(&Cancel::new()), Next::End));
        });
    }
}
