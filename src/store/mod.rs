//! The project's database: one SQLite file. No other layer uses rusqlite.
//!
//! Invariant: the verdict and correction logs are append-only; everything else (current verdicts, a candidate's state, promoted, corrected
//! and added objects) is derived from them and updated by the appending transaction. Invariant: a [`Store`] is one connection and belongs
//! to one thread at a time. Each writing method is one transaction.

mod access;
mod annotators;
mod backup;
mod backup_files;
mod candidates;
mod classes;
mod columns;
mod companions;
mod connection;
mod correction_rows;
mod corrections;
mod curves;
mod dataset_tools;
mod datasets;
mod decided_before;
mod deletion;
mod detections;
mod error;
mod exchange;
mod features;
mod filled_groups;
mod gestures;
mod ground_truth;
mod groups;
mod hard_negatives;
mod hashes;
mod header;
mod held_file;
mod history;
mod identity;
mod image_marks;
mod images;
mod inherited;
mod integrity;
mod left;
mod lines;
mod log;
mod log_lines;
mod metrics;
mod migrations;
mod mined;
mod new_dataset;
mod news;
mod objects;
mod present_images;
mod query;
mod queue;
mod queue_entry;
mod queue_index;
mod reimport;
mod rescue;
mod rounds;
mod sample;
mod scan;
mod schema;
mod settings;
mod settle;
mod trace;
mod traces;
mod verdict_rows;
mod verdicts;
mod waiting;

pub use backup::{Restored, restore_backup};
pub use backup_files::BackupFile;
pub use candidates::{CandidateRow, Held, NewCandidate, Page};
pub use classes::{CLASS_NAME_BYTES, ClassCounts, is_class_name};
pub use connection::{Store, now_ms};
pub use curves::CurveRow;
pub use dataset_tools::{DatasetMerge, KeptReport};
pub use datasets::Dataset;
pub use deletion::{Deletion, DeletionCounts};
pub use detections::DetectionsMark;
pub use error::StoreError;
pub use gestures::{Gesture, GestureAction};
pub use groups::{GroupChange, NewGroup, StoredGroup};
pub use hard_negatives::{HardNegative, MinedNegative};
pub use hashes::CandidateHashes;
pub use history::{Decided, HistoryEntry, HistoryQuery, HistoryStep};
pub use identity::TWIN_IOU;
pub use inherited::{Inheritable, Inherited};
pub use lines::{
    AHEAD_DAYS, ClassLine, CorrectionLine, FORMATS_READ as VERDICT_FORMATS_READ, LatestTick, LogLine, MOST_DAYS_AHEAD,
    MergeReport, OriginLine, ShapeLine, StateLine, VerdictLine,
};
pub use metrics::{Metric, MetricSummary};
pub use mined::{Fingerprint, MinedCounts, MinedImage, Resume};
pub use new_dataset::{ImportCounts, NewDataset, NewImage, NewObject, SameBytes};
pub use news::{LogNews, Seen};
pub use objects::ObjectRow;
pub use query::{CandidateQuery, Cursor, Interval, Sort, VerdictFilter};
pub use queue::{Neighbour, Revision};
pub use sample::RandomSample;
pub use trace::{Fate, Origin, Trace, TraceFilter};
pub use traces::TraceCounts;
pub use verdicts::NewVerdict;
