//! The candidate's crop with context, large.

use egui::{Align2, Rect, Sense, Ui};

use super::ReviewView;
use crate::app::command::verdict_text;
use crate::app::theme;
use crate::app::widgets::canvas::{self, Overlay};
use crate::domain::Shape;
use crate::geometry::BoundingBox;
use crate::jobs::{DecodeKey, DecodeRequest};
use crate::store::CandidateRow;

/// Maximum size of the crop in pixels.
const CROP_SIDE: u32 = 640;
/// Context around the box as a multiple of its longer side, normally and when zoomed in.
const CONTEXT: f64 = 2.0;
const CONTEXT_ZOOMED: f64 = 1.15;

/// Returns the image key of a candidate's crop in the queue.
pub fn key(row: &CandidateRow) -> DecodeKey {
    DecodeKey::Crop { candidate: row.candidate.id, side: CROP_SIDE }
}

pub fn request(row: &CandidateRow) -> DecodeRequest {
    DecodeRequest {
        key: key(row),
        image: row.candidate.image,
        path: row.file.clone(),
        content_hash: row.content_hash.clone(),
        region: Some(canvas::context_region(&row.candidate.bbox, CONTEXT)),
    }
}

pub(super) fn show(ui: &mut Ui, view: &mut ReviewView<'_>, rect: Rect) {
    let Some(row) = view.model.current().cloned() else { return };
    let response = ui.interact(rect, ui.scope_id().with("crop"), Sense::hover());
    let label = format!("Crop of candidate {}", row.candidate.id);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, &label));
    let factor = if view.model.zoomed { CONTEXT_ZOOMED } else { CONTEXT };
    let fit = canvas::fit_region(&canvas::context_region(&row.candidate.bbox, factor), rect);
    let shown = view.textures.show(request(&row));
    let painter = ui.painter();
    canvas::paint_image(painter, rect, &fit, &shown);
    if view.model.drawn.candidate {
        canvas::paint_overlay(painter, rect, &fit, &candidate_overlay(&row.candidate.bbox, None));
    }
    let verdict = row.candidate.verdict;
    canvas::paint_frame(painter, rect, verdict.map_or(theme::BORDER, |_| theme::verdict(verdict)), 1.5);
    if let Some(text) = group_text(&row) {
        canvas::paint_tag(painter, rect.left_top() + egui::vec2(10.0, 10.0), Align2::LEFT_TOP, &text, theme::ACCENT);
    }
    if let Some(given) = verdict {
        let corner = rect.right_top() + egui::vec2(-10.0, 10.0);
        canvas::paint_tag(painter, corner, Align2::RIGHT_TOP, verdict_text(given), theme::verdict(verdict));
    }
}

/// Formats `×n` for one of n similar candidates, and how many are left if only some are decided.
pub(super) fn group_text(row: &CandidateRow) -> Option<String> {
    let (size, left) = (row.group_size, row.group_waiting);
    match left {
        _ if size < 2 => None,
        left if left > 0 && left < size => Some(format!("×{size}, {left} left")),
        _ => Some(format!("×{size}")),
    }
}

pub(super) fn candidate_overlay(bbox: &BoundingBox, label: Option<String>) -> Overlay {
    Overlay { shape: Shape::Rectangle(*bbox), color: theme::CANDIDATE, width: 2.0, dashed: false, label }
}
