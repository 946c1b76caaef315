//! Converts coordinates of the stored pixels to the upright image, for each of EXIF's eight orientations.

use super::ExifRule;
use crate::domain::Shape;
use crate::geometry::{BoundingBox, Ellipse};

/// The conversion of one image's coordinates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Upright {
    /// The EXIF orientation to apply; 1 if there is nothing to do.
    orientation: u8,
    /// Width of the stored image.
    stored_width: f64,
    stored_height: f64,
}

impl Upright {
    /// `width` and `height` are those of the upright image; `declared` is the annotation's size.
    pub fn of(rule: ExifRule, exif_orientation: u8, (width, height): (u32, u32), declared: Option<(u32, u32)>) -> Self {
        let swaps = (5..=8).contains(&exif_orientation);
        let stored = if swaps { (height, width) } else { (width, height) };
        let means_stored = match rule {
            ExifRule::Apply => false,
            ExifRule::Ignore => true,
            ExifRule::Auto => swaps && width != height && declared == Some(stored),
        };
        let orientation = if means_stored { exif_orientation } else { 1 };
        Self { orientation, stored_width: f64::from(stored.0), stored_height: f64::from(stored.1) }
    }

    /// Whether it converts anything.
    pub fn moves(&self) -> bool {
        self.orientation != 1
    }

    /// Returns the size of the pixel grid that the coordinates refer to.
    pub fn annotated_size(&self, (width, height): (u32, u32)) -> (f64, f64) {
        if self.orientation == 1 {
            (f64::from(width), f64::from(height))
        } else {
            (self.stored_width, self.stored_height)
        }
    }

    pub fn shape(&self, shape: Shape) -> Shape {
        if self.orientation == 1 {
            return shape;
        }
        match shape {
            Shape::Rectangle(b) => {
                let (x1, y1) = self.point(b.x1, b.y1);
                let (x2, y2) = self.point(b.x2, b.y2);
                Shape::Rectangle(BoundingBox::new(x1, y1, x2, y2))
            }
            Shape::Ellipse(e) => {
                let (sin, cos) = e.theta.sin_cos();
                let (cx, cy) = self.point(e.cx, e.cy);
                let (x, y) = self.point(e.cx + cos, e.cy + sin);
                Shape::Ellipse(Ellipse::new(e.ra, e.rb, (y - cy).atan2(x - cx), cx, cy))
            }
        }
    }

    fn point(&self, x: f64, y: f64) -> (f64, f64) {
        let (w, h) = (self.stored_width, self.stored_height);
        match self.orientation {
            2 => (w - x, y),
            3 => (w - x, h - y),
            4 => (x, h - y),
            5 => (y, x),
            6 => (h - y, x),
            7 => (h - y, w - x),
            8 => (y, w - x),
            _ => (x, y),
        }
    }
}

#[cfg(test)]
mod tests {
    use image::metadata::Orientation;
    use image::{DynamicImage, Rgb, RgbImage};

    use super::*;

    #[test]
    fn a_marked_box_lies_where_the_decoder_puts_its_pixels() {
        let marked = BoundingBox::new(2.0, 1.0, 5.0, 3.0);
        let stored = RgbImage::from_fn(9, 6, |x, y| {
            Rgb([if marked.contains(f64::from(x), f64::from(y)) { 255 } else { 0 }, 0, 0])
        });
        for orientation in 1..=8 {
            let mut image = DynamicImage::from(stored.clone());
            image.apply_orientation(Orientation::from_exif(orientation).unwrap());
            let image = image.into_rgb8();
            let upright = Upright::of(ExifRule::Ignore, orientation, image.dimensions(), None);
            let found = upright.shape(Shape::Rectangle(marked)).bounding_box();
            for (x, y, pixel) in image.enumerate_pixels() {
                assert_eq!(found.contains(f64::from(x), f64::from(y)), pixel.0[0] > 0, "{orientation}: {x}, {y}");
            }
            let ellipse = Ellipse::new(2.0, 1.0, 0.5, 4.0, 3.0);
            let turned = upright.shape(Shape::Ellipse(ellipse)).bounding_box();
            let expected = upright.shape(Shape::Rectangle(ellipse.bounding_box())).bounding_box();
            assert!((turned.x1 - expected.x1).abs() < 1e-9 && (turned.y2 - expected.y2).abs() < 1e-9, "{orientation}");
        }
    }

    #[test]
    fn the_declared_size_decides_which_pixels_are_meant() {
        let check = |rule, declared, orientation, expected| {
            let upright = Upright::of(rule, orientation, (40, 60), declared);
            assert_eq!(upright.annotated_size((40, 60)), expected, "{rule:?} {declared:?} {orientation}");
        };
        check(ExifRule::Auto, Some((60, 40)), 6, (60.0, 40.0));
        check(ExifRule::Auto, Some((40, 60)), 6, (40.0, 60.0));
        check(ExifRule::Auto, None, 6, (40.0, 60.0));
        check(ExifRule::Auto, Some((40, 60)), 3, (40.0, 60.0));
        check(ExifRule::Ignore, None, 6, (60.0, 40.0));
        check(ExifRule::Apply, Some((60, 40)), 6, (40.0, 60.0));
    }
}
