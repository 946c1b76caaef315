//! The query of a list of candidates: filters, order, page.

use super::trace::TraceFilter;
use crate::domain::{Basis, CandidateId, ClassId, FalsePositiveKind, GroupId, ImageId, RoundId, Share, Verdict};

/// A filter and an order over all candidates of the project. The default is the review queue: undecided, highest score first.
#[derive(Debug, Clone, PartialEq)]
pub struct CandidateQuery {
    pub round: Option<RoundId>,
    pub split: Option<String>,
    /// What the detector took it for.
    pub class: Option<ClassId>,
    pub kind: Option<FalsePositiveKind>,
    pub verdict: VerdictFilter,
    pub score: Interval,
    /// Largest IoU with a ground truth of the image.
    pub iou: Interval,
    /// Square root of the box's area, in pixels of the image.
    pub size: Interval,
    /// Part of the image's name, case ignored; empty for all.
    pub image_name: String,
    pub image: Option<ImageId>,
    /// The images of one annotator's share; whose verdicts count is said by `annotator`.
    pub share: Option<Share>,
    pub group: Option<GroupId>,
    /// What became of it over the rounds.
    pub trace: Option<TraceFilter>,
    /// Verdicts are this annotator's; `None`: those that count over all annotators.
    pub annotator: Option<String>,
    /// Candidates of one group are listed as one: the first of them in the order. See [`CandidateQuery::collapses`].
    pub collapse: bool,
    pub sort: Sort,
    pub descending: bool,
}

/// Which verdicts a query lets through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VerdictFilter {
    Any,
    /// No verdict yet, not even skipped.
    #[default]
    Undecided,
    /// Any verdict.
    Decided,
    Is(Verdict),
    /// Any verdict that rests on this.
    RestsOn(Basis),
    /// Annotators hold different decisions (a skip is none).
    Disputed,
}

/// Both ends belong to it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    pub from: f64,
    pub to: f64,
}

/// What candidates are ordered by; equal ones by id, ascending.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Sort {
    #[default]
    Score,
    Iou,
    Size,
    /// Order of import.
    Image,
    Round,
    /// Expected gain: the score shared by the candidates of its group, so that high scores of rare kind come first.
    Expected,
    /// Similar ones together: group by group in the order in which they were set, which grouping makes a chain of similar groups; within a
    /// group the highest score first; candidates without one last. All of it the other way round when descending.
    Group,
    /// Those on which annotators differ apart from all others.
    Disagreement,
    /// A fixed shuffle: the first n are a random sample of all.
    Random,
}

impl Sort {
    pub const ALL: [Self; 9] = [
        Self::Score,
        Self::Iou,
        Self::Size,
        Self::Image,
        Self::Round,
        Self::Expected,
        Self::Group,
        Self::Disagreement,
        Self::Random,
    ];
}

/// Where a page ended: the sort key and id of its last candidate. It stays right when candidates before it come or go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cursor {
    pub(super) key: f64,
    pub(super) id: CandidateId,
}

impl CandidateQuery {
    /// Whether groups are listed as one. Never in random order, whose beginning is a sample of single candidates, nor within one group.
    pub fn collapses(&self) -> bool {
        self.collapse && self.sort != Sort::Random && self.group.is_none()
    }
}

impl Interval {
    pub const ALL: Self = Self { from: f64::NEG_INFINITY, to: f64::INFINITY };

    pub fn new(from: f64, to: f64) -> Self {
        Self { from, to }
    }

    pub fn contains(&self, value: f64) -> bool {
        self.from <= value && value <= self.to
    }
}

impl Default for Interval {
    fn default() -> Self {
        Self::ALL
    }
}

impl Default for CandidateQuery {
    fn default() -> Self {
        Self {
            round: None,
            split: None,
            class: None,
            kind: None,
            verdict: VerdictFilter::Undecided,
            score: Interval::ALL,
            iou: Interval::ALL,
            size: Interval::ALL,
            image_name: String::new(),
            image: None,
            share: None,
            group: None,
            trace: None,
            annotator: None,
            collapse: true,
            sort: Sort::Score,
            descending: true,
        }
    }
}
