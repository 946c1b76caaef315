//! TIDE: the loss of average precision from each error type (Bolya et al., ECCV 2020), following `tidecv`. Only needs boxes.

mod errors;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::errors::{Fix, ImageErrors, Point};
use super::evaluator::{Cell, Evaluator, Metric, Table, Tabular};
use super::interpolation::interpolated;
use super::set::{EvaluationSet, best_first};

/// TIDE's evaluation of the best 100 detections per image.
#[derive(Debug, Clone, Copy)]
pub struct Tide {
    /// Minimum IoU for a detection to match an object.
    pub iou: f64,
    /// Up to this IoU a detection counts as background.
    pub background_iou: f64,
}

impl Default for Tide {
    fn default() -> Self {
        Self { iou: 0.5, background_iou: 0.1 }
    }
}

/// TIDE's six error types, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Enough overlap with an object of another class.
    Classification,
    /// Too little overlap with an object of its class.
    Localisation,
    /// Too little overlap, and another class.
    Both,
    /// Right class, on an object that a better detection matched.
    Duplicate,
    /// On no object.
    Background,
    /// An object that no detection matches and no other error explains.
    Missed,
}

impl ErrorKind {
    pub const ALL: [Self; 6] =
        [Self::Classification, Self::Localisation, Self::Both, Self::Duplicate, Self::Background, Self::Missed];

    /// `tidecv`'s name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Classification => "Cls",
            Self::Localisation => "Loc",
            Self::Both => "Both",
            Self::Duplicate => "Dupe",
            Self::Background => "Bkg",
            Self::Missed => "Miss",
        }
    }
}

/// A value for each error type, under `tidecv`'s names.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ByKind<T> {
    pub cls: T,
    pub loc: T,
    pub both: T,
    pub dupe: T,
    pub bkg: T,
    pub miss: T,
}

impl<T: Copy> ByKind<T> {
    fn new(of: impl FnMut(ErrorKind) -> T) -> Self {
        let [cls, loc, both, dupe, bkg, miss] = ErrorKind::ALL.map(of);
        Self { cls, loc, both, dupe, bkg, miss }
    }

    /// In the order of [`ErrorKind::ALL`].
    pub fn values(&self) -> [T; 6] {
        [self.cls, self.loc, self.both, self.dupe, self.bkg, self.miss]
    }
}

/// The loss from all false positives, and from all unmatched objects.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SpecialErrors {
    pub false_pos: f64,
    pub false_neg: f64,
}

/// In points of average precision, 0 to 100.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TideReport {
    pub iou: f64,
    pub background_iou: f64,
    /// Mean over classes that have objects or detections; `None` if there are none.
    pub ap: Option<f64>,
    /// The gain in average precision if only the errors of one type are fixed.
    pub main: ByKind<f64>,
    pub special: SpecialErrors,
    pub counts: ByKind<usize>,
}

impl Evaluator for Tide {
    type Input = EvaluationSet;
    type Report = TideReport;

    fn metric(&self) -> Metric {
        Metric::Tide
    }

    fn evaluate(&self, set: &EvaluationSet) -> TideReport {
        let images: Vec<ImageErrors> = set.images.par_iter().map(|image| ImageErrors::new(image, self)).collect();
        let run = Run { images, classes: set.classes.len() };
        let ap = run.average_precision(run.images.iter().flat_map(|i| i.points.iter().copied()), &run.objects());
        let gained: Vec<Option<f64>> = ErrorKind::ALL.par_iter().map(|&kind| run.fixed(kind)).collect();
        let gain = |with: Option<f64>| with.unwrap_or(0.0) - ap.unwrap_or(0.0);
        // Below 0 is an artefact of the recall steps, which tidecv also takes for 0.
        let main = ByKind::new(|kind| gain(gained[kind as usize]).max(0.0));
        let (false_pos, false_neg) = rayon::join(|| run.without_false_positives(), || run.without_misses());
        let all_errors = || run.images.iter().flat_map(|i| &i.errors);
        TideReport {
            iou: self.iou,
            background_iou: self.background_iou,
            ap,
            main,
            special: SpecialErrors { false_pos: gain(false_pos), false_neg: gain(false_neg) },
            counts: ByKind::new(|kind| all_errors().filter(|e| e.kind == kind).count()),
        }
    }
}

struct Run {
    images: Vec<ImageErrors>,
    classes: usize,
}

impl Run {
    /// Counts objects by class.
    fn objects(&self) -> Vec<usize> {
        let mut objects = vec![0; self.classes];
        self.images.iter().flat_map(|i| &i.objects).for_each(|&class| objects[class] += 1);
        objects
    }

    /// tidecv puts false positives, fixed or not, before hits, which breaks score ties.
    fn errors_then_hits(&self, mend: impl Fn(ErrorKind) -> bool) -> Vec<Point> {
        let errors = self.images.iter().flat_map(|i| &i.errors).filter_map(|error| match error.fixed {
            _ if !mend(error.kind) => error.original,
            Fix::Hit { class, score } => Some(Point { class, score, correct: true }),
            Fix::Gone | Fix::ObjectGone { .. } => None,
        });
        let hits = self.images.iter().flat_map(|i| &i.points).filter(|p| p.correct).copied();
        errors.chain(hits).collect()
    }

    fn fixed(&self, kind: ErrorKind) -> Option<f64> {
        let mut objects = self.objects();
        for error in self.images.iter().flat_map(|i| &i.errors).filter(|e| e.kind == kind) {
            if let Fix::ObjectGone { class } = error.fixed {
                objects[class] -= 1;
            }
        }
        self.average_precision(self.errors_then_hits(|k| k == kind).into_iter(), &objects)
    }

    /// Gives every false positive score 0 and every hit score 1.
    fn without_false_positives(&self) -> Option<f64> {
        let points = self.errors_then_hits(|_| false).into_iter();
        self.average_precision(points.map(|p| Point { score: f64::from(u8::from(p.correct)), ..p }), &self.objects())
    }

    fn without_misses(&self) -> Option<f64> {
        let mut objects = self.objects();
        self.images.iter().flat_map(|i| &i.missed).for_each(|&class| objects[class] -= 1);
        self.average_precision(self.errors_then_hits(|_| false).into_iter(), &objects)
    }

    /// Returns the mean over classes with points or objects, 0 to 100; a class without objects has 0.
    fn average_precision(&self, points: impl Iterator<Item = Point>, objects: &[usize]) -> Option<f64> {
        let mut of_class: Vec<Vec<Point>> = vec![Vec::new(); self.classes];
        points.for_each(|p| of_class[p.class].push(p));
        let recalls: Vec<f64> = (0..101).map(|k| f64::from(k) / 100.0).collect();
        let each =
            of_class.into_par_iter().zip(objects).filter(|(points, objects)| !points.is_empty() || **objects > 0);
        let each: Vec<f64> = each
            .map(|(mut points, &objects)| {
                points.sort_by(|a, b| best_first(a.score, b.score));
                if objects == 0 { 0.0 } else { interpolated(points.iter().map(|p| p.correct), objects, &recalls) }
            })
            .collect();
        (!each.is_empty()).then(|| 100.0 * each.iter().sum::<f64>() / each.len() as f64)
    }
}

impl Tabular for TideReport {
    const TABLES: &'static [&'static str] = &["tide"];

    fn tables(&self) -> Vec<Table> {
        let kinds = ErrorKind::ALL.iter().zip(self.main.values()).zip(self.counts.values());
        let main = kinds.map(|((kind, cost), count)| {
            vec![Cell::Text(kind.name().to_owned()), Cell::Number(Some(cost)), Cell::Count(count as u64)]
        });
        let row = |name: &str, cost: f64, count: u64| {
            vec![Cell::Text(name.to_owned()), Cell::Number(Some(cost)), Cell::Count(count)]
        };
        let counted = |without: ErrorKind| {
            let kinds = ErrorKind::ALL.iter().zip(self.counts.values()).filter(|(kind, _)| **kind != without);
            kinds.map(|(_, count)| count as u64).sum()
        };
        let special = [
            row("FalsePos", self.special.false_pos, counted(ErrorKind::Missed)),
            row("FalseNeg", self.special.false_neg, self.counts.miss as u64),
        ];
        let rows = main.chain(special).collect();
        vec![Table { header: vec!["error", "cost_in_ap", "count"], rows }]
    }
}

#[cfg(test)]
mod tests {
    use super::super::set::SetObject;
    use super::super::set::fixtures::{found, object, set};
    use super::*;

    #[test]
    fn each_kind_of_error_is_told() {
        let other = SetObject { class: 1, ..object(100.0, 50.0) };
        let objects = vec![object(0.0, 50.0), other, object(200.0, 50.0), object(300.0, 50.0)];
        let detections = vec![
            found(0, 0.0, 50.0, 50.0, 0.9),
            found(0, 0.0, 50.0, 48.0, 0.8),   // duplicate
            found(0, 100.0, 50.0, 50.0, 0.7), // class 1's
            found(0, 200.0, 50.0, 15.0, 0.6), // IoU 0.3
            found(1, 300.0, 50.0, 15.0, 0.5), // both
            found(0, 700.0, 50.0, 15.0, 0.4), // background
        ];
        let report = Tide::default().evaluate(&set(2, vec![(objects, detections)]));
        assert_eq!(report.counts.values(), [1, 1, 1, 1, 1, 1]);
        assert!(report.main.values().iter().all(|cost| *cost >= 0.0) && report.main.cls > 0.0, "{report:?}");
    }

    #[test]
    fn nothing_costs_nothing() {
        let empty = Tide::default().evaluate(&set(1, vec![]));
        assert_eq!((empty.ap, empty.main.values(), empty.special.false_neg), (None, [0.0; 6], 0.0));
        let perfect =
            Tide::default().evaluate(&set(1, vec![(vec![object(0.0, 50.0)], vec![found(0, 0.0, 50.0, 50.0, 0.9)])]));
        assert_eq!((perfect.ap, perfect.main.values(), perfect.special.false_pos), (Some(100.0), [0.0; 6], 0.0));
    }
}
