//! Ground truth: the shape and class of an annotated object and where it came from.

use serde::{Deserialize, Serialize};

use super::ClassId;
use crate::geometry::{BoundingBox, Ellipse};

/// An object as it was annotated. Ellipses stay ellipses; their box is derived.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    Rectangle(BoundingBox),
    Ellipse(Ellipse),
}

impl Shape {
    /// The box that the detector trains on: the rectangle itself, or the tight box around the ellipse.
    pub fn bounding_box(&self) -> BoundingBox {
        match self {
            Self::Rectangle(b) => *b,
            Self::Ellipse(e) => e.bounding_box(),
        }
    }

    /// Returns the shape with x and y multiplied by these factors. With different ones an ellipse would be distorted: its semi-axes are
    /// scaled along the image's axes, which is right for axis-aligned ones.
    #[must_use]
    pub fn scaled(&self, x: f64, y: f64) -> Self {
        match *self {
            Self::Rectangle(b) => Self::Rectangle(BoundingBox::new(b.x1 * x, b.y1 * y, b.x2 * x, b.y2 * y)),
            Self::Ellipse(e) => Self::Ellipse(Ellipse::new(e.ra * x, e.rb * y, e.theta, e.cx * x, e.cy * y)),
        }
    }

    pub fn ellipse(&self) -> Option<Ellipse> {
        match self {
            Self::Rectangle(_) => None,
            Self::Ellipse(e) => Some(*e),
        }
    }
}

/// The origin of a ground truth annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnnotationSource {
    /// From the dataset's own files.
    Imported,
    /// A candidate that an annotator marked as an object missing from the annotation, even if its shape was adjusted later. Kept apart from
    /// the dataset's own objects, because published figures count only those.
    Promoted,
    /// A dataset object whose shape, class or ignored flag was corrected by hand.
    Edited,
    /// Drawn by an annotator where neither the dataset nor the detector had an object.
    Added,
}

impl AnnotationSource {
    pub const ALL: [Self; 4] = [Self::Imported, Self::Promoted, Self::Edited, Self::Added];

    /// Returns the word stored in the database and in exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Imported => "imported",
            Self::Promoted => "promoted",
            Self::Edited => "edited",
            Self::Added => "added",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}

/// One ground truth annotation of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Annotation {
    pub class: ClassId,
    pub shape: Shape,
    pub source: AnnotationSource,
    /// Excluded from training and from the counts (WIDER FACE's `invalid`, COCO's `iscrowd`, Pascal VOC's `difficult`).
    pub ignored: bool,
}
