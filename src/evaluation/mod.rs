//! Evaluators with a common interface ([`Evaluator`]): FDDB's, byte-identical to the official program (regions as pixel sets, the official
//! assignment, discrete and continuous ROC, its text formats), COCO's, VOC's, precision-recall, miss rate and TIDE; published curves and
//! figures. Pure functions.

pub mod average_precision;
pub mod axes;
pub mod coco;
mod column_classes;
mod curves_csv;
mod ellipse_painter;
mod evaluator;
mod fddb;
pub mod fddb_text;
pub mod figure;
mod folds;
mod greedy;
mod growing_problem;
mod interpolation;
mod matched_pairs;
mod matching;
pub mod miss_rate;
mod official_assignment;
mod optimal_assignment;
mod overlap;
pub mod palette;
mod percent_g;
mod pixel_set;
mod plot_curve;
mod polygon_fill;
pub mod precision_recall;
pub mod published;
mod raster;
mod region;
mod roc;
pub mod roc_file;
mod row_tops;
mod set;
mod sparse_assignment;
mod step;
mod suite;
pub mod tide;
pub mod voc;

pub use curves_csv::{curves_csv, others_csv};
pub use evaluator::{Cell, Evaluator, Metric, Table, Tabular};
pub use fddb::Fddb;
pub use folds::{FoldCurves, FoldSpread, Spread};
pub use matched_pairs::matched_at;
pub use matching::{ImageOutcome, NO_DETECTIONS, match_image, most_seconds};
pub use overlap::pair_without_pixels;
pub use percent_g::percent_g;
pub use pixel_set::PixelSet;
pub use plot_curve::{CurvePoint, PlotCurve, ScoreKind, TABLE_FALSE_POSITIVES};
pub use region::{EvaluatedImage, Region, ScoredRegion};
pub use roc::{RocCurve, RocPoint, match_images, match_images_watched, merge, roc};
pub use set::{EvaluationSet, SetClass, SetDetection, SetImage, SetObject, XywhBox};
pub use step::{Matching, Step};
pub use suite::Suite;
