//! The request to run a third-party model, and the preview before it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::models::ModelFormat;

/// Whether the file is named as a third-party model is.
pub fn is_model(path: &Path) -> bool {
    path.is_file() && ModelFormat::of(path).is_some()
}

/// Which model to run, and what its round is called.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequest {
    /// The model's file.
    pub path: PathBuf,
    /// What the model is called.
    pub name: String,
    /// auto, cpu or cuda:N.
    pub device: String,
    /// What the model's class names are called in the project, where they differ.
    pub map: BTreeMap<String, String>,
    /// Detections below this score are kept and not mined.
    pub min_score: f32,
    /// Instead of those of the newest round that Quarry trained.
    pub test_splits: Option<Vec<String>>,
    pub test_dataset: Option<String>,
}

/// A class of a model, before anything is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelClass {
    pub name: String,
    /// Detections on the images that were looked at.
    pub detections: usize,
    /// The project's class of that name.
    pub in_project: Option<String>,
}

/// What a model is, and what it finds on some of the project's images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPreview {
    /// How images reach the network.
    pub input: String,
    pub images: usize,
    /// Those with most detections first.
    pub classes: Vec<ModelClass>,
}
