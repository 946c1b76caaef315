//! The common interface of the evaluators: their inputs, their metrics, and what the metrics mean.

use serde::{Deserialize, Serialize};

/// An evaluator: ground truth and detections in, numbers out. Pure.
pub trait Evaluator {
    /// FDDB compares regions in pixels; the others compare boxes of several classes.
    type Input: ?Sized;
    type Report: Serialize;

    fn metric(&self) -> Metric;

    fn evaluate(&self, input: &Self::Input) -> Self::Report;
}

/// The metrics of an evaluator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    Fddb,
    Coco,
    Voc,
    PrecisionRecall,
    MissRate,
    Tide,
}

impl Metric {
    pub const ALL: [Self; 6] = [Self::Fddb, Self::Coco, Self::Voc, Self::PrecisionRecall, Self::MissRate, Self::Tide];

    /// The name in files and options.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fddb => "fddb",
            Self::Coco => "coco",
            Self::Voc => "voc",
            Self::PrecisionRecall => "precision-recall",
            Self::MissRate => "miss-rate",
            Self::Tide => "tide",
        }
    }

    /// The title on screens and in reports.
    pub fn title(self) -> &'static str {
        match self {
            Self::Fddb => "FDDB",
            Self::Coco => "COCO",
            Self::Voc => "PASCAL VOC",
            Self::PrecisionRecall => "Precision and recall",
            Self::MissRate => "Miss rate",
            Self::Tide => "TIDE",
        }
    }

    /// A one-line explanation of the metrics.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Fddb => {
                "True positive rate over false positives: the part of the objects that is found, while all images together have so many false positives."
            }
            Self::Coco => {
                "Average precision and recall over ten IoU thresholds from 0.50 to 0.95, as pycocotools computes them. 1 is perfect."
            }
            Self::Voc => {
                "Average precision at one IoU threshold, as PASCAL VOC computes it: over 11 recalls (2007) and over all recalls (2010 on)."
            }
            Self::PrecisionRecall => {
                "Precision and recall at each score threshold, and the threshold with the largest F1."
            }
            Self::MissRate => {
                "The part of the objects that is missed, over false positives per image; the log-average reads it at nine points from 0.01 to 1. 0 is perfect."
            }
            Self::Tide => {
                "What each kind of error costs in average precision at one IoU threshold, in points from 0 to 100, as tidecv computes it."
            }
        }
    }
}

/// A report as a table, for CSV files and the terminal.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    pub header: Vec<&'static str>,
    pub rows: Vec<Vec<Cell>>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Text(String),
    Count(u64),
    /// `None` if the number is undefined, such as precision without objects.
    Number(Option<f64>),
}

/// A report that can be shown as tables.
pub trait Tabular {
    /// The names of the tables, used for their files.
    const TABLES: &'static [&'static str];

    /// In the order of [`Self::TABLES`]. The first is a summary, the others are curves.
    fn tables(&self) -> Vec<Table>;
}
