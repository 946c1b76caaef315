//! Commands of the Review screen.

use super::review_filter::ReviewFilter;
use crate::app::widgets::viewport::Viewport;
use crate::domain::{CandidateId, ClassId, Shape};
use crate::mining::GroupConfig;

/// A command of the review.
#[derive(Debug, Clone, PartialEq)]
pub enum ReviewCommand {
    SetFilter(ReviewFilter),
    CloseFilter,
    GoTo(CandidateId),
    ToggleSelected(CandidateId),
    SelectTo(CandidateId),
    /// Selects only the rectangle from where the drag began up to here.
    DragTo(CandidateId),
    Open(CandidateId),
    Adjust(Shape),
    /// Chooses a class in the open picker.
    PickClass(ClassId),
    ClosePicker,
    SetGrouping(GroupConfig),
    /// Regroups with the current distance.
    Regroup,
    SearchHistory(String),
    OlderHistory,
    /// Lists the decisions of the batch at this history entry, or returns to the list of actions.
    Batch(usize),
    /// Shows a candidate of the history in the queue.
    Revisit(CandidateId),
    /// The visible part of a candidate's image.
    Look(crate::domain::ImageId, Viewport),
    /// The last row visible in the grid.
    Visible(usize),
    /// Columns of the grid for the arrow keys, and visible rows for paging.
    Columns(usize, usize),
}

/// The result of a key or click in the picker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picked {
    Class(ClassId),
    /// Closes the picker without a decision.
    Nothing,
}
