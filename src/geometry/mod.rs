//! Boxes, ellipses, overlap and coordinate spaces. Plain arithmetic: knows neither files, tensors nor pixels' colours.

mod bounding_box;
mod ellipse;
mod fit;
mod space;

pub use bounding_box::BoundingBox;
pub use ellipse::Ellipse;
pub use fit::Fit;
pub use space::{ImagePx, NetworkPx, ScreenPx};
