//! Draws objects and changes their shapes with the mouse.

use egui::{Color32, CursorIcon, Rect, Response, Sense, Stroke, StrokeKind, Ui, Vec2, vec2};

use super::ImagesView;
use crate::app::command::{ImagesCommand, Tool};
use crate::app::theme;
use crate::app::views::review::Handle;
use crate::app::widgets::canvas::{self, Overlay, ScreenFit};
use crate::geometry::BoundingBox;

const HANDLE_RADIUS: f32 = 6.0;
/// Minimum drag length in image pixels for drawing.
const SMALLEST: f64 = 3.0;

/// Handles a drag that draws; the box is sent when it ends.
pub(super) fn draw(ui: &Ui, view: &mut ImagesView<'_>, response: &Response, fit: &ScreenFit, whole: &BoundingBox) {
    let id = response.id.with("draws from");
    if !response.dragged() && !response.drag_stopped() {
        // A drag that ended elsewhere, or with Esc, draws nothing.
        ui.data_mut(|data| data.remove::<egui::Pos2>(id));
        return;
    }
    let at = response.interact_pointer_pos().or(response.hover_pos());
    if response.drag_started()
        && let Some(from) = ui.input(|input| input.pointer.press_origin())
    {
        ui.data_mut(|data| data.insert_temp(id, from));
    }
    let from = ui.data(|data| data.get_temp::<egui::Pos2>(id));
    let Some((from, to)) = from.zip(at) else { return };
    let drawn = Rect::from_two_pos(from, to);
    ui.painter().rect_stroke(drawn, 0.0, Stroke::new(2.0, theme::ACCENT.now()), StrokeKind::Middle);
    if response.drag_stopped() {
        ui.data_mut(|data| data.remove::<egui::Pos2>(id));
        let to_image = fit.inverse();
        let (x1, y1) = to_image.point(f64::from(drawn.min.x), f64::from(drawn.min.y));
        let (x2, y2) = to_image.point(f64::from(drawn.max.x), f64::from(drawn.max.y));
        let bbox = BoundingBox::new(x1, y1, x2, y2).clipped(whole.x2, whole.y2);
        if bbox.width() >= SMALLEST && bbox.height() >= SMALLEST {
            view.push(ImagesCommand::Drawn(bbox));
        }
    }
}

/// Paints the shape being adjusted with its handles, and handles their drags.
pub(super) fn adjust(ui: &Ui, view: &mut ImagesView<'_>, rect: Rect, fit: &ScreenFit) {
    let Tool::Adjust(object, shape) = view.model.tool else { return };
    let label = Some("adjusting".to_owned());
    let overlay = Overlay { shape, color: theme::ACCENT, width: 2.5, dashed: false, label };
    canvas::paint_overlay(ui.painter(), rect, fit, &overlay);
    // The last one painted is on top: the centre comes first.
    let changed = Handle::of(&shape).into_iter().rev().find_map(|handle| {
        let (x, y) = grip(ui, fit, handle.position(&shape), ("handle", handle))?;
        Some(handle.drag(&shape, x, y))
    });
    if let Some(shape) = changed {
        view.push(ImagesCommand::SetTool(Tool::Adjust(object, shape)));
    }
}

/// A handle at an image position; returns where it was dragged to, in image pixels.
fn grip(ui: &Ui, fit: &ScreenFit, (x, y): (f64, f64), id: (&str, Handle)) -> Option<(f64, f64)> {
    let center = canvas::screen_pos(fit, x, y);
    let grip = Rect::from_center_size(center, vec2(4.0, 4.0) * HANDLE_RADIUS);
    let response = ui.interact(grip, ui.scope_id().with(id), Sense::drag()).on_hover_cursor(CursorIcon::Grab);
    let fill = if response.hovered() || response.dragged() { theme::STRONG.now() } else { theme::ACCENT.now() };
    ui.painter().circle(center, HANDLE_RADIUS, fill, Stroke::new(1.5, Color32::BLACK));
    if !response.dragged() || response.drag_delta() == Vec2::ZERO {
        return None;
    }
    let to = center + response.drag_delta();
    Some(fit.inverse().point(f64::from(to.x), f64::from(to.y)))
}
