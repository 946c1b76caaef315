//! The preview of imported detections: the model's name, crops of each class in the file, and the mapping of classes to the project's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use egui::{Button, ColorImage, ComboBox, RichText, ScrollArea, TextureHandle, TextureOptions, Ui, vec2};

use super::{Command, close, model_name, title};
use crate::app::command::DatasetCommand;
use crate::app::theme;
use crate::domain::{Class, printable};
use crate::workflow::detections::ClassSample;

/// The user's choices, and what is known about the file.
pub struct DetectionsForm {
    pub path: PathBuf,
    pub name: String,
    pub samples: Vec<ClassSample>,
    /// Class number -> the project's class.
    pub chosen: BTreeMap<i64, String>,
    /// The result of a dry run with these choices; an error says what still has to be chosen.
    pub said: Option<Result<String, String>>,
    textures: Vec<Vec<TextureHandle>>,
}

impl DetectionsForm {
    /// Maps unnamed class numbers to the project's classes in order: from 0, as in YOLO, or from 1 if that fits, as in COCO. The crops show
    /// whether that is right.
    pub fn new(path: PathBuf, samples: Vec<ClassSample>, classes: &[Class]) -> Self {
        let stem = path.file_stem().map_or_else(|| "model".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let unnamed: Vec<i64> =
            samples.iter().filter(|sample| sample.name.is_none()).filter_map(|sample| sample.number).collect();
        let is_from_one = unnamed.iter().all(|number| *number > 0) && unnamed.contains(&(classes.len() as i64));
        let class = |number: i64| classes.get(usize::try_from(number - i64::from(is_from_one)).ok()?);
        let chosen = unnamed.iter().filter_map(|number| Some((*number, class(*number)?.name.clone()))).collect();
        Self { path, name: stem.trim().to_owned(), samples, chosen, said: None, textures: Vec::new() }
    }

    pub(super) fn show(&mut self, ui: &mut Ui, classes: &[Class], height: f32, commands: &mut Vec<Command>) {
        title(ui, "Import detections");
        let path = self.path.display().to_string();
        ui.add(egui::Label::new(RichText::new(printable(&path)).small().color(theme::WEAK)).truncate());
        ui.add_space(6.0);
        ui.horizontal(|ui| model_name(ui, &self.name, "Results of the same model become its next round", commands));
        ui.add_space(6.0);
        self.load_textures(ui);
        ScrollArea::vertical().max_height(height - 90.0).auto_shrink([false, true]).show(ui, |ui| {
            for (sample, textures) in self.samples.iter().zip(&self.textures) {
                class_row(ui, sample, textures, &self.chosen, classes, commands);
            }
            match &self.said {
                Some(Ok(text)) => ui.label(RichText::new(text).color(theme::TEXT)),
                Some(Err(reason)) => ui.label(RichText::new(reason).color(theme::WARNING)),
                None => ui.label(RichText::new("Nothing is written yet.").small().color(theme::WEAK)),
            };
        });
        ui.add_space(theme::GAP);
        ui.horizontal(|ui| {
            if ui
                .add(Button::new("Try it").min_size(vec2(90.0, 30.0)))
                .on_hover_text("Reads and checks everything, writes nothing")
                .clicked()
            {
                commands.push(Command::Dataset(DatasetCommand::PreviewDetections));
            }
            let is_checked = matches!(self.said, Some(Ok(_)));
            let import = Button::new(RichText::new("Import").strong().color(theme::STRONG)).fill(theme::ACCENT_DEEP);
            if ui.add_enabled(is_checked, import.min_size(vec2(110.0, 30.0))).clicked() {
                commands.push(Command::Dataset(DatasetCommand::TakeDetections));
            }
            if ui.add(Button::new("Cancel").min_size(vec2(90.0, 30.0))).clicked() {
                close(commands);
            }
        });
    }

    fn load_textures(&mut self, ui: &Ui) {
        if self.textures.len() == self.samples.len() {
            return;
        }
        let load = |crop: &image::RgbImage| {
            let size = [crop.width() as usize, crop.height() as usize];
            let pixels = ColorImage::from_rgb(size, crop.as_raw());
            ui.ctx().load_texture("class sample", pixels, TextureOptions::LINEAR)
        };
        self.textures = self.samples.iter().map(|sample| sample.crops.iter().map(load).collect()).collect();
    }
}

/// Shows a class's name in the file, its crops, and the project's class.
fn class_row(
    ui: &mut Ui,
    sample: &ClassSample,
    textures: &[TextureHandle],
    chosen: &BTreeMap<i64, String>,
    classes: &[Class],
    commands: &mut Vec<Command>,
) {
    ui.horizontal(|ui| {
        let text = match (sample.number, &sample.name) {
            (Some(number), Some(name)) => format!("Class {number}, {}", printable(name)),
            (Some(number), None) => format!("Class {number}"),
            (None, Some(name)) => printable(name).into_owned(),
            (None, None) => "Detections without a class".to_owned(),
        };
        ui.vertical(|ui| {
            ui.set_width(190.0);
            ui.label(RichText::new(&text).color(theme::STRONG));
            ui.label(RichText::new(format!("{} detections", sample.detections)).small().color(theme::WEAK));
            if let (Some(number), None, 2..) = (sample.number, &sample.name, classes.len()) {
                let now = chosen.get(&number).map_or("choose its class", String::as_str);
                ComboBox::from_id_salt(("class", number)).selected_text(now).width(170.0).show_ui(ui, |ui| {
                    for class in classes {
                        let is_chosen = chosen.get(&number) == Some(&class.name);
                        if ui.selectable_label(is_chosen, &class.name).clicked() {
                            commands.push(Command::Dataset(DatasetCommand::SetClass(number, class.name.clone())));
                        }
                    }
                });
            }
        });
        for texture in textures {
            ui.image((texture.id(), texture.size_vec2()));
        }
        if textures.is_empty() {
            ui.label(RichText::new("on no image of the project").small().color(theme::WARNING));
        }
    });
    ui.add_space(6.0);
}
