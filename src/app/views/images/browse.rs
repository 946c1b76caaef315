//! All images as a grid of thumbnails. Only the visible rows are laid out, requested and painted.

use std::ops::Range;

use egui::{Align2, Color32, ComboBox, FontId, Painter, Rect, RichText, ScrollArea, Sense, Slider, Ui, pos2, vec2};

use super::bar::{self, problem_text};
use super::{ImagesView, THUMBNAIL_MAX, THUMBNAIL_MIN, filter_panel, quiet};
use crate::app::command::ImagesCommand;
use crate::app::textures::Shown;
use crate::app::theme;
use crate::app::widgets::canvas;
use crate::app::widgets::lists;
use crate::app::widgets::tiles::ImageSource;
use crate::app::widgets::together::{together, together_with_list};
use crate::domain::counted;
use crate::workflow::inspect::{FileProblem, ImageSort, ListedImage, Listing, Role, TableImage};

const GAP: f32 = 10.0;
/// Width of the slider for the size of thumbnails.
const SIZE_WIDTH: f32 = 90.0;
/// Height of name and counts below a thumbnail.
const CAPTION: f32 = 36.0;
/// Sizes at which thumbnails are decoded, in pixels; the next larger one is used.
const SIDES: [u32; 4] = [96, 160, 256, 384];

pub(super) fn show(ui: &mut Ui, view: &mut ImagesView<'_>) {
    ui.horizontal_wrapped(|ui| {
        bar::back(ui, view);
        bar::rounds(ui, view);
        order(ui, view);
        together(ui, "Size", SIZE_WIDTH);
        ui.label("Size");
        let mut side = view.model.thumbnail;
        ui.spacing_mut().slider_width = SIZE_WIDTH;
        let slider = Slider::new(&mut side, THUMBNAIL_MIN..=THUMBNAIL_MAX).show_value(false);
        if ui.name_inputs("Thumbnail size", |ui| ui.add(slider)).changed() {
            view.push(ImagesCommand::SetThumbnail(side));
        }
    });
    ui.horizontal_wrapped(|ui| {
        bar::chips(ui, view);
        totals(ui, view);
    });
    if view.model.filter_open {
        filter_panel::show(ui, view);
    }
    ui.add_space(4.0);
    match view.model.listing.clone() {
        None => quiet(ui, "Reading the images…", "A round with very many detections takes some seconds."),
        Some(listing) if listing.table.images.is_empty() => {
            quiet(ui, "No images yet", "Import a dataset on the Project screen.");
        }
        Some(listing) if listing.images.is_empty() => {
            quiet(ui, "No image passes the filter", "Remove a condition to see more.");
        }
        Some(listing) => grid(ui, view, &listing),
    }
}

fn order(ui: &mut Ui, view: &mut ImagesView<'_>) {
    let query = view.model.query.clone();
    together_with_list(ui, "Order", sort_text(query.sort), 150.0);
    ui.label("Order");
    let mut chosen = (query.sort, query.descending);
    let is_offered = |sort: ImageSort| match sort {
        ImageSort::Changes => query.against.is_some(),
        ImageSort::TruePositives | ImageSort::FalsePositives | ImageSort::Missed | ImageSort::HighestFalsePositive => {
            query.round.is_some()
        }
        _ => true,
    };
    ui.name_inputs("Order", |ui| {
        lists::combo(
            ui,
            ComboBox::from_id_salt("image order").selected_text(sort_text(query.sort)).width(150.0),
            |ui| {
                for (sort, descending) in SORTS.into_iter().filter(|(sort, _)| is_offered(*sort)) {
                    if ui.selectable_label(query.sort == sort, sort_text(sort)).clicked() {
                        chosen = (sort, descending);
                    }
                }
            },
        );
    });
    let text = if query.descending { "Descending" } else { "Ascending" };
    if ui.button(text).on_hover_text("Reverse the order").clicked() {
        chosen.1 = !query.descending;
    }
    view.set_query(|query| (query.sort, query.descending) = chosen);
}

/// Each order with its default direction.
const SORTS: [(ImageSort, bool); 9] = [
    (ImageSort::Import, false),
    (ImageSort::Name, false),
    (ImageSort::Split, false),
    (ImageSort::Objects, true),
    (ImageSort::TruePositives, true),
    (ImageSort::FalsePositives, true),
    (ImageSort::HighestFalsePositive, true),
    (ImageSort::Missed, true),
    (ImageSort::Changes, true),
];

fn sort_text(sort: ImageSort) -> &'static str {
    match sort {
        ImageSort::Import => "As imported",
        ImageSort::Name => "Name",
        ImageSort::Objects => "Objects",
        ImageSort::TruePositives => "True positives",
        ImageSort::FalsePositives => "False positives",
        ImageSort::Missed => "Missed objects",
        ImageSort::HighestFalsePositive => "Highest false positive",
        ImageSort::Split => "Split",
        ImageSort::Changes => "New errors",
    }
}

/// Shows the totals of the listed images.
fn totals(ui: &mut Ui, view: &ImagesView<'_>) {
    let Some(listing) = &view.model.listing else { return };
    let small = |text: String| RichText::new(text).small();
    ui.label(small(format!("{} of {} images", listing.images.len(), listing.table.images.len())).color(theme::TEXT));
    ui.label(small(counted(listing.objects, "object")).color(theme::WEAK));
    if view.model.query.round.is_none() {
        return;
    }
    let counts = listing.counts;
    ui.label(small(counted(counts.true_positives, "true positive")).color(theme::GOOD));
    ui.label(small(counted(counts.false_positives, "false positive")).color(theme::CANDIDATE));
    ui.label(small(format!("{} missed", counts.missed)).color(theme::ERROR));
    let unseen = listing.images.len() as u64 - listing.was_run;
    if unseen > 0 {
        let text = small(format!("{unseen} without detections of this round")).color(theme::WEAK);
        ui.label(text).on_hover_text("The round was not run on them: they count neither as correct nor as missed");
    }
    if view.model.query.against.is_some() {
        let changes = listing.changes;
        let comparison = view.comparison();
        let text = format!("{comparison}: {} fixed, {} new, {} still wrong", changes.fixed, changes.new, changes.still);
        ui.label(small(text).color(theme::STRONG));
    }
}

fn grid(ui: &mut Ui, view: &mut ImagesView<'_>, listing: &Listing) {
    let wanted = view.model.thumbnail;
    let width = ui.available_width() - 14.0 + GAP;
    let columns = (width / (wanted + GAP)).floor().max(1.0) as usize;
    // The columns fill the width.
    let side = (width / columns as f32 - GAP).max(wanted);
    let pitch = vec2(side + GAP, side + CAPTION + GAP);
    let rows = listing.images.len().div_ceil(columns);
    let current_row = view.model.position / columns;
    let id = ui.scope_id().with("image row");
    let place = (current_row, columns);
    let moved = ui.data(|data| data.get_temp::<(usize, usize)>(id)) != Some(place);
    ui.data_mut(|data| data.insert_temp(id, place));
    // A key scrolls to its row immediately.
    let area = ScrollArea::vertical().id_salt("images").auto_shrink(false).animated(false);
    area.show_viewport(ui, |ui, viewport| {
        ui.set_height(rows as f32 * pitch.y);
        let origin = ui.min_rect().min;
        if moved {
            let top = origin.y + current_row as f32 * pitch.y;
            ui.scroll_to_rect(Rect::from_min_size(pos2(origin.x, top), pitch), None);
        }
        let seen = visible_rows(viewport.min.y, viewport.max.y, pitch.y, rows);
        let fully = ((viewport.height() / pitch.y).floor() as usize).max(1);
        if (columns, fully) != (view.model.columns, view.model.rows_visible) {
            view.push(ImagesCommand::Shape(columns, fully));
        }
        for index in seen.start * columns..(seen.end * columns).min(listing.images.len()) {
            let (row, column) = (index / columns, index % columns);
            let min = origin + vec2(column as f32 * pitch.x, row as f32 * pitch.y);
            cell(ui, view, listing, index, Rect::from_min_size(min, vec2(side, side + CAPTION)));
        }
        let ahead = seen.end * columns..(seen.end + 1) * columns;
        for image in ahead.filter_map(|index| listing.image(index)) {
            if let Some(source) = source(image) {
                let request = source.thumbnail(pixels(ui, wanted));
                view.textures.prefetch(request);
            }
        }
    });
}

/// The rows between two heights. After the list became shorter, the heights may still be those of rows that no longer exist.
fn visible_rows(top: f32, bottom: f32, pitch: f32, total: usize) -> Range<usize> {
    let end = ((bottom / pitch).ceil() as usize).min(total);
    let start = ((top / pitch).floor().max(0.0) as usize).min(end);
    start..end
}

pub(super) fn source(image: &TableImage) -> Option<ImageSource<'_>> {
    let record = &image.record;
    Some(ImageSource { image: record.id, path: image.file.as_deref()?, content_hash: &record.content_hash })
}

/// Returns the decoded size for a thumbnail of this many points.
fn pixels(ui: &Ui, points: f32) -> u32 {
    let wanted = (points * ui.ctx().pixels_per_point()) as u32;
    SIDES.into_iter().find(|side| wanted <= *side).unwrap_or(SIDES[SIDES.len() - 1])
}

fn cell(ui: &Ui, view: &mut ImagesView<'_>, listing: &Listing, index: usize, rect: Rect) {
    let (row, image) = (&listing.images[index], &listing.table.images[listing.images[index].at as usize]);
    let response = ui.interact(rect, ui.scope_id().with(("image", image.record.id)), Sense::click());
    let picture = Rect::from_min_size(rect.min, vec2(rect.width(), rect.width()));
    let shown = match source(image) {
        Some(source) => view.textures.show(source.thumbnail(pixels(ui, view.model.thumbnail))),
        None => Shown::Failed("its path leaves the dataset's folder".to_owned()),
    };
    let label = label(row, image);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &label));
    let whole = source_size(image);
    let fit = canvas::fit_region(&whole, picture);
    canvas::paint_image(ui.painter(), picture, &fit, &shown);
    let problem = match &shown {
        Shown::Failed(_) => row.problem.or(Some(FileProblem::Unreadable)),
        Shown::Ready { is_changed: true, .. } => Some(FileProblem::Changed),
        _ => row.problem,
    };
    let painter = ui.painter();
    let mut corner = picture.left_top() + vec2(5.0, 5.0);
    let held_out = (row.role == Some(Role::HeldOut)).then_some(("held out", theme::ACCENT));
    for (text, color) in held_out.into_iter().chain(problem.map(|p| (problem_text(p), theme::WARNING))) {
        canvas::paint_tag(painter, corner, Align2::LEFT_TOP, text, color);
        corner.y += 22.0;
    }
    let is_current = index == view.model.position;
    let (color, width) = if is_current { (theme::CANDIDATE, 2.5) } else { (theme::BORDER, 1.0) };
    canvas::paint_frame(painter, picture, color, width);
    let is_cut = caption(painter, rect, picture, row, image);
    if response.double_clicked() {
        view.push(ImagesCommand::Open(image.record.id));
    } else if response.clicked() {
        view.push(ImagesCommand::GoTo(index));
    }
    // A complete name needs no tooltip, which would cover neighbouring images.
    if is_cut {
        response.on_hover_text(&image.record.name);
    }
}

fn source_size(image: &TableImage) -> crate::geometry::BoundingBox {
    crate::geometry::BoundingBox::new(0.0, 0.0, f64::from(image.record.width), f64::from(image.record.height))
}

/// Returns an image's label for screen readers.
fn label(row: &ListedImage, image: &TableImage) -> String {
    let mut text = format!("{}, {}", image.record.name, counted(image.objects, "object"));
    if let Some(counts) = row.counts {
        let right = counted(counts.true_positives, "true positive");
        let wrong = counted(counts.false_positives, "false positive");
        text = format!("{text}, {right}, {wrong}, {} missed", counts.missed);
    }
    if row.role == Some(Role::HeldOut) {
        text.push_str(", held out");
    }
    text
}

/// Draws the caption; returns whether the name was shortened.
fn caption(painter: &Painter, rect: Rect, picture: Rect, row: &ListedImage, image: &TableImage) -> bool {
    let painter = painter.with_clip_rect(rect.intersect(painter.clip_rect()));
    let top = picture.bottom() + 3.0;
    let name = shortened(&painter, &image.record.name, rect.width());
    let is_cut = name != image.record.name;
    painter.text(pos2(rect.left(), top), Align2::LEFT_TOP, name, FontId::proportional(12.0), theme::TEXT.now());
    let mut x = rect.left();
    let mut part = |text: String, color: Color32| {
        let drawn = painter.text(pos2(x, top + 16.0), Align2::LEFT_TOP, text, FontId::proportional(12.0), color);
        x = drawn.right() + 8.0;
    };
    // Only what differs from zero stands out.
    let tone = |count: u32, tone: theme::Tone| if count > 0 { tone.now() } else { theme::WEAK.now() };
    match (row.counts, row.changes) {
        (_, Some(changes)) => {
            part(format!("fixed {}", changes.fixed), tone(changes.fixed, theme::GOOD));
            part(format!("new {}", changes.new), tone(changes.new, theme::ERROR));
            part(format!("still {}", changes.still), theme::WEAK.now());
        }
        (Some(counts), None) => {
            part(format!("TP {}", counts.true_positives), theme::GOOD.now());
            part(format!("FP {}", counts.false_positives), tone(counts.false_positives, theme::CANDIDATE));
            part(format!("missed {}", counts.missed), tone(counts.missed, theme::ERROR));
        }
        (None, None) => {
            let noun = if image.objects == 1 { "object" } else { "objects" };
            part(format!("{} {noun}", image.objects), theme::WEAK.now());
        }
    }
    is_cut
}

/// Returns the end of a name, which distinguishes images of one folder.
fn shortened(painter: &Painter, name: &str, width: f32) -> String {
    let wide = |text: &str| {
        painter.layout_no_wrap(text.to_owned(), FontId::proportional(12.0), theme::TEXT.now()).size().x > width
    };
    if !wide(name) {
        return name.to_owned();
    }
    let letters: Vec<char> = name.chars().collect();
    let mut kept = ((width / 6.0) as usize).min(letters.len());
    loop {
        let text: String = std::iter::once('…').chain(letters[letters.len() - kept..].iter().copied()).collect();
        if kept <= 3 || !wide(&text) {
            return text;
        }
        kept -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_offered_once_and_called_otherwise() {
        for (at, (sort, _)) in SORTS.iter().enumerate() {
            assert!(SORTS[at + 1..].iter().all(|(other, _)| other != sort && sort_text(*other) != sort_text(*sort)));
        }
    }
}
