//! A request for an image or a part of it, and the resulting pixels.

use std::path::PathBuf;

use crate::domain::{CandidateId, ImageId};
use crate::geometry::BoundingBox;

/// Maximum side of a whole image: more than the window shows, less than any graphics card's limit.
pub const WHOLE_SIDE_MAX: u32 = 2048;
/// Side length of a tile in pixels.
pub const TILE_SIDE: u32 = 512;

/// Identifies an image or a part of it, at most `side` pixels wide and high.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DecodeKey {
    Whole(ImageId),
    Crop {
        candidate: CandidateId,
        side: u32,
    },
    /// The whole image as a thumbnail.
    Thumbnail {
        image: ImageId,
        side: u32,
    },
    /// A square of [`TILE_SIDE`] pixels of the image halved `level` times.
    Tile {
        image: ImageId,
        level: u8,
        column: u16,
        row: u16,
    },
}

#[derive(Debug, Clone)]
pub struct DecodeRequest {
    pub key: DecodeKey,
    pub image: ImageId,
    pub path: PathBuf,
    /// blake3 of the file at import, lower-case hex.
    pub content_hash: String,
    /// The region to cut out in image pixels; `None` for the whole image.
    pub region: Option<BoundingBox>,
}

/// RGB pixels ready to show, with the image region that they cover.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    pub width: u32,
    pub height: u32,
    pub rgb: Vec<u8>,
    pub covers: BoundingBox,
    /// The file has changed since the import.
    pub is_changed: bool,
}

impl DecodeKey {
    /// Returns the maximum side in pixels.
    pub(super) fn side(self) -> u32 {
        match self {
            Self::Whole(_) => WHOLE_SIDE_MAX,
            Self::Crop { side, .. } | Self::Thumbnail { side, .. } => side,
            Self::Tile { .. } => TILE_SIDE,
        }
    }
}
