//! The project's memory: one SQLite file. The only room that knows rusqlite; must not know datasets' formats, detectors, training
//! or the window.
//!
//! Invariant: the logs of verdicts and of corrections are only ever appended to; everything else (what stands, what a candidate shows,
//! which objects were promoted, corrected or added) follows from them and is kept up to date by the transaction that appends.
//! Invariant: a [`Store`] is one connection and belongs to one thread at a time. Each writing method is one transaction.

mod access;
mod annotators;
mod backup;
mod candidates;
mod classes;
mod columns;
mod connection;
mod corrections;
mod curves;
mod dataset_tools;
mod datasets;
mod deletion;
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
mod image_marks;
mod images;
mod inherited;
mod left;
mod log;
mod log_lines;
mod looks;
mod metrics;
mod migrations;
mod mined;
mod news;
mod objects;
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
mod traces;
mod verdicts;
mod waiting;

pub use backup::{BackupFile, Restored, restore_backup};
pub use candidates::{CandidateRow, Held, NewCandidate};
pub use classes::ClassCounts;
pub use connection::{Store, now_ms};
pub use curves::CurveRow;
pub use dataset_tools::{DatasetMerge, KeptReport};
pub use datasets::{Dataset, ImportCounts, NewDataset, NewImage, NewObject, SameBytes};
pub use deletion::{Deletion, DeletionCounts};
pub use detections::DetectionsMark;
pub use error::StoreError;
pub use exchange::{
    AHEAD_DAYS, ClassLine, FORMATS_READ as VERDICT_FORMATS_READ, LatestTick, MOST_DAYS_AHEAD, MergeReport, ShapeLine,
    VerdictLine,
};
pub use gestures::{Gesture, GestureAction};
pub use groups::{GroupChange, NewGroup, StoredGroup};
pub use hard_negatives::{HardNegative, MinedNegative};
pub use history::{Decided, HistoryEntry, HistoryQuery, HistoryStep};
pub use inherited::{Inheritable, Inherited, TWIN_IOU};
pub use log_lines::{CorrectionLine, LogLine, OriginLine, StateLine};
pub use looks::CandidateLook;
pub use metrics::{Metric, MetricSummary};
pub use mined::{Fingerprint, MinedCounts, MinedImage, Resume};
pub use news::{LogNews, Seen};
pub use objects::ObjectRow;
pub use query::{CandidateQuery, Cursor, Interval, Page, Sort, VerdictFilter};
pub use queue::{Neighbour, ReviewProgress, Revision};
pub use sample::RandomSample;
pub use traces::{Fate, Origin, Trace, TraceCounts, TraceFilter};
pub use verdicts::Ruling;
