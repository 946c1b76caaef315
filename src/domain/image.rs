//! A photograph as the project knows it. Must not know how it is decoded.

use serde::{Deserialize, Serialize};

use super::{DatasetId, ImageId};

/// One photograph of a dataset. Its identity is the content hash; the path may move with the dataset's root.
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
    /// FDDB's fold 1..=10; `None` for background sets.
    pub fold: Option<u8>,
}
