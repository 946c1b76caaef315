//! Converts COCO's files to the evaluators' input: images matched by name or id, and classes of categories whose ids may have gaps.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::super::WorkflowError;
use super::coco_images::ImageIndex;
use super::coco_json::{CocoDataset, CocoDetection, Id, read_dataset, read_detections};
use crate::evaluation::{EvaluationSet, SetClass, SetDetection, SetImage, SetObject, XywhBox};

/// The two files that are compared.
#[derive(Debug, Clone)]
pub struct CocoFiles {
    /// COCO's dataset: `images`, `annotations` and `categories`.
    pub ground_truth: PathBuf,
    /// COCO's result list, as `quarry detect --format coco` writes it.
    pub detections: PathBuf,
}

/// The converted files, and notes for the user on how they were interpreted.
#[derive(Debug)]
pub(super) struct CocoSet {
    pub set: EvaluationSet,
    pub notes: Vec<String>,
}

impl CocoFiles {
    /// Reads every category as a separate class.
    pub(super) fn read(&self) -> Result<CocoSet, WorkflowError> {
        let (truth, found, mut notes) = self.read_files()?;
        let listed = self.listed(&truth)?;
        let annotated: BTreeSet<i64> = truth.annotations.iter().map(|a| a.category_id.0).collect();
        let detected: BTreeSet<i64> = found.iter().filter_map(|d| d.category_id.map(|id| id.0)).collect();
        let known = |id: &i64| listed.contains_key(id) || annotated.contains(id);
        // A single class: a detector trained elsewhere may number it differently, or not at all.
        let only = (annotated.len() == 1).then(|| annotated.first().copied()).flatten();
        let renamed = only.filter(|_| detected.len() == 1 && !detected.iter().any(known));
        if let (Some(category), Some(other)) = (renamed, detected.first()) {
            notes.push(taken_for(*other, category));
        }
        let mut classes: Vec<SetClass> =
            listed.iter().map(|(&id, name)| SetClass { id, name: name.clone(), listed: true }).collect();
        let detected = detected.into_iter().filter(|_| renamed.is_none());
        let unlisted: BTreeSet<i64> =
            annotated.iter().copied().chain(detected).filter(|id| !listed.contains_key(id)).collect();
        let listed_by_objects = listed.is_empty();
        classes.extend(unlisted.iter().map(|&id| {
            let listed = listed_by_objects && annotated.contains(&id);
            SetClass { id, name: format!("category {id}"), listed }
        }));
        let index: HashMap<i64, usize> = classes.iter().enumerate().map(|(k, class)| (class.id, k)).collect();
        let of_detection = |d: &CocoDetection| match (renamed.or(d.category_id.map(|id| id.0)), only) {
            (Some(id), _) | (None, Some(id)) => Ok(index.get(&id).copied()),
            (None, None) => Err("`category_id` is missing, and the ground truth has several categories".to_owned()),
        };
        let set = self.set(classes, &truth, &found, |id| index.get(&id).copied(), of_detection, &mut notes)?;
        notes.extend(left_out(&set));
        Ok(CocoSet { set, notes })
    }

    /// Returns the dataset, the detections with its categories' numbers, and notes for the user.
    pub(super) fn read_files(&self) -> Result<(CocoDataset, Vec<CocoDetection>, Vec<String>), WorkflowError> {
        let (truth, found) = rayon::join(|| read_dataset(&self.ground_truth), || read_detections(&self.detections));
        let (truth, mut found) = (truth?, found?);
        let notes = renumber(&truth, &mut found).into_iter().collect();
        Ok((truth, found, notes))
    }

    /// Returns the dataset's categories with their names, by id.
    fn listed(&self, truth: &CocoDataset) -> Result<BTreeMap<i64, String>, WorkflowError> {
        let mut listed = BTreeMap::new();
        for (n, category) in truth.categories.iter().enumerate() {
            let id = category.id.0;
            let name = category.name.clone().unwrap_or_else(|| format!("category {id}"));
            if listed.insert(id, name).is_some() {
                let reason = format!("categories, entry {}: id {id} appears twice", n + 1);
                return Err(bad(&self.ground_truth, reason));
            }
        }
        Ok(listed)
    }

    /// Combines both files; drops what `class_of` and `of_detection` have no class for.
    pub(super) fn set(
        &self,
        classes: Vec<SetClass>,
        truth: &CocoDataset,
        found: &[CocoDetection],
        class_of: impl Fn(i64) -> Option<usize>,
        of_detection: impl Fn(&CocoDetection) -> Result<Option<usize>, String>,
        notes: &mut Vec<String>,
    ) -> Result<EvaluationSet, WorkflowError> {
        let mut index = ImageIndex::new(truth).map_err(|reason| bad(&self.ground_truth, reason))?;
        let new = |image: &super::coco_json::CocoImage| SetImage { id: image.id.0, ..SetImage::default() };
        let mut images: Vec<SetImage> = truth.images.iter().map(new).collect();
        for (n, a) in truth.annotations.iter().enumerate() {
            let wrong = |reason: String| bad(&self.ground_truth, format!("annotations, entry {}: {reason}", n + 1));
            let id = a.image_id.0;
            let at = index.by_id.get(&id).ok_or_else(|| wrong(format!("image {id} is not among the images")))?;
            let bbox = xywh(a.bbox.0).map_err(wrong)?;
            let Some(class) = class_of(a.category_id.0) else { continue };
            let area = a.area.unwrap_or_else(|| bbox.area());
            let difficult = a.difficult.0 || a.ignore.0;
            let Some(image) = images.get_mut(*at) else { continue };
            image.objects.push(SetObject { class, bbox, area, crowd: a.iscrowd.0, difficult });
        }
        for (n, d) in found.iter().enumerate() {
            let wrong = |reason: String| bad(&self.detections, format!("entry {}: {reason}", n + 1));
            let at = index.find(d).map_err(wrong)?;
            let bbox = xywh(d.bbox.0).map_err(wrong)?;
            let Some(class) = of_detection(d).map_err(wrong)? else { continue };
            let Some(image) = images.get_mut(at) else { continue };
            image.detections.push(SetDetection { class, bbox, score: d.score });
        }
        notes.extend(index.note());
        Ok(EvaluationSet { classes, images })
    }
}

/// Gives detections that name their category the number that the ground truth has for this name, if the two disagree; returns a note then.
///
/// A detector numbers its classes in its own order. Names that the ground truth lacks get numbers that it lacks; if it knows none of the
/// names (a detector trained elsewhere), the numbers count.
fn renumber(truth: &CocoDataset, found: &mut [CocoDetection]) -> Option<String> {
    let plain = |name: &str| name.trim().to_lowercase();
    let listed = truth.categories.iter().filter_map(|category| Some((plain(category.name.as_deref()?), category.id.0)));
    let listed: BTreeMap<String, i64> = listed.collect();
    let named = |d: &CocoDetection| d.category_name.as_deref().map(plain);
    let pairs: BTreeSet<(String, Option<i64>)> =
        found.iter().filter_map(|d| Some((named(d)?, d.category_id.map(|id| id.0)))).collect();
    let agrees = |(name, id): &(String, Option<i64>)| match listed.get(name) {
        Some(number) => *id == Some(*number),
        None => id.is_none_or(|id| !listed.values().any(|known| *known == id)),
    };
    if pairs.iter().all(agrees) || !pairs.iter().any(|(name, _)| listed.contains_key(name)) {
        return None;
    }
    let taken = listed.values().copied().chain(found.iter().filter_map(|d| d.category_id.map(|id| id.0)));
    let mut free = taken.max().unwrap_or(0);
    let mut numbers = listed.clone();
    for (name, _) in pairs {
        numbers.entry(name).or_insert_with(|| {
            free = free.saturating_add(1);
            free
        });
    }
    for detection in found {
        let number = named(detection).and_then(|name| numbers.get(&name).copied());
        detection.category_id = number.map(Id).or(detection.category_id);
    }
    Some(
        "the detections number the categories in another way than the ground truth: matched by `category_name`"
            .to_owned(),
    )
}

pub(super) fn bad(path: &Path, reason: String) -> WorkflowError {
    WorkflowError::BadFile { path: path.to_path_buf(), reason }
}

pub(super) fn taken_for(detected: i64, category: i64) -> String {
    format!("all detections have category {detected}: taken for the ground truth's category {category}")
}

/// Describes what only TIDE counts.
fn left_out(set: &EvaluationSet) -> Vec<String> {
    let unlisted = |class: usize| set.classes.get(class).is_some_and(|class| !class.listed);
    let objects = set.images.iter().flat_map(|i| &i.objects).filter(|o| unlisted(o.class)).count();
    let detections = set.images.iter().flat_map(|i| &i.detections).filter(|d| unlisted(d.class)).count();
    let note = |count: usize, what: &str| {
        (count > 0).then(|| {
            format!("{count} {what} of categories that the ground truth does not list are left out (TIDE counts them)")
        })
    };
    [note(objects, "annotations"), note(detections, "detections")].into_iter().flatten().collect()
}

fn xywh([x, y, w, h]: [f64; 4]) -> Result<XywhBox, String> {
    if w < 0.0 || h < 0.0 {
        return Err(format!("a box of {w} x {h} pixels; `bbox` is `x, y, width, height`"));
    }
    Ok(XywhBox { x, y, w, h })
}
