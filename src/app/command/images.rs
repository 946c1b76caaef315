//! What the Images screen asks for, and what of an image is picked, drawn and shown.

use super::review::Picked;
use crate::app::widgets::viewport::Viewport;
use crate::domain::{ClassId, GroundTruthId, ImageId, ObjectChange, Shape, Verdict};
use crate::geometry::BoundingBox;
use crate::workflow::inspect::{ImageQuery, Status};

/// What the Images screen's commands are.
#[derive(Debug, Clone, PartialEq)]
pub enum ImagesCommand {
    SetQuery(Box<ImageQuery>),
    ToggleFilter,
    GoTo(usize),
    Open(ImageId),
    Close,
    /// To the image before or after in the list.
    Step(isize),
    Look(Viewport),
    Pick(Option<Pick>),
    SetLayers(Layers),
    SetThumbnail(f32),
    /// Columns of the grid and rows that can be seen, for the keys.
    Shape(usize, usize),
    Decide(Verdict, Option<ClassId>),
    Undo,
    Redo,
    SetTool(Tool),
    /// The class of objects that are drawn from now on.
    SetNewClass(ClassId),
    /// Adds the object that was drawn over this box.
    Drawn(BoundingBox),
    /// Corrects the picked object.
    Correct(ObjectChange),
    /// The choice in the open class picker.
    PickClass(Picked),
    /// Looks at every file: is it there, readable, and the one that was imported?
    CheckFiles,
    /// The errors behind a point of a curve: on the images that were tested, from this score on.
    OfCurve {
        round: u32,
        label: String,
        score: f64,
    },
}

/// What is picked on an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Pick {
    /// By side and place, highest score first.
    Detection(usize, usize),
    Object(usize, usize),
    /// An object as it was corrected or added on an image that is tested on: beside those that the curves count.
    Corrected(usize, usize),
}

impl Pick {
    pub fn side(self) -> usize {
        match self {
            Self::Detection(side, _) | Self::Object(side, _) | Self::Corrected(side, _) => side,
        }
    }
}

/// What the mouse does on the image besides zooming.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Tool {
    /// Picks, and moves the image.
    #[default]
    Look,
    /// Draws an object.
    Draw,
    /// Changes the shape of an object of the ground truth.
    Adjust(GroundTruthId, Shape),
}

/// Which layers are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "switches that have nothing to do with each other")]
pub struct Layers {
    pub ground_truth: bool,
    pub true_positives: bool,
    pub false_positives: bool,
    pub ignored: bool,
    pub labels: bool,
    /// Off in a blind review: a promoted object tells what another decided.
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

    /// All detections on, or off.
    pub fn toggle_detections(&mut self) {
        let on = !(self.true_positives || self.false_positives || self.ignored);
        (self.true_positives, self.false_positives, self.ignored) = (on, on, on);
    }
}
