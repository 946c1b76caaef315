//! Validates annotated shapes: finite, of a plausible size, and at least partly inside the image.

use super::Shape;

/// Minimum width and height in pixels, for the whole shape (if it is rotated, also along its own axes) and for its part inside the image.
/// A smaller shape may cover no pixel centre; rounded coordinates of real one-pixel objects stay above it.
pub const MIN_SIDE_PX: f64 = 0.5;
/// Maximum width and height as a multiple of the image's longer side. An object cut by the image border may be larger than the image, but
/// not by this much.
pub const MAX_IMAGE_SIDES: f64 = 10.0;

/// Why a shape is not valid in its image. Lengths are in pixels.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum ShapeProblem {
    #[error("its coordinates are NaN or infinite")]
    NotFinite,
    #[error("its half axes are {ra} and {rb}; both must be greater than 0")]
    HalfAxes { ra: f64, rb: f64 },
    #[error("it is {width:.3} x {height:.3} pixels: each side must be at least {MIN_SIDE_PX}")]
    TooSmall { width: f64, height: f64 },
    #[error("it is {width:.3e} x {height:.3e} pixels in an image of {image_width} x {image_height}")]
    TooLarge { width: f64, height: f64, image_width: u32, image_height: u32 },
    #[error("it is outside its image of {image_width} x {image_height} pixels")]
    Outside { image_width: u32, image_height: u32 },
}

/// Checks that `shape` is valid in an image of `width` x `height` pixels. Shapes that extend beyond the image border are valid if at least
/// [`MIN_SIDE_PX`] in both directions is inside.
///
/// # Errors
///
/// Returns the first problem found.
pub fn check_shape(shape: &Shape, width: u32, height: u32) -> Result<(), ShapeProblem> {
    check_numbers(shape)?;
    let bbox = shape.bounding_box();
    // Finite numbers may still overflow to infinity.
    let too_large =
        ShapeProblem::TooLarge { width: bbox.width(), height: bbox.height(), image_width: width, image_height: height };
    if !bbox.is_finite() || bbox.width().max(bbox.height()) > MAX_IMAGE_SIDES * f64::from(width.max(height)) {
        return Err(too_large);
    }
    check_sides(bbox.width(), bbox.height())?;
    // The box around a rotated needle is wide and high.
    if let Shape::Ellipse(e) = shape {
        check_sides(2.0 * e.ra, 2.0 * e.rb)?;
    }
    let visible = bbox.clipped(f64::from(width), f64::from(height));
    check_sides(visible.width(), visible.height())
        .map_err(|_| ShapeProblem::Outside { image_width: width, image_height: height })
}

/// Checks the sides of a shape. [`check_shape`] only sees the box around a rotated rectangle: whoever reads one also checks its own sides.
///
/// # Errors
///
/// A side is shorter than [`MIN_SIDE_PX`].
pub fn check_sides(width: f64, height: f64) -> Result<(), ShapeProblem> {
    if width < MIN_SIDE_PX || height < MIN_SIDE_PX {
        return Err(ShapeProblem::TooSmall { width, height });
    }
    Ok(())
}

fn check_numbers(shape: &Shape) -> Result<(), ShapeProblem> {
    match shape {
        Shape::Rectangle(b) if !b.is_finite() => Err(ShapeProblem::NotFinite),
        Shape::Ellipse(e) if ![e.ra, e.rb, e.theta, e.cx, e.cy].iter().all(|v| v.is_finite()) => {
            Err(ShapeProblem::NotFinite)
        }
        Shape::Ellipse(e) if e.ra <= 0.0 || e.rb <= 0.0 => Err(ShapeProblem::HalfAxes { ra: e.ra, rb: e.rb }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{BoundingBox, Ellipse};

    fn check(shape: Shape, words: &str) {
        let found = check_shape(&shape, 100, 80).map_or_else(|problem| problem.to_string(), |()| "valid".to_owned());
        assert!(found.contains(words), "{shape:?}: {found}, not {words}");
    }

    #[test]
    fn boxes_are_finite_visible_and_of_a_sensible_size() {
        let with = |x, y, w, h| Shape::Rectangle(BoundingBox::from_xywh(x, y, w, h));
        check(with(10.0, 10.0, 20.0, 20.0), "valid");
        check(with(-15.0, -15.0, 20.0, 20.0), "valid");
        check(with(-50.0, -50.0, 300.0, 300.0), "valid");
        check(with(0.0, 0.0, 1.0, 1.0), "valid");
        check(with(10.0, 10.0, 0.01, 20.0), "0.010 x 20.000 pixels");
        check(with(10.0, 10.0, 0.0, 0.0), "at least 0.5");
        check(with(-30.0, 10.0, 20.0, 20.0), "outside its image of 100 x 80");
        check(with(100.0, 10.0, 20.0, 20.0), "outside");
        check(with(10.0, 1e9, 20.0, 20.0), "outside");
        check(with(10.0, 10.0, 1e308, 20.0), "1.000e308 x");
        check(Shape::Rectangle(BoundingBox::new(-1e308, 0.0, 1e308, 9.0)), "inf x");
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            check(with(value, 10.0, 20.0, 20.0), "finite");
        }
    }

    #[test]
    fn ellipses_are_held_to_the_same_rules() {
        let with = |ra, rb, theta, cx, cy| Shape::Ellipse(Ellipse::new(ra, rb, theta, cx, cy));
        check(with(20.0, 10.0, 0.7, 50.0, 40.0), "valid");
        check(with(20.0, 10.0, 0.7, -5.0, 40.0), "valid");
        check(with(20.0, 10.0, 0.7, -50.0, 40.0), "outside");
        check(with(1e308, 10.0, 0.7, 50.0, 40.0), "pixels in an image of 100 x 80");
        check(with(1e308, 1e308, 0.7, 50.0, 40.0), "pixels in an image of 100 x 80");
        check(with(0.01, 0.01, 0.7, 50.0, 40.0), "at least");
        check(with(25.0, 0.005, 0.1, 50.0, 40.0), "50.000 x 0.010 pixels");
        check(with(0.2, 25.0, 0.7, 50.0, 40.0), "0.400 x 50.000 pixels");
        check(with(25.0, 0.25, 0.7, 50.0, 40.0), "valid");
        check(with(0.0, 10.0, 0.7, 50.0, 40.0), "half axes are 0 and 10");
        check(with(-5.0, 10.0, 0.7, 50.0, 40.0), "half axes are -5 and 10");
        check(with(5.0, 10.0, f64::NAN, 50.0, 40.0), "finite");
        check(with(5.0, f64::NAN, 0.0, 50.0, 40.0), "finite");
    }
}
