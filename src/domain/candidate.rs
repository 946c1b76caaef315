//! A mined false positive that waits for a verdict.

use serde::{Deserialize, Serialize};

use super::{CandidateId, ClassId, ImageId, RoundId, Verdict};
use crate::geometry::BoundingBox;

/// A detection whose IoU with an object is at least this value covers it.
pub const CANDIDATE_MAX_IOU: f64 = 0.5;

/// A false positive with IoU up to this value with every object is background; above it, a localisation error (TIDE's `t_b`).
pub const BACKGROUND_MAX_IOU: f64 = 0.1;

/// The kind of a false positive, after TIDE (Bolya et al. 2020).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FalsePositiveKind {
    /// IoU <= 0.1 with every object: contains no part of an object.
    Background,
    /// IoU in (0.1, 0.5) with an object of its class: the object is badly localised.
    Localisation,
    /// IoU >= 0.5 with an object of another class: the object is wrongly classified.
    Classification,
    /// IoU in (0.1, 0.5) with an object of another class and no overlap above 0.1 with its own: badly localised and wrongly classified.
    Both,
    /// A second detection of an object that a better detection covers: not a hard negative.
    Duplicate,
}

/// The largest IoUs of a detection with the ground truth of its image; 0 without ground truth.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Overlaps {
    /// Largest IoU with objects of the detection's class.
    pub own: f64,
    /// Largest IoU with objects of other classes.
    pub other: f64,
}

impl Overlaps {
    /// Computes the overlaps of a box of class `class` with labelled boxes.
    pub fn of(bbox: &BoundingBox, class: ClassId, objects: impl Iterator<Item = (BoundingBox, ClassId)>) -> Self {
        let mut overlaps = Self::default();
        for (object, of_class) in objects {
            let largest = if of_class == class { &mut overlaps.own } else { &mut overlaps.other };
            *largest = largest.max(bbox.iou(&object));
        }
        overlaps
    }

    /// Returns the largest IoU with any object.
    pub fn largest(&self) -> f64 {
        self.own.max(self.other)
    }
}

/// Whether a box overlaps an ignored object by an IoU or an inside fraction of at least `least`. Such ground truth often marks a crowd that
/// contains the detection, so the detection counts neither as right nor as wrong.
pub fn overlaps_ignored(bbox: &BoundingBox, mut ignored: impl Iterator<Item = BoundingBox>, least: f64) -> bool {
    ignored.any(|object| {
        let inside = if bbox.area() > 0.0 { bbox.intersection_area(&object) / bbox.area() } else { 0.0 };
        bbox.iou(&object) >= least || inside >= least
    })
}

impl FalsePositiveKind {
    pub const ALL: [Self; 5] =
        [Self::Background, Self::Localisation, Self::Classification, Self::Both, Self::Duplicate];

    /// Classifies a false positive by its overlaps. At IoU >= 0.5 the object of its class is already detected (or was promoted since), so
    /// this is a duplicate. As in TIDE's code, a localisation error on its own class takes precedence over a classification error. Unlike
    /// TIDE, a duplicate takes precedence over both: it matches an object and is not a hard negative.
    pub fn of(overlaps: Overlaps) -> Self {
        Self::with_limits(overlaps, CANDIDATE_MAX_IOU, BACKGROUND_MAX_IOU)
    }

    /// [`Self::of`] with other thresholds than 0.5 and 0.1.
    pub fn with_limits(overlaps: Overlaps, candidate: f64, background: f64) -> Self {
        let Overlaps { own, other } = overlaps;
        if own >= candidate {
            Self::Duplicate
        } else if own > background {
            Self::Localisation
        } else if other >= candidate {
            Self::Classification
        } else if other > background {
            Self::Both
        } else {
            Self::Background
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Background => "background",
            Self::Localisation => "localisation",
            Self::Classification => "classification",
            Self::Both => "both",
            Self::Duplicate => "duplicate",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|k| k.as_str() == word)
    }
}

/// A detection that covers no object of its class: its IoU with each of them is below 0.5.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    pub id: CandidateId,
    pub round: RoundId,
    pub image: ImageId,
    /// The class that the detector predicted.
    pub class: ClassId,
    pub bbox: BoundingBox,
    pub score: f32,
    /// Largest IoU with an object of any class in the image; 0 without objects.
    pub max_iou: f64,
    pub kind: FalsePositiveKind,
    /// The newest verdict; `None` while undecided.
    pub verdict: Option<Verdict>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_follow_from_the_overlaps_with_own_and_other_classes() {
        use FalsePositiveKind::{Background, Both, Classification, Duplicate, Localisation};
        let check = |own: f64, other: f64, expected| {
            assert_eq!(FalsePositiveKind::of(Overlaps { own, other }), expected, "own {own}, other {other}");
        };
        check(0.0, 0.0, Background);
        check(0.1, 0.1, Background);
        check(0.1_f64.next_up(), 0.0, Localisation);
        check(0.49, 0.9, Localisation);
        check(0.5, 0.9, Duplicate);
        check(0.1, 0.5, Classification);
        check(0.0, 0.5_f64.next_down(), Both);
        check(0.05, 0.1_f64.next_up(), Both);
    }
}
