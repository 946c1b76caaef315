//! The project's memory: one SQLite file. The only room that knows rusqlite; must not know datasets' formats, detectors, training
//! or the window.
//!
//! Invariant: the verdict log is only ever appended to; everything else about a verdict (what stands, what a candidate shows, which
//! objects were promoted or corrected) follows from it and is kept up to date by the transaction that appends.
//! Invariant: a [`Store`] is one connection and belongs to one thread at a time. Each writing method is one transaction.

mod access;
mod annotators;
mod backup;
mod candidates;
mod classes;
mod columns;
mod connection;
mod curves;
mod datasets;
mod detections;
mod error;
mod exchange;
mod features;
mod gestures;
mod ground_truth;
mod groups;
mod hard_negatives;
mod header;
mod history;
mod identity;
mod images;
mod looks;
mod metrics;
mod migrations;
mod query;
mod queue;
mod queue_index;
mod reimport;
mod rescue;
mod rounds;
mod sample;
mod scan;
mod schema;
mod settings;
mod standing;
mod verdicts;
mod waiting;

pub use backup::{BackupFile, Restored, restore_backup};
pub use candidates::{CandidateRow, Held, NewCandidate};
pub use classes::ClassCounts;
pub use connection::{Store, now_ms};
pub use curves::CurveRow;
pub use datasets::{Dataset, ImportCounts, NewDataset, NewImage, NewObject, SameBytes};
pub use error::StoreError;
pub use exchange::{
    ClassLine, FORMAT as VERDICT_FORMAT, FORMATS_READ as VERDICT_FORMATS_READ, MergeReport, ShapeLine, VerdictLine,
};
pub use gestures::{Gesture, GestureAction};
pub use hard_negatives::HardNegative;
pub use history::{HistoryEntry, HistoryQuery, HistoryStep};
pub use looks::CandidateLook;
pub use metrics::{Metric, MetricSummary};
pub use query::{CandidateQuery, Cursor, Interval, Page, Sort, VerdictFilter};
pub use queue::{Neighbour, ReviewProgress, VerdictCounts};
pub use sample::RandomSample;
pub use verdicts::Ruling;
