//! Converts points, boxes and ellipses between two coordinate spaces.

use std::marker::PhantomData;

use super::{BoundingBox, Ellipse};

/// An invertible axis-aligned map `to = from * scale + offset` between two spaces.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit<From, To> {
    pub scale_x: f64,
    pub scale_y: f64,
    pub offset_x: f64,
    pub offset_y: f64,
    spaces: PhantomData<(From, To)>,
}

impl<From, To> Fit<From, To> {
    /// A map with separate scales for both axes. Scales must be positive.
    pub fn new(scale_x: f64, scale_y: f64, offset_x: f64, offset_y: f64) -> Self {
        Self { scale_x, scale_y, offset_x, offset_y, spaces: PhantomData }
    }

    pub fn point(&self, x: f64, y: f64) -> (f64, f64) {
        (x * self.scale_x + self.offset_x, y * self.scale_y + self.offset_y)
    }

    pub fn bounding_box(&self, b: &BoundingBox<From>) -> BoundingBox<To> {
        let (x1, y1) = self.point(b.x1, b.y1);
        let (x2, y2) = self.point(b.x2, b.y2);
        BoundingBox::new(x1, y1, x2, y2)
    }

    /// Maps an ellipse by the mean scale of both axes; exact if they are equal, which resizing ensures up to a pixel.
    pub fn ellipse(&self, e: &Ellipse<From>) -> Ellipse<To> {
        let scale = (self.scale_x * self.scale_y).sqrt();
        let (cx, cy) = self.point(e.cx, e.cy);
        Ellipse::new(e.ra * scale, e.rb * scale, e.theta, cx, cy)
    }

    pub fn inverse(&self) -> Fit<To, From> {
        Fit::new(1.0 / self.scale_x, 1.0 / self.scale_y, -self.offset_x / self.scale_x, -self.offset_y / self.scale_y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{ImagePx, NetworkPx};

    #[test]
    fn inverse_undoes_the_map() {
        let fit: Fit<ImagePx, NetworkPx> = Fit::new(2.0, 1.5, 3.0, -4.0);
        let original = BoundingBox::new(10.0, 20.0, 30.5, 41.0);
        let back = fit.inverse().bounding_box(&fit.bounding_box(&original));
        for (a, b) in [(back.x1, 10.0), (back.y1, 20.0), (back.x2, 30.5), (back.y2, 41.0)] {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
    }
}
