//! The rounds' detections on the project's images, for display: lists of all images, single ones, and two rounds side by side. Read-only;
//! its cache follows the database.

mod compare;
mod files;
mod index;
mod judge;
mod listing;
mod table;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;

pub use compare::{Change, ChangeCounts, ChangedError, ErrorKind, ImageError, compare, errors};
pub use files::{FileDepth, check_file};
pub use index::Role;
use index::RoundIndex;
pub use judge::{Judged, JudgedImage, JudgedObject, Status, StatusCounts, judge, judge_as_curve};
pub use listing::{
    ANY_COUNT, CountRange, FileProblem, FileProblems, ImageQuery, ImageSort, ListedImage, Listing, NO_LIMIT,
};
pub use table::{ImageTable, TableImage};

use super::WorkflowError;
use super::copies::Truth;
pub use super::held_out::OutputShape;
use crate::domain::{
    Annotation, Candidate, GroundTruthId, ImageId, ImageRecord, ObjectState, RoundId, RoundState, Verdict,
};
use crate::store::{ObjectRow, Revision, Store};

/// Number of rounds whose detections are cached in memory.
const INDEXES_KEPT: usize = 3;
/// A candidate mined again has nearly the same box.
const SAME_BOX_IOU: f64 = 0.9;

/// Which image to open, and what to draw over it.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenQuery {
    pub image: ImageId,
    pub round: Option<RoundId>,
    pub against: Option<RoundId>,
    pub threshold: f32,
    pub shape: Option<OutputShape>,
}

/// An image with the detections of one or two rounds.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenedImage {
    pub record: ImageRecord,
    pub file: Option<PathBuf>,
    /// For [`OpenQuery::round`], then for [`OpenQuery::against`]; a single side without a round if none is requested.
    pub sides: Vec<Side>,
    /// How the first side's errors changed in the second. Empty if either round was not run on the image.
    pub changes: Vec<ChangedError>,
}

/// A round's result on an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    pub round: Option<RoundId>,
    pub role: Option<Role>,
    /// Whether the round was run on this image.
    pub was_run: bool,
    pub judged: JudgedImage,
    /// The id by which corrections refer to each object, parallel to the objects; `None`: it comes from a copy of the image in another
    /// dataset.
    pub object_ids: Vec<Option<GroundTruthId>>,
    /// On a held-out image, where the curves count the dataset's own objects: the current state of corrected and added ones.
    pub corrected: Vec<ObjectRow>,
    /// The candidate made from each detection, parallel to the detections. `None` on a held-out image.
    pub candidates: Vec<Option<Candidate>>,
}

impl Side {
    /// Returns the verdict on a detection.
    pub fn verdict(&self, detection: usize) -> Option<Verdict> {
        self.candidates.get(detection)?.as_ref()?.verdict
    }
}

/// Answers queries about the images of one project; belongs to the thread with the store's connection.
#[derive(Default)]
pub struct Inspector {
    revision: Option<Revision>,
    /// The state of each round at the last query.
    states: Vec<(RoundId, RoundState)>,
    table: Arc<ImageTable>,
    /// The current objects, and the datasets' own.
    truth: Truth,
    own: Truth,
    /// Most recently used last.
    indexes: Vec<RoundIndex>,
}

impl Inspector {
    /// Lists the images that match the query.
    pub fn list(
        &mut self,
        store: &Store,
        query: &ImageQuery,
        problems: &FileProblems,
    ) -> Result<Listing, WorkflowError> {
        self.follow(store)?;
        let shape = match query.round {
            Some(round) => Some(self.prepare(store, round, query.shape)?),
            None => None,
        };
        if let Some(against) = query.against {
            self.prepare(store, against, shape)?;
        }
        let first = query.round.and_then(|round| self.index(round));
        let second = query.against.and_then(|round| self.index(round));
        let row = |at: usize| {
            let image = &self.table.images[at];
            let counted =
                first.zip(shape).and_then(|(index, shape)| index.counts(at, &self.table, (query.threshold, shape)));
            let changes = first.zip(second).zip(shape).and_then(|((first, second), shape)| {
                let errors = |index: &RoundIndex| self.errors(index, at, (query.threshold, shape));
                Some(ChangeCounts::count(&compare(&errors(first)?, &errors(second)?)))
            });
            ListedImage {
                at: at as u32,
                role: first.map(|index| index.roles[at]),
                counts: counted.map(|(counts, _)| counts),
                highest_false_positive: counted.and_then(|(_, highest)| highest),
                changes,
                problem: problems.get(&image.record.id).copied(),
            }
        };
        let rows: Vec<ListedImage> = (0..self.table.images.len()).into_par_iter().with_min_len(256).map(row).collect();
        Ok(Listing { shape, ..listing::list(&self.table, rows, query) })
    }

    /// Returns the current state of one image.
    pub fn open(&mut self, store: &Store, query: &OpenQuery) -> Result<OpenedImage, WorkflowError> {
        self.follow(store)?;
        let record = store.image(query.image)?;
        let file = store.image_file(query.image).ok();
        let mut sides = Vec::new();
        let mut shape = query.shape;
        for round in [query.round, query.against].into_iter().flatten() {
            shape = Some(self.prepare(store, round, shape)?);
            sides.push(self.side(store, &record, round, (query.threshold, shape.unwrap_or(OutputShape::Rectangle)))?);
        }
        if sides.is_empty() {
            let objects = current_objects(store, record.id)?;
            let truth: Vec<_> = objects.iter().map(|(_, annotation)| *annotation).collect();
            sides.push(Side {
                round: None,
                role: None,
                was_run: false,
                judged: JudgedImage::without_detections(&truth),
                object_ids: objects.into_iter().map(|(id, _)| Some(id)).collect(),
                corrected: Vec::new(),
                candidates: Vec::new(),
            });
        }
        let changes = match sides.as_slice() {
            [first, second] if first.was_run && second.was_run => {
                compare(&errors(&first.judged), &errors(&second.judged))
            }
            _ => Vec::new(),
        };
        Ok(OpenedImage { record, file, sides, changes })
    }

    fn side(
        &self,
        store: &Store,
        record: &ImageRecord,
        round: RoundId,
        (threshold, shape): (f32, OutputShape),
    ) -> Result<Side, WorkflowError> {
        let index = self.index(round);
        let at = self.table.place(record.id);
        let role = index.zip(at).map(|(index, at)| index.roles[at]);
        let was_run = index.zip(at).is_some_and(|(index, at)| index.was_run[at]);
        let held_out = index.and_then(|index| index.held_out.get(&record.id));
        let objects = current_objects(store, record.id)?;
        let mut corrected = Vec::new();
        let (judged, object_ids) = if let Some(image) = held_out {
            let judged = image.judge((record.width, record.height), threshold, shape);
            // The curve counts the dataset's own objects as imported.
            let rows = store.objects_of_image(record.id)?;
            let mut own: Vec<&ObjectRow> = rows.iter().filter(|row| row.own.is_some()).collect();
            let id_of = |object: &JudgedObject| {
                let at = own.iter().position(|row| row.own == Some(object.annotation))?;
                Some(own.remove(at).id)
            };
            let ids = judged.objects.iter().map(id_of).collect();
            corrected = rows;
            corrected.retain(|row| row.own.is_none_or(|own| ObjectState::from(&own) != row.state));
            (judged, ids)
        } else {
            let mut near = Truth::from([(record.id, objects.iter().map(|(_, annotation)| *annotation).collect())]);
            for copy in index.into_iter().flat_map(|index| index.copies.of(record)) {
                near.insert(copy, store.ground_truth(copy)?.into_iter().map(|(_, annotation)| annotation).collect());
            }
            let truth = index.map_or_else(Vec::new, |index| index.copies.annotations(record, &near));
            let judged = if was_run {
                judge(&store.detections(round, record.id)?, &truth, threshold)
            } else {
                JudgedImage::without_detections(&truth)
            };
            let own = objects.into_iter().map(|(id, _)| Some(id));
            let ids = own.chain(std::iter::repeat(None)).take(judged.objects.len()).collect();
            (judged, ids)
        };
        // Detections on a held-out image cannot be decided.
        let candidates = if role == Some(Role::HeldOut) {
            Vec::new()
        } else {
            let of_round = store.candidates_of_image(record.id)?;
            candidates_of(&judged, of_round.into_iter().filter(|candidate| candidate.round == round).collect())
        };
        Ok(Side { round: Some(round), role, was_run, judged, object_ids, corrected, candidates })
    }

    /// Returns a round's errors on an image; `None` if it was not run there.
    fn errors(&self, index: &RoundIndex, at: usize, (threshold, shape): (f32, OutputShape)) -> Option<Vec<ImageError>> {
        if !index.was_run[at] {
            return None;
        }
        let record = &self.table.images[at].record;
        if let Some(image) = index.held_out.get(&record.id) {
            return Some(errors(&image.judge((record.width, record.height), threshold, shape)));
        }
        let truth = index.copies.annotations(record, &self.truth);
        Some(errors(&index.judged(at, &truth, threshold)))
    }

    fn index(&self, round: RoundId) -> Option<&RoundIndex> {
        self.indexes.iter().find(|index| index.round == round)
    }

    /// Loads the round's detections and counts its held-out images; returns the output shape used.
    fn prepare(
        &mut self,
        store: &Store,
        round: RoundId,
        shape: Option<OutputShape>,
    ) -> Result<OutputShape, WorkflowError> {
        let mut index = match self.indexes.iter().position(|index| index.round == round) {
            Some(at) => self.indexes.remove(at),
            None => RoundIndex::read(store, &store.round(round)?, &self.table, (&self.truth, &self.own))?,
        };
        let shape = shape.unwrap_or(index.best_shape);
        index.count_held_out(&self.table, shape);
        self.indexes.push(index);
        if self.indexes.len() > INDEXES_KEPT {
            self.indexes.remove(0);
        }
        Ok(shape)
    }

    /// Applies what was written since the last query.
    fn follow(&mut self, store: &Store) -> Result<(), WorkflowError> {
        let (revision, rounds) = (store.revision()?, store.rounds()?);
        let states: Vec<_> = rounds.iter().map(|round| (round.id, round.state)).collect();
        // A round that was tested again wrote files and no row.
        self.indexes.retain(|index| {
            rounds.iter().find(|round| round.id == index.round).is_some_and(|round| index.is_of_last_test(store, round))
        });
        if self.revision == Some(revision) && self.states == states {
            return Ok(());
        }
        let truth = store.all_ground_truth()?;
        let is_new = self.revision.is_none_or(|known| known.generation != revision.generation) || self.states != states;
        if is_new {
            let table = ImageTable::read(store, &truth)?;
            self.own = store.own_ground_truth()?;
            let same_images = table.images.len() == self.table.images.len()
                && table.images.iter().zip(&self.table.images).all(|(a, b)| a.record == b.record);
            if !same_images {
                self.indexes.clear();
            }
            let rounds: HashMap<RoundId, _> = rounds.iter().map(|round| (round.id, round)).collect();
            let mut current = Vec::new();
            for index in std::mem::take(&mut self.indexes) {
                let Some(round) = rounds.get(&index.round) else { continue };
                if index.is_current(store, round)? {
                    current.push(index);
                }
            }
            self.indexes = current;
            self.table = Arc::new(table);
        }
        let changed = changed_images(&self.truth, &truth);
        if !changed.is_empty() && !is_new {
            let mut table = (*self.table).clone();
            for image in &changed {
                if let Some(at) = table.place(*image) {
                    table.images[at].count(&truth);
                }
            }
            self.table = Arc::new(table);
        }
        for index in &mut self.indexes {
            let mut images = changed.clone();
            for record in changed.iter().filter_map(|image| self.table.get(*image)) {
                images.extend(index.copies.of(&record.record));
            }
            index.judge_again(store, &images, &self.table, &truth)?;
        }
        self.truth = truth;
        (self.revision, self.states) = (Some(revision), states);
        Ok(())
    }
}

/// Returns the current objects of an image by the ids that corrections use: a corrected object keeps its id.
fn current_objects(store: &Store, image: ImageId) -> Result<Vec<(GroundTruthId, Annotation)>, WorkflowError> {
    let there = store.objects_of_image(image)?.into_iter().filter(|row| !row.state.deleted);
    Ok(there.map(|row| (row.id, row.state.annotation(row.source))).collect())
}

/// Returns the images whose objects have changed.
fn changed_images(before: &Truth, now: &Truth) -> Vec<ImageId> {
    let of = |truth: &Truth, image: &ImageId| truth.get(image).cloned().unwrap_or_default();
    let known = before.keys().chain(now.keys().filter(|image| !before.contains_key(image)));
    known.filter(|image| before.get(image) != now.get(image) && of(before, image) != of(now, image)).copied().collect()
}

/// Returns the candidate of each detection: the one with the same box, otherwise the nearest with nearly the same box.
fn candidates_of(judged: &JudgedImage, mut candidates: Vec<Candidate>) -> Vec<Option<Candidate>> {
    let of = |detection: &Judged| {
        let Judged { detection, .. } = detection;
        let overlap = |candidate: &Candidate| candidate.bbox.iou(&detection.bbox);
        let near = candidates.iter().enumerate().filter(|(_, candidate)| candidate.class == detection.class);
        let near = near.map(|(at, candidate)| (at, overlap(candidate))).filter(|(_, iou)| *iou >= SAME_BOX_IOU);
        let at = near.max_by(|a, b| a.1.total_cmp(&b.1))?.0;
        Some(candidates.swap_remove(at))
    };
    judged.detections.iter().map(of).collect()
}
