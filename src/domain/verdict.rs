//! An annotator's verdict on a candidate.

use serde::{Deserialize, Serialize};

use super::{CandidateId, ClassId};

/// A verdict on a candidate. Append-only in the store; an annotator's newest verdict counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A hard negative for the next round.
    Confirmed,
    /// Not a training negative: treated as an ignored region from then on.
    Rejected,
    /// A real object, of the class given with the verdict, that the annotation lacks: becomes ground truth with source "promoted".
    #[serde(alias = "missed_face")]
    MissedObject,
    /// The object is real and has the class given with the verdict. The annotated object there is corrected; without one, this becomes
    /// ground truth.
    WrongClass,
    /// Seen and left undecided.
    Skipped,
}

impl Verdict {
    pub const ALL: [Self; 5] = [Self::Confirmed, Self::Rejected, Self::MissedObject, Self::WrongClass, Self::Skipped];

    /// Whether the verdict includes a class.
    pub fn has_class(self) -> bool {
        matches!(self, Self::MissedObject | Self::WrongClass)
    }

    /// Returns the word stored in the database and in exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::MissedObject => "missed_object",
            Self::WrongClass => "wrong_class",
            Self::Skipped => "skipped",
        }
    }

    /// Also accepts `missed_face` from verdict files of the first version.
    pub fn parse(word: &str) -> Option<Self> {
        let word = if word == "missed_face" { Self::MissedObject.as_str() } else { word };
        Self::ALL.into_iter().find(|v| v.as_str() == word)
    }
}

/// How a verdict was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// An annotator saw the candidate, alone or with its group.
    #[default]
    Reviewed,
    /// Carried over from an earlier round's verdict on the same region.
    Inherited,
    /// Assigned to a whole population from a random sample, not seen individually.
    Estimated,
}

impl Basis {
    pub const ALL: [Self; 3] = [Self::Reviewed, Self::Inherited, Self::Estimated];

    /// Returns the word stored in the database and in exports.
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

/// One row of the verdict log. `verdict` is `None` for an undo.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerdictRecord {
    pub candidate: CandidateId,
    pub annotator: String,
    pub verdict: Option<Verdict>,
    /// Set for a missed object and for a wrong class.
    pub class: Option<ClassId>,
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
}
