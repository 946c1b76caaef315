//! The preview of a third-party model: its name, its device, and the mapping of its classes to the project's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use egui::{Button, ComboBox, RichText, Ui, vec2};

use super::{Command, close, model_name, title};
use crate::app::command::DatasetCommand;
use crate::app::theme;
use crate::app::widgets::growing::growing;
use crate::app::widgets::lists;
use crate::domain::{Class, counted, printable};
use crate::workflow::detections::{DEFAULT_MIN_SCORE, ModelClass, ModelPreview, ModelRequest};

/// The user's choices, and what is known about the model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelForm {
    pub path: PathBuf,
    pub name: String,
    pub device: String,
    pub look: ModelPreview,
    /// Class of the model -> class of the project, if chosen.
    pub chosen: BTreeMap<String, String>,
}

impl ModelForm {
    /// Initially maps classes with equal names.
    pub fn new(path: PathBuf, look: ModelPreview) -> Self {
        let stem = path.file_stem().map_or_else(|| "model".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let chosen = look.classes.iter().filter_map(|class| Some((class.name.clone(), class.in_project.clone()?)));
        let chosen = chosen.collect();
        Self { path, name: stem.trim().to_owned(), device: DEVICES[0].to_owned(), look, chosen }
    }

    /// Returns the request to run it.
    pub fn request(&self) -> ModelRequest {
        // Classes without a choice must not be matched by name.
        let left_out = self.look.classes.iter().filter(|class| !self.chosen.contains_key(&class.name));
        let left_out = left_out.map(|class| (class.name.clone(), String::new()));
        ModelRequest {
            path: self.path.clone(),
            name: self.name.trim().to_owned(),
            device: self.device.clone(),
            map: self.chosen.clone().into_iter().chain(left_out).collect(),
            min_score: DEFAULT_MIN_SCORE,
            test_splits: None,
            test_dataset: None,
        }
    }

    pub(super) fn show(&self, ui: &mut Ui, classes: &[Class], height: f32, commands: &mut Vec<Command>) {
        title(ui, "Mine a model");
        let path = self.path.display().to_string();
        ui.add(egui::Label::new(RichText::new(printable(&path)).small().color(theme::WEAK)).truncate());
        ui.label(RichText::new(format!("Images {}", self.look.input)).small().color(theme::WEAK));
        ui.add_space(6.0);
        ui.horizontal(|ui| {
            let hint = "A run of the same model becomes its next round; a stopped run is resumed";
            model_name(ui, &self.name, hint, commands);
            ui.label(RichText::new("Device").color(theme::WEAK));
            lists::combo(ui, ComboBox::from_id_salt("device").selected_text(&self.device).width(90.0), |ui| {
                for device in DEVICES {
                    if ui.selectable_label(self.device == device, device).clicked() {
                        commands.push(Command::Dataset(DatasetCommand::SetModelDevice(device.to_owned())));
                    }
                }
            });
        });
        ui.add_space(6.0);
        ui.label(
            RichText::new(format!("What it finds on {} of the project:", counted(self.look.images, "image")))
                .color(theme::WEAK),
        );
        growing(height - 110.0).show(ui, |ui| {
            self.look.classes.iter().for_each(|class| self.class_row(ui, class, classes, commands));
            ui.label(RichText::new("Nothing is written yet.").small().color(theme::WEAK));
        });
        ui.add_space(theme::GAP);
        ui.horizontal(|ui| {
            let is_ready = !self.chosen.is_empty() && !self.name.trim().is_empty();
            let run = Button::new(RichText::new("Mine").strong().color(theme::STRONG)).fill(theme::ACCENT_DEEP);
            let response = ui.add_enabled(is_ready, run.min_size(vec2(110.0, 30.0)));
            if response.on_disabled_hover_text("Map at least one of its classes to a class of the project").clicked() {
                commands.push(Command::Dataset(DatasetCommand::TakeModel));
            }
            if ui.add(Button::new("Cancel").min_size(vec2(90.0, 30.0))).clicked() {
                close(commands);
            }
        });
    }

    fn class_row(&self, ui: &mut Ui, class: &ModelClass, classes: &[Class], commands: &mut Vec<Command>) {
        ui.horizontal(|ui| {
            ui.vertical(|ui| {
                ui.set_width(300.0);
                ui.label(RichText::new(printable(&class.name)).color(theme::STRONG));
                ui.label(RichText::new(counted(class.detections, "detection")).small().color(theme::WEAK));
            });
            let now = self.chosen.get(&class.name).map_or(LEFT_OUT, String::as_str);
            let mut choose = |text: Option<&str>| {
                let command = DatasetCommand::SetModelClass(class.name.clone(), text.map(str::to_owned));
                commands.push(Command::Dataset(command));
            };
            let combo = ComboBox::from_id_salt(("model class", &class.name)).selected_text(now).width(200.0);
            lists::combo(ui, combo, |ui| {
                if ui.selectable_label(now == LEFT_OUT, LEFT_OUT).clicked() {
                    choose(None);
                }
                for known in classes {
                    if ui.selectable_label(now == known.name, &known.name).clicked() {
                        choose(Some(&known.name));
                    }
                }
            });
        });
        ui.add_space(4.0);
    }
}

const DEVICES: [&str; 3] = ["auto", "cpu", "cuda:0"];
const LEFT_OUT: &str = "left out";
