//! A round's full report: results, sampling statistics, differences in settings from another round, notes.

use egui::{Button, ComboBox, Grid, RichText, ScrollArea, TextEdit, Ui, vec2};

use super::model::OpenedRound;
use super::{TrainView, facts_row, memory_text};
use crate::app::command::{Command, DatasetCommand, TrainCommand};
use crate::app::theme;
use crate::app::views::review::minutes_text;
use crate::app::widgets::lists;
use crate::domain::{RoundRecord, counted_as};
use crate::training::SamplerTotals;
use crate::workflow::round_report::{ClassDrawn, RoundReport};

/// Height of a table row in points.
const ROW: f32 = 14.0;
/// Minimum width in points of each of two columns: the sampler's table fits.
const COLUMN: f32 = 430.0;
/// Space between the cells of the changed settings in points.
const CELL_GAP: f32 = 16.0;
/// Number of visible rows for the notes.
const NOTE_ROWS: usize = 4;

pub(super) fn show(ui: &mut Ui, view: &mut TrainView<'_>, opened: &OpenedRound, height: f32) {
    let Some(round) = view.model.round(opened.number).cloned() else { return };
    theme::card().show(ui, |ui| {
        ui.take_available_width();
        ui.set_height((height - 2.0 * f32::from(theme::CARD_MARGIN)).max(120.0));
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new(format!("Report of round {}", round.number)).strong().color(theme::STRONG));
            view.state_label(ui, &round);
            if ui.add(Button::new(RichText::new("Back to the losses").small()).frame(false)).clicked() {
                view.push(TrainCommand::OpenRound(None));
            }
        });
        ScrollArea::vertical().id_salt("report").auto_shrink(false).show(ui, |ui| {
            // The scroll bar is drawn over the content.
            ui.set_max_width(ui.available_width() - theme::SCROLL_BAR);
            if ui.available_width() < 2.0 * COLUMN {
                left(ui, opened.report.as_ref());
                ui.add_space(theme::GAP);
                return right(ui, view, opened, &round);
            }
            ui.columns(2, |columns| {
                left(&mut columns[0], opened.report.as_ref());
                right(&mut columns[1], view, opened, &round);
            });
        });
    });
}

fn left(ui: &mut Ui, report: Option<&RoundReport>) {
    let Some(report) = report else {
        ui.label(RichText::new("Reading…").color(theme::WEAK));
        return;
    };
    let mut facts =
        vec![("Steps", report.steps.to_string()), ("Time of the steps", minutes_text(report.seconds / 60.0))];
    facts.extend(report.step_seconds.map(|s| ("A step", format!("{s:.2} s"))));
    facts.extend(report.memory_bytes.map(|bytes| ("Peak memory", memory_text(bytes))));
    facts_row(ui, &facts);
    ui.add_space(theme::GAP);
    match &report.sampler {
        Some(totals) => {
            sampler(ui, totals);
            classes(ui, &report.classes);
        }
        None => {
            ui.label(RichText::new("No mini-batch was drawn yet.").color(theme::WEAK));
        }
    }
    for curve in &report.curves {
        ui.add_space(theme::GAP);
        heading(ui, &format!("Held-out images, {}, step {}", curve.label, curve.step));
        if curve.unreadable > 0 {
            let text = counted_as(
                curve.unreadable,
                "image could not be read; its objects count as missed",
                "images could not be read; their objects count as missed",
            );
            ui.label(RichText::new(text).small().color(theme::WARNING));
        }
        if let Some(now) = &curve.operating {
            let was = report.before.iter().find(|was| was.label == curve.label).and_then(|was| was.operating.as_ref());
            ui.label(RichText::new(now.text(was)).small().color(theme::TEXT));
        }
        Grid::new(("rates", &curve.label)).num_columns(3).min_row_height(ROW).spacing(vec2(18.0, 3.0)).show(ui, |ui| {
            small_row(ui, &["False positives", "Discrete TPR", "Continuous TPR"], true);
            for (fp, discrete, continuous) in &curve.at {
                small_row(ui, &[&fp.to_string(), &format!("{discrete:.4}"), &format!("{continuous:.4}")], false);
            }
        });
    }
}

fn sampler(ui: &mut Ui, totals: &SamplerTotals) {
    heading(ui, &format!("Drawn in {} mini-batches", totals.mini_batches));
    let t = &totals.drawn;
    let rows = [
        ("Foreground", t.foreground, t.rpn_foreground),
        ("Background", t.background, t.rpn_background),
        ("of these, forced hard negatives", t.forced, t.rpn_forced),
        ("Ignored", t.ignored, t.rpn_ignored),
    ];
    let each = |count: u64| count as f64 / totals.mini_batches.max(1) as f64;
    Grid::new("sampler").num_columns(5).min_row_height(ROW).spacing(vec2(18.0, 3.0)).show(ui, |ui| {
        small_row(ui, &["", "RoIs", "a batch", "Anchors", "a batch"], true);
        for (name, rois, anchors) in rows {
            let (per_rois, per_anchors) = (format!("{:.1}", each(rois)), format!("{:.1}", each(anchors)));
            small_row(ui, &[name, &rois.to_string(), &per_rois, &anchors.to_string(), &per_anchors], false);
        }
    });
    let given = format!("{} of {} hard negatives of these images were selected", t.forced, totals.hard_negatives);
    ui.label(RichText::new(given).small().color(theme::WEAK));
}

fn classes(ui: &mut Ui, classes: &[ClassDrawn]) {
    if classes.is_empty() {
        return;
    }
    ui.add_space(theme::GAP);
    heading(ui, "Drawn by class");
    Grid::new("classes").num_columns(5).min_row_height(ROW).spacing(vec2(18.0, 3.0)).show(ui, |ui| {
        small_row(ui, &["", "RoIs", "Anchors", "Hard negatives", "Selected"], true);
        for class in classes {
            let counts = [class.rois, class.anchors, class.hard_negatives, class.forced].map(|count| count.to_string());
            small_row(ui, &[&class.class, &counts[0], &counts[1], &counts[2], &counts[3]], false);
        }
    });
}

fn right(ui: &mut Ui, view: &mut TrainView<'_>, opened: &OpenedRound, round: &RoundRecord) {
    notes(ui, view, round);
    let hint = "Shows what would be deleted, and the disk space that it frees, before anything is";
    if ui.small_button("Delete round…").on_hover_text(hint).clicked() {
        view.commands.push(Command::Dataset(DatasetCommand::AskDeleteRound(round.number)));
    }
    ui.add_space(theme::GAP);
    heading(ui, "Settings");
    let others: Vec<u32> = view.model.rounds.iter().map(|r| r.number).filter(|n| *n != round.number).collect();
    let text = |compared: Option<u32>| compared.map_or("All of them".to_owned(), |n| format!("Changes from round {n}"));
    ui.name_inputs("Settings shown", |ui| {
        lists::combo(ui, ComboBox::from_id_salt("compared").selected_text(text(opened.compared)).width(180.0), |ui| {
            for compared in std::iter::once(None).chain(others.into_iter().map(Some)) {
                if ui.selectable_label(opened.compared == compared, text(compared)).clicked() {
                    view.push(TrainCommand::Compare(compared));
                }
            }
        });
    });
    let Some(before) = opened.compared else {
        ui.label(RichText::new(&round.config_toml).monospace().small().color(theme::WEAK));
        return;
    };
    let differences = view.model.differences(before, round.number);
    if differences.is_empty() {
        ui.label(RichText::new("The same settings.").small().color(theme::WEAK));
    }
    // Long values, e.g. names of datasets, wrap.
    let width = (ui.available_width() - 2.0 * CELL_GAP) / 3.0;
    let grid = Grid::new("differences").num_columns(3).min_row_height(ROW).max_col_width(width);
    grid.striped(true).spacing(vec2(CELL_GAP, 4.0)).show(ui, |ui| {
        if !differences.is_empty() {
            small_row(ui, &["", &format!("Round {before}"), &format!("Round {}", round.number)], true);
        }
        for d in &differences {
            small_row(ui, &[&d.key, &d.before, &d.after], false);
        }
    });
}

fn notes(ui: &mut Ui, view: &mut TrainView<'_>, round: &RoundRecord) {
    let label = ui.label(RichText::new("Notes").small().color(theme::WEAK));
    let mut text = view.model.notes().to_owned();
    let edit = TextEdit::multiline(&mut text)
        .id(egui::Id::unique("round notes"))
        .desired_rows(NOTE_ROWS)
        .desired_width(f32::INFINITY)
        .hint_text("What was tried, and the result");
    if ui.add(edit).labelled_by(label.id).changed() {
        view.push(TrainCommand::TypeNotes(text.clone()));
    }
    if ui.add_enabled(text != round.notes, Button::new("Save notes")).clicked() {
        view.push(TrainCommand::SaveNotes);
    }
}

fn heading(ui: &mut Ui, text: &str) {
    ui.label(RichText::new(text).small().color(theme::WEAK));
}

fn small_row(ui: &mut Ui, cells: &[&str], is_head: bool) {
    let color = if is_head { theme::WEAK } else { theme::TEXT };
    for cell in cells {
        ui.label(RichText::new(*cell).small().color(color));
    }
    ui.end_row();
}
