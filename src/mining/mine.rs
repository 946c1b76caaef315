//! Which detections of an image are candidates, and in which order.

use super::{DetectionClass, MiningConfig, classify};
use crate::domain::{Annotation, ClassId, Detection, FalsePositiveKind};
use crate::geometry::BoundingBox;

/// A false positive of an image, ready to be reviewed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MinedCandidate {
    /// What the detector took it for.
    pub class: ClassId,
    pub bbox: BoundingBox,
    pub score: f32,
    /// Largest IoU with an object of the image, of any class; 0 without objects.
    pub max_iou: f64,
    /// Never `Duplicate`: a second detection of an object is not a hard negative.
    pub kind: FalsePositiveKind,
}

/// The candidates of an image: every detection whose largest IoU with the objects of its class is below `config.max_iou`, highest score
/// first (the first listed among equals). Boxes without area, NaN and infinite values are left out, and so is what is on ground truth
/// marked as ignored. Without ground truth every detection is a candidate.
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

/// How many detections of an image [`mine_image`] leaves out for being further detections of an object.
pub fn count_duplicates(detections: &[Detection], ground_truth: &[Annotation], config: &MiningConfig) -> usize {
    let is_duplicate = |class: &DetectionClass| {
        matches!(class, DetectionClass::FalsePositive { kind: FalsePositiveKind::Duplicate, .. })
    };
    classify(&sound(detections, config), ground_truth, config).iter().filter(|class| is_duplicate(class)).count()
}

/// The detections that can be mined at all.
fn sound(detections: &[Detection], config: &MiningConfig) -> Vec<Detection> {
    let is_sound = |d: &&Detection| d.bbox.is_finite() && d.bbox.area() > 0.0 && d.score >= config.min_score;
    detections.iter().filter(is_sound).copied().collect()
}
