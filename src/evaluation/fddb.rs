//! FDDB's evaluation behind the evaluators' interface.

use super::evaluator::{Evaluator, Metric};
use super::region::EvaluatedImage;
use super::roc::{RocCurve, roc};
use super::step::Matching;

/// Discrete and continuous ROC of faces, equal to the official program.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fddb {
    pub matching: Matching,
}

impl Evaluator for Fddb {
    type Input = [EvaluatedImage];
    type Report = RocCurve;

    fn metric(&self) -> Metric {
        Metric::Fddb
    }

    fn evaluate(&self, images: &[EvaluatedImage]) -> RocCurve {
        roc(images, self.matching)
    }
}
