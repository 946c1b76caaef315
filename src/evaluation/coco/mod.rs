//! COCO's twelve metrics overall and per class, following pycocotools' `COCOeval` (`evaluateImg`, `accumulate`, `summarize`).

mod matching;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::matching::{AREAS, IOU_THRESHOLDS, ImageClass, Outcome, bit, match_image};
use super::evaluator::{Cell, Evaluator, Metric, Table, Tabular};
use super::interpolation::interpolated;
use super::set::{EvaluationSet, SetClass, best_first};

pub(super) use self::matching::best;

/// COCO's box evaluation.
#[derive(Debug, Clone, Copy, Default)]
pub struct Coco;

/// The twelve metrics; each is `None` without an object of that size.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct CocoMetrics {
    /// Average precision: mean over IoU .50:.05:.95, with the best 100 detections per image and class.
    pub ap: Option<f64>,
    pub ap50: Option<f64>,
    pub ap75: Option<f64>,
    /// Area up to 32 x 32.
    pub ap_small: Option<f64>,
    /// Area from 32 x 32 to 96 x 96.
    pub ap_medium: Option<f64>,
    /// Area from 96 x 96.
    pub ap_large: Option<f64>,
    /// Average recall: mean over the same IoU thresholds, with the best detection per image and class.
    pub ar1: Option<f64>,
    pub ar10: Option<f64>,
    pub ar100: Option<f64>,
    pub ar_small: Option<f64>,
    pub ar_medium: Option<f64>,
    pub ar_large: Option<f64>,
}

impl CocoMetrics {
    /// The names of [`Self::values`], in pycocotools' order.
    pub const NAMES: [&'static str; 12] = [
        "ap",
        "ap50",
        "ap75",
        "ap_small",
        "ap_medium",
        "ap_large",
        "ar1",
        "ar10",
        "ar100",
        "ar_small",
        "ar_medium",
        "ar_large",
    ];

    pub fn values(&self) -> [Option<f64>; 12] {
        let Self { ap, ap50, ap75, ap_small, ap_medium, ap_large, ar1, ar10, ar100, ar_small, ar_medium, ar_large } =
            *self;
        [ap, ap50, ap75, ap_small, ap_medium, ap_large, ar1, ar10, ar100, ar_small, ar_medium, ar_large]
    }

    /// From values in the order of [`Self::NAMES`].
    pub fn from_values(values: [Option<f64>; 12]) -> Self {
        let [ap, ap50, ap75, ap_small, ap_medium, ap_large, ar1, ar10, ar100, ar_small, ar_medium, ar_large] = values;
        Self { ap, ap50, ap75, ap_small, ap_medium, ap_large, ar1, ar10, ar100, ar_small, ar_medium, ar_large }
    }
}

/// The metrics of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CocoClass {
    #[serde(flatten)]
    pub class: SetClass,
    /// Number of counted objects, without crowds.
    pub objects: usize,
    pub detections: usize,
    #[serde(flatten)]
    pub metrics: CocoMetrics,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CocoReport {
    /// The mean over the classes that have objects.
    #[serde(flatten)]
    pub overall: CocoMetrics,
    /// The classes that the dataset lists.
    pub classes: Vec<CocoClass>,
}

impl Evaluator for Coco {
    type Input = EvaluationSet;
    type Report = CocoReport;

    fn metric(&self) -> Metric {
        Metric::Coco
    }

    fn evaluate(&self, set: &EvaluationSet) -> CocoReport {
        let mut order: Vec<usize> = (0..set.images.len()).collect();
        order.sort_by_key(|&k| set.images[k].id);
        let matched: Vec<Vec<ImageClass>> = order.into_par_iter().map(|k| match_image(&set.images[k])).collect();
        let mut classes: Vec<Gathered> = set.classes.iter().map(|_| Gathered::default()).collect();
        for part in matched.into_iter().flatten() {
            classes[part.class].add(part);
        }
        let listed = set.classes.iter().zip(classes).filter(|(class, _)| class.listed);
        let listed: Vec<(&SetClass, Gathered)> = listed.collect();
        let classes = listed.into_par_iter().map(|(class, gathered)| CocoClass {
            class: class.clone(),
            objects: gathered.objects[0],
            detections: gathered.outcomes.len(),
            metrics: gathered.metrics(),
        });
        let classes: Vec<CocoClass> = classes.collect();
        CocoReport { overall: mean_of_classes(&classes), classes }
    }
}

fn mean_of_classes(classes: &[CocoClass]) -> CocoMetrics {
    let each: Vec<[Option<f64>; 12]> = classes.iter().map(|c| c.metrics.values()).collect();
    CocoMetrics::from_values(std::array::from_fn(|k| mean(each.iter().filter_map(|values| values[k]))))
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0_u32, 0.0), |(count, sum), v| (count + 1, sum + v));
    (count > 0).then(|| sum / f64::from(count))
}

/// One class over all images, in order of image id.
#[derive(Debug, Default)]
struct Gathered {
    objects: [usize; 4],
    outcomes: Vec<Outcome>,
}

impl Gathered {
    fn add(&mut self, part: ImageClass) {
        self.objects.iter_mut().zip(part.objects).for_each(|(sum, objects)| *sum += objects);
        self.outcomes.extend(part.outcomes);
    }

    /// `accumulate` and `summarize` for one class.
    fn metrics(mut self) -> CocoMetrics {
        self.outcomes.par_sort_by(|a, b| best_first(a.score, b.score));
        let cells: Vec<(usize, usize)> =
            (0..AREAS.len()).flat_map(|area| (0..IOU_THRESHOLDS.len()).map(move |k| (area, k))).collect();
        let recalls: Vec<f64> = (0..101).map(|k| f64::from(k) * 0.01).collect();
        let precision: Vec<Option<f64>> =
            cells.into_par_iter().map(|(area, k)| self.precision(area, k, &recalls)).collect();
        let at = |area: usize| &precision[area * IOU_THRESHOLDS.len()..(area + 1) * IOU_THRESHOLDS.len()];
        let ap = |area: usize| mean(at(area).iter().copied().flatten());
        CocoMetrics {
            ap: ap(0),
            ap50: at(0)[0],
            ap75: at(0)[5],
            ap_small: ap(1),
            ap_medium: ap(2),
            ap_large: ap(3),
            ar1: self.recall(0, 1),
            ar10: self.recall(0, 10),
            ar100: self.recall(0, 100),
            ar_small: self.recall(1, 100),
            ar_medium: self.recall(2, 100),
            ar_large: self.recall(3, 100),
        }
    }

    fn precision(&self, area: usize, threshold: usize, recalls: &[f64]) -> Option<f64> {
        let (objects, here) = (self.objects[area], bit(area, threshold));
        let counted = self.outcomes.iter().filter(|o| o.ignored & here == 0).map(|o| o.hits & here != 0);
        (objects > 0).then(|| interpolated(counted, objects, recalls))
    }

    /// Returns the mean over the thresholds of the fraction of objects that the best `most` detections per image find.
    fn recall(&self, area: usize, most: u32) -> Option<f64> {
        let objects = self.objects[area];
        if objects == 0 {
            return None;
        }
        let mut found = [0_u32; IOU_THRESHOLDS.len()];
        for outcome in self.outcomes.iter().filter(|o| o.rank < most) {
            let hits = (outcome.hits & !outcome.ignored) >> (area * IOU_THRESHOLDS.len());
            found.iter_mut().enumerate().for_each(|(k, sum)| *sum += (hits >> k & 1) as u32);
        }
        mean(found.iter().map(|&found| f64::from(found) / objects as f64))
    }
}

impl Tabular for CocoReport {
    const TABLES: &'static [&'static str] = &["coco"];

    fn tables(&self) -> Vec<Table> {
        let header = [&["class", "objects", "detections"][..], &CocoMetrics::NAMES].concat();
        let row = |name: &str, objects: usize, detections: usize, metrics: &CocoMetrics| {
            let head = [Cell::Text(name.to_owned()), Cell::Count(objects as u64), Cell::Count(detections as u64)];
            head.into_iter().chain(metrics.values().map(Cell::Number)).collect::<Vec<_>>()
        };
        let sum = |count: fn(&CocoClass) -> usize| self.classes.iter().map(count).sum();
        let all = row("all", sum(|c| c.objects), sum(|c| c.detections), &self.overall);
        let each = self.classes.iter().map(|c| row(&c.class.name, c.objects, c.detections, &c.metrics));
        vec![Table { header, rows: std::iter::once(all).chain(each).collect() }]
    }
}

#[cfg(test)]
mod tests {
    use super::super::set::fixtures::{found, object, set};
    use super::super::set::{SetDetection, SetObject};
    use super::*;

    fn one(objects: Vec<SetObject>, detections: Vec<SetDetection>) -> CocoMetrics {
        Coco.evaluate(&set(1, vec![(objects, detections)])).overall
    }

    #[track_caller]
    fn near(value: Option<f64>, expected: f64) {
        assert!(value.is_some_and(|v| (v - expected).abs() < 1e-12), "{value:?} {expected}");
    }

    #[test]
    fn classes_without_objects_do_not_count_and_those_without_detections_do() {
        let second = SetObject { class: 1, ..object(100.0, 50.0) };
        let images =
            vec![(vec![object(0.0, 50.0), second], vec![found(0, 0.0, 50.0, 50.0, 0.9), found(2, 0.0, 9.0, 9.0, 0.9)])];
        let report = Coco.evaluate(&set(3, images));
        near(report.overall.ap, 0.5);
        near(report.overall.ar1, 0.5);
        near(report.classes[0].metrics.ap, 1.0);
        near(report.classes[1].metrics.ap, 0.0);
        assert_eq!(report.classes[2].metrics, CocoMetrics::default());
        assert_eq!((report.overall.ap_small, report.classes[2].detections), (None, 1));
    }

    #[test]
    fn recall_is_told_for_one_ten_and_a_hundred_detections() {
        let objects: Vec<SetObject> = (0..12).map(|k| object(f64::from(k) * 100.0, 50.0)).collect();
        let detections =
            (0..12).map(|k| found(0, f64::from(k) * 100.0, 50.0, 50.0, 1.0 - f64::from(k) * 0.01)).collect();
        let metrics = one(objects, detections);
        near(metrics.ar1, 1.0 / 12.0);
        near(metrics.ar10, 10.0 / 12.0);
        near(metrics.ar100, 1.0);
        near(metrics.ar_medium, 1.0);
        assert_eq!(metrics.ar_large, None);
    }

    #[test]
    fn equal_scores_keep_the_order_of_image_ids() {
        let mut tied = set(
            1,
            vec![
                (vec![object(0.0, 50.0)], vec![found(0, 0.0, 50.0, 50.0, 0.5)]),
                (vec![], vec![found(0, 0.0, 5.0, 5.0, 0.5)]),
            ],
        );
        near(Coco.evaluate(&tied).overall.ap, 1.0);
        tied.images[0].id = 9;
        near(Coco.evaluate(&tied).overall.ap, 0.5);
    }
}
