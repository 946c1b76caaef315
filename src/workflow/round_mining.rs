//! The hard negatives of an image: those of earlier rounds, and those that a running round mines itself.

use std::collections::BTreeMap;

use crate::domain::{Annotation, AnnotationSource, ClassId, Detection, FalsePositiveKind, Shape};
use crate::geometry::BoundingBox;
use crate::mining::{MiningConfig, SAME_HARD_NEGATIVE_IOU, deduplicate, mine_image};
use crate::training::{MinedNegatives, TrainingImage};

/// Returns an image's hard negatives from before the round together with the false positives among `found`, by the definition of
/// mining. Classes are the detector's labels throughout.
pub(super) fn negatives(image: &TrainingImage, found: &[Detection], min_score: f32) -> MinedNegatives {
    let annotation = |shape, label, ignored| Annotation {
        class: ClassId(label),
        shape,
        source: AnnotationSource::Imported,
        ignored,
    };
    let label = |labels: &[i64], k: usize| labels.get(k).copied().unwrap_or(1);
    let objects = image.faces.iter().enumerate().map(|(k, face)| annotation(*face, label(&image.labels, k), false));
    let ignored = image.ignored.iter().map(|region| annotation(Shape::Rectangle(*region), 1, true));
    let truth: Vec<Annotation> = objects.chain(ignored).collect();
    let mined = mine_image(found, &truth, &MiningConfig { min_score, ..MiningConfig::default() });
    let mined = mined.into_iter().map(|m| (m.kind, m.class, m.bbox, m.score));
    let before = image.hard_negatives.iter().enumerate().map(|(k, (bbox, score))| {
        (FalsePositiveKind::Background, ClassId(label(&image.hard_negative_labels, k)), *bbox, *score)
    });
    let (hard, mut misclassified) = by_class(before.chain(mined));
    let is_new = |b: &&BoundingBox| misclassified.iter().all(|other| b.iou(other) < SAME_HARD_NEGATIVE_IOU);
    let others: Vec<BoundingBox> = image.misclassified.iter().filter(is_new).copied().collect();
    misclassified.extend(others);
    let (hard_negatives, hard_negative_labels) =
        hard.into_iter().map(|(class, bbox, score)| ((bbox, score), class.0)).unzip();
    MinedNegatives { hard_negatives, hard_negative_labels, misclassified }
}

/// Deduplicates an image's hard negatives by class, and separates those on an object that the detector misclassified: these are foreground
/// of the object's own class.
pub(super) fn by_class(
    mined: impl Iterator<Item = (FalsePositiveKind, ClassId, BoundingBox, f32)>,
) -> (Vec<(ClassId, BoundingBox, f32)>, Vec<BoundingBox>) {
    let mut of_class: BTreeMap<(bool, ClassId), Vec<(BoundingBox, f32)>> = BTreeMap::new();
    for (kind, class, bbox, score) in mined {
        let is_object = kind == FalsePositiveKind::Classification;
        of_class.entry((is_object, class)).or_default().push((bbox, score));
    }
    let (mut background, mut objects) = (Vec::new(), Vec::new());
    for ((is_object, class), negatives) in of_class {
        let once = deduplicate(negatives).into_iter().map(|(bbox, score)| (class, bbox, score));
        if is_object { objects.extend(once) } else { background.extend(once) }
    }
    let by_score = |a: &(ClassId, BoundingBox, f32), b: &(ClassId, BoundingBox, f32)| b.2.total_cmp(&a.2);
    background.sort_by(by_score);
    objects.sort_by(by_score);
    (background, objects.into_iter().map(|(_, bbox, _)| bbox).collect())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::domain::ImageId;

    fn square(x: f64) -> BoundingBox {
        BoundingBox::new(x, 0.0, x + 100.0, 100.0)
    }

    fn found(x: f64, score: f32, label: i64) -> Detection {
        Detection { class: ClassId(label), bbox: square(x), score, ellipse: None }
    }

    fn image() -> TrainingImage {
        TrainingImage {
            id: ImageId(1),
            path: PathBuf::from("1.jpg"),
            size: (1200, 1200),
            faces: vec![Shape::Rectangle(square(0.0)), Shape::Rectangle(square(1000.0))],
            labels: vec![1, 2],
            hard_negatives: vec![(square(200.0), 0.4), (square(400.0), 0.3)],
            hard_negative_labels: vec![1, 1],
            misclassified: vec![],
            ignored: vec![square(600.0)],
        }
    }

    #[test]
    fn false_positives_join_the_hard_negatives_of_the_image_once() {
        // In turn: an object, the same object again, a known hard negative with a higher score, a new one, an ignored region, too
        // low a score.
        let detections = [
            found(5.0, 0.99, 1),
            found(0.0, 0.98, 1),
            found(205.0, 0.9, 1),
            found(800.0, 0.7, 1),
            found(602.0, 0.6, 1),
            found(1500.0, 0.01, 1),
        ];
        let mined = negatives(&image(), &detections, 0.05);
        assert_eq!(mined.hard_negatives, [(square(205.0), 0.9), (square(800.0), 0.7), (square(400.0), 0.3)]);
        assert_eq!((mined.hard_negative_labels, mined.misclassified), (vec![1, 1, 1], vec![]));
    }

    #[test]
    fn an_object_of_another_class_is_misclassified_and_not_background() {
        let known = TrainingImage { misclassified: vec![square(0.0), square(995.0)], ..image() };
        let mined = negatives(&known, &[found(1001.0, 0.8, 1), found(1300.0, 0.5, 2)], 0.05);
        assert_eq!(mined.misclassified, [square(1001.0), square(0.0)]);
        assert_eq!(mined.hard_negatives[0], (square(1300.0), 0.5));
        assert_eq!(mined.hard_negative_labels, [2, 1, 1]);
    }
}
