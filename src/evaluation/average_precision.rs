//! COCO's six average precision values, computed on a round's held-out images.

use serde::{Deserialize, Serialize};

use super::coco::CocoMetrics;

/// COCO's six average precision values, each the mean over all classes; `None` without ground truth of that size.
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
    /// The names of [`Self::values`], used as a round's metric names.
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

#[cfg(test)]
mod tests {
    use super::super::coco::Coco;
    use super::super::evaluator::Evaluator as _;
    use super::super::set::fixtures::{found, object as face, set};
    use super::super::set::{SetDetection, SetObject, XywhBox};
    use super::*;

    type Image = (Vec<SetObject>, Vec<SetDetection>);

    fn average_precision(images: &[Image]) -> AveragePrecision {
        Coco.evaluate(&set(1, images.to_vec())).overall.into()
    }

    /// Boxes `(x, width, height, score)` at y = 0.
    fn image(ground_truth: &[SetObject], detections: &[(f64, f64, f64, f64)]) -> Image {
        (ground_truth.to_vec(), detections.iter().map(|&(x, w, h, s)| found(0, x, w, h, s)).collect())
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
        let masked = SetObject { area: 900.0, ..face(0.0, 40.0) };
        let ap = average_precision(&[image(&[masked], &[(0.0, 40.0, 40.0, 0.9)])]);
        near(ap.small, 1.0);
        assert_eq!(ap.medium, None);
        assert_eq!(AveragePrecision::from_values(ap.values()), ap);
    }

    #[test]
    fn ignored_faces_neither_help_nor_hurt_and_crowds_take_many() {
        let bbox = XywhBox { x: 500.0, y: 0.0, w: 300.0, h: 300.0 };
        let crowd = SetObject { bbox, area: 90_000.0, crowd: true, ..face(0.0, 1.0) };
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
