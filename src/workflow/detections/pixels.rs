//! Converts the shapes of a result file to pixels of the upright images: fractions, and coordinates of the pixels as stored where an image
//! has an EXIF orientation.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rayon::prelude::*;

use super::Scene;
use crate::dataset::formats::{ExifRule, Upright};
use crate::dataset::results::{GivenImage, Results, Unit};
use crate::dataset::{read_image_file, read_size};
use crate::domain::{ImageRecord, Shape, counted, counted_as};

/// How to read the coordinates of one file.
pub(super) struct Pixels {
    unit: Unit,
    /// By the image's index in the scene, where the coordinates are those of the stored pixels.
    stored: HashMap<usize, Upright>,
    /// Images with an EXIF orientation and coordinates of the upright image.
    upright: usize,
    /// Images with detections whose orientation does not matter for their coordinates, and was not read.
    unread: Vec<usize>,
}

impl Pixels {
    /// `places`: the index of each record's image in the scene; `given`: the images of a ground truth file by id. Reads the headers of the
    /// images whose coordinates may be those of the stored pixels. A file that cannot be read counts as upright.
    pub fn new(
        scene: &Scene,
        results: &Results,
        places: &[Result<usize, String>],
        unit: Unit,
        rule: ExifRule,
        given: &BTreeMap<i64, GivenImage>,
    ) -> Self {
        let declared: HashMap<usize, (u32, u32)> = results
            .records
            .iter()
            .zip(places)
            .filter_map(|(record, place)| Some((*place.as_ref().ok()?, given.get(&record.image.id?)?.size?)))
            .collect();
        let with: BTreeSet<usize> = match rule {
            ExifRule::Apply => BTreeSet::new(),
            ExifRule::Auto | ExifRule::Ignore => {
                places.iter().filter_map(|place| place.as_ref().ok().copied()).collect()
            }
        };
        let is_unclear = |at: &usize| rule == ExifRule::Ignore || declared.contains_key(at);
        let (unclear, unread): (Vec<usize>, Vec<usize>) = with.into_iter().partition(is_unclear);
        let turned: Vec<(usize, Upright)> = unclear
            .par_iter()
            .filter_map(|at| {
                let image = scene.images.get(*at)?;
                let (orientation, size) = (orientation_of(scene, *at)?, (image.width, image.height));
                Some((*at, Upright::of(rule, orientation, size, declared.get(at).copied())))
            })
            .collect();
        let count = turned.len();
        let stored: HashMap<usize, Upright> = turned.into_iter().filter(|(_, upright)| upright.moves()).collect();
        Self { unit, upright: count - stored.len(), stored, unread }
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

    /// Returns what was assumed, if any image with detections has an orientation. Reads the headers of all that were not read yet.
    pub fn note(&self, scene: &Scene) -> Option<String> {
        let turned = self.unread.par_iter().filter(|at| orientation_of(scene, **at).is_some()).count();
        match (self.stored.len(), self.upright + turned) {
            (0, 0) => None,
            (0, upright) => Some(format!(
                "{} an EXIF orientation; boxes are read as those of the upright image. If the \
                 detector ignored orientation, add --exif ignore",
                counted_as(upright, "image with detections has", "images with detections have")
            )),
            (stored, upright) => Some(format!(
                "the boxes of {} with an EXIF orientation are those of the stored pixels and were turned{}",
                counted(stored, "image"),
                if upright > 0 { format!("; those of {upright} more are of the upright image") } else { String::new() }
            )),
        }
    }
}

/// Returns the EXIF orientation of an image that is not stored upright.
fn orientation_of(scene: &Scene, at: usize) -> Option<u8> {
    let image = scene.images.get(at)?;
    let dataset = scene.datasets.iter().find(|dataset| dataset.id == image.dataset)?;
    let path = dataset.root.join(&image.path);
    let header = read_size(&read_image_file(&path).ok()?, &path).ok()?;
    Some(header.exif_orientation).filter(|orientation| *orientation > 1)
}

/// Converts the shape to pixels of an image of `width` x `height`.
fn in_pixels(shape: &Shape, unit: Unit, (width, height): (f64, f64)) -> Shape {
    match unit {
        Unit::Pixels => *shape,
        Unit::Fractions => shape.scaled(width, height),
    }
}
