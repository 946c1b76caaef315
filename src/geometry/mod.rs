//! Boxes, ellipses, overlap and coordinate spaces: plain arithmetic.

mod bounding_box;
mod ellipse;
mod fit;
mod space;

pub use bounding_box::BoundingBox;
pub use ellipse::Ellipse;
pub use fit::Fit;
pub use space::{ImagePx, NetworkPx, ObjectFrame, ScreenPx};
