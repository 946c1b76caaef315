//! What an annotator decides on a candidate.

use serde::{Deserialize, Serialize};

use super::CandidateId;

/// A decision on a candidate. Append-only in the store; the newest of an annotator counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A hard negative: train on it as background.
    Confirmed,
    /// Not to be trained on as background: an ignored region from then on.
    Rejected,
    /// A real face which the annotation lacks: it becomes ground truth with source "promoted".
    MissedObject,
    /// Looked at and left undecided.
    Skipped,
}

impl Verdict {
    pub const ALL: [Self; 4] = [Self::Confirmed, Self::Rejected, Self::MissedObject, Self::Skipped];

    /// The word stored in the database and in exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::MissedObject => "missed_face",
            Self::Skipped => "skipped",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.as_str() == word)
    }
}

/// One row of the verdict log. `verdict` is `None` where an undo took the decision back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerdictRecord {
    pub candidate: CandidateId,
    pub annotator: String,
    pub verdict: Option<Verdict>,
    /// Milliseconds since the Unix epoch.
    pub time_ms: i64,
}
