//! Which candidates the review shows, and the filter as chips. Must not know SQL.

use crate::domain::{FalsePositiveKind, Verdict};

/// The verdicts that are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShownVerdicts {
    #[default]
    Undecided,
    All,
    Decided,
    Only(Verdict),
}

impl ShownVerdicts {
    pub const ALL: [Self; 7] = [
        Self::Undecided,
        Self::All,
        Self::Decided,
        Self::Only(Verdict::Confirmed),
        Self::Only(Verdict::Rejected),
        Self::Only(Verdict::MissedFace),
        Self::Only(Verdict::Skipped),
    ];

    pub fn text(self) -> &'static str {
        match self {
            Self::Undecided => "Undecided",
            Self::All => "All",
            Self::Decided => "Decided",
            Self::Only(verdict) => verdict_text(verdict),
        }
    }
}

/// The order of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    #[default]
    Score,
    MaxIou,
    Size,
    Image,
    Random,
}

impl Order {
    pub const ALL: [Self; 5] = [Self::Score, Self::MaxIou, Self::Size, Self::Image, Self::Random];

    pub fn text(self) -> &'static str {
        match self {
            Self::Score => "Highest score first",
            Self::MaxIou => "Highest IoU first",
            Self::Size => "Largest first",
            Self::Image => "By image",
            Self::Random => "Random sample",
        }
    }
}

/// The words of the screen for a verdict.
pub fn verdict_text(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Confirmed => "Hard negative",
        Verdict::Rejected => "Rejected",
        Verdict::MissedFace => "Missed face",
        Verdict::Skipped => "Skipped",
    }
}

pub fn kind_text(kind: FalsePositiveKind) -> &'static str {
    match kind {
        FalsePositiveKind::Background => "Background",
        FalsePositiveKind::Localisation => "Badly placed",
        FalsePositiveKind::Duplicate => "Duplicate",
    }
}

/// All conditions hold at once.
#[derive(Debug, Clone, PartialEq)]
pub struct ReviewFilter {
    /// Lowest and highest score, 0..=1.
    pub score: (f32, f32),
    pub kind: Option<FalsePositiveKind>,
    pub verdicts: ShownVerdicts,
    /// A part of the image's name.
    pub name: String,
    pub round: Option<u32>,
    pub order: Order,
}

impl Default for ReviewFilter {
    fn default() -> Self {
        Self {
            score: (0.0, 1.0),
            kind: None,
            verdicts: ShownVerdicts::default(),
            name: String::new(),
            round: None,
            order: Order::default(),
        }
    }
}

/// A condition that a chip shows and its cross takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    Score,
    Kind,
    Verdicts,
    Name,
    Round,
}

impl ReviewFilter {
    /// The conditions that leave something out, with their text.
    pub fn chips(&self) -> Vec<(Condition, String)> {
        let mut chips = Vec::new();
        if let Some(round) = self.round {
            chips.push((Condition::Round, format!("Round {round}")));
        }
        if self.verdicts != ShownVerdicts::All {
            chips.push((Condition::Verdicts, self.verdicts.text().to_owned()));
        }
        if self.score != (0.0, 1.0) {
            chips.push((Condition::Score, format!("Score {:.2} to {:.2}", self.score.0, self.score.1)));
        }
        if let Some(kind) = self.kind {
            chips.push((Condition::Kind, kind_text(kind).to_owned()));
        }
        if !self.name.is_empty() {
            chips.push((Condition::Name, format!("Name has “{}”", self.name)));
        }
        chips
    }

    /// The filter without one of its conditions.
    #[must_use]
    pub fn without(&self, condition: Condition) -> Self {
        let mut wider = self.clone();
        match condition {
            Condition::Score => wider.score = (0.0, 1.0),
            Condition::Kind => wider.kind = None,
            Condition::Verdicts => wider.verdicts = ShownVerdicts::All,
            Condition::Name => wider.name.clear(),
            Condition::Round => wider.round = None,
        }
        wider
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chip_can_be_taken_away() {
        let mut filter = ReviewFilter {
            score: (0.5, 0.9),
            kind: Some(FalsePositiveKind::Background),
            name: "img".to_owned(),
            round: Some(2),
            ..ReviewFilter::default()
        };
        let mut left = filter.chips().len();
        assert_eq!(left, 5);
        while let Some((condition, _)) = filter.chips().first().cloned() {
            filter = filter.without(condition);
            left -= 1;
            assert_eq!(filter.chips().len(), left, "{condition:?}");
        }
    }
}
