//! The settings screen: appearance, review, device, backups, keys. Pushes commands; holds no settings itself.

use std::path::{Path, PathBuf};

use egui::{Button, ComboBox, DragValue, Grid, RichText, ScrollArea, TextEdit, Ui, vec2};

use super::super::action::{Action, Scope};
use super::super::command::{Command, SettingsCommand};
use super::super::keymap::Keymap;
use super::super::options::{Options, SCALE, Theme};
use super::super::theme;
use super::super::widgets::lists;
use super::palette::name;
use super::review::Reasons;
use super::start::card;
use crate::detector::GpuState;

/// The screen's own state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsModel {
    /// The action whose keys are being recorded.
    pub recording: Option<Action>,
    /// Why the last keys were refused.
    pub conflict: Option<String>,
}

/// The state of the disk cache of crops.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheState {
    /// `None` if there is no cache folder.
    pub folder: Option<PathBuf>,
    /// Whether the size was counted.
    pub is_known: bool,
    /// `None` if it is empty.
    pub size: Option<String>,
    /// Why it cannot be counted or cleared.
    pub error: Option<String>,
}

pub struct SettingsView<'a> {
    pub model: &'a SettingsModel,
    pub options: &'a Options,
    /// The annotator's name as typed.
    pub annotator: &'a mut String,
    pub keymap: &'a Keymap,
    /// The open project's reasons.
    pub reasons: &'a Reasons,
    pub keys_file: Option<&'a Path>,
    pub gpu: Option<&'a GpuState>,
    /// Folder of the open project's backups.
    pub backups: Option<PathBuf>,
    pub cache: &'a CacheState,
    pub commands: &'a mut Vec<Command>,
}

/// Returns the training devices available here, as setting and as text.
pub fn devices(gpu: Option<&GpuState>) -> Vec<(String, String)> {
    let names = match gpu {
        Some(GpuState::Usable(names)) => names.as_slice(),
        _ => &[],
    };
    let auto = names.first().map_or_else(|| "CPU".to_owned(), Clone::clone);
    let mut devices = vec![("auto".to_owned(), format!("Automatic ({auto})")), ("cpu".to_owned(), "CPU".to_owned())];
    devices.extend(names.iter().enumerate().map(|(n, name)| (format!("cuda:{n}"), format!("GPU {n}: {name}"))));
    devices
}

/// Lists the available devices, and the selected one even if it is not available.
pub fn device_list(ui: &mut Ui, salt: &str, gpu: Option<&GpuState>, chosen: &str) -> Option<String> {
    let devices = devices(gpu);
    let text = devices.iter().find(|(word, _)| word == chosen);
    let text = text.map_or_else(|| format!("{chosen} (not found here)"), |(_, text)| text.clone());
    let mut picked = None;
    let list = lists::combo(ui, ComboBox::from_id_salt(salt).selected_text(&text).width(200.0).truncate(), |ui| {
        for (word, text) in &devices {
            if ui.selectable_label(word == chosen, text).clicked() {
                picked = Some(word.clone());
            }
        }
    });
    list.response.widget_info(|| {
        let mut info = egui::WidgetInfo::labeled(egui::Role::ComboBox, true, "Device");
        info.current_text_value = Some(text.clone());
        info
    });
    picked
}

impl SettingsView<'_> {
    pub fn show(&mut self, ui: &mut Ui) {
        egui::CentralPanel::default().frame(theme::screen()).show(ui, |ui| {
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                ui.set_max_width(ui.available_width() - theme::SCROLL_BAR);
                ui.label(RichText::new("Settings").size(28.0).strong().color(theme::STRONG));
                ui.add_space(theme::GAP);
                ui.columns(2, |columns| {
                    if let [left, right] = columns {
                        self.look(left);
                        left.add_space(theme::GAP);
                        self.review(left);
                        left.add_space(theme::GAP);
                        self.cache(left);
                        right.with_layout(egui::Layout::top_down(egui::Align::Min), |ui| {
                            self.device(ui);
                            ui.add_space(theme::GAP);
                            self.backups(ui);
                        });
                    }
                });
                ui.add_space(theme::GAP);
                self.keys(ui);
            });
        });
    }

    fn push(&mut self, command: SettingsCommand) {
        self.commands.push(Command::Settings(command));
    }

    fn look(&mut self, ui: &mut Ui) {
        card(ui, "Look", |ui| {
            row(ui, "Theme", |ui| {
                for (theme, text) in Theme::ALL {
                    if ui.radio(self.options.theme == theme, text).clicked() {
                        self.push(SettingsCommand::SetTheme(theme));
                    }
                }
            });
            row(ui, "Size", |ui| {
                let mut percent = (self.options.scale * 100.0).round();
                let range = *SCALE.start() * 100.0..=*SCALE.end() * 100.0;
                let value =
                    DragValue::new(&mut percent).range(range).speed(1.0).suffix(" %").update_while_editing(false);
                let response = ui.add(value);
                named(&response, egui::Role::SpinButton, "Size");
                for (text, step) in [("−", -10.0), ("+", 10.0)] {
                    let button = ui.add(Button::new(text).min_size(vec2(28.0, 0.0)));
                    named(&button, egui::Role::Button, if step > 0.0 { "Larger" } else { "Smaller" });
                    if button.clicked() {
                        percent += step;
                    }
                }
                if (percent / 100.0 - self.options.scale).abs() > 0.004 {
                    self.push(SettingsCommand::SetScale(percent / 100.0));
                }
            });
        });
    }

    fn review(&mut self, ui: &mut Ui) {
        card(ui, "Review", |ui| {
            row(ui, "Annotator", |ui| {
                let response = ui.add(
                    TextEdit::singleline(self.annotator)
                        .id(egui::Id::unique("settings annotator"))
                        .desired_width(160.0),
                );
                named(&response, egui::Role::TextInput, "Annotator");
                if response.on_hover_text("Whose verdicts these are").lost_focus() {
                    self.commands.push(Command::SetAnnotator(self.annotator.trim().to_owned()));
                }
            });
            let mut advances = self.options.auto_advance;
            if ui.checkbox(&mut advances, "Go to the next candidate after a verdict").changed() {
                self.push(SettingsCommand::SetAutoAdvance(advances));
            }
        });
    }

    fn device(&mut self, ui: &mut Ui) {
        card(ui, "Training", |ui| {
            row(ui, "Device", |ui| {
                if let Some(word) = device_list(ui, "settings device", self.gpu, &self.options.device) {
                    self.push(SettingsCommand::SetDevice(word));
                }
            });
            row(ui, "CPU threads", |ui| {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                let mut threads = if self.options.threads == 0 { cores } else { self.options.threads };
                let response = ui.add(DragValue::new(&mut threads).range(1..=cores.max(1)).speed(0.05));
                named(&response, egui::Role::SpinButton, "CPU threads");
                ui.label(RichText::new(format!("of {cores}")).color(theme::WEAK));
                if response.changed() {
                    self.push(SettingsCommand::SetThreads(if threads == cores { 0 } else { threads }));
                }
            });
            let note = "The default for new rounds.";
            ui.label(RichText::new(note).small().color(theme::WEAK));
        });
    }

    fn backups(&mut self, ui: &mut Ui) {
        card(ui, "Backups", |ui| {
            let Some(folder) = self.backups.clone() else {
                ui.label(RichText::new("No project is open.").color(theme::WEAK));
                return;
            };
            let text = "The database is copied once an hour while it changes; the newest ten copies are kept.";
            ui.label(RichText::new(text).color(theme::WEAK));
            folder_line(ui, &folder);
            if ui.button("Back up now").clicked() {
                self.push(SettingsCommand::BackUpNow);
            }
        });
    }

    fn cache(&mut self, ui: &mut Ui) {
        let cache = self.cache;
        card(ui, "Cache", |ui| {
            let Some(folder) = &cache.folder else {
                ui.label(RichText::new("There is no cache: HOME is not set.").color(theme::WEAK));
                return;
            };
            let text = "Crops of images of 16 megapixels and more, so that they show at once. At most 1 GB; the oldest go first.";
            ui.label(RichText::new(text).color(theme::WEAK));
            folder_line(ui, folder);
            if let Some(error) = &cache.error {
                ui.label(RichText::new(error).color(theme::ERROR));
            }
            ui.horizontal(|ui| {
                let is_full = cache.size.is_some();
                let button = ui.add_enabled(is_full, Button::new("Clear"));
                named(&button, egui::Role::Button, "Clear the cache");
                if button.clicked() {
                    self.push(SettingsCommand::ClearCache);
                }
                let size = match &cache.size {
                    Some(size) => size.as_str(),
                    None if cache.is_known => "Empty",
                    None => "Counting…",
                };
                ui.label(RichText::new(size).color(theme::WEAK));
            });
        });
    }

    fn keys(&mut self, ui: &mut Ui) {
        card(ui, "Keys", |ui| {
            if let Some(file) = self.keys_file {
                let text = format!("Kept in {}", file.display());
                ui.add(egui::Label::new(RichText::new(text).small().color(theme::WEAK)).wrap());
            }
            let columns = if ui.available_width() > 1100.0 { 2 } else { 1 };
            for scope in [Scope::Everywhere, Scope::Review, Scope::Images, Scope::Adjust] {
                ui.add_space(6.0);
                ui.label(RichText::new(scope.title()).strong().color(theme::ACCENT));
                let actions: Vec<Action> = Action::ALL.iter().copied().filter(|a| a.scope() == scope).collect();
                Grid::new(("keys", scope)).num_columns(columns * 3).spacing(vec2(16.0, 4.0)).show(ui, |ui| {
                    for line in actions.chunks(columns) {
                        for action in line {
                            self.key(ui, *action);
                        }
                        ui.end_row();
                    }
                });
            }
        });
    }

    fn key(&mut self, ui: &mut Ui, action: Action) {
        ui.label(name(action, self.reasons)).on_hover_text(action.tooltip());
        let is_recorded = self.model.recording == Some(action);
        let keys = self.keymap.full_text(action);
        let text = match (is_recorded, keys.is_empty()) {
            (true, _) => "Press keys, Esc to cancel".to_owned(),
            (false, true) => "none".to_owned(),
            (false, false) => keys,
        };
        let button =
            ui.add(Button::new(RichText::new(text).monospace()).selected(is_recorded).min_size(vec2(110.0, 0.0)));
        let label = if is_recorded {
            "Press keys, Esc to cancel".to_owned()
        } else {
            format!("Change the keys of {}", name(action, self.reasons))
        };
        named(&button, egui::Role::Button, &label);
        if button.on_hover_text("Click, then press the new keys").clicked() {
            self.push(if is_recorded { SettingsCommand::StopRecording } else { SettingsCommand::Record(action) });
        }
        ui.horizontal(|ui| {
            if let Some(conflict) = self.model.conflict.as_ref().filter(|_| is_recorded) {
                ui.label(RichText::new(conflict).small().color(theme::ERROR));
            } else if !self.keymap.is_default(action) {
                let reset = ui.add(Button::new(RichText::new("Reset").small()).small());
                named(&reset, egui::Role::Button, &format!("Reset the keys of {}", name(action, self.reasons)));
                if reset.clicked() {
                    self.push(SettingsCommand::ResetKeys(action));
                }
            }
        });
    }
}

/// Shows a folder's path on one line; the full path on hover.
fn folder_line(ui: &mut Ui, folder: &Path) {
    let path = folder.display().to_string();
    ui.add(egui::Label::new(RichText::new(&path).small().color(theme::WEAK)).truncate()).on_hover_text(path);
}

fn row(ui: &mut Ui, name: &str, content: impl FnOnce(&mut Ui)) {
    ui.horizontal(|ui| {
        let place = egui::Layout::left_to_right(egui::Align::Center);
        ui.allocate_ui_with_layout(vec2(96.0, ui.spacing().interact_size.y), place, |ui| {
            ui.set_min_width(96.0);
            ui.label(RichText::new(name).color(theme::WEAK));
        });
        content(ui);
    });
}

fn named(response: &egui::Response, role: egui::Role, name: &str) {
    response.widget_info(|| egui::WidgetInfo::labeled(role, true, name));
}
