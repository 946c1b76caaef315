//! The filter as chips, and the panel to change it.

use egui::{Button, ComboBox, DragValue, RichText, TextEdit, Ui};

use super::filter::{Order, ReviewFilter, ShownVerdicts, kind_text};
use super::{Action, Command, ReviewCommand, ReviewView};
use crate::app::theme;
use crate::domain::FalsePositiveKind;

pub(super) fn show(ui: &mut Ui, view: &mut ReviewView<'_>) {
    let filter = view.model.filter.clone();
    ui.horizontal(|ui| {
        for (condition, text) in filter.chips() {
            let label = RichText::new(format!("{text}   ×")).small();
            let chip = Button::new(label).corner_radius(12).fill(theme::ACCENT_DEEP);
            if ui.add(chip).on_hover_text("Take this condition away").clicked() {
                view.push(ReviewCommand::SetFilter(filter.without(condition)));
            }
        }
        if filter.chips().is_empty() {
            ui.label(RichText::new("All candidates").small().color(theme::WEAK));
        }
        if ui.add(Button::new(RichText::new("+ Filter").small()).frame(false)).clicked() {
            view.commands.push(Command::Do(Action::Filter));
        }
        let found = view.model.total.map_or("counting…".to_owned(), |n| format!("{n} candidates"));
        ui.label(RichText::new(format!("{found}  ·  {}", filter.order.text())).small().color(theme::WEAK));
    });
    if view.model.filter_open {
        panel(ui, view, filter);
    }
}

fn panel(ui: &mut Ui, view: &mut ReviewView<'_>, mut filter: ReviewFilter) {
    let before = filter.clone();
    let mut close = false;
    theme::card().show(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.label("Score");
            ui.name_inputs("Lowest score", |ui| ui.add(score_value(&mut filter.score.0)));
            ui.label("to");
            ui.name_inputs("Highest score", |ui| ui.add(score_value(&mut filter.score.1)));
            ui.add_space(theme::GAP);
            choose(ui, "Verdict", filter.verdicts.text(), |ui| {
                for shown in ShownVerdicts::ALL {
                    ui.selectable_value(&mut filter.verdicts, shown, shown.text());
                }
            });
            choose(ui, "Kind", filter.kind.map_or("Any", kind_text), |ui| {
                ui.selectable_value(&mut filter.kind, None, "Any");
                for kind in FalsePositiveKind::ALL {
                    ui.selectable_value(&mut filter.kind, Some(kind), kind_text(kind));
                }
            });
            let round = filter.round.map_or("Any".to_owned(), |round| round.to_string());
            choose(ui, "Round", &round, |ui| {
                ui.selectable_value(&mut filter.round, None, "Any");
                for round in view.details.rounds() {
                    ui.selectable_value(&mut filter.round, Some(round), round.to_string());
                }
            });
            choose(ui, "Order", filter.order.text(), |ui| {
                for order in Order::ALL {
                    ui.selectable_value(&mut filter.order, order, order.text());
                }
            });
            ui.label("Name");
            let edit =
                TextEdit::singleline(&mut filter.name).desired_width(160.0).hint_text("part of the image's name");
            let response = ui.add(edit);
            if just_opened(ui) {
                response.request_focus();
            }
            if response.lost_focus() && ui.input(|i| i.key_pressed(egui::Key::Enter)) {
                close = true;
            }
            if ui.button("Done").clicked() || ui.input(|i| i.key_pressed(egui::Key::Escape)) {
                close = true;
            }
        });
    });
    filter.score.1 = filter.score.1.max(filter.score.0);
    if filter != before {
        view.push(ReviewCommand::SetFilter(filter));
    }
    if close {
        view.push(ReviewCommand::CloseFilter);
    }
}

fn score_value(score: &mut f32) -> DragValue<'_> {
    DragValue::new(score).range(0.0..=1.0).speed(0.005).fixed_decimals(2)
}

fn choose(ui: &mut Ui, name: &str, selected: &str, content: impl FnOnce(&mut Ui)) {
    ui.label(name);
    ui.name_inputs(name, |ui| {
        ComboBox::from_id_salt(name).selected_text(selected).width(130.0).show_ui(ui, content);
    });
    ui.add_space(4.0);
}

/// Whether the panel was not there in the frame before.
fn just_opened(ui: &Ui) -> bool {
    let now = ui.ctx().cumulative_pass_nr();
    let id = ui.scope_id().with("last shown");
    let before = ui.data(|data| data.get_temp::<u64>(id));
    ui.data_mut(|data| data.insert_temp(id, now));
    before.is_none_or(|before| before + 1 < now)
}
