//! Statistics of a dataset: images, objects by class and split, their sizes and aspect ratios, what is ignored, what could not be read.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::super::WorkflowError;
use crate::domain::{Annotation, AnnotationSource, Away, ClassId, ImageId, ImageRecord, sort_splits};
use crate::store::{Dataset, Store};

/// Numbers of one dataset. Objects are the current ones, including corrected and promoted ones.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetStatistics {
    pub name: String,
    pub kind: String,
    pub root: String,
    /// Set if the dataset's folder is away: what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub away: Option<String>,
    pub images: usize,
    /// Images that the last import no longer found; they are kept with their verdicts and otherwise unused.
    pub removed: usize,
    /// Images without any object, not even a promoted or ignored one.
    pub background_images: usize,
    /// Images that an annotator marked as complete.
    pub complete_images: usize,
    /// Images with the same bytes as an earlier one in the project. Of two such images one is a copy.
    pub copies: usize,
    pub objects: usize,
    pub ignored: usize,
    pub promoted: usize,
    pub edited: usize,
    pub classes: BTreeMap<String, usize>,
    pub splits: Vec<SplitStatistics>,
    /// Of the images, in pixels.
    pub image_width: Option<Spread>,
    pub image_height: Option<Spread>,
    /// Square root of the objects' area, in pixels.
    pub object_size: Option<Spread>,
    /// Width over height of the objects.
    pub object_aspect: Option<Spread>,
    /// Objects below 32 x 32 pixels, below 96 x 96, and above: COCO's small, medium and large.
    pub by_area: [usize; 3],
    pub objects_per_image: Option<Spread>,
    /// What the last import skipped: missing images and unreadable files.
    pub missing: usize,
    pub unreadable: usize,
    pub bad_records: usize,
}

/// Numbers of a split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitStatistics {
    /// `None`: the images without a split.
    pub split: Option<String>,
    pub images: usize,
    pub objects: usize,
    pub classes: BTreeMap<String, usize>,
}

/// Minimum, quartiles and maximum of a list of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub min: f64,
    pub first_quartile: f64,
    pub median: f64,
    pub third_quartile: f64,
    pub max: f64,
}

impl Spread {
    /// By nearest rank; `None` for an empty list.
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1)?;
        let at = |share: f64| values.get((share * last as f64).round() as usize).copied();
        Some(Self {
            min: at(0.0)?,
            first_quartile: at(0.25)?,
            median: at(0.5)?,
            third_quartile: at(0.75)?,
            max: at(1.0)?,
        })
    }
}

/// Returns the statistics of all datasets, or of the one with this name.
pub fn statistics(store: &Store, name: Option<&str>) -> Result<Vec<DatasetStatistics>, WorkflowError> {
    let datasets = match name {
        Some(name) => vec![super::dataset_named(store, name)?],
        None => store.datasets()?,
    };
    let images = store.images()?;
    let truth = store.all_ground_truth()?;
    let complete = store.complete_images()?;
    let classes: HashMap<ClassId, String> = store.classes()?.into_iter().map(|class| (class.id, class.name)).collect();
    let mut first: HashMap<&str, ImageId> = HashMap::new();
    for image in &images {
        let first = first.entry(image.content_hash.as_str()).or_insert(image.id);
        *first = (*first).min(image.id);
    }
    let mut all = Vec::new();
    for dataset in &datasets {
        let own: Vec<&ImageRecord> = images.iter().filter(|image| image.dataset == dataset.id).collect();
        let mut found = of_images(dataset, &own, &truth, &classes);
        found.complete_images = own.iter().filter(|image| complete.contains_key(&image.id)).count();
        found.copies = own.iter().filter(|image| first.get(image.content_hash.as_str()) != Some(&image.id)).count();
        found.removed = store.count_removed_images(dataset.id)? as usize;
        if let Some(report) = store.import_reports(dataset.id)?.first() {
            let report: serde_json::Value = serde_json::from_str(&report.report).unwrap_or_default();
            let count = |key: &str| report.get(key).and_then(serde_json::Value::as_array).map_or(0, Vec::len);
            (found.missing, found.unreadable, found.bad_records) =
                (count("missing"), count("unreadable"), count("bad_records"));
        }
        all.push(found);
    }
    Ok(all)
}

fn of_images(
    dataset: &Dataset,
    images: &[&ImageRecord],
    truth: &HashMap<crate::domain::ImageId, Vec<Annotation>>,
    classes: &HashMap<ClassId, String>,
) -> DatasetStatistics {
    let of = |image: &ImageRecord| truth.get(&image.id).map_or(&[][..], Vec::as_slice);
    let counted = |images: &[&&ImageRecord]| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for object in images.iter().flat_map(|image| of(image)) {
            *counts.entry(classes.get(&object.class).cloned().unwrap_or_default()).or_default() += 1;
        }
        counts
    };
    let mut names: Vec<String> = images.iter().filter_map(|image| image.split.clone()).collect();
    sort_splits(&mut names);
    let mut splits = Vec::new();
    for split in names.into_iter().map(Some).chain([None]) {
        let own: Vec<&&ImageRecord> = images.iter().filter(|image| image.split == split).collect();
        if !own.is_empty() {
            let classes = counted(&own);
            splits.push(SplitStatistics { split, images: own.len(), objects: classes.values().sum(), classes });
        }
    }
    let objects: Vec<&Annotation> = images.iter().flat_map(|image| of(image)).collect();
    let of_source = |source| objects.iter().filter(|object| object.source == source).count();
    let boxes: Vec<(f64, f64)> =
        objects.iter().map(|object| object.shape.bounding_box()).map(|bbox| (bbox.width(), bbox.height())).collect();
    let side = |size: f64| boxes.iter().filter(|(w, h)| w * h < size * size).count();
    let (small, medium) = (side(32.0), side(96.0));
    DatasetStatistics {
        name: dataset.name.clone(),
        kind: dataset.kind.clone(),
        root: dataset.root.to_string_lossy().into_owned(),
        away: Away::of_folder(&dataset.root).filter(|_| !images.is_empty()).map(|away| away.to_string()),
        images: images.len(),
        removed: 0,
        background_images: images.iter().filter(|image| of(image).is_empty()).count(),
        complete_images: 0,
        copies: 0,
        objects: objects.len(),
        ignored: objects.iter().filter(|object| object.ignored).count(),
        promoted: of_source(AnnotationSource::Promoted),
        edited: of_source(AnnotationSource::Edited),
        classes: counted(&images.iter().collect::<Vec<_>>()),
        splits,
        image_width: Spread::of(images.iter().map(|image| f64::from(image.width)).collect()),
        image_height: Spread::of(images.iter().map(|image| f64::from(image.height)).collect()),
        object_size: Spread::of(boxes.iter().map(|(w, h)| (w * h).sqrt()).collect()),
        object_aspect: Spread::of(boxes.iter().filter(|(_, h)| *h > 0.0).map(|(w, h)| w / h).collect()),
        by_area: [small, medium - small, boxes.len() - medium],
        objects_per_image: Spread::of(images.iter().map(|image| of(image).len() as f64).collect()),
        missing: 0,
        unreadable: 0,
        bad_records: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_of_nearest_ranks() {
        assert_eq!(Spread::of(vec![]), None);
        let one = Spread::of(vec![4.0]).unwrap();
        assert_eq!((one.min, one.median, one.max), (4.0, 4.0, 4.0));
        let five = Spread::of(vec![5.0, 1.0, 3.0, 2.0, 4.0]).unwrap();
        assert_eq!((five.first_quartile, five.median, five.third_quartile), (2.0, 3.0, 4.0));
    }
}
