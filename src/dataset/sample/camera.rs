//! Simulates the camera: exposure, white balance, vignette, shake, grain, and quantisation to 8 bits.

use image::{Rgb, RgbImage};

use super::backdrop::Backdrop;
use super::paint::{Canvas, Colour};
use super::rng::Draws;

/// Returns the finished image of a canvas.
pub(super) fn expose(mut canvas: Canvas, draws: &mut Draws, backdrop: Backdrop) -> RgbImage {
    if draws.chance(0.1) {
        canvas.blur(1);
    }
    let exposure = if backdrop == Backdrop::Night { draws.range(0.6, 0.95) } else { draws.range(0.78, 1.14) };
    let contrast = draws.range(0.92, 1.12);
    let warmth = draws.bell() * 0.09;
    let grey = draws.chance(0.06);
    let (grain, vignette) = (draws.range(0.004, 0.03), draws.range(0.05, 0.4));
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let mut picture = RgbImage::new(canvas.width as u32, canvas.height as u32);
    for (at, (pixel, colour)) in picture.pixels_mut().zip(&canvas.pixels).enumerate() {
        let (x, y) = ((at % canvas.width) as f32 / w - 0.5, (at / canvas.width) as f32 / h - 0.5);
        let light = exposure * (1.0 - vignette * (x * x + y * y) * 1.6);
        let noise = (draws.unit() * 2.0 - 1.0) * grain * 1.2;
        let [r, g, b] = if grey { luminance(*colour) } else { *colour };
        let balanced = if grey { [r, g, b] } else { [r * (1.0 + warmth), g, b * (1.0 - warmth)] };
        let byte =
            |channel: f32| (((channel * light - 0.5) * contrast + 0.5 + noise).clamp(0.0, 1.0) * 255.0).round() as u8;
        *pixel = Rgb(balanced.map(byte));
    }
    picture
}

fn luminance([r, g, b]: Colour) -> Colour {
    [0.299 * r + 0.587 * g + 0.114 * b; 3]
}
