//! What an annotator decides on a candidate.

use serde::{Deserialize, Serialize};

use super::{CandidateId, ClassId};

/// A decision on a candidate. Append-only in the store; the newest of an annotator counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A hard negative: the next round trains on it.
    Confirmed,
    /// Not to be trained on as background: an ignored region from then on.
    Rejected,
    /// A real object, of the class that is beside the verdict, which the annotation lacks: it becomes ground truth with source "promoted".
    #[serde(alias = "missed_face")]
    MissedObject,
    /// The object is real and has the class that is beside the verdict: that of the annotated object which lies there is corrected, and
    /// without one it becomes ground truth.
    WrongClass,
    /// Looked at and left undecided.
    Skipped,
}

impl Verdict {
    pub const ALL: [Self; 5] = [Self::Confirmed, Self::Rejected, Self::MissedObject, Self::WrongClass, Self::Skipped];

    /// Whether a class belongs to it.
    pub fn has_class(self) -> bool {
        matches!(self, Self::MissedObject | Self::WrongClass)
    }

    /// The word stored in the database and in exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::MissedObject => "missed_object",
            Self::WrongClass => "wrong_class",
            Self::Skipped => "skipped",
        }
    }

    /// Also reads `missed_face`, which verdict files of the first version say.
    pub fn parse(word: &str) -> Option<Self> {
        let word = if word == "missed_face" { Self::MissedObject.as_str() } else { word };
        Self::ALL.into_iter().find(|v| v.as_str() == word)
    }
}

/// What a verdict rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Somebody saw the candidate, alone or with its group.
    #[default]
    Reviewed,
    /// Taken over from an earlier round, in which the same thing was decided.
    Inherited,
    /// Given to all that a random sample stands for, not seen one by one.
    Estimated,
}

impl Basis {
    pub const ALL: [Self; 3] = [Self::Reviewed, Self::Inherited, Self::Estimated];

    /// The word stored in the database and in exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reviewed => "reviewed",
            Self::Inherited => "inherited",
            Self::Estimated => "estimated",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|basis| basis.as_str() == word)
    }
}

/// One row of the verdict log. `verdict` is `None` where an undo reverted the decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerdictRecord {
    pub candidate: CandidateId,
    pub annotator: String,
    pub verdict: Option<Verdict>,
    /// Of a missed object and of a wrong class.
    pub class: Option<ClassId>,
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
}
