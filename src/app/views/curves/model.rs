//! The curves' state: what was evaluated, what is shown, and the lines ready to draw. No egui, no files.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::metrics::MetricsModel;
use super::readout::Readout;
use crate::app::command::{CurveKey, ExportFormat};
use crate::evaluation::average_precision::AveragePrecision;
use crate::evaluation::axes::{FalsePositiveAxis, RateAxis};
use crate::evaluation::palette::{CurveStyle, imported_style};
use crate::evaluation::{FoldSpread, Metric, PlotCurve, RocCurve, ScoreKind};

/// Approximate maximum number of points per line.
const LINE_POINTS_MAX: usize = 1200;
/// Number of theme colours for third-party curves.
const REFERENCE_COLOURS: usize = 6;
/// Number of faces in FDDB's ten folds: the basis of published curves.
const FDDB_FACES: u64 = 5171;
/// False positive counts of the table's columns.
pub const TABLE_AT: [u64; 8] = [10, 20, 50, 100, 200, 500, 1000, 2000];

/// A line ready to draw: points by ascending false positives.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawnLine {
    pub key: CurveKey,
    pub step: u64,
    /// 0 for the newest evaluation of its curve, then 1, 2 ... for earlier ones.
    pub age: usize,
    pub curve: Arc<PlotCurve>,
}

/// A third-party curve behind the user's: from the literature, or imported.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    pub name: String,
    /// Caveats for comparisons, e.g. that the curve was smoothed.
    pub notes: String,
    pub discrete: PlotCurve,
    pub continuous: PlotCurve,
    pub shown: bool,
    /// Whether the user imported it and can remove it. Otherwise it consists of reference points without a line between.
    pub imported: bool,
    /// Its index among the imported curves or the reference points, which determines its style.
    pub number: usize,
}

impl Published {
    pub fn curve(&self, kind: ScoreKind) -> &PlotCurve {
        match kind {
            ScoreKind::Discrete => &self.discrete,
            ScoreKind::Continuous => &self.continuous,
        }
    }

    pub fn style(&self) -> CurveStyle {
        let style = imported_style(self.number);
        match (self.number / REFERENCE_COLOURS).checked_sub(1) {
            _ if self.imported => style,
            None => CurveStyle { dash: &[], ..style },
            // The colours repeat with dashes.
            Some(again) => CurveStyle { dash: imported_style(again).dash, ..style },
        }
    }

    /// Returns A, B, C ... for an imported curve's end.
    pub fn short(&self) -> String {
        char::from(b'A' + (self.number % 26) as u8).to_string()
    }

    /// Returns the rate at a false positive count; for reference points only if there is one.
    pub fn rate_at(&self, kind: ScoreKind, at: u64) -> Option<f64> {
        let curve = self.curve(kind);
        let is_known = self.imported || curve.points.iter().any(|p| p.false_positives == at as f64);
        curve.rate_at(at as f64).filter(|_| is_known)
    }
}

/// One evaluation of a curve.
#[derive(Debug)]
struct Evaluation {
    /// Complete while it is the newest, then thinned.
    curve: RocCurve,
    discrete: Arc<PlotCurve>,
    continuous: Arc<PlotCurve>,
    /// Discrete and continuous at [`TABLE_AT`].
    rates: Vec<(f64, f64)>,
    /// The score thresholds there; `None` without detections.
    scores: Vec<Option<f64>>,
}

impl Evaluation {
    fn new(curve: RocCurve) -> Self {
        let thin = curve.thinned(LINE_POINTS_MAX);
        let line = |kind| Arc::new(PlotCurve::of(&thin, kind));
        let rates = TABLE_AT.map(|at| (curve.discrete_tpr_at(at), curve.continuous_tpr_at(at))).to_vec();
        // Points have ascending thresholds, so descending false positives.
        let score = |at: u64| {
            let point = curve.points.iter().find(|p| p.false_positives <= at);
            point.map(|p| p.threshold).filter(|threshold| *threshold != f64::MAX)
        };
        let scores = TABLE_AT.into_iter().map(score).collect();
        Self { discrete: line(ScoreKind::Discrete), continuous: line(ScoreKind::Continuous), rates, scores, curve }
    }

    fn line(&self, kind: ScoreKind) -> &Arc<PlotCurve> {
        match kind {
            ScoreKind::Discrete => &self.discrete,
            ScoreKind::Continuous => &self.continuous,
        }
    }
}

#[derive(Debug)]
pub struct CurvesModel {
    pub log_x: bool,
    /// The end of the false positive axis; `None` fits it to the curves.
    pub x_max: Option<u64>,
    /// Start the rate axis at 0 instead of a round number below the lowest curve.
    pub from_zero: bool,
    pub earlier_shown: bool,
    pub published: Vec<Published>,
    /// The box evaluators' results.
    pub metrics: MetricsModel,
    /// A ROC file for which the user has to choose the rate column.
    pub ambiguous: Option<PathBuf>,
    /// An export that would replace files and waits for the user's permission.
    pub replacing: Option<(ExportFormat, PathBuf)>,
    /// By round: the newest step with a value.
    precision: BTreeMap<u32, (u64, AveragePrecision)>,
    curves: BTreeMap<CurveKey, BTreeMap<u64, Evaluation>>,
    /// For pooled curves with at least two folds.
    spreads: BTreeMap<CurveKey, Vec<FoldSpread>>,
    /// Fold curves that are shown, and other curves that are hidden.
    toggled: BTreeSet<CurveKey>,
    discrete: Vec<DrawnLine>,
    continuous: Vec<DrawnLine>,
    running: Option<u32>,
}

impl Default for CurvesModel {
    fn default() -> Self {
        Self {
            log_x: true,
            x_max: None,
            from_zero: false,
            earlier_shown: true,
            published: Vec::new(),
            metrics: MetricsModel::default(),
            ambiguous: None,
            replacing: None,
            precision: BTreeMap::new(),
            curves: BTreeMap::new(),
            spreads: BTreeMap::new(),
            toggled: BTreeSet::new(),
            discrete: Vec::new(),
            continuous: Vec::new(),
            running: None,
        }
    }
}

impl CurvesModel {
    pub fn clear(&mut self) {
        self.precision.clear();
        self.metrics.clear();
        self.curves.clear();
        self.spreads.clear();
        self.toggled.clear();
        self.ambiguous = None;
        self.replacing = None;
        self.published.retain(|published| !published.imported);
        self.redraw();
    }

    pub fn is_empty(&self) -> bool {
        self.curves.is_empty()
    }

    /// Adds an evaluation; one with the same round, label and step is replaced.
    pub fn put(&mut self, key: CurveKey, step: u64, curve: RocCurve) {
        self.put_all([(key, step, curve)]);
    }

    /// Adds many evaluations.
    pub fn put_all(&mut self, curves: impl IntoIterator<Item = (CurveKey, u64, RocCurve)>) {
        let mut changed = BTreeSet::new();
        for (key, step, curve) in curves {
            changed.insert(key.pooled());
            let steps = self.curves.entry(key).or_default();
            steps.insert(step, Evaluation::new(curve));
            // Only the newest is exported and listed.
            for (_, earlier) in steps.iter_mut().rev().skip(1) {
                if earlier.curve.points.len() > LINE_POINTS_MAX {
                    earlier.curve = earlier.curve.thinned(LINE_POINTS_MAX);
                }
            }
        }
        for pooled in changed {
            self.update_spreads(pooled);
        }
        self.redraw();
    }

    /// Replaces the curves of all cross-validations.
    pub fn set_runs(&mut self, curves: impl IntoIterator<Item = (CurveKey, RocCurve)>) {
        self.curves.retain(|key, _| key.run.is_none());
        self.spreads.retain(|key, _| key.run.is_none());
        self.put_all(curves.into_iter().map(|(key, curve)| (key, 0, curve)));
    }

    /// Stores the average precision of a round's evaluation; the newest is kept.
    pub fn put_precision(&mut self, round: u32, step: u64, precision: AveragePrecision) {
        let known = self.precision.entry(round).or_insert((step, precision));
        if known.0 <= step {
            *known = (step, precision);
        }
    }

    /// By round.
    pub fn precision(&self) -> impl Iterator<Item = (u32, AveragePrecision)> {
        self.precision.iter().map(|(round, (_, precision))| (*round, *precision))
    }

    /// Sets the running round, whose curve is marked.
    pub fn set_running(&mut self, round: Option<u32>) {
        self.running = round;
    }

    pub fn is_running(&self, key: &CurveKey) -> bool {
        key.run.is_none() && self.running == Some(key.round)
    }

    pub fn keys(&self) -> impl Iterator<Item = &CurveKey> {
        self.curves.keys()
    }

    /// Returns the fold curves of `pooled`, by fold.
    pub fn folds_of(&self, pooled: &CurveKey) -> Vec<CurveKey> {
        let is_fold_of = |key: &&CurveKey| key.fold().is_some() && key.pooled() == *pooled;
        let mut folds: Vec<CurveKey> = self.curves.keys().filter(is_fold_of).cloned().collect();
        folds.sort_by_key(CurveKey::fold);
        folds
    }

    /// Returns the spread of a pooled curve's folds at each false positive count of the table; empty with fewer than two folds.
    pub fn spread(&self, pooled: &CurveKey) -> &[FoldSpread] {
        self.spreads.get(pooled).map_or(&[], Vec::as_slice)
    }

    fn update_spreads(&mut self, pooled: CurveKey) {
        let folds = self.folds_of(&pooled);
        let newest: Vec<&RocCurve> = folds.iter().filter_map(|key| Some(self.newest(key)?.1)).collect();
        let spread = TABLE_AT.into_iter().filter_map(|at| FoldSpread::of(&newest, at)).collect();
        self.spreads.insert(pooled, spread);
    }

    /// Adds and shows an imported curve; one with the same name is replaced.
    pub fn put_imported(&mut self, mut imported: Published) {
        let same = self.published.iter().position(|p| p.imported && p.name == imported.name);
        let numbers = || self.published.iter().filter(|p| p.imported).map(|p| p.number);
        imported.number = match same {
            Some(at) => self.published.remove(at).number,
            None => numbers().max().map_or(0, |largest| largest + 1),
        };
        self.published.insert(0, imported);
    }

    pub fn is_shown(&self, key: &CurveKey) -> bool {
        key.fold().is_none() != self.toggled.contains(key)
    }

    /// Whether the plots show anything.
    pub fn shows_anything(&self) -> bool {
        self.shown().next().is_some() || self.published.iter().any(|p| p.shown)
    }

    pub fn toggle(&mut self, key: &CurveKey) {
        if !self.toggled.remove(key) {
            self.toggled.insert(key.clone());
        }
        self.redraw();
    }

    /// Returns the newest evaluation of a curve.
    pub fn newest(&self, key: &CurveKey) -> Option<(u64, &RocCurve)> {
        self.curves.get(key)?.last_key_value().map(|(step, evaluation)| (*step, &evaluation.curve))
    }

    /// Returns the shown curves, for an export.
    pub fn shown(&self) -> impl Iterator<Item = (&CurveKey, &RocCurve)> {
        let shown = self.curves.keys().filter(|key| self.is_shown(key));
        shown.filter_map(move |key| self.newest(key).map(|(_, curve)| (key, curve)))
    }

    /// Returns the discrete and continuous rates of a curve's newest evaluation at [`TABLE_AT`].
    pub fn rates(&self, key: &CurveKey) -> &[(f64, f64)] {
        let newest = self.curves.get(key).and_then(|steps| steps.last_key_value());
        newest.map_or(&[], |(_, evaluation)| evaluation.rates.as_slice())
    }

    /// In painting order: the oldest first, and folds before their pooled curve.
    pub fn lines(&self, kind: ScoreKind) -> &[DrawnLine] {
        match kind {
            ScoreKind::Discrete => &self.discrete,
            ScoreKind::Continuous => &self.continuous,
        }
    }

    pub fn x_axis(&self) -> FalsePositiveAxis {
        FalsePositiveAxis { logarithmic: self.log_x, end: self.x_end() as f64 }
    }

    /// Returns the chosen end, otherwise a round number that no curve exceeds, 10 to 2000.
    pub fn x_end(&self) -> u64 {
        if let Some(chosen) = self.x_max {
            return chosen;
        }
        let own = self.shown().map(|(_, curve)| curve.points.first().map_or(0, |p| p.false_positives) as f64);
        let others = self.published.iter().filter(|p| p.shown).map(|p| p.discrete.largest_false_positives());
        let largest = own.chain(others).fold(0.0, f64::max);
        TABLE_AT.into_iter().find(|end| *end as f64 >= largest).unwrap_or(TABLE_AT[TABLE_AT.len() - 1])
    }

    /// Returns the previous round's curve of the same shape, if it was tested on the same data: its round and rates.
    pub fn before(&self, key: &CurveKey) -> Option<(u32, &[(f64, f64)])> {
        let is_before = |other: &&CurveKey| other.run == key.run && other.label == key.label && other.round < key.round;
        let before = self.curves.keys().filter(is_before).max_by_key(|other| other.round)?;
        let objects = |key: &CurveKey| self.newest(key).map(|(_, curve)| curve.faces);
        let data = |key: &CurveKey| self.metrics.get(key).map(|metrics| metrics.data.as_str());
        let is_same =
            objects(before) == objects(key) && data(before).zip(data(key)).is_none_or(|(before, now)| before == now);
        is_same.then(|| (before.round, self.rates(before)))
    }

    /// Returns the score thresholds at [`TABLE_AT`].
    pub fn scores(&self, key: &CurveKey) -> &[Option<f64>] {
        let newest = self.curves.get(key).and_then(|steps| steps.last_key_value());
        newest.map_or(&[], |(_, evaluation)| evaluation.scores.as_slice())
    }

    /// Returns the shown metric.
    pub fn metric(&self) -> Metric {
        self.metrics.metric(self.has_roc())
    }

    pub fn available(&self) -> Vec<Metric> {
        self.metrics.available(self.has_roc())
    }

    fn has_roc(&self) -> bool {
        !self.curves.is_empty() || self.published.iter().any(|p| p.shown)
    }

    /// Returns the shown rounds with metrics.
    pub fn shown_rounds(&self) -> Vec<&CurveKey> {
        self.metrics.rounds().map(|(key, _)| key).filter(|key| self.is_shown(key)).collect()
    }

    /// Returns warnings about comparing the shown curves.
    pub fn warnings(&self) -> Vec<String> {
        if self.metric() != Metric::Fddb {
            return self.metrics.different_data(&self.shown_rounds()).into_iter().collect();
        }
        let own: Vec<(&CurveKey, &RocCurve)> = self.shown().filter(|(key, _)| key.fold().is_none()).collect();
        let keys: Vec<&CurveKey> = own.iter().map(|(key, _)| *key).collect();
        let mut objects: Vec<u64> = own.iter().map(|(_, curve)| curve.faces).collect();
        objects.sort_unstable();
        objects.dedup();
        let list = |objects: &[u64]| objects.iter().map(u64::to_string).collect::<Vec<_>>().join(" and ");
        let mut warnings: Vec<String> = self.metrics.different_data(&keys).into_iter().collect();
        if warnings.is_empty() && objects.len() > 1 {
            warnings.push(format!(
                "These curves were tested on different data ({} objects), so their false positives are not comparable.",
                list(&objects)
            ));
        }
        let others: Vec<u64> = objects.into_iter().filter(|objects| *objects != FDDB_FACES).collect();
        if !others.is_empty() && self.published.iter().any(|p| p.shown && !p.imported) {
            warnings.push(format!(
                "The published curves are of FDDB's {FDDB_FACES} faces; the project's are of {} objects. Neither false positives nor \
                 rates are comparable.",
                list(&others)
            ));
        }
        warnings
    }

    /// Low enough for the newest evaluations; earlier ones may extend below it.
    pub fn rate_axis(&self, kind: ScoreKind) -> RateAxis {
        if self.from_zero {
            return RateAxis::FROM_ZERO;
        }
        let newest = self.lines(kind).iter().filter(|line| line.age == 0).map(|line| &*line.curve);
        RateAxis::fitting(newest.chain(self.published.iter().filter(|p| p.shown).map(|p| p.curve(kind))))
    }

    fn redraw(&mut self) {
        self.discrete = self.drawn(ScoreKind::Discrete);
        self.continuous = self.drawn(ScoreKind::Continuous);
    }

    fn drawn(&self, kind: ScoreKind) -> Vec<DrawnLine> {
        let mut lines = Vec::new();
        for (key, steps) in self.curves.iter().filter(|(key, _)| self.is_shown(key)) {
            for (age, (step, evaluation)) in steps.iter().rev().enumerate() {
                let curve = evaluation.line(kind).clone();
                lines.push(DrawnLine { key: key.clone(), step: *step, age, curve });
            }
        }
        lines.sort_by_key(|line| (Reverse(line.age), line.key.fold().is_none()));
        lines
    }

    /// Returns the point closest to a position in the plot, among all shown lines except earlier evaluations. `distance` takes false
    /// positives and rate, and returns screen points.
    pub fn nearest(&self, kind: ScoreKind, distance: impl Fn(f64, f64) -> f32, within: f32) -> Option<Readout> {
        let own = self.lines(kind).iter().filter(|line| line.age == 0);
        let own = own.map(|line| (line.key.text(), line.key.style(), Some(&line.key), &*line.curve));
        let others = self.published.iter().filter(|p| p.shown);
        let others = others.map(|p| (p.name.clone(), p.style(), None, p.curve(kind)));
        let mut nearest: Option<(f32, Readout)> = None;
        for (name, style, key, curve) in own.chain(others) {
            let points = curve.points.iter().map(|p| (distance(p.false_positives, p.rate), *p));
            let Some((d, point)) = points.min_by(|a, b| a.0.total_cmp(&b.0)) else { continue };
            if d <= within && nearest.as_ref().is_none_or(|(best, _)| d < *best) {
                nearest = Some((d, Readout { name, style, key: key.cloned(), point }));
            }
        }
        nearest.map(|(_, readout)| readout)
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
