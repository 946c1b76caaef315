//! A model's detection on an image.

use super::ClassId;
use crate::geometry::{BoundingBox, Ellipse};

/// A box with a class and a score that a model predicted for an image, in pixels of that image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    pub class: ClassId,
    pub bbox: BoundingBox,
    /// The object's ellipse, if the detector regresses one.
    pub ellipse: Option<Ellipse>,
    /// Probability of the class, 0..=1.
    pub score: f32,
}
