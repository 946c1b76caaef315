//! FDDB's ellipses: semi-axes, angle, centre.

use std::marker::PhantomData;

use super::{BoundingBox, ImagePx};

/// An ellipse as in FDDB: semi-axes `ra`, `rb` in pixels of `S`, angle `theta` of the `ra` axis in radians (x to the right, y down), centre
/// `cx`, `cy`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ellipse<S = ImagePx> {
    pub ra: f64,
    pub rb: f64,
    pub theta: f64,
    pub cx: f64,
    pub cy: f64,
    space: PhantomData<S>,
}

impl<S> Ellipse<S> {
    pub fn new(ra: f64, rb: f64, theta: f64, cx: f64, cy: f64) -> Self {
        Self { ra, rb, theta, cx, cy, space: PhantomData }
    }

    /// The axis-aligned ellipse that touches the four sides of `b`: `ra` is half its height and `theta` a right angle, as in most of FDDB.
    pub fn inscribed(b: &BoundingBox<S>) -> Self {
        let (cx, cy) = b.center();
        Self::new(b.height() / 2.0, b.width() / 2.0, std::f64::consts::FRAC_PI_2, cx, cy)
    }

    /// Returns the tight axis-aligned box around the ellipse.
    pub fn bounding_box(&self) -> BoundingBox<S> {
        let (sin, cos) = self.theta.sin_cos();
        let half_w = (self.ra * cos).hypot(self.rb * sin);
        let half_h = (self.ra * sin).hypot(self.rb * cos);
        BoundingBox::new(self.cx - half_w, self.cy - half_h, self.cx + half_w, self.cy + half_h)
    }

    pub fn area(&self) -> f64 {
        std::f64::consts::PI * self.ra * self.rb
    }

    pub fn contains(&self, x: f64, y: f64) -> bool {
        let (sin, cos) = self.theta.sin_cos();
        let (dx, dy) = (x - self.cx, y - self.cy);
        let u = (dx * cos + dy * sin) / self.ra;
        let v = (dy * cos - dx * sin) / self.rb;
        u * u + v * v <= 1.0
    }

    /// Returns `count` points on the outline, evenly spaced in the parameter, for drawing.
    pub fn outline(&self, count: usize) -> Vec<(f64, f64)> {
        let (sin, cos) = self.theta.sin_cos();
        (0..count)
            .map(|k| {
                let t = std::f64::consts::TAU * k as f64 / count as f64;
                let (u, v) = (self.ra * t.cos(), self.rb * t.sin());
                (self.cx + u * cos - v * sin, self.cy + u * sin + v * cos)
            })
            .collect()
    }

    /// Mirrors it left to right in an image of this width.
    #[must_use]
    pub fn flipped(&self, width: f64) -> Self {
        Self::new(self.ra, self.rb, -self.theta, width - self.cx, self.cy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounding_box_is_tight() {
        let e: Ellipse = Ellipse::new(30.0, 20.0, 0.7, 100.0, 50.0);
        let b = e.bounding_box();
        let points = e.outline(20_000);
        let max_x = points.iter().map(|p| p.0).fold(f64::MIN, f64::max);
        let min_y = points.iter().map(|p| p.1).fold(f64::MAX, f64::min);
        assert!((max_x - b.x2).abs() < 1e-4 && (min_y - b.y1).abs() < 1e-4, "{b:?} {max_x} {min_y}");
    }

    #[test]
    fn inscribed_ellipse_gives_the_box_back() {
        let b: BoundingBox = BoundingBox::new(10.0, 20.0, 40.0, 80.0);
        let back = Ellipse::inscribed(&b).bounding_box();
        assert!((back.x1 - 10.0).abs() < 1e-9 && (back.y2 - 80.0).abs() < 1e-9);
    }
}
