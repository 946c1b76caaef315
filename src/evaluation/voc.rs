//! PASCAL VOC's average precision per class at one IoU threshold, following the development kit's `VOCevaldet`: over 11 recalls (VOC 2007)
//! and over all recalls (from 2010).

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::evaluator::{Cell, Evaluator, Metric, Table, Tabular};
use super::set::{EvaluationSet, SetClass, SetImage, best_first};

/// VOC's evaluation. Difficult objects (and crowds) are not counted.
#[derive(Debug, Clone, Copy)]
pub struct Voc {
    /// Minimum IoU for a detection to match an object.
    pub iou: f64,
}

impl Default for Voc {
    fn default() -> Self {
        Self { iou: 0.5 }
    }
}

/// The metrics of one class; `None` without a counted object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VocClass {
    #[serde(flatten)]
    pub class: SetClass,
    /// Number of counted objects, without difficult ones and crowds.
    pub objects: usize,
    pub detections: usize,
    /// The mean of the largest precisions at recalls >= 0, 0.1 ... 1.
    pub ap_11_point: Option<f64>,
    /// The area under the monotone precision curve.
    pub ap_all_point: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VocReport {
    pub iou: f64,
    /// Means over classes that have objects.
    pub map_11_point: Option<f64>,
    pub map_all_point: Option<f64>,
    pub classes: Vec<VocClass>,
}

impl Evaluator for Voc {
    type Input = EvaluationSet;
    type Report = VocReport;

    fn metric(&self) -> Metric {
        Metric::Voc
    }

    fn evaluate(&self, set: &EvaluationSet) -> VocReport {
        let judged: Vec<Vec<Judged>> = set.images.par_iter().map(|image| judge_image(image, self.iou)).collect();
        let mut of_class: Vec<Vec<Judged>> = set.classes.iter().map(|_| Vec::new()).collect();
        judged.into_iter().flatten().for_each(|j| of_class[j.class].push(j));
        let mut objects = vec![0; set.classes.len()];
        for object in set.images.iter().flat_map(|image| &image.objects).filter(|o| !o.ignored()) {
            objects[object.class] += 1;
        }
        let each = set.classes.iter().zip(of_class).zip(objects).filter(|((class, _), _)| class.listed);
        let classes: Vec<VocClass> =
            each.map(|((class, judged), objects)| class_report(class, judged, objects)).collect();
        let mean = |value: fn(&VocClass) -> Option<f64>| {
            let values: Vec<f64> = classes.iter().filter_map(value).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let (map_11_point, map_all_point) = (mean(|c| c.ap_11_point), mean(|c| c.ap_all_point));
        VocReport { iou: self.iou, map_11_point, map_all_point, classes }
    }
}

/// A detection after matching.
struct Judged {
    class: usize,
    score: f64,
    /// `None`: it is on a difficult object and not counted.
    hit: Option<bool>,
}

/// Assigns each detection to the object of its class that it overlaps most, matched or not; a second detection of it is a false positive.
fn judge_image(image: &SetImage, threshold: f64) -> Vec<Judged> {
    let mut order: Vec<usize> = (0..image.detections.len()).collect();
    order.sort_by(|&a, &b| best_first(image.detections[a].score, image.detections[b].score));
    let mut taken = vec![false; image.objects.len()];
    let judge = |k: usize| {
        let detection = &image.detections[k];
        let mut best = (f64::NEG_INFINITY, None);
        for (g, object) in image.objects.iter().enumerate().filter(|(_, o)| o.class == detection.class) {
            let iou = detection.bbox.iou(&object.bbox);
            if iou > best.0 {
                best = (iou, Some(g));
            }
        }
        let hit = match best {
            (iou, Some(g)) if iou >= threshold => {
                (!image.objects[g].ignored()).then(|| !std::mem::replace(&mut taken[g], true))
            }
            _ => Some(false),
        };
        Judged { class: detection.class, score: detection.score, hit }
    };
    order.into_iter().map(judge).collect()
}

fn class_report(class: &SetClass, mut judged: Vec<Judged>, objects: usize) -> VocClass {
    judged.sort_by(|a, b| best_first(a.score, b.score));
    let (mut found, mut counted, mut curve) = (0_usize, 0_usize, Vec::new());
    for hit in judged.iter().filter_map(|j| j.hit) {
        counted += 1;
        found += usize::from(hit);
        curve.push((found as f64 / objects as f64, found as f64 / counted as f64));
    }
    VocClass {
        class: class.clone(),
        objects,
        detections: judged.len(),
        ap_11_point: (objects > 0).then(|| eleven_points(&curve)),
        ap_all_point: (objects > 0).then(|| all_points(&curve)),
    }
}

/// The recalls are multiples of the double nearest to 0.1, as in `0:0.1:1` and `arange(0, 1.1, 0.1)`: a recall of exactly 0.3 does not
/// reach the fourth.
fn eleven_points(curve: &[(f64, f64)]) -> f64 {
    let precision_from = |recall: f64| curve.iter().filter(|p| p.0 >= recall).map(|p| p.1).fold(0.0, f64::max);
    (0..11).map(|k| precision_from(f64::from(k) * 0.1)).sum::<f64>() / 11.0
}

fn all_points(curve: &[(f64, f64)]) -> f64 {
    let (mut area, mut precision) = (0.0, 0.0_f64);
    for k in (0..curve.len()).rev() {
        precision = precision.max(curve[k].1);
        let before = if k == 0 { 0.0 } else { curve[k - 1].0 };
        area += (curve[k].0 - before) * precision;
    }
    area
}

impl Tabular for VocReport {
    const TABLES: &'static [&'static str] = &["voc"];

    fn tables(&self) -> Vec<Table> {
        let header = vec!["class", "objects", "detections", "ap_11_point", "ap_all_point"];
        let count = |count: fn(&VocClass) -> usize| Cell::Count(self.classes.iter().map(count).sum::<usize>() as u64);
        let all = vec![
            Cell::Text("all".to_owned()),
            count(|c| c.objects),
            count(|c| c.detections),
            Cell::Number(self.map_11_point),
            Cell::Number(self.map_all_point),
        ];
        let row = |c: &VocClass| {
            vec![
                Cell::Text(c.class.name.clone()),
                Cell::Count(c.objects as u64),
                Cell::Count(c.detections as u64),
                Cell::Number(c.ap_11_point),
                Cell::Number(c.ap_all_point),
            ]
        };
        let rows = std::iter::once(all).chain(self.classes.iter().map(row)).collect();
        vec![Table { header, rows }]
    }
}

#[cfg(test)]
mod tests {
    use super::super::set::SetObject;
    use super::super::set::fixtures::{found, object, set};
    use super::*;

    #[track_caller]
    fn check(objects: Vec<SetObject>, detections: Vec<super::super::set::SetDetection>, eleven: f64, all: f64) {
        let report = Voc::default().evaluate(&set(1, vec![(objects, detections)]));
        let class = &report.classes[0];
        assert!((class.ap_11_point.unwrap() - eleven).abs() < 1e-12, "{class:?}");
        assert!((class.ap_all_point.unwrap() - all).abs() < 1e-12, "{class:?}");
    }

    #[test]
    fn average_precision_by_hand() {
        let two = || vec![object(0.0, 50.0), object(100.0, 50.0)];
        check(two(), vec![], 0.0, 0.0);
        // Half found: recalls 0 ... 0.5 are 6 of 11.
        check(two(), vec![found(0, 0.0, 50.0, 50.0, 0.9)], 6.0 / 11.0, 0.5);
        // Hit, false positive, hit.
        let three =
            vec![found(0, 0.0, 50.0, 50.0, 0.9), found(0, 300.0, 50.0, 50.0, 0.8), found(0, 100.0, 50.0, 50.0, 0.7)];
        check(two(), three, (6.0 + 5.0 * 2.0 / 3.0) / 11.0, 0.5 + 0.5 * 2.0 / 3.0);
    }

    /// The best overlap decides, even if that object is taken: the second detection does not fall back to a neighbour.
    #[test]
    fn a_taken_object_is_not_left_for_a_free_one() {
        let neighbours = vec![object(0.0, 100.0), object(20.0, 100.0)];
        let detections = vec![found(0, 0.0, 100.0, 100.0, 0.9), found(0, 5.0, 100.0, 100.0, 0.8)];
        check(neighbours, detections, 6.0 / 11.0, 0.5);
    }

    #[test]
    fn difficult_objects_neither_help_nor_hurt() {
        let difficult = SetObject { difficult: true, ..object(100.0, 50.0) };
        let detections =
            vec![found(0, 100.0, 50.0, 50.0, 0.9), found(0, 100.0, 50.0, 50.0, 0.8), found(0, 0.0, 50.0, 50.0, 0.7)];
        check(vec![object(0.0, 50.0), difficult], detections, 1.0, 1.0);
        let only = Voc::default().evaluate(&set(1, vec![(vec![difficult], vec![])]));
        assert_eq!((only.classes[0].ap_11_point, only.map_all_point), (None, None));
    }
}
