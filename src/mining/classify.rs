//! What each detection of an image is, after TIDE (Bolya et al. 2020). Must not know which of it is reviewed.

use super::MiningConfig;
use crate::domain::{Annotation, Detection, FalsePositiveKind};
use crate::geometry::BoundingBox;

/// What a detection is, given the ground truth of its image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DetectionClass {
    /// The best-scored detection of this face (index into the ground truth), IoU at `max_iou` of the config or above.
    Match(usize),
    /// Lies on ground truth that is not to be learnt nor counted.
    Ignored,
    /// Nothing of a face, a face badly placed, or a second detection of a matched face.
    FalsePositive { kind: FalsePositiveKind, max_iou: f64 },
}

/// Classifies detections, parallel to `detections`. A detection with an IoU of `config.max_iou` or more holds a face: highest score
/// first (the first listed among equals), each takes the face of its largest IoU among those still free; where none is free it is
/// a duplicate. The others go by their largest IoU with any ground truth.
pub fn classify(detections: &[Detection], ground_truth: &[Annotation], config: &MiningConfig) -> Vec<DetectionClass> {
    let faces: Vec<BoundingBox> = ground_truth.iter().map(|face| face.shape.bounding_box()).collect();
    let mut free: Vec<bool> = ground_truth.iter().map(|face| !face.ignored).collect();
    let mut classes = vec![DetectionClass::Ignored; detections.len()];
    let mut by_score: Vec<usize> = (0..detections.len()).collect();
    by_score.sort_by(|a, b| detections[*b].score.total_cmp(&detections[*a].score));
    for at in by_score {
        let bbox = &detections[at].bbox;
        let max_iou = bbox.max_iou(&faces).map_or(0.0, |(_, iou)| iou);
        classes[at] = if let Some(face) = best_free(bbox, &faces, &free, config.max_iou) {
            free[face] = false;
            DetectionClass::Match(face)
        } else if is_ignored(bbox, &faces, ground_truth, config.max_iou) {
            DetectionClass::Ignored
        } else {
            DetectionClass::FalsePositive { kind: kind(max_iou, config), max_iou }
        };
    }
    classes
}

fn best_free(bbox: &BoundingBox, faces: &[BoundingBox], free: &[bool], least_iou: f64) -> Option<usize> {
    let overlaps = faces.iter().zip(free).enumerate().filter(|(_, (_, free))| **free);
    let matching = overlaps.map(|(k, (face, _))| (k, bbox.iou(face))).filter(|(_, iou)| least_iou <= *iou);
    matching.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).map(|(k, _)| k)
}

/// On an ignored face, or mostly inside one: such ground truth often stands for a crowd, of which the detection is a part.
fn is_ignored(bbox: &BoundingBox, faces: &[BoundingBox], ground_truth: &[Annotation], least: f64) -> bool {
    let ignored = faces.iter().zip(ground_truth).filter(|(_, face)| face.ignored);
    let on = |face: &BoundingBox| {
        let inside = if 0.0 < bbox.area() { bbox.intersection_area(face) / bbox.area() } else { 0.0 };
        least <= bbox.iou(face) || least <= inside
    };
    ignored.into_iter().any(|(face, _)| on(face))
}

fn kind(max_iou: f64, config: &MiningConfig) -> FalsePositiveKind {
    if config.max_iou <= max_iou {
        FalsePositiveKind::Duplicate
    } else if max_iou <= config.background_iou {
        FalsePositiveKind::Background
    } else {
        FalsePositiveKind::Localisation
    }
}
