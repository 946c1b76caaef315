//! Converts an image to the network's input: resized like OpenCV's bilinear (without smoothing first), normalised, in planar channels.

use image::RgbImage;

use super::layout::Array;
use super::resize::{Bordered, resize, resize_bordered};
use super::{Anchor, Colour, InputSettings, ModelError, Resize};
use crate::geometry::{Fit, ImagePx, NetworkPx};

/// One image as network input.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// `[3, height, width]` in row-major order.
    pub values: Vec<f32>,
    pub width: usize,
    pub height: usize,
    /// Width and height of the original image.
    pub of_image: (u32, u32),
    /// Maps image pixels to input pixels.
    pub fit: Fit<ImagePx, NetworkPx>,
}

/// Position of the resized image in the input.
struct Place {
    width: u32,
    height: u32,
    left: u32,
    top: u32,
}

/// Resizes and normalises `image` for an input size of `(width, height)`.
pub fn prepare(
    image: &RgbImage,
    settings: &InputSettings,
    (width, height): (u32, u32),
) -> Result<Prepared, ModelError> {
    if image.width() == 0 || image.height() == 0 {
        return Err(ModelError::Runtime("the image is empty; leave it out or decode it again".to_owned()));
    }
    if settings.resize == Resize::Pad {
        return Ok(prepare_padded(image, settings, (width, height)));
    }
    let place = place(image, settings, width, height);
    let resized = resize(image, place.width, place.height);
    let fit = Fit::new(
        f64::from(place.width) / f64::from(image.width()),
        f64::from(place.height) / f64::from(image.height()),
        f64::from(place.left),
        f64::from(place.top),
    );
    let values = normalised(&resized, &place, settings, (width, height));
    Ok(Prepared { values, width: width as usize, height: height as usize, of_image: image.dimensions(), fit })
}

/// Returns the planar values of the resized RGB bytes at their place in the input, and of the padding around them.
fn normalised(resized: &[u8], place: &Place, settings: &InputSettings, (width, height): (u32, u32)) -> Vec<f32> {
    let plane = width as usize * height as usize;
    let channels = match settings.colour {
        Colour::Rgb => [0, 1, 2],
        Colour::Bgr => [2, 1, 0],
    };
    let level = |c: usize, value: u8| ((f64::from(value) * settings.scale - settings.mean[c]) / settings.std[c]) as f32;
    let mut values = Vec::with_capacity(3 * plane);
    for (c, source) in channels.into_iter().enumerate() {
        let table: Vec<f32> = (0..=u8::MAX).map(|value| level(c, value)).collect();
        let start = values.len();
        values.resize(start + plane, table[settings.pad as usize]);
        let rows = values[start..].chunks_exact_mut(width as usize).skip(place.top as usize);
        for (row, pixels) in rows.zip(resized.chunks_exact(place.width as usize * 3)) {
            let out = row[place.left as usize..].iter_mut();
            for (value, pixel) in out.zip(pixels.chunks_exact(3)) {
                *value = table[pixel[source] as usize];
            }
        }
    }
    values
}

/// Pads the image to the input's aspect ratio before resizing it.
fn prepare_padded(image: &RgbImage, settings: &InputSettings, (width, height): (u32, u32)) -> Prepared {
    let (own_width, own_height) = image.dimensions();
    let ratio = (f64::from(own_width) / f64::from(width)).max(f64::from(own_height) / f64::from(height));
    let side = |input: u32, own: u32| ((f64::from(input) * ratio).round() as u32).max(own);
    let (outer_width, outer_height) = (side(width, own_width), side(height, own_height));
    let (left, top) = match settings.anchor {
        Anchor::TopLeft => (0, 0),
        Anchor::Centre => ((outer_width - own_width) / 2, (outer_height - own_height) / 2),
    };
    // The padding is the same in every channel, so the channel order does not matter.
    let bordered = Bordered::new(image, (outer_width, outer_height), (left, top), settings.pad);
    let resized = resize_bordered(&bordered, width, height);
    let values = normalised(&resized, &Place { width, height, left: 0, top: 0 }, settings, (width, height));
    let scale = (f64::from(width) / f64::from(outer_width), f64::from(height) / f64::from(outer_height));
    let fit = Fit::new(scale.0, scale.1, f64::from(left) * scale.0, f64::from(top) * scale.1);
    Prepared { values, width: width as usize, height: height as usize, of_image: image.dimensions(), fit }
}

/// Rounds like ultralytics' LetterBox: each half of the padding is rounded after subtracting or adding 0.1.
fn place(image: &RgbImage, settings: &InputSettings, width: u32, height: u32) -> Place {
    if settings.resize == Resize::Stretch {
        return Place { width, height, left: 0, top: 0 };
    }
    let (own_width, own_height) = (f64::from(image.width()), f64::from(image.height()));
    let ratio = (f64::from(width) / own_width).min(f64::from(height) / own_height);
    let side = |own: f64, most: u32| ((own * ratio).round() as u32).clamp(1, most);
    let (inner_width, inner_height) = (side(own_width, width), side(own_height, height));
    let before = |outer: u32, inner: u32| match settings.anchor {
        Anchor::TopLeft => 0,
        Anchor::Centre => (f64::from(outer - inner) / 2.0 - 0.1).round().max(0.0) as u32,
    };
    Place {
        width: inner_width,
        height: inner_height,
        left: before(width, inner_width),
        top: before(height, inner_height),
    }
}

/// Builds `[rows, 3, H, W]`; rows without an image are zeros.
pub fn batch(prepared: &[&Prepared], rows: usize) -> Array {
    let (width, height) = prepared.first().map_or((1, 1), |first| (first.width, first.height));
    let mut values = Vec::with_capacity(rows * 3 * width * height);
    for image in prepared {
        values.extend_from_slice(&image.values);
    }
    values.resize(rows * 3 * width * height, 0.0);
    Array { shape: vec![rows, 3, height, width], values }
}
