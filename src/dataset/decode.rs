//! Decoding of photographs: EXIF orientation applied; grey, RGBA, CMYK and 16 bit become 8-bit RGB (alpha is dropped, as OpenCV and
//! torchvision do). A file that ends too early is an error, never a half-grey picture. Must not know which dataset it reads.

use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, RgbImage};

use super::DatasetError;

/// What the head of a file says, without decoding its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhotographHeader {
    /// Pixels after EXIF orientation.
    pub width: u32,
    pub height: u32,
    /// EXIF's orientation, 1 to 8: how the stored pixels become upright.
    pub exif_orientation: u8,
}

/// The photograph as 8-bit RGB, upright.
pub fn decode_rgb(path: &Path) -> Result<RgbImage, DatasetError> {
    let bytes = std::fs::read(path).map_err(DatasetError::io("read", path))?;
    decode_rgb_bytes(&bytes, path)
}

/// As [`decode_rgb`], and whether the file's bytes are others than those with this blake3 (lower-case hex).
pub fn decode_rgb_checked(path: &Path, content_hash: &str) -> Result<(RgbImage, bool), DatasetError> {
    let bytes = std::fs::read(path).map_err(DatasetError::io("read", path))?;
    let is_changed = blake3::hash(&bytes).to_hex().as_str() != content_hash;
    Ok((decode_rgb_bytes(&bytes, path)?, is_changed))
}

/// As [`decode_rgb`], from a file's bytes; `path` is only for messages.
pub fn decode_rgb_bytes(bytes: &[u8], path: &Path) -> Result<RgbImage, DatasetError> {
    let failed = |error: image::ImageError| DatasetError::undecodable(path, explain(&error));
    let mut decoder = open(bytes, path)?;
    let orientation = decoder.orientation().map_err(failed)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(failed)?;
    picture.apply_orientation(orientation);
    Ok(picture.into_rgb8())
}

/// Size of the photograph from its head alone, and whether a JPEG is whole; pixels are not decoded. `path` is only for messages.
pub fn read_header(bytes: &[u8], path: &Path) -> Result<PhotographHeader, DatasetError> {
    header_of(open(bytes, path)?, path)
}

/// As [`read_header`], also of a JPEG that is not whole: for what needs no pixels.
pub fn read_size(bytes: &[u8], path: &Path) -> Result<PhotographHeader, DatasetError> {
    header_of(decoder(bytes, path)?, path)
}

fn header_of(mut decoder: impl ImageDecoder, path: &Path) -> Result<PhotographHeader, DatasetError> {
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(DatasetError::undecodable(path, format!("it says that it is {width} x {height} pixels")));
    }
    let orientation = decoder.orientation().map_err(|error| DatasetError::undecodable(path, explain(&error)))?;
    let (width, height) = if turns_sideways(orientation) { (height, width) } else { (width, height) };
    Ok(PhotographHeader { width, height, exif_orientation: orientation.to_exif() })
}

fn open<'a>(bytes: &'a [u8], path: &Path) -> Result<impl ImageDecoder + use<'a>, DatasetError> {
    if image::guess_format(bytes).is_ok_and(|format| format == ImageFormat::Jpeg) && !is_whole_jpeg(bytes) {
        let problem = format!(
            "the JPEG is truncated, it ends after {} bytes without its end marker: copy it again from where it came",
            bytes.len()
        );
        return Err(DatasetError::undecodable(path, problem));
    }
    decoder(bytes, path)
}

fn decoder<'a>(bytes: &'a [u8], path: &Path) -> Result<impl ImageDecoder + use<'a>, DatasetError> {
    let failed = |problem: String| DatasetError::undecodable(path, problem);
    if bytes.is_empty() {
        return Err(failed("the file is empty: copy it again from where it came".into()));
    }
    let reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| failed(error.to_string()))?;
    reader.into_decoder().map_err(|error| failed(explain(&error)))
}

fn explain(error: &image::ImageError) -> String {
    match error {
        image::ImageError::Unsupported(_) => {
            "not a picture that Quarry reads (JPEG, PNG, BMP, GIF, WebP, TIFF, PNM): convert it first".into()
        }
        other => format!("{other}: the file is damaged, copy it again from where it came"),
    }
}

fn turns_sideways(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90 | Orientation::Rotate270 | Orientation::Rotate90FlipH | Orientation::Rotate270FlipH
    )
}

/// Walks the segments of a JPEG (ITU-T T.81, B.1) up to the end-of-image marker. The decoder itself fills what is missing with grey and
/// says nothing. A thumbnail inside EXIF has its own end marker, which is why looking for the last two bytes is not enough.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    const END_OF_IMAGE: u8 = 0xD9;
    let mut at = 2;
    while let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xFF)) {
        at += found + 1;
        match bytes.get(at) {
            Some(&END_OF_IMAGE) => return true,
            // Stuffing, fill bytes, restart markers, start of image, TEM: no length follows.
            Some(0x00 | 0xFF | 0x01 | 0xD0..=0xD8) => {}
            Some(_) => match bytes.get(at + 1..at + 3) {
                Some(&[high, low]) => at += 1 + usize::from(u16::from_be_bytes([high, low])).max(2),
                _ => return false,
            },
            None => return false,
        }
    }
    false
}
