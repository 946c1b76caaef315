//! The preview of imported detections: the model's name, crops of each class in the file, and the mapping of classes to the project's.

use std::collections::BTreeMap;
use std::path::PathBuf;

use egui::{Button, ColorImage, ComboBox, RichText, TextureHandle, TextureOptions, Ui, vec2};

use super::{Command, close, model_name, title};
use crate::app::command::DatasetCommand;
use crate::app::theme;
use crate::app::widgets::growing::growing;
use crate::app::widgets::lists;
use crate::domain::{Class, counted, printable};
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

/// So many detections on objects of a class tell that it is meant.
const LIKELY_FROM: usize = 3;

impl DetectionsForm {
    /// Proposes a class for each class number: the class whose objects its detections overlap; otherwise the one with the file's name for it;
    /// otherwise, if the file has no names, the project's classes in order: from 0, as in YOLO, or from 1 if that fits, as in COCO. The crops
    /// show whether that is right.
    pub fn new(path: PathBuf, samples: Vec<ClassSample>, classes: &[Class]) -> Self {
        let stem = path.file_stem().map_or_else(|| "model".to_owned(), |stem| stem.to_string_lossy().into_owned());
        let unnamed: Vec<i64> =
            samples.iter().filter(|sample| sample.name.is_none()).filter_map(|sample| sample.number).collect();
        let is_from_one = unnamed.iter().all(|number| *number > 0) && unnamed.contains(&(classes.len() as i64));
        let in_order = |number: i64| classes.get(usize::try_from(number - i64::from(is_from_one)).ok()?);
        let propose = |sample: &ClassSample| {
            let number = sample.number?;
            let likely = sample.likely.as_ref().filter(|likely| likely.on_its >= LIKELY_FROM);
            let class = match (likely, &sample.name) {
                (Some(likely), _) => classes.iter().find(|class| class.id == likely.class),
                (None, Some(name)) => classes.iter().find(|class| class.name.eq_ignore_ascii_case(name.trim())),
                (None, None) => in_order(number),
            };
            Some((number, class?.name.clone()))
        };
        let chosen = samples.iter().filter_map(propose).collect();
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
        growing(height - 90.0).show(ui, |ui| {
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
            ui.label(RichText::new(counted(sample.detections, "detection")).small().color(theme::WEAK));
            if let (Some(number), 2..) = (sample.number, classes.len()) {
                let now = chosen.get(&number).map_or("choose its class", String::as_str);
                lists::combo(ui, ComboBox::from_id_salt(("class", number)).selected_text(now).width(170.0), |ui| {
                    for class in classes {
                        let is_chosen = chosen.get(&number) == Some(&class.name);
                        if ui.selectable_label(is_chosen, &class.name).clicked() {
                            commands.push(Command::Dataset(DatasetCommand::SetClass(number, class.name.clone())));
                        }
                    }
                });
            }
            if let Some((text, is_chosen)) = lies_on(sample, chosen, classes) {
                let color = if is_chosen { theme::WEAK } else { theme::WARNING };
                ui.label(RichText::new(text).small().color(color));
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

/// On objects of which class the detections lie, and whether that class is chosen.
fn lies_on(sample: &ClassSample, chosen: &BTreeMap<i64, String>, classes: &[Class]) -> Option<(String, bool)> {
    let (number, likely) = (sample.number?, sample.likely.as_ref()?);
    let class = classes.iter().find(|class| class.id == likely.class)?;
    let text =
        format!("{} of {} detections on objects are on {}", likely.on_its, likely.on_any, printable(&class.name));
    let is_chosen = classes.len() == 1 || chosen.get(&number) == Some(&class.name);
    Some((text, is_chosen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ClassId;
    use crate::workflow::detections::Likely;

    /// A class of a file: its number, its name and on objects of which class how many detections lie.
    type Of<'a> = (i64, Option<&'a str>, Option<(i64, usize)>);

    #[test]
    fn classes_are_proposed_by_objects_then_by_name_then_in_their_order() {
        let class = |(id, name): (i64, &str)| Class {
            id: ClassId(id),
            name: name.to_owned(),
            color: [0; 3],
            position: 0,
            origin: "coco".to_owned(),
        };
        let classes: Vec<Class> = [(1, "red"), (2, "green"), (3, "blue")].into_iter().map(class).collect();
        let sample = |&(number, name, likely): &Of<'_>| ClassSample {
            number: Some(number),
            name: name.map(str::to_owned),
            detections: 9,
            likely: likely.map(|(class, on_its)| Likely { class: ClassId(class), on_its, on_any: 9 }),
            crops: Vec::new(),
        };
        let check = |file: &[Of<'_>], expected: &[(i64, &str)]| {
            let form = DetectionsForm::new("r.json".into(), file.iter().map(sample).collect(), &classes);
            let expected = expected.iter().map(|(number, name)| (*number, (*name).to_owned())).collect();
            assert_eq!(form.chosen, expected, "{file:?}");
        };
        // Without any object: in order, from 0 or from 1.
        check(&[(0, None, None), (2, None, None)], &[(0, "red"), (2, "blue")]);
        check(&[(1, None, None), (3, None, None)], &[(1, "red"), (3, "blue")]);
        // Shifted either way, as the objects say; too few of them say nothing.
        check(&[(1, None, Some((1, 5))), (2, None, Some((2, 5)))], &[(1, "red"), (2, "green")]);
        check(&[(1, None, Some((1, 2))), (2, None, None)], &[(1, "green"), (2, "blue")]);
        check(&[(0, None, Some((2, 3)))], &[(0, "green")]);
        // Names of the file, also where the objects contradict them.
        check(&[(0, Some("Green"), None), (1, Some("car"), None)], &[(0, "green")]);
        check(&[(0, Some("green"), Some((1, 8)))], &[(0, "red")]);
    }
}
