//! Miss rate over false positives per image and the log-average miss rate, after Dollár's toolbox (`bbGt.evalRes`, `bbGt.compRoc`,
//! Caltech's `dbEval`).
//!
//! The log-average is `exp(mean(log(max(1e-10, miss rate))))` over nine values of false positives per image, log-spaced from 10^-2 to 10^0.
//! At each, the miss rate is that of the last detection by descending score with at most this many; before the first detection the miss
//! rate is 1, so a curve that starts later counts as 1 there.

use serde::{Deserialize, Serialize};

use super::evaluator::{Cell, Evaluator, Metric, Table, Tabular};
use super::greedy::{Fate, Ignoring, Judged, JudgedClass, judge};
use super::set::{EvaluationSet, SetClass};

/// numpy's `logspace(-2, 0, 9)`, bit-exact.
pub const REFERENCE_FPPI: [f64; 9] = [
    0.01,
    0.017_782_794_100_389_23,
    0.031_622_776_601_683_79,
    0.056_234_132_519_034_905,
    0.1,
    0.177_827_941_003_892_3,
    0.316_227_766_016_837_94,
    0.562_341_325_190_349_1,
    1.0,
];

const LEAST_MISS_RATE: f64 = 1e-10;

/// Miss rate over false positives per image. Ignored objects are regions: a detection inside one is not counted.
#[derive(Debug, Clone, Copy)]
pub struct MissRate {
    pub iou: f64,
}

impl Default for MissRate {
    fn default() -> Self {
        Self { iou: 0.5 }
    }
}

/// The result with all detections down to `threshold` kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MissRatePoint {
    pub threshold: f64,
    /// False positives per image.
    pub fppi: f64,
    pub miss_rate: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MissRateClass {
    #[serde(flatten)]
    pub class: SetClass,
    /// Number of counted objects, without ignored ones.
    pub objects: usize,
    pub detections: usize,
    /// `None` without objects.
    pub log_average_miss_rate: Option<f64>,
    /// At each of [`REFERENCE_FPPI`]; empty without objects.
    pub at_reference: Vec<f64>,
    /// By descending threshold, the last point of each false positive count; empty without objects.
    pub points: Vec<MissRatePoint>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MissRateReport {
    pub iou: f64,
    pub reference_fppi: [f64; 9],
    /// The mean over classes that have objects.
    pub mean_log_average_miss_rate: Option<f64>,
    pub classes: Vec<MissRateClass>,
}

impl Evaluator for MissRate {
    type Input = EvaluationSet;
    type Report = MissRateReport;

    fn metric(&self) -> Metric {
        Metric::MissRate
    }

    fn evaluate(&self, set: &EvaluationSet) -> MissRateReport {
        let images = set.images.len();
        let judged = judge(set, self.iou, Ignoring::AllAsRegions);
        let classes: Vec<MissRateClass> = judged.iter().map(|class| class_report(class, images)).collect();
        let rates: Vec<f64> = classes.iter().filter_map(|c| c.log_average_miss_rate).collect();
        MissRateReport {
            iou: self.iou,
            reference_fppi: REFERENCE_FPPI,
            mean_log_average_miss_rate: (!rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64),
            classes,
        }
    }
}

fn class_report(judged: &JudgedClass, images: usize) -> MissRateClass {
    let points = points(&judged.detections, judged.objects, images);
    let at_reference: Vec<f64> = if judged.objects == 0 {
        Vec::new()
    } else {
        let miss_rate = |fppi: &f64| match points.partition_point(|p| p.fppi <= *fppi) {
            0 => 1.0,
            after => points[after - 1].miss_rate,
        };
        REFERENCE_FPPI.iter().map(miss_rate).collect()
    };
    MissRateClass {
        class: judged.class.clone(),
        objects: judged.objects,
        detections: judged.detections.len(),
        log_average_miss_rate: (judged.objects > 0).then(|| log_average(&at_reference)),
        at_reference,
        points,
    }
}

/// Returns the last point of each false positive count.
fn points(judged: &[Judged], objects: usize, images: usize) -> Vec<MissRatePoint> {
    let mut points: Vec<(usize, MissRatePoint)> = Vec::new();
    let (mut hits, mut false_positives) = (0_usize, 0_usize);
    for j in judged.iter().filter(|j| j.fate != Fate::Ignored && objects > 0) {
        match j.fate {
            Fate::Hit => hits += 1,
            _ => false_positives += 1,
        }
        let point = MissRatePoint {
            threshold: j.score,
            fppi: false_positives as f64 / images as f64,
            miss_rate: 1.0 - hits as f64 / objects as f64,
        };
        match points.last_mut() {
            Some(last) if last.0 == false_positives => last.1 = point,
            _ => points.push((false_positives, point)),
        }
    }
    points.into_iter().map(|(_, point)| point).collect()
}

fn log_average(miss_rates: &[f64]) -> f64 {
    let logs = miss_rates.iter().map(|rate| rate.max(LEAST_MISS_RATE).ln());
    (logs.sum::<f64>() / miss_rates.len() as f64).exp()
}

impl Tabular for MissRateReport {
    const TABLES: &'static [&'static str] = &["miss-rate", "miss-rate-curves"];

    fn tables(&self) -> Vec<Table> {
        let row = |name: &str, objects: usize, detections: usize, rate: Option<f64>| {
            let counts = [objects, detections].map(|count| Cell::Count(count as u64));
            let head = std::iter::once(Cell::Text(name.to_owned())).chain(counts);
            head.chain(std::iter::once(Cell::Number(rate))).collect::<Vec<_>>()
        };
        let sum = |count: fn(&MissRateClass) -> usize| self.classes.iter().map(count).sum();
        let all = row("all", sum(|c| c.objects), sum(|c| c.detections), self.mean_log_average_miss_rate);
        let each = self.classes.iter().map(|c| row(&c.class.name, c.objects, c.detections, c.log_average_miss_rate));
        let header = vec!["class", "objects", "detections", "log_average_miss_rate"];
        let rates = Table { header, rows: std::iter::once(all).chain(each).collect() };
        let point = |class: &MissRateClass, p: &MissRatePoint| {
            let numbers = [p.threshold, p.fppi, p.miss_rate].map(|v| Cell::Number(Some(v)));
            std::iter::once(Cell::Text(class.class.name.clone())).chain(numbers).collect::<Vec<_>>()
        };
        let rows = self.classes.iter().flat_map(|c| c.points.iter().map(move |p| point(c, p))).collect();
        let curves = Table { header: vec!["class", "threshold", "fppi", "miss_rate"], rows };
        vec![rates, curves]
    }
}

#[cfg(test)]
mod tests {
    use super::super::set::fixtures::{found, object, set};
    use super::super::set::{SetDetection, SetObject};
    use super::*;

    fn rates(objects: Vec<SetObject>, detections: Vec<SetDetection>, empty_images: usize) -> MissRateClass {
        let empty = std::iter::repeat_n((Vec::new(), Vec::new()), empty_images);
        let images = std::iter::once((objects, detections)).chain(empty).collect();
        MissRate::default().evaluate(&set(1, images)).classes.remove(0)
    }

    #[test]
    fn the_log_average_by_hand() {
        let two = || vec![object(0.0, 50.0), object(100.0, 50.0)];
        let hit = |x, score| found(0, x, 50.0, 50.0, score);
        let near = |class: &MissRateClass, expected: f64| {
            let rate = class.log_average_miss_rate.unwrap();
            assert!((rate - expected).abs() < 1e-12, "{rate} {expected}");
        };
        near(&rates(two(), vec![], 0), 1.0);
        near(&rates(two(), vec![hit(0.0, 0.9)], 0), 0.5);
        near(&rates(two(), vec![hit(0.0, 0.9), hit(100.0, 0.8)], 0), 1e-10);
        // A false positive first: with one image that is one per image, so that only the last of nine points finds anything.
        let late = rates(two(), vec![hit(300.0, 0.9), hit(0.0, 0.8)], 0);
        assert_eq!(late.at_reference, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5]);
        near(&late, 0.5_f64.powf(1.0 / 9.0));
        // The same in ten images: 0.1 false positives per image, reached exactly by the fifth point.
        let in_ten = rates(two(), vec![hit(300.0, 0.9), hit(0.0, 0.8)], 9);
        assert_eq!(in_ten.at_reference, [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.5]);
        assert_eq!((in_ten.points.len(), in_ten.points[0].threshold), (1, 0.8));
    }

    #[test]
    fn ignored_objects_take_any_number_of_detections_inside() {
        let ignored = SetObject { difficult: true, ..object(500.0, 300.0) };
        let inside =
            vec![found(0, 510.0, 30.0, 30.0, 0.95), found(0, 560.0, 30.0, 30.0, 0.94), found(0, 0.0, 50.0, 50.0, 0.5)];
        let class = rates(vec![object(0.0, 50.0), ignored], inside, 0);
        assert_eq!((class.objects, class.points.len(), class.points[0].fppi), (1, 1, 0.0));
        assert_eq!(rates(vec![ignored], vec![], 0).log_average_miss_rate, None);
    }
}
