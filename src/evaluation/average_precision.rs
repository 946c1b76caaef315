//! COCO's average precision of boxes of one class: what a round's held-out images are measured by.

use serde::{Deserialize, Serialize};

use super::coco::{Coco, CocoMetrics};
use super::evaluator::Evaluator as _;
use super::set::{EvaluationSet, SetClass, SetDetection, SetImage, SetObject};
use crate::domain::{Annotation, Detection};
use crate::geometry::BoundingBox;

/// One image's ground truth and detections.
#[derive(Debug, Clone, PartialEq)]
pub struct ApImage {
    pub ground_truth: Vec<ApGroundTruth>,
    pub detections: Vec<(BoundingBox, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ApGroundTruth {
    pub bbox: BoundingBox,
    /// In square pixels, by which its size is told: an annotation's own `area` (COCO's is the mask's), else the box's.
    pub area: f64,
    /// A region of many, or one to ignore: neither found nor missed counts, several detections may fall on it.
    pub crowd: bool,
}

impl ApImage {
    /// Annotations that are ignored are taken as COCO's crowd regions, which is what WIDER FACE's and COCO's importers mark.
    pub fn new(annotations: &[Annotation], detections: &[Detection]) -> Self {
        let truth = |a: &Annotation| {
            let bbox = a.shape.bounding_box();
            ApGroundTruth { bbox, area: bbox.area(), crowd: a.ignored }
        };
        Self {
            ground_truth: annotations.iter().map(truth).collect(),
            detections: detections.iter().map(|d| (d.bbox, f64::from(d.score))).collect(),
        }
    }
}

/// COCO's six numbers of precision that a face detector is read by; `None` without ground truth of that size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AveragePrecision {
    /// Mean over IoU .50:.05:.95.
    pub ap: Option<f64>,
    pub ap50: Option<f64>,
    pub ap75: Option<f64>,
    /// Area below 32 x 32.
    pub small: Option<f64>,
    /// Area from 32 x 32 to 96 x 96.
    pub medium: Option<f64>,
    /// Area above 96 x 96.
    pub large: Option<f64>,
}

impl AveragePrecision {
    /// The names of [`Self::values`], as metrics of a round are called.
    pub const NAMES: [&'static str; 6] = ["ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"];

    pub fn values(&self) -> [Option<f64>; 6] {
        [self.ap, self.ap50, self.ap75, self.small, self.medium, self.large]
    }

    /// From values in the order of [`Self::NAMES`].
    pub fn from_values([ap, ap50, ap75, small, medium, large]: [Option<f64>; 6]) -> Self {
        Self { ap, ap50, ap75, small, medium, large }
    }
}

impl From<CocoMetrics> for AveragePrecision {
    fn from(m: CocoMetrics) -> Self {
        Self { ap: m.ap, ap50: m.ap50, ap75: m.ap75, small: m.ap_small, medium: m.ap_medium, large: m.ap_large }
    }
}

pub fn average_precision(images: &[ApImage]) -> AveragePrecision {
    let object =
        |t: &ApGroundTruth| SetObject { class: 0, bbox: t.bbox.into(), area: t.area, crowd: t.crowd, difficult: false };
    let detection = |d: &(BoundingBox, f64)| SetDetection { class: 0, bbox: d.0.into(), score: d.1 };
    let image = |(k, image): (usize, &ApImage)| SetImage {
        id: k as i64,
        objects: image.ground_truth.iter().map(object).collect(),
        detections: image.detections.iter().map(detection).collect(),
    };
    let set = EvaluationSet {
        classes: vec![SetClass { id: 1, name: String::new(), listed: true }],
        images: images.iter().enumerate().map(image).collect(),
    };
    Coco.evaluate(&set).overall.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(x: f64, side: f64) -> ApGroundTruth {
        ApGroundTruth { bbox: BoundingBox::from_xywh(x, 0.0, side, side), area: side * side, crowd: false }
    }

    /// Boxes `(x, width, height, score)` at y = 0.
    fn image(ground_truth: &[ApGroundTruth], detections: &[(f64, f64, f64, f64)]) -> ApImage {
        let detections = detections.iter().map(|&(x, w, h, s)| (BoundingBox::from_xywh(x, 0.0, w, h), s)).collect();
        ApImage { ground_truth: ground_truth.to_vec(), detections }
    }

    #[track_caller]
    fn near(value: Option<f64>, expected: f64) {
        assert!(value.is_some_and(|v| (v - expected).abs() < 1e-12), "{value:?} {expected}");
    }

    #[test]
    fn perfect_detections_have_1_and_none_have_0() {
        let perfect = average_precision(&[image(&[face(0.0, 50.0)], &[(0.0, 50.0, 50.0, 0.9)])]);
        near(perfect.ap, 1.0);
        near(perfect.medium, 1.0);
        assert_eq!((perfect.small, perfect.large), (None, None));
        near(average_precision(&[image(&[face(0.0, 50.0)], &[])]).ap, 0.0);
        assert_eq!(average_precision(&[image(&[], &[(0.0, 5.0, 5.0, 0.9)])]).ap, None);
    }

    #[test]
    fn overlap_of_0_7_passes_five_of_ten_thresholds() {
        // 50 x 35 inside 50 x 50: IoU 0.7 passes .50 .55 .60 .65, and .70 exactly.
        let ap = average_precision(&[image(&[face(0.0, 50.0)], &[(0.0, 50.0, 35.0, 0.9)])]);
        near(ap.ap50, 1.0);
        near(ap.ap75, 0.0);
        near(ap.ap, 0.5);
    }

    #[test]
    fn a_false_positive_above_a_hit_halves_the_precision() {
        // Ranks: miss, hit. Precision 1/2 at every recall.
        let ap = average_precision(&[image(&[face(0.0, 50.0)], &[(200.0, 50.0, 50.0, 0.9), (0.0, 50.0, 50.0, 0.8)])]);
        near(ap.ap, 0.5);
    }

    #[test]
    fn half_of_the_faces_found_reaches_recall_one_half() {
        // Recalls 0.00 ... 0.50 are 51 of 101 points.
        let ap = average_precision(&[image(&[face(0.0, 50.0), face(100.0, 50.0)], &[(0.0, 50.0, 50.0, 0.9)])]);
        near(ap.ap, 51.0 / 101.0);
    }

    #[test]
    fn hits_at_ranks_1_and_3_interpolate() {
        // Hit, miss, hit of two faces: precision 1 up to recall .50 (51 points), then 2/3 (50 points).
        let detections = [(0.0, 50.0, 50.0, 0.9), (300.0, 50.0, 50.0, 0.8), (100.0, 50.0, 50.0, 0.7)];
        let ap = average_precision(&[image(&[face(0.0, 50.0), face(100.0, 50.0)], &detections)]);
        near(ap.ap, (51.0 + 50.0 * 2.0 / 3.0) / 101.0);
    }

    #[test]
    fn a_second_detection_of_a_face_is_a_false_positive_and_sizes_are_apart() {
        let detections = [(0.0, 20.0, 20.0, 0.9), (0.0, 20.0, 20.0, 0.8), (100.0, 200.0, 200.0, 0.7)];
        let ap = average_precision(&[image(&[face(0.0, 20.0), face(100.0, 200.0)], &detections)]);
        near(ap.ap, (51.0 + 50.0 * 2.0 / 3.0) / 101.0);
        // Small: the second hit of the small face ranks below full recall; the large face's detection is ignored.
        near(ap.small, 1.0);
        near(ap.large, 1.0);
        assert_eq!(ap.medium, None);
    }

    #[test]
    fn a_face_has_the_size_of_its_own_area() {
        // A box of 40 x 40 whose mask has 900 pixels is small.
        let masked = ApGroundTruth { area: 900.0, ..face(0.0, 40.0) };
        let ap = average_precision(&[image(&[masked], &[(0.0, 40.0, 40.0, 0.9)])]);
        near(ap.small, 1.0);
        assert_eq!(ap.medium, None);
        assert_eq!(AveragePrecision::from_values(ap.values()), ap);
    }

    #[test]
    fn ignored_faces_neither_help_nor_hurt_and_crowds_take_many() {
        let crowd =
            ApGroundTruth { bbox: BoundingBox::from_xywh(500.0, 0.0, 300.0, 300.0), area: 90_000.0, crowd: true };
        let inside = [(510.0, 30.0, 30.0, 0.95), (560.0, 30.0, 30.0, 0.94), (0.0, 50.0, 50.0, 0.5)];
        near(average_precision(&[image(&[crowd, face(0.0, 50.0)], &inside)]).ap, 1.0);
    }

    #[test]
    fn only_the_best_hundred_detections_of_an_image_count() {
        let mut detections: Vec<(f64, f64, f64, f64)> = vec![(900.0, 5.0, 5.0, 0.9); 100];
        detections.push((0.0, 50.0, 50.0, 0.1));
        near(average_precision(&[image(&[face(0.0, 50.0)], &detections)]).ap, 0.0);
    }
}
