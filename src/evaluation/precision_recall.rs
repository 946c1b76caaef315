//! Precision and recall of each class at every score threshold, F1, and the threshold with the best F1. Uses COCO's matching at one IoU
//! threshold without a limit on detections; detections with equal scores are kept or dropped together.

use serde::{Deserialize, Serialize};

use super::evaluator::{Cell, Evaluator, Metric, Table, Tabular};
use super::greedy::{Fate, Ignoring, Judged, judge};
use super::set::{EvaluationSet, SetClass, best_first};

/// Precision-recall curves.
#[derive(Debug, Clone, Copy)]
pub struct PrecisionRecall {
    pub iou: f64,
}

impl Default for PrecisionRecall {
    fn default() -> Self {
        Self { iou: 0.5 }
    }
}

/// The result with all detections of score >= `threshold` kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PrPoint {
    pub threshold: f64,
    pub precision: f64,
    pub recall: f64,
    /// `2 TP / (2 TP + FP + FN)`.
    pub f1: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrCurve {
    /// Number of counted objects, without ignored ones.
    pub objects: usize,
    pub detections: usize,
    /// The point with the best F1, on ties the one with the highest threshold; `None` if nothing is found.
    pub best: Option<PrPoint>,
    /// By descending threshold, one per score. Empty without objects.
    pub points: Vec<PrPoint>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrClass {
    #[serde(flatten)]
    pub class: SetClass,
    #[serde(flatten)]
    pub curve: PrCurve,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PrReport {
    pub iou: f64,
    /// All classes combined, with a common threshold.
    pub overall: PrCurve,
    pub classes: Vec<PrClass>,
}

impl Evaluator for PrecisionRecall {
    type Input = EvaluationSet;
    type Report = PrReport;

    fn metric(&self) -> Metric {
        Metric::PrecisionRecall
    }

    fn evaluate(&self, set: &EvaluationSet) -> PrReport {
        let judged = judge(set, self.iou, Ignoring::CrowdsAsRegions);
        let mut all: Vec<Judged> = judged.iter().flat_map(|c| c.detections.iter().copied()).collect();
        all.sort_by(|a, b| best_first(a.score, b.score));
        let class = |c: &super::greedy::JudgedClass| PrClass {
            class: c.class.clone(),
            curve: PrCurve::new(&c.detections, c.objects),
        };
        PrReport {
            iou: self.iou,
            overall: PrCurve::new(&all, judged.iter().map(|c| c.objects).sum()),
            classes: judged.iter().map(class).collect(),
        }
    }
}

impl PrCurve {
    fn new(judged: &[Judged], objects: usize) -> Self {
        let (mut hits, mut counted, mut points) = (0_usize, 0_usize, Vec::new());
        for same in judged.chunk_by(|a, b| a.score == b.score) {
            hits += same.iter().filter(|j| j.fate == Fate::Hit).count();
            counted += same.iter().filter(|j| j.fate != Fate::Ignored).count();
            if counted > 0 && objects > 0 {
                points.push(PrPoint {
                    threshold: same[0].score,
                    precision: hits as f64 / counted as f64,
                    recall: hits as f64 / objects as f64,
                    f1: 2.0 * hits as f64 / (counted + objects) as f64,
                });
            }
        }
        let best = points.iter().fold(None, |best: Option<PrPoint>, p| match best {
            Some(best) if best.f1 >= p.f1 => Some(best),
            _ if p.f1 > 0.0 => Some(*p),
            best => best,
        });
        Self { objects, detections: judged.len(), best, points }
    }
}

impl Tabular for PrReport {
    const TABLES: &'static [&'static str] = &["precision-recall", "precision-recall-curves"];

    fn tables(&self) -> Vec<Table> {
        let named = || {
            let classes = self.classes.iter().map(|c| (c.class.name.as_str(), &c.curve));
            std::iter::once(("all", &self.overall)).chain(classes)
        };
        let row = |(name, curve): (&str, &PrCurve)| {
            let best = |value: fn(&PrPoint) -> f64| Cell::Number(curve.best.as_ref().map(value));
            vec![
                Cell::Text(name.to_owned()),
                Cell::Count(curve.objects as u64),
                Cell::Count(curve.detections as u64),
                best(|p| p.f1),
                best(|p| p.threshold),
                best(|p| p.precision),
                best(|p| p.recall),
            ]
        };
        let header = vec!["class", "objects", "detections", "best_f1", "threshold", "precision", "recall"];
        let best = Table { header, rows: named().map(row).collect() };
        let point = |name: &str, p: &PrPoint| {
            let numbers = [p.threshold, p.precision, p.recall, p.f1].map(|v| Cell::Number(Some(v)));
            std::iter::once(Cell::Text(name.to_owned())).chain(numbers).collect::<Vec<_>>()
        };
        let points = named().flat_map(|(name, curve)| curve.points.iter().map(move |p| point(name, p)));
        let curves = Table { header: vec!["class", "threshold", "precision", "recall", "f1"], rows: points.collect() };
        vec![best, curves]
    }
}

#[cfg(test)]
mod tests {
    use super::super::set::SetObject;
    use super::super::set::fixtures::{found, object, set};
    use super::*;

    #[test]
    fn the_best_threshold_has_the_largest_f1_and_equal_scores_stand_together() {
        let objects = vec![object(0.0, 50.0), object(100.0, 50.0)];
        let hit = |x, score| found(0, x, 50.0, 50.0, score);
        let detections = vec![hit(0.0, 0.9), hit(100.0, 0.6), hit(300.0, 0.6), hit(400.0, 0.1)];
        let report = PrecisionRecall::default().evaluate(&set(1, vec![(objects, detections)]));
        let curve = &report.classes[0].curve;
        let points: Vec<_> = curve.points.iter().map(|p| (p.threshold, p.precision, p.recall)).collect();
        assert_eq!(points, [(0.9, 1.0, 0.5), (0.6, 2.0 / 3.0, 1.0), (0.1, 0.5, 1.0)]);
        assert_eq!(curve.best.map(|p| (p.threshold, p.f1)), Some((0.6, 0.8)));
        assert_eq!(report.overall, *curve);
    }

    #[test]
    fn what_is_ignored_does_not_count_and_a_class_without_objects_has_no_curve() {
        let difficult = SetObject { difficult: true, ..object(100.0, 50.0) };
        let detections =
            vec![found(0, 100.0, 50.0, 50.0, 0.9), found(0, 0.0, 50.0, 50.0, 0.5), found(1, 0.0, 9.0, 9.0, 0.5)];
        let report =
            PrecisionRecall::default().evaluate(&set(2, vec![(vec![object(0.0, 50.0), difficult], detections)]));
        let points = &report.classes[0].curve.points;
        assert_eq!((points.len(), points[0].precision, points[0].recall), (1, 1.0, 1.0));
        assert_eq!((report.classes[1].curve.best, report.classes[1].curve.points.len()), (None, 0));
        assert_eq!(report.overall.best.map(|p| p.f1), Some(2.0 / 3.0));
    }
}
