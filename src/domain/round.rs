//! A training round: train -> detect on the training images -> mine -> review.

use serde::{Deserialize, Serialize};

use super::RoundId;

/// Which false positives of earlier rounds a round trains with as hard negatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HardNegativeSource {
    /// None: a baseline of the same training length.
    None,
    /// Every candidate that nobody rejected (as in the paper).
    Unreviewed,
    /// Candidates that an annotator confirmed, including estimated ones.
    #[default]
    Confirmed,
    /// Candidates that an annotator confirmed, without estimated ones, which nobody looked at.
    Reviewed,
}

/// Which ground truth a round trains on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TruthSource {
    /// `Imported` in a round without hard negatives, for a clean baseline; otherwise `Corrected`.
    #[default]
    Auto,
    /// Only the dataset's own objects, without any review.
    Imported,
    /// Includes promoted, edited and added objects; rejected regions are excluded from training.
    Corrected,
}

/// Initial weights of round n+1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoundInit {
    /// The pretrained backbone (as in the paper).
    #[default]
    Backbone,
    /// The previous round's checkpoint.
    Previous,
}

/// The progress state of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoundState {
    Running,
    Stopped,
    Failed,
    Trained,
    Mined,
}

impl RoundState {
    pub const ALL: [Self; 5] = [Self::Running, Self::Stopped, Self::Failed, Self::Trained, Self::Mined];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Trained => "trained",
            Self::Mined => "mined",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}

/// One round of the project.
#[derive(Debug, Clone, PartialEq)]
pub struct RoundRecord {
    pub id: RoundId,
    /// 1, 2, 3 ... in the order in which rounds were created.
    pub number: u32,
    pub state: RoundState,
    /// The round's settings as TOML text (`round.toml`), stored with the round.
    pub config_toml: String,
    /// The user's notes on the round.
    pub notes: String,
    /// Milliseconds since the Unix epoch.
    pub started_ms: i64,
    pub finished_ms: Option<i64>,
    /// The source of the detections, if they were imported rather than produced by Quarry.
    pub imported: Option<ImportedModel>,
}

/// The detector of a round with imported detections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedModel {
    /// The user's name for the model; repeated imports of its results share it.
    pub name: String,
    /// 1, 2, 3 ... among this model's rounds.
    pub round: u32,
    /// The file or folder that the detections were read from.
    pub source: String,
    /// Detections without a score: stored with score 0 and excluded from curves.
    pub unscored: u64,
}

impl RoundRecord {
    /// Whether Quarry trained it, so that it has settings and checkpoints.
    pub fn is_own(&self) -> bool {
        self.imported.is_none()
    }

    /// Whether its training can be resumed: it was interrupted, stopped or failed.
    pub fn is_unfinished(&self) -> bool {
        matches!(self.state, RoundState::Running | RoundState::Stopped | RoundState::Failed)
    }

    /// Returns `Round 3`, or with an imported model `Round 3 (yolo11-v3, its round 2)`.
    pub fn title(&self) -> String {
        match &self.imported {
            None => format!("Round {}", self.number),
            Some(model) => format!("Round {} ({}, its round {})", self.number, model.name, model.round),
        }
    }
}
