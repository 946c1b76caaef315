//! The ROC screen: discrete and continuous side by side, what is shown, and the table. Measures nothing itself.

mod key;
mod model;
mod plot;
mod readout;
mod table;

pub use key::CurveKey;
pub use model::{CurvesModel, DrawnLine, ExportFormat, Published, TABLE_AT};
pub use readout::Readout;

use std::path::PathBuf;

use egui::{Panel, RichText, ScrollArea, Ui};

use super::super::command::Command;
use super::super::theme;
use crate::domain::Output;
use crate::evaluation::ScoreKind;
use crate::evaluation::roc_file::ColumnOrder;

/// The table's part of the screen at most; what is longer can be scrolled.
const TABLE_PART: f32 = 0.45;

#[derive(Debug, Clone, PartialEq)]
pub enum CurvesCommand {
    Toggle(CurveKey),
    SetLog(bool),
    SetMax(u64),
    /// Rates from 0, or from a round number below the lowest curve.
    SetFromZero(bool),
    ShowEarlier(bool),
    TogglePublished(usize),
    /// Asks for a ROC file.
    ChooseRoc,
    /// Reads a ROC file; the order is the user's word where the columns cannot be told apart.
    ReadRoc(PathBuf, Option<ColumnOrder>),
    /// Leaves the file alone whose columns cannot be told apart.
    LeaveRoc,
    /// Takes an imported curve out again, by name.
    ForgetRoc(String),
    /// Sets the review's filter to this score and above.
    ReviewFrom(f64),
    Export(ExportFormat),
    /// Writes the shown curves to a file or folder that was chosen.
    Write(ExportFormat, Output),
    /// Leaves the files as they are that an export would replace.
    LeaveFiles,
}

pub struct CurvesView<'a> {
    pub model: &'a CurvesModel,
    pub commands: &'a mut Vec<Command>,
}

impl CurvesView<'_> {
    pub fn show(&mut self, ui: &mut Ui) {
        let dropped = ui.input(|input| input.raw.dropped_files.clone());
        for path in dropped.into_iter().map(|file| file.path().to_path_buf()) {
            self.push(CurvesCommand::ReadRoc(path, None));
        }
        let side = theme::side_column();
        Panel::left("shown curves").frame(side).resizable(false).exact_size(280.0).show_separator_line(false).show(
            ui,
            |ui| {
                ScrollArea::vertical().auto_shrink(false).show(ui, |ui| self.side(ui));
            },
        );
        let main = theme::main_column();
        egui::CentralPanel::default().frame(main).show(ui, |ui| {
            if self.model.is_empty() && !self.model.shows_anything() {
                return nothing(ui);
            }
            let table = table::height(self.model).min(ui.available_height() * TABLE_PART);
            let height = ui.available_height() - table - theme::GAP;
            ui.columns(2, |columns| {
                plot::show(&mut columns[0], self, ScoreKind::Discrete, height);
                plot::show(&mut columns[1], self, ScoreKind::Continuous, height);
            });
            ui.add_space(theme::GAP);
            table::show(ui, self.model);
        });
    }

    fn push(&mut self, command: CurvesCommand) {
        self.commands.push(Command::Curves(command));
    }

    fn side(&mut self, ui: &mut Ui) {
        super::start::card(ui, "Rounds", |ui| {
            if self.model.is_empty() {
                ui.label(RichText::new("None measured yet.").color(theme::WEAK));
            }
            self.toggles(ui, |key| key.run.is_none());
            let mut earlier = self.model.earlier_shown;
            if ui.checkbox(&mut earlier, "Earlier evaluations, faded").changed() {
                self.push(CurvesCommand::ShowEarlier(earlier));
            }
        });
        ui.add_space(theme::GAP);
        if self.model.keys().any(|key| key.run.is_some()) {
            super::start::card(ui, "Cross-validation", |ui| self.toggles(ui, |key| key.run.is_some()));
            ui.add_space(theme::GAP);
        }
        self.axes(ui);
        ui.add_space(theme::GAP);
        self.published(ui);
        ui.add_space(theme::GAP);
        self.export(ui);
    }

    /// A switch for each pooled curve that `is_wanted`, with its folds.
    fn toggles(&mut self, ui: &mut Ui, is_wanted: impl Fn(&CurveKey) -> bool) {
        let pooled = self.model.keys().filter(|key| key.fold().is_none() && is_wanted(key));
        for key in pooled.cloned().collect::<Vec<_>>() {
            self.toggle(ui, &key);
            self.folds(ui, &key);
        }
    }

    fn toggle(&mut self, ui: &mut Ui, key: &CurveKey) {
        ui.horizontal(|ui| {
            let mut shown = self.model.is_shown(key);
            if ui.checkbox(&mut shown, key.text()).changed() {
                self.push(CurvesCommand::Toggle(key.clone()));
            }
            let (rect, _) = ui.allocate_exact_size(egui::vec2(34.0, 12.0), egui::Sense::hover());
            plot::paint_sample(ui.painter(), rect, key.style());
            if self.model.is_running(key) {
                ui.label(RichText::new("live").small().color(theme::GOOD));
            }
        });
    }

    /// A small switch for each fold of a pooled curve.
    fn folds(&mut self, ui: &mut Ui, pooled: &CurveKey) {
        let folds = self.model.folds_of(pooled);
        if folds.is_empty() {
            return;
        }
        ui.horizontal_wrapped(|ui| {
            ui.add_space(22.0);
            ui.label(RichText::new("folds").small().color(theme::WEAK));
            for key in folds {
                let number = key.fold().unwrap_or_default().to_string();
                if ui.selectable_label(self.model.is_shown(&key), RichText::new(number).small()).clicked() {
                    self.push(CurvesCommand::Toggle(key));
                }
            }
        });
    }

    fn axes(&mut self, ui: &mut Ui) {
        super::start::card(ui, "Axes", |ui| {
            ui.label(RichText::new("False positives").color(theme::WEAK));
            ui.horizontal(|ui| {
                for (log, text) in [(true, "Logarithmic"), (false, "Linear")] {
                    if ui.selectable_label(self.model.log_x == log, text).clicked() {
                        self.push(CurvesCommand::SetLog(log));
                    }
                }
            });
            ui.horizontal(|ui| {
                ui.label(RichText::new("up to").color(theme::WEAK));
                for max in [100, 500, 2000] {
                    if ui.selectable_label(self.model.x_max == max, max.to_string()).clicked() {
                        self.push(CurvesCommand::SetMax(max));
                    }
                }
            });
            let mut from_zero = self.model.from_zero;
            if ui.checkbox(&mut from_zero, "Rates from 0").changed() {
                self.push(CurvesCommand::SetFromZero(from_zero));
            }
        });
    }

    fn published(&mut self, ui: &mut Ui) {
        super::start::card(ui, "Of others", |ui| {
            let hint = "A file *DiscROC.txt or *ContROC.txt; its other half is taken from beside it. Files can be dropped here too.";
            if ui.button("Import a ROC file…").on_hover_text(hint).clicked() {
                self.push(CurvesCommand::ChooseRoc);
            }
            if let Some(path) = &self.model.ambiguous {
                self.ask_for_columns(ui, path);
            }
            for (index, published) in self.model.published.iter().enumerate() {
                let mut shown = published.shown;
                let response = ui.checkbox(&mut shown, RichText::new(&published.name).small());
                if !published.notes.is_empty() {
                    response.clone().on_hover_text(&published.notes);
                }
                if published.imported {
                    let (rect, _) = ui.allocate_exact_size(egui::vec2(34.0, 12.0), egui::Sense::hover());
                    plot::paint_sample(ui.painter(), rect, published.style());
                }
                if response.changed() {
                    self.commands.push(Command::Curves(CurvesCommand::TogglePublished(index)));
                }
                if published.imported && ui.small_button("Take out").clicked() {
                    self.commands.push(Command::Curves(CurvesCommand::ForgetRoc(published.name.clone())));
                }
            }
        });
    }

    fn ask_for_columns(&mut self, ui: &mut Ui, path: &std::path::Path) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        ui.label(format!("In {name} both columns could be the true positive rate. Which one is?"));
        ui.horizontal(|ui| {
            for (text, order) in
                [("The first", ColumnOrder::RateFirst), ("The second", ColumnOrder::FalsePositivesFirst)]
            {
                if ui.button(text).clicked() {
                    self.commands.push(Command::Curves(CurvesCommand::ReadRoc(path.to_owned(), Some(order))));
                }
            }
            if ui.button("Leave it").clicked() {
                self.commands.push(Command::Curves(CurvesCommand::LeaveRoc));
            }
        });
    }

    fn export(&mut self, ui: &mut Ui) {
        super::start::card(ui, "Export", |ui| {
            ui.horizontal_wrapped(|ui| {
                for format in ExportFormat::ALL {
                    let text = match format {
                        ExportFormat::Official => "FDDB text…".to_owned(),
                        other => format!("{}…", other.extension().to_uppercase()),
                    };
                    // FDDB's text holds counts, which only one's own curves have.
                    let enabled = match format {
                        ExportFormat::Official => self.model.shown().next().is_some(),
                        _ => self.model.shows_anything(),
                    };
                    if ui.add_enabled(enabled, egui::Button::new(text)).clicked() {
                        self.push(CurvesCommand::Export(format));
                    }
                }
            });
            if let Some((format, path)) = &self.model.replacing {
                self.ask_to_replace(ui, *format, path);
            }
        });
    }

    fn ask_to_replace(&mut self, ui: &mut Ui, format: ExportFormat, path: &std::path::Path) {
        ui.label(format!("{} holds files of these names already.", path.display()));
        ui.horizontal(|ui| {
            if ui.button("Replace them").clicked() {
                self.commands.push(Command::Curves(CurvesCommand::Write(format, Output::new(path, true))));
            }
            if ui.button("Leave them").clicked() {
                self.commands.push(Command::Curves(CurvesCommand::LeaveFiles));
            }
        });
    }
}

fn nothing(ui: &mut Ui) {
    ui.add_space(ui.available_height() * 0.35);
    ui.vertical_centered(|ui| {
        ui.label(RichText::new("No curves yet").size(theme::BIG_NUMBER).color(theme::STRONG));
        let hint = "A round with a test fold is measured while it trains and at its end.";
        ui.label(RichText::new(hint).color(theme::WEAK));
    });
}
