//! The image size limit, checked against the header before pixels are allocated.

use std::sync::atomic::{AtomicU32, Ordering};

/// Default limit in megapixels (millions of pixels): 16,000 x 16,000.
pub const DEFAULT_MEGAPIXELS: u32 = 256;

/// Maximum side in pixels, far above those of panoramas and satellite images: resizing holds whole rows of floats.
const MOST_SIDE: u32 = 1 << 20;

/// Bytes per decoded pixel before conversion to 8-bit RGB: 16-bit RGBA.
const BYTES_PER_PIXEL: u64 = 8;

/// A process-wide value: decoders run in worker threads of several layers, without access to the project that sets it.
static MEGAPIXELS: AtomicU32 = AtomicU32::new(DEFAULT_MEGAPIXELS);

/// Sets the limit to `megapixels`, at least one.
pub fn set_max_megapixels(megapixels: u32) {
    MEGAPIXELS.store(megapixels.max(1), Ordering::Relaxed);
}

/// Raises the limit to `megapixels` unless it is already higher.
pub fn raise_max_megapixels(megapixels: u32) {
    MEGAPIXELS.fetch_max(megapixels, Ordering::Relaxed);
}

/// Returns the limit in megapixels.
pub fn max_megapixels() -> u32 {
    MEGAPIXELS.load(Ordering::Relaxed)
}

/// Refuses an image of `width` x `height` pixels that needs `bytes` to decode, if it is too large or empty.
pub(super) fn check_size(width: u32, height: u32, bytes: u64) -> Result<(), String> {
    if width == 0 || height == 0 {
        return Err(format!("its header says {width} x {height} pixels"));
    }
    let limit = u64::from(max_megapixels()) * 1_000_000;
    let pixels = u64::from(width) * u64::from(height);
    if pixels > limit || bytes > limit * BYTES_PER_PIXEL {
        return Err(format!(
            "its header says {width} x {height} pixels: {} megapixels, more than the limit of {}. If that is right, raise the limit with `--max-megapixels`",
            pixels.div_ceil(1_000_000),
            max_megapixels()
        ));
    }
    if width.max(height) > MOST_SIDE {
        return Err(format!(
            "its header says {width} x {height} pixels: a side has more than {MOST_SIDE}. Cut it into pieces"
        ));
    }
    Ok(())
}
