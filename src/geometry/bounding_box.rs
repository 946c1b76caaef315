//! Axis-aligned boxes given by their corners, with IoU.

use std::marker::PhantomData;

use super::{ImagePx, ObjectFrame};

/// An axis-aligned box with corners `x1 <= x2`, `y1 <= y2`, in continuous coordinates of the space `S`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundingBox<S = ImagePx> {
    pub x1: f64,
    pub y1: f64,
    pub x2: f64,
    pub y2: f64,
    space: PhantomData<S>,
}

impl<S> BoundingBox<S> {
    /// Sorts the corners, so that width and height are never negative.
    pub fn new(x1: f64, y1: f64, x2: f64, y2: f64) -> Self {
        Self { x1: x1.min(x2), y1: y1.min(y2), x2: x1.max(x2), y2: y1.max(y2), space: PhantomData }
    }

    /// From the top-left corner and size (`x y w h` in FDDB and COCO).
    pub fn from_xywh(x: f64, y: f64, width: f64, height: f64) -> Self {
        Self::new(x, y, x + width, y + height)
    }

    pub fn width(&self) -> f64 {
        self.x2 - self.x1
    }

    pub fn height(&self) -> f64 {
        self.y2 - self.y1
    }

    pub fn area(&self) -> f64 {
        self.width() * self.height()
    }

    /// Returns the centre `(x, y)`.
    pub fn center(&self) -> (f64, f64) {
        (f64::midpoint(self.x1, self.x2), f64::midpoint(self.y1, self.y2))
    }

    pub fn contains(&self, x: f64, y: f64) -> bool {
        self.x1 <= x && x < self.x2 && self.y1 <= y && y < self.y2
    }

    pub fn intersection_area(&self, other: &Self) -> f64 {
        let w = self.x2.min(other.x2) - self.x1.max(other.x1);
        let h = self.y2.min(other.y2) - self.y1.max(other.y1);
        w.max(0.0) * h.max(0.0)
    }

    /// Returns the intersection over union in 0..=1; 0 when both boxes are empty.
    pub fn iou(&self, other: &Self) -> f64 {
        let intersection = self.intersection_area(other);
        let union = self.area() + other.area() - intersection;
        if union > 0.0 { intersection / union } else { 0.0 }
    }

    /// Returns the index of the box in `others` with the largest IoU, and that IoU; `None` if `others` is empty.
    pub fn max_iou(&self, others: &[Self]) -> Option<(usize, f64)> {
        let overlaps = others.iter().map(|other| self.iou(other)).enumerate();
        overlaps.max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
    }

    /// Returns the box in the frame of `object`; `None` if that has no area.
    pub fn in_frame_of(&self, object: &Self) -> Option<BoundingBox<ObjectFrame>> {
        let (w, h) = (object.width(), object.height());
        let (x, y) = (|x: f64| (x - object.x1) / w, |y: f64| (y - object.y1) / h);
        (w > 0.0 && h > 0.0).then(|| BoundingBox::new(x(self.x1), y(self.y1), x(self.x2), y(self.y2)))
    }

    /// Returns the mirror image about the vertical line through `x`.
    #[must_use]
    pub fn mirrored_at(&self, x: f64) -> Self {
        Self::new(2.0 * x - self.x2, self.y1, 2.0 * x - self.x1, self.y2)
    }

    /// Clips the box to `0..=width`, `0..=height`.
    #[must_use]
    pub fn clipped(&self, width: f64, height: f64) -> Self {
        Self::new(
            self.x1.clamp(0.0, width),
            self.y1.clamp(0.0, height),
            self.x2.clamp(0.0, width),
            self.y2.clamp(0.0, height),
        )
    }

    /// Scales the box by `factor` about its centre (1 leaves it unchanged).
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        let (cx, cy) = self.center();
        let (w, h) = (self.width() * factor / 2.0, self.height() * factor / 2.0);
        Self::new(cx - w, cy - h, cx + w, cy + h)
    }

    pub fn is_finite(&self) -> bool {
        [self.x1, self.y1, self.x2, self.y2].iter().all(|v| v.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bb(x1: f64, y1: f64, x2: f64, y2: f64) -> BoundingBox {
        BoundingBox::new(x1, y1, x2, y2)
    }

    #[test]
    fn iou_of_known_pairs() {
        let check = |a: BoundingBox, b: BoundingBox, expected: f64| {
            assert!((a.iou(&b) - expected).abs() < 1e-12, "{a:?} {b:?} {}", a.iou(&b));
            assert!((b.iou(&a) - expected).abs() < 1e-12);
        };
        check(bb(0., 0., 10., 10.), bb(0., 0., 10., 10.), 1.0);
        check(bb(0., 0., 10., 10.), bb(5., 0., 15., 10.), 1.0 / 3.0);
        check(bb(0., 0., 10., 10.), bb(10., 0., 20., 10.), 0.0);
        check(bb(3., 3., 3., 3.), bb(3., 3., 3., 3.), 0.0);
    }

    #[test]
    fn a_frame_is_its_objects_place_and_size() {
        let object = bb(10., 20., 30., 60.);
        assert_eq!(object.in_frame_of(&object), Some(BoundingBox::new(0., 0., 1., 1.)));
        assert_eq!(bb(20., 0., 50., 40.).in_frame_of(&object), Some(BoundingBox::new(0.5, -0.5, 2., 0.5)));
        assert_eq!(object.in_frame_of(&bb(5., 5., 5., 9.)), None);
        assert_eq!(bb(0., 1., 3., 4.).mirrored_at(5.), bb(7., 1., 10., 4.));
    }

    #[test]
    fn max_iou_takes_the_first_of_equals_and_none_of_nothing() {
        let a = bb(0., 0., 4., 4.);
        assert_eq!(a.max_iou(&[]), None);
        assert_eq!(a.max_iou(&[bb(9., 9., 10., 10.), a, a]), Some((1, 1.0)));
    }
}
