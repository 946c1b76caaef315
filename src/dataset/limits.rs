//! How large an image may be: checked against its header before anything is allocated for its pixels.

use std::sync::atomic::{AtomicU32, Ordering};

/// Megapixels (millions of pixels) that are decoded unless more is asked for: 16,000 x 16,000.
pub const DEFAULT_MEGAPIXELS: u32 = 256;

/// Bytes of a decoded pixel, before it becomes 8-bit RGB: 16-bit RGBA.
const BYTES_PER_PIXEL: u64 = 8;

/// One value for the whole program: decoders run in worker threads of several layers that know nothing of the project whose setting it is.
static MEGAPIXELS: AtomicU32 = AtomicU32::new(DEFAULT_MEGAPIXELS);

/// Lets images of up to `megapixels` be decoded from now on; at least one.
pub fn set_max_megapixels(megapixels: u32) {
    MEGAPIXELS.store(megapixels.max(1), Ordering::Relaxed);
}

/// Lets images of up to `megapixels` be decoded, and larger ones where that was allowed before.
pub fn raise_max_megapixels(megapixels: u32) {
    MEGAPIXELS.fetch_max(megapixels, Ordering::Relaxed);
}

/// Megapixels that an image may have.
pub fn max_megapixels() -> u32 {
    MEGAPIXELS.load(Ordering::Relaxed)
}

/// Refuses an image of `width` x `height` pixels that takes `bytes` when it is decoded, if that is too much or nothing at all.
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
    Ok(())
}
