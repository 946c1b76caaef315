//! Decodes images: applies EXIF orientation and converts grey, RGBA, CMYK and 16 bit to 8-bit RGB (alpha is dropped, as in OpenCV and
//! torchvision); of an animation the first frame is used. A truncated file is an error, never a half-grey image. Dimensions are checked
//! before pixels are allocated.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};

use super::DatasetError;
use super::byte_budget::{ByteBudget, HeldBytes};
use super::jpeg::{Completeness, completeness};
use super::limits::check_size;
use crate::domain::{InputError, caught, limits, open_regular};

/// Bytes that a decoder may allocate besides the pixels: tables, rows, metadata.
const WORKING_BYTES: u64 = 64 << 20;
/// Larger files are compared with their pixels before they are read. A JPEG of 256 megapixels in the best quality is smaller.
const LARGE_FILE: u64 = 384 << 20;
/// Number of bytes that identify a file's format.
const SIGNATURE_BYTES: u64 = 16;

/// The content of a file's header, without decoding its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageHeader {
    /// Pixels after EXIF orientation.
    pub width: u32,
    pub height: u32,
    /// EXIF orientation, 1 to 8: how the stored pixels become upright.
    pub exif_orientation: u8,
}

/// Decodes the image as upright 8-bit RGB.
pub fn decode_rgb(path: &Path) -> Result<RgbImage, DatasetError> {
    decode_rgb_bytes(&read_image_file(path)?, path)
}

/// [`decode_rgb`]; also returns whether the file's bytes differ from those with this blake3 (lower-case hex).
pub fn decode_rgb_checked(path: &Path, content_hash: &str) -> Result<(RgbImage, bool), DatasetError> {
    let bytes = read_image_file(path)?;
    let is_changed = blake3::hash(&bytes).to_hex().as_str() != content_hash;
    Ok((decode_rgb_bytes(&bytes, path)?, is_changed))
}

/// [`decode_rgb`] from a file's bytes; `path` is only used in messages.
pub fn decode_rgb_bytes(bytes: &[u8], path: &Path) -> Result<RgbImage, DatasetError> {
    guarded(path, || {
        let mut decoder = decoder(bytes)?;
        let whole = whole_jpeg(bytes)?;
        if let Cow::Owned(ended) = &whole {
            return pixels(self::decoder(ended)?);
        }
        // The size is valid, so the decoder may allocate what it needs for it.
        let room = 2 * decoder.total_bytes() + bytes.len() as u64 + WORKING_BYTES;
        decoder.set_limits(allowing(room)).map_err(|error| explain(&error))?;
        pixels(decoder)
    })
}

/// Returns the image size from its header, and checks that a JPEG is complete; pixels are not decoded. `path` is only used in messages.
pub fn read_header(bytes: &[u8], path: &Path) -> Result<ImageHeader, DatasetError> {
    guarded(path, || {
        let decoder = decoder(bytes)?;
        whole_jpeg(bytes)?;
        header_of(decoder)
    })
}

/// [`read_header`] that accepts an incomplete JPEG, for callers that need no pixels.
pub fn read_size(bytes: &[u8], path: &Path) -> Result<ImageHeader, DatasetError> {
    guarded(path, || header_of(decoder(bytes)?))
}

/// Reads an image file. If it is not an image, only its first bytes are read, whatever its size.
pub fn read_image_file(path: &Path) -> Result<Vec<u8>, DatasetError> {
    let (file, size) = open_image(path)?;
    read_opened(file, size, path)
}

/// As [`read_image_file`], once `budget` has room for the file; the bytes count until what comes with them is dropped.
pub(super) fn read_image_file_within<'a>(
    path: &Path,
    budget: &'a ByteBudget,
) -> Result<(Vec<u8>, HeldBytes<'a>), DatasetError> {
    let (file, size) = open_image(path)?;
    let held = budget.take(size);
    Ok((read_opened(file, size, path)?, held))
}

/// The file and its size in bytes, which is within the limit.
fn open_image(path: &Path) -> Result<(File, u64), DatasetError> {
    let (file, size) = open_regular(path)?;
    if size > limits::IMAGE {
        return Err(InputError::TooLarge { path: path.to_owned(), size, limit: limits::IMAGE }.into());
    }
    Ok((file, size))
}

fn read_opened(mut file: File, size: u64, path: &Path) -> Result<Vec<u8>, DatasetError> {
    let mut bytes = Vec::new();
    let failed = DatasetError::io("read", path);
    let mut read = file.by_ref().take(SIGNATURE_BYTES).read_to_end(&mut bytes);
    if let Ok(format) = image::guess_format(&bytes) {
        check_file_size(&file, size, format).map_err(|problem| DatasetError::undecodable(path, problem))?;
        bytes.reserve_exact(size as usize);
        // The file may grow meanwhile.
        read = read.and_then(|_| file.take(limits::IMAGE).read_to_end(&mut bytes));
    }
    read.map(|_| bytes).map_err(failed)
}

/// Refuses a file that is far larger than its pixels can need, before it is read: mostly a hole, or damaged. `file` is at
/// [`SIGNATURE_BYTES`] before and after.
fn check_file_size(file: &File, size: u64, format: ImageFormat) -> Result<(), String> {
    if size <= LARGE_FILE {
        return Ok(());
    }
    let refused = |pixels: &str| {
        let advice = "Check that it is the right file, or copy it again from its source";
        Err(format!("the file has {size} bytes, far more than {pixels}. {advice}"))
    };
    // The decoder of JPEGs reads the whole file for its header.
    if format == ImageFormat::Jpeg {
        return refused("a JPEG within the size limit needs");
    }
    let needed = caught(|| -> Result<(u64, u32, u32), String> {
        let mut start = file;
        start.rewind().map_err(|error| error.to_string())?;
        let mut reader = ImageReader::with_format(BufReader::new(start), format);
        reader.limits(allowing(WORKING_BYTES));
        let decoder = reader.into_decoder().map_err(|error| explain(&error))?;
        let (width, height) = decoder.dimensions();
        check_size(width, height, decoder.total_bytes())?;
        Ok((decoder.total_bytes(), width, height))
    });
    let needed = needed.unwrap_or_else(|_| Err("the file is damaged. Copy it again from its source".into()));
    let (needed, width, height) = needed?;
    if size > 2 * needed + LARGE_FILE {
        return refused(&format!("its {width} x {height} pixels need"));
    }
    let mut rest = file;
    rest.seek(SeekFrom::Start(SIGNATURE_BYTES)).map(drop).map_err(|error| error.to_string())
}

/// Converts errors, and panics of a decoder, to errors that name the file.
fn guarded<T>(path: &Path, work: impl FnOnce() -> Result<T, String>) -> Result<T, DatasetError> {
    let done = caught(work);
    let done =
        done.unwrap_or_else(|_| Err("the decoder failed: the file is damaged. Copy it again from its source".into()));
    done.map_err(|problem| DatasetError::undecodable(path, problem))
}

/// Returns a decoder for an image whose dimensions are within the limits.
fn decoder(bytes: &[u8]) -> Result<impl ImageDecoder, String> {
    if bytes.is_empty() {
        return Err("the file is empty. Copy it again from its source".into());
    }
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    check_head(bytes, reader.format())?;
    reader.limits(allowing(WORKING_BYTES));
    // A JPEG that ends within its header is reported as truncated too.
    let decoder = reader.into_decoder().map_err(|error| whole_jpeg(bytes).err().unwrap_or_else(|| explain(&error)))?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, decoder.total_bytes())?;
    Ok(decoder)
}

/// Checks what has to be known before the format's decoder is created, which already allocates.
fn check_head(bytes: &[u8], format: Option<ImageFormat>) -> Result<(), String> {
    match (format, bytes.get(16..24)) {
        // The header chunk comes first: a row is allocated by its width.
        (Some(ImageFormat::Png), Some(&[a, b, c, d, e, f, g, h])) => {
            check_size(u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]), 0)
        }
        // Metadata is allocated by the length that its chunk claims.
        (Some(ImageFormat::WebP), Some(_)) if !chunks_fit(bytes) => {
            Err("the WebP is truncated. Copy it again from its source".into())
        }
        _ => Ok(()),
    }
}

/// Whether a WebP file's chunks end within it; anything after its data is ignored.
fn chunks_fit(bytes: &[u8]) -> bool {
    const CHUNKS: [&[u8; 4]; 8] = [b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"ICCP", b"VP8 ", b"VP8L", b"XMP "];
    let mut at = 12;
    while let Some(&[n0, n1, n2, n3, a, b, c, d]) = bytes.get(at..at + 8) {
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        at += 8 + length;
        if at > bytes.len() {
            return !CHUNKS.contains(&&[n0, n1, n2, n3]);
        }
        at += length % 2;
    }
    true
}

fn allowing(bytes: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(bytes);
    limits
}

/// Returns the JPEG with an end marker after its data if it has none, and any other file unchanged. Fails if data is missing.
fn whole_jpeg(bytes: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    if !image::guess_format(bytes).is_ok_and(|format| format == ImageFormat::Jpeg) {
        return Ok(Cow::Borrowed(bytes));
    }
    match completeness(bytes) {
        Completeness::Whole { is_ended: true, .. } | Completeness::Unknown { is_ended: true } => {
            Ok(Cow::Borrowed(bytes))
        }
        // What follows is not part of the image, and breaks decoders.
        Completeness::Whole { end, is_ended: false } => {
            Ok(Cow::Owned([bytes.get(..end).unwrap_or(bytes), &[0xFF, 0xD9]].concat()))
        }
        Completeness::Truncated | Completeness::Unknown { is_ended: false } => Err(format!(
            "the JPEG is truncated: its {} bytes do not contain all of its pixels. Copy it again from its source",
            bytes.len()
        )),
    }
}

fn pixels(mut decoder: impl ImageDecoder) -> Result<RgbImage, String> {
    let orientation = decoder.orientation().map_err(|error| explain(&error))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| explain(&error))?;
    picture.apply_orientation(orientation);
    Ok(picture.into_rgb8())
}

fn header_of(mut decoder: impl ImageDecoder) -> Result<ImageHeader, String> {
    let (width, height) = decoder.dimensions();
    let orientation = decoder.orientation().map_err(|error| explain(&error))?;
    let (width, height) = if turns_sideways(orientation) { (height, width) } else { (width, height) };
    Ok(ImageHeader { width, height, exif_orientation: orientation.to_exif() })
}

fn explain(error: &ImageError) -> String {
    match error {
        ImageError::Unsupported(_) => {
            "not an image format that Quarry reads (JPEG, PNG, BMP, GIF, WebP, TIFF, PNM); convert it first".into()
        }
        ImageError::Limits(_) => "decoding it takes far more memory than its pixels; convert it first".into(),
        other => format!("{other}: the file is damaged. Copy it again from its source"),
    }
}

fn turns_sideways(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    )
}
