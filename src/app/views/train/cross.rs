//! Cross-validation: number of rounds, progress, start and resume.

use egui::{Button, DragValue, RichText, TextEdit, Ui, vec2};

use super::form::wide;
use super::model::CrossState;
use super::{JobState, TrainView};
use crate::app::command::{Cross, TrainCommand};
use crate::app::theme;
use crate::app::views::start::card;

pub(super) fn show(ui: &mut Ui, view: &mut TrainView<'_>) {
    let folds = view.model.folds;
    if folds < 2 && view.model.runs.is_empty() {
        return;
    }
    ui.add_space(theme::GAP);
    card(ui, "Cross-validation", |ui| {
        let about = format!(
            "Trains on all folds but one and tests on that one, for each of the {folds} folds, and pools the curves. Every fold learns \
             from the datasets alone: nobody reviews between its rounds, and every candidate counts as a hard negative."
        );
        ui.label(RichText::new(about).small().color(theme::WEAK));
        let mut cross = view.model.cross.clone();
        ui.horizontal(|ui| {
            ui.label(RichText::new("Rounds").color(theme::WEAK));
            ui.name_inputs("Rounds of each fold", |ui| {
                ui.add(DragValue::new(&mut cross.rounds).range(1..=20).speed(0.05))
            });
            ui.label(RichText::new("Name").color(theme::WEAK))
                .on_hover_text("The folder in runs/: one name for each set of settings");
            ui.name_inputs("Name of the cross-validation", |ui| {
                ui.add(
                    TextEdit::singleline(&mut cross.name)
                        .id(egui::Id::unique("cross-validation name"))
                        .desired_width(140.0),
                )
            });
        });
        if cross != view.model.cross {
            view.push(TrainCommand::SetCross(cross));
        }
        button(ui, view);
    });
}

fn button(ui: &mut Ui, view: &mut TrainView<'_>) {
    let Cross { rounds, .. } = view.model.cross;
    let (text, is_ready, note) = match view.model.cross_state() {
        CrossState::New => {
            let is_sound = view.model.form.finished().is_ok();
            (
                "Start cross-validation".to_owned(),
                is_sound,
                "With the settings above; test splits are set fold by fold.".to_owned(),
            )
        }
        CrossState::Begun { done, all } => {
            let note = "With its own settings, from where it stopped.".to_owned();
            (format!("Resume: {done} of {all} folds are done"), true, note)
        }
        CrossState::Done { all } => {
            let note = format!("All {all} folds have {rounds} rounds. The pooled curves are on the Curves screen.");
            ("Done".to_owned(), false, note)
        }
    };
    let enabled = is_ready && view.has_project && view.images > 0 && view.state == JobState::Idle;
    let button = Button::new(text).min_size(vec2(ui.available_width(), 30.0));
    if wide(ui, enabled, button).clicked() {
        view.push(TrainCommand::CrossValidate);
    }
    ui.label(RichText::new(note).small().color(theme::WEAK));
}
