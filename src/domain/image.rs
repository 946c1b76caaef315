//! An image as the project knows it.

use serde::{Deserialize, Serialize};

use super::{DatasetId, ImageId};

/// One image of a dataset. Its identity is the content hash; the path may move with the dataset's root.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageRecord {
    pub id: ImageId,
    pub dataset: DatasetId,
    /// The name in the dataset's own lists, e.g. FDDB's `2002/08/11/big/img_591` (no extension).
    pub name: String,
    /// Path relative to the dataset's root, with `/`.
    pub path: String,
    /// blake3 of the file's bytes, lower-case hex.
    pub content_hash: String,
    /// Pixels after EXIF orientation.
    pub width: u32,
    pub height: u32,
    /// The named part of its dataset: `train`, `val`, FDDB's folds `1` to `10`; `None` where it has no parts.
    pub split: Option<String>,
}

impl ImageRecord {
    /// The number of a split that is one of several folds, which have numbers from 1 for names.
    pub fn fold(&self) -> Option<u8> {
        self.split.as_deref().and_then(fold_number)
    }
}

/// The number that a split's name is, from 1.
pub fn fold_number(split: &str) -> Option<u8> {
    split.parse().ok().filter(|number: &u8| *number > 0 && number.to_string() == split)
}
