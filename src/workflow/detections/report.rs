//! The report of a detections import.

use std::collections::HashSet;
use std::fmt;

use serde::Serialize;

use super::{DetectionsRequest, Facts, Mined, Scene, Taken};
use crate::dataset::BadRecord;
#[cfg(feature = "torch")]
use crate::domain::RoundId;
use crate::domain::{FalsePositiveKind, ImageId, RoundRecord, counted, counted_as, printable, printable_line};
use crate::evaluation::RocCurve;
use crate::store::MinedCounts;
#[cfg(feature = "torch")]
use crate::store::Store;
#[cfg(feature = "torch")]
use crate::workflow::WorkflowError;
use crate::workflow::status::rates;

/// Maximum number of invalid records in the report; all are counted.
const PROBLEMS_REPORTED: usize = 100;
const PROBLEMS_SHOWN: usize = 10;

/// The result of importing detections.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DetectionsReport {
    /// The round's number in the project; `null` in a dry run.
    pub round: Option<u32>,
    pub model: String,
    /// The round's number among the model's; `null` in a dry run.
    pub model_round: Option<u32>,
    pub format: &'static str,
    /// Detections that are on an image of the project.
    pub detections: usize,
    /// Number of invalid records; the first ones are in `problems`.
    pub skipped: usize,
    /// Detections without a score.
    pub without_score: u64,
    /// Detections on training images that are stored but not mined because of their score.
    pub below_min_score: usize,
    /// Images with a detection.
    pub images: usize,
    pub training_images: usize,
    pub test_images: usize,
    pub test_objects: usize,
    pub candidates: usize,
    pub background: usize,
    pub localisation: usize,
    pub classification: usize,
    pub both: usize,
    /// Number of further detections of an object, which are not candidates.
    pub duplicate: usize,
    /// At IoU 0.5; `null` without an evaluation.
    pub average_precision: Option<f64>,
    /// Fraction of the test images' objects that any detection finds; `null` without an evaluation.
    pub recall: Option<f64>,
    pub curves: Vec<ShapeRates>,
    pub problems: Vec<BadRecord>,
    pub notes: Vec<String>,
    pub dry_run: bool,
}

/// A curve at selected false positive counts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShapeRates {
    pub label: &'static str,
    /// `(false positives, discrete TPR, continuous TPR)`.
    pub at: Vec<(u64, f64, f64)>,
}

/// Counts of a round's detections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub images: usize,
    pub below_min_score: usize,
    pub mined: MinedCounts,
}

impl Tally {
    pub fn new(scene: &Scene, taken: &Taken, mined: &Mined, min_score: f32) -> Self {
        let count = |kind| mined.candidates.iter().filter(|candidate| candidate.kind == kind).count();
        let training: HashSet<ImageId> = scene.split.training.iter().map(|image| image.id).collect();
        let of_training = scene.images.iter().zip(&taken.found).filter(|(image, _)| training.contains(&image.id));
        let is_below = |score: f32| taken.facts.unscored == 0 && score < min_score;
        Self {
            images: taken.found.iter().filter(|found| !found.is_empty()).count(),
            below_min_score: of_training.flat_map(|(_, found)| found).filter(|d| is_below(d.score)).count(),
            mined: MinedCounts {
                images: mined.processed.len(),
                detections: taken.count(),
                background: count(FalsePositiveKind::Background),
                localisation: count(FalsePositiveKind::Localisation),
                classification: count(FalsePositiveKind::Classification),
                both: count(FalsePositiveKind::Both),
                duplicate: mined.duplicate,
            },
        }
    }

    /// Counts what is in the store.
    #[cfg(feature = "torch")]
    pub fn stored(scene: &Scene, store: &Store, round: RoundId, min_score: f32) -> Result<Self, WorkflowError> {
        let training: HashSet<ImageId> = scene.split.training.iter().map(|image| image.id).collect();
        let mut tally = Self { mined: store.mined_counts(round)?, ..Self::default() };
        let mut last = None;
        store.each_detection(round, |image, detection| {
            tally.images += usize::from(last.replace(image) != Some(image));
            tally.below_min_score += usize::from(detection.score < min_score && training.contains(&image));
        })?;
        Ok(tally)
    }
}

/// Builds the report of a round before its evaluation.
pub(super) fn new(scene: &Scene, facts: &Facts, tally: &Tally, request: &DetectionsRequest) -> DetectionsReport {
    let Tally { images, below_min_score: below, mined } = *tally;
    let mut notes = facts.notes.clone();
    if below > 0 {
        notes.push(format!(
            "{} a score below {} and {} not mined: --min-score sets the limit",
            counted_as(below, "detection on training images has", "detections on training images have"),
            request.min_score,
            if below == 1 { "was" } else { "were" }
        ));
    }
    DetectionsReport {
        round: None,
        model: request.name.clone(),
        model_round: None,
        format: facts.format,
        detections: mined.detections,
        skipped: facts.problems.len(),
        without_score: facts.unscored,
        below_min_score: below,
        images,
        training_images: scene.split.training.len(),
        test_images: scene.split.test.len(),
        test_objects: 0,
        candidates: mined.background + mined.localisation + mined.classification + mined.both,
        background: mined.background,
        localisation: mined.localisation,
        classification: mined.classification,
        both: mined.both,
        duplicate: mined.duplicate,
        average_precision: None,
        recall: None,
        curves: Vec::new(),
        problems: facts.problems.iter().take(PROBLEMS_REPORTED).cloned().collect(),
        notes,
        dry_run: request.dry_run,
    }
}

impl DetectionsReport {
    pub(super) fn set_round(&mut self, round: &RoundRecord) {
        self.round = Some(round.number);
        self.model_round = round.imported.as_ref().map(|model| model.round);
    }

    pub(super) fn take_curve(&mut self, label: &'static str, curve: &RocCurve) {
        if self.recall.is_none() {
            self.recall = Some(curve.discrete_tpr_at(u64::MAX));
        }
        self.curves.push(ShapeRates { label, at: rates(curve) });
    }
}

impl fmt::Display for DetectionsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = printable(&self.model);
        match (self.round, self.model_round) {
            (Some(round), Some(of_model)) => write!(f, "Round {round} ({model}, its round {of_model}): ")?,
            _ => write!(f, "Would import a round of {model}: ")?,
        }
        write!(
            f,
            "{} on {} ({}), {} on {} ({} background, {} localisation",
            counted(self.detections, "detection"),
            counted(self.images, "image"),
            self.format,
            counted(self.candidates, "candidate"),
            counted(self.training_images, "training image"),
            self.background,
            self.localisation
        )?;
        if self.classification + self.both > 0 {
            write!(f, ", {} classification, {} both", self.classification, self.both)?;
        }
        let second = counted_as(self.duplicate, "more is a second detection", "more are second detections");
        write!(f, "); {second} of an object.")?;
        if let Some(recall) = self.recall {
            write!(
                f,
                "\nOn {} with {}: recall {recall:.4}, average precision at IoU 0.5 {}",
                counted(self.test_images, "test image"),
                counted(self.test_objects, "object"),
                self.average_precision.map_or_else(|| "unknown".to_owned(), |ap| format!("{ap:.4}"))
            )?;
        }
        for note in &self.notes {
            write!(f, "\nNote: {}", printable_line(note))?;
        }
        if self.skipped > 0 {
            write!(f, "\n{} skipped:", counted_as(self.skipped, "record was", "records were"))?;
            for problem in self.problems.iter().take(PROBLEMS_SHOWN) {
                write!(f, "\n  {problem}")?;
            }
            if self.skipped > PROBLEMS_SHOWN {
                write!(f, "\n  and {} more", self.skipped - PROBLEMS_SHOWN)?;
            }
        }
        Ok(())
    }
}
