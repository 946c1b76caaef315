//! What is read out under the pointer, and what a click on it asks for. Knows no egui.

use crate::evaluation::palette::CurveStyle;
use crate::evaluation::{CurvePoint, percent_g};

/// A point of a curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Readout {
    pub name: String,
    pub style: CurveStyle,
    /// Of one of the project's rounds, not of others.
    pub own: bool,
    pub point: CurvePoint,
}

impl Readout {
    pub fn text(&self) -> String {
        let CurvePoint { false_positives, rate, threshold } = self.point;
        let score = match (threshold, self.own) {
            (Some(score), true) => format!("\nscore from {}\nClick to review from this score", percent_g(score)),
            (Some(score), false) => format!("\nscore from {}", percent_g(score)),
            (None, true) => "\nno detection".to_owned(),
            (None, false) => String::new(),
        };
        format!("{}\n{false_positives:.0} false positives\nrate {rate:.4}{score}", self.name)
    }

    /// The score from which a click lets the review begin; scores of others mean nothing there.
    pub fn review_from(&self) -> Option<f64> {
        self.point.threshold.filter(|_| self.own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::palette::curve_style;

    #[test]
    fn points_are_read_out_with_all_the_digits_that_tell_scores_apart() {
        let readout = |own, threshold| Readout {
            name: "Round 1, rectangle".to_owned(),
            style: curve_style(0, 0),
            own,
            point: CurvePoint { false_positives: 12.0, rate: 0.87654, threshold },
        };
        let start = "Round 1, rectangle\n12 false positives\nrate 0.8765";
        for (own, threshold, rest, clicked) in [
            (true, Some(0.999_871), "\nscore from 0.999871\nClick to review from this score", Some(0.999_871)),
            (true, None, "\nno detection", None),
            (false, Some(0.5), "\nscore from 0.5", None),
            (false, None, "", None),
        ] {
            let readout = readout(own, threshold);
            assert_eq!((readout.text(), readout.review_from()), (format!("{start}{rest}"), clicked));
        }
    }
}
