//! The Curves screen: the rounds' metrics, one at a time, as a plot and as a table. Computes nothing itself.

mod metric_plot;
mod metric_table;
mod metric_tables;
mod metrics;
mod model;
mod plot;
mod readout;
mod table;
mod threshold;
mod tide_bars;

pub use metrics::{MetricsModel, key_of};
pub use model::{CurvesModel, DrawnLine, Published, TABLE_AT};
pub use readout::Readout;

use egui::{ComboBox, Panel, RichText, ScrollArea, Ui};

use super::super::command::{Command, CurveKey, CurvesCommand, ExportFormat};
use super::super::theme;
use super::super::widgets::lists;
use crate::domain::Output;
use crate::evaluation::roc_file::ColumnOrder;
use crate::evaluation::{Metric, ScoreKind};
use crate::workflow::tested_round::GroundTruth;

/// Maximum fraction of the screen for the table; a longer one scrolls.
const TABLE_PART: f32 = 0.45;
const METRIC_TABLES_PART: f32 = 0.5;

pub struct CurvesView<'a> {
    pub model: &'a CurvesModel,
    /// The score from which the Images screen counts detections: marked on the curves.
    pub threshold: f32,
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
            if self.model.is_empty() && !self.model.shows_anything() {
                return nothing(ui);
            }
            for warning in self.model.warnings() {
                ui.label(RichText::new(warning).color(theme::WARNING));
                ui.add_space(theme::GAP / 2.0);
            }
            match self.model.metric() {
                Metric::Fddb => self.roc(ui),
                metric => self.boxes(ui, metric),
            }
        });
    }

    fn roc(&mut self, ui: &mut Ui) {
        let table = table::height(self.model).min(ui.available_height() * TABLE_PART);
        let height = ui.available_height() - table - theme::GAP;
        ui.columns(2, |columns| {
            plot::show(&mut columns[0], self, ScoreKind::Discrete, height);
            plot::show(&mut columns[1], self, ScoreKind::Continuous, height);
        });
        ui.add_space(theme::GAP);
        table::show(ui, self.model);
    }

    /// Shows the box evaluators' results: a plot if there is something to plot, and the numbers.
    fn boxes(&mut self, ui: &mut Ui, metric: Metric) {
        let model = self.model;
        let shown = model.shown_rounds();
        let tables = metric_tables::tables(&model.metrics, metric, &shown);
        let below = metric_table::height(&tables).min(ui.available_height() * METRIC_TABLES_PART);
        let height = ui.available_height() - below - theme::GAP;
        match metric {
            Metric::PrecisionRecall | Metric::MissRate => {
                let lines: Vec<_> = shown.iter().filter_map(|key| model.metrics.line(key, metric)).collect();
                metric_plot::show(ui, self, metric, &lines, height);
                ui.add_space(theme::GAP);
            }
            Metric::Tide => {
                tide_bars::show(ui, model, &shown, height);
                ui.add_space(theme::GAP);
            }
            _ => {}
        }
        metric_table::show(ui, &tables);
    }

    fn push(&mut self, command: CurvesCommand) {
        self.commands.push(Command::Curves(command));
    }

    fn side(&mut self, ui: &mut Ui) {
        let metric = self.model.metric();
        self.measure(ui, metric);
        ui.add_space(theme::GAP);
        super::start::card(ui, "Rounds", |ui| {
            if self.model.is_empty() {
                ui.label(RichText::new("None measured yet.").color(theme::WEAK));
            }
            self.toggles(ui, metric, |key| key.run.is_none());
            let mut earlier = self.model.earlier_shown;
            if metric == Metric::Fddb && ui.checkbox(&mut earlier, "Earlier evaluations, faded").changed() {
                self.push(CurvesCommand::ShowEarlier(earlier));
            }
            if metric == Metric::PrecisionRecall {
                metric_plot::best_mark(ui);
            }
        });
        ui.add_space(theme::GAP);
        if self.model.keys().any(|key| key.run.is_some()) {
            super::start::card(ui, "Cross-validation", |ui| self.toggles(ui, metric, |key| key.run.is_some()));
            ui.add_space(theme::GAP);
        }
        match metric {
            Metric::Fddb => {
                threshold::show(ui, self);
                ui.add_space(theme::GAP);
                self.axes(ui);
                ui.add_space(theme::GAP);
                self.published(ui);
                ui.add_space(theme::GAP);
                self.export(ui);
            }
            Metric::PrecisionRecall => {
                super::start::card(ui, "Axes", |ui| self.axes_from_zero(ui, "Both from 0 to 1"));
            }
            _ => {}
        }
    }

    /// The selection of metric and class.
    fn measure(&mut self, ui: &mut Ui, metric: Metric) {
        super::start::card(ui, "Measure", |ui| {
            let available = self.model.available();
            ui.horizontal_wrapped(|ui| {
                for one in available.iter().copied() {
                    let response = ui.selectable_label(one == metric, title(one)).on_hover_text(one.meaning());
                    if response.clicked() {
                        self.push(CurvesCommand::PickMetric(one));
                    }
                }
            });
            ui.label(RichText::new(metric.meaning()).small().color(theme::WEAK));
            if metric != Metric::Fddb && self.model.metrics.has_corrected() {
                self.ground_truth(ui);
            }
            let classes = self.model.metrics.classes();
            let has_classes = matches!(metric, Metric::PrecisionRecall | Metric::MissRate | Metric::Coco);
            if classes.len() > 1 && has_classes {
                self.class(ui, &classes);
            } else if classes.len() > 1 {
                ui.label(RichText::new("All classes together.").small().color(theme::WEAK));
            }
        });
    }

    fn ground_truth(&mut self, ui: &mut Ui) {
        let is_corrected = self.model.metrics.is_on_corrected();
        ui.label(RichText::new("Ground truth").color(theme::WEAK));
        ui.horizontal_wrapped(|ui| {
            for (corrected, truth) in [(false, GroundTruth::Imported), (true, GroundTruth::Corrected)] {
                let text = if corrected { "Corrected" } else { "Imported" };
                let response = ui.selectable_label(corrected == is_corrected, text);
                if response.on_hover_text(format!("Ground truth {}", truth.text())).clicked() {
                    self.push(CurvesCommand::OnCorrected(corrected));
                }
            }
        });
    }

    fn class(&mut self, ui: &mut Ui, classes: &[&str]) {
        const ALL: &str = "All classes";
        let picked = self.model.metrics.class();
        ui.name_inputs("Class", |ui| {
            lists::combo(ui, ComboBox::from_id_salt("class").selected_text(picked.unwrap_or(ALL)).width(200.0), |ui| {
                for class in std::iter::once(None).chain(classes.iter().copied().map(Some)) {
                    if ui.selectable_label(class == picked, class.unwrap_or(ALL)).clicked() {
                        self.push(CurvesCommand::PickClass(class.map(str::to_owned)));
                    }
                }
            });
        });
    }

    /// A switch for each pooled curve for which `is_wanted` holds, with its folds; for box metrics one per round.
    fn toggles(&mut self, ui: &mut Ui, metric: Metric, is_wanted: impl Fn(&CurveKey) -> bool) {
        if metric != Metric::Fddb {
            let rounds = self.model.metrics.rounds().map(|(key, _)| key).filter(|key| is_wanted(key));
            for key in rounds.cloned().collect::<Vec<_>>() {
                self.toggle(ui, &key, key.name());
            }
            return;
        }
        let pooled = self.model.keys().filter(|key| key.fold().is_none() && is_wanted(key));
        for key in pooled.cloned().collect::<Vec<_>>() {
            self.toggle(ui, &key, key.text());
            self.folds(ui, &key);
        }
    }

    fn toggle(&mut self, ui: &mut Ui, key: &CurveKey, name: String) {
        ui.horizontal(|ui| {
            let mut shown = self.model.is_shown(key);
            if ui.checkbox(&mut shown, name).changed() {
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
            ui.horizontal_wrapped(|ui| {
                ui.label(RichText::new("up to").color(theme::WEAK));
                for max in [None, Some(100), Some(500), Some(2000)] {
                    let text = max.map_or("Fit".to_owned(), |max| max.to_string());
                    if ui.selectable_label(self.model.x_max == max, text).clicked() {
                        self.push(CurvesCommand::SetMax(max));
                    }
                }
            });
            self.axes_from_zero(ui, "Start y axis at 0");
        });
    }

    fn axes_from_zero(&mut self, ui: &mut Ui, text: &str) {
        let mut from_zero = self.model.from_zero;
        if ui.checkbox(&mut from_zero, text).changed() {
            self.push(CurvesCommand::SetFromZero(from_zero));
        }
    }

    fn published(&mut self, ui: &mut Ui) {
        super::start::card(ui, "Published results", |ui| {
            let hint = "A *DiscROC.txt or *ContROC.txt file; the other one is read from the same folder. You can also drop files here.";
            if ui.button("Import a ROC file…").on_hover_text(hint).clicked() {
                self.push(CurvesCommand::ChooseRoc);
            }
            if let Some(path) = &self.model.ambiguous {
                self.ask_for_columns(ui, path);
            }
            for (index, published) in self.model.published.iter().enumerate() {
                let mut shown = published.shown;
                let text = RichText::new(&published.name).small();
                // A checkbox does not wrap its text by itself.
                let response = ui
                    .horizontal(|ui| {
                        ui.set_max_width(ui.available_width() - 8.0);
                        let mut response = ui.checkbox(&mut shown, "");
                        let info = egui::WidgetInfo::selected(egui::Role::CheckBox, true, shown, &published.name);
                        response.widget_info(|| info.clone());
                        let label = ui.add(egui::Label::new(text).wrap().sense(egui::Sense::click()));
                        if label.clicked() {
                            response.mark_changed();
                        }
                        response
                    })
                    .inner;
                if !published.notes.is_empty() {
                    response.clone().on_hover_text(&published.notes);
                }
                if published.imported || published.shown {
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
                    // FDDB's text contains counts, which only own curves have.
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
        ui.label(format!("{} already contains files with these names.", path.display()));
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

/// Returns a metric's title in the picker.
fn title(metric: Metric) -> &'static str {
    match metric {
        Metric::Fddb => "ROC (FDDB)",
        other => other.title(),
    }
}

fn nothing(ui: &mut Ui) {
    ui.add_space(ui.available_height() * 0.35);
    ui.vertical_centered(|ui| {
        ui.label(RichText::new("No curves yet").size(theme::BIG_NUMBER).color(theme::STRONG));
        let hint = "A round with test images is evaluated during training and at its end.";
        ui.label(RichText::new(hint).color(theme::WEAK));
    });
}
