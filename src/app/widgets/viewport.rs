//! The visible part of an image on a canvas: zoom to the pointer, pan, fit, one to one.

use egui::{Pos2, Rect, Response, Ui, Vec2};

use super::canvas::{ScreenFit, fit_region};
use crate::geometry::{BoundingBox, Fit};

/// Maximum screen points per image pixel.
const SCALE_MAX: f64 = 64.0;
/// Zoom factor of one key press.
pub const ZOOM_STEP: f64 = 1.4;
/// Zoom per point of wheel movement.
const WHEEL_ZOOM: f64 = 0.004;
/// Fraction of the canvas that one key press pans.
pub const PAN_STEP: f32 = 0.2;

/// The current view. Fitted: the whole image.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Viewport {
    close: Option<Close>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Close {
    /// Image position at the canvas centre, in pixels.
    center: (f64, f64),
    /// Screen points per image pixel.
    scale: f64,
}

impl Viewport {
    pub fn is_fitted(&self) -> bool {
        self.close.is_none()
    }

    /// Returns the centre position and points per pixel; `None`: the whole image.
    pub fn close_up(&self) -> Option<((f64, f64), f64)> {
        self.close.map(|close| (close.center, close.scale))
    }

    /// Maps pixels of an image that covers `whole` to canvas points.
    pub fn fit(&self, whole: &BoundingBox, canvas: Rect) -> ScreenFit {
        let fitted = fit_region(whole, canvas);
        let Some(Close { center, scale }) = self.close.filter(|close| close.scale > fitted.scale_x) else {
            return fitted;
        };
        let middle = canvas.center();
        Fit::new(scale, scale, f64::from(middle.x) - center.0 * scale, f64::from(middle.y) - center.1 * scale)
    }

    /// Zooms by `factor`, with `at` as the fixed point.
    #[must_use]
    pub fn zoomed(&self, whole: &BoundingBox, canvas: Rect, at: Pos2, factor: f64) -> Self {
        let before = self.fit(whole, canvas);
        let (x, y) = before.inverse().point(f64::from(at.x), f64::from(at.y));
        let scale = (before.scale_x * factor).min(SCALE_MAX);
        let from_middle = at - canvas.center();
        let center = (x - f64::from(from_middle.x) / scale, y - f64::from(from_middle.y) / scale);
        Self::at(whole, canvas, center, scale)
    }

    /// Pans the image by this many points.
    #[must_use]
    pub fn panned(&self, whole: &BoundingBox, canvas: Rect, by: Vec2) -> Self {
        let Some(Close { center: (x, y), scale }) = self.close else { return *self };
        Self::at(whole, canvas, (x - f64::from(by.x) / scale, y - f64::from(by.y) / scale), scale)
    }

    /// Shows one image pixel per display pixel, around the current centre.
    #[must_use]
    pub fn one_to_one(&self, whole: &BoundingBox, canvas: Rect, pixels_per_point: f32) -> Self {
        let middle = canvas.center();
        let center = self.fit(whole, canvas).inverse().point(f64::from(middle.x), f64::from(middle.y));
        Self::at(whole, canvas, center, 1.0 / f64::from(pixels_per_point))
    }

    /// Shows a box with its surroundings, unless it is already clearly visible.
    #[must_use]
    pub fn showing(&self, whole: &BoundingBox, canvas: Rect, bbox: &BoundingBox) -> Self {
        let scale = self.fit(whole, canvas).scale_x;
        let longest = bbox.width().max(bbox.height()).max(1.0);
        let wanted = f64::from(canvas.width().min(canvas.height())) / (longest * 4.0);
        let is_visible = super::canvas::screen_rect(&self.fit(whole, canvas), bbox);
        if canvas.contains_rect(is_visible) && longest * scale > 24.0 {
            return *self;
        }
        let close = if longest * scale > 24.0 { scale } else { wanted.min(SCALE_MAX / 4.0) };
        Self::at(whole, canvas, bbox.center(), close)
    }

    /// Keeps the image on the canvas: a larger one covers it, a smaller one stays centred.
    fn at(whole: &BoundingBox, canvas: Rect, center: (f64, f64), scale: f64) -> Self {
        if scale <= fit_region(whole, canvas).scale_x * 1.000_001 {
            return Self::default();
        }
        let hold = |center: f64, low: f64, high: f64, length: f32| {
            let half = f64::from(length) / scale / 2.0;
            if high - low <= 2.0 * half { f64::midpoint(low, high) } else { center.clamp(low + half, high - half) }
        };
        let x = hold(center.0, whole.x1, whole.x2, canvas.width());
        let y = hold(center.1, whole.y1, whole.y2, canvas.height());
        Self { close: Some(Close { center: (x, y), scale }) }
    }
}

/// Returns the viewport after wheel, drag, pinch and double click on a canvas; `None`: unchanged.
pub fn navigate(
    ui: &Ui,
    response: &Response,
    viewport: Viewport,
    whole: &BoundingBox,
    canvas: Rect,
) -> Option<Viewport> {
    let mut moved = viewport;
    if let Some(at) = response.hover_pos() {
        let (wheel, pinch) = ui.input(|input| (input.smooth_scroll_delta().y, input.zoom_delta()));
        let factor = f64::from(pinch) * (f64::from(wheel) * WHEEL_ZOOM).exp();
        if (factor - 1.0).abs() > 1e-6 {
            moved = moved.zoomed(whole, canvas, at, factor);
        }
    }
    if response.dragged() {
        moved = moved.panned(whole, canvas, response.drag_delta());
    }
    if response.double_clicked() {
        moved = Viewport::default();
    }
    (moved != viewport).then_some(moved)
}

#[cfg(test)]
mod tests {
    use egui::{pos2, vec2};

    use super::*;

    const WHOLE: fn() -> BoundingBox = || BoundingBox::new(0.0, 0.0, 4000.0, 2000.0);

    fn canvas() -> Rect {
        Rect::from_min_size(pos2(100.0, 50.0), vec2(800.0, 600.0))
    }

    #[test]
    fn what_is_under_the_pointer_stays_there_while_it_is_zoomed() {
        // Zoomed in enough that the image fills the canvas: before that, margins are prevented on one side.
        let mut viewport = Viewport::default().zoomed(&WHOLE(), canvas(), canvas().center(), 4.0);
        let at = pos2(420.0, 330.0);
        let under = |viewport: &Viewport| viewport.fit(&WHOLE(), canvas()).inverse().point(420.0, 330.0);
        let before = under(&viewport);
        for _ in 0..8 {
            viewport = viewport.zoomed(&WHOLE(), canvas(), at, 1.5);
        }
        let after = under(&viewport);
        assert!((before.0 - after.0).abs() < 1e-6 && (before.1 - after.1).abs() < 1e-6, "{before:?} {after:?}");
        for _ in 0..20 {
            viewport = viewport.zoomed(&WHOLE(), canvas(), at, 0.5);
        }
        assert!(viewport.is_fitted(), "zoomed out it is fitted again");
    }

    #[test]
    fn the_image_cannot_be_lost() {
        let close = Viewport::default().zoomed(&WHOLE(), canvas(), canvas().center(), 10.0);
        for by in [vec2(1e6, 1e6), vec2(-1e6, 0.0), vec2(0.0, -1e6)] {
            let shown = super::super::canvas::screen_rect(
                &close.panned(&WHOLE(), canvas(), by).fit(&WHOLE(), canvas()),
                &WHOLE(),
            );
            assert!(shown.expand(0.01).contains_rect(canvas()), "{by:?}: {shown:?}");
        }
        let wide = Viewport::default().zoomed(&WHOLE(), canvas(), canvas().center(), 1.2);
        let shown = super::super::canvas::screen_rect(&wide.fit(&WHOLE(), canvas()), &WHOLE());
        assert!((shown.center().y - canvas().center().y).abs() < 0.01, "what is smaller stays in the middle");
        assert_eq!(Viewport::default().panned(&WHOLE(), canvas(), vec2(9.0, 9.0)), Viewport::default());
    }

    #[test]
    fn one_to_one_gives_each_pixel_of_the_display_one_of_the_image() {
        let exact = Viewport::default().one_to_one(&WHOLE(), canvas(), 2.0);
        assert!((exact.fit(&WHOLE(), canvas()).scale_x - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_speck_is_brought_closer_and_what_is_seen_well_stays() {
        let speck = BoundingBox::from_xywh(3900.0, 1900.0, 10.0, 10.0);
        let close = Viewport::default().showing(&WHOLE(), canvas(), &speck);
        let shown = super::super::canvas::screen_rect(&close.fit(&WHOLE(), canvas()), &speck);
        assert!(canvas().contains_rect(shown) && shown.width() > 24.0, "{shown:?}");
        let large = BoundingBox::from_xywh(1000.0, 500.0, 600.0, 600.0);
        assert_eq!(Viewport::default().showing(&WHOLE(), canvas(), &large), Viewport::default());
    }
}
