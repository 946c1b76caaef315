//! Objects and detections of several classes on a set of images: the input of every evaluator but FDDB's.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::{Annotation, ClassId, Detection};
use crate::geometry::BoundingBox;

/// Top-left corner and size in pixels, as in COCO's files. The numbers are kept as read: converting to corners would change the last bits
/// of an overlap, and with them decisions at a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct XywhBox {
    pub x: f64,
    pub y: f64,
    pub w: f64,
    pub h: f64,
}

impl From<BoundingBox> for XywhBox {
    fn from(b: BoundingBox) -> Self {
        Self { x: b.x1, y: b.y1, w: b.width(), h: b.height() }
    }
}

impl XywhBox {
    /// Returns the area in square pixels.
    pub fn area(&self) -> f64 {
        self.w * self.h
    }

    fn intersection(&self, other: &Self) -> f64 {
        let w = (self.w + self.x).min(other.w + other.x) - self.x.max(other.x);
        let h = (self.h + self.y).min(other.h + other.y) - self.y.max(other.y);
        if w > 0.0 && h > 0.0 { w * h } else { 0.0 }
    }

    /// Intersection over union, bit-identical to pycocotools' `bbIou`; 0 without intersection.
    pub fn iou(&self, truth: &Self) -> f64 {
        let shared = self.intersection(truth);
        if shared > 0.0 { shared / (self.area() + truth.area() - shared) } else { 0.0 }
    }

    /// Returns the fraction of this box's area inside `region`: the overlap with a crowd.
    pub fn share_inside(&self, region: &Self) -> f64 {
        let shared = self.intersection(region);
        if shared > 0.0 { shared / self.area() } else { 0.0 }
    }
}

/// A class of the set. Objects and detections refer to it by its index in [`EvaluationSet::classes`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetClass {
    /// The dataset's own id.
    pub id: i64,
    pub name: String,
    /// Whether the dataset lists it. Unlisted classes are only evaluated by TIDE, as in the references.
    #[serde(skip, default = "listed")]
    pub listed: bool,
}

/// Reports only name listed classes.
fn listed() -> bool {
    true
}

/// An annotated object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SetObject {
    pub class: usize,
    pub bbox: XywhBox,
    /// Area in square pixels, which determines the size range: the annotation's own `area` (in COCO the mask's), otherwise the box's.
    pub area: f64,
    /// A region of many objects: not counted as found or missed, and several detections may match it.
    pub crowd: bool,
    /// `difficult` in VOC, `ignore` elsewhere: not counted as found or missed. COCO and TIDE have no such flag.
    pub difficult: bool,
}

impl SetObject {
    /// Whether it is not counted as found or missed, outside COCO and TIDE.
    pub fn ignored(&self) -> bool {
        self.crowd || self.difficult
    }
}

/// A detection; a higher score is more confident. Scores are finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SetDetection {
    pub class: usize,
    pub bbox: XywhBox,
    pub score: f64,
}

/// One image, in file order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SetImage {
    /// The dataset's own id, by which COCO orders images (which breaks score ties).
    pub id: i64,
    pub objects: Vec<SetObject>,
    pub detections: Vec<SetDetection>,
}

/// The complete evaluation input.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EvaluationSet {
    pub classes: Vec<SetClass>,
    /// In dataset order.
    pub images: Vec<SetImage>,
}

impl EvaluationSet {
    /// Sets the class names by id.
    #[must_use]
    pub fn named(mut self, name: impl Fn(i64) -> Option<String>) -> Self {
        for class in &mut self.classes {
            class.name = name(class.id).unwrap_or_else(|| std::mem::take(&mut class.name));
        }
        self
    }

    /// Builds the set from the ground truth and detections of images in order; its classes are those that occur. Ignored annotations become
    /// crowd regions, which is what the importers mark, and each object has the area of its box.
    pub fn of_images<'a>(images: impl Iterator<Item = (&'a [Annotation], &'a [Detection])>) -> Self {
        let images: Vec<_> = images.collect();
        let annotated = images.iter().flat_map(|image| image.0).map(|a| a.class);
        let classes: BTreeSet<ClassId> =
            annotated.chain(images.iter().flat_map(|image| image.1).map(|d| d.class)).collect();
        let classes: Vec<ClassId> = classes.into_iter().collect();
        let index = |class: ClassId| classes.partition_point(|c| *c < class);
        let object = |a: &Annotation| {
            let bbox = XywhBox::from(a.shape.bounding_box());
            SetObject { class: index(a.class), bbox, area: bbox.area(), crowd: a.ignored, difficult: false }
        };
        let detection =
            |d: &Detection| SetDetection { class: index(d.class), bbox: d.bbox.into(), score: d.score.into() };
        let image = |(k, (truth, found)): (usize, &(&[Annotation], &[Detection]))| SetImage {
            id: k as i64,
            objects: truth.iter().map(object).collect(),
            detections: found.iter().map(detection).collect(),
        };
        let images = images.iter().enumerate().map(image).collect();
        let class = |id: &ClassId| SetClass { id: id.0, name: format!("class {}", id.0), listed: true };
        Self { classes: classes.iter().map(class).collect(), images }
    }
}

/// Orders descending scores; 0 and -0 are equal. For stable sorts: ties keep their order, as in the references.
pub(super) fn best_first(a: f64, b: f64) -> Ordering {
    b.partial_cmp(&a).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
pub(super) mod fixtures {
    use super::*;

    /// A square object of class 0 at `y = 0`.
    pub fn object(x: f64, side: f64) -> SetObject {
        let bbox = XywhBox { x, y: 0.0, w: side, h: side };
        SetObject { class: 0, bbox, area: bbox.area(), crowd: false, difficult: false }
    }

    pub fn found(class: usize, x: f64, w: f64, h: f64, score: f64) -> SetDetection {
        SetDetection { class, bbox: XywhBox { x, y: 0.0, w, h }, score }
    }

    /// A set of `classes` classes with ids from 1, and these images.
    pub fn set(classes: usize, images: Vec<(Vec<SetObject>, Vec<SetDetection>)>) -> EvaluationSet {
        let class = |k: usize| SetClass { id: k as i64 + 1, name: format!("class {}", k + 1), listed: true };
        let images = images.into_iter().enumerate();
        EvaluationSet {
            classes: (0..classes).map(class).collect(),
            images: images.map(|(k, (objects, detections))| SetImage { id: k as i64, objects, detections }).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::coco::Coco;
    use super::super::evaluator::Evaluator as _;
    use super::*;
    use crate::domain::{AnnotationSource, Shape};

    #[test]
    fn overlap_is_the_references() {
        let a = XywhBox { x: 0.1, y: 0.2, w: 10.0, h: 20.0 };
        assert_eq!(a.iou(&a), 1.0);
        let check = |x, y, w, h, iou: f64, share: f64| {
            let b = XywhBox { x, y, w, h };
            assert!((a.iou(&b) - iou).abs() < 1e-12 && (a.share_inside(&b) - share).abs() < 1e-12, "{b:?}");
        };
        check(0.1, 0.2, 10.0, 10.0, 0.5, 0.5);
        check(-100.0, -100.0, 500.0, 500.0, 200.0 / 250_000.0, 1.0);
        check(10.1, 0.2, 10.0, 20.0, 0.0, 0.0);
        check(5.0, 5.0, 0.0, 0.0, 0.0, 0.0);
        let empty = XywhBox { x: 5.0, y: 5.0, w: 0.0, h: 0.0 };
        assert_eq!((empty.iou(&empty), empty.share_inside(&a)), (0.0, 0.0));
    }

    /// A detection of another class on an object is a false positive for its class, and the object is missed.
    #[test]
    fn annotations_and_detections_keep_their_classes() {
        let bbox = BoundingBox::from_xywh(0.0, 0.0, 50.0, 50.0);
        let truth = |class, ignored| Annotation {
            class: ClassId(class),
            shape: Shape::Rectangle(bbox),
            source: AnnotationSource::Imported,
            ignored,
        };
        let found = |class| Detection { class: ClassId(class), bbox, ellipse: None, score: 0.5 };
        let ap = |truth: &[Annotation], found: &[Detection]| {
            let set = EvaluationSet::of_images(std::iter::once((truth, found)));
            (set.classes.len(), Coco.evaluate(&set).overall.ap)
        };
        assert_eq!(ap(&[truth(7, false)], &[found(7)]), (1, Some(1.0)));
        assert_eq!(ap(&[truth(7, false)], &[found(3)]), (2, Some(0.0)));
        assert_eq!(ap(&[truth(7, false), truth(9, false)], &[found(7)]), (2, Some(0.5)));
        assert_eq!(ap(&[truth(7, true)], &[found(7)]), (1, None));
    }
}
