//! The preview of an import: what was found and would change.

use std::collections::BTreeMap;

use egui::{Button, CollapsingHeader, Grid, RichText, Ui, vec2};

use super::{Command, close, title};
use crate::app::command::DatasetCommand;
use crate::app::theme;
use crate::app::widgets::growing::growing;
use crate::domain::{counted_as, printable, printable_line};
use crate::workflow::import::ImportReport;

/// Maximum number of list entries shown; the dataset's report has all.
const SHOWN: usize = 200;

pub(super) fn show(ui: &mut Ui, path: &str, report: &ImportReport, height: f32, commands: &mut Vec<Command>) {
    title(ui, if report.is_update { "Update this dataset?" } else { "Import this dataset?" });
    ui.add(egui::Label::new(RichText::new(printable(path)).small().color(theme::WEAK)).truncate());
    ui.add_space(6.0);
    growing(height).show(ui, |ui| {
        numbers(ui, report);
        problems(ui, report);
    });
    ui.add_space(theme::GAP);
    ui.horizontal(|ui| {
        let text = if report.is_update { "Update" } else { "Import" };
        let button = Button::new(RichText::new(text).strong().color(theme::STRONG)).fill(theme::ACCENT_DEEP);
        if ui.add(button.min_size(vec2(110.0, 30.0))).clicked() {
            commands.push(Command::Dataset(DatasetCommand::TakeImport));
        }
        if ui.add(Button::new("Cancel").min_size(vec2(90.0, 30.0))).clicked() {
            close(commands);
        }
        ui.label(RichText::new("Nothing is written yet.").small().color(theme::WEAK));
    });
}

fn numbers(ui: &mut Ui, report: &ImportReport) {
    let summary = &report.summary;
    Grid::new("numbers").num_columns(2).spacing(vec2(18.0, 4.0)).show(ui, |ui| {
        let mut row = |name: &str, value: String| {
            ui.label(RichText::new(name).color(theme::WEAK));
            ui.label(RichText::new(value).color(theme::STRONG));
            ui.end_row();
        };
        let why = summary.recognised.as_deref().map_or(String::new(), |why| format!(": {}", printable_line(why)));
        row("Format", format!("{}{why}", summary.format));
        row("Images", format!("{}, {} without objects", summary.images, summary.background_images));
        let ignored = if summary.ignored > 0 { format!(", {} ignored", summary.ignored) } else { String::new() };
        row("Objects", format!("{}{ignored}", summary.objects));
        row("Classes", counted(&summary.classes, "none"));
        row("Splits", counted(&summary.splits, "none"));
        if report.is_update {
            let ImportReport { added, changed, moved, removed, returned, unchanged, .. } = report;
            row(
                "Changes",
                format!(
                    "{added} added, {removed} removed, {changed} changed, {moved} moved, {returned} returned, {unchanged} unchanged"
                ),
            );
        }
        if report.stale_candidates > 0 {
            row("Candidates", format!(
                    "{} found on images that have changed since",
                    counted_as(report.stale_candidates, "was", "were")
                ));
        }
        if report.same_bytes > 0 {
            let are = if report.same_bytes == 1 { "image is" } else { "images are" };
            row("Copies", format!("{} {are} in another dataset of this project too", report.same_bytes));
        }
    });
}

/// Formats counts by number (FDDB's folds) in order; at most twenty names.
fn counted(counts: &BTreeMap<String, usize>, none: &str) -> String {
    if counts.is_empty() {
        return none.to_owned();
    }
    let mut sorted: Vec<(&String, &usize)> = counts.iter().collect();
    sorted.sort_by_key(|(name, _)| name.parse::<u32>().unwrap_or(u32::MAX));
    let shown: Vec<String> =
        sorted.iter().take(20).map(|(name, count)| format!("{}: {count}", printable(name))).collect();
    let more = if counts.len() > 20 { format!(", … ({} in all)", counts.len()) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

fn problems(ui: &mut Ui, report: &ImportReport) {
    let summary = &report.summary;
    let pair = |(name, why): &(String, String)| format!("{}: {}", printable(name), printable_line(why));
    list(
        ui,
        ("missing image", "missing images"),
        summary.missing.len(),
        summary.missing.iter().map(|name| printable(name).into_owned()),
    );
    list(ui, ("unreadable image", "unreadable images"), summary.unreadable.len(), summary.unreadable.iter().map(pair));
    list(
        ui,
        ("bad record, skipped", "bad records, skipped"),
        summary.bad_records.len(),
        summary.bad_records.iter().map(ToString::to_string),
    );
    list(
        ui,
        ("object left out because of its shape", "objects left out because of their shape"),
        summary.shapes.len(),
        summary.shapes.iter().map(pair),
    );
    let twins = summary.duplicates.iter().map(|(a, b)| format!("{} = {}", printable(a), printable(b)));
    list(
        ui,
        ("image with the same bytes as an earlier one", "images with the same bytes as an earlier one"),
        summary.duplicates.len(),
        twins,
    );
    list(
        ui,
        ("image that the dataset no longer has", "images that the dataset no longer has"),
        report.removed,
        report.names.removed.iter().map(|name| printable(name).into_owned()),
    );
    list(
        ui,
        ("note", "notes"),
        summary.warnings.len(),
        summary.warnings.iter().map(|text| printable_line(text).into_owned()),
    );
}

/// `what`: for one and for several.
fn list(ui: &mut Ui, what: (&str, &str), count: usize, entries: impl Iterator<Item = String>) {
    if count == 0 {
        return;
    }
    let what = if count == 1 { what.0 } else { what.1 };
    let header = RichText::new(format!("{count} {what}")).color(theme::WARNING);
    CollapsingHeader::new(header).id_salt(what).show(ui, |ui| {
        for entry in entries.take(SHOWN) {
            ui.label(RichText::new(entry).small());
        }
        if count > SHOWN {
            ui.label(RichText::new(format!("and {} more", count - SHOWN)).small().color(theme::WEAK));
        }
    });
}
