//! Reads a round's last evaluation: its test images with ground truth and detections. Read-only.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::copies::Copies;
use super::held_out::{Found, HeldOut, OutputShape};
use super::held_out_file::{HeldOutDetections, HeldOutImage};
use super::round_metrics::RoundMetrics;
use super::{Project, WorkflowError};
use crate::domain::{Class, ClassId, Detection, ImageRecord, RoundRecord, counted_as};
use crate::evaluation::fddb_text::{self, UnreadableScores, read_detections};
use crate::evaluation::{Region, ScoredRegion};
use crate::geometry::{BoundingBox, Ellipse};
use crate::store::Store;

/// The only file of a round tested by an earlier version: the boxes, in FDDB's format.
pub const FDDB_TEXT: &str = "held-out-rectangle.txt";

/// Which objects are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroundTruth {
    /// The datasets' own objects as imported: what published figures count.
    #[default]
    Imported,
    /// Includes annotators' corrections and added objects.
    Corrected,
}

impl GroundTruth {
    /// Describes the ground truth in one line.
    pub fn text(self) -> &'static str {
        match self {
            Self::Imported => "as it was imported",
            Self::Corrected => "as annotators corrected it; not for comparison with published numbers",
        }
    }
}

/// A round's test images and detections, mapped to the project's current state.
#[derive(Debug, Clone)]
pub struct TestedRound {
    pub step: u64,
    pub(super) held_out: HeldOut,
    pub classes: Vec<Class>,
    /// Parallel to the test images.
    pub detections: Vec<Vec<Detection>>,
    pub is_unread: Vec<bool>,
    /// Parts of the evaluation that are no longer in the project.
    pub notes: Vec<String>,
}

/// A round's detections in its last test, mapped to the project's current state.
pub(super) struct TestedImages {
    pub step: u64,
    pub images: Vec<ImageRecord>,
    /// Parallel to the images.
    pub detections: Vec<Vec<Detection>>,
    pub is_unread: Vec<bool>,
    /// Parts of the evaluation that are no longer in the project.
    pub notes: Vec<String>,
}

impl TestedImages {
    /// `None` for an untested round. `records`: the project's images.
    pub fn read(
        store: &Store,
        round: &RoundRecord,
        run_dir: &Path,
        records: &[ImageRecord],
    ) -> Result<Option<Self>, WorkflowError> {
        let stored = match HeldOutDetections::read(run_dir)? {
            Some(stored) => stored,
            None => match of_first_version(store, round, run_dir)? {
                Some(stored) => stored,
                None => return Ok(None),
            },
        };
        let mut notes = Vec::new();
        let classes_then = todays_classes(store, &stored.classes)?;
        let (mut images, mut detections, mut is_unread) = (Vec::new(), Vec::new(), Vec::new());
        let (mut gone, mut without_class) = (0_usize, 0_usize);
        let find = finder(records);
        for image in stored.images {
            let Some(record) = find(&image) else {
                gone += 1;
                continue;
            };
            let before = image.detections.len();
            let with_class = |d: Detection| Some(Detection { class: *classes_then.get(&d.class)?, ..d });
            let found: Vec<Detection> = image.detections.into_iter().filter_map(with_class).collect();
            without_class += before - found.len();
            images.push(record.clone());
            detections.push(found);
            is_unread.push(image.unreadable);
        }
        if gone > 0 {
            notes.push(format!(
                "{} no longer in the project",
                counted_as(gone, "image that the round was tested on is", "images that the round was tested on are")
            ));
        }
        if without_class > 0 {
            notes.push(format!(
                "{} of classes that the project no longer has",
                counted_as(without_class, "detection is", "detections are")
            ));
        }
        Ok(Some(Self { step: stored.step, images, detections, is_unread, notes }))
    }
}

impl TestedRound {
    /// `None` for an untested round.
    pub fn read(
        project: &Project,
        store: &Store,
        round: &RoundRecord,
        truth: GroundTruth,
    ) -> Result<Option<Self>, WorkflowError> {
        let records = store.images()?;
        let read = TestedImages::read(store, round, &project.run_dir(round.number), &records)?;
        let Some(TestedImages { step, images, detections, is_unread, notes }) = read else { return Ok(None) };
        let current = store.all_ground_truth()?;
        let copies = Copies::new(&records, &current);
        let held_out = match truth {
            GroundTruth::Imported => {
                let own = copies.tested_with(&images, &store.own_ground_truth()?);
                HeldOut::new(images, &own)
            }
            GroundTruth::Corrected => {
                let corrected = copies.tested_with(&images, &current);
                HeldOut::corrected(images, &corrected)
            }
        };
        let classes = store.classes()?;
        Ok(Some(Self { step, held_out, classes, detections, is_unread, notes }))
    }
}

/// Returns the box evaluators' results on a round's last test: as stored, or recomputed from an earlier version's files. `None` for an
/// untested round.
pub fn metrics_of(
    project: &Project,
    store: &Store,
    round: &RoundRecord,
) -> Result<Option<RoundMetrics>, WorkflowError> {
    let kept = RoundMetrics::file(&project.run_dir(round.number));
    if kept.is_file() {
        return RoundMetrics::read(&kept).map(Some);
    }
    let Some(tested) = TestedRound::read(project, store, round, GroundTruth::Imported)? else { return Ok(None) };
    let TestedRound { step, held_out, classes, detections, is_unread, .. } = &tested;
    Ok(Some(held_out.metrics(&Found { step: *step, detections, is_unread, classes })))
}

/// Returns the same detections' results on the corrected ground truth. `None` if nothing is corrected on the test images.
pub fn corrected_metrics_of(
    project: &Project,
    store: &Store,
    round: &RoundRecord,
) -> Result<Option<RoundMetrics>, WorkflowError> {
    let read = |truth| TestedRound::read(project, store, round, truth);
    let (Some(imported), Some(corrected)) = (read(GroundTruth::Imported)?, read(GroundTruth::Corrected)?) else {
        return Ok(None);
    };
    if corrected.held_out.has_objects_of(&imported.held_out) {
        return Ok(None);
    }
    let TestedRound { step, held_out, classes, detections, is_unread, .. } = &corrected;
    Ok(Some(held_out.metrics(&Found { step: *step, detections, is_unread, classes })))
}

/// Maps the class ids of that time to current classes by name: renamed or merged classes are found by their old names.
fn todays_classes(store: &Store, then: &[(ClassId, String)]) -> Result<HashMap<ClassId, ClassId>, WorkflowError> {
    let mut todays = HashMap::new();
    for (id, name) in then {
        todays.extend(store.class_by_name(name)?.map(|today| (*id, today)));
    }
    Ok(todays)
}

/// Finds an image by name and content; by content alone if it was renamed, by name if its content hash is unknown.
fn finder<'a>(records: &'a [ImageRecord]) -> impl Fn(&HeldOutImage) -> Option<&'a ImageRecord> {
    let mut by_hash: HashMap<&str, Vec<&'a ImageRecord>> = HashMap::new();
    let mut by_name: HashMap<&str, Vec<&'a ImageRecord>> = HashMap::new();
    for record in records {
        by_hash.entry(record.content_hash.as_str()).or_default().push(record);
        by_name.entry(record.name.as_str()).or_default().push(record);
    }
    move |image| {
        if image.content_hash.is_empty() {
            return by_name.get(image.name.as_str()).and_then(|same| same.first()).copied();
        }
        let same = by_hash.get(image.content_hash.as_str())?;
        same.iter().find(|record| record.name == image.name).or(same.first()).copied()
    }
}

/// Reads a round from before classes were stored: FDDB's text files, which are unambiguous with one class.
fn of_first_version(
    store: &Store,
    round: &RoundRecord,
    run_dir: &Path,
) -> Result<Option<HeldOutDetections>, WorkflowError> {
    let rectangles = OutputShape::Rectangle.detections_file(run_dir);
    if !rectangles.is_file() {
        return Ok(None);
    }
    let classes = store.classes()?;
    let again = "Evaluate the round again, or train a new one: classes are kept from then on.";
    let [class] = classes.as_slice() else {
        return Err(WorkflowError::Refused(format!(
            "round {} was tested by a version that stored no classes of detections, and the project has {}. {again}",
            round.number,
            classes.len()
        )));
    };
    let read = |file: &Path, shape| {
        let blocks = read_detections(&[file], shape, UnreadableScores::Refuse);
        blocks.map_err(|e| WorkflowError::BadFile { path: file.to_path_buf(), reason: e.to_string() })
    };
    let blocks = read(&rectangles, fddb_text::Shape::Rectangle)?;
    let file = OutputShape::Ellipse.detections_file(run_dir);
    let ellipses = if file.is_file() { Some(read(&file, fddb_text::Shape::Ellipse)?) } else { None };
    let records = store.images()?;
    let mut images = Vec::new();
    for (at, block) in blocks.iter().enumerate() {
        if records.iter().filter(|record| record.name == block.name).count() > 1 {
            return Err(WorkflowError::Refused(format!(
                "round {} was tested by a version that identified images by name alone, and several are called `{}`. {again}",
                round.number,
                crate::domain::printable(&block.name)
            )));
        }
        let ellipses = ellipses.as_ref().and_then(|all| all.get(at)).filter(|same| same.name == block.name);
        let ellipse = |k: usize| ellipses.and_then(|block| ellipse_of(block.regions.get(k)?));
        let regions = block.regions.iter().enumerate();
        images.push(HeldOutImage {
            name: block.name.clone(),
            content_hash: String::new(),
            unreadable: false,
            detections: regions.filter_map(|(k, region)| detection(region, class.id, ellipse(k))).collect(),
        });
    }
    let step = store.curves(round.id)?.iter().map(|curve| curve.step).max().unwrap_or(0);
    Ok(Some(HeldOutDetections { step, classes: vec![(class.id, class.name.clone())], images }))
}

fn detection(region: &ScoredRegion, class: ClassId, ellipse: Option<Ellipse>) -> Option<Detection> {
    match region.region {
        Region::Rectangle { x, y, w, h } => {
            Some(Detection { class, bbox: BoundingBox::from_xywh(x, y, w, h), ellipse, score: region.score as f32 })
        }
        Region::Ellipse { .. } => None,
    }
}

fn ellipse_of(region: &ScoredRegion) -> Option<Ellipse> {
    match region.region {
        Region::Ellipse { ra, rb, theta, cx, cy } => Some(Ellipse::new(ra, rb, theta, cx, cy)),
        Region::Rectangle { .. } => None,
    }
}
