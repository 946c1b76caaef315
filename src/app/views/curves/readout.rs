//! The readout under the pointer, and what a click there requests. No egui.

use crate::app::command::CurveKey;
use crate::evaluation::palette::CurveStyle;
use crate::evaluation::{CurvePoint, percent_g};

/// A point of a curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Readout {
    pub name: String,
    pub style: CurveStyle,
    /// The project's round; `None` for a third-party curve.
    pub key: Option<CurveKey>,
    pub point: CurvePoint,
}

impl Readout {
    pub fn text(&self) -> String {
        let CurvePoint { false_positives, rate, threshold } = self.point;
        let score = match (threshold, &self.key) {
            (Some(score), Some(key)) if key.run.is_none() => {
                format!("\nscore from {}\nClick: see these errors\nRight click: review from here", percent_g(score))
            }
            (Some(score), Some(_)) => {
                format!("\nscore from {}\nRight click: review from here", percent_g(score))
            }
            (Some(score), None) => format!("\nscore from {}", percent_g(score)),
            (None, Some(_)) => "\nno detection".to_owned(),
            (None, None) => String::new(),
        };
        format!("{}\n{false_positives:.0} false positives\nrate {rate:.4}{score}", self.name)
    }

    /// Returns the score for a right click that filters the review; third-party scores have no meaning there.
    pub fn review_from(&self) -> Option<f64> {
        self.point.threshold.filter(|_| self.key.is_some())
    }

    /// Returns the curve and score whose errors a click shows; those of a cross-validation are in its folds' own projects.
    pub fn errors_from(&self) -> Option<(&CurveKey, f64)> {
        let key = self.key.as_ref().filter(|key| key.run.is_none())?;
        Some((key, self.point.threshold?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::palette::curve_style;

    #[test]
    fn points_are_read_out_with_all_the_digits_that_tell_scores_apart() {
        let readout = |key, threshold| Readout {
            name: "Round 1, rectangle".to_owned(),
            style: curve_style(0, 0),
            key,
            point: CurvePoint { false_positives: 12.0, rate: 0.87654, threshold },
        };
        let own = CurveKey::new(1, "rectangle");
        let of_run = CurveKey { run: Some("Ten-fold".to_owned()), ..own.clone() };
        let start = "Round 1, rectangle\n12 false positives\nrate 0.8765";
        let review = "Right click: review from here";
        let errors = format!("\nscore from 0.999871\nClick: see these errors\n{review}");
        let score = 0.999_871;
        for (key, threshold, rest, reviewed, shown) in [
            (Some(own.clone()), Some(score), errors, Some(score), Some(score)),
            (Some(of_run), Some(score), format!("\nscore from 0.999871\n{review}"), Some(score), None),
            (Some(own), None, "\nno detection".to_owned(), None, None),
            (None, Some(0.5), "\nscore from 0.5".to_owned(), None, None),
            (None, None, String::new(), None, None),
        ] {
            let readout = readout(key, threshold);
            assert_eq!((readout.text(), readout.review_from()), (format!("{start}{rest}"), reviewed));
            assert_eq!(readout.errors_from().map(|(_, score)| score), shown);
        }
    }
}
