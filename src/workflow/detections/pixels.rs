//! Converts the shapes of a result file to pixels of the upright images: fractions, and coordinates of the pixels as stored where an image
//! has an EXIF orientation.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rayon::prelude::*;

use super::Scene;
use crate::dataset::formats::{ExifRule, Upright};
use crate::dataset::results::{GivenImage, Results, Unit};
use crate::dataset::{read_image_file, read_size};
use crate::domain::{ImageRecord, Shape};
use crate::geometry::{BoundingBox, Ellipse};

/// How to read the coordinates of one file.
pub(super) struct Pixels {
    unit: Unit,
    /// By the image's index in the scene, where the coordinates are those of the stored pixels.
    stored: HashMap<usize, Upright>,
    /// Images that have an EXIF orientation that moves pixels, with coordinates of the upright image.
    upright: usize,
}

impl Pixels {
    /// `places`: the index of each record's image in the scene; `given`: the images of a ground truth file by id. Reads the headers of images
    /// with detections, except where `rule` says that orientation was applied. A file that cannot be read counts as upright.
    pub fn new(
        scene: &Scene,
        results: &Results,
        places: &[Result<usize, String>],
        unit: Unit,
        rule: ExifRule,
        given: &BTreeMap<i64, GivenImage>,
    ) -> Self {
        let mut all = Self { unit, stored: HashMap::new(), upright: 0 };
        if rule == ExifRule::Apply {
            return all;
        }
        let declared: HashMap<usize, (u32, u32)> = results
            .records
            .iter()
            .zip(places)
            .filter_map(|(record, place)| Some((*place.as_ref().ok()?, given.get(&record.image.id?)?.size?)))
            .collect();
        let with: BTreeSet<usize> = places.iter().filter_map(|place| place.as_ref().ok().copied()).collect();
        let with: Vec<usize> = with.into_iter().collect();
        let turned: Vec<(usize, Upright)> = with
            .par_iter()
            .filter_map(|at| {
                let image = scene.images.get(*at)?;
                let orientation = orientation_of(scene, image).filter(|orientation| *orientation > 1)?;
                let size = (image.width, image.height);
                Some((*at, Upright::of(rule, orientation, size, declared.get(at).copied())))
            })
            .collect();
        for (at, upright) in turned {
            if upright.moves() {
                all.stored.insert(at, upright);
            } else {
                all.upright += 1;
            }
        }
        all
    }

    /// Returns the shape in pixels of the upright image, the scene's image number `at`.
    pub fn shape(&self, at: usize, image: &ImageRecord, shape: &Shape) -> Shape {
        let size = (image.width, image.height);
        let Some(upright) = self.stored.get(&at) else {
            return in_pixels(shape, self.unit, (f64::from(size.0), f64::from(size.1)));
        };
        upright.shape(in_pixels(shape, self.unit, upright.annotated_size(size)))
    }

    /// Whether the file has coordinates of this image's pixels as stored.
    pub fn is_stored(&self, at: usize) -> bool {
        self.stored.contains_key(&at)
    }

    /// Returns what was assumed, if any image has an orientation.
    pub fn note(&self) -> Option<String> {
        let Self { stored, upright, .. } = self;
        match (stored.len(), *upright) {
            (0, 0) => None,
            (0, upright) => Some(format!(
                "{upright} images with detections have an EXIF orientation; their boxes are read as those of the upright image. If the \
                 detector ignored orientation, add --exif ignore"
            )),
            (stored, upright) => Some(format!(
                "the boxes of {stored} images with an EXIF orientation are those of the stored pixels and were turned{}",
                if upright > 0 {
                    format!("; those of {upright} others are of the upright image")
                } else {
                    String::new()
                }
            )),
        }
    }
}

fn orientation_of(scene: &Scene, image: &ImageRecord) -> Option<u8> {
    let dataset = scene.datasets.iter().find(|dataset| dataset.id == image.dataset)?;
    let path = dataset.root.join(&image.path);
    let bytes = read_image_file(&path).ok()?;
    Some(read_size(&bytes, &path).ok()?.exif_orientation)
}

/// Converts the shape to pixels of an image of `width` x `height`.
fn in_pixels(shape: &Shape, unit: Unit, (w, h): (f64, f64)) -> Shape {
    if unit == Unit::Pixels {
        return *shape;
    }
    match *shape {
        Shape::Rectangle(b) => Shape::Rectangle(BoundingBox::new(b.x1 * w, b.y1 * h, b.x2 * w, b.y2 * h)),
        // With different scales per axis, an ellipse would be distorted; its semi-axes are scaled along the image's axes.
        Shape::Ellipse(e) => Shape::Ellipse(Ellipse::new(e.ra * w, e.rb * h, e.theta, e.cx * w, e.cy * h)),
    }
}
