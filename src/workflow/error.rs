//! The error of the use cases.

use std::io;
use std::path::{Path, PathBuf};

use crate::dataset::DatasetError;
use crate::domain::{InputError, LockError, OutputError, printable_path};
use crate::store::StoreError;

/// Why a use case failed. Each message says what happened, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum WorkflowError {
    #[error("{path}: there is no Quarry project here (no quarry.db). Make one with `quarry new {path}`.", path = printable_path(.0))]
    NoProject(PathBuf),
    #[error("{path}: there is a Quarry project here already. Open it with `quarry --project {path}`.", path = printable_path(.0))]
    ProjectExists(PathBuf),
    // `cause`, not `source`: the message already includes it, so that it is not printed twice.
    #[error("{path}: {cause}. {advice}", path = printable_path(path))]
    Io { path: PathBuf, cause: io::Error, advice: &'static str },
    #[error("{path}: {reason}", path = printable_path(path))]
    BadFile { path: PathBuf, reason: String },
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Away(#[from] crate::domain::Away),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Moved(#[from] crate::domain::Moved),
    #[cfg(feature = "torch")]
    #[error(transparent)]
    Detector(#[from] crate::detector::DetectorError),
    #[error(transparent)]
    Model(#[from] crate::models::ModelError),
    #[error(transparent)]
    Config(#[from] crate::training::ConfigError),
    #[cfg(feature = "torch")]
    #[error(transparent)]
    Training(#[from] crate::training::TrainingError),
    #[error(transparent)]
    Weights(#[from] super::weights_error::WeightsTaskError),
    /// The project does not contain what the request needs.
    #[error("{0}")]
    Refused(String),
    #[error("stopped")]
    Cancelled,
}

impl WorkflowError {
    /// For `map_err` on file operations.
    pub fn io(path: &Path, advice: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |cause| {
            let advice = if cause.kind() == io::ErrorKind::StorageFull {
                "The disk is full. Free some space and run it again; no incomplete file was written."
            } else {
                advice
            };
            Self::Io { path, cause, advice }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let error = WorkflowError::io(Path::new("/x"), "Check the path.")(io::ErrorKind::NotFound.into());
        assert_eq!(error.to_string(), "/x: entity not found. Check the path.");
        assert!(std::error::Error::source(&error).is_none(), "printing the chain would say it again");
    }
}
