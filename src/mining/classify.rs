//! Classifies each detection of an image, after TIDE (Bolya et al. 2020), class by class.

use super::MiningConfig;
use crate::domain::{Annotation, Detection, FalsePositiveKind, Overlaps, overlaps_ignored};
use crate::geometry::BoundingBox;

/// The class of a detection, given the ground truth of its image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DetectionClass {
    /// The best-scored detection of this object of its class (index into the ground truth), with IoU >= the config's `max_iou`.
    Match(usize),
    /// Overlaps ignored ground truth.
    Ignored,
    /// Background, a badly localised object, an object of another class, or a second detection of a matched object.
    FalsePositive { kind: FalsePositiveKind, overlaps: Overlaps },
}

/// Classifies detections; the result is parallel to `detections`. A detection with IoU >= `config.max_iou` to an object of its class covers
/// it: in order of descending score (list order on ties), each takes the unmatched object of its class with the largest IoU; if there is
/// none, it is a duplicate. A detection on ignored ground truth, or mostly inside it, is ignored. The others are classified by their
/// largest IoUs ([`FalsePositiveKind::with_limits`]).
pub fn classify(detections: &[Detection], ground_truth: &[Annotation], config: &MiningConfig) -> Vec<DetectionClass> {
    let objects: Vec<BoundingBox> = ground_truth.iter().map(|object| object.shape.bounding_box()).collect();
    let mut free: Vec<bool> = ground_truth.iter().map(|object| !object.ignored).collect();
    let mut classes = vec![DetectionClass::Ignored; detections.len()];
    let mut by_score: Vec<usize> = (0..detections.len()).collect();
    by_score.sort_by(|a, b| detections[*b].score.total_cmp(&detections[*a].score));
    for at in by_score {
        let detection = &detections[at];
        classes[at] = if let Some(object) = best_free(detection, &objects, ground_truth, &free, config.max_iou) {
            free[object] = false;
            DetectionClass::Match(object)
        } else if is_ignored(&detection.bbox, &objects, ground_truth, config.max_iou) {
            DetectionClass::Ignored
        } else {
            let with_class = objects.iter().zip(ground_truth).map(|(bbox, object)| (*bbox, object.class));
            let overlaps = Overlaps::of(&detection.bbox, detection.class, with_class);
            let kind = FalsePositiveKind::with_limits(overlaps, config.max_iou, config.background_iou);
            DetectionClass::FalsePositive { kind, overlaps }
        };
    }
    classes
}

fn best_free(
    detection: &Detection,
    objects: &[BoundingBox],
    ground_truth: &[Annotation],
    free: &[bool],
    least_iou: f64,
) -> Option<usize> {
    let of_class = (0..objects.len()).filter(|&k| free[k] && ground_truth[k].class == detection.class);
    let matching = of_class.map(|k| (k, detection.bbox.iou(&objects[k]))).filter(|(_, iou)| *iou >= least_iou);
    matching.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0))).map(|(k, _)| k)
}

/// Whether a box is on an ignored object of any class, or mostly inside one.
fn is_ignored(bbox: &BoundingBox, objects: &[BoundingBox], ground_truth: &[Annotation], least: f64) -> bool {
    let ignored = objects.iter().zip(ground_truth).filter(|(_, object)| object.ignored);
    overlaps_ignored(bbox, ignored.map(|(bbox, _)| *bbox), least)
}
