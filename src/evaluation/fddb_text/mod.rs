//! Reads FDDB's text files: image lists, ellipse lists, detection files, image sizes. Accepts what the official program accepts; input that
//! it would silently misread is an error with file and line.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

mod blocks;
mod join;
mod numbers;
mod sizes;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use blocks::{Shape, read_annotations, read_detections, read_list};
pub use join::{Order, join};
pub use numbers::UnreadableScores;
pub use sizes::{ImageSizes, read_sizes};

use super::region::{Region, ScoredRegion};
use crate::domain::{InputError, NOT_UTF_8, UTF_16, advice, limits, printable_path};

/// A file and line, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub path: Arc<Path>,
    /// Counted from 1.
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", printable_path(&self.path), self.line)
    }
}

impl Place {
    /// Returns the line `lines` further down.
    #[must_use]
    pub fn below(&self, lines: usize) -> Self {
        Self { path: self.path.clone(), line: self.line + lines }
    }

    pub(super) fn error(&self, message: impl Into<String>) -> FddbTextError {
        FddbTextError::At { place: self.clone(), message: message.into() }
    }
}

/// Why a text file cannot be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum FddbTextError {
    #[error("cannot read {}: {source}{}", printable_path(path), advice(source))]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{place}: {message}")]
    At { place: Place, message: String },
    #[error("{0}")]
    Files(String),
}

/// A name from an image list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedImage {
    pub name: String,
    pub place: Place,
}

/// An image with its regions, from one block of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Block<T> {
    pub name: String,
    /// The line of the name; region `k` is `k + 2` lines below.
    pub place: Place,
    pub regions: Vec<T>,
}

impl<T> Block<T> {
    pub fn place_of(&self, region: usize) -> Place {
        self.place.below(region + 2)
    }
}

/// The annotated faces of an image.
pub type AnnotatedImage = Block<Region>;
/// The detections of an image.
pub type DetectedImage = Block<ScoredRegion>;

pub(super) fn read_text(path: &Path) -> Result<String, FddbTextError> {
    crate::domain::read_text(path, limits::TEXT).map_err(|error| match error {
        InputError::NotUtf8 { line, .. } => Place { path: path.into(), line }.error(NOT_UTF_8),
        InputError::Utf16 { .. } => Place { path: path.into(), line: 1 }.error(UTF_16),
        error => FddbTextError::Read { path: path.to_owned(), source: error.into() },
    })
}
