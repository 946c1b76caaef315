//! Reads datasets from disk: FDDB, annotation formats, plain folders, the built-in sample; decodes images. The user's files are only read.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

mod ahead;
#[cfg(test)]
mod bombs;
mod byte_budget;
mod decode;
#[cfg(test)]
mod decode_tests;
mod error;
pub mod fddb;
mod finder;
mod folder;
pub mod formats;
mod images;
mod imported;
mod jpeg;
mod like_corners;
mod limits;
pub mod results;
#[expect(clippy::indexing_slicing, reason = "it paints its own pixels and reads no file")]
pub mod sample;
mod walk;

pub use ahead::{DecodeAhead, Next, NotReady, Prepare, ReadyImage};
pub use decode::{
    ImageHeader, decode_rgb, decode_rgb_bytes, decode_rgb_checked, read_header, read_image_file, read_size,
};
pub use error::DatasetError;
pub use fddb::read_fddb;
pub use finder::ImageFinder;
pub use folder::read_folder;
pub use images::{IMAGE_EXTENSIONS, is_image};
pub use imported::{BadRecord, ImportSummary, ImportedDataset, ImportedImage, ImportedObject};
pub use like_corners::LikeCorners;
pub use limits::{DEFAULT_MEGAPIXELS, max_megapixels, raise_max_megapixels, set_max_megapixels};
pub use walk::{FoundImages, find_images};
