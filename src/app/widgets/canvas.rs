//! An image on the screen with shapes drawn over it.

use egui::{Align2, Color32, FontId, Painter, Pos2, Rect, Stroke, StrokeKind, pos2, vec2};

use crate::app::textures::Shown;
use crate::app::theme::{self, Tone};
use crate::domain::Shape;
use crate::geometry::{BoundingBox, Ellipse, Fit, ImagePx, ScreenPx};

/// Number of points of an ellipse's outline.
const OUTLINE_POINTS: usize = 72;

/// A shape smaller than this on the screen, in points, gets a marker around it.
pub const SPECK: f32 = 9.0;
pub const MARKER_RADIUS: f32 = 11.0;

/// Maps image pixels to screen points.
pub type ScreenFit = Fit<ImagePx, ScreenPx>;

/// A shape over the image.
#[derive(Debug, Clone, PartialEq)]
pub struct Overlay {
    pub shape: Shape,
    pub color: Tone,
    pub width: f32,
    pub dashed: bool,
    /// Text above the shape.
    pub label: Option<String>,
}

/// Fits `region` of the image into `screen`, centred.
pub fn fit_region(region: &BoundingBox, screen: Rect) -> ScreenFit {
    let (w, h) = (region.width().max(1.0), region.height().max(1.0));
    let scale = (f64::from(screen.width()) / w).min(f64::from(screen.height()) / h);
    let (cx, cy) = region.center();
    let center = screen.center();
    Fit::new(scale, scale, f64::from(center.x) - cx * scale, f64::from(center.y) - cy * scale)
}

/// Returns the square around a box that gives it context: `factor` times its longer side.
pub fn context_region(bbox: &BoundingBox, factor: f64) -> BoundingBox {
    let side = bbox.width().max(bbox.height()).max(1.0) * factor;
    let (cx, cy) = bbox.center();
    BoundingBox::new(cx - side / 2.0, cy - side / 2.0, cx + side / 2.0, cy + side / 2.0)
}

pub fn screen_rect(fit: &ScreenFit, b: &BoundingBox) -> Rect {
    let s = fit.bounding_box(b);
    Rect::from_min_max(pos2(s.x1 as f32, s.y1 as f32), pos2(s.x2 as f32, s.y2 as f32))
}

pub fn screen_pos(fit: &ScreenFit, x: f64, y: f64) -> Pos2 {
    let (x, y) = fit.point(x, y);
    pos2(x as f32, y as f32)
}

/// Minimum width in points for showing the reason.
const ROOM_FOR_REASON: f32 = 220.0;

/// Paints the image, or a short note on why it cannot be shown.
pub fn paint_image(painter: &Painter, screen: Rect, fit: &ScreenFit, shown: &Shown) {
    let painter = painter.with_clip_rect(screen.intersect(painter.clip_rect()));
    painter.rect_filled(screen, theme::IMAGE_RADIUS, theme::CANVAS);
    match shown {
        Shown::Ready { texture, covers, .. } => {
            let uv = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            painter.image(*texture, screen_rect(fit, covers), uv, Color32::WHITE);
        }
        Shown::Waiting => {}
        Shown::Failed(reason) => {
            let font = FontId::proportional(14.0);
            // A thumbnail has no space for the reason.
            let text = match screen.width() {
                ..ROOM_FOR_REASON => "Cannot be shown".to_owned(),
                _ => format!("This image cannot be shown\n{reason}"),
            };
            let galley = painter.layout(text, font, theme::ERROR.now(), screen.width() - 24.0);
            painter.galley(screen.center() - galley.size() / 2.0, galley, theme::ERROR.now());
        }
    }
}

pub fn paint_overlay(painter: &Painter, screen: Rect, fit: &ScreenFit, overlay: &Overlay) {
    let painter = painter.with_clip_rect(screen.intersect(painter.clip_rect()));
    let points = outline(fit, &overlay.shape);
    // A line below keeps the colour readable on any image.
    painter.add(egui::Shape::closed_line(
        points.clone(),
        Stroke::new(overlay.width + 2.0, theme::faded(theme::HALO, 0.55)),
    ));
    let stroke = Stroke::new(overlay.width, overlay.color);
    if overlay.dashed {
        let mut closed = points.clone();
        closed.extend(points.first().copied());
        painter.extend(egui::Shape::dashed_line(&closed, stroke, 6.0, 4.0));
    } else {
        painter.add(egui::Shape::closed_line(points.clone(), stroke));
    }
    // A tiny shape gets a marker that is visible at any zoom.
    let bounds = Rect::from_points(&points);
    if bounds.width().max(bounds.height()) < SPECK {
        painter.circle_stroke(
            bounds.center(),
            MARKER_RADIUS,
            Stroke::new(overlay.width + 2.0, theme::faded(theme::HALO, 0.55)),
        );
        painter.circle_stroke(bounds.center(), MARKER_RADIUS, stroke);
    }
    if let Some(label) = &overlay.label {
        paint_label(&painter, Rect::from_points(&points), screen, label, overlay.color);
    }
}

fn paint_label(painter: &Painter, shape: Rect, screen: Rect, text: &str, color: impl Into<Color32>) {
    let galley = painter.layout_no_wrap(text.to_owned(), FontId::proportional(12.0), theme::BACKGROUND.now());
    let size = galley.size() + vec2(8.0, 2.0);
    let above = shape.left_top() - vec2(0.0, size.y + 2.0);
    let position = if screen.top() < above.y { above } else { shape.left_top() + vec2(2.0, 2.0) };
    painter.rect_filled(Rect::from_min_size(position, size), 3.0, color);
    painter.galley(position + vec2(4.0, 1.0), galley, theme::BACKGROUND.now());
}

/// Returns the corners or outline points of a shape on the screen.
pub fn outline(fit: &ScreenFit, shape: &Shape) -> Vec<Pos2> {
    match shape {
        Shape::Rectangle(b) => {
            let r = screen_rect(fit, b);
            vec![r.left_top(), r.right_top(), r.right_bottom(), r.left_bottom()]
        }
        Shape::Ellipse(e) => ellipse_outline(fit, e),
    }
}

fn ellipse_outline(fit: &ScreenFit, ellipse: &Ellipse) -> Vec<Pos2> {
    ellipse.outline(OUTLINE_POINTS).into_iter().map(|(x, y)| screen_pos(fit, x, y)).collect()
}

/// A thin frame around an image.
pub fn paint_frame(painter: &Painter, screen: Rect, color: impl Into<Color32>, width: f32) {
    painter.rect_stroke(screen, theme::IMAGE_RADIUS, Stroke::new(width, color), StrokeKind::Inside);
}

/// A small filled tag in a corner.
pub fn paint_tag(painter: &Painter, corner: Pos2, align: Align2, text: &str, color: impl Into<Color32>) {
    let galley = painter.layout_no_wrap(text.to_owned(), FontId::proportional(12.0), theme::BACKGROUND.now());
    let rect = align.anchor_size(corner, galley.size() + vec2(10.0, 4.0));
    painter.rect_filled(rect, 4.0, color);
    painter.galley(rect.min + vec2(5.0, 2.0), galley, theme::BACKGROUND.now());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_centred_and_fits() {
        let screen = Rect::from_min_size(pos2(100.0, 50.0), vec2(400.0, 200.0));
        let fit = fit_region(&BoundingBox::new(0.0, 0.0, 100.0, 100.0), screen);
        let shown = screen_rect(&fit, &BoundingBox::new(0.0, 0.0, 100.0, 100.0));
        assert_eq!((shown.width(), shown.height()), (200.0, 200.0));
        assert_eq!(shown.center(), screen.center());
        let (x, y) = fit.inverse().point(300.0, 150.0);
        assert!((x - 50.0).abs() < 1e-9 && (y - 50.0).abs() < 1e-9);
    }

    #[test]
    fn context_is_a_square_around_the_box() {
        let context = context_region(&BoundingBox::new(10.0, 10.0, 30.0, 50.0), 2.0);
        assert_eq!([context.x1, context.y1, context.x2, context.y2], [-20.0, -10.0, 60.0, 70.0]);
    }
}
