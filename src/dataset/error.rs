//! Errors of reading a dataset and of writing the sample. Every message names the file, the line if there is one, and what to do.

use std::path::{Path, PathBuf};

use crate::domain::{InputError, advice, printable_path};

/// Errors of the dataset layer.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file or folder could not be read or written; the operating system's reason is at the end.
    #[error("cannot {action} {}: {source}{}", printable_path(path), advice(source))]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{} does not exist or is not a folder: {hint}", printable_path(path))]
    NotAFolder { path: PathBuf, hint: &'static str },
    /// A line of an annotation file is invalid; lines count from 1.
    #[error("{}:{line}: {problem}", printable_path(path))]
    Line { path: PathBuf, line: usize, problem: String },
    /// The files of a dataset contradict each other.
    #[error("{}: {problem}", printable_path(path))]
    Layout { path: PathBuf, problem: String },
    #[error("cannot decode {}: {problem}", printable_path(path))]
    Undecodable { path: PathBuf, problem: String },
    /// A file that is not a regular file, is too large or is not UTF-8.
    #[error(transparent)]
    Input(#[from] InputError),
    #[error("cancelled")]
    Cancelled,
}

impl DatasetError {
    pub(super) fn io<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> Self + use<'a> {
        move |source| Self::Io { action, path: path.to_path_buf(), source }
    }

    pub(super) fn line(path: &Path, line: usize, problem: impl Into<String>) -> Self {
        Self::Line { path: path.to_path_buf(), line, problem: problem.into() }
    }

    pub(super) fn layout(path: &Path, problem: impl Into<String>) -> Self {
        Self::Layout { path: path.to_path_buf(), problem: problem.into() }
    }

    pub(super) fn undecodable(path: &Path, problem: impl Into<String>) -> Self {
        Self::Undecodable { path: path.to_path_buf(), problem: problem.into() }
    }
}
