//! Identifies a curve: its names and its fixed style. No egui, no files.

use crate::evaluation::palette::{CurveStyle, curve_style};
use crate::workflow::{fold_label, split_fold_label};

/// First dash index of cross-validation curves; the project's own rounds start at 0.
const RUN_DASHES: usize = 12;
/// First colour index, likewise.
const RUN_COLOURS: usize = 3;
/// Number of folds per shape with dashes of their own.
const FOLD_DASHES: usize = 10;

/// Identifies a curve: a round, what it was evaluated on (`rectangle`, `ellipse`), and pooled over the test folds or for one of them
/// (`rectangle, fold 9`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CurveKey {
    /// Title of the round's cross-validation (`Ten-fold`); `None` for the project's own rounds.
    pub run: Option<String>,
    pub round: u32,
    pub label: String,
}

impl CurveKey {
    /// A curve of one of the project's own rounds.
    pub fn new(round: u32, label: impl Into<String>) -> Self {
        Self { run: None, round, label: label.into() }
    }

    /// Returns the round without its shape.
    pub fn name(&self) -> String {
        match &self.run {
            None => format!("Round {}", self.round),
            Some(run) => format!("{run}, round {}", self.round),
        }
    }

    pub fn text(&self) -> String {
        match &self.run {
            None => format!("Round {}, {}", self.round, self.label),
            Some(run) => format!("{run}, round {}, {}", self.round, self.label),
        }
    }

    /// Returns a short label for the curve's end: `R2` is round 2's rectangles, `R2e f9` its ellipses on fold 9, `T1` a cross-validation's.
    pub fn short(&self) -> String {
        let run = if self.run.is_some() { 'T' } else { 'R' };
        let shape = self.shape();
        let shape = if shape == "rectangle" { "" } else { shape.get(..1).unwrap_or_default() };
        let fold = self.fold().map_or(String::new(), |fold| format!(" f{fold}"));
        format!("{run}{}{shape}{fold}", self.round)
    }

    /// Returns the fold of a fold's curve; `None` for a pooled one.
    pub fn fold(&self) -> Option<u8> {
        split_fold_label(&self.label).map(|(_, fold)| fold)
    }

    fn shape(&self) -> &str {
        split_fold_label(&self.label).map_or(self.label.as_str(), |(shape, _)| shape)
    }

    /// Returns the curve that pools this one's folds; itself for a pooled one.
    #[must_use]
    pub fn pooled(&self) -> Self {
        Self { label: self.shape().to_owned(), ..self.clone() }
    }

    /// Returns the curve of one of this pooled curve's folds.
    #[must_use]
    pub fn of_fold(&self, fold: u8) -> Self {
        Self { label: fold_label(self.shape(), fold), ..self.clone() }
    }

    /// Colour by round; dash by round and shape, or by fold and shape: no two styles are equal, with or without colour.
    pub fn style(&self) -> CurveStyle {
        let round = self.round.saturating_sub(1) as usize;
        let other_shape = usize::from(self.shape() != "rectangle");
        let (colours, dashes) = if self.run.is_some() { (RUN_COLOURS, RUN_DASHES) } else { (0, 0) };
        match self.fold() {
            None => curve_style(colours + round, dashes + 2 * round + other_shape),
            Some(fold) => {
                let number = usize::from(fold.saturating_sub(1)) % FOLD_DASHES;
                CurveStyle { thin: true, ..curve_style(colours + round, 1 + FOLD_DASHES * other_shape + number) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_rounds_shapes_folds_and_runs_apart() {
        let own = CurveKey::new(2, "ellipse");
        let run = CurveKey { run: Some("Ten-fold".to_owned()), ..CurveKey::new(1, "rectangle") };
        for (key, text, short) in [
            (own.clone(), "Round 2, ellipse", "R2e"),
            (own.of_fold(9), "Round 2, ellipse, fold 9", "R2e f9"),
            (run.clone(), "Ten-fold, round 1, rectangle", "T1"),
            (run.of_fold(3), "Ten-fold, round 1, rectangle, fold 3", "T1 f3"),
        ] {
            assert_eq!((key.text().as_str(), key.short().as_str()), (text, short));
        }
        assert_eq!(own.of_fold(9).pooled(), own);
    }

    /// Covers everything that a project with three rounds of both shapes, ten folds and a cross-validation shows.
    #[test]
    fn no_two_curves_look_alike_without_colour() {
        let pooled: Vec<CurveKey> = (1..=3)
            .flat_map(|round| ["rectangle", "ellipse"].map(|label| CurveKey::new(round, label)))
            .flat_map(|key| [CurveKey { run: Some("Ten-fold".to_owned()), ..key.clone() }, key])
            .collect();
        let looks: Vec<_> = pooled.iter().map(|key| key.style().dash).collect();
        for (k, look) in looks.iter().enumerate() {
            assert!(looks[..k].iter().all(|other| other != look), "{:?}", pooled[k]);
        }
        let of_round = |label| (1..=10).map(move |fold| CurveKey::new(1, label).of_fold(fold).style());
        let folds: Vec<CurveStyle> = of_round("rectangle").chain(of_round("ellipse")).collect();
        for (k, style) in folds.iter().enumerate() {
            assert!(style.thin && folds[..k].iter().all(|other| other.dash != style.dash), "{k}");
        }
        let colour = |round| CurveKey::new(round, "rectangle").style().colour;
        assert!(colour(1) != colour(2) && colour(2) != colour(3));
    }
}
