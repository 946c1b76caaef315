//! The ROC screen: discrete and continuous side by side, what is shown, and the table. Measures nothing itself.

mod model;
mod plot;
mod table;

pub use model::{CurveKey, CurvesModel, DrawnLine, Published, Reading, Score, TABLE_AT};

use egui::{Panel, RichText, ScrollArea, Ui};

use super::super::command::Command;
use super::super::theme;

#[derive(Debug, Clone, PartialEq)]
pub enum CurvesCommand {
    Toggle(CurveKey),
    SetLog(bool),
    SetMax(u64),
    ShowEarlier(bool),
    TogglePublished(usize),
    /// Sets the review's filter to this score and above.
    ReviewFrom(f64),
    Export(ExportFormat),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    Svg,
    Png,
    Csv,
}

impl ExportFormat {
    pub const ALL: [Self; 3] = [Self::Svg, Self::Png, Self::Csv];

    pub fn extension(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
            Self::Csv => "csv",
        }
    }
}

pub struct CurvesView<'a> {
    pub model: &'a CurvesModel,
    pub commands: &'a mut Vec<Command>,
}

impl CurvesView<'_> {
    pub fn show(&mut self, ui: &mut Ui) {
        let side = theme::side_column();
        Panel::left("shown curves").frame(side).resizable(false).exact_size(280.0).show_separator_line(false).show(
            ui,
            |ui| {
                ScrollArea::vertical().auto_shrink(false).show(ui, |ui| self.side(ui));
            },
        );
        let main = theme::main_column();
        egui::CentralPanel::default().frame(main).show(ui, |ui| {
            if self.model.is_empty() && !self.model.published.iter().any(|p| p.shown) {
                return nothing(ui);
            }
            let table = (92.0 + 34.0 * self.model.shown().count() as f32).min(ui.available_height() * 0.42);
            let height = ui.available_height() - table - theme::GAP;
            ui.columns(2, |columns| {
                plot::show(&mut columns[0], self, Score::Discrete, height);
                plot::show(&mut columns[1], self, Score::Continuous, height);
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
            let keys: Vec<CurveKey> = self.model.keys().cloned().collect();
            for key in keys {
                self.toggle(ui, &key);
            }
            let mut earlier = self.model.earlier_shown;
            if ui.checkbox(&mut earlier, "Earlier evaluations, faded").changed() {
                self.push(CurvesCommand::ShowEarlier(earlier));
            }
        });
        ui.add_space(theme::GAP);
        self.axis(ui);
        ui.add_space(theme::GAP);
        if !self.model.published.is_empty() {
            self.published(ui);
            ui.add_space(theme::GAP);
        }
        self.export(ui);
    }

    fn toggle(&mut self, ui: &mut Ui, key: &CurveKey) {
        ui.horizontal(|ui| {
            let mut shown = self.model.is_shown(key);
            if ui.checkbox(&mut shown, key.text()).changed() {
                self.push(CurvesCommand::Toggle(key.clone()));
            }
            let (rect, _) = ui.allocate_exact_size(egui::vec2(34.0, 12.0), egui::Sense::hover());
            plot::paint_sample(ui.painter(), rect, key);
            if self.model.is_running(key) {
                ui.label(RichText::new("live").small().color(theme::GOOD));
            }
        });
    }

    fn axis(&mut self, ui: &mut Ui) {
        super::start::card(ui, "False positives", |ui| {
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
        });
    }

    fn published(&mut self, ui: &mut Ui) {
        super::start::card(ui, "Published", |ui| {
            for (index, published) in self.model.published.iter().enumerate() {
                let mut shown = published.shown;
                let response = ui.checkbox(&mut shown, RichText::new(&published.name).small());
                if !published.notes.is_empty() {
                    response.clone().on_hover_text(&published.notes);
                }
                if response.changed() {
                    self.commands.push(Command::Curves(CurvesCommand::TogglePublished(index)));
                }
            }
        });
    }

    fn export(&mut self, ui: &mut Ui) {
        super::start::card(ui, "Export", |ui| {
            ui.horizontal(|ui| {
                for format in ExportFormat::ALL {
                    let text = format!("{}…", format.extension().to_uppercase());
                    if ui.add_enabled(!self.model.is_empty(), egui::Button::new(text)).clicked() {
                        self.push(CurvesCommand::Export(format));
                    }
                }
            });
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
