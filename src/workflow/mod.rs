//! The use cases: import, train, detect, mine, evaluate, demo, shared by CLI and app. Progress is reported to an observer, and a `Cancel`
//! is passed in.

pub mod auto_review;
#[cfg(feature = "torch")]
mod backbone;
#[cfg(feature = "torch")]
mod classes;
mod copies;
pub mod crops;
#[cfg(feature = "torch")]
pub mod cross_validate;
pub mod datasets;
#[cfg(feature = "torch")]
pub mod demo;
#[cfg(feature = "torch")]
pub mod detect;
#[cfg(feature = "torch")]
mod detection_source;
pub mod detections;
#[cfg(feature = "torch")]
mod device;
#[cfg(feature = "torch")]
pub mod embed;
mod error;
pub mod evaluate;
mod event;
pub mod export;
pub mod export_images;
#[cfg(feature = "torch")]
mod good_model;
pub mod group;
mod group_changes;
mod held_out;
pub mod held_out_file;
mod image_files;
pub mod image_marks;
pub mod import;
pub mod inspect;
pub mod messages;
#[cfg(feature = "torch")]
pub mod mine;
pub mod outputs;
#[cfg(feature = "torch")]
mod previous_weights;
mod project;
pub mod restore;
mod retry;
pub mod review;
pub mod roc_import;
#[cfg(feature = "torch")]
mod round_data;
#[cfg(feature = "torch")]
mod round_hooks;
#[cfg(feature = "torch")]
mod round_log;
pub mod round_metrics;
#[cfg(feature = "torch")]
mod round_mining;
#[cfg(feature = "torch")]
mod round_negatives;
pub mod round_report;
pub mod run_curves;
pub mod run_state;
pub mod setup;
#[cfg(feature = "torch")]
pub mod shards;
mod split;
pub mod status;
pub mod tested_round;
#[cfg(feature = "torch")]
pub mod train;
pub mod training_export;
pub mod verdicts;
pub mod weights;
mod weights_error;

pub use error::WorkflowError;
pub use event::{FoldProgress, WorkEvent, fold_label, split_fold_label};
pub use project::{Project, write_all_or_none, write_atomically};

/// Receives the progress of every use case.
pub type Observer<'a> = dyn FnMut(WorkEvent) + 'a;
