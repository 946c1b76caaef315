//! A large image on a canvas: a small version of the whole image, and over it tiles at the visible resolution.

use std::path::Path;

use egui::{Color32, Painter, Rect, pos2};

use super::canvas::{ScreenFit, paint_image, screen_rect};
use crate::app::textures::{Shown, Textures};
use crate::domain::ImageId;
use crate::geometry::BoundingBox;
use crate::jobs::{DecodeKey, DecodeRequest, TILE_SIDE, WHOLE_SIDE_MAX};

/// An image file as input of the decoders.
pub struct ImageSource<'a> {
    pub image: ImageId,
    pub path: &'a Path,
    pub content_hash: &'a str,
}

impl ImageSource<'_> {
    /// Returns the request for the whole image.
    pub fn request(&self) -> DecodeRequest {
        self.part(DecodeKey::Whole(self.image), None)
    }

    pub fn thumbnail(&self, side: u32) -> DecodeRequest {
        self.part(DecodeKey::Thumbnail { image: self.image, side }, None)
    }

    fn part(&self, key: DecodeKey, region: Option<BoundingBox>) -> DecodeRequest {
        let (path, content_hash) = (self.path.to_owned(), self.content_hash.to_owned());
        DecodeRequest { key, image: self.image, path, content_hash, region }
    }
}

/// Paints the loaded parts of the image and requests missing ones. Returns the state of the whole image.
pub fn paint(
    painter: &Painter,
    canvas: Rect,
    fit: &ScreenFit,
    source: &ImageSource<'_>,
    textures: &mut Textures,
) -> Shown {
    let whole = textures.show(source.request());
    paint_image(painter, canvas, fit, &whole);
    let Shown::Ready { covers, .. } = &whole else { return whole };
    let pixels_per_point = f64::from(painter.ctx().pixels_per_point());
    let Some(level) = level(covers, fit.scale_x * pixels_per_point) else { return whole };
    let painter = painter.with_clip_rect(canvas.intersect(painter.clip_rect()));
    for (column, row) in visible(fit, canvas, covers, level) {
        let key = DecodeKey::Tile { image: source.image, level, column, row };
        let region = region(level, column, row, covers);
        if let Shown::Ready { texture, covers, .. } = textures.show(source.part(key, Some(region))) {
            let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            painter.image(texture, screen_rect(fit, &covers), uv, Color32::WHITE);
        }
    }
    whole
}

/// Returns how often the image is halved for the tiles; `None` if the small version is detailed enough. `scale`: display pixels per image
/// pixel.
fn level(whole: &BoundingBox, scale: f64) -> Option<u8> {
    let longest = whole.width().max(whole.height());
    let small = f64::from(WHOLE_SIDE_MAX) / longest;
    if small >= 1.0 || scale.min(1.0) <= small * 1.05 {
        return None;
    }
    Some((1.0 / scale.min(1.0)).log2().floor() as u8)
}

fn tile_side(level: u8) -> f64 {
    f64::from(TILE_SIDE) * f64::from(1_u32 << level)
}

fn region(level: u8, column: u16, row: u16, whole: &BoundingBox) -> BoundingBox {
    let side = tile_side(level);
    BoundingBox::from_xywh(f64::from(column) * side, f64::from(row) * side, side, side).clipped(whole.x2, whole.y2)
}

/// Returns columns and rows of the visible tiles, those nearest to the centre first.
fn visible(fit: &ScreenFit, canvas: Rect, whole: &BoundingBox, level: u8) -> Vec<(u16, u16)> {
    let side = tile_side(level);
    let to_image = fit.inverse();
    let low = to_image.point(f64::from(canvas.min.x), f64::from(canvas.min.y));
    let high = to_image.point(f64::from(canvas.max.x), f64::from(canvas.max.y));
    let range = |low: f64, high: f64, end: f64| {
        let last = ((high.min(end) / side).ceil() as u16).max(1);
        ((low.max(0.0) / side).floor() as u16)..last
    };
    let columns = range(low.0, high.0, whole.x2);
    let mut tiles: Vec<(u16, u16)> =
        range(low.1, high.1, whole.y2).flat_map(|row| columns.clone().map(move |column| (column, row))).collect();
    let middle = (f64::midpoint(low.0, high.0) / side - 0.5, f64::midpoint(low.1, high.1) / side - 0.5);
    let distance = |tile: &(u16, u16)| (f64::from(tile.0) - middle.0).hypot(f64::from(tile.1) - middle.1);
    tiles.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
    tiles
}

#[cfg(test)]
mod tests {
    use egui::vec2;

    use super::*;
    use crate::geometry::Fit;

    #[test]
    fn tiles_cover_what_is_seen_in_a_resolution_that_is_no_lower_than_the_displays() {
        let whole = BoundingBox::new(0.0, 0.0, 14_000.0, 14_000.0);
        assert_eq!(level(&BoundingBox::new(0.0, 0.0, 2000.0, 1000.0), 4.0), None, "the small whole is all there is");
        assert_eq!(level(&whole, 0.1), None);
        for (scale, expected) in [(0.2, 2), (0.3, 1), (0.6, 0), (1.0, 0), (8.0, 0)] {
            assert_eq!(level(&whole, scale), Some(expected), "{scale}");
        }
        let canvas = Rect::from_min_size(pos2(0.0, 0.0), vec2(1200.0, 800.0));
        for scale in [0.2, 0.5, 1.0, 3.0] {
            let fit = Fit::new(scale, scale, -3000.0 * scale, -2000.0 * scale);
            let level = level(&whole, scale).unwrap();
            let tiles = visible(&fit, canvas, &whole, level);
            assert!(tiles.len() <= 24, "{} tiles", tiles.len());
            let covered = tiles.iter().map(|(c, r)| screen_rect(&fit, &region(level, *c, *r, &whole)));
            let covered = covered.reduce(egui::Rect::union).unwrap();
            assert!(covered.expand(0.1).contains_rect(canvas), "{scale}: {covered:?}");
        }
        let corner = Fit::new(1.0, 1.0, -13_500.0, -13_500.0);
        let last = visible(&corner, canvas, &whole, 0);
        assert!(last.iter().all(|(c, r)| region(0, *c, *r, &whole).area() > 0.0), "{last:?}");
    }
}
