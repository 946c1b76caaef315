//! The whole image with the candidate, ground truth and other detections, and the handles of a shape being adjusted.

use egui::{Color32, CursorIcon, Rect, Sense, Stroke, Ui, vec2};

use super::crop::candidate_overlay;
use super::model::Drawn;
use super::{Handle, ReviewView, strip, target};
use crate::app::command::{Command, ReviewCommand};
use crate::app::textures::Shown;
use crate::app::theme;
use crate::app::widgets::canvas::{self, Overlay, ScreenFit};
use crate::app::widgets::tiles::{self, ImageSource};
use crate::app::widgets::viewport::{Viewport, navigate};
use crate::domain::{AnnotationSource, Shape};
use crate::geometry::BoundingBox;
use crate::jobs::{DecodeRequest, ImageDetail};
use crate::store::CandidateRow;

/// Two boxes with a larger IoU are the same detection.
const SAME_BOX_IOU: f64 = 0.98;
const HANDLE_RADIUS: f32 = 6.0;

pub(super) fn request(row: &CandidateRow) -> DecodeRequest {
    source(row).request()
}

fn source(row: &CandidateRow) -> ImageSource<'_> {
    ImageSource { image: row.candidate.image, path: &row.file, content_hash: &row.content_hash }
}

pub(super) fn show(ui: &mut Ui, view: &mut ReviewView<'_>, rect: Rect) {
    let Some(row) = view.model.current().cloned() else { return };
    let label = format!("Image {}", row.image_name);
    let response = ui.interact(rect, ui.scope_id().with("whole image"), Sense::click_and_drag());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Image, true, &label));
    let Some(detail) = view.details.get(&row) else {
        let fit = canvas::fit_region(&row.candidate.bbox, rect);
        return canvas::paint_image(ui.painter(), rect, &fit, &Shown::Waiting);
    };
    let region = shown_region(view, &row, detail);
    let fit = look(ui, view, &response, &row, &region, rect.shrink(6.0));
    tiles::paint(ui.painter(), rect, &fit, &source(&row), view.textures);
    let drawn = view.model.drawn;
    for overlay in overlays(&row, detail, drawn, view.model.adjusting.is_none(), view.model.filter.blind) {
        canvas::paint_overlay(ui.painter(), rect, &fit, &overlay);
    }
    let strip = if view.model.adjusting.is_none() { strip::height(view, &row, rect) } else { 0.0 };
    let above_strip = rect.with_max_y(rect.bottom() - strip);
    legend(ui, above_strip, detail, drawn, view.model.filter.blind);
    canvas::paint_frame(ui.painter(), rect, theme::BORDER, 1.0);
    if view.model.adjusting.is_none() {
        strip::show(ui, view, &row, rect);
    }
    if let Some(adjusting) = &view.model.adjusting {
        let label = if adjusting.object.is_some() { "object" } else { "missed object" };
        if let Some(dragged) = handles(ui, rect, &fit, &adjusting.shape, label) {
            view.commands.push(Command::Review(ReviewCommand::Adjust(dragged)));
        }
    }
}

/// Returns the zoomed and panned viewport. While an ellipse is adjusted, the mouse belongs to its handles.
fn look(
    ui: &Ui,
    view: &mut ReviewView<'_>,
    response: &egui::Response,
    row: &CandidateRow,
    region: &BoundingBox,
    canvas: Rect,
) -> ScreenFit {
    if view.model.adjusting.is_some() {
        return canvas::fit_region(region, canvas);
    }
    let image = row.candidate.image;
    let viewport = if view.last_view.0 == Some(image) { view.last_view.1 } else { Viewport::default() };
    let moved = navigate(ui, response, viewport, region, canvas);
    if let Some(moved) = moved {
        view.push(ReviewCommand::Look(image, moved));
    }
    moved.unwrap_or(viewport).fit(region, canvas)
}

/// Returns the whole image; while adjusting an object only its surroundings, so that the handles are easy to grab.
fn shown_region(view: &ReviewView<'_>, row: &CandidateRow, detail: &ImageDetail) -> BoundingBox {
    let whole = BoundingBox::new(0.0, 0.0, f64::from(detail.record.width), f64::from(detail.record.height));
    match view.model.adjusting {
        Some(_) => {
            let near = canvas::context_region(&row.candidate.bbox, 3.0);
            near.clipped(whole.x2, whole.y2)
        }
        None => whole,
    }
}

/// `is_blind`: a promoted object would reveal someone else's decision.
fn overlays(row: &CandidateRow, detail: &ImageDetail, drawn: Drawn, is_labelled: bool, is_blind: bool) -> Vec<Overlay> {
    let mut overlays = Vec::new();
    let is_other = |bbox: &BoundingBox| bbox.iou(&row.candidate.bbox) < SAME_BOX_IOU;
    for detection in detail.detections.iter().filter(|d| drawn.detections && is_other(&d.bbox)) {
        overlays.push(Overlay {
            shape: Shape::Rectangle(detection.bbox),
            color: theme::DETECTION.fainter(0.8),
            width: 1.0,
            dashed: true,
            label: None,
        });
    }
    let hidden = |source| is_blind && matches!(source, AnnotationSource::Promoted | AnnotationSource::Added);
    let target = target(&detail.objects, &row.candidate.bbox, is_blind).map(|object| object.state.shape);
    for face in detail.ground_truth.iter().filter(|face| drawn.ground_truth && !hidden(face.source)) {
        overlays.push(Overlay {
            shape: face.shape,
            color: theme::ground_truth(face.source),
            // The target of the correction keys.
            width: if target == Some(face.shape) { 2.8 } else { 1.8 },
            dashed: false,
            label: None,
        });
    }
    if drawn.candidate {
        let label = is_labelled.then(|| format!("{:.2}", row.candidate.score));
        overlays.push(candidate_overlay(&row.candidate.bbox, label));
    }
    overlays
}

fn legend(ui: &Ui, rect: Rect, detail: &ImageDetail, drawn: Drawn, is_blind: bool) {
    let mut entries = Vec::new();
    if drawn.candidate {
        entries.push(("candidate", theme::CANDIDATE));
    }
    let has = |source| drawn.ground_truth && detail.ground_truth.iter().any(|face| face.source == source);
    if has(AnnotationSource::Imported) {
        entries.push(("ground truth", theme::ground_truth(AnnotationSource::Imported)));
    }
    if has(AnnotationSource::Edited) {
        entries.push(("corrected object", theme::ground_truth(AnnotationSource::Edited)));
    }
    if has(AnnotationSource::Added) && !is_blind {
        entries.push(("added object", theme::ground_truth(AnnotationSource::Added)));
    }
    if has(AnnotationSource::Promoted) && !is_blind {
        entries.push(("promoted object", theme::ground_truth(AnnotationSource::Promoted)));
    }
    if drawn.detections && detail.detections.len() > 1 {
        entries.push(("other detections", theme::DETECTION));
    }
    if entries.is_empty() {
        return;
    }
    let painter = ui.painter().with_clip_rect(rect);
    let galleys: Vec<_> = entries
        .into_iter()
        .map(|(text, color)| {
            (painter.layout_no_wrap(text.to_owned(), egui::FontId::proportional(12.0), theme::TEXT.now()), color)
        })
        .collect();
    let width: f32 = galleys.iter().map(|(galley, _)| galley.size().x + 28.0).sum();
    let origin = rect.left_bottom() + vec2(8.0, -30.0);
    painter.rect_filled(Rect::from_min_size(origin, vec2(width + 6.0, 22.0)), 5.0, theme::faded(theme::CANVAS, 0.8));
    let mut x = origin.x + 8.0;
    for (galley, color) in galleys {
        painter.rect_filled(Rect::from_min_size(egui::pos2(x, origin.y + 9.0), vec2(12.0, 4.0)), 2.0, color);
        x += 17.0;
        let size = galley.size();
        painter.galley(egui::pos2(x, origin.y + 3.0), galley, theme::TEXT.now());
        x += size.x + 11.0;
    }
}

/// Paints the shape and its handles; returns the shape after a drag.
fn handles(ui: &Ui, rect: Rect, fit: &ScreenFit, shape: &Shape, label: &str) -> Option<Shape> {
    let outline =
        Overlay { shape: *shape, color: theme::WARNING, width: 2.5, dashed: false, label: Some(label.to_owned()) };
    canvas::paint_overlay(ui.painter(), rect, fit, &outline);
    let mut dragged = None;
    // The last one painted is on top: the centre comes first.
    for handle in Handle::of(shape).into_iter().rev() {
        let (x, y) = handle.position(shape);
        let center = canvas::screen_pos(fit, x, y);
        let grip = Rect::from_center_size(center, vec2(4.0, 4.0) * HANDLE_RADIUS);
        let response = ui.interact(grip, ui.scope_id().with(("handle", handle)), Sense::drag());
        let response = response.on_hover_cursor(CursorIcon::Grab);
        let fill = if response.hovered() || response.dragged() { theme::STRONG } else { theme::WARNING };
        ui.painter().circle(center, HANDLE_RADIUS, fill, Stroke::new(1.5, Color32::BLACK));
        if response.dragged() && response.drag_delta() != egui::Vec2::ZERO {
            let to = center + response.drag_delta();
            let (x, y) = fit.inverse().point(f64::from(to.x), f64::from(to.y));
            dragged = Some(handle.drag(shape, x, y));
        }
    }
    dragged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        Annotation, Candidate, CandidateId, ClassId, DatasetId, Detection, FalsePositiveKind, ImageId, ImageRecord,
        RoundId,
    };
    use crate::geometry::Ellipse;

    fn row() -> CandidateRow {
        let candidate = Candidate {
            id: CandidateId(1),
            round: RoundId(1),
            image: ImageId(1),
            class: ClassId::ONLY,
            bbox: BoundingBox::new(10.0, 10.0, 30.0, 30.0),
            score: 0.5,
            max_iou: 0.0,
            kind: FalsePositiveKind::Background,
            verdict: None,
        };
        CandidateRow {
            candidate,
            round_number: 1,
            image_name: String::new(),
            split: None,
            group: None,
            group_size: 1,
            group_waiting: 0,
            inherits: None,
            file: std::path::PathBuf::new(),
            content_hash: String::new(),
            held: Vec::new(),
        }
    }

    fn detail() -> ImageDetail {
        let face = |source| {
            let shape = Shape::Ellipse(Ellipse::new(9.0, 6.0, 0.0, 50.0, 50.0));
            Annotation { class: ClassId::ONLY, shape, source, ignored: false }
        };
        let detection = |bbox| Detection { class: ClassId::ONLY, bbox, ellipse: None, score: 0.5 };
        ImageDetail {
            record: ImageRecord {
                id: ImageId(1),
                dataset: DatasetId(1),
                name: String::new(),
                path: String::new(),
                content_hash: String::new(),
                width: 100,
                height: 100,
                split: None,
            },
            path: std::path::PathBuf::new(),
            complete_by: Vec::new(),
            ground_truth: vec![face(AnnotationSource::Imported), face(AnnotationSource::Promoted)],
            objects: Vec::new(),
            detections: vec![detection(row().candidate.bbox), detection(BoundingBox::new(60.0, 0.0, 80.0, 20.0))],
        }
    }

    #[test]
    fn each_layer_is_drawn_only_while_it_is_switched_on() {
        let (imported, promoted) =
            (theme::ground_truth(AnnotationSource::Imported), theme::ground_truth(AnnotationSource::Promoted));
        let all = [theme::DETECTION.fainter(0.8), imported, promoted, theme::CANDIDATE];
        let on = Drawn::default();
        let cases = [
            (on, false, all.to_vec()),
            (on, true, vec![all[0], imported, theme::CANDIDATE]),
            (Drawn { ground_truth: false, ..on }, false, vec![all[0], theme::CANDIDATE]),
            (Drawn { detections: false, ..on }, false, all[1..].to_vec()),
            (Drawn { candidate: false, ..on }, false, all[..3].to_vec()),
        ];
        for (drawn, is_blind, expected) in cases {
            let colors: Vec<_> =
                overlays(&row(), &detail(), drawn, true, is_blind).iter().map(|overlay| overlay.color).collect();
            assert_eq!(colors, expected, "{drawn:?}, blind {is_blind}");
        }
    }
}
