//! Resizes RGB bytes bit-exactly like OpenCV's `INTER_LINEAR`, as YOLO's letterbox and most Python preprocessing do.
//!
//! 11-bit weights, rows first, then columns with the same shifts and rounding (`resize.cpp`: `HResizeLinear`, `VResizeLinear`). As in
//! OpenCV, exactly half the size in both directions is the mean of four pixels.

use image::RgbImage;

/// One is 2048.
const BITS: u32 = 11;

/// The source position of a target row or column: two neighbouring indices and their weights.
#[derive(Debug, Clone, Copy)]
struct Tap {
    places: [usize; 2],
    weights: [i32; 2],
}

/// An image with a border of one value, which is never held in memory: around a long thin image it may be thousands of times larger.
pub(super) struct Bordered<'a> {
    image: &'a RgbImage,
    /// Width and height with the border.
    outer: (u32, u32),
    left: usize,
    top: usize,
    border: u8,
}

impl<'a> Bordered<'a> {
    /// The image starts at `(left, top)` within `outer`.
    pub fn new(image: &'a RgbImage, outer: (u32, u32), (left, top): (u32, u32), border: u8) -> Self {
        Self { image, outer, left: left as usize, top: top as usize, border }
    }

    /// The image's pixels in a row, without its border; `None` for a row of the border.
    fn row(&self, y: usize) -> Option<&'a [u8]> {
        let stride = self.image.width() as usize * 3;
        let start = y.checked_sub(self.top)?.checked_mul(stride)?;
        self.image.as_raw().get(start..start + stride)
    }

    fn pixel(&self, row: Option<&[u8]>, x: usize) -> [u8; 3] {
        let inside = row.zip(x.checked_sub(self.left)).and_then(|(row, x)| row.get(x * 3..x * 3 + 3)?.try_into().ok());
        inside.unwrap_or([self.border; 3])
    }
}

/// Resizes to RGB bytes of `width` x `height` in row-major order; both sizes and the image's sides are not 0.
pub(super) fn resize(image: &RgbImage, width: u32, height: u32) -> Vec<u8> {
    resize_bordered(&Bordered::new(image, image.dimensions(), (0, 0), 0), width, height)
}

/// [`resize`] of an image with its border.
pub(super) fn resize_bordered(image: &Bordered<'_>, width: u32, height: u32) -> Vec<u8> {
    let (own_width, own_height) = image.outer;
    if (own_width, own_height) == (width, height) {
        if image.image.dimensions() == image.outer {
            return image.image.as_raw().clone();
        }
        let row = |y| (0..width as usize).flat_map(move |x| image.pixel(image.row(y), x));
        return (0..height as usize).flat_map(row).collect();
    }
    if (u64::from(own_width), u64::from(own_height)) == (2 * u64::from(width), 2 * u64::from(height)) {
        return halved(image);
    }
    let columns = taps(own_width, width, true);
    let mut out = Vec::with_capacity(width as usize * height as usize * 3);
    // The last two resized rows with their indices: neighbouring target rows share them.
    let mut kept: [(usize, Vec<i32>); 2] = [(usize::MAX, Vec::new()), (usize::MAX, Vec::new())];
    for tap in taps(own_height, height, false) {
        if kept[0].0 != tap.places[0] && kept[1].0 == tap.places[0] {
            kept.swap(0, 1);
        }
        for (k, place) in tap.places.into_iter().enumerate() {
            if kept[k].0 != place {
                kept[k].0 = place;
                resize_row(image, place, &columns, &mut kept[k].1);
            }
        }
        let part = |weight: i32, value: i32| (weight * (value >> 4)) >> 16;
        let [upper, lower] = &kept;
        out.extend(upper.1.iter().zip(&lower.1).map(|(&a, &b)| {
            let value = (part(tap.weights[0], a) + part(tap.weights[1], b) + 2) >> 2;
            value.clamp(0, 255) as u8
        }));
    }
    out
}

fn resize_row(image: &Bordered<'_>, y: usize, columns: &[Tap], out: &mut Vec<i32>) {
    out.clear();
    let row = image.row(y);
    for tap in columns {
        let [left, right] = tap.places.map(|x| image.pixel(row, x));
        out.extend(left.iter().zip(right).map(|(&a, b)| i32::from(a) * tap.weights[0] + i32::from(b) * tap.weights[1]));
    }
}

/// `holds_edge`: beyond the edge, a column is the edge column once, a row the edge row twice, each with its weight.
fn taps(own: u32, target: u32, holds_edge: bool) -> Vec<Tap> {
    // As in OpenCV: the inverse of an inverse, and single precision from the fraction on.
    let scale = 1.0 / (f64::from(target) / f64::from(own));
    let last = i64::from(own) - 1;
    let tap = |k: u32| {
        let at = ((f64::from(k) + 0.5) * scale - 0.5) as f32;
        let (mut place, mut part) = (at.floor() as i64, at - at.floor());
        if holds_edge && (place < 0 || place >= last) {
            (place, part) = (place.clamp(0, last), 0.0);
        }
        let weight = |share: f32| (share * (1 << BITS) as f32).round_ties_even() as i32;
        let inside = |place: i64| place.clamp(0, last) as usize;
        Tap { places: [inside(place), inside(place + 1)], weights: [weight(1.0 - part), weight(part)] }
    };
    (0..target).map(tap).collect()
}

fn halved(image: &Bordered<'_>) -> Vec<u8> {
    let (width, height) = image.outer;
    let mut out = Vec::with_capacity(width as usize / 2 * (height as usize / 2) * 3);
    for y in (0..height as usize).step_by(2) {
        let rows = [image.row(y), image.row(y + 1)];
        for x in (0..width as usize).step_by(2) {
            let four = rows.map(|row| [image.pixel(row, x), image.pixel(row, x + 1)]);
            let sum = |c: usize| four.iter().flatten().map(|pixel| u32::from(pixel[c])).sum::<u32>();
            out.extend((0..3).map(|c| ((sum(c) + 2) >> 2) as u8));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source bytes with all values and no equal neighbours; the same as in scripts/resize_fixture.py.
    fn source(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            image::Rgb([0, 1, 2].map(|c: u32| ((x * 73 + y * 151 + c * 199).wrapping_mul(2_654_435) >> 11) as u8))
        })
    }

    /// `width height target-width target-height` and, in the next line, OpenCV's result in hex.
    #[test]
    fn every_byte_is_opencvs() {
        let text = include_str!("../../tests/fixtures/models/opencv_linear.txt");
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.len() >= 20);
        for pair in lines.chunks_exact(2) {
            let sides: Vec<u32> = pair[0].split(' ').map(|word| word.parse().unwrap()).collect();
            let found = resize(&source(sides[0], sides[1]), sides[2], sides[3]);
            let expected: Vec<u8> =
                (0..pair[1].len()).step_by(2).map(|k| u8::from_str_radix(&pair[1][k..k + 2], 16).unwrap()).collect();
            assert_eq!(found, expected, "{}", pair[0]);
        }
    }

    #[test]
    fn a_border_is_resized_as_if_it_were_part_of_the_image() {
        for (own, outer, at, target) in [
            ((30, 10), (30, 30), (0, 10), (16, 16)),
            ((30, 10), (30, 30), (0, 0), (15, 15)),
            ((7, 20), (20, 20), (6, 0), (20, 20)),
            ((7, 20), (21, 20), (7, 0), (50, 41)),
        ] {
            let image = source(own.0, own.1);
            let mut whole = RgbImage::from_pixel(outer.0, outer.1, image::Rgb([114; 3]));
            image::imageops::replace(&mut whole, &image, i64::from(at.0), i64::from(at.1));
            let bordered = resize_bordered(&Bordered::new(&image, outer, at, 114), target.0, target.1);
            assert_eq!(bordered, resize(&whole, target.0, target.1), "{own:?} in {outer:?}");
        }
    }

    #[test]
    fn large_sides_stay_within_their_numbers() {
        for (own, target) in [((1, 1), (70, 3)), ((20_000, 2), (3, 5)), ((3, 9000), (2, 1)), ((2, 2), (1, 1))] {
            let white = RgbImage::from_pixel(own.0, own.1, image::Rgb([255; 3]));
            let found = resize(&white, target.0, target.1);
            assert!(found.len() == (target.0 * target.1 * 3) as usize && found.iter().all(|v| *v == 255), "{own:?}");
        }
    }
}
