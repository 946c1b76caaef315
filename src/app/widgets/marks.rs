//! Many shapes over an image: lines of constant width distinguished by colour and dashes, markers for tiny shapes, labels that do not
//! overlap.

use egui::{FontId, Painter, Pos2, Rect, Stroke, pos2, vec2};

use super::canvas::{MARKER_RADIUS, SPECK, ScreenFit, outline};
use crate::app::theme::{self, Tone};
use crate::domain::Shape;

/// Maximum distance of a click from a shape's edge, in points.
const REACH: f32 = 5.0;

/// The style of a shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MarkStyle {
    pub color: Tone,
    pub width: f32,
    /// Lengths of dash and gap; `None`: solid.
    pub dash: Option<(f32, f32)>,
    /// Strength of the fill, 0..=1.
    pub fill: f32,
}

/// A shape with its style.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    pub shape: Shape,
    pub style: MarkStyle,
    /// Shown if there is room; always for emphasised marks.
    pub label: Option<String>,
    /// Drawn stronger, above all others.
    pub emphasised: bool,
}

/// Paints all marks, then their labels: those of emphasised marks first, then in the given order as long as there is room.
pub fn paint(painter: &Painter, canvas: Rect, fit: &ScreenFit, marks: &[Mark]) {
    let painter = painter.with_clip_rect(canvas.intersect(painter.clip_rect()));
    let in_order = || marks.iter().rev().filter(|m| !m.emphasised).chain(marks.iter().rev().filter(|m| m.emphasised));
    for mark in in_order() {
        let points = outline(fit, &mark.shape);
        let bounds = Rect::from_points(&points);
        if canvas.expand(MARKER_RADIUS).intersects(bounds) {
            paint_shape(&painter, &points, bounds, mark);
        }
    }
    let mut taken: Vec<Rect> = Vec::new();
    let by_weight = marks.iter().filter(|m| m.emphasised).chain(marks.iter().filter(|m| !m.emphasised));
    for mark in by_weight {
        let Some(label) = &mark.label else { continue };
        let bounds = Rect::from_points(&outline(fit, &mark.shape));
        if canvas.intersects(bounds) {
            paint_label(&painter, canvas, bounds, label, mark, &mut taken);
        }
    }
}

/// Returns the mark under the pointer: the smallest one that contains it or is near it.
pub fn hit(fit: &ScreenFit, marks: &[Mark], at: Pos2) -> Option<usize> {
    let area = |mark: &Mark| {
        let bounds = Rect::from_points(&outline(fit, &mark.shape));
        let reach = if bounds.width().max(bounds.height()) < SPECK { MARKER_RADIUS } else { REACH };
        bounds.expand(reach).contains(at).then(|| bounds.area())
    };
    let hits = marks.iter().enumerate().filter_map(|(index, mark)| Some((index, area(mark)?)));
    hits.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(index, _)| index)
}

fn paint_shape(painter: &Painter, points: &[Pos2], bounds: Rect, mark: &Mark) {
    let MarkStyle { color, width, dash, fill } = mark.style;
    let color = color.now();
    let width = if mark.emphasised { width + 1.5 } else { width };
    if fill > 0.0 {
        painter.add(egui::Shape::convex_polygon(points.to_vec(), theme::faded(color, fill), Stroke::NONE));
    }
    // A dark line below keeps the colour readable on any image.
    let shade = Stroke::new(width + 2.0, theme::faded(theme::HALO, 0.55));
    let stroke = Stroke::new(width, color);
    match dash {
        None => {
            painter.add(egui::Shape::closed_line(points.to_vec(), shade));
            painter.add(egui::Shape::closed_line(points.to_vec(), stroke));
        }
        Some((length, gap)) => {
            let mut closed = points.to_vec();
            closed.extend(points.first().copied());
            painter.add(egui::Shape::line(closed.clone(), Stroke::new(width + 1.0, theme::faded(theme::HALO, 0.4))));
            // Most dashes of a shape much larger than the canvas are not visible.
            let most = painter.clip_rect().expand(64.0);
            for side in closed.windows(2) {
                if most.intersects(Rect::from_two_pos(side[0], side[1])) {
                    let side = clipped(side[0], side[1], most);
                    painter.extend(egui::Shape::dashed_line(&side, stroke, length, gap));
                }
            }
        }
    }
    if bounds.width().max(bounds.height()) < SPECK {
        painter.circle_stroke(bounds.center(), MARKER_RADIUS, shade);
        painter.circle_stroke(bounds.center(), MARKER_RADIUS, Stroke::new(width.max(1.5), color));
    }
}

/// Clips an axis-aligned side to the visible area; a slanted one is returned unchanged.
fn clipped(a: Pos2, b: Pos2, seen: Rect) -> [Pos2; 2] {
    if a.x == b.x || a.y == b.y { [seen.clamp(a), seen.clamp(b)] } else { [a, b] }
}

fn paint_label(painter: &Painter, canvas: Rect, shape: Rect, text: &str, mark: &Mark, taken: &mut Vec<Rect>) {
    let galley = painter.layout_no_wrap(text.to_owned(), FontId::proportional(12.0), theme::BACKGROUND.now());
    let size = galley.size() + vec2(8.0, 2.0);
    let places = [
        shape.left_top() - vec2(0.0, size.y + 2.0),
        pos2(shape.left(), shape.bottom() + 2.0),
        pos2(shape.right() - size.x, shape.top() - size.y - 2.0),
        pos2(shape.right() + 2.0, shape.top()),
        shape.left_top() + vec2(2.0, 2.0),
    ];
    let inside = canvas.shrink(2.0);
    let fits = |rect: &Rect| inside.contains_rect(*rect) && !taken.iter().any(|other| other.intersects(*rect));
    let rects = places.map(|min| Rect::from_min_size(min, size));
    let held = |rect: Rect| {
        let min = pos2(
            rect.min.x.clamp(inside.min.x, (inside.max.x - size.x).max(inside.min.x)),
            rect.min.y.clamp(inside.min.y, (inside.max.y - size.y).max(inside.min.y)),
        );
        Rect::from_min_size(min, size)
    };
    let place = rects.into_iter().find(fits).or_else(|| mark.emphasised.then(|| held(rects[0])));
    let Some(rect) = place else { return };
    taken.push(rect);
    painter.rect_filled(rect, 3.0, mark.style.color.now());
    painter.galley(rect.min + vec2(4.0, 1.0), galley, theme::BACKGROUND.now());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{BoundingBox, Fit};

    #[test]
    fn the_smallest_mark_under_the_pointer_is_hit_and_specks_are_within_reach() {
        let style = MarkStyle { color: theme::ACCENT, width: 1.0, dash: None, fill: 0.0 };
        let mark = |x: f64, side: f64| Mark {
            shape: Shape::Rectangle(BoundingBox::from_xywh(x, x, side, side)),
            style,
            label: None,
            emphasised: false,
        };
        let marks = [mark(0.0, 100.0), mark(40.0, 20.0), mark(300.0, 2.0)];
        let fit = Fit::new(1.0, 1.0, 0.0, 0.0);
        for (at, expected) in [(50.0, Some(1)), (10.0, Some(0)), (310.0, Some(2)), (200.0, None)] {
            assert_eq!(hit(&fit, &marks, pos2(at, at)), expected, "{at}");
        }
    }
}
