//! An in-memory index of a round's detections on all images: 32 bytes each. Loaded once, and updated when ground truth changes.
//! `listing.rs` answers queries.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rayon::prelude::*;

use super::judge::{Judged, JudgedImage, Status, StatusCounts, judge, judge_as_curve};
use super::table::ImageTable;
use crate::domain::{
    Annotation, AnnotationSource, ClassId, Detection, ImageId, ImageRecord, RoundId, RoundRecord, RoundState,
};
use crate::evaluation::{EvaluatedImage, ImageOutcome, Matching, Region, match_image};
use crate::geometry::BoundingBox;
use crate::store::{DetectionsMark, Store};
use crate::training::RoundConfig;
use crate::workflow::WorkflowError;
use crate::workflow::copies::{Copies, Truth};
use crate::workflow::held_out::{OutputShape, scored_region};
use crate::workflow::held_out_file::HELD_OUT_FILE;
use crate::workflow::split::Split;
use crate::workflow::tested_round::TestedImages;

/// How a round uses an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    Training,
    /// Tested on, never trained on.
    HeldOut,
    /// Neither trained nor tested on.
    Unused,
}

/// A detection as used by lists and comparisons.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Found {
    pub bbox: [f32; 4],
    pub score: f32,
    pub class: u32,
    /// Index of the matched object; [`NO_OBJECT`] if none.
    pub object: u32,
    pub status: Status,
}

pub(super) const NO_OBJECT: u32 = u32::MAX;

impl Found {
    fn of(judged: &Judged) -> Self {
        let Detection { bbox, score, class, .. } = judged.detection;
        Self {
            bbox: [bbox.x1, bbox.y1, bbox.x2, bbox.y2].map(|v| v as f32),
            score,
            class: class.0 as u32,
            object: judged.object.unwrap_or(NO_OBJECT),
            status: judged.status,
        }
    }
}

/// A held-out image with everything that a curve needs. Its detections keep full precision, which the curve's counts depend on.
pub(super) struct HeldOutImage {
    pub detections: Vec<Detection>,
    /// The dataset's own objects.
    pub truth: Vec<Annotation>,
    /// The curve's counts by output shape, per class; computed on first use.
    outcomes: [Option<Vec<ImageOutcome>>; 2],
}

/// Modification times of the last evaluation's files.
type EvaluationMark = [Option<SystemTime>; 2];

pub struct RoundIndex {
    pub round: RoundId,
    /// Parallel to the table's images.
    pub roles: Vec<Role>,
    /// Whether the round was run on this image, so that an object without a detection is missed. Parallel to the table's images.
    pub was_run: Vec<bool>,
    /// Index in `found` of each image's first detection; one entry more than images.
    starts: Vec<u32>,
    /// By image, each one's highest score first. Held-out images are excluded.
    found: Vec<Found>,
    pub(super) held_out: HashMap<ImageId, HeldOutImage>,
    pub(super) copies: Copies,
    /// The default output shape for this round's curves.
    pub best_shape: OutputShape,
    marks: (DetectionsMark, RoundState),
    tested: EvaluationMark,
}

impl RoundIndex {
    pub fn read(
        store: &Store,
        round: &RoundRecord,
        table: &ImageTable,
        (truth, own): (&Truth, &Truth),
    ) -> Result<Self, WorkflowError> {
        let marks = (store.detections_mark(round.id)?, round.state);
        let tested = evaluation_mark(store, round);
        let records: Vec<ImageRecord> = table.images.iter().map(|image| image.record.clone()).collect();
        let (roles, copies, test) = roles(store, round, &records, truth);
        let mut held_out = held_out_images(store, round, (&test, &records), &copies, own)?;
        let mut reading = Reading { table, truth, copies: &copies, found: Vec::new(), starts: vec![0] };
        let (mut at, mut of_image) = (0, Vec::new());
        store.each_detection(round.id, |image, detection| {
            while at < records.len() && records[at].id < image {
                reading.close(at, &std::mem::take(&mut of_image), &mut held_out);
                at += 1;
            }
            if records.get(at).is_some_and(|record| record.id == image) {
                of_image.push(detection);
            }
        })?;
        while at < records.len() {
            reading.close(at, &std::mem::take(&mut of_image), &mut held_out);
            at += 1;
        }
        let (starts, mut found) = (reading.starts, reading.found);
        found.shrink_to_fit();
        let is_mined = round.state == RoundState::Mined;
        let was_run = records.iter().enumerate().map(|(at, record)| match roles[at] {
            Role::HeldOut => held_out.contains_key(&record.id),
            Role::Training => is_mined || starts[at] < starts[at + 1],
            Role::Unused => starts[at] < starts[at + 1],
        });
        let was_run = was_run.collect();
        let has_ellipses = held_out.values().any(|image| image.detections.iter().any(|d| d.ellipse.is_some()));
        let best_shape = if has_ellipses { OutputShape::Ellipse } else { OutputShape::Rectangle };
        Ok(Self { round: round.id, roles, was_run, starts, found, held_out, copies, best_shape, marks, tested })
    }

    /// Whether the round's detections are unchanged since they were loaded.
    pub fn is_current(&self, store: &Store, round: &RoundRecord) -> Result<bool, WorkflowError> {
        Ok(self.marks == (store.detections_mark(round.id)?, round.state))
    }

    /// Whether the round was not tested again since.
    pub fn is_of_last_test(&self, store: &Store, round: &RoundRecord) -> bool {
        self.tested == evaluation_mark(store, round)
    }

    /// Updates these images after their ground truth has changed.
    pub fn judge_again(
        &mut self,
        store: &Store,
        images: &[ImageId],
        table: &ImageTable,
        truth: &Truth,
    ) -> Result<(), WorkflowError> {
        for image in images {
            let Some(at) = table.place(*image).filter(|at| self.roles[*at] != Role::HeldOut) else { continue };
            let range = self.range(at);
            if range.is_empty() {
                continue;
            }
            let annotations = self.copies.annotations(&table.images[at].record, truth);
            let judged = judge(&store.detections(self.round, *image)?, &annotations, 0.0);
            if judged.detections.len() == range.len() {
                for (found, judged) in self.found[range].iter_mut().zip(&judged.detections) {
                    *found = Found::of(judged);
                }
            }
        }
        Ok(())
    }

    fn range(&self, at: usize) -> Range<usize> {
        self.starts[at] as usize..self.starts[at + 1] as usize
    }

    /// Returns the detections of a training image with at least this score.
    pub(super) fn found(&self, at: usize, threshold: f32) -> &[Found] {
        let of_image = &self.found[self.range(at)];
        &of_image[..of_image.partition_point(|found| found.score >= threshold)]
    }

    /// Returns a training image as it was judged with the ground truth `truth`.
    pub(super) fn judged(&self, at: usize, truth: &[Annotation], threshold: f32) -> JudgedImage {
        let mut image = JudgedImage::without_detections(truth);
        for (place, found) in self.found(at, threshold).iter().enumerate() {
            let [x1, y1, x2, y2] = found.bbox.map(f64::from);
            let (bbox, class) = (BoundingBox::new(x1, y1, x2, y2), ClassId(i64::from(found.class)));
            let detection = Detection { class, bbox, ellipse: None, score: found.score };
            let object = (found.object != NO_OBJECT).then_some(found.object);
            image.detections.push(Judged { detection, status: found.status, object });
            if let Some(object) = object.and_then(|object| image.objects.get_mut(object as usize)) {
                object.held_by = Some(place as u32);
            }
        }
        image
    }

    /// Returns the counts of an image at a score threshold, and its highest-scored false positive. `None`: the round was not run on it.
    pub fn counts(
        &self,
        at: usize,
        table: &ImageTable,
        (threshold, shape): (f32, OutputShape),
    ) -> Option<(StatusCounts, Option<f32>)> {
        if !self.was_run[at] {
            return None;
        }
        let image = &table.images[at];
        if self.roles[at] == Role::HeldOut {
            return self.held_out.get(&image.record.id).map(|image| image.counts(threshold, shape));
        }
        let mut counts = StatusCounts::default();
        let mut highest = None;
        for found in self.found(at, threshold) {
            match found.status {
                Status::TruePositive => counts.true_positives += 1,
                Status::Ignored => counts.ignored += 1,
                Status::FalsePositive(_) => {
                    counts.false_positives += 1;
                    highest = highest.or(Some(found.score));
                }
            }
        }
        counts.missed = image.objects.saturating_sub(counts.true_positives);
        Some((counts, highest))
    }

    /// Counts the held-out images like the curves of this shape, unless already done.
    pub fn count_held_out(&mut self, table: &ImageTable, shape: OutputShape) {
        let size = |image: &ImageId| table.get(*image).map(|row| (row.record.width, row.record.height));
        self.held_out.par_iter_mut().for_each(|(image, held_out)| {
            if let (None, Some(size)) = (&held_out.outcomes[shape as usize], size(image)) {
                held_out.outcomes[shape as usize] = Some(outcomes(held_out, size, shape));
            }
        });
    }
}

impl HeldOutImage {
    fn new(detections: Vec<Detection>, truth: Vec<Annotation>) -> Self {
        Self { detections, truth, outcomes: [None, None] }
    }

    fn counts(&self, threshold: f32, shape: OutputShape) -> (StatusCounts, Option<f32>) {
        let mut counts = StatusCounts::default();
        let mut highest: Option<f64> = None;
        for outcome in self.outcomes[shape as usize].iter().flatten() {
            // The step of the lowest kept score.
            let kept = outcome.steps.iter().find(|step| step.threshold >= f64::from(threshold));
            let true_positives = kept.map_or(0, |step| step.true_positives) as u32;
            counts.true_positives += true_positives;
            counts.false_positives += kept.map_or(0, |step| step.false_positives) as u32;
            counts.missed += outcome.faces as u32 - true_positives;
            let first = outcome.steps.iter().rfind(|step| step.false_positives > 0);
            let first = first.map(|step| step.threshold).filter(|score| *score >= f64::from(threshold));
            highest = highest.into_iter().chain(first).reduce(f64::max);
        }
        (counts, highest.map(|score| score as f32))
    }

    pub(super) fn judge(&self, size: (u32, u32), threshold: f32, shape: OutputShape) -> JudgedImage {
        judge_as_curve(&self.detections, &self.truth, (threshold, shape), size)
    }
}

/// Returns the outcome of each class: a detection only matches objects of its class.
fn outcomes(image: &HeldOutImage, (width, height): (u32, u32), shape: OutputShape) -> Vec<ImageOutcome> {
    let of_objects = image.truth.iter().filter(|object| !object.ignored).map(|object| object.class);
    let mut classes: Vec<ClassId> = of_objects.chain(image.detections.iter().map(|d| d.class)).collect();
    classes.sort_unstable();
    classes.dedup();
    let outcome = |class: ClassId| {
        let objects = image.truth.iter().filter(|object| object.class == class && !object.ignored);
        let found = image.detections.iter().filter(|detection| detection.class == class);
        let evaluated = EvaluatedImage {
            name: String::new(),
            width,
            height,
            faces: objects.map(|object| Region::from(&object.shape)).collect(),
            detections: found.map(|detection| scored_region(detection, shape)).collect(),
        };
        match_image(&evaluated, Matching::Official)
    };
    classes.into_iter().map(outcome).collect()
}

struct Reading<'a> {
    table: &'a ImageTable,
    truth: &'a Truth,
    copies: &'a Copies,
    found: Vec<Found>,
    starts: Vec<u32>,
}

impl Reading<'_> {
    /// Stores all detections of the image at this index.
    fn close(&mut self, at: usize, detections: &[Detection], held_out: &mut HashMap<ImageId, HeldOutImage>) {
        let record = &self.table.images[at].record;
        if let Some(image) = held_out.get_mut(&record.id) {
            if image.detections.is_empty() {
                image.detections = detections.to_vec();
            }
        } else if !detections.is_empty() {
            let judged = judge(detections, &self.copies.annotations(record, self.truth), 0.0);
            self.found.extend(judged.detections.iter().map(Found::of));
        }
        self.starts.push(self.found.len() as u32);
    }
}

/// Returns each image's role in the round, and its test images. If the project no longer has the round's splits, every image with
/// detections counts as trained on.
fn roles(
    store: &Store,
    round: &RoundRecord,
    records: &[ImageRecord],
    truth: &Truth,
) -> (Vec<Role>, Copies, Vec<ImageRecord>) {
    let config = RoundConfig::from_stored(&round.config_toml, &round.title());
    let split =
        config.map_err(WorkflowError::from).and_then(|config| Split::new(records, &store.datasets()?, truth, &config));
    let Ok(split) = split else {
        return (vec![Role::Training; records.len()], Copies::new(records, truth), Vec::new());
    };
    let mut roles: HashMap<ImageId, Role> = split.training.iter().map(|image| (image.id, Role::Training)).collect();
    roles.extend(split.test.iter().map(|image| (image.id, Role::HeldOut)));
    let roles = records.iter().map(|record| roles.get(&record.id).copied().unwrap_or(Role::Unused)).collect();
    (roles, split.copies, split.test)
}

/// Returns the round's test images; for an imported round their detections are read from the database.
fn held_out_images(
    store: &Store,
    round: &RoundRecord,
    (test, records): (&[ImageRecord], &[ImageRecord]),
    copies: &Copies,
    own: &Truth,
) -> Result<HashMap<ImageId, HeldOutImage>, WorkflowError> {
    let mut read = if round.is_own() {
        let Some(read) = TestedImages::read(store, round, &run_dir(store, round), records)? else {
            return Ok(HashMap::new());
        };
        let images = read.images.iter().map(|image| image.id);
        Some(images.zip(read.detections).collect::<HashMap<ImageId, Vec<Detection>>>())
    } else {
        None
    };
    let tested_with = copies.tested_with(test, own);
    let mut images = HashMap::new();
    for image in test {
        let detections = match &mut read {
            None => Vec::new(),
            // An image that was added to the test set since was not evaluated.
            Some(read) => match read.remove(&image.id) {
                Some(detections) => detections,
                None => continue,
            },
        };
        let annotations = tested_with.get(&image.id).map_or(&[][..], Vec::as_slice);
        let imported = annotations.iter().filter(|a| a.source == AnnotationSource::Imported).copied();
        images.insert(image.id, HeldOutImage::new(detections, imported.collect()));
    }
    Ok(images)
}

fn evaluation_mark(store: &Store, round: &RoundRecord) -> EvaluationMark {
    let dir = run_dir(store, round);
    [OutputShape::Rectangle.detections_file(&dir), dir.join(HELD_OUT_FILE)]
        .map(|file| std::fs::metadata(file).and_then(|file| file.modified()).ok())
}

/// [`Project::run_dir`](crate::workflow::Project::run_dir) without opening the project, which would clean up its folders.
fn run_dir(store: &Store, round: &RoundRecord) -> PathBuf {
    let dir = store.path().parent().unwrap_or(Path::new("."));
    dir.join("runs").join(round.number.to_string())
}
