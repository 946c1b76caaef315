//! Crops of each class in a result file, for the preview, and the objects that its detections overlap: class numbers may be shifted against
//! the project's, which both show at once.

use std::collections::BTreeMap;

use image::RgbImage;

use super::images::ImageFinder;
use super::overlaps::Overlaps;
use super::pixels::Pixels;
use super::{DetectionsRequest, Scene, unit_of};
use crate::dataset::decode_rgb;
use crate::dataset::results::{ClassKey, FoundRecord, read_results, recognise};
use crate::domain::{ClassId, check_shape};
use crate::store::Store;
use crate::workflow::WorkflowError;

/// A class of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassSample {
    /// `None` if the file names the class, or has none.
    pub number: Option<i64>,
    /// The file's name for it.
    pub name: Option<String>,
    pub detections: usize,
    /// If the class is a number: the class of most annotated objects that its detections overlap.
    pub likely: Option<Likely>,
    /// From the most confident detections, each in a different image, at most `CROP_SIDE` pixels wide and high.
    pub crops: Vec<RgbImage>,
}

/// A class of the project, by the objects that detections overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Likely {
    pub class: ClassId,
    /// Number of detections on objects of this class.
    pub on_its: usize,
    /// Number of detections on any object.
    pub on_any: usize,
}

/// Number of crops per class.
const CROPS: usize = 4;
/// Their maximum side in pixels.
pub const CROP_SIDE: u32 = 96;
/// Maximum number of classes shown; a file with more has names, or is not what it seems.
const CLASSES: usize = 100;

/// Returns the file's classes in order, with crops from the project's images.
pub fn class_samples(store: &Store, request: &DetectionsRequest) -> Result<Vec<ClassSample>, WorkflowError> {
    let scene = Scene::new(store, request)?;
    let format = request.format.map_or_else(|| recognise(&request.path), Ok)?;
    let results = read_results(&request.path, format, request.confidence)?;
    let unit = unit_of(&results, request.unit)?;
    let given = BTreeMap::new();
    let finder = ImageFinder::new(&scene.images, &scene.datasets, &scene.split.copies, &given);
    let places: Vec<_> = results.records.iter().map(|record| finder.find(&record.image)).collect();
    let pixels = Pixels::new(&scene, &results, &places, unit, request.exif, &given);
    let overlaps = Overlaps::new(&scene, &results, &places, &pixels);
    let mut by_class: BTreeMap<&ClassKey, Vec<&FoundRecord>> = BTreeMap::new();
    for record in &results.records {
        by_class.entry(&record.class).or_default().push(record);
    }
    let mut samples = Vec::new();
    for (class, mut records) in by_class.into_iter().take(CLASSES) {
        let detections = records.len();
        records.sort_by(|a, b| b.score.unwrap_or(0.0).total_cmp(&a.score.unwrap_or(0.0)));
        let (mut crops, mut seen) = (Vec::new(), Vec::new());
        for record in records {
            if crops.len() == CROPS {
                break;
            }
            let Ok(at) = finder.find(&record.image) else { continue };
            let Some(image) = scene.images.get(at) else { continue };
            let shape = pixels.shape(at, image, &record.shape);
            if seen.contains(&at) || check_shape(&shape, image.width, image.height).is_err() {
                continue;
            }
            seen.push(at);
            let Ok(pixels) = decode_rgb(&store.image_file(image.id)?) else { continue };
            crops.push(crop(&pixels, &shape.bounding_box()));
        }
        let (number, name) = match class {
            ClassKey::Unnamed => (None, None),
            ClassKey::Number(number) => (Some(*number), results.names.get(number).cloned()),
            ClassKey::Name(name) => (None, Some(name.clone())),
        };
        let likely = number.and_then(|number| overlaps.likely(number));
        let likely = likely.map(|(class, on_its, on_any)| Likely { class, on_its, on_any });
        samples.push(ClassSample { number, name, detections, likely, crops });
    }
    Ok(samples)
}

fn crop(pixels: &RgbImage, bbox: &crate::geometry::BoundingBox) -> RgbImage {
    let inside = bbox.clipped(f64::from(pixels.width()), f64::from(pixels.height()));
    let (x, y) = ((inside.x1 as u32).min(pixels.width() - 1), (inside.y1 as u32).min(pixels.height() - 1));
    let (width, height) = ((inside.width().ceil() as u32).max(1), (inside.height().ceil() as u32).max(1));
    let cut = image::imageops::crop_imm(pixels, x, y, width, height).to_image();
    let longest = cut.width().max(cut.height());
    if longest <= CROP_SIDE {
        return cut;
    }
    let side = |side: u32| (side * CROP_SIDE / longest).max(1);
    image::imageops::thumbnail(&cut, side(cut.width()), side(cut.height()))
}
