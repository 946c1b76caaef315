//! Computes the perceptual hashes of a box's crop from an image's pixels.

use image::{RgbImage, imageops};
use image_hasher::{HashAlg, HasherConfig};

use crate::domain::PerceptualHashes;
use crate::geometry::BoundingBox;

/// Side length of the perceptual hash in bits: 8 x 8 make 64.
const HASH_SIDE: u32 = 8;

/// Returns the perceptual hashes of a box's crop, rounded to whole pixels and clipped to the image; a box outside is its nearest pixel.
pub fn hashes_of(image: &RgbImage, bbox: &BoundingBox) -> PerceptualHashes {
    let (width, height) = (f64::from(image.width()), f64::from(image.height()));
    let part = bbox.clipped(width, height);
    let (x, y) = (part.x1.floor().min(width - 1.0) as u32, part.y1.floor().min(height - 1.0) as u32);
    let (w, h) = ((part.x2.ceil() as u32).max(x + 1) - x, (part.y2.ceil() as u32).max(y + 1) - y);
    let crop = imageops::crop_imm(image, x, y, w, h).to_image();
    PerceptualHashes { content: content(&crop), perceptual: perceptual(&crop) }
}

fn content(crop: &RgbImage) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    // The same bytes with other dimensions are a different image.
    hasher.update(&crop.width().to_le_bytes()).update(&crop.height().to_le_bytes()).update(crop.as_raw());
    *hasher.finalize().as_bytes()
}

/// The signs of the brightness gradient on an 8 x 8 grid ("dHash").
fn perceptual(crop: &RgbImage) -> u64 {
    let hasher = HasherConfig::new().hash_size(HASH_SIDE, HASH_SIDE).hash_alg(HashAlg::Gradient).to_hasher();
    let hash = hasher.hash_image(crop);
    hash.as_bytes().iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(brightness: u8) -> RgbImage {
        RgbImage::from_fn(90, 70, |x, y| {
            let wave = ((f64::from(x) / 9.0 + 1.0).sin() + (f64::from(y) / 7.0).cos()) * 40.0 + 100.0;
            image::Rgb([wave as u8 + brightness, wave as u8, (x + y) as u8])
        })
    }

    #[test]
    fn equal_pixels_are_equal_content_wherever_they_lie() {
        let mut twice = RgbImage::new(200, 70);
        imageops::replace(&mut twice, &picture(0), 0, 0);
        imageops::replace(&mut twice, &picture(0), 100, 0);
        let (left, right) = (BoundingBox::new(10.0, 10.0, 50.0, 60.0), BoundingBox::new(110.0, 10.0, 150.0, 60.0));
        assert_eq!(hashes_of(&twice, &left), hashes_of(&twice, &right));
        let shifted = BoundingBox::new(111.0, 10.0, 151.0, 60.0);
        assert_ne!(hashes_of(&twice, &left).content, hashes_of(&twice, &shifted).content);
    }

    #[test]
    fn another_light_and_size_change_few_bits_and_another_place_many() {
        let whole = BoundingBox::new(0.0, 0.0, 90.0, 70.0);
        let hashes = hashes_of(&picture(0), &whole);
        let bright = hashes_of(&picture(30), &whole);
        assert_ne!(hashes.content, bright.content);
        assert!(hashes.distance(&bright) <= 4, "{}", hashes.distance(&bright));
        let large = imageops::resize(&picture(0), 180, 140, imageops::FilterType::Triangle);
        let larger = hashes_of(&large, &BoundingBox::new(0.0, 0.0, 180.0, 140.0));
        assert!(hashes.distance(&larger) <= 4, "{}", hashes.distance(&larger));
        let other = hashes_of(&imageops::flip_horizontal(&picture(0)), &whole);
        assert!(hashes.distance(&other) > 12, "{}", hashes.distance(&other));
    }

    #[test]
    fn a_box_beyond_the_edge_has_hashes_too() {
        for outside in [BoundingBox::new(95.0, 80.0, 99.0, 90.0), BoundingBox::new(-9.0, -9.0, -1.0, -1.0)] {
            hashes_of(&picture(0), &outside);
        }
    }
}
