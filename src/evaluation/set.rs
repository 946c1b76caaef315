//! Objects and detections of several classes on a set of images: what every evaluator but FDDB's compares.

use std::cmp::Ordering;

use serde::Serialize;

use crate::geometry::BoundingBox;

/// Left upper corner and size in pixels, as COCO's files hold a box. The numbers stay as they were read: a detour over corners would
/// change an overlap's last bits, and with them decisions at a threshold.
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
    /// In square pixels.
    pub fn area(&self) -> f64 {
        self.w * self.h
    }

    fn intersection(&self, other: &Self) -> f64 {
        let w = (self.w + self.x).min(other.w + other.x) - self.x.max(other.x);
        let h = (self.h + self.y).min(other.h + other.y) - self.y.max(other.y);
        if w > 0.0 && h > 0.0 { w * h } else { 0.0 }
    }

    /// Intersection over union with the bits of pycocotools' `bbIou`; 0 where nothing is shared.
    pub fn iou(&self, truth: &Self) -> f64 {
        let shared = self.intersection(truth);
        if shared > 0.0 { shared / (self.area() + truth.area() - shared) } else { 0.0 }
    }

    /// The part of this box's area that lies inside `region`: the overlap with a crowd.
    pub fn share_inside(&self, region: &Self) -> f64 {
        let shared = self.intersection(region);
        if shared > 0.0 { shared / self.area() } else { 0.0 }
    }
}

/// A class of the set. Objects and detections name it by its index in [`EvaluationSet::classes`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SetClass {
    /// The dataset's own id.
    pub id: i64,
    pub name: String,
    /// Whether the dataset lists it. The others are evaluated by TIDE alone, as by the references.
    #[serde(skip)]
    pub listed: bool,
}

/// An annotated object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SetObject {
    pub class: usize,
    pub bbox: XywhBox,
    /// In square pixels, which tells its size: the annotation's own `area` (COCO's is the mask's), else the box's.
    pub area: f64,
    /// A region of many objects: neither found nor missed counts, several detections may fall on it.
    pub crowd: bool,
    /// VOC's `difficult`, others' `ignore`: neither found nor missed counts. COCO and TIDE know no such flag.
    pub difficult: bool,
}

impl SetObject {
    /// Whether it counts neither as found nor as missed, outside COCO and TIDE.
    pub fn ignored(&self) -> bool {
        self.crowd || self.difficult
    }
}

/// A detection; a larger score is surer. Scores are finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SetDetection {
    pub class: usize,
    pub bbox: XywhBox,
    pub score: f64,
}

/// One image, in the order of the files.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SetImage {
    /// The dataset's own id, by which COCO orders images (this decides between equal scores).
    pub id: i64,
    pub objects: Vec<SetObject>,
    pub detections: Vec<SetDetection>,
}

/// What is evaluated.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EvaluationSet {
    pub classes: Vec<SetClass>,
    /// In the dataset's order.
    pub images: Vec<SetImage>,
}

/// Falling scores; 0 and -0 are equal. For stable sorts: equal scores keep their order, as in the references.
pub(super) fn best_first(a: f64, b: f64) -> Ordering {
    b.partial_cmp(&a).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
pub(super) mod fixtures {
    use super::*;

    /// An object of class 0 at `y = 0`, as wide as high.
    pub fn object(x: f64, side: f64) -> SetObject {
        let bbox = XywhBox { x, y: 0.0, w: side, h: side };
        SetObject { class: 0, bbox, area: bbox.area(), crowd: false, difficult: false }
    }

    pub fn found(class: usize, x: f64, w: f64, h: f64, score: f64) -> SetDetection {
        SetDetection { class, bbox: XywhBox { x, y: 0.0, w, h }, score }
    }

    /// `classes` classes with ids from 1, and these images.
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
    use super::*;

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
}
