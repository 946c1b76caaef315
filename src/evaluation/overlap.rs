//! The overlaps of one image: which detection touches which face, and by how much.

use rayon::prelude::*;

use super::pixel_set::PixelSet;
use super::region::{EvaluatedImage, Region};

/// A detection that overlaps at least one face.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TouchingDetection {
    pub score: f64,
    /// `(face, IoU)`, faces ascending, IoU > 0.
    pub faces: Vec<(u32, f64)>,
    /// The largest IoU in `faces`.
    pub best: f64,
}

/// Returns the detections of an image that touch faces, in detector order.
pub(crate) fn touching_detections(image: &EvaluatedImage) -> Vec<TouchingDetection> {
    touching_with_places(image).into_iter().map(|(_, touching)| touching).collect()
}

/// Like [`touching_detections`], each with its index among the image's detections.
pub(crate) fn touching_with_places(image: &EvaluatedImage) -> Vec<(usize, TouchingDetection)> {
    if image.faces.is_empty() || image.detections.is_empty() {
        return Vec::new();
    }
    let paint = |region| PixelSet::paint(region, image.width, image.height);
    let faces: Vec<PixelSet> = image.faces.iter().map(paint).collect();
    let touching = image.detections.par_iter().enumerate().with_min_len(64).filter_map(|(place, detection)| {
        let pixels = paint(&detection.region);
        let overlaps = faces.iter().map(|face| face.iou(&pixels)).enumerate();
        let touched: Vec<(u32, f64)> = overlaps.filter(|o| o.1 > 0.0).map(|(k, iou)| (k as u32, iou)).collect();
        let best = touched.iter().map(|o| o.1).fold(0.0, f64::max);
        (!touched.is_empty()).then_some((place, TouchingDetection { score: detection.score, faces: touched, best }))
    });
    touching.collect()
}

/// Returns the indices `(face, detection)` of a pair in `image` that both have no pixel inside it: the official program divides 0 by 0
/// there and never terminates. The evaluation counts such a pair as no overlap.
pub fn pair_without_pixels(image: &EvaluatedImage) -> Option<(usize, usize)> {
    let empty = |region: &Region| PixelSet::paint(region, image.width, image.height).area() == 0;
    // Painting every face just for this would cost as much as the evaluation: faces with their centre inside have pixels.
    let inside = |region: &Region| match *region {
        Region::Ellipse { cx, cy, .. } => {
            cx >= 0.0 && cy >= 0.0 && cx <= f64::from(image.width) - 1.0 && cy <= f64::from(image.height) - 1.0
        }
        Region::Rectangle { .. } => false,
    };
    let face = image.faces.iter().position(|face| !inside(face) && empty(face))?;
    let detection = image.detections.iter().position(|d| empty(&d.region))?;
    Some((face, detection))
}
