//! The request to run a third-party model, and the preview before it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::models::ModelFormat;

/// Whether the file has a third-party model's extension.
pub fn is_model(path: &Path) -> bool {
    path.is_file() && ModelFormat::of(path).is_some()
}

/// The model to run, and its round's name.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequest {
    /// The model's file.
    pub path: PathBuf,
    /// The model's name.
    pub name: String,
    /// auto, cpu or cuda:N.
    pub device: String,
    /// Class names of the project, if they differ from the model's.
    pub map: BTreeMap<String, String>,
    /// Detections below this score are stored but not mined.
    pub min_score: f32,
    /// Overrides those of the newest round that Quarry trained.
    pub test_splits: Option<Vec<String>>,
    pub test_dataset: Option<String>,
}

/// A class of a model in the preview.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelClass {
    pub name: String,
    /// Number of detections on the previewed images.
    pub detections: usize,
    /// The project's class with that name.
    pub in_project: Option<String>,
}

/// A model's properties, and its detections on some of the project's images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPreview {
    /// How images are fed to the network.
    pub input: String,
    pub images: usize,
    /// Sorted by descending number of detections.
    pub classes: Vec<ModelClass>,
}
