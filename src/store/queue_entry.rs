//! A candidate as seen by filters and sorts: one row of the queue index.

use crate::domain::{Basis, FalsePositiveKind, Verdict};

/// A verdict and its basis.
pub(super) type Given = (Verdict, Basis);

/// A candidate as seen by filters and sorts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Entry {
    pub id: i64,
    pub max_iou: f64,
    pub size: f64,
    /// 1 + index in [`super::queue_index::QueueIndex::groups`]; 0 without a group.
    pub group: u32,
    pub score: f32,
    /// Index in [`super::queue_index::QueueIndex::images`].
    pub image: u32,
    pub round: u32,
    pub class: u32,
    pub kind: FalsePositiveKind,
    pub given: Option<Given>,
}
