//! The review's filter and order, and the filter's chips.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use serde::{Deserialize, Deserializer, Serialize};

use crate::domain::{Basis, FalsePositiveKind, GroupId, Verdict, fold_number};
use crate::store::{Fate, Origin, TraceFilter};

/// The verdicts that are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ShownVerdicts {
    #[default]
    Undecided,
    All,
    Decided,
    /// Annotators gave different verdicts.
    Disputed,
    /// Decided with this basis.
    RestsOn(Basis),
    Only(Verdict),
}

/// A candidate's history over the rounds of its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShownTrace {
    New,
    Persists,
    Back,
    Gone,
    StillThere,
    ComesBack,
}

impl ShownTrace {
    pub const ALL: [Self; 6] = [Self::New, Self::Persists, Self::Back, Self::Gone, Self::StillThere, Self::ComesBack];

    pub fn text(self) -> &'static str {
        match self {
            Self::New => "New in its round",
            Self::Persists => "In the previous round too",
            Self::Back => "Returned in its round",
            Self::Gone => "Not in the next round",
            Self::StillThere => "In the next round too",
            Self::ComesBack => "Not in the next round, but later again",
        }
    }

    /// Converts it to the store's type.
    pub fn filter(self) -> TraceFilter {
        match self {
            Self::New => TraceFilter::Origin(Origin::New),
            Self::Persists => TraceFilter::Origin(Origin::Persists),
            Self::Back => TraceFilter::Origin(Origin::Back),
            Self::Gone => TraceFilter::Fate(Fate::Gone),
            Self::StillThere => TraceFilter::Fate(Fate::Persists),
            Self::ComesBack => TraceFilter::Fate(Fate::ComesBack),
        }
    }
}

impl ShownVerdicts {
    /// Whether candidates without a verdict are shown.
    pub fn lists_undecided(self) -> bool {
        matches!(self, Self::Undecided | Self::All)
    }

    pub const ALL: [Self; 11] = [
        Self::Undecided,
        Self::All,
        Self::Decided,
        Self::Disputed,
        Self::RestsOn(Basis::Inherited),
        Self::RestsOn(Basis::Estimated),
        Self::Only(Verdict::Confirmed),
        Self::Only(Verdict::Rejected),
        Self::Only(Verdict::MissedObject),
        Self::Only(Verdict::WrongClass),
        Self::Only(Verdict::Skipped),
    ];

    pub fn text(self) -> &'static str {
        match self {
            Self::Undecided => "Undecided",
            Self::All => "All",
            Self::Decided => "Decided",
            Self::Disputed => "Disagreement",
            Self::RestsOn(Basis::Reviewed) => "Reviewed",
            Self::RestsOn(Basis::Inherited) => "As in an earlier round",
            Self::RestsOn(Basis::Estimated) => "Estimated",
            Self::Only(verdict) => verdict_text(verdict),
        }
    }
}

/// The order of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Order {
    #[default]
    Score,
    /// High scores in rare groups first.
    ExpectedGain,
    Random,
    MaxIou,
    Size,
    Similarity,
    Image,
    Round,
    Disagreement,
}

impl Order {
    pub const ALL: [Self; 9] = [
        Self::Score,
        Self::ExpectedGain,
        Self::Random,
        Self::MaxIou,
        Self::Size,
        Self::Similarity,
        Self::Image,
        Self::Round,
        Self::Disagreement,
    ];

    pub fn text(self) -> &'static str {
        match self {
            Self::Score => "Highest score first",
            Self::ExpectedGain => "Expected gain: high score, rare group",
            Self::Random => "Random sample",
            Self::MaxIou => "Highest IoU first",
            Self::Size => "Largest first",
            Self::Similarity => "By similarity",
            Self::Image => "By image",
            Self::Round => "Newest round first",
            Self::Disagreement => "Disagreement first",
        }
    }
}

/// Returns a verdict's label on the screen.
pub fn verdict_text(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Confirmed => "Hard negative",
        Verdict::Rejected => "Rejected",
        Verdict::MissedObject => "Missed object",
        Verdict::WrongClass => "Wrong class",
        Verdict::Skipped => "Skipped",
    }
}

pub fn kind_text(kind: FalsePositiveKind) -> &'static str {
    match kind {
        FalsePositiveKind::Background => "Background",
        FalsePositiveKind::Localisation => "Badly placed",
        FalsePositiveKind::Classification => "Wrong class",
        FalsePositiveKind::Both => "Badly placed, wrong class",
        FalsePositiveKind::Duplicate => "Duplicate",
    }
}

/// The size in pixels that means no upper limit.
pub const SIZE_MAX: f64 = 10_000.0;
const SCORE_ALL: (f32, f32) = (0.0, 1.0);
const IOU_ALL: (f64, f64) = (0.0, 1.0);
const SIZE_ALL: (f64, f64) = (0.0, SIZE_MAX);

/// All conditions apply together. Stored with the project as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReviewFilter {
    /// Minimum and maximum score, 0..=1.
    pub score: (f32, f32),
    /// Minimum and maximum of the largest IoU with the ground truth, 0..=1.
    pub iou: (f64, f64),
    /// Minimum and maximum square root of the box's area, in image pixels; [`SIZE_MAX`] means no limit.
    pub size: (f64, f64),
    pub kind: Option<FalsePositiveKind>,
    pub verdicts: ShownVerdicts,
    /// A part of the image's name.
    pub name: String,
    pub round: Option<u32>,
    pub trace: Option<ShownTrace>,
    /// The split of the image. Filters of older versions store `fold` and a number.
    #[serde(alias = "fold", deserialize_with = "name_or_number")]
    pub split: Option<String>,
    /// The predicted class, by name.
    pub class: Option<String>,
    /// Use this annotator's verdicts.
    pub annotator: Option<String>,
    /// The share of this annotator, whose verdicts are then used too.
    pub share: Option<String>,
    /// One group of similar candidates.
    pub group: Option<GroupId>,
    /// Others' verdicts are hidden, and candidates that only they decided still count as undecided.
    pub blind: bool,
    /// A group of similar candidates is listed as one, except in random order.
    pub alike_as_one: bool,
    pub order: Order,
}

impl Default for ReviewFilter {
    fn default() -> Self {
        Self {
            score: SCORE_ALL,
            iou: IOU_ALL,
            size: SIZE_ALL,
            kind: None,
            verdicts: ShownVerdicts::default(),
            name: String::new(),
            round: None,
            trace: None,
            split: None,
            class: None,
            annotator: None,
            share: None,
            group: None,
            blind: false,
            alike_as_one: true,
            order: Order::default(),
        }
    }
}

/// A condition, shown as a chip that removes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    Round,
    Trace,
    Split,
    Class,
    Verdicts,
    Annotator,
    Share,
    Blind,
    Score,
    Iou,
    Size,
    Kind,
    Group,
    Name,
}

impl Condition {
    pub const ALL: [Self; 14] = [
        Self::Round,
        Self::Trace,
        Self::Split,
        Self::Class,
        Self::Verdicts,
        Self::Annotator,
        Self::Share,
        Self::Blind,
        Self::Score,
        Self::Iou,
        Self::Size,
        Self::Kind,
        Self::Group,
        Self::Name,
    ];
}

impl ReviewFilter {
    /// Candidates that annotators disagree on.
    pub fn disagreements() -> Self {
        Self { verdicts: ShownVerdicts::Disputed, order: Order::Disagreement, ..Self::default() }
    }

    /// Whether groups are listed as one: never in random order or within one group.
    pub fn lists_alike_as_one(&self) -> bool {
        self.alike_as_one && self.order != Order::Random && self.group.is_none()
    }

    /// Returns the active conditions with their text.
    pub fn chips(&self) -> Vec<(Condition, String)> {
        Condition::ALL.into_iter().filter_map(|condition| Some((condition, self.chip(condition)?))).collect()
    }

    fn chip(&self, condition: Condition) -> Option<String> {
        match condition {
            Condition::Round => self.round.map(|round| format!("Round {round}")),
            Condition::Trace => self.trace.map(|trace| trace.text().to_owned()),
            Condition::Split => self.split.as_ref().map(|split| match fold_number(split) {
                Some(fold) => format!("Fold {fold}"),
                None => format!("Split {split}"),
            }),
            Condition::Class => self.class.as_ref().map(|class| format!("Class {class}")),
            Condition::Verdicts => {
                (self.verdicts != ShownVerdicts::All).then(|| format!("Verdict: {}", self.verdicts.text()))
            }
            Condition::Annotator => self.annotator.as_ref().map(|name| format!("Verdicts of {name}")),
            Condition::Share => self.share.as_ref().map(|name| format!("Share of {name}")),
            Condition::Blind => self.blind.then(|| "Blind".to_owned()),
            Condition::Score => {
                let (low, high) = self.score;
                (self.score != SCORE_ALL).then(|| format!("Score {low:.2} to {high:.2}"))
            }
            Condition::Iou => {
                let (low, high) = self.iou;
                (self.iou != IOU_ALL).then(|| format!("IoU {low:.2} to {high:.2}"))
            }
            Condition::Size => match self.size {
                SIZE_ALL => None,
                (low, SIZE_MAX) => Some(format!("Size from {low:.0}")),
                (low, high) => Some(format!("Size {low:.0} to {high:.0}")),
            },
            Condition::Kind => self.kind.map(|kind| kind_text(kind).to_owned()),
            Condition::Group => self.group.map(|group| format!("Group {group}")),
            Condition::Name => (!self.name.is_empty()).then(|| format!("Name has “{}”", self.name)),
        }
    }

    /// Returns the filter without one of its conditions.
    #[must_use]
    pub fn without(&self, condition: Condition) -> Self {
        let mut wider = self.clone();
        match condition {
            Condition::Round => wider.round = None,
            Condition::Trace => wider.trace = None,
            Condition::Split => wider.split = None,
            Condition::Class => wider.class = None,
            Condition::Verdicts => wider.verdicts = ShownVerdicts::All,
            Condition::Annotator => wider.annotator = None,
            Condition::Share => wider.share = None,
            Condition::Blind => wider.blind = false,
            Condition::Score => wider.score = SCORE_ALL,
            Condition::Iou => wider.iou = IOU_ALL,
            Condition::Size => wider.size = SIZE_ALL,
            Condition::Kind => wider.kind = None,
            Condition::Group => wider.group = None,
            Condition::Name => wider.name.clear(),
        }
        wider
    }

    /// Serialises the filter for storage with the project.
    pub fn to_json(&self) -> String {
        // Numbers, words and options always serialise to JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a stored filter; the default if another version's cannot be read.
    pub fn from_json(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}

fn name_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Split {
        Name(String),
        Number(u8),
    }
    Ok(Option::<Split>::deserialize(deserializer)?.map(|split| match split {
        Split::Name(name) => name,
        Split::Number(number) => number.to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> ReviewFilter {
        ReviewFilter {
            score: (0.5, 0.9),
            iou: (0.1, 0.4),
            size: (20.0, SIZE_MAX),
            kind: Some(FalsePositiveKind::Background),
            verdicts: ShownVerdicts::Only(Verdict::Rejected),
            name: "img".to_owned(),
            round: Some(2),
            trace: Some(ShownTrace::Gone),
            split: Some("val".to_owned()),
            class: Some("dog".to_owned()),
            annotator: Some("Ada".to_owned()),
            share: Some("Ben".to_owned()),
            group: Some(GroupId(4)),
            blind: true,
            alike_as_one: false,
            order: Order::ExpectedGain,
        }
    }

    #[test]
    fn every_chip_can_be_taken_away() {
        let mut filter = full();
        let mut left = filter.chips().len();
        assert_eq!(left, Condition::ALL.len());
        while let Some((condition, _)) = filter.chips().first().cloned() {
            filter = filter.without(condition);
            left -= 1;
            assert_eq!(filter.chips().len(), left, "{condition:?}");
        }
    }

    #[test]
    fn a_kept_filter_comes_back_and_an_older_or_broken_one_is_filled_up() {
        assert_eq!(ReviewFilter::from_json(&full().to_json()), full());
        let fold = ReviewFilter { split: Some("7".to_owned()), ..ReviewFilter::default() };
        assert_eq!(ReviewFilter::from_json("{\"fold\":7}"), fold);
        assert_eq!(ReviewFilter::from_json("{\"fold\":null}"), ReviewFilter::default());
        assert_eq!((fold.chips()[0].1.as_str(), full().chips()[2].1.as_str()), ("Fold 7", "Split val"));
        assert_eq!(ReviewFilter::from_json("{\"order\":\"Nonsense\"}"), ReviewFilter::default());
    }
}
