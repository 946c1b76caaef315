//! Combines prepared images into one batch of normalised, padded images.
//!
//! Shapes: B images -> `[B, 3, H, W]`, channels-last in memory, H and W multiples of 32, zero-padded.

use tch::{Device, Kind, Tensor};

use super::config::BackboneFlavour;
use super::device::upload;
use super::{DetectorError, NetworkImage};

/// `pixel * scale + offset` for each network channel, and the image channel that it reads.
struct Statistics {
    source: [usize; 3],
    scale: [f32; 3],
    offset: [f32; 3],
}

/// ImageNet's mean and standard deviation in torchvision's flavour; BGR minus (104, 117, 123) in Caffe's.
fn statistics(flavour: BackboneFlavour) -> Statistics {
    match flavour {
        BackboneFlavour::Torchvision => {
            let (mean, deviation) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
            let scale = [0, 1, 2].map(|c: usize| 1.0 / (255.0 * deviation[c]));
            Statistics { source: [0, 1, 2], scale, offset: [0, 1, 2].map(|c: usize| -mean[c] / deviation[c]) }
        }
        BackboneFlavour::Caffe => Statistics { source: [2, 1, 0], scale: [1.0; 3], offset: [-104.0, -117.0, -123.0] },
    }
}

/// Builds the batch, with each image at the top left.
pub(super) fn batch(
    images: &[&NetworkImage],
    flavour: BackboneFlavour,
    device: Device,
) -> Result<Tensor, DetectorError> {
    if images.is_empty() {
        return Err(DetectorError::EmptyBatch);
    }
    if let Some(image) = images.iter().find(|image| !image.is_whole()) {
        return Err(DetectorError::EmptyImage { width: image.width, height: image.height });
    }
    let side = |of: fn((u32, u32)) -> u32| images.iter().map(|i| of(i.padded())).max().unwrap_or(0);
    let size = (side(|(width, _)| width), side(|(_, height)| height));
    // A batch with images that the device should resize is built on the device.
    if device.is_cuda() || images.iter().any(|image| image.source.is_some()) {
        return Ok(batch_on_device(images, &statistics(flavour), size, device));
    }
    Ok(batch_on_cpu(images, &statistics(flavour), size))
}

/// `size` is width and height.
fn batch_on_cpu(images: &[&NetworkImage], statistics: &Statistics, (width, height): (u32, u32)) -> Tensor {
    let Statistics { source, scale, offset } = statistics;
    let (width, height) = (width as usize, height as usize);
    let mut values = vec![0.0_f32; images.len() * height * width * 3];
    for (image, plane) in images.iter().zip(values.chunks_exact_mut(height * width * 3)) {
        let rows = image.pixels.chunks_exact(image.width as usize * 3);
        for (row, out) in rows.zip(plane.chunks_exact_mut(width * 3)) {
            for (pixel, out) in row.chunks_exact(3).zip(out.chunks_exact_mut(3)) {
                for c in 0..3 {
                    out[c] = pixel[source[c]] * scale[c] + offset[c];
                }
            }
        }
    }
    let shape = [images.len() as i64, height as i64, width as i64, 3];
    Tensor::from_slice(&values).reshape(shape).permute([0, 3, 1, 2])
}

/// Resizes, normalises and pads on the device.
fn batch_on_device(
    images: &[&NetworkImage],
    statistics: &Statistics,
    (width, height): (u32, u32),
    device: Device,
) -> Tensor {
    let shape = [images.len() as i64, i64::from(height), i64::from(width), 3];
    let out = Tensor::zeros(shape, (Kind::Float, device)).permute([0, 3, 1, 2]);
    let of_channels = |values: &[f32; 3]| upload(&Tensor::from_slice(values).reshape([3, 1, 1]), device);
    let (scale, offset) = (of_channels(&statistics.scale), of_channels(&statistics.offset));
    let is_reversed = statistics.source == [2, 1, 0];
    for (k, image) in images.iter().enumerate() {
        let (width, height) = (i64::from(image.width), i64::from(image.height));
        // `[3, H, W]`, channels-last in memory.
        let pixels = if let Some(source) = &image.source {
            let shape = [i64::from(source.height()), i64::from(source.width()), 3];
            let bytes = upload(&Tensor::from_slice(source.as_raw()).reshape(shape), device);
            let pixels = bytes.permute([2, 0, 1]).unsqueeze(0).to_kind(Kind::Float);
            pixels.upsample_bilinear2d([height, width], false, None, None).squeeze_dim(0)
        } else {
            upload(&Tensor::from_slice(&image.pixels).reshape([height, width, 3]), device).permute([2, 0, 1])
        };
        let pixels = if is_reversed { pixels.flip([0]) } else { pixels };
        let mut place = out.get(k as i64).narrow(1, 0, height).narrow(2, 0, width);
        place.copy_(&(pixels * &scale + &offset));
    }
    out
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;
    use crate::detector::{Architecture, DetectorConfig};
    use crate::geometry::Fit;

    #[test]
    fn images_are_normalised_and_padded() {
        let image = NetworkImage {
            width: 2,
            height: 40,
            pixels: [255.0, 127.5, 0.0].repeat(80),
            source: None,
            fit: Fit::new(1.0, 1.0, 0.0, 0.0),
        };
        let check = |flavour, expected: [f64; 3]| {
            let out = batch(&[&image], flavour, Device::Cpu).unwrap();
            assert_eq!(out.size(), [1, 3, 64, 32]);
            for (c, value) in expected.into_iter().enumerate() {
                let found = out.double_value(&[0, c as i64, 39, 1]);
                assert!((found - value).abs() < 1e-4, "{flavour:?} {c} {found}");
            }
            assert_eq!(out.double_value(&[0, 0, 40, 0]) + out.double_value(&[0, 2, 0, 2]), 0.0);
        };
        check(BackboneFlavour::Torchvision, [(1.0 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, -0.406 / 0.225]);
        check(BackboneFlavour::Caffe, [-104.0, 10.5, 132.0]);
        assert!(batch(&[], BackboneFlavour::Caffe, Device::Cpu).is_err());
    }

    #[test]
    fn the_devices_operations_give_what_the_plain_loops_give() {
        let config =
            DetectorConfig { shorter_side: 90, longer_side_cap: 150, ..DetectorConfig::of(Architecture::Vgg16) };
        for (width, height) in [(40, 31), (97, 120), (200, 90)] {
            let picture = RgbImage::from_fn(width, height, |x, y| Rgb([(x * 5) as u8, (y * 3) as u8, (x * y) as u8]));
            let (plain, source) =
                (NetworkImage::prepare(&picture, &config), NetworkImage::prepare_for_gpu(&picture, &config));
            let (plain, source) = (plain.unwrap(), source.unwrap());
            assert!(source.source.is_some() && source.bytes() < plain.bytes() && source.fit == plain.fit);
            for flavour in [BackboneFlavour::Torchvision, BackboneFlavour::Caffe] {
                for (plain, source) in [(&plain, &source), (&plain.flipped(), &source.flipped())] {
                    let expected = batch(&[plain], flavour, Device::Cpu).unwrap();
                    let found = batch(&[source], flavour, Device::Cpu).unwrap();
                    let largest = (&expected - &found).abs().max().double_value(&[]);
                    let scale = expected.abs().max().double_value(&[]);
                    assert!(
                        found.size() == expected.size() && largest < 1e-4 * scale,
                        "{flavour:?}: {largest} of {scale}"
                    );
                }
            }
        }
        let large = RgbImage::new(600, 500);
        assert!(
            NetworkImage::prepare_for_gpu(&large, &config).unwrap().source.is_none(),
            "fewer bytes when it is resized"
        );
    }
}
