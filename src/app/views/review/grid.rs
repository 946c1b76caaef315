//! A grid of crops. Only the visible rows are laid out, requested and painted.

use std::ops::Range;

use egui::{Align2, Modifiers, Rect, ScrollArea, Sense, Ui, pos2, vec2};

use super::ReviewView;
use super::crop::{candidate_overlay, group_text};
use crate::app::command::{ReviewCommand, verdict_text};
use crate::app::textures::Shown;
use crate::app::theme;
use crate::app::widgets::canvas;
use crate::domain::CandidateId;
use crate::jobs::{DecodeKey, DecodeRequest};
use crate::store::CandidateRow;

/// Minimum side of a cell in points, and the space between two.
const CELL: f32 = 148.0;
const CELL_GAP: f32 = 8.0;
/// Side of a thumbnail in pixels.
const THUMBNAIL_SIDE: u32 = 160;
pub(super) const CONTEXT: f64 = 1.6;
/// The file differs from the mined one.
const CHANGED: &str = "changed";

pub(super) fn show(ui: &mut Ui, view: &mut ReviewView<'_>) {
    let width = ui.available_width() - 14.0;
    let columns = (width / (CELL + CELL_GAP)).floor().max(1.0) as usize;
    // The columns fill the width.
    let pitch = (width / columns as f32).max(CELL + CELL_GAP);
    let side = pitch - CELL_GAP;
    let count = view.model.rows().len();
    let rows = (ui.available_height() / pitch).floor().max(1.0) as usize;
    view.push(ReviewCommand::Columns(columns, rows));
    let position = view.model.position();
    let current_row = position / columns;
    let id = ui.scope_id().with("grid row");
    let moved = ui.data(|data| data.get_temp::<usize>(id)) != Some(current_row);
    ui.data_mut(|data| data.insert_temp(id, current_row));
    // A key scrolls to its row immediately.
    let area = ScrollArea::vertical().auto_shrink(false).animated(false);
    area.show_viewport(ui, |ui, viewport| {
        let total_rows = count.div_ceil(columns);
        ui.set_height(total_rows as f32 * pitch);
        let origin = ui.min_rect().min;
        if moved {
            let top = origin.y + current_row as f32 * pitch;
            ui.scroll_to_rect(Rect::from_min_size(pos2(origin.x, top), vec2(side, side)), None);
        }
        let Range { start: first, end: last } = visible_rows(viewport.min.y, viewport.max.y, pitch, total_rows);
        for row in first..last {
            for column in 0..columns {
                let index = row * columns + column;
                if index < count {
                    let min = origin + vec2(column as f32 * pitch, row as f32 * pitch);
                    cell(ui, view, index, Rect::from_min_size(min, vec2(side, side)));
                }
            }
        }
        view.push(ReviewCommand::Visible(last * columns));
        decode_ahead(view, last * columns, (last - first) * columns);
    });
}

/// The rows between two heights. After the list became shorter, the heights may still be those of rows that no longer exist.
fn visible_rows(top: f32, bottom: f32, pitch: f32, total: usize) -> Range<usize> {
    let end = ((bottom / pitch).ceil() as usize).min(total);
    let start = ((top / pitch).floor().max(0.0) as usize).min(end);
    start..end
}

/// Requests the crops of the page after the visible one.
fn decode_ahead(view: &mut ReviewView<'_>, visible_end: usize, count: usize) {
    let rows = view.model.rows();
    for row in &rows[visible_end.min(rows.len())..(visible_end + count).min(rows.len())] {
        view.textures.prefetch(request(row));
    }
}

/// Returns the request for a candidate's thumbnail.
pub(super) fn request(row: &CandidateRow) -> DecodeRequest {
    let candidate = &row.candidate;
    DecodeRequest {
        key: DecodeKey::Crop { candidate: candidate.id, side: THUMBNAIL_SIDE },
        image: candidate.image,
        path: row.file.clone(),
        content_hash: row.content_hash.clone(),
        region: Some(canvas::context_region(&candidate.bbox, CONTEXT)),
    }
}

fn cell(ui: &Ui, view: &mut ReviewView<'_>, index: usize, rect: Rect) {
    let row = &view.model.rows()[index];
    let candidate = row.candidate.clone();
    let response = ui.interact(rect, ui.scope_id().with(candidate.id), Sense::click_and_drag());
    let fit = canvas::fit_region(&canvas::context_region(&candidate.bbox, CONTEXT), rect);
    let shown = view.textures.show(request(row));
    let is_changed = matches!(shown, Shown::Ready { is_changed: true, .. });
    let note = if is_changed { format!(", {CHANGED}") } else { String::new() };
    let label = format!("Candidate {}{note}", candidate.id);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &label));
    let painter = ui.painter();
    canvas::paint_image(painter, rect, &fit, &shown);
    if matches!(shown, Shown::Ready { .. }) && view.model.drawn.candidate {
        canvas::paint_overlay(painter, rect, &fit, &candidate_overlay(&candidate.bbox, None));
    }
    let score = format!("{:.2}", candidate.score);
    canvas::paint_tag(
        painter,
        rect.left_top() + vec2(6.0, 6.0),
        Align2::LEFT_TOP,
        &score,
        theme::faded(theme::TEXT, 0.85),
    );
    let mut corner = rect.right_top() + vec2(-6.0, 6.0);
    let group = group_text(row).map(|text| (text, theme::ACCENT));
    for (text, color) in group.into_iter().chain(is_changed.then(|| (CHANGED.to_owned(), theme::WARNING))) {
        canvas::paint_tag(painter, corner, Align2::RIGHT_TOP, &text, color);
        corner.y += 22.0;
    }
    if let Some(verdict) = candidate.verdict {
        let corner = rect.left_bottom() + vec2(6.0, -6.0);
        let color = theme::verdict(candidate.verdict);
        canvas::paint_tag(painter, corner, Align2::LEFT_BOTTOM, verdict_text(verdict), color);
    }
    let selected = view.model.is_selected(candidate.id);
    if selected {
        painter.rect_filled(rect, theme::IMAGE_RADIUS, theme::faded(theme::ACCENT, 0.25));
    }
    let current = index == view.model.position();
    let (color, width) = match (current, selected) {
        (true, _) => (theme::CANDIDATE, 2.5),
        (false, true) => (theme::ACCENT, 2.5),
        (false, false) => (theme::BORDER, 1.0),
    };
    canvas::paint_frame(painter, rect, color, width);
    if response.drag_started() {
        ui.data_mut(|data| data.insert_temp(drag_key(ui), response.id));
        view.push(ReviewCommand::GoTo(candidate.id));
    } else if is_dragged_over(ui, rect) {
        view.push(ReviewCommand::DragTo(candidate.id));
    } else if response.double_clicked() {
        view.push(ReviewCommand::Open(candidate.id));
    } else if response.clicked() {
        let modifiers = ui.input(|i| i.modifiers);
        view.push(clicked(candidate.id, modifiers));
    }
}

fn clicked(candidate: CandidateId, modifiers: Modifiers) -> ReviewCommand {
    if modifiers.shift {
        ReviewCommand::SelectTo(candidate)
    } else if modifiers.command {
        ReviewCommand::ToggleSelected(candidate)
    } else {
        ReviewCommand::GoTo(candidate)
    }
}

/// Id for the cell where a drag began.
fn drag_key(ui: &Ui) -> egui::Id {
    ui.scope_id().with("drag of cells")
}

/// Whether a drag that began in a cell is here now; a drag of the scroll bar does not count.
fn is_dragged_over(ui: &Ui, rect: Rect) -> bool {
    let began = ui.data(|data| data.get_temp::<egui::Id>(drag_key(ui)));
    let is_of_cells = began.is_some() && ui.ctx().dragged_id() == began;
    let at = ui.input(|i| i.pointer.latest_pos().filter(|_| i.pointer.is_decidedly_dragging()));
    is_of_cells && at.is_some_and(|at| rect.contains(at) && ui.clip_rect().contains(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_no_more_are_not_visible() {
        assert_eq!(visible_rows(0.0, 300.0, 100.0, 9), 0..3);
        assert_eq!(visible_rows(150.0, 450.0, 100.0, 9), 1..5);
        assert_eq!(visible_rows(-20.0, 80.0, 100.0, 9), 0..1);
        assert_eq!(visible_rows(3600.0, 4600.0, 100.0, 2), 2..2, "the list became shorter");
        assert_eq!(visible_rows(3600.0, 4600.0, 100.0, 0), 0..0);
    }
}
