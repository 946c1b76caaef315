//! An import's input to the store, and its report: datasets with their images and objects.

use std::path::PathBuf;

use crate::domain::{DatasetId, Shape};

/// A dataset to import: everything of it, in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDataset {
    pub name: String,
    /// The format's word: `fddb`, `folder`, `sample` ...
    pub kind: String,
    /// Absolute folder that the image paths are relative to.
    pub root: PathBuf,
    /// Names of the classes, each once. One that the project knows by this name, today or before, is that class.
    pub classes: Vec<String>,
    pub images: Vec<NewImage>,
}

/// An image of a [`NewDataset`].
#[derive(Debug, Clone, PartialEq)]
pub struct NewImage {
    /// The name in the dataset's own lists, unique within the dataset.
    pub name: String,
    /// Relative to the dataset's root.
    pub path: PathBuf,
    /// blake3 of the file's bytes, lower-case hex.
    pub content_hash: String,
    pub width: u32,
    pub height: u32,
    /// The named part of the dataset that it belongs to.
    pub split: Option<String>,
    pub objects: Vec<NewObject>,
}

/// An object of a [`NewImage`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewObject {
    /// Index into [`NewDataset::classes`].
    pub class: u32,
    pub shape: Shape,
    /// Neither learnt nor counted.
    pub ignored: bool,
}

/// What an import changes, by the names of images.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// `None` for a dataset that the project does not have yet, while nothing is written.
    pub dataset: Option<DatasetId>,
    pub added: Vec<String>,
    /// Content, size, split or objects differ from the import before.
    pub changed: Vec<String>,
    /// Name or path before and now; the bytes are the same.
    pub moved: Vec<(String, String)>,
    /// No longer in the dataset. They are kept with their verdicts, and used for nothing.
    pub removed: Vec<String>,
    /// There again after they had been removed.
    pub returned: Vec<String>,
    pub unchanged: usize,
    /// Candidates that were found on bytes which their image no longer has.
    pub stale_candidates: usize,
    /// Corrections of objects that the dataset does not have, or has otherwise: they count for nothing until an import brings the object
    /// back as it was corrected.
    pub resting_corrections: usize,
    /// Images with the same bytes as one of another dataset.
    pub same_bytes: Vec<SameBytes>,
}

/// An image of an import with the same bytes as one of another dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SameBytes {
    pub name: String,
    /// The other dataset's name.
    pub dataset: String,
    /// The name there.
    pub other: String,
}
