//! A request for an image or a part of it, and the pixels that answer it.

use std::path::PathBuf;

use crate::domain::{CandidateId, ImageId};
use crate::geometry::BoundingBox;

/// Longest side of a whole image: more than the window shows, less than what any graphics card takes.
pub const WHOLE_SIDE_MAX: u32 = 2048;
/// Pixels of a tile's sides.
pub const TILE_SIDE: u32 = 512;

/// Which image: the whole image, or a part of it, at most `side` pixels wide and high.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DecodeKey {
    Whole(ImageId),
    Crop {
        candidate: CandidateId,
        side: u32,
    },
    /// The whole image, small.
    Thumbnail {
        image: ImageId,
        side: u32,
    },
    /// A square of [`TILE_SIDE`] pixels of the image shrunk `level` times by half.
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
    /// blake3 of the file when it was imported, lower-case hex.
    pub content_hash: String,
    /// The part to cut out, in pixels of the image; `None` for the whole.
    pub region: Option<BoundingBox>,
}

/// RGB pixels ready to be shown, with the part of the image that they cover.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels {
    pub width: u32,
    pub height: u32,
    pub rgb: Vec<u8>,
    pub covers: BoundingBox,
    /// The file differs from the one that was imported.
    pub is_changed: bool,
}

impl DecodeKey {
    /// Longest side of the image in pixels.
    pub(super) fn side(self) -> u32 {
        match self {
            Self::Whole(_) => WHOLE_SIDE_MAX,
            Self::Crop { side, .. } | Self::Thumbnail { side, .. } => side,
            Self::Tile { .. } => TILE_SIDE,
        }
    }
}
