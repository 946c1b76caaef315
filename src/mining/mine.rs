//! Selects the detections of an image that are candidates, and their order.

use super::{DetectionClass, MiningConfig, classify};
use crate::domain::{Annotation, ClassId, Detection, FalsePositiveKind};
use crate::geometry::BoundingBox;

/// A false positive of an image, ready for review.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinedCandidate {
    /// The class that the detector predicted.
    pub class: ClassId,
    pub bbox: BoundingBox,
    pub score: f32,
    /// Largest IoU with an object of any class in the image; 0 without objects.
    pub max_iou: f64,
    /// Never `Duplicate`: a second detection of an object is not a hard negative.
    pub kind: FalsePositiveKind,
}

/// Returns the candidates of an image: every detection whose largest IoU with the objects of its class is below `config.max_iou`, by
/// descending score (list order on ties). Skips boxes that are empty, NaN or infinite, and those on ignored ground truth. Without ground
/// truth every detection is a candidate.
pub fn mine_image(detections: &[Detection], ground_truth: &[Annotation], config: &MiningConfig) -> Vec<MinedCandidate> {
    let detections = sound(detections, config);
    let classes = classify(&detections, ground_truth, config);
    let candidates = detections.iter().zip(classes).filter_map(|(d, class)| match class {
        DetectionClass::FalsePositive { kind, overlaps } if kind != FalsePositiveKind::Duplicate => {
            let max_iou = overlaps.largest();
            Some(MinedCandidate { class: d.class, bbox: d.bbox, score: d.score, max_iou, kind })
        }
        _ => None,
    });
    let mut ranked: Vec<MinedCandidate> = candidates.collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
    ranked
}

/// Counts the detections of an image that [`mine_image`] skips as duplicates.
pub fn count_duplicates(detections: &[Detection], ground_truth: &[Annotation], config: &MiningConfig) -> usize {
    let is_duplicate = |class: &DetectionClass| {
        matches!(class, DetectionClass::FalsePositive { kind: FalsePositiveKind::Duplicate, .. })
    };
    classify(&sound(detections, config), ground_truth, config).iter().filter(|class| is_duplicate(class)).count()
}

/// Returns the finite, non-empty detections with at least the minimum score.
fn sound(detections: &[Detection], config: &MiningConfig) -> Vec<Detection> {
    let is_sound = |d: &&Detection| d.bbox.is_finite() && d.bbox.area() > 0.0 && d.score >= config.min_score;
    detections.iter().filter(is_sound).copied().collect()
}
