//! An import's input to the store: datasets with their images and objects. Also its report.

use std::path::PathBuf;

use crate::domain::{DatasetId, Shape};

/// A dataset to import completely in one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDataset {
    pub name: String,
    /// The format's name: `fddb`, `folder`, `sample` ...
    pub kind: String,
    /// Absolute folder that the image paths are relative to.
    pub root: PathBuf,
    /// Unique class names. A name that the project knows, currently or formerly, refers to that class.
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
    /// The split that it belongs to.
    pub split: Option<String>,
    pub objects: Vec<NewObject>,
}

/// An object of a [`NewImage`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NewObject {
    /// Index into [`NewDataset::classes`].
    pub class: u32,
    pub shape: Shape,
    /// Excluded from training and from the counts.
    pub ignored: bool,
}

/// The changes made by an import, by image name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportCounts {
    /// `None` in a preview of a dataset that is not in the project yet.
    pub dataset: Option<DatasetId>,
    pub added: Vec<String>,
    /// Content, size, split or objects differ from the previous import.
    pub changed: Vec<String>,
    /// Name or path before and now; the content is the same.
    pub moved: Vec<(String, String)>,
    /// No longer in the dataset. They are kept with their verdicts and otherwise unused.
    pub removed: Vec<String>,
    /// Present again after they had been removed.
    pub returned: Vec<String>,
    pub unchanged: usize,
    /// Candidates found in content that their image no longer has.
    pub stale_candidates: usize,
    /// Corrections of objects that are missing or different in the dataset: inactive until an import restores the object as it was
    /// corrected.
    pub resting_corrections: usize,
    /// Images with the same content as one of another dataset.
    pub same_bytes: Vec<SameBytes>,
}

/// An image of an import with the same content as one of another dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SameBytes {
    pub name: String,
    /// The other dataset's name.
    pub dataset: String,
    /// The image's name there.
    pub other: String,
}
