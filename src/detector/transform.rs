//! Prepared pictures -> one batch of normalised, padded images. Must not know ground truth.
//!
//! Shapes: B pictures -> `[B, 3, H, W]`, channels-last in memory, H and W multiples of 32, zeros where a picture ends.

use tch::{Device, Tensor};

use super::config::BackboneFlavour;
use super::{DetectorError, NetworkImage};

/// `pixel * scale + offset` for each channel of the network, and which channel of the picture it reads.
struct Statistics {
    source: [usize; 3],
    scale: [f32; 3],
    offset: [f32; 3],
}

/// ImageNet's mean and deviation in torchvision's flavour; BGR minus (104, 117, 123) in Caffe's.
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

/// The batch, all pictures at the upper left.
pub(super) fn batch(
    images: &[&NetworkImage],
    flavour: BackboneFlavour,
    device: Device,
) -> Result<Tensor, DetectorError> {
    if images.is_empty() {
        return Err(DetectorError::EmptyBatch);
    }
    let side = |of: fn((u32, u32)) -> u32| images.iter().map(|i| of(i.padded())).max().unwrap_or(0) as usize;
    let (width, height) = (side(|(width, _)| width), side(|(_, height)| height));
    let Statistics { source, scale, offset } = statistics(flavour);
    let mut values = vec![0.0_f32; images.len() * height * width * 3];
    for (image, plane) in images.iter().zip(values.chunks_exact_mut(height * width * 3)) {
        if image.width == 0 || image.height == 0 || image.pixels.len() != (image.width * image.height * 3) as usize {
            return Err(DetectorError::EmptyImage { width: image.width, height: image.height });
        }
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
    Ok(Tensor::from_slice(&values).reshape(shape).to_device(device).permute([0, 3, 1, 2]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Fit;

    #[test]
    fn pictures_are_normalised_and_padded() {
        let image = NetworkImage {
            width: 2,
            height: 40,
            pixels: [255.0, 127.5, 0.0].repeat(80),
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
}
