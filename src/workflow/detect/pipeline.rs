//! The detection pipeline: decodes images ahead on worker threads, batches them, and returns detections per image in order. Used by mining,
//! detection, held-out tests and cross-validation.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use image::RgbImage;

use crate::dataset::{DecodeAhead, Next, NotReady, ReadyImage};
use crate::detector::{Detector, FoundObject, NetworkImage};
use crate::domain::{Cancel, Progress, Sources};
use crate::workflow::detection_source::DetectionSource;
use crate::workflow::{Observer, WorkEvent, WorkflowError};

/// A checkpoint of Quarry.
pub(in crate::workflow) struct Checkpoint<'a> {
    pub detector: &'a Detector,
    /// Whether each object includes its second-stage features.
    pub with_features: bool,
    /// Batch size, unless the device determines it.
    pub batch: Option<usize>,
}

impl<'a> Checkpoint<'a> {
    pub fn new(detector: &'a Detector) -> Self {
        Self { detector, with_features: false, batch: None }
    }
}

impl DetectionSource for Checkpoint<'_> {
    type Ready = NetworkImage;
    type Found = FoundObject;

    fn preparer(&self) -> impl Fn(&RgbImage) -> Result<NetworkImage, WorkflowError> + Send + Sync {
        let preparer = self.detector.preparer();
        move |image: &RgbImage| Ok(preparer.prepare(image)?)
    }

    fn bytes(ready: &NetworkImage) -> u64 {
        ready.bytes()
    }

    fn shape(ready: &NetworkImage) -> (u32, u32) {
        ready.padded()
    }

    fn batch_images(&self) -> usize {
        self.batch.unwrap_or_else(|| self.detector.batch_images()).max(1)
    }

    fn detect(&self, images: &[&NetworkImage]) -> Result<Vec<Vec<FoundObject>>, WorkflowError> {
        Ok(self.detector.detect_batch(images, self.with_features)?)
    }
}

/// The images to detect on, and what is monitored meanwhile.
pub(in crate::workflow) struct Task<'a> {
    pub files: &'a [PathBuf],
    pub sources: &'a Sources,
    /// Fails if the work's destination has been moved.
    pub is_there: &'a dyn Fn() -> Result<(), WorkflowError>,
    /// Progress text in sentence case.
    pub what: &'a str,
    /// Number of images completed earlier, for the progress.
    pub done_before: usize,
}

/// The result for an image file.
pub(in crate::workflow) struct OfImage<T> {
    /// Its index among the files.
    pub place: usize,
    /// `None` if the file could not be read: nothing is known about it.
    pub found: Option<Vec<T>>,
    /// blake3 of the file's bytes, lower-case hex; empty if they could not be read.
    pub content_hash: String,
}

/// The duration of a run.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::workflow) struct Pace {
    images: usize,
    batches: usize,
    whole: Duration,
    detecting: Duration,
}

impl std::fmt::Display for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.whole.as_secs_f64().max(1e-9);
        let (each, share) = (self.images as f64 / seconds, 100.0 * self.detecting.as_secs_f64() / seconds);
        write!(
            f,
            "{} images in {seconds:.1} s, {each:.2} images/s; the detector was busy {share:.0} % of it",
            self.images
        )
    }
}

/// Number of images that are collected before those of similar shape are batched: an image's detections can depend, in the last digits, on
/// the others in its span.
pub(in crate::workflow) fn span<S: DetectionSource>(source: &S) -> usize {
    let batch = source.batch_images();
    if batch > 1 { batch * source.batches_at_once() } else { 1 }
}

/// Detects on the files and passes the results to `take` in order. An unreadable file is logged once, and has no detections; if its whole
/// dataset is missing, that is an error.
pub(in crate::workflow) fn detect_on<S: DetectionSource>(
    source: &S,
    task: &Task<'_>,
    observer: &mut Observer,
    cancel: &Cancel,
    mut take: impl FnMut(OfImage<S::Found>, &mut Observer) -> Result<(), WorkflowError>,
) -> Result<Pace, WorkflowError> {
    task.sources.check()?;
    let prepare = source.preparer();
    let (batch, span) = (source.batch_images(), span(source));
    let begun = Instant::now();
    let mut pace = Pace::default();
    thread::scope(|scope| {
        let failed =
            WorkflowError::io(Path::new("a thread that decodes images"), "Close other programs and try again.");
        let mut ahead = DecodeAhead::start(scope, task.files, &prepare, span, S::bytes).map_err(failed)?;
        let mut is_left = true;
        while is_left {
            let mut images = Vec::with_capacity(span);
            while is_left && images.len() < span {
                // Checked before each image, so that a pause or a moved project does not wait for a whole span.
                cancel.wait_while_paused();
                (task.is_there)()?;
                match ahead.next(cancel) {
                    Next::Image(at, made) => images.push(taken(at, made, task, observer)?),
                    Next::End => is_left = false,
                    Next::Cancelled => return Err(WorkflowError::Cancelled),
                }
            }
            for of_image in detect_span(source, images, batch, &mut pace, task, observer)? {
                take(of_image, observer)?;
            }
        }
        tell(&pace, task, observer);
        pace.whole = begun.elapsed();
        Ok(pace)
    })
}

/// An image of a span with its index; `None` if it could not be read.
type Taken<R> = (usize, Option<ReadyImage<R>>);

fn taken<R>(
    at: usize,
    made: Result<ReadyImage<R>, NotReady<WorkflowError>>,
    task: &Task<'_>,
    observer: &mut Observer,
) -> Result<Taken<R>, WorkflowError> {
    match made {
        Ok(ready) => Ok((at, Some(ready))),
        Err(NotReady::Failed(error)) => Err(error),
        Err(NotReady::Panicked) => {
            let reason = "preparing the image failed: please report this with the image".to_owned();
            Err(WorkflowError::BadFile { path: task.files[at].clone(), reason })
        }
        Err(NotReady::Unreadable(error)) => {
            task.sources.check_around(&task.files[at])?;
            observer(WorkEvent::Log(format!("Left out: {error}")));
            Ok((at, None))
        }
    }
}

/// Detects on images in batches of similar shape; returns results in input order.
fn detect_span<S: DetectionSource>(
    source: &S,
    images: Vec<Taken<S::Ready>>,
    batch: usize,
    pace: &mut Pace,
    task: &Task<'_>,
    observer: &mut Observer,
) -> Result<Vec<OfImage<S::Found>>, WorkflowError> {
    let mut found: Vec<Option<Vec<S::Found>>> = images.iter().map(|_| None).collect();
    let mut left: Vec<(usize, &S::Ready)> =
        images.iter().enumerate().filter_map(|(k, (_, ready))| Some((k, &ready.as_ref()?.image))).collect();
    pace.images += images.len() - left.len();
    while let Some(&(_, first)) = left.first() {
        tell(pace, task, observer);
        let shape = S::shape(first);
        let same_shape: Vec<(usize, &S::Ready)> =
            left.iter().filter(|(_, ready)| S::shape(ready) == shape).take(batch).copied().collect();
        left.retain(|(k, _)| same_shape.iter().all(|(taken, _)| taken != k));
        let begun = Instant::now();
        let ready: Vec<&S::Ready> = same_shape.iter().map(|(_, ready)| *ready).collect();
        let of_batch = source.detect(&ready)?;
        pace.detecting += begun.elapsed();
        pace.batches += 1;
        pace.images += same_shape.len();
        for ((k, _), of_image) in same_shape.into_iter().zip(of_batch) {
            found[k] = Some(of_image);
        }
    }
    let of_image = |((place, ready), found): (Taken<S::Ready>, _)| OfImage {
        place,
        found,
        content_hash: ready.map(|ready| ready.content_hash).unwrap_or_default(),
    };
    Ok(images.into_iter().zip(found).map(of_image).collect())
}

fn tell(pace: &Pace, task: &Task<'_>, observer: &mut Observer) {
    let (done, total) = (task.done_before + pace.images, task.done_before + task.files.len());
    observer(WorkEvent::Progress(Progress { what: task.what.to_owned(), done: done as u64, total: total as u64 }));
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// A fake detector that detects each image's width and height, and records its batches.
    struct Sizes {
        batch: usize,
        batches: RefCell<Vec<Vec<(u32, u32)>>>,
    }

    impl DetectionSource for Sizes {
        type Ready = (u32, u32);
        type Found = u32;

        fn preparer(&self) -> impl Fn(&RgbImage) -> Result<(u32, u32), WorkflowError> + Send + Sync {
            |image: &RgbImage| Ok(image.dimensions())
        }

        fn bytes(_: &(u32, u32)) -> u64 {
            1
        }

        fn shape(ready: &(u32, u32)) -> (u32, u32) {
            *ready
        }

        fn batch_images(&self) -> usize {
            self.batch
        }

        fn detect(&self, images: &[&(u32, u32)]) -> Result<Vec<Vec<u32>>, WorkflowError> {
            self.batches.borrow_mut().push(images.iter().map(|size| **size).collect());
            Ok(images.iter().map(|(width, height)| vec![*width, *height]).collect())
        }
    }

    fn file(dir: &Path, k: u32) -> PathBuf {
        let path = dir.join(format!("{k}.png"));
        let size = [(40, 30), (30, 40), (41, 30)][(k % 3) as usize];
        if k == 4 {
            std::fs::write(&path, "no image").unwrap();
        } else {
            RgbImage::new(size.0, size.1).save(&path).unwrap();
        }
        path
    }

    #[test]
    fn results_come_in_order_and_batches_hold_images_of_one_shape() {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<PathBuf> = (0..25).map(|k| file(dir.path(), k)).collect();
        let sources = Sources::new([dir.path().to_owned()], files.iter().map(PathBuf::as_path));
        let mut all = Vec::new();
        for batch in [1, 2, 4, 32] {
            let source = Sizes { batch, batches: RefCell::default() };
            let (mut seen, mut reported, mut log) = (Vec::new(), Vec::new(), Vec::new());
            let mut observer = |event| match event {
                WorkEvent::Progress(progress) => reported.push((progress.done, progress.total)),
                WorkEvent::Log(line) => log.push(line),
                _ => {}
            };
            let task =
                Task { files: &files, sources: &sources, is_there: &|| Ok(()), what: "Detecting", done_before: 5 };
            let take = |of_image: OfImage<u32>, _: &mut Observer| {
                seen.push((of_image.place, of_image.found, of_image.content_hash.len()));
                Ok(())
            };
            let pace = detect_on(&source, &task, &mut observer, &Cancel::new(), take).unwrap();
            assert_eq!((pace.images, pace.batches), (25, source.batches.borrow().len()));
            assert!(log.len() == 1 && log[0].contains("4.png"), "{log:?}");
            assert!(reported.is_sorted() && reported.last() == Some(&(30, 30)), "{reported:?}");
            assert_eq!(seen.iter().map(|(place, ..)| *place).collect::<Vec<_>>(), (0..25).collect::<Vec<_>>());
            assert_eq!(seen[4], (4, None, 0));
            assert_eq!(seen[5], (5, Some(vec![41, 30]), 64));
            let batches = source.batches.borrow();
            assert!(batches.iter().all(|b| b.len() <= batch && b.iter().all(|size| *size == b[0])), "{batches:?}");
            assert!(batch == 1 || batches.iter().any(|b| b.len() > 1));
            all.push(seen);
        }
        assert!(all.iter().all(|seen| *seen == all[0]));
    }

    #[test]
    fn the_work_ends_where_its_place_or_the_images_are_gone_or_somebody_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("images");
        std::fs::create_dir(&folder).unwrap();
        let files: Vec<PathBuf> = (5..45).map(|k| file(&folder, k)).collect();
        let sources = Sources::new([folder.clone()], files.iter().map(PathBuf::as_path));
        let source = Sizes { batch: 1, batches: RefCell::default() };
        let run = |is_there: &dyn Fn() -> Result<(), WorkflowError>, at_third: &dyn Fn(), cancel: &Cancel| {
            let task = Task { files: &files, sources: &sources, is_there, what: "Detecting", done_before: 0 };
            let mut taken = 0;
            let take = |_: OfImage<u32>, _: &mut Observer| {
                taken += 1;
                if taken == 3 {
                    at_third();
                }
                Ok(())
            };
            (detect_on(&source, &task, &mut |_| {}, cancel, take).map(|_| ()), taken)
        };
        let left = std::cell::Cell::new(10);
        let moved = || {
            left.set(left.get() - 1);
            if left.get() == 0 { Err(WorkflowError::Refused("moved".to_owned())) } else { Ok(()) }
        };
        let (result, taken) = run(&moved, &|| {}, &Cancel::new());
        assert!(result.unwrap_err().to_string() == "moved" && taken == 9);
        let cancel = Cancel::new();
        let (result, taken) = run(&|| Ok(()), &|| cancel.cancel(), &cancel);
        assert!(matches!(result, Err(WorkflowError::Cancelled)) && taken == 3);
        let unmount = || std::fs::rename(&folder, dir.path().join("away")).unwrap();
        let (result, taken) = run(&|| Ok(()), &unmount, &Cancel::new());
        assert!(matches!(result, Err(WorkflowError::Away(_))) && (3..40).contains(&taken), "{taken}");
        let (result, _) = run(&|| Ok(()), &|| {}, &Cancel::new());
        assert!(matches!(result, Err(WorkflowError::Away(_))), "not even begun");
    }
}
