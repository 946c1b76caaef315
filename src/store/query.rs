//! The query of a list of candidates: filters, order, page.

use super::trace::TraceFilter;
use crate::domain::{Basis, CandidateId, ClassId, FalsePositiveKind, GroupId, ImageId, RoundId, Share, Verdict};

/// A filter and order over all candidates of the project. The default is the review queue: undecided, highest score first.
#[derive(Debug, Clone, PartialEq)]
pub struct CandidateQuery {
    pub round: Option<RoundId>,
    pub split: Option<String>,
    /// The class that the detector predicted.
    pub class: Option<ClassId>,
    pub kind: Option<FalsePositiveKind>,
    pub verdict: VerdictFilter,
    pub score: Interval,
    /// Largest IoU with any ground truth of the image.
    pub iou: Interval,
    /// Square root of the box's area, in image pixels.
    pub size: Interval,
    /// Part of the image's name, case-insensitive; empty for all.
    pub image_name: String,
    pub image: Option<ImageId>,
    /// The images of one annotator's share; `annotator` selects whose verdicts count.
    pub share: Option<Share>,
    pub group: Option<GroupId>,
    /// Its trace over the rounds.
    pub trace: Option<TraceFilter>,
    /// Use this annotator's verdicts; `None`: the effective ones.
    pub annotator: Option<String>,
    /// Candidates of one group are listed as one: the first in the order. See [`CandidateQuery::collapses`].
    pub collapse: bool,
    pub sort: Sort,
    pub descending: bool,
}

/// Which verdicts a query accepts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VerdictFilter {
    Any,
    /// No verdict yet, not even skipped.
    #[default]
    Undecided,
    /// Any verdict.
    Decided,
    Is(Verdict),
    /// Any verdict with this basis.
    RestsOn(Basis),
    /// Annotators gave different verdicts (not counting skips).
    Disputed,
}

/// Both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    pub from: f64,
    pub to: f64,
}

/// The sort key of candidates; ties by ascending id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Sort {
    #[default]
    Score,
    Iou,
    Size,
    /// Import order.
    Image,
    Round,
    /// Expected gain: the score divided by its group's size, so that rare candidates with high scores come first.
    Expected,
    /// Similar candidates together: by group in chain order, where neighbouring groups are similar; within a group by descending score;
    /// ungrouped candidates last. Reversed as a whole when descending.
    Group,
    /// Candidates on which annotators disagree come before all others.
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

/// The end of a page: the sort key and id of its last candidate. Stays valid when earlier candidates appear or disappear.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cursor {
    pub(super) key: f64,
    pub(super) id: CandidateId,
}

impl CandidateQuery {
    /// Whether groups are listed as one. Never in random order, whose beginning is a sample of single candidates, or within one group.
    pub fn collapses(&self) -> bool {
        self.collapse && self.sort != Sort::Random && self.group.is_none()
    }

    /// Returns the query of its undecided candidates one by one, for decisions on all of them; `None` if it lists none.
    pub fn undecided(&self) -> Option<Self> {
        let lists_them = matches!(self.verdict, VerdictFilter::Any | VerdictFilter::Undecided);
        lists_them.then(|| Self { verdict: VerdictFilter::Undecided, collapse: false, ..self.clone() })
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
