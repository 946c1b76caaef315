//! The Project screen: open or create a project, import images, see its state and the next step.

mod overview;

use egui::{Button, RichText, TextEdit, Ui, UiBuilder, vec2};

use super::super::command::{Command, DatasetCommand, FolderPurpose, ImportKind};
use super::super::options::Options;
use super::super::theme;
use crate::domain::VerdictCounts;
use crate::jobs::Overview;

/// The open project as shown on this screen.
pub struct OpenProject<'a> {
    pub name: String,
    pub dir: &'a std::path::Path,
    pub overview: &'a Overview,
    /// The review's counts: in a blind review, the annotator's own.
    pub counts: &'a VerdictCounts,
    pub busy: bool,
    /// Whether the running job trains a round.
    pub trains: bool,
}

/// The typed texts.
#[derive(Debug, Default)]
pub struct StartModel {
    pub path: String,
    pub import_path: String,
    pub annotator: String,
}

pub struct StartView<'a> {
    pub model: &'a mut StartModel,
    pub options: &'a Options,
    pub project: Option<OpenProject<'a>>,
    pub commands: &'a mut Vec<Command>,
}

/// Maximum width of this screen's cards in points: longer lines are hard to read.
const WIDTH_MAX: f32 = 1900.0;

impl StartView<'_> {
    pub fn show(&mut self, ui: &mut Ui) {
        egui::CentralPanel::default().frame(theme::screen()).show(ui, |ui| {
            egui::ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                let available = ui.available_width() - theme::SCROLL_BAR;
                let width = available.min(WIDTH_MAX);
                let left = (available - width) / 2.0;
                let mut rect = ui.available_rect_before_wrap();
                rect.min.x += left;
                rect.set_width(width);
                ui.scope_builder(UiBuilder::new().max_rect(rect), |ui| self.content(ui));
            });
        });
    }

    fn content(&mut self, ui: &mut Ui) {
        ui.add_space(18.0);
        if let Some(project) = self.project.take() {
            overview::show(ui, &project, self.commands);
            ui.add_space(theme::GAP * 1.5);
            ui.columns(2, |columns| {
                self.import(&mut columns[0], project.busy);
                self.open(&mut columns[1]);
            });
        } else {
            welcome(ui);
            ui.columns(2, |columns| {
                self.open(&mut columns[0]);
                self.sample(&mut columns[1]);
            });
        }
    }

    fn open(&mut self, ui: &mut Ui) {
        card(ui, "Projects", |ui| {
            if self.options.recent.is_empty() {
                ui.label(
                    RichText::new("A project is a folder. Choose an empty one for a new project.").color(theme::WEAK),
                );
            }
            for path in &self.options.recent {
                let name = path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
                ui.horizontal(|ui| {
                    let button = Button::new(RichText::new(name).color(theme::ACCENT)).frame(false);
                    if ui.add(button).on_hover_text("Open this project").clicked() {
                        self.commands.push(Command::Open(path.clone()));
                    }
                    let folder = path.parent().unwrap_or(path).display().to_string();
                    ui.add(egui::Label::new(RichText::new(folder).small().color(theme::WEAK)).truncate());
                });
            }
            ui.add_space(6.0);
            if path_field(ui, "Project folder", &mut self.model.path) {
                self.commands.push(Command::Open(self.model.path.trim().into()));
            }
            ui.horizontal_wrapped(|ui| {
                let path = std::path::PathBuf::from(self.model.path.trim());
                let typed = !self.model.path.trim().is_empty();
                if ui.add_enabled(typed, Button::new("Open")).clicked() {
                    self.commands.push(Command::Open(path.clone()));
                }
                if ui.add_enabled(typed, Button::new("Make new")).clicked() {
                    self.commands.push(Command::New(path));
                }
                if ui.button("Browse…").clicked() {
                    self.commands.push(Command::ChooseFolder(FolderPurpose::Open));
                }
                if ui.button("New project…").clicked() {
                    self.commands.push(Command::ChooseFolder(FolderPurpose::New));
                }
            });
            ui.add_space(6.0);
            ui.horizontal(|ui| {
                ui.label(RichText::new("Annotator").color(theme::WEAK));
                let edit = TextEdit::singleline(&mut self.model.annotator)
                    .id(egui::Id::unique("annotator"))
                    .desired_width(160.0);
                let response = ui.name_inputs("Annotator", |ui| ui.add(edit));
                if response.on_hover_text("Whose verdicts these are").lost_focus() {
                    self.commands.push(Command::SetAnnotator(self.model.annotator.trim().to_owned()));
                }
            });
        });
    }

    fn sample(&mut self, ui: &mut Ui) {
        card(ui, "Try it with the built-in sample", |ui| {
            let text = "About 240 drawn scenes with faces and decoys. A small detector trains on them in minutes on the CPU; \
                        then you review its false positives.";
            ui.label(RichText::new(text).color(theme::WEAK));
            ui.add_space(6.0);
            let button = Button::new(RichText::new("Start with the sample…").strong()).min_size(vec2(190.0, 34.0));
            if ui.add(button).clicked() {
                self.commands.push(sample_command(&self.model.path));
            }
            ui.label(
                RichText::new("Creates a project in the folder on the left, or asks for one.")
                    .small()
                    .color(theme::WEAK),
            );
        });
    }

    fn import(&mut self, ui: &mut Ui, busy: bool) {
        card(ui, "Import images", |ui| {
            let text = "A dataset in COCO, YOLO, Pascal VOC, WIDER FACE, CVAT, Label Studio, labelme or FDDB format, or a folder of images \
                        without objects to mine from. Your files are only read.";
            ui.label(RichText::new(text).color(theme::WEAK));
            if path_field(ui, "Folder to import", &mut self.model.import_path) && !busy {
                self.commands.push(Command::Import(ImportKind::Dataset, self.model.import_path.trim().into()));
            }
            ui.horizontal_wrapped(|ui| {
                let typed = !self.model.import_path.trim().is_empty();
                let kinds = [
                    (ImportKind::Dataset, "Import dataset…", FolderPurpose::ImportDataset),
                    (ImportKind::Folder, "Import background folder…", FolderPurpose::ImportFolder),
                ];
                for (kind, text, purpose) in kinds {
                    if ui.add_enabled(!busy, Button::new(text)).clicked() {
                        let path = std::path::PathBuf::from(self.model.import_path.trim());
                        self.commands.push(if typed {
                            Command::Import(kind, path)
                        } else {
                            Command::ChooseFolder(purpose)
                        });
                    }
                }
            });
            ui.horizontal_wrapped(|ui| {
                let detections = Button::new("Import detections…");
                let hint =
                    "What any detector found on these images: COCO's result list, FDDB's text, YOLO's text files, CSV";
                if ui.add_enabled(!busy, detections).on_hover_text(hint).clicked() {
                    let path = std::path::PathBuf::from(self.model.import_path.trim());
                    self.commands.push(if path.as_os_str().is_empty() {
                        Command::ChooseFolder(FolderPurpose::ImportDetections)
                    } else {
                        Command::Dataset(DatasetCommand::OpenDetections(path))
                    });
                }
                let model = Button::new("Mine a model…");
                let hint = "Runs a detector that Quarry did not train, ONNX or TorchScript, on these images and mines what it finds";
                if ui.add_enabled(!busy, model).on_hover_text(hint).clicked() {
                    let path = std::path::PathBuf::from(self.model.import_path.trim());
                    self.commands.push(if path.as_os_str().is_empty() {
                        Command::ChooseFolder(FolderPurpose::Model)
                    } else {
                        Command::Dataset(DatasetCommand::OpenModel(path))
                    });
                }
            });
            ui.label(RichText::new("or drop files onto the window").small().color(theme::WEAK));
        });
    }
}

fn sample_command(path: &str) -> Command {
    match path.trim() {
        "" => Command::ChooseFolder(FolderPurpose::Sample),
        path => Command::Sample { dir: path.into(), auto_review: false },
    }
}

/// A path field; returns whether Enter was pressed.
fn path_field(ui: &mut Ui, hint: &'static str, path: &mut String) -> bool {
    let response =
        ui.add(TextEdit::singleline(path).id(egui::Id::unique(hint)).desired_width(f32::INFINITY).hint_text(hint));
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, hint));
    response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter)) && !path.trim().is_empty()
}

/// A card with a title, as wide as its column.
pub(super) fn card(ui: &mut Ui, title: &str, content: impl FnOnce(&mut Ui)) {
    theme::card().show(ui, |ui| {
        ui.take_available_width();
        // Columns justify their content, including text; a card does not.
        ui.with_layout(egui::Layout::top_down(egui::Align::Min), |ui| {
            ui.label(RichText::new(title).size(16.0).strong().color(theme::STRONG));
            ui.add_space(4.0);
            content(ui);
        });
    });
}

fn welcome(ui: &mut Ui) {
    ui.add_space(28.0);
    ui.label(RichText::new("Quarry").size(34.0).strong().color(theme::STRONG));
    let line = "Train a detector, review its false positives, retrain, and watch the curves move.";
    ui.label(RichText::new(line).size(16.0).color(theme::WEAK));
    ui.add_space(26.0);
}
