//! A mined false positive that waits for a verdict.

use serde::{Deserialize, Serialize};

use super::{CandidateId, ImageId, RoundId, Verdict};
use crate::geometry::BoundingBox;

/// A detection with this maximum IoU, or more, holds a face and is no candidate.
pub const CANDIDATE_MAX_IOU: f64 = 0.5;

/// Up to this maximum IoU a false positive is background, above it a badly placed face (TIDE's `t_b`).
pub const BACKGROUND_MAX_IOU: f64 = 0.1;

/// The kind of a false positive, after TIDE (Bolya et al. 2020).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FalsePositiveKind {
    /// Maximum IoU <= 0.1: nothing of a face in it.
    Background,
    /// Maximum IoU in (0.1, 0.5): a face, badly placed.
    Localisation,
    /// A second detection of a face that a better one holds: not a hard negative.
    Duplicate,
}

impl FalsePositiveKind {
    pub const ALL: [Self; 3] = [Self::Background, Self::Localisation, Self::Duplicate];

    /// The kind of a false positive whose largest IoU with the ground truth of its image is `max_iou`. At 0.5 and above the face
    /// already has its detection (or was promoted since), which makes this one a duplicate.
    pub fn from_max_iou(max_iou: f64) -> Self {
        if max_iou <= BACKGROUND_MAX_IOU {
            Self::Background
        } else if max_iou < CANDIDATE_MAX_IOU {
            Self::Localisation
        } else {
            Self::Duplicate
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::Localisation => "localisation",
            Self::Duplicate => "duplicate",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == word)
    }
}

/// A detection whose maximum IoU with every ground truth of its image is below 0.5.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub id: CandidateId,
    pub round: RoundId,
    pub image: ImageId,
    pub bbox: BoundingBox,
    pub score: f32,
    /// Largest IoU with a ground truth of the image, 0 without faces.
    pub max_iou: f64,
    pub kind: FalsePositiveKind,
    /// The newest verdict, `None` while it waits for one.
    pub verdict: Option<Verdict>,
}
