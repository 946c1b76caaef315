//! Determines the units of a result file: pixels or fractions; probabilities, percent or logits. If a file's range contradicts its format,
//! the user is asked; nothing is guessed.

use crate::dataset::results::{FoundRecord, Results, Unit};
use crate::domain::{Shape, printable_path};
use crate::workflow::WorkflowError;

/// The scale of scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoreScale {
    /// 0 to 1.
    Probability,
    /// 0 to 100.
    Percent,
    /// Any number; its logistic function is the probability.
    Logit,
}

/// A fraction may be slightly above 1 because of rounding, or for boxes that extend beyond the border.
const FRACTION_MAX: f64 = 1.02;

impl ScoreScale {
    /// Converts a score to a probability; `None` if it is not one.
    pub fn probability(self, score: f64) -> Option<f32> {
        let probability = match self {
            Self::Probability => score,
            Self::Percent => score / 100.0,
            Self::Logit => 1.0 / (1.0 + (-score).exp()),
        };
        (0.0..=1.0).contains(&probability).then_some(probability as f32)
    }
}

/// Returns the unit of the coordinates: the user's choice, or the format's if the range agrees.
pub(super) fn unit_of(results: &Results, said: Option<Unit>) -> Result<Unit, WorkflowError> {
    if let Some(unit) = said {
        return Ok(unit);
    }
    let count = results.records.len();
    let fractions = results.records.iter().filter(|record| largest(record) <= FRACTION_MAX).count();
    let ask = |found: &str, expected: &str, say: &str| {
        Err(WorkflowError::Refused(format!(
            "{}: {found}, where this format has {expected}. If they are what the format says, add --coordinates {expected}; else --coordinates {say}.",
            results.files.first().map_or(String::new(), |file| printable_path(file)),
        )))
    };
    match results.unit {
        Unit::Pixels if count > 0 && fractions == count => {
            ask("all coordinates are between 0 and 1, like fractions of the image", "pixels", "fractions")
        }
        Unit::Fractions if fractions * 2 < count => {
            ask("most coordinates are above 1, like pixels", "fractions", "pixels")
        }
        unit => Ok(unit),
    }
}

/// Returns the scale of the scores: the user's choice, or 0 to 1 if most of them are.
pub(super) fn scale_of(results: &Results, said: Option<ScoreScale>) -> Result<ScoreScale, WorkflowError> {
    if let Some(scale) = said {
        return Ok(scale);
    }
    let scores: Vec<f64> = results.records.iter().filter_map(|record| record.score).collect();
    let outside = scores.iter().filter(|score| !(0.0..=1.0).contains(*score)).count();
    if outside * 2 <= scores.len() {
        return Ok(ScoreScale::Probability);
    }
    let (least, most) = scores.iter().fold((f64::MAX, f64::MIN), |(a, b), score| (a.min(*score), b.max(*score)));
    Err(WorkflowError::Refused(format!(
        "{}: {outside} of {} scores are outside 0 to 1; they go from {least} to {most}. Say what they are with --scores percent or --scores logit.",
        results.files.first().map_or(String::new(), |file| printable_path(file)),
        scores.len()
    )))
}

/// Returns the largest coordinate or length.
fn largest(record: &FoundRecord) -> f64 {
    match record.shape {
        Shape::Rectangle(b) => [b.x1, b.y1, b.x2, b.y2].into_iter().fold(0.0, |most, v| most.max(v.abs())),
        Shape::Ellipse(e) => [e.cx, e.cy, e.ra, e.rb].into_iter().fold(0.0, |most, v| most.max(v.abs())),
    }
}
