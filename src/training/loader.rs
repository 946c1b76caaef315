//! Worker threads that decode, resize and flip images ahead of the step. The samples and their order depend only on the settings, not on
//! thread timing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use image::RgbImage;

use super::config::RoundConfig;
use super::device::choose_device;
use super::error::TrainingError;
use super::order::{Order, Slot};
use crate::detector::{DetectorConfig, NetworkImage, SamplerConfig, TrainingSample, cuda_index};
use crate::domain::{Cancel, ImageId, Shape, Sources, caught, check_shape};
use crate::geometry::{BoundingBox, NetworkPx};

/// An image with everything that the round trains on, in its own pixels. Without objects it is all background.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingImage {
    pub id: ImageId,
    /// Absolute path.
    pub path: PathBuf,
    /// Width and height as imported; 0 if unknown.
    pub size: (u32, u32),
    pub faces: Vec<Shape>,
    /// The label of each object, from 1; missing ones are 1.
    pub labels: Vec<i64>,
    /// Each with its detection score, in any order.
    pub hard_negatives: Vec<(BoundingBox, f32)>,
    /// The predicted label of each hard negative, from 1; missing ones are 1.
    pub hard_negative_labels: Vec<i64>,
    /// Hard negatives on objects that the detector misclassified: RoIs that are sampled first, as foreground of the object's own class,
    /// never as background.
    pub misclassified: Vec<BoundingBox>,
    /// Neither foreground nor background (rejected candidates).
    pub ignored: Vec<BoundingBox>,
}

/// Decodes an image; the error text says what is wrong with it.
pub type Decode = fn(&Path) -> Result<RgbImage, String>;

/// Maximum time before a wait for a worker notices a cancel.
const CANCEL_POLL: Duration = Duration::from_millis(20);

/// A worker's result for a slot: the sample, or why the image cannot be read.
type Prepared = (Slot, Result<TrainingSample, String>);

/// An image ready for the step.
#[derive(Debug)]
pub(super) struct Loaded {
    pub slot: Slot,
    pub sample: TrainingSample,
}

/// The input shared by all workers.
struct Source {
    images: Vec<TrainingImage>,
    decode: Decode,
    detector: DetectorConfig,
    sampler: SamplerConfig,
    /// Images are resized on a GPU.
    for_gpu: bool,
}

/// The image queue. Dropping it stops and joins its workers.
pub(super) struct Loader {
    order: Order,
    source: Arc<Source>,
    /// Position of the next image: with `unreadable`, the loader's entire state in a checkpoint.
    next: u64,
    requested: u64,
    prefetch: u64,
    ready: BTreeMap<u64, Prepared>,
    /// Images skipped in this session: unreadable ones, and those excluded at the start.
    unreadable: BTreeSet<usize>,
    given_up: Vec<usize>,
    first_failure: Option<String>,
    sources: Sources,
    jobs: Option<Sender<Slot>>,
    results: Receiver<(Slot, Result<TrainingSample, String>)>,
    workers: Vec<JoinHandle<()>>,
}

impl Loader {
    /// Starts at `position` of the sequence; images in `left_out` are skipped. `batch` images are grouped by shape: as many as a batch has
    /// before it is made smaller for its memory.
    pub fn start(
        config: &RoundConfig,
        batch: u32,
        images: Vec<TrainingImage>,
        decode: Decode,
        position: u64,
        left_out: BTreeSet<usize>,
    ) -> Result<Self, TrainingError> {
        if left_out.len() >= images.len() {
            return Err(TrainingError::NoImages);
        }
        let sizes: Vec<(u32, u32)> = images.iter().map(|image| image.size).collect();
        let order = Order::new(config.seed, &sizes, config.flip, config.scale_jitter, batch);
        let (detector, sampler) = (config.detector.clone(), config.sampler.clone());
        let for_gpu = choose_device(&config.device).is_ok_and(|device| cuda_index(device).is_some());
        let source = Arc::new(Source { images, decode, detector, sampler, for_gpu });
        let (jobs, job_queue) = unbounded::<Slot>();
        let (result_sender, results) = bounded(config.prefetch as usize);
        let spawn = |index: u32| {
            let (source, jobs, results) = (Arc::clone(&source), job_queue.clone(), result_sender.clone());
            thread::Builder::new()
                .name(format!("loader-{index}"))
                .spawn(move || work(&source, &jobs, &results))
                .map_err(TrainingError::io(Path::new("loader"), "starting a worker thread"))
        };
        let workers = (0..config.workers).map(spawn).collect::<Result<Vec<_>, _>>()?;
        let prefetch = u64::from(config.prefetch);
        let ready = BTreeMap::new();
        let jobs = Some(jobs);
        let first_failure = None;
        Ok(Self {
            order,
            source,
            next: position,
            requested: position,
            prefetch,
            ready,
            unreadable: left_out,
            given_up: Vec::new(),
            first_failure,
            sources: Sources::default(),
            jobs,
            results,
            workers,
        })
    }

    /// Checks the datasets when an image is unreadable: an error if a whole dataset is missing.
    #[must_use]
    pub fn watching(mut self, sources: Sources) -> Self {
        self.sources = sources;
        self
    }

    /// Returns the same loader from `position` on, with other settings; unreadable images are not reported again.
    pub fn restarted(&self, config: &RoundConfig, position: u64) -> Result<Self, TrainingError> {
        self.restarted_with(config, position, self.source.images.clone())
    }

    /// [`Self::restarted`] with other data on the same images, from `position` on: those prepared ahead are prepared again.
    pub fn restarted_with(
        &self,
        config: &RoundConfig,
        position: u64,
        images: Vec<TrainingImage>,
    ) -> Result<Self, TrainingError> {
        let batch = self.order.batch();
        let mut loader = Self::start(config, batch, images, self.source.decode, position, self.unreadable.clone())?;
        loader.given_up.clone_from(&self.given_up);
        loader.first_failure.clone_from(&self.first_failure);
        Ok(loader.watching(self.sources.clone()))
    }

    /// Returns the next readable image, or `None` after a cancel. Calls `warn` once for each unreadable image.
    pub fn next(&mut self, cancel: &Cancel, warn: &mut dyn FnMut(String)) -> Result<Option<Loaded>, TrainingError> {
        loop {
            self.ask();
            let Some((slot, result)) = self.take(cancel)? else { return Ok(None) };
            self.next = slot.position + 1;
            match result {
                // An image known to be unreadable is never sent to a worker.
                _ if self.unreadable.contains(&slot.image) => {}
                Ok(sample) => return Ok(Some(Loaded { slot, sample })),
                Err(reason) => self.give_up(slot.image, &reason, warn)?,
            }
        }
    }

    pub fn position(&self) -> u64 {
        self.next
    }

    /// Returns all images skipped in this session.
    pub fn unreadable(&self) -> &BTreeSet<usize> {
        &self.unreadable
    }

    /// Returns the images that could not be read in this session.
    pub fn given_up(&self) -> &[usize] {
        &self.given_up
    }

    pub fn image(&self, index: usize) -> &TrainingImage {
        &self.source.images[index]
    }

    fn ask(&mut self) {
        while self.requested < self.next + self.prefetch {
            let slot = self.order.slot(self.requested);
            self.requested += 1;
            if self.unreadable.contains(&slot.image) {
                self.ready.insert(slot.position, (slot, Err(String::new())));
            } else if let Some(jobs) = &self.jobs {
                // Fails only if every worker has exited, which `take` reports.
                let _ = jobs.send(slot);
            }
        }
    }

    fn take(&mut self, cancel: &Cancel) -> Result<Option<Prepared>, TrainingError> {
        loop {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            if let Some(found) = self.ready.remove(&self.next) {
                return Ok(Some(found));
            }
            match self.results.recv_timeout(CANCEL_POLL) {
                Ok((slot, result)) => drop(self.ready.insert(slot.position, (slot, result))),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(TrainingError::Panic("the loader's workers have stopped".to_owned()));
                }
            }
        }
    }

    fn give_up(&mut self, image: usize, reason: &str, warn: &mut dyn FnMut(String)) -> Result<(), TrainingError> {
        let path = &self.source.images[image].path;
        self.sources.check_around(path)?;
        let message = format!("{}: {reason}", path.display());
        warn(format!("{message}; the image is left out until the round is resumed"));
        let images = self.source.images.len() - (self.unreadable.len() - self.given_up.len());
        self.unreadable.insert(image);
        self.given_up.push(image);
        let first = self.first_failure.get_or_insert(message).clone();
        let unreadable = self.given_up.len();
        if unreadable * 2 > images {
            return Err(TrainingError::MostUnreadable { unreadable, images, first });
        }
        Ok(())
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.jobs = None;
        // Workers blocked on a full queue exit when the receiver is gone.
        self.results = crossbeam_channel::never();
        for worker in self.workers.drain(..) {
            // A worker's panic was caught per image and reported as that image's error.
            let _ = worker.join();
        }
    }
}

fn work(source: &Source, jobs: &Receiver<Slot>, results: &Sender<(Slot, Result<TrainingSample, String>)>) {
    while let Ok(slot) = jobs.recv() {
        let loaded = caught(|| load(source, slot));
        let result = loaded.unwrap_or_else(|panic| Err(TrainingError::panic(panic).to_string()));
        if results.send((slot, result)).is_err() {
            return;
        }
    }
}

fn load(source: &Source, slot: Slot) -> Result<TrainingSample, String> {
    let image = &source.images[slot.image];
    let picture = (source.decode)(&image.path)?;
    let detector = source.detector.resized(slot.scale);
    let prepare = if source.for_gpu { NetworkImage::prepare_for_gpu } else { NetworkImage::prepare };
    let prepared = prepare(&picture, &detector).map_err(|error| error.to_string())?;
    let sample = sample_of(&with_valid_shapes(image, picture.dimensions()), prepared, &source.sampler, slot.epoch);
    Ok(if slot.flip { sample.flipped() } else { sample })
}

/// Returns the image without invalid shapes, which may come from an import by an earlier version or a merged file.
fn with_valid_shapes(image: &TrainingImage, (width, height): (u32, u32)) -> TrainingImage {
    let mut image = image.clone();
    let is_sane: Vec<bool> = image.faces.iter().map(|face| check_shape(face, width, height).is_ok()).collect();
    image.labels.resize(image.faces.len(), 1);
    let mut of_faces = is_sane.iter();
    image.faces.retain(|_| of_faces.next() == Some(&true));
    let mut of_labels = is_sane.iter();
    image.labels.retain(|_| of_labels.next() == Some(&true));
    image.hard_negative_labels.resize(image.hard_negatives.len(), 1);
    (image.hard_negatives, image.hard_negative_labels) = std::mem::take(&mut image.hard_negatives)
        .into_iter()
        .zip(std::mem::take(&mut image.hard_negative_labels))
        .filter(|((b, _), _)| check_shape(&Shape::Rectangle(*b), width, height).is_ok())
        .unzip();
    image.misclassified.retain(|b| check_shape(&Shape::Rectangle(*b), width, height).is_ok());
    image.ignored.retain(BoundingBox::is_finite);
    image
}

/// Converts the image's annotations to network pixels. Object boxes are clipped to the image, like proposals; ellipses stay whole. Shapes
/// without area inside the image are dropped: they cannot be learnt.
fn sample_of(image: &TrainingImage, prepared: NetworkImage, sampler: &SamplerConfig, epoch: u64) -> TrainingSample {
    let fit = prepared.fit;
    let (width, height) = (f64::from(prepared.width), f64::from(prepared.height));
    let visible = |face: &Shape| fit.bounding_box(&face.bounding_box()).clipped(width, height);
    let learnable = |b: &BoundingBox<NetworkPx>| b.is_finite() && b.width() > 0.0 && b.height() > 0.0;
    let label = |k: usize| image.labels.get(k).copied().unwrap_or(1);
    let learnt: Vec<usize> = (0..image.faces.len()).filter(|&k| learnable(&visible(&image.faces[k]))).collect();
    let hard = prioritised(image, sampler, epoch);
    TrainingSample {
        faces: learnt.iter().map(|&k| visible(&image.faces[k])).collect(),
        labels: learnt.iter().map(|&k| label(k)).collect(),
        ellipses: learnt.iter().map(|&k| image.faces[k].ellipse().map(|e| fit.ellipse(&e))).collect(),
        misclassified: image.misclassified.iter().map(|b| fit.bounding_box(b)).collect(),
        hard_negatives: hard.iter().map(|(b, _)| fit.bounding_box(b)).collect(),
        hard_negative_labels: hard.iter().map(|(_, label)| *label).collect(),
        ignored: image.ignored.iter().map(|b| fit.bounding_box(b)).collect(),
        image: prepared,
    }
}

/// Returns hard negatives by descending score with their labels. If there are more than fit a mini-batch, each epoch starts where the
/// previous one ended. Those on an object (previously missed) are dropped.
fn prioritised(image: &TrainingImage, sampler: &SamplerConfig, epoch: u64) -> Vec<(BoundingBox, i64)> {
    let faces: Vec<BoundingBox> = image.faces.iter().map(Shape::bounding_box).collect();
    let off_faces = |b: &BoundingBox| b.max_iou(&faces).is_none_or(|(_, iou)| iou < sampler.fg_iou);
    let label = |k: usize| image.hard_negative_labels.get(k).copied().unwrap_or(1);
    let all = image.hard_negatives.iter().enumerate().map(|(k, (b, score))| (*b, *score, label(k)));
    let mut hard: Vec<(BoundingBox, f32, i64)> = all.filter(|(b, ..)| b.area() > 0.0 && off_faces(b)).collect();
    hard.sort_by(|a, b| b.1.total_cmp(&a.1));
    let room = sampler.batch_per_image - (sampler.batch_per_image as f64 * sampler.positive_fraction) as usize;
    if hard.len() > room {
        let by = (epoch as usize).wrapping_mul(room) % hard.len();
        hard.rotate_left(by);
    }
    hard.into_iter().map(|(b, _, label)| (b, label)).collect()
}

#[cfg(test)]
mod tests;
