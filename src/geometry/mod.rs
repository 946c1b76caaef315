//! Boxes, ellipses, overlap and coordinate spaces. Plain arithmetic: knows neither files, tensors nor pixels' colours.

mod bounding_box;
mod ellipse;
mod space;

pub use bounding_box::BoundingBox;
pub use ellipse::Ellipse;
pub use space::{Fit, ImagePx, NetworkPx, ScreenPx};
