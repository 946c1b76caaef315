//! An image resized for the network, like torchvision's transform. Torch-free and `Send`, so that workers can prepare it.

use image::RgbImage;

use super::{DetectorConfig, DetectorError};
use crate::geometry::{Fit, ImagePx, NetworkPx};

/// Sides are padded to multiples of this, so that feature maps of all strides up to 32 fit (torchvision's `size_divisible`).
pub(super) const SIDE_MULTIPLE: u32 = 32;

/// A resized image. `fit` maps the image's pixels to these; its inverse is exact.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkImage {
    pub width: u32,
    pub height: u32,
    /// Red, green, blue (0..=255, not rounded, to match torchvision's numbers) in row-major order.
    pub pixels: Vec<f32>,
    /// The original image if a GPU resizes it; `pixels` is empty then. It is smaller, and the GPU has spare capacity.
    pub source: Option<RgbImage>,
    pub fit: Fit<ImagePx, NetworkPx>,
}

impl NetworkImage {
    /// Resizes bilinearly (no antialiasing, half-pixel centres, like torchvision) to the config's shorter side and cap.
    pub fn prepare(image: &RgbImage, config: &DetectorConfig) -> Result<Self, DetectorError> {
        let resized = Self::without_pixels(image, config)?;
        let columns = taps(image.width(), resized.width);
        let rows = taps(image.height(), resized.height);
        Ok(Self { pixels: resize(image, &columns, &rows), ..resized })
    }

    /// [`NetworkImage::prepare`] for a GPU, which resizes the image itself, unless the original is larger than the resized image.
    pub fn prepare_for_gpu(image: &RgbImage, config: &DetectorConfig) -> Result<Self, DetectorError> {
        let resized = Self::without_pixels(image, config)?;
        let resized_bytes = u64::from(resized.width) * u64::from(resized.height) * size_of::<f32>() as u64;
        if u64::from(image.width()) * u64::from(image.height()) > resized_bytes {
            return Self::prepare(image, config);
        }
        Ok(Self { source: Some(image.clone()), ..resized })
    }

    /// Returns only size and `fit`.
    fn without_pixels(image: &RgbImage, config: &DetectorConfig) -> Result<Self, DetectorError> {
        let (width, height) = image.dimensions();
        if width == 0 || height == 0 {
            return Err(DetectorError::EmptyImage { width, height });
        }
        let (new_width, new_height) = network_size(width, height, config);
        let fit =
            Fit::new(f64::from(new_width) / f64::from(width), f64::from(new_height) / f64::from(height), 0.0, 0.0);
        Ok(Self { width: new_width, height: new_height, pixels: Vec::new(), source: None, fit })
    }

    /// Returns the bytes of its pixels.
    pub fn bytes(&self) -> u64 {
        let source = self.source.as_ref().map_or(0, |source| source.as_raw().len());
        (self.pixels.len() * size_of::<f32>() + source) as u64
    }

    /// Whether the number of pixels matches its size.
    #[cfg(feature = "torch")]
    pub(super) fn is_whole(&self) -> bool {
        let is_resized = self.source.is_some() || self.pixels.len() == (self.width * self.height * 3) as usize;
        self.width > 0 && self.height > 0 && is_resized
    }

    /// Returns width and height of the network input, padded to whole cells of every feature map. Images for which these are equal can
    /// share a batch without affecting their detections.
    /// change of what is found on them.
    pub fn padded(&self) -> (u32, u32) {
        (self.width.next_multiple_of(SIDE_MULTIPLE), self.height.next_multiple_of(SIDE_MULTIPLE))
    }

    /// Mirrors it left to right. `fit` stays that of the unmirrored image.
    #[must_use]
    pub fn flipped(&self) -> Self {
        let mut pixels = Vec::with_capacity(self.pixels.len());
        for row in self.pixels.chunks_exact(self.width as usize * 3) {
            for pixel in row.chunks_exact(3).rev() {
                pixels.extend_from_slice(pixel);
            }
        }
        Self { pixels, source: self.source.as_ref().map(image::imageops::flip_horizontal), ..*self }
    }
}

/// Returns the network's input size: torchvision's `min(shorter / min, cap / max)`, sides rounded down, at least 1.
fn network_size(width: u32, height: u32, config: &DetectorConfig) -> (u32, u32) {
    let shorter = f64::from(width.min(height));
    let longer = f64::from(width.max(height));
    let scale = (f64::from(config.shorter_side) / shorter).min(f64::from(config.longer_side_cap) / longer);
    let side = |v: u32| ((f64::from(v) * scale).floor() as u32).max(1);
    (side(width), side(height))
}

/// The two source positions of a target position and the weight of the second.
struct Tap {
    first: usize,
    second: usize,
    share: f32,
}

fn taps(from: u32, to: u32) -> Vec<Tap> {
    let scale = from as f32 / to as f32;
    let last = from as usize - 1;
    let tap = |k: u32| {
        let source = ((k as f32 + 0.5) * scale - 0.5).max(0.0);
        let first = (source as usize).min(last);
        Tap { first, second: (first + 1).min(last), share: source - first as f32 }
    };
    (0..to).map(tap).collect()
}

fn resize(image: &RgbImage, columns: &[Tap], rows: &[Tap]) -> Vec<f32> {
    let stride = image.width() as usize * 3;
    let bytes = image.as_raw();
    let mut out = Vec::with_capacity(columns.len() * rows.len() * 3);
    for row in rows {
        let upper = &bytes[row.first * stride..(row.first + 1) * stride];
        let lower = &bytes[row.second * stride..(row.second + 1) * stride];
        for column in columns {
            for channel in 0..3 {
                let (a, b) = (column.first * 3 + channel, column.second * 3 + channel);
                let above = mix(f32::from(upper[a]), f32::from(upper[b]), column.share);
                let below = mix(f32::from(lower[a]), f32::from(lower[b]), column.share);
                out.push(mix(above, below, row.share));
            }
        }
    }
    out
}

fn mix(first: f32, second: f32, share: f32) -> f32 {
    (1.0 - share) * first + share * second
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::Architecture;

    fn config(shorter: u32, cap: u32) -> DetectorConfig {
        let mut config = DetectorConfig::of(Architecture::ResNet18Fpn);
        (config.shorter_side, config.longer_side_cap) = (shorter, cap);
        config
    }

    #[test]
    fn sizes_keep_the_shorter_side_or_the_cap() {
        let check = |size: (u32, u32), expected: (u32, u32)| {
            assert_eq!(network_size(size.0, size.1, &config(300, 500)), expected, "{size:?}");
        };
        check((450, 300), (450, 300));
        check((400, 600), (300, 450));
        check((1000, 100), (500, 50));
        check((4000, 1), (500, 1));
        check((1, 1), (300, 300));
    }

    #[test]
    fn enlarging_two_pixels_gives_torchs_numbers() {
        // torch.nn.functional.interpolate([[0, 100]], size=(1, 4), mode="bilinear") is [0, 25, 75, 100].
        let image = RgbImage::from_fn(2, 1, |x, _| image::Rgb([x as u8 * 100; 3]));
        let out = resize(&image, &taps(2, 4), &taps(1, 1));
        let red: Vec<f32> = out.chunks_exact(3).map(|p| p[0]).collect();
        assert_eq!(red, [0.0, 25.0, 75.0, 100.0]);
    }

    #[test]
    fn flipping_twice_changes_nothing_and_empty_images_are_refused() {
        let image = RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8, y as u8, 7]));
        let prepared = NetworkImage::prepare(&image, &config(60, 90)).unwrap();
        assert_eq!((prepared.width, prepared.height), (80, 60));
        assert_ne!(prepared.flipped(), prepared);
        assert_eq!(prepared.flipped().flipped(), prepared);
        let error = NetworkImage::prepare(&RgbImage::new(0, 5), &config(60, 90)).unwrap_err();
        assert!(error.to_string().contains("0 x 5"), "{error}");
    }
}
