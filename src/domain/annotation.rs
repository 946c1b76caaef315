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
    /// The box that the detector learns: the rectangle itself, or the tight box of the ellipse.
    pub fn bounding_box(&self) -> BoundingBox {
        match self {
            Self::Rectangle(b) => *b,
            Self::Ellipse(e) => e.bounding_box(),
        }
    }

    pub fn ellipse(&self) -> Option<Ellipse> {
        match self {
            Self::Rectangle(_) => None,
            Self::Ellipse(e) => Some(*e),
        }
    }
}

/// Where a ground truth came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnnotationSource {
    /// From the dataset's own files.
    Imported,
    /// A candidate that an annotator found to be an object which the annotation lacks, also after its shape was adjusted: it stays apart
    /// from the dataset's own objects, which alone a published number counts.
    Promoted,
    /// An object of the dataset that was corrected by hand: its shape, its class, or that it is ignored.
    Edited,
    /// Drawn by an annotator where neither the dataset nor a detection had an object.
    Added,
}

impl AnnotationSource {
    pub const ALL: [Self; 4] = [Self::Imported, Self::Promoted, Self::Edited, Self::Added];

    /// The word stored in the database and in exports.
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

/// One ground truth of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Annotation {
    pub class: ClassId,
    pub shape: Shape,
    pub source: AnnotationSource,
    /// Not to be learnt nor counted (WIDER FACE's `invalid`, COCO's `iscrowd`, Pascal VOC's `difficult`).
    pub ignored: bool,
}
