//! Commands of the Images screen, and its selection, tools and layers.

use super::review::Picked;
use crate::app::widgets::viewport::Viewport;
use crate::domain::{ClassId, GroundTruthId, ImageId, ObjectChange, Shape, Verdict};
use crate::geometry::BoundingBox;
use crate::workflow::inspect::{ImageQuery, Status};

/// A command of the Images screen.
#[derive(Debug, Clone, PartialEq)]
pub enum ImagesCommand {
    SetQuery(Box<ImageQuery>),
    /// Sets the score from which detections count, also from the curves.
    SetThreshold(f32),
    ToggleFilter,
    GoTo(usize),
    Open(ImageId),
    Close,
    /// Moves to the previous or next image of the list.
    Step(isize),
    Look(Viewport),
    Pick(Option<Pick>),
    SetLayers(Layers),
    SetThumbnail(f32),
    /// Visible columns and rows of the grid, for the keys.
    Shape(usize, usize),
    Decide(Verdict, Option<ClassId>),
    Undo,
    Redo,
    SetTool(Tool),
    /// Sets the class of objects drawn from now on.
    SetNewClass(ClassId),
    /// Adds the object drawn in this box.
    Drawn(BoundingBox),
    /// Corrects the selected object.
    Correct(ObjectChange),
    /// The choice in the open class picker.
    PickClass(Picked),
    /// Checks whether every file exists, is readable, and is the imported one.
    CheckFiles,
    /// Returns from a point of a curve to the curve.
    Back,
    /// Shows the errors behind a point of a curve: on the test images, from this score on.
    OfCurve {
        round: u32,
        label: String,
        score: f64,
    },
}

/// The selection on an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pick {
    /// By side and index, highest score first.
    Detection(usize, usize),
    Object(usize, usize),
    /// A corrected or added object on a test image, in addition to those that the curves count.
    Corrected(usize, usize),
}

impl Pick {
    pub fn side(self) -> usize {
        match self {
            Self::Detection(side, _) | Self::Object(side, _) | Self::Corrected(side, _) => side,
        }
    }
}

/// The effect of the mouse on the image, apart from zooming.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Tool {
    /// Selects, and pans the image.
    #[default]
    Look,
    /// Draws an object.
    Draw,
    /// Changes the shape of a ground truth object.
    Adjust(GroundTruthId, Shape),
}

/// The visible layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct Layers {
    pub ground_truth: bool,
    pub true_positives: bool,
    pub false_positives: bool,
    pub ignored: bool,
    pub labels: bool,
    /// Off in a blind review: a promoted object reveals someone else's decision.
    pub promoted: bool,
}

impl Default for Layers {
    fn default() -> Self {
        Self {
            ground_truth: true,
            true_positives: true,
            false_positives: true,
            ignored: true,
            labels: true,
            promoted: true,
        }
    }
}

impl Layers {
    pub fn shows(&self, status: Status) -> bool {
        match status {
            Status::TruePositive => self.true_positives,
            Status::FalsePositive(_) => self.false_positives,
            Status::Ignored => self.ignored,
        }
    }

    /// Switches all detections on or off.
    pub fn toggle_detections(&mut self) {
        let on = !(self.true_positives || self.false_positives || self.ignored);
        (self.true_positives, self.false_positives, self.ignored) = (on, on, on);
    }
}
