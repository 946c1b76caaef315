//! The filter panel of the images. Every change applies at once.

use egui::{ComboBox, DragValue, TextEdit, Ui};

use super::ImagesView;
use super::bar::{change_text, problem_text, role_text};
use crate::app::command::ImagesCommand;
use crate::app::theme;
use crate::app::widgets::lists;
use crate::app::widgets::together::{together, together_with_list};
use crate::workflow::inspect::{ANY_COUNT, Change, CountRange, FileProblem, ImageQuery, NO_LIMIT, OutputShape, Role};

/// Width of two numbers and the word between them, in points.
const RANGE_WIDTH: f32 = 130.0;
/// Larger counts mean no limit.
const COUNT_MAX: u32 = 10_000;

pub(super) fn show(ui: &mut Ui, view: &mut ImagesView<'_>) {
    let mut query = view.model.query.clone();
    let mut close = false;
    theme::card().show(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.label("Name has");
            let edit =
                TextEdit::singleline(&mut query.name).id(egui::Id::unique("image filter name")).desired_width(160.0);
            let response = ui.name_inputs("Image name", |ui| ui.add(edit));
            let id = focus_id();
            if !ui.data(|data| data.get_temp::<bool>(id).unwrap_or_default()) {
                response.request_focus();
                ui.data_mut(|data| data.insert_temp(id, true));
            }
            close |= response.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter));
            choices(ui, view, &mut query);
        });
        ui.horizontal_wrapped(|ui| {
            range(ui, "Objects", &mut query.objects);
            if query.round.is_some() {
                range(ui, "True positives", &mut query.true_positives);
                range(ui, "False positives", &mut query.false_positives);
                range(ui, "Missed", &mut query.missed);
                together(ui, "Highest false positive from", 60.0);
                ui.label("Highest false positive from");
                let score = DragValue::new(&mut query.highest_from).range(0.0..=1.0).speed(0.005).max_decimals(3);
                ui.name_inputs("Highest false positive from", |ui| ui.add(score))
                    .on_hover_text("0: any. Detections below the score threshold do not count");
                ui.checkbox(&mut query.only_errors, "Only with errors")
                    .on_hover_text("With a false positive or a missed object");
            }
        });
        ui.horizontal_wrapped(|ui| {
            choose(ui, "File", query.problem.map_or("Any", problem_text), |ui| {
                ui.selectable_value(&mut query.problem, None, "Any");
                for problem in [FileProblem::Missing, FileProblem::Changed, FileProblem::Unreadable] {
                    ui.selectable_value(&mut query.problem, Some(problem), problem_text(problem));
                }
            });
            files(ui, view);
            if ui.button("Show all").on_hover_text("Remove all conditions").clicked() {
                let ImageQuery { round, against, threshold, sort, descending, .. } = query;
                query = ImageQuery { round, against, threshold, sort, descending, ..ImageQuery::default() };
            }
            close |= ui.button("Done").clicked() || ui.input(|i| i.key_pressed(egui::Key::Escape));
        });
    });
    if close {
        ui.data_mut(|data| data.remove::<bool>(focus_id()));
        view.push(ImagesCommand::ToggleFilter);
    }
    view.set_query(|known| *known = query);
}

/// Id for whether the name field has had focus since the panel was opened.
fn focus_id() -> egui::Id {
    egui::Id::unique("image name has had the focus")
}

fn choices(ui: &mut Ui, view: &ImagesView<'_>, query: &mut ImageQuery) {
    let split = query.split.clone().unwrap_or_else(|| "Any".to_owned());
    choose(ui, "Split", &split, |ui| {
        ui.selectable_value(&mut query.split, None, "Any");
        for (split, _) in &view.details.overview.splits {
            ui.selectable_value(&mut query.split, Some(split.clone()), split);
        }
    });
    if view.classes().len() > 1 {
        let class = query.class.map_or("Any", |class| super::layers::class_name(view.classes(), class));
        choose(ui, "Class", class, |ui| {
            ui.selectable_value(&mut query.class, None, "Any");
            for class in view.classes() {
                ui.selectable_value(&mut query.class, Some(class.id), &class.name);
            }
        });
    }
    if query.round.is_some() {
        choose(ui, "Used for", query.role.map_or("Any", role_text), |ui| {
            ui.selectable_value(&mut query.role, None, "Any");
            for role in [Role::Training, Role::HeldOut, Role::Unused] {
                ui.selectable_value(&mut query.role, Some(role), role_text(role));
            }
        });
        let shape = query.shape.map_or("Best", OutputShape::as_str);
        choose(ui, "Held-out counts", shape, |ui| {
            ui.selectable_value(&mut query.shape, None, "Best");
            for shape in [OutputShape::Rectangle, OutputShape::Ellipse] {
                ui.selectable_value(&mut query.shape, Some(shape), shape.as_str());
            }
        });
    }
    if query.against.is_some() {
        choose(ui, "Errors", query.change.map_or("Any", change_text), |ui| {
            ui.selectable_value(&mut query.change, None, "Any");
            for change in Change::ALL {
                ui.selectable_value(&mut query.change, Some(change), change_text(change));
            }
        });
    }
}

fn range(ui: &mut Ui, name: &str, range: &mut CountRange) {
    let before = *range;
    let (mut low, mut high) = (before.0, before.1.min(COUNT_MAX));
    together(ui, name, RANGE_WIDTH);
    ui.label(name);
    let value = |value| DragValue::new(value).range(0..=COUNT_MAX).speed(0.1);
    ui.name_inputs(format!("Least {name}"), |ui| ui.add(value(&mut low)));
    ui.label("to");
    let high_text = |number: f64, _: std::ops::RangeInclusive<usize>| {
        if number >= f64::from(COUNT_MAX) { "any".to_owned() } else { format!("{number:.0}") }
    };
    let parse = |text: &str| if text.trim() == "any" { Some(f64::from(COUNT_MAX)) } else { text.trim().parse().ok() };
    ui.name_inputs(format!("Most {name}"), |ui| {
        ui.add(value(&mut high).custom_formatter(high_text).custom_parser(parse))
    });
    ui.add_space(4.0);
    let high = if high >= COUNT_MAX { NO_LIMIT } else { high.max(low) };
    *range = if (low, high) == ANY_COUNT { ANY_COUNT } else { (low, high) };
}

/// The check of all files, which reads them completely.
fn files(ui: &mut Ui, view: &mut ImagesView<'_>) {
    if let Some(check) = view.model.check {
        ui.label(format!("Checking files: {} of {}", check.done, check.total));
        return;
    }
    let hint = "Read every image file: is it there, readable, and still the one that was imported?";
    if ui.button("Check all files").on_hover_text(hint).clicked() {
        view.push(ImagesCommand::CheckFiles);
    }
}

fn choose(ui: &mut Ui, name: &str, selected: &str, content: impl FnOnce(&mut Ui)) {
    together_with_list(ui, name, selected, 100.0);
    ui.label(name);
    ui.name_inputs(name, |ui| {
        lists::combo(ui, ComboBox::from_id_salt(name).selected_text(selected).width(100.0), content);
    });
    ui.add_space(4.0);
}
