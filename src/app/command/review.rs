//! What the Review screen asks for.

use super::review_filter::ReviewFilter;
use crate::app::widgets::viewport::Viewport;
use crate::domain::{CandidateId, ClassId, Shape};
use crate::mining::GroupConfig;

/// What the review's commands are.
#[derive(Debug, Clone, PartialEq)]
pub enum ReviewCommand {
    SetFilter(ReviewFilter),
    CloseFilter,
    GoTo(CandidateId),
    ToggleSelected(CandidateId),
    SelectTo(CandidateId),
    /// Selects the rectangle from where a drag began up to here, and nothing else.
    DragTo(CandidateId),
    Open(CandidateId),
    Adjust(Shape),
    /// The open picker's class.
    PickClass(ClassId),
    ClosePicker,
    SetGrouping(GroupConfig),
    /// Finds the groups again with the distance that is set.
    Regroup,
    SearchHistory(String),
    OlderHistory,
    /// Lists the decisions of the batch at this step of the history, or returns to the list of actions.
    Batch(usize),
    /// Shows a candidate of the history in the queue.
    Revisit(CandidateId),
    /// The part of a candidate's image that is seen.
    Look(crate::domain::ImageId, Viewport),
    /// The grid shows rows up to here.
    Visible(usize),
    /// Columns of the grid, for the arrow keys, and rows that are seen, for the pages.
    Columns(usize, usize),
}

/// The result of a key or click in the picker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Picked {
    Class(ClassId),
    /// The picker closes without a decision.
    Nothing,
}
