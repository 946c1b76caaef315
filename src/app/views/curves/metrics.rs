//! The box metrics of each round: the selected metric and class, their lines, and warnings about comparisons. No egui, no files.

use std::collections::{BTreeMap, BTreeSet};

use crate::app::command::CurveKey;
use crate::domain::counted;
use crate::evaluation::Metric;
use crate::evaluation::miss_rate::MissRateClass;
use crate::evaluation::precision_recall::{PrCurve, PrPoint};
use crate::workflow::round_metrics::RoundMetrics;

/// The label of the curves that represent a round as a whole: all metrics are for boxes.
const BOXES: &str = "rectangle";

/// The metrics of the rounds, including cross-validation rounds.
#[derive(Debug, Default)]
pub struct MetricsModel {
    rounds: BTreeMap<CurveKey, RoundMetrics>,
    /// On corrected ground truth, for rounds with corrections on their test images.
    corrected: BTreeMap<CurveKey, RoundMetrics>,
    /// Whether those are shown.
    on_corrected: bool,
    /// The user's choice; until then a default for the data.
    picked: Option<Metric>,
    /// The selected class; `None` for all.
    class: Option<String>,
}

/// A point of a metric's line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricPoint {
    pub x: f64,
    pub y: f64,
    /// The score threshold; `None` for a mean over classes.
    pub threshold: Option<f64>,
    pub f1: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct MetricLine {
    pub key: CurveKey,
    pub points: Vec<MetricPoint>,
    /// The point with the best F1.
    pub best: Option<MetricPoint>,
}

/// Returns the curve that a round's metrics belong to.
pub fn key_of(run: Option<String>, round: u32) -> CurveKey {
    CurveKey { run, ..CurveKey::new(round, BOXES) }
}

impl MetricsModel {
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Stores a round's metrics, replacing the previous ones.
    pub fn put(&mut self, round: u32, metrics: RoundMetrics) {
        self.rounds.insert(key_of(None, round), metrics);
    }

    /// Replaces the metrics of all cross-validations.
    pub fn set_runs(&mut self, runs: impl IntoIterator<Item = (CurveKey, RoundMetrics)>) {
        self.rounds.retain(|key, _| key.run.is_none());
        self.rounds.extend(runs);
    }

    /// Replaces all metrics on corrected ground truth.
    pub fn set_corrected(&mut self, corrected: Vec<(u32, RoundMetrics)>) {
        self.corrected = corrected.into_iter().map(|(round, metrics)| (key_of(None, round), metrics)).collect();
    }

    pub fn has_corrected(&self) -> bool {
        !self.corrected.is_empty()
    }

    pub fn on_corrected(&mut self, corrected: bool) {
        self.on_corrected = corrected;
    }

    pub fn is_on_corrected(&self) -> bool {
        self.on_corrected && self.has_corrected()
    }

    /// Returns the shown metrics: on imported or on corrected ground truth.
    fn known(&self) -> &BTreeMap<CurveKey, RoundMetrics> {
        if self.is_on_corrected() { &self.corrected } else { &self.rounds }
    }

    pub fn get(&self, key: &CurveKey) -> Option<&RoundMetrics> {
        self.known().get(&key_of(key.run.clone(), key.round))
    }

    pub fn rounds(&self) -> impl DoubleEndedIterator<Item = (&CurveKey, &RoundMetrics)> {
        self.known().iter()
    }

    /// Returns the metrics with data, the most suitable for the dataset first: FDDB's curves for faces and ellipses, otherwise the common
    /// ones for such data.
    pub fn available(&self, has_roc: bool) -> Vec<Metric> {
        let boxes = [Metric::PrecisionRecall, Metric::MissRate, Metric::Coco, Metric::Tide];
        let boxes = boxes.into_iter().filter(|_| !self.rounds.is_empty());
        let roc = has_roc.then_some(Metric::Fddb);
        if self.rounds.values().any(|metrics| metrics.is_for_fddb) || self.rounds.is_empty() {
            roc.into_iter().chain(boxes).collect()
        } else {
            boxes.chain(roc).collect()
        }
    }

    /// Returns the shown metric.
    pub fn metric(&self, has_roc: bool) -> Metric {
        let available = self.available(has_roc);
        let picked = self.picked.filter(|metric| available.contains(metric));
        picked.or(available.first().copied()).unwrap_or(Metric::Fddb)
    }

    pub fn pick(&mut self, metric: Metric) {
        self.picked = Some(metric);
    }

    /// Returns the names of all classes in alphabetical order.
    pub fn classes(&self) -> Vec<&str> {
        let names = self.rounds.values().flat_map(|metrics| &metrics.suite.coco.classes);
        let names: BTreeSet<&str> = names.map(|class| class.class.name.as_str()).collect();
        names.into_iter().collect()
    }

    /// Returns the shown class; `None` for all together.
    pub fn class(&self) -> Option<&str> {
        let class = self.class.as_deref()?;
        self.classes().into_iter().find(|known| *known == class)
    }

    pub fn pick_class(&mut self, class: Option<String>) {
        self.class = class;
    }

    /// Returns a round's precision over recall, or miss rate over false positives per image.
    pub fn line(&self, key: &CurveKey, metric: Metric) -> Option<MetricLine> {
        let suite = &self.get(key)?.suite;
        let class = self.class();
        if metric == Metric::PrecisionRecall {
            let curve = class_or(class, &suite.precision_recall.classes, |c| &c.class.name).map(|c| &c.curve);
            let curve = if class.is_some() { curve? } else { &suite.precision_recall.overall };
            return Some(MetricLine {
                key: key.clone(),
                points: curve.points.iter().map(point).collect(),
                best: curve.best.as_ref().map(point),
            });
        }
        let classes = &suite.miss_rate.classes;
        let one = class_or(class, classes, |c| &c.class.name);
        let points = match (class, one, classes.as_slice()) {
            (Some(_), one, _) => missed(one?),
            (None, _, [only]) => missed(only),
            (None, _, _) => mean_missed(classes, &suite.miss_rate.reference_fppi),
        };
        Some(MetricLine { key: key.clone(), points, best: None })
    }

    /// Returns why curves in `shown` are not comparable: they are for different images or objects.
    pub fn different_data(&self, shown: &[&CurveKey]) -> Option<String> {
        let mut of_data: BTreeMap<&str, (Vec<String>, &RoundMetrics)> = BTreeMap::new();
        for key in shown {
            let Some(metrics) = self.get(key) else { continue };
            let name = key.name();
            let names = &mut of_data.entry(metrics.data.as_str()).or_insert_with(|| (Vec::new(), metrics)).0;
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if of_data.len() < 2 {
            return None;
        }
        let mut descriptions: Vec<String> = of_data
            .values()
            .map(|(names, m)| {
                format!("{} ({} on {})", names.join(", "), counted(m.objects, "object"), counted(m.images, "image"))
            })
            .collect();
        descriptions.sort();
        Some(format!(
            "These were tested on different data, so their numbers are not comparable: {}.",
            descriptions.join("; ")
        ))
    }

    /// Returns the project's round before `key` that was tested on the same data.
    pub fn before(&self, key: &CurveKey) -> Option<(u32, &RoundMetrics)> {
        let metrics = self.get(key)?;
        let earlier = self.known().range(..key_of(key.run.clone(), key.round)).rev();
        let mut of_run = earlier.filter(|(other, _)| other.run == key.run);
        of_run.next().filter(|(_, before)| before.data == metrics.data).map(|(key, before)| (key.round, before))
    }
}

fn class_or<'a, T>(class: Option<&str>, all: &'a [T], name: impl Fn(&T) -> &String) -> Option<&'a T> {
    all.iter().find(|one| class == Some(name(one).as_str()))
}

fn point(p: &PrPoint) -> MetricPoint {
    MetricPoint { x: p.recall, y: p.precision, threshold: Some(p.threshold), f1: Some(p.f1) }
}

fn missed(class: &MissRateClass) -> Vec<MetricPoint> {
    let point = |p: &crate::evaluation::miss_rate::MissRatePoint| MetricPoint {
        x: p.fppi,
        y: p.miss_rate,
        threshold: Some(p.threshold),
        f1: None,
    };
    class.points.iter().map(point).collect()
}

/// Returns the mean over classes with objects, at the points of the log-average.
fn mean_missed(classes: &[MissRateClass], reference: &[f64]) -> Vec<MetricPoint> {
    let with_objects: Vec<&MissRateClass> = classes.iter().filter(|class| !class.at_reference.is_empty()).collect();
    let mean = |k: usize| {
        let rates = with_objects.iter().filter_map(|class| class.at_reference.get(k));
        rates.sum::<f64>() / with_objects.len() as f64
    };
    let points = reference.iter().enumerate().filter(|_| !with_objects.is_empty());
    points.map(|(k, fppi)| MetricPoint { x: *fppi, y: mean(k), threshold: None, f1: None }).collect()
}

/// Counts detections and objects at the threshold with the best F1: true positives, false positives and misses.
pub(super) fn counts_at_best(curve: &PrCurve) -> Option<(u64, u64, u64)> {
    let best = curve.best?;
    let found = (best.recall * curve.objects as f64).round();
    let kept = if best.precision > 0.0 { (found / best.precision).round() } else { 0.0 };
    Some((found as u64, (kept - found).max(0.0) as u64, curve.objects as u64 - found as u64))
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
