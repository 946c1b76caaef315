//! One image with one round's results, or two rounds side by side with the same zoom.

use egui::{Align2, Color32, CursorIcon, Rect, RichText, Sense, Ui, UiBuilder, vec2};

use super::browse::source;
use super::layers::{class_name, marks, status_text};
use super::model::ViewNudge;
use super::{ImagesView, bar, correct, side_panel};
use crate::app::action::Action;
use crate::app::command::{Command, ImagesCommand, Pick, Tool};
use crate::app::textures::Shown;
use crate::app::theme;
use crate::app::widgets::canvas::{self, ScreenFit};
use crate::app::widgets::key_button::key_button;
use crate::app::widgets::marks::{self as painted, Mark};
use crate::app::widgets::tiles::{self, ImageSource};
use crate::app::widgets::viewport::{PAN_STEP, Viewport, navigate};
use crate::geometry::BoundingBox;
use crate::workflow::inspect::{OpenedImage, Role};

/// Width of the side panel in points.
const SIDE_WIDTH: f32 = 268.0;
/// Larger images are not prefetched: one of them fills the decoders' memory.
const AHEAD_MAX: u64 = 32_000_000;

pub(super) fn show(ui: &mut Ui, view: &mut ImagesView<'_>) {
    head(ui, view);
    ui.horizontal_wrapped(|ui| bar::rounds(ui, view));
    let Some(opened) = view.model.shown().cloned() else {
        return super::quiet(ui, "Reading the image…", "One moment.");
    };
    if opened.sides.iter().any(|side| side.role == Some(Role::HeldOut)) {
        held_out(ui);
    }
    ui.add_space(4.0);
    let rect = ui.available_rect_before_wrap();
    let mut column = rect;
    column.min.x = (rect.max.x - SIDE_WIDTH).max(rect.min.x);
    let mut area = rect;
    area.max.x = column.min.x - theme::GAP;
    canvases(ui, view, &opened, area);
    ui.scope_builder(UiBuilder::new().max_rect(column), |ui| side_panel::show(ui, view, &opened));
    ui.allocate_rect(rect, Sense::hover());
    decode_ahead(view);
}

fn head(ui: &mut Ui, view: &mut ImagesView<'_>) {
    ui.horizontal_wrapped(|ui| {
        button(ui, view, Action::CloseImage);
        for action in [Action::PreviousImage, Action::NextImage] {
            button(ui, view, action);
        }
        for action in [Action::ZoomFit, Action::ZoomFull] {
            button(ui, view, action);
        }
        if let Some(listing) = &view.model.listing {
            let text = format!("{} of {}", view.model.position + 1, listing.images.len());
            ui.label(RichText::new(text).small().color(theme::WEAK));
        }
        if let Some(opened) = view.model.shown() {
            let record = &opened.record;
            ui.label(RichText::new(&record.name).strong().color(theme::STRONG));
            let split = record.split.as_ref().map_or(String::new(), |split| format!("  ·  split {split}"));
            let text = format!("{} × {} px{split}", record.width, record.height);
            ui.label(RichText::new(text).small().color(theme::WEAK));
        }
    });
}

fn button(ui: &mut Ui, view: &mut ImagesView<'_>, action: Action) {
    if key_button(ui, view.keymap, action).clicked() {
        view.commands.push(Command::Do(action));
    }
}

fn held_out(ui: &mut Ui) {
    let frame = egui::Frame::new()
        .fill(theme::ACCENT_DEEP.now())
        .corner_radius(6.0)
        .inner_margin(egui::Margin::symmetric(10, 4));
    frame.show(ui, |ui| {
        let text = "Held out: this image is tested on and never trained on. No verdict is given here, and nothing done here reaches \
                    training. Corrected objects count in an evaluation on corrected ground truth alone.";
        ui.add(egui::Label::new(RichText::new(text).small().color(theme::STRONG)).wrap());
    });
}

/// One canvas per side, all with the same viewport.
fn canvases(ui: &mut Ui, view: &mut ImagesView<'_>, opened: &OpenedImage, area: Rect) {
    let count = opened.sides.len().max(1);
    let width = (area.width() - theme::GAP * (count - 1) as f32) / count as f32;
    let canvas_of = |number: usize| {
        let min = area.min + vec2((width + theme::GAP) * number as f32, 0.0);
        Rect::from_min_size(min, vec2(width, area.height()))
    };
    let record = &opened.record;
    let whole = BoundingBox::new(0.0, 0.0, f64::from(record.width), f64::from(record.height));
    let mut viewport = follow_keys(ui, view, &whole, canvas_of(0));
    if let Some(bbox) = newly_picked(ui, view, opened) {
        viewport = viewport.showing(&whole, canvas_of(0).shrink(6.0), &bbox);
    }
    for number in 0..count {
        if let Some(moved) = canvas(ui, view, opened, number, canvas_of(number), viewport) {
            viewport = moved;
        }
    }
    if viewport != view.viewport || !view.model.nudges.is_empty() {
        view.push(ImagesCommand::Look(viewport));
    }
}

/// Returns the viewport after zoom and pan keys.
fn follow_keys(ui: &Ui, view: &ImagesView<'_>, whole: &BoundingBox, canvas: Rect) -> Viewport {
    let canvas = canvas.shrink(6.0);
    let mut viewport = view.viewport;
    for nudge in &view.model.nudges {
        viewport = match *nudge {
            ViewNudge::Zoom(factor) => viewport.zoomed(whole, canvas, canvas.center(), factor),
            ViewNudge::Pan(x, y) => viewport.panned(whole, canvas, vec2(x, y) * PAN_STEP * canvas.size()),
            ViewNudge::Fit => Viewport::default(),
            ViewNudge::Full => viewport.one_to_one(whole, canvas, ui.ctx().pixels_per_point()),
        };
    }
    viewport
}

/// Returns the box of a selection made since the last frame.
fn newly_picked(ui: &Ui, view: &ImagesView<'_>, opened: &OpenedImage) -> Option<BoundingBox> {
    let id = ui.scope_id().with("picked before");
    let now = (opened.record.id, view.model.picked);
    let before = ui.data_mut(|data| {
        let before = data.get_temp::<(crate::domain::ImageId, Option<Pick>)>(id);
        data.insert_temp(id, now);
        before
    });
    if before == Some(now) {
        return None;
    }
    match view.model.picked? {
        Pick::Detection(side, place) => Some(opened.sides.get(side)?.judged.detections.get(place)?.detection.bbox),
        Pick::Object(side, place) => {
            Some(opened.sides.get(side)?.judged.objects.get(place)?.annotation.shape.bounding_box())
        }
        Pick::Corrected(side, place) => Some(opened.sides.get(side)?.corrected.get(place)?.state.shape.bounding_box()),
    }
}

/// Paints a side; returns the viewport after mouse input.
fn canvas(
    ui: &mut Ui,
    view: &mut ImagesView<'_>,
    opened: &OpenedImage,
    number: usize,
    rect: Rect,
    viewport: Viewport,
) -> Option<Viewport> {
    let side = opened.sides.get(number)?;
    let record = &opened.record;
    let response = ui.interact(rect, ui.scope_id().with(("canvas", number)), Sense::click_and_drag());
    let of_round = if side.round.is_some() { format!(", {}", view.round_name(side.round)) } else { String::new() };
    let label = format!("Image {}{of_round}", record.name);
    let whole = BoundingBox::new(0.0, 0.0, f64::from(record.width), f64::from(record.height));
    let inner = rect.shrink(6.0);
    let is_drawing = view.model.tool == Tool::Draw && number == 0;
    // While drawing, drags belong to the tool; the wheel still zooms.
    let moved = if is_drawing && (response.dragged() || response.drag_stopped()) {
        None
    } else {
        navigate(ui, &response, viewport, &whole, inner)
    };
    let fit = moved.unwrap_or(viewport).fit(&whole, inner);
    let zoom = zoom_text(&fit, ui.ctx().pixels_per_point());
    response.widget_info(|| {
        let value = match viewport.close_up() {
            Some(((x, y), _)) => format!("{zoom}, centred on {x:.0}, {y:.0}"),
            None => format!("{zoom}, the whole image"),
        };
        egui::WidgetInfo {
            current_text_value: Some(value),
            ..egui::WidgetInfo::labeled(egui::Role::Image, true, &label)
        }
    });
    let shown = if let Some(path) = &opened.file {
        let source = ImageSource { image: record.id, path, content_hash: &record.content_hash };
        tiles::paint(ui.painter(), rect, &fit, &source, view.textures)
    } else {
        let failed = Shown::Failed("its path leaves the dataset's folder".to_owned());
        canvas::paint_image(ui.painter(), rect, &fit, &failed);
        failed
    };
    let choice = (view.model.picked, view.model.query.change);
    let drawn = marks(opened, number, view.model.layers, choice, view.classes());
    let (picks, drawn): (Vec<Pick>, Vec<Mark>) = drawn.into_iter().unzip();
    painted::paint(ui.painter(), rect, &fit, &drawn);
    let hovered = response.hover_pos().and_then(|at| painted::hit(&fit, &drawn, at));
    if is_drawing {
        correct::draw(ui, view, &response, &fit, &whole);
    }
    if number == 0 {
        correct::adjust(ui, view, rect, &fit);
    }
    tags(ui, view, opened, number, rect, &shown);
    if !viewport.is_fitted() {
        let at = rect.right_bottom() - vec2(8.0, 8.0);
        canvas::paint_tag(ui.painter(), at, Align2::RIGHT_BOTTOM, &zoom, theme::faded(theme::TEXT, 0.7));
    }
    canvas::paint_frame(ui.painter(), rect, theme::BORDER.now(), 1.0);
    if response.clicked() && !response.double_clicked() && view.model.tool == Tool::Look {
        view.push(ImagesCommand::Pick(hovered.map(|at| picks[at])));
    }
    let cursor = match (hovered, response.dragged()) {
        _ if is_drawing => CursorIcon::Crosshair,
        (_, true) => CursorIcon::Grabbing,
        (Some(_), false) => CursorIcon::PointingHand,
        (None, false) => CursorIcon::Default,
    };
    let response = response.on_hover_cursor(cursor);
    if let Some(text) = hovered.and_then(|at| hover_text(view, opened, picks[at])) {
        response.on_hover_text_at_pointer(text);
    }
    moved
}

fn hover_text(view: &ImagesView<'_>, opened: &OpenedImage, pick: Pick) -> Option<String> {
    let side = opened.sides.get(pick.side())?;
    match pick {
        Pick::Corrected(_, place) => {
            let class = class_name(view.classes(), side.corrected.get(place)?.state.class);
            Some(format!("{class}\nCorrected: the curves do not count it"))
        }
        Pick::Detection(_, place) => {
            let judged = side.judged.detections.get(place)?;
            let class = class_name(view.classes(), judged.detection.class);
            Some(format!("{class}, score {:.4}\n{}", judged.detection.score, status_text(judged.status)))
        }
        Pick::Object(_, place) => {
            let object = side.judged.objects.get(place)?;
            let class = class_name(view.classes(), object.annotation.class);
            let state = match object.held_by {
                Some(_) => "found",
                None if object.annotation.ignored => "ignored",
                None if side.was_run => "missed",
                None => "not looked for",
            };
            Some(format!("{class}, ground truth ({})\n{state}", object.annotation.source.as_str()))
        }
    }
}

/// Shows a side's round, and problems with the file.
fn tags(ui: &Ui, view: &ImagesView<'_>, opened: &OpenedImage, number: usize, rect: Rect, shown: &Shown) {
    let side = &opened.sides[number];
    let mut corner = rect.left_top() + vec2(8.0, 8.0);
    let mut tag = |text: &str, color: Color32| {
        canvas::paint_tag(ui.painter(), corner, Align2::LEFT_TOP, text, color);
        corner.y += 24.0;
    };
    if opened.sides.len() > 1 {
        tag(&view.round_name(side.round), theme::faded(theme::TEXT, 0.9));
    }
    if side.round.is_some() && !side.was_run {
        tag("this round was not run on this image", theme::WARNING.now());
    }
    if matches!(shown, Shown::Ready { is_changed: true, .. }) {
        tag("the file changed since it was imported", theme::WARNING.now());
    }
}

/// Pixels of the display for a pixel of the image, in per cent.
fn zoom_text(fit: &ScreenFit, pixels_per_point: f32) -> String {
    format!("{:.0} %", fit.scale_x * f64::from(pixels_per_point) * 100.0)
}

/// Requests the next and the previous image.
fn decode_ahead(view: &mut ImagesView<'_>) {
    let Some(listing) = view.model.listing.clone() else { return };
    let at = view.model.position;
    for row in [Some(at + 1), at.checked_sub(1)].into_iter().flatten() {
        let Some(image) = listing.image(row) else { continue };
        let pixels = u64::from(image.record.width) * u64::from(image.record.height);
        if let Some(source) = source(image).filter(|_| pixels <= AHEAD_MAX) {
            view.textures.prefetch(source.request());
        }
    }
}
