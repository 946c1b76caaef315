//! A candidate as filters and sorts see it: one row of the queue index.

use crate::domain::{Basis, FalsePositiveKind, Verdict};

/// A verdict and what it rests on.
pub(super) type Given = (Verdict, Basis);

/// A candidate as filters and sorts see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Entry {
    pub id: i64,
    pub max_iou: f64,
    pub size: f64,
    /// 1 + place in [`super::queue_index::QueueIndex::groups`]; 0 without a group.
    pub group: u32,
    pub score: f32,
    /// Place in [`super::queue_index::QueueIndex::images`].
    pub image: u32,
    pub round: u32,
    pub class: u32,
    pub kind: FalsePositiveKind,
    pub given: Option<Given>,
}
