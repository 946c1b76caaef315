//! The curves' state: what was measured, what is shown, and the lines ready to be drawn. Knows neither egui nor files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::evaluation::{FoldSpread, PlotCurve, RocCurve};
use crate::workflow::split_fold_label;

/// Points that a drawn line keeps at most.
const LINE_POINTS_MAX: usize = 1200;
/// False positives of the table's columns.
pub const TABLE_AT: [u64; 8] = [10, 20, 50, 100, 200, 500, 1000, 2000];

/// Which curve: of a round, on what (`rectangle`, `ellipse`), pooled over the test folds or of one (`rectangle, fold 9`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CurveKey {
    pub round: u32,
    pub label: String,
}

impl CurveKey {
    pub fn text(&self) -> String {
        format!("Round {}, {}", self.round, self.label)
    }

    /// The fold of a fold's curve; `None` for a pooled one.
    pub fn fold(&self) -> Option<u8> {
        split_fold_label(&self.label).map(|(_, fold)| fold)
    }

    /// Whether this is the curve of one of the folds that `pooled` pools.
    fn is_fold_of(&self, pooled: &Self) -> bool {
        self.round == pooled.round && split_fold_label(&self.label).is_some_and(|(label, _)| label == pooled.label)
    }

    /// A number that stays the curve's own: two for each round, rectangles first. Folds have their own, by fold.
    pub fn number(&self) -> usize {
        match self.fold() {
            Some(fold) => usize::from(fold),
            None => self.round.saturating_sub(1) as usize * 2 + usize::from(self.label != "rectangle"),
        }
    }
}

/// Which of FDDB's two scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Score {
    Discrete,
    Continuous,
}

/// A point that can be read out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    pub false_positives: u64,
    pub rate: f64,
    pub threshold: f64,
}

/// A line as it is drawn: points from few false positives to many.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawnLine {
    pub key: CurveKey,
    pub step: u64,
    /// 0 for the newest evaluation of its curve, then 1, 2 ... back in time.
    pub age: usize,
    pub points: Vec<Reading>,
}

/// A curve of others behind one's own: from the literature, or imported.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    pub name: String,
    /// What to know before comparing, e.g. that the curve was smoothed.
    pub notes: String,
    pub discrete: PlotCurve,
    pub continuous: PlotCurve,
    pub shown: bool,
    /// Whether the user brought it in, and can take it out again.
    pub imported: bool,
}

#[derive(Debug)]
pub struct CurvesModel {
    pub log_x: bool,
    pub x_max: u64,
    pub earlier_shown: bool,
    pub published: Vec<Published>,
    /// A ROC file that waits for the user to say which of its columns is the rate.
    pub ambiguous: Option<PathBuf>,
    curves: BTreeMap<CurveKey, BTreeMap<u64, RocCurve>>,
    /// Shown although it is a fold's, or hidden although it is not.
    toggled: BTreeSet<CurveKey>,
    discrete: Vec<DrawnLine>,
    continuous: Vec<DrawnLine>,
    running: Option<u32>,
}

impl Default for CurvesModel {
    fn default() -> Self {
        Self {
            log_x: true,
            x_max: 2000,
            earlier_shown: true,
            published: Vec::new(),
            ambiguous: None,
            curves: BTreeMap::new(),
            toggled: BTreeSet::new(),
            discrete: Vec::new(),
            continuous: Vec::new(),
            running: None,
        }
    }
}

impl CurvesModel {
    pub fn clear(&mut self) {
        self.curves.clear();
        self.toggled.clear();
        self.ambiguous = None;
        self.published.retain(|published| !published.imported);
        self.redraw();
    }

    pub fn is_empty(&self) -> bool {
        self.curves.is_empty()
    }

    /// Takes an evaluation in; one of the same round, label and step is replaced.
    pub fn put(&mut self, key: CurveKey, step: u64, curve: RocCurve) {
        self.curves.entry(key).or_default().insert(step, curve);
        self.redraw();
    }

    /// Takes many in at once.
    pub fn put_all(&mut self, curves: impl IntoIterator<Item = (CurveKey, u64, RocCurve)>) {
        for (key, step, curve) in curves {
            self.curves.entry(key).or_default().insert(step, curve);
        }
        self.redraw();
    }

    /// The round that grows now; its curve is marked.
    pub fn set_running(&mut self, round: Option<u32>) {
        self.running = round;
    }

    pub fn is_running(&self, key: &CurveKey) -> bool {
        self.running == Some(key.round)
    }

    pub fn keys(&self) -> impl Iterator<Item = &CurveKey> {
        self.curves.keys()
    }

    /// The folds' curves that `pooled` pools, by fold.
    pub fn folds_of(&self, pooled: &CurveKey) -> Vec<CurveKey> {
        let mut folds: Vec<CurveKey> = self.curves.keys().filter(|key| key.is_fold_of(pooled)).cloned().collect();
        folds.sort_by_key(CurveKey::fold);
        folds
    }

    /// How far the folds of a pooled curve differ at each of the table's false positives; empty for fewer than two folds.
    pub fn spread(&self, pooled: &CurveKey) -> Vec<FoldSpread> {
        let folds = self.folds_of(pooled);
        let newest: Vec<&RocCurve> = folds.iter().filter_map(|key| Some(self.newest(key)?.1)).collect();
        TABLE_AT.into_iter().filter_map(|at| FoldSpread::of(&newest, at)).collect()
    }

    /// Puts an imported curve behind one's own, shown; one of the same name is replaced.
    pub fn put_imported(&mut self, imported: Published) {
        self.published.retain(|p| !(p.imported && p.name == imported.name));
        self.published.insert(0, imported);
    }

    pub fn is_shown(&self, key: &CurveKey) -> bool {
        key.fold().is_none() != self.toggled.contains(key)
    }

    pub fn toggle(&mut self, key: &CurveKey) {
        if !self.toggled.remove(key) {
            self.toggled.insert(key.clone());
        }
        self.redraw();
    }

    /// The newest evaluation of a curve.
    pub fn newest(&self, key: &CurveKey) -> Option<(u64, &RocCurve)> {
        self.curves.get(key)?.last_key_value().map(|(step, curve)| (*step, curve))
    }

    /// The curves that are shown, for an export.
    pub fn shown(&self) -> impl Iterator<Item = (&CurveKey, &RocCurve)> {
        let newest = |key: &CurveKey| self.curves.get(key)?.last_key_value().map(|(_, curve)| curve);
        self.curves.keys().filter(|key| self.is_shown(key)).filter_map(move |key| newest(key).map(|curve| (key, curve)))
    }

    pub fn lines(&self, score: Score) -> &[DrawnLine] {
        match score {
            Score::Discrete => &self.discrete,
            Score::Continuous => &self.continuous,
        }
    }

    fn redraw(&mut self) {
        self.discrete = self.drawn(Score::Discrete);
        self.continuous = self.drawn(Score::Continuous);
    }

    fn drawn(&self, score: Score) -> Vec<DrawnLine> {
        let mut lines = Vec::new();
        for (key, steps) in self.curves.iter().filter(|(key, _)| self.is_shown(key)) {
            // The oldest first, so that the newest is painted over it.
            for (index, (step, curve)) in steps.iter().enumerate() {
                let age = steps.len() - 1 - index;
                lines.push(DrawnLine { key: key.clone(), step: *step, age, points: readings(curve, score) });
            }
        }
        lines
    }

    /// The shown newest line that comes closest to a place of the plot, and its point. `distance` measures in points of the screen.
    pub fn nearest(
        &self,
        score: Score,
        distance: impl Fn(&Reading) -> f32,
        within: f32,
    ) -> Option<(&DrawnLine, Reading)> {
        let newest = self.lines(score).iter().filter(|line| line.age == 0);
        let points = newest.flat_map(|line| line.points.iter().map(move |point| (line, *point)));
        let near = points.map(|(line, point)| (distance(&point), line, point)).filter(|(d, ..)| *d <= within);
        near.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, line, point)| (line, point))
    }
}

/// Points from few false positives to many, thinned: the best rate of each number of false positives, then evenly.
fn readings(curve: &RocCurve, score: Score) -> Vec<Reading> {
    let faces = curve.faces.max(1) as f64;
    let mut readings: Vec<Reading> = Vec::new();
    for point in curve.points.iter().rev() {
        let hits = match score {
            Score::Discrete => point.discrete,
            Score::Continuous => point.continuous,
        };
        let reading =
            Reading { false_positives: point.false_positives, rate: hits / faces, threshold: point.threshold };
        match readings.last_mut() {
            Some(last) if last.false_positives == reading.false_positives => *last = reading,
            _ => readings.push(reading),
        }
    }
    thinned(readings)
}

/// Keeps the first, the last and those between in steps that grow with the number of false positives, as a logarithmic axis shows them.
fn thinned(readings: Vec<Reading>) -> Vec<Reading> {
    if readings.len() <= LINE_POINTS_MAX {
        return readings;
    }
    let last = readings.len() - 1;
    let step = readings.len().div_ceil(LINE_POINTS_MAX * 3 / 4);
    let keep = |index: usize| index < LINE_POINTS_MAX / 4 || index.is_multiple_of(step) || index == last;
    readings.into_iter().enumerate().filter(|(index, _)| keep(*index)).map(|(_, reading)| reading).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::RocPoint;

    fn curve(points: &[(f64, u64, f64)]) -> RocCurve {
        let point = |&(threshold, false_positives, discrete): &(f64, u64, f64)| RocPoint {
            threshold,
            false_positives,
            discrete,
            continuous: discrete * 0.8,
        };
        RocCurve { faces: 10, points: points.iter().map(point).collect() }
    }

    fn key(round: u32) -> CurveKey {
        CurveKey { round, label: "rectangle".to_owned() }
    }

    #[test]
    fn a_line_runs_from_few_to_many_with_the_best_rate_of_each() {
        let mut model = CurvesModel::default();
        model.put(key(1), 100, curve(&[(0.1, 5, 9.0), (0.5, 1, 8.0), (0.7, 0, 6.0), (0.9, 0, 3.0)]));
        let rates: Vec<_> =
            model.lines(Score::Discrete)[0].points.iter().map(|p| (p.false_positives, p.rate)).collect();
        assert_eq!(rates, [(0, 0.6), (1, 0.8), (5, 0.9)]);
        assert_eq!(model.lines(Score::Discrete)[0].points[0].threshold, 0.7);
        assert!((model.lines(Score::Continuous)[0].points[2].rate - 0.72).abs() < 1e-12);
    }

    #[test]
    fn earlier_evaluations_are_older_and_hidden_curves_are_gone() {
        let mut model = CurvesModel::default();
        for step in [100, 200, 300] {
            model.put(key(1), step, curve(&[(0.5, 1, 5.0)]));
        }
        model.put(key(2), 100, curve(&[(0.5, 1, 7.0)]));
        let ages: Vec<_> = model.lines(Score::Discrete).iter().map(|l| (l.key.round, l.step, l.age)).collect();
        assert_eq!(ages, [(1, 100, 2), (1, 200, 1), (1, 300, 0), (2, 100, 0)]);
        model.toggle(&key(1));
        assert_eq!(model.lines(Score::Discrete).len(), 1);
        assert_eq!(model.shown().count(), 1);
        model.toggle(&key(1));
        assert_eq!(model.lines(Score::Discrete).len(), 4);
    }

    #[test]
    fn folds_are_hidden_until_asked_for_and_their_spread_is_told() {
        let mut model = CurvesModel::default();
        let fold = |n: u8| CurveKey { round: 1, label: crate::workflow::fold_label("rectangle", n) };
        model.put(key(1), 1, curve(&[(0.5, 10, 7.0)]));
        model.put(fold(10), 1, curve(&[(0.5, 5, 8.0)]));
        model.put(fold(9), 1, curve(&[(0.5, 5, 6.0)]));
        assert_eq!(model.shown().count(), 1);
        assert_eq!(model.folds_of(&key(1)), [fold(9), fold(10)]);
        model.toggle(&fold(9));
        assert_eq!(model.lines(Score::Discrete).len(), 2);
        let spread = model.spread(&key(1));
        assert_eq!((spread[0].discrete.lowest, spread[0].discrete.highest), (0.6, 0.8));
        assert_eq!((spread[0].false_positives, spread.len()), (TABLE_AT[0], TABLE_AT.len()));
        assert_ne!(fold(9).number(), fold(10).number());
        assert!(model.spread(&fold(9)).is_empty());
    }

    #[test]
    fn a_long_curve_is_thinned_but_keeps_its_ends() {
        let points: Vec<_> =
            (0..50_000u64).rev().map(|n| (1.0 - n as f64 / 50_000.0, n, n as f64 / 50_000.0)).collect();
        let readings = readings(&curve(&points), Score::Discrete);
        assert!(readings.len() <= LINE_POINTS_MAX + 1, "{}", readings.len());
        assert_eq!((readings[0].false_positives, readings.last().unwrap().false_positives), (0, 49_999));
    }

    #[test]
    fn the_nearest_point_is_read_out_only_within_reach() {
        let mut model = CurvesModel::default();
        model.put(key(1), 1, curve(&[(0.2, 100, 9.0), (0.8, 10, 5.0)]));
        let distance = |reading: &Reading| (reading.false_positives as f32 - 12.0).abs();
        let (line, reading) = model.nearest(Score::Discrete, distance, 5.0).unwrap();
        assert_eq!((line.key.round, reading.threshold), (1, 0.8));
        assert!(model.nearest(Score::Discrete, distance, 1.0).is_none());
    }
}
