//! A training round: train -> detect on the training images -> mine -> review.

use serde::{Deserialize, Serialize};

use super::RoundId;

/// Which false positives of earlier rounds a round trains with as hard negatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HardNegativeSource {
    /// None: the baseline of the same length.
    None,
    /// Every candidate that nobody rejected (the paper's).
    Unreviewed,
    /// Those that an annotator confirmed, estimated ones among them.
    #[default]
    Confirmed,
    /// Those that an annotator confirmed, without estimated ones, which nobody saw.
    Reviewed,
}

/// Which ground truth a round learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TruthSource {
    /// `Imported` in a round without hard negatives, so that it is a clean baseline; else `Corrected`.
    #[default]
    Auto,
    /// The dataset's own objects alone, without any review.
    Imported,
    /// With promoted, edited and added objects, and without learning in rejected regions.
    Corrected,
}

/// Where the weights of round n+1 start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoundInit {
    /// From the pretrained backbone (the paper's).
    #[default]
    Backbone,
    /// From the last round's checkpoint.
    Previous,
}

/// How far a round has come.
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
    /// 1, 2, 3 ... in the order in which rounds were started.
    pub number: u32,
    pub state: RoundState,
    /// The round's settings as TOML text (`round.toml`), kept with the round.
    pub config_toml: String,
    /// The user's own words on the round.
    pub notes: String,
    /// Milliseconds since the Unix epoch.
    pub started_ms: i64,
    pub finished_ms: Option<i64>,
    /// Where the detections come from, when it was not Quarry that trained the detector.
    pub imported: Option<ImportedModel>,
}

/// The detector of a round whose detections came from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedModel {
    /// As the user calls it; several rounds have it when its results were imported again.
    pub name: String,
    /// 1, 2, 3 ... among the rounds of this model.
    pub round: u32,
    /// The file or folder that the detections were read from.
    pub source: String,
    /// Detections without a score: kept with score 0, and no curve is drawn of them.
    pub unscored: u64,
}

impl RoundRecord {
    /// Whether Quarry trained it: it has settings and checkpoints.
    pub fn is_own(&self) -> bool {
        self.imported.is_none()
    }

    /// Whether its training can continue: it was interrupted, stopped or failed.
    pub fn is_unfinished(&self) -> bool {
        matches!(self.state, RoundState::Running | RoundState::Stopped | RoundState::Failed)
    }

    /// `Round 3`, with the model where the detections were imported: `Round 3 (yolo11-v3, its round 2)`.
    pub fn title(&self) -> String {
        match &self.imported {
            None => format!("Round {}", self.number),
            Some(model) => format!("Round {} ({}, its round {})", self.number, model.name, model.round),
        }
    }
}
