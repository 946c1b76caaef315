//! Determines the status of each detection in an image, and the missed objects, at a score threshold. Pure.

use crate::domain::{Annotation, Detection, FalsePositiveKind, Overlaps};
use crate::evaluation::{EvaluatedImage, Region, matched_at};
use crate::mining::{DetectionClass, MiningConfig, classify};
use crate::workflow::held_out::{OutputShape, scored_region};

/// The status of a detection. Every detection has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    TruePositive,
    FalsePositive(FalsePositiveKind),
    /// Overlaps ignored ground truth.
    Ignored,
}

/// A detection with its status.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    pub detection: Detection,
    pub status: Status,
    /// Index of the matched object.
    pub object: Option<u32>,
}

/// An object of the image and the detection that matches it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JudgedObject {
    pub annotation: Annotation,
    /// Index of the detection; `None` if the object was missed or is ignored.
    pub held_by: Option<u32>,
}

impl JudgedObject {
    pub fn is_missed(&self) -> bool {
        self.held_by.is_none() && !self.annotation.ignored
    }
}

/// An image as judged for a round.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JudgedImage {
    /// By descending score.
    pub detections: Vec<Judged>,
    pub objects: Vec<JudgedObject>,
}

/// Number of detections with each status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatusCounts {
    pub true_positives: u32,
    pub false_positives: u32,
    pub ignored: u32,
    pub missed: u32,
}

impl std::ops::AddAssign for StatusCounts {
    fn add_assign(&mut self, other: Self) {
        self.true_positives += other.true_positives;
        self.false_positives += other.false_positives;
        self.ignored += other.ignored;
        self.missed += other.missed;
    }
}

impl JudgedImage {
    pub fn counts(&self) -> StatusCounts {
        let mut counts = StatusCounts::default();
        for judged in &self.detections {
            match judged.status {
                Status::TruePositive => counts.true_positives += 1,
                Status::FalsePositive(_) => counts.false_positives += 1,
                Status::Ignored => counts.ignored += 1,
            }
        }
        counts.missed = self.objects.iter().filter(|object| object.is_missed()).count() as u32;
        counts
    }

    /// Objects in an image that the round was not run on.
    pub fn without_detections(truth: &[Annotation]) -> Self {
        let objects = truth.iter().map(|annotation| JudgedObject { annotation: *annotation, held_by: None }).collect();
        Self { detections: Vec::new(), objects }
    }
}

/// Uses the rule of mining (TIDE's classes, greedy by score), like the review's candidates. A higher threshold only removes detections; the
/// remaining ones keep their status.
pub fn judge(detections: &[Detection], truth: &[Annotation], threshold: f32) -> JudgedImage {
    let kept = kept(detections, threshold);
    let classes = classify(&kept, truth, &MiningConfig::default());
    let judged = kept.iter().zip(classes).map(|(detection, class)| {
        let (status, object) = match class {
            DetectionClass::Match(object) => (Status::TruePositive, Some(object as u32)),
            DetectionClass::Ignored => (Status::Ignored, None),
            DetectionClass::FalsePositive { kind, .. } => (Status::FalsePositive(kind), None),
        };
        Judged { detection: *detection, status, object }
    });
    with_objects(judged.collect(), truth)
}

/// Counts like FDDB's curves: by the official assignment of regions at this threshold, class by class. Ignored objects do not exist there,
/// and a detection on one is a false positive. `size`: width and height of the image.
pub fn judge_as_curve(
    detections: &[Detection],
    truth: &[Annotation],
    (threshold, shape): (f32, OutputShape),
    size: (u32, u32),
) -> JudgedImage {
    let kept = kept(detections, threshold);
    let mut judged: Vec<Judged> = kept
        .iter()
        .map(|detection| {
            let objects = truth.iter().filter(|object| !object.ignored);
            let objects = objects.map(|object| (object.shape.bounding_box(), object.class));
            let overlaps = Overlaps::of(&detection.bbox, detection.class, objects);
            let status = Status::FalsePositive(FalsePositiveKind::of(overlaps));
            Judged { detection: *detection, status, object: None }
        })
        .collect();
    let mut classes: Vec<_> = kept.iter().map(|detection| detection.class).collect();
    classes.sort_unstable();
    classes.dedup();
    for class in classes {
        let of_class = |at: &usize| kept[*at].class == class;
        let detections: Vec<usize> = (0..kept.len()).filter(of_class).collect();
        let objects: Vec<usize> =
            (0..truth.len()).filter(|at| truth[*at].class == class && !truth[*at].ignored).collect();
        let image = EvaluatedImage {
            name: String::new(),
            width: size.0,
            height: size.1,
            faces: objects.iter().map(|at| Region::from(&truth[*at].shape)).collect(),
            detections: detections.iter().map(|at| scored_region(&kept[*at], shape)).collect(),
        };
        for (object, detection) in matched_at(&image, f64::from(threshold)) {
            let judged = &mut judged[detections[detection]];
            (judged.status, judged.object) = (Status::TruePositive, Some(objects[object] as u32));
        }
    }
    with_objects(judged, truth)
}

/// By descending score; ties keep their order.
fn kept(detections: &[Detection], threshold: f32) -> Vec<Detection> {
    let mut kept: Vec<Detection> = detections.iter().filter(|d| d.score >= threshold).copied().collect();
    kept.sort_by(|a, b| b.score.total_cmp(&a.score));
    kept
}

fn with_objects(detections: Vec<Judged>, truth: &[Annotation]) -> JudgedImage {
    let mut image = JudgedImage { objects: JudgedImage::without_detections(truth).objects, detections };
    for (place, judged) in image.detections.iter().enumerate() {
        if let Some(object) = judged.object.and_then(|object| image.objects.get_mut(object as usize)) {
            object.held_by = Some(place as u32);
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{AnnotationSource, ClassId, Shape};
    use crate::geometry::BoundingBox;

    fn object(x: f64, ignored: bool) -> Annotation {
        let shape = Shape::Rectangle(BoundingBox::from_xywh(x, 0.0, 20.0, 20.0));
        Annotation { class: ClassId::ONLY, shape, source: AnnotationSource::Imported, ignored }
    }

    fn detection(x: f64, score: f32) -> Detection {
        let bbox = BoundingBox::from_xywh(x, 0.0, 20.0, 20.0);
        Detection { class: ClassId::ONLY, bbox, ellipse: None, score }
    }

    #[test]
    fn every_detection_has_one_status_and_a_higher_threshold_changes_none_that_stays() {
        use FalsePositiveKind::{Background, Duplicate, Localisation};
        let truth = [object(0.0, false), object(100.0, true), object(200.0, false)];
        let found = [
            detection(1.0, 0.6),
            detection(2.0, 0.9),
            detection(101.0, 0.8),
            detection(212.0, 0.5),
            detection(300.0, 0.7),
        ];
        let at = |threshold: f32| judge(&found, &truth, threshold);
        let statuses = |image: &JudgedImage| image.detections.iter().map(|d| d.status).collect::<Vec<_>>();
        let fp = Status::FalsePositive;
        let all = [Status::TruePositive, Status::Ignored, fp(Background), fp(Duplicate), fp(Localisation)];
        assert_eq!(statuses(&at(0.0)), all);
        for (threshold, stay) in [(0.55, 4), (0.7, 3), (0.85, 1), (0.95, 0)] {
            let image = at(threshold);
            assert_eq!(statuses(&image), all[..stay], "from {threshold}");
            let counts = image.counts();
            let sum = counts.true_positives + counts.false_positives + counts.ignored;
            assert_eq!(sum as usize, image.detections.len());
            assert_eq!(counts.missed, if stay > 0 { 1 } else { 2 }, "the ignored object is not missed");
        }
    }

    #[test]
    fn a_curve_counts_what_lies_on_ignored_ground_truth() {
        let truth = [object(0.0, false), object(100.0, true)];
        let found = [detection(2.0, 0.9), detection(1.0, 0.8), detection(101.0, 0.7)];
        let image = judge_as_curve(&found, &truth, (0.0, OutputShape::Rectangle), (320, 60));
        // The better localised one matches the object, whatever the scores.
        assert_eq!(image.detections[1].status, Status::TruePositive);
        let counts = image.counts();
        assert_eq!((counts.true_positives, counts.false_positives, counts.missed), (1, 2, 0));
        let above = judge_as_curve(&found, &truth, (0.85, OutputShape::Rectangle), (320, 60));
        assert_eq!(above.detections[0].status, Status::TruePositive);
        let none = judge_as_curve(&found, &truth, (0.95, OutputShape::Rectangle), (320, 60));
        assert_eq!(none.counts().missed, 1);
    }
}
