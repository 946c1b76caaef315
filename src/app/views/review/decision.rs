//! A review decision: what to write, what is being saved, and the store's reply.

use std::collections::{HashMap, HashSet};

use super::layout::Layout;
use crate::domain::{CandidateId, ClassId, GroundTruthId, GroupId, ImageId, ObjectChange, Shape, Verdict};
use crate::store::CandidateRow;

/// What to write.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The candidates, and all undecided members of the groups.
    Verdict {
        candidates: Vec<CandidateId>,
        groups: Vec<GroupId>,
        verdict: Verdict,
        /// For a wrong class.
        class: Option<ClassId>,
        reason: Option<String>,
    },
    /// All matches of the filter when written; `each_member`: every one of them, even if groups are listed as one.
    All {
        each_member: bool,
        verdict: Verdict,
        /// For a wrong class.
        class: Option<ClassId>,
        reason: Option<String>,
    },
    /// Earlier rounds' verdicts on these candidates.
    AsBefore(Vec<CandidateId>),
    /// Earlier rounds' verdicts on all matches of the filter.
    AllAsBefore,
    /// Confirms all undecided matches of the filter, as estimated.
    Estimate,
    Face {
        candidate: CandidateId,
        shape: Shape,
        /// `None`: the class that the detector predicted.
        class: Option<ClassId>,
    },
    /// A correction of ground truth objects.
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

/// The remaining members of groups, after some were decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupOffer {
    pub groups: Vec<GroupId>,
    pub verdict: Verdict,
    pub class: Option<ClassId>,
    pub reason: Option<String>,
    /// Number of undecided candidates in the groups.
    pub waiting: u32,
}

/// The result from the store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Saved {
    /// The gesture's candidates; empty if there was nothing to undo or redo.
    pub candidates: Vec<CandidateId>,
    /// Candidates whose verdict, kind or overlap may have changed; empty after a very large batch.
    pub changed: Vec<CandidateRow>,
    /// The candidate that an undo or redo restores, with its surroundings.
    pub row: Option<CandidateRow>,
    /// The groups with undecided members left, and how many.
    pub waiting: Vec<(GroupId, u32)>,
}

/// A pending decision, and the state before it.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) decision: Decision,
    pub(super) before: HashMap<CandidateId, Option<Verdict>>,
    pub(super) selected: HashSet<CandidateId>,
    pub(super) all_selected: bool,
    pub(super) at: Option<CandidateRow>,
    pub(super) layout: Layout,
    /// Whether it adjusted the shape of an object near the current candidate.
    pub(super) is_adjusted: bool,
}
