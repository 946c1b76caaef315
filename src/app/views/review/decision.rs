//! A decision of the review: what is to be written, what is being saved, and what the store answers.

use std::collections::{HashMap, HashSet};

use super::layout::Layout;
use crate::domain::{CandidateId, ClassId, GroundTruthId, GroupId, ImageId, ObjectChange, Shape, Verdict};
use crate::store::CandidateRow;

/// What is to be written.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The candidates, and all that waits of the groups.
    Verdict {
        candidates: Vec<CandidateId>,
        groups: Vec<GroupId>,
        verdict: Verdict,
        /// Of a wrong class.
        class: Option<ClassId>,
        reason: Option<String>,
    },
    /// All that the filter finds when it is written; `alike`: each one of it, where groups are listed as one.
    All {
        alike: bool,
        verdict: Verdict,
        /// Of a wrong class.
        class: Option<ClassId>,
        reason: Option<String>,
    },
    /// What earlier rounds decided on these candidates.
    AsBefore(Vec<CandidateId>),
    /// What earlier rounds decided on all that the filter finds.
    AllAsBefore,
    /// All that waits and that the filter finds is confirmed, as estimated.
    Estimate,
    Face {
        candidate: CandidateId,
        shape: Shape,
        /// `None`: what the detector took it for.
        class: Option<ClassId>,
    },
    /// Of objects of the ground truth.
    Correct {
        objects: Vec<GroundTruthId>,
        change: ObjectChange,
    },
    AddObject {
        image: ImageId,
        shape: Shape,
        class: ClassId,
    },
    Undo,
    Redo,
}

impl Decision {
    pub(super) fn is_correction(&self) -> bool {
        matches!(self, Self::Correct { .. } | Self::AddObject { .. })
    }
}

/// The others of the groups, after some of them were decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOffer {
    pub groups: Vec<GroupId>,
    pub verdict: Verdict,
    pub class: Option<ClassId>,
    pub reason: Option<String>,
    /// Candidates of the groups that still wait.
    pub waiting: u32,
}

/// What the store did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Saved {
    /// The candidates that the gesture was about; empty when there was nothing to undo or redo.
    pub candidates: Vec<CandidateId>,
    /// Candidates whose verdict, kind or overlap may have changed; none after a batch of very many.
    pub changed: Vec<CandidateRow>,
    /// The candidate that an undo or redo brings back, with its surroundings.
    pub row: Option<CandidateRow>,
    /// The groups of a decision's candidates of which some still wait, and how many.
    pub waiting: Vec<(GroupId, u32)>,
}

/// A decision on its way, and the previous state it.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) decision: Decision,
    pub(super) before: HashMap<CandidateId, Option<Verdict>>,
    pub(super) selected: HashSet<CandidateId>,
    pub(super) all_selected: bool,
    pub(super) at: Option<CandidateRow>,
    pub(super) layout: Layout,
    /// The shape of an object beside the current candidate was adjusted.
    pub(super) is_adjusted: bool,
}
