//! An image of the project.

use serde::{Deserialize, Serialize};

use super::{DatasetId, ImageId};

/// One image of a dataset, identified by its content hash; its path may change with the dataset's root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageRecord {
    pub id: ImageId,
    pub dataset: DatasetId,
    /// The name in the dataset's own lists, without extension, e.g. FDDB's `2002/08/11/big/img_591`.
    pub name: String,
    /// Path relative to the dataset's root, with `/` separators.
    pub path: String,
    /// blake3 of the file's bytes, lower-case hex.
    pub content_hash: String,
    /// In pixels after EXIF orientation.
    pub width: u32,
    pub height: u32,
    /// The split: `train`, `val`, or FDDB's folds `1` to `10`; `None` if the dataset has no splits.
    pub split: Option<String>,
}

impl ImageRecord {
    /// Returns the fold number, if the split is one of several folds (named by numbers from 1).
    pub fn fold(&self) -> Option<u8> {
        self.split.as_deref().and_then(fold_number)
    }
}

/// Parses a split name as a fold number from 1.
pub fn fold_number(split: &str) -> Option<u8> {
    split.parse().ok().filter(|number: &u8| *number > 0 && number.to_string() == split)
}
