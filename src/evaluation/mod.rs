//! FDDB's evaluation, equal to the official program byte by byte (`fddb_spec.md` describes that program): regions as pixel sets,
//! the official assignment, discrete and continuous ROC, the text formats, published curves, figures, and COCO's average
//! precision for other datasets. Pure: must not know pixels' colours, tensors, the database or the window.

pub mod average_precision;
pub mod axes;
mod column_classes;
mod curves_csv;
mod ellipse_painter;
pub mod fddb_text;
pub mod figure;
mod folds;
mod growing_problem;
mod matching;
mod official_assignment;
mod optimal_assignment;
mod overlap;
pub mod palette;
mod percent_g;
mod pixel_set;
mod plot_curve;
mod polygon_fill;
pub mod published;
mod region;
mod roc;
pub mod roc_file;
mod row_tops;

pub use curves_csv::{curves_csv, others_csv};
pub use folds::{FoldCurves, FoldSpread, Spread};
pub use matching::{ImageOutcome, Matching, NO_DETECTIONS, Step, match_image};
pub use overlap::pair_without_pixels;
pub use percent_g::percent_g;
pub use pixel_set::PixelSet;
pub use plot_curve::{CurvePoint, PlotCurve, ScoreKind, TABLE_FALSE_POSITIVES};
pub use region::{EvaluatedImage, Region, ScoredRegion};
pub use roc::{RocCurve, RocPoint, match_images, merge, roc};
