//! Regions as pixel sets inside an image, stored as row spans (`fddb_spec.md`, sections 4.1 and 4.3).

use super::ellipse_painter;
use super::raster::{Span, round_single};
use super::region::Region;

/// The pixels of one region inside its image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PixelSet {
    shape: Shape,
    area: u64,
    /// `x0 y0 x1 y1`, both ends inclusive; only valid if `area` is not 0.
    bounds: [i32; 4],
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    Empty,
    /// Every pixel in the bounds.
    Rectangle,
    /// Sorted by row, then column; spans of a row neither touch nor overlap. Never empty.
    Spans(Vec<Span>),
}

impl PixelSet {
    /// Returns the pixels that the official program paints for `region` in an image of `width` x `height`.
    pub fn paint(region: &Region, width: u32, height: u32) -> Self {
        match *region {
            Region::Rectangle { x, y, w, h } => Self::rectangle([x, y, x + w, y + h], width, height),
            Region::Ellipse { ra, rb, theta, cx, cy } => {
                let ellipse = crate::geometry::Ellipse::new(ra, rb, theta, cx, cy);
                Self::from_spans(ellipse_painter::paint(&ellipse, width, height))
            }
        }
    }

    /// Rounds the corners `x0 y0 x1 y1`, sorts them, treats both as inclusive, and clips to the image.
    fn rectangle(corners: [f64; 4], width: u32, height: u32) -> Self {
        let [xa, ya, xb, yb] = corners.map(round_single);
        let (x0, x1) = (xa.min(xb).max(0), xa.max(xb).min(i64::from(width) - 1));
        let (y0, y1) = (ya.min(yb).max(0), ya.max(yb).min(i64::from(height) - 1));
        if x1 < x0 || y1 < y0 {
            return Self { shape: Shape::Empty, area: 0, bounds: [0; 4] };
        }
        let bounds = [x0, y0, x1, y1].map(|v| v as i32);
        Self { shape: Shape::Rectangle, area: ((x1 - x0 + 1) * (y1 - y0 + 1)) as u64, bounds }
    }

    fn from_spans(spans: Vec<Span>) -> Self {
        let (Some(first), Some(last)) = (spans.first(), spans.last()) else {
            return Self { shape: Shape::Empty, area: 0, bounds: [0; 4] };
        };
        let area = spans.iter().map(|s| s.len()).sum();
        let x0 = spans.iter().map(|s| s.x0).fold(first.x0, i32::min);
        let x1 = spans.iter().map(|s| s.x1).fold(first.x1, i32::max);
        let bounds = [x0, first.y, x1, last.y];
        Self { shape: Shape::Spans(spans), area, bounds }
    }

    /// Returns the number of pixels.
    pub fn area(&self) -> u64 {
        self.area
    }

    /// Returns the set as `width` x `height` bytes of 0 or 1 in row-major order; for tests and images.
    pub fn mask(&self, width: u32, height: u32) -> Vec<u8> {
        let mut mask = vec![0; width as usize * height as usize];
        let mut fill = |y: i32, x0: i32, x1: i32| {
            let row = y as usize * width as usize;
            mask[row + x0 as usize..=row + x1 as usize].fill(1);
        };
        match &self.shape {
            Shape::Empty => {}
            Shape::Rectangle => (self.bounds[1]..=self.bounds[3]).for_each(|y| fill(y, self.bounds[0], self.bounds[2])),
            Shape::Spans(spans) => spans.iter().for_each(|s| fill(s.y, s.x0, s.x1)),
        }
        mask
    }

    /// Returns the number of pixels in both sets.
    pub fn intersection(&self, other: &Self) -> u64 {
        let ([ax0, ay0, ax1, ay1], [bx0, by0, bx1, by1]) = (self.bounds, other.bounds);
        let common = overlap(ax0, ax1, bx0, bx1) * overlap(ay0, ay1, by0, by1);
        if common == 0 {
            return 0;
        }
        match (&self.shape, &other.shape) {
            (Shape::Empty, _) | (_, Shape::Empty) => 0,
            (Shape::Rectangle, Shape::Rectangle) => common,
            (Shape::Rectangle, Shape::Spans(spans)) => spans_in_rectangle(spans, self.bounds),
            (Shape::Spans(spans), Shape::Rectangle) => spans_in_rectangle(spans, other.bounds),
            (Shape::Spans(a), Shape::Spans(b)) => spans_in_spans(a, b),
        }
    }

    /// Intersection over union of pixel counts; 0 if both sets are empty (where the official program never terminates).
    pub fn iou(&self, other: &Self) -> f64 {
        let both = self.intersection(other);
        if both == 0 {
            return 0.0;
        }
        both as f64 / (self.area + other.area - both) as f64
    }
}

fn overlap(a0: i32, a1: i32, b0: i32, b1: i32) -> u64 {
    (i64::from(a1.min(b1)) - i64::from(a0.max(b0)) + 1).max(0) as u64
}

fn spans_in_rectangle(spans: &[Span], [x0, y0, x1, y1]: [i32; 4]) -> u64 {
    let first = spans.partition_point(|s| s.y < y0);
    spans[first..].iter().take_while(|s| s.y <= y1).map(|s| overlap(s.x0, s.x1, x0, x1)).sum()
}

fn spans_in_spans(a: &[Span], b: &[Span]) -> u64 {
    let (mut i, mut j, mut count) = (0, 0, 0);
    while let (Some(s), Some(t)) = (a.get(i), b.get(j)) {
        if s.y == t.y {
            count += overlap(s.x0, s.x1, t.x0, t.x1);
        }
        if (s.y, s.x1) < (t.y, t.x1) { i += 1 } else { j += 1 }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect(x: f64, y: f64, w: f64, h: f64) -> PixelSet {
        PixelSet::paint(&Region::Rectangle { x, y, w, h }, 20, 10)
    }

    #[test]
    fn rectangles_include_both_ends_and_stay_inside() {
        let check = |x, y, w, h, area| assert_eq!(rect(x, y, w, h).area(), area, "{x} {y} {w} {h}");
        check(3.0, 3.0, 0.0, 0.0, 1);
        check(3.0, 3.0, 4.0, 2.0, 15);
        check(5.0, 5.0, -2.0, -2.0, 9);
        check(-5.0, -5.0, 7.0, 7.0, 9);
        check(18.0, 8.0, 100.0, 100.0, 4);
        check(20.0, 0.0, 5.0, 5.0, 0);
        check(-9.0, 2.0, 8.0, 3.0, 0);
        check(0.5, 0.0, 1.0, 0.0, 3); // 0.5 -> 0 and 1.5 -> 2: halves to even
        check(-1e300, -1e300, 2e300, 2e300, 200);
    }

    #[test]
    fn spans_and_rectangles_agree_on_their_overlap() {
        let rows =
            |x0: i32, y0: i32, x1: i32, y1: i32| PixelSet::from_spans((y0..=y1).map(|y| Span { y, x0, x1 }).collect());
        let (a, b) = (rect(2.0, 2.0, 5.0, 4.0), rect(4.0, 0.0, 9.0, 3.0));
        let (sa, sb) = (rows(2, 2, 7, 6), rows(4, 0, 13, 3));
        assert_eq!(a.intersection(&b), 8);
        for (p, q) in [(&a, &sb), (&sa, &b), (&sa, &sb), (&sb, &sa)] {
            assert_eq!(p.intersection(q), 8);
        }
        assert_eq!(rect(30.0, 0.0, 1.0, 1.0).iou(&rect(30.0, 0.0, 1.0, 1.0)), 0.0);
    }
}
