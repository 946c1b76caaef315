//! Built-in published FDDB results: reference points from the ROC files of FDDB's results page (vis-www.cs.umass.edu/fddb/results.html).

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use serde::Deserialize;

use super::plot_curve::{CurvePoint, PlotCurve, ScoreKind};

/// The checked-in table; `source` is the stem of the method's `_DiscROC.txt` and `_ContROC.txt`.
pub const PUBLISHED_CSV: &str = include_str!("../../assets/published_fddb.csv");

/// One published method.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedMethod {
    pub method: String,
    pub year: u16,
    pub venue: String,
    /// The stem of its ROC files.
    pub source: String,
    /// Caveats for comparisons: smoothed, ends early ...; may be empty.
    pub notes: String,
    /// By ascending false positives. A curve that ends earlier keeps its last value.
    pub points: Vec<PublishedPoint>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PublishedPoint {
    pub false_positives: u64,
    /// True positive rates with four decimals.
    pub discrete: f64,
    pub continuous: f64,
}

#[derive(Deserialize)]
struct Row {
    method: String,
    year: u16,
    venue: String,
    false_positives: u64,
    discrete_tpr: f64,
    continuous_tpr: f64,
    source: String,
    notes: String,
}

/// Returns all methods in table order.
pub fn published_methods() -> Vec<PublishedMethod> {
    let mut methods: Vec<PublishedMethod> = Vec::new();
    let mut reader = csv::Reader::from_reader(PUBLISHED_CSV.as_bytes());
    // The table is built in and a test reads every row, so no row is dropped here.
    for row in reader.deserialize::<Row>().flatten() {
        let point = PublishedPoint {
            false_positives: row.false_positives,
            discrete: row.discrete_tpr,
            continuous: row.continuous_tpr,
        };
        match methods.last_mut().filter(|m| m.method == row.method) {
            Some(method) => method.points.push(point),
            None => methods.push(PublishedMethod {
                method: row.method,
                year: row.year,
                venue: row.venue,
                source: row.source,
                notes: row.notes,
                points: vec![point],
            }),
        }
    }
    methods
}

impl PublishedMethod {
    /// Formats `Method (year)`.
    pub fn label(&self) -> String {
        format!("{} ({})", self.method, self.year)
    }

    /// Returns the reference points as a curve of `kind`, for markers behind the user's curves.
    pub fn curve(&self, kind: ScoreKind) -> PlotCurve {
        let points = self.points.iter().map(|p| CurvePoint {
            false_positives: p.false_positives as f64,
            rate: match kind {
                ScoreKind::Discrete => p.discrete,
                ScoreKind::Continuous => p.continuous,
            },
            threshold: None,
        });
        PlotCurve::new(points.collect())
    }
}
