//! A summary of the open project, and the next step.

use egui::{Button, RichText, Ui, vec2};

use super::OpenProject;
use crate::app::command::{Command, DatasetCommand, FolderPurpose, Screen};
use crate::app::theme;
use crate::app::widgets::lists;
use crate::domain::counted;
use crate::jobs::Overview;
use crate::workflow::training_export::TrainingFormat;

pub(super) fn show(ui: &mut Ui, project: &OpenProject<'_>, commands: &mut Vec<Command>) {
    ui.label(RichText::new(&project.name).size(28.0).strong().color(theme::STRONG));
    ui.label(RichText::new(project.dir.display().to_string()).small().color(theme::WEAK));
    ui.add_space(theme::GAP);
    let overview = project.overview;
    let counts = project.counts;
    let tiles = [
        ("Images", overview.images.to_string(), splits_text(overview)),
        ("Objects", overview.faces.to_string(), format!("{} promoted", counts.missed_object)),
        ("Rounds", overview.rounds.len().to_string(), last_round_text(overview)),
        ("To review", counts.undecided.to_string(), format!("{} decided", counts.decided())),
        ("Hard negatives", counts.confirmed.to_string(), format!("{} rejected", counts.rejected)),
    ];
    ui.columns(tiles.len(), |columns| {
        for (ui, (name, value, note)) in columns.iter_mut().zip(&tiles) {
            tile(ui, name, value, note);
        }
    });
    ui.add_space(theme::GAP);
    next_step(ui, project, commands);
    if !overview.datasets.is_empty() {
        ui.add_space(theme::GAP);
        datasets(ui, overview, project.busy, commands);
    }
}

fn tile(ui: &mut Ui, name: &str, value: &str, note: &str) {
    theme::card().show(ui, |ui| {
        ui.take_available_width();
        ui.spacing_mut().item_spacing.y = 2.0;
        ui.label(RichText::new(name).small().color(theme::WEAK));
        ui.label(RichText::new(value).size(theme::BIG_NUMBER).strong().color(theme::STRONG));
        ui.add(egui::Label::new(RichText::new(note).small().color(theme::WEAK)).truncate());
    });
}

fn splits_text(overview: &Overview) -> String {
    match overview.splits.len() {
        0 => "no splits".to_owned(),
        count => format!("{count} splits"),
    }
}

fn last_round_text(overview: &Overview) -> String {
    overview.rounds.last().map_or("none yet".to_owned(), |round| format!("last one {}", round.state.as_str()))
}

/// One sentence and one button for the next step.
fn next_step(ui: &mut Ui, project: &OpenProject<'_>, commands: &mut Vec<Command>) {
    let overview = project.overview;
    let (text, button, screen) = if overview.images == 0 {
        ("Next: import images, below.".to_owned(), None, Screen::Project)
    } else if project.trains {
        ("A round is running; the bar below shows how far it is.".to_owned(), Some("See the training"), Screen::Train)
    } else if let Some(round) = unfinished(overview) {
        let text =
            format!("Next: resume round {round}. Its training is not finished; it resumes from its last checkpoint.");
        (text, Some("Go to the round"), Screen::Train)
    } else if project.counts.undecided > 0 {
        let counts = project.counts;
        let text = if counts.has_fewer_decisions() {
            let decisions = counted(counts.decisions, "decision");
            format!("Next: decide on {} in {decisions}.", counted(counts.undecided, "candidate"))
        } else {
            format!("Next: decide on {}.", counted(counts.undecided, "candidate"))
        };
        (text, Some("Review"), Screen::Review)
    } else if overview.rounds.is_empty() {
        ("Next: train the first round.".to_owned(), Some("Set up round 1"), Screen::Train)
    } else {
        let text = format!("Next: train round {} with the hard negatives.", overview.rounds.len() + 1);
        (text, Some("Set up the round"), Screen::Train)
    };
    ui.horizontal(|ui| {
        if let Some(button) = button {
            let button = Button::new(RichText::new(button).strong().color(theme::STRONG)).fill(theme::ACCENT_DEEP);
            if ui.add(button.min_size(vec2(120.0, 34.0))).clicked() {
                commands.push(Command::Show(screen));
            }
        }
        ui.label(RichText::new(text).size(15.0));
    });
}

/// Returns the newest round that Quarry trains, if it is unfinished.
fn unfinished(overview: &Overview) -> Option<u32> {
    let newest = overview.rounds.iter().rev().find(|round| round.is_own())?;
    newest.is_unfinished().then_some(newest.number)
}

fn datasets(ui: &mut Ui, overview: &Overview, busy: bool, commands: &mut Vec<Command>) {
    theme::card().show(ui, |ui| {
        ui.take_available_width();
        ui.horizontal(|ui| {
            ui.label(RichText::new("Datasets").size(16.0).strong().color(theme::STRONG));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                lists::menu(ui, "Export for training", |ui| {
                    for (text, format) in [("As YOLO…", TrainingFormat::Yolo), ("As COCO…", TrainingFormat::Coco)] {
                        let hint = "Images, labels and confirmed hard negatives in a new folder. `quarry export training` has more choices";
                        if ui.button(text).on_hover_text(hint).clicked() {
                            commands.push(Command::ChooseFolder(FolderPurpose::ExportTraining(format)));
                            ui.close();
                        }
                    }
                });
            });
        });
        for dataset in &overview.datasets {
            ui.horizontal(|ui| {
                ui.label(RichText::new(&dataset.name).color(theme::STRONG));
                ui.label(RichText::new(&dataset.kind).small().color(theme::ACCENT));
                ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                    let id = dataset.id;
                    let buttons = [
                        (
                            "Delete…",
                            "Shows what would be deleted before anything is",
                            Command::Dataset(DatasetCommand::AskDelete(id)),
                            !busy,
                        ),
                        (
                            "Locate folder…",
                            "Its files were moved",
                            Command::ChooseFolder(FolderPurpose::Locate(id)),
                            !busy,
                        ),
                        (
                            "Check files",
                            "Check that the files are unchanged",
                            Command::Dataset(DatasetCommand::Check(id)),
                            true,
                        ),
                        (
                            "Report",
                            "What its last import found",
                            Command::Dataset(DatasetCommand::ShowReport(id)),
                            true,
                        ),
                    ];
                    for (text, hint, command, is_possible) in buttons {
                        let button = Button::new(RichText::new(text).small()).small().min_size(theme::SMALL_BUTTON);
                        if ui.add_enabled(is_possible, button).on_hover_text(hint).clicked() {
                            commands.push(command);
                        }
                    }
                    let root = RichText::new(dataset.root.display().to_string()).small().color(theme::WEAK);
                    ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                        ui.add(egui::Label::new(root).truncate());
                    });
                });
            });
        }
    });
}
