//! What a checkpoint says about an image.

use crate::geometry::{BoundingBox, Ellipse};

/// A box with a score that a checkpoint produced on an image, in pixels of that image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    pub bbox: BoundingBox,
    /// The face's ellipse where the detector regresses one.
    pub ellipse: Option<Ellipse>,
    /// Probability of a face, 0..=1.
    pub score: f32,
}
