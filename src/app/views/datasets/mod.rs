//! The window over the Project screen for dataset operations: import previews and reports, file checks, deletion previews, and a detector's
//! results.

mod detections;
mod found;
mod model;

use std::path::PathBuf;

use egui::{Button, Context, Id, Modal, ProgressBar, RichText, TextEdit, Ui, vec2};

pub use self::detections::DetectionsForm;
pub use self::model::ModelForm;
use crate::app::command::{Command, DatasetCommand};
use crate::app::theme;
use crate::app::widgets::growing::growing;
use crate::domain::{Class, Progress};
use crate::workflow::import::{ImportReport, ReadDataset};

/// What the window shows.
#[derive(Default)]
pub enum DatasetWindow {
    #[default]
    Closed,
    /// A task is running; `stoppable`: closing the window stops it.
    Working {
        title: String,
        stoppable: bool,
    },
    /// A dataset that was read and is not in the project yet.
    Import {
        path: PathBuf,
        read: Box<ReadDataset>,
        report: Box<ImportReport>,
    },
    Text(DatasetText),
    Detections(Box<DetectionsForm>),
    Model(Box<ModelForm>),
}

/// A text to read, and a possible action.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DatasetText {
    pub title: String,
    pub text: String,
    /// Whether it is an error.
    pub is_problem: bool,
    /// A button's text and its command, which cannot be undone.
    pub action: Option<(String, DatasetCommand)>,
}

/// The window, and what it shows in addition to its own state.
pub struct DatasetView<'a> {
    pub window: &'a mut DatasetWindow,
    pub progress: Option<Progress>,
    pub classes: &'a [Class],
    pub commands: &'a mut Vec<Command>,
}

impl DatasetView<'_> {
    pub fn show(self, ctx: &Context) {
        let Self { window, progress, classes, commands } = self;
        if matches!(window, DatasetWindow::Closed) {
            return;
        }
        let is_kept = matches!(window, DatasetWindow::Working { stoppable: false, .. });
        let modal = Modal::new(Id::unique("dataset window")).frame(theme::card().inner_margin(22)).show(ctx, |ui| {
            ui.set_width(720.0_f32.min(ctx.content_rect().width() - 60.0));
            let height = ctx.content_rect().height() - 180.0;
            match window {
                DatasetWindow::Closed => {}
                DatasetWindow::Working { title, stoppable } => working(ui, title, *stoppable, progress, commands),
                DatasetWindow::Import { path, report, .. } => {
                    found::show(ui, &path.display().to_string(), report, height, commands);
                }
                DatasetWindow::Text(shown) => text(ui, shown, height, commands),
                DatasetWindow::Detections(form) => form.show(ui, classes, height, commands),
                DatasetWindow::Model(form) => form.show(ui, classes, height, commands),
            }
        });
        if modal.should_close() && !is_kept {
            close(commands);
        }
    }
}

fn close(commands: &mut Vec<Command>) {
    commands.push(Command::Dataset(DatasetCommand::Close));
}

fn title(ui: &mut Ui, title: &str) {
    ui.label(RichText::new(title).size(20.0).strong().color(theme::STRONG));
    ui.add_space(6.0);
}

/// The field with a model's name in the project.
fn model_name(ui: &mut Ui, name: &str, hint: &str, commands: &mut Vec<Command>) {
    ui.label(RichText::new("Model").color(theme::WEAK));
    let mut name = name.to_owned();
    let edit = TextEdit::singleline(&mut name).id(egui::Id::unique("model name")).desired_width(260.0);
    let response = ui.name_inputs("Model", |ui| ui.add(edit));
    if response.on_hover_text(hint).changed() {
        commands.push(Command::Dataset(DatasetCommand::SetModelName(name)));
    }
}

fn working(ui: &mut Ui, what: &str, stoppable: bool, progress: Option<Progress>, commands: &mut Vec<Command>) {
    title(ui, what);
    match progress.filter(|p| p.total > 0) {
        Some(p) => {
            ui.label(RichText::new(format!("{}: {} of {}", p.what, p.done, p.total)).color(theme::WEAK));
            ui.add(ProgressBar::new(p.done as f32 / p.total as f32).desired_height(6.0).fill(theme::ACCENT.now()));
        }
        None => {
            ui.horizontal(|ui| {
                ui.spinner();
                ui.label(RichText::new("Nothing is written yet.").color(theme::WEAK));
            });
        }
    }
    ui.add_space(theme::GAP);
    if stoppable && ui.button("Stop").clicked() {
        close(commands);
    }
}

fn text(ui: &mut Ui, shown: &DatasetText, height: f32, commands: &mut Vec<Command>) {
    title(ui, &shown.title);
    growing(height).show(ui, |ui| {
        let color = if shown.is_problem { theme::WARNING } else { theme::TEXT };
        ui.label(RichText::new(&shown.text).color(color));
    });
    ui.add_space(theme::GAP);
    ui.horizontal(|ui| {
        if let Some((text, command)) = &shown.action {
            let button = Button::new(RichText::new(text).strong().color(theme::ERROR)).min_size(vec2(110.0, 30.0));
            if ui.add(button).clicked() {
                commands.push(Command::Dataset(command.clone()));
            }
        }
        let leave = if shown.action.is_some() { "Cancel" } else { "Close" };
        if ui.add(Button::new(leave).min_size(vec2(90.0, 30.0))).clicked() {
            close(commands);
        }
    });
}
