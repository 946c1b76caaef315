//! The evaluation's input: faces and detections as regions of one image.

use crate::domain::{Detection, Shape};
use crate::geometry::{BoundingBox, Ellipse};

/// A face or a detection in pixels of its image, with the numbers exactly as in the text files: not rounded or sorted, because the official
/// program rounds in its own way (`fddb_spec.md`, section 4).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Region {
    /// Top-left corner and size; a negative size extends to the left or up.
    Rectangle { x: f64, y: f64, w: f64, h: f64 },
    /// Semi-axes in pixels, angle of the `ra` axis in radians, centre.
    Ellipse { ra: f64, rb: f64, theta: f64, cx: f64, cy: f64 },
}

impl From<BoundingBox> for Region {
    fn from(b: BoundingBox) -> Self {
        Self::Rectangle { x: b.x1, y: b.y1, w: b.width(), h: b.height() }
    }
}

impl From<Ellipse> for Region {
    fn from(e: Ellipse) -> Self {
        Self::Ellipse { ra: e.ra, rb: e.rb, theta: e.theta, cx: e.cx, cy: e.cy }
    }
}

impl From<&Shape> for Region {
    fn from(shape: &Shape) -> Self {
        match *shape {
            Shape::Rectangle(b) => b.into(),
            Shape::Ellipse(e) => e.into(),
        }
    }
}

/// A detection with its score (finite; larger is more confident).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredRegion {
    pub region: Region,
    pub score: f64,
}

impl From<&Detection> for ScoredRegion {
    /// The ellipse if the detector regressed one, otherwise the box.
    fn from(d: &Detection) -> Self {
        Self { region: d.ellipse.map_or_else(|| d.bbox.into(), Region::from), score: f64::from(d.score) }
    }
}

/// One image with everything needed to evaluate it: size, faces, detections. Its pixels are not needed.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluatedImage {
    /// The dataset's own name of the image, e.g. `2002/08/11/big/img_591`.
    pub name: String,
    pub width: u32,
    pub height: u32,
    pub faces: Vec<Region>,
    /// In detector order, which breaks ties between equal overlaps.
    pub detections: Vec<ScoredRegion>,
}
