//! Applies the commands of the settings screen and the command palette.

use egui::Context;

use super::action::{Action, Scope};
use super::command::{Choice, Command, PaletteCommand, Screen, SettingsCommand};
use super::keymap::shortcut_text;
use super::views::palette::PaletteModel;
use super::views::review::Layout;
use super::{QuarryApp, theme, work};
use crate::domain::write_whole;
use crate::jobs::JobKind;

impl QuarryApp {
    pub(super) fn apply_settings(&mut self, command: SettingsCommand, ctx: &Context) {
        match command {
            SettingsCommand::SetTheme(theme) => self.options.theme = theme,
            SettingsCommand::SetScale(scale) => self.options.scale = scale,
            SettingsCommand::SetAutoAdvance(advances) => {
                self.options.auto_advance = advances;
                self.review.auto_advance = advances;
            }
            SettingsCommand::SetDevice(device) => {
                self.train.form.config.device.clone_from(&device);
                self.options.device = device;
            }
            SettingsCommand::SetThreads(threads) => self.options.threads = threads,
            SettingsCommand::Record(action) => {
                self.settings.recording = Some(action);
                self.settings.conflict = None;
            }
            SettingsCommand::StopRecording => self.settings.recording = None,
            SettingsCommand::ResetKeys(action) => self.set_keys(action, action.default_shortcuts()),
            SettingsCommand::BackUpNow => self.back_up_now(),
            SettingsCommand::ClearCache => self.cache_size.clear(&self.waker),
        }
        theme::choose(ctx, &self.options);
    }

    /// Takes the keys recorded for the settings screen.
    pub(super) fn take_recorded(&mut self) {
        if self.screen != Screen::Settings || self.session_is_elsewhere() {
            self.settings.recording = None;
        }
        let Some(keys) = self.keys.take_recorded() else { return };
        let Some(action) = self.settings.recording else { return };
        if keys.logical_key == egui::Key::Escape && keys.modifiers.is_none() {
            self.settings.recording = None;
        } else {
            self.set_keys(action, vec![keys]);
        }
    }

    fn session_is_elsewhere(&self) -> bool {
        self.help_open || self.palette.is_some()
    }

    fn set_keys(&mut self, action: Action, keys: Vec<egui::KeyboardShortcut>) {
        match self.keys.keymap().with(action, keys) {
            Ok(keymap) => {
                self.settings.recording = None;
                self.settings.conflict = None;
                let written = self.keys_file.as_ref().map(|file| {
                    file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
                    write_whole(file, keymap.changes_to_toml().as_bytes())
                });
                if let Some(Err(error)) = written {
                    self.say_error(format!("The keys apply to this session only; they cannot be saved: {error}"));
                }
                self.keys.set_keymap(keymap);
            }
            Err((keys, other)) => {
                self.settings.recording = Some(action);
                self.settings.conflict = Some(format!("{} is {}", shortcut_text(&keys), other.text()));
            }
        }
    }

    fn back_up_now(&mut self) {
        let Some(session) = &self.session else { return };
        let work = work::back_up(session.project.clone());
        self.start_job(JobKind::Export, work);
    }

    pub(super) fn apply_palette(&mut self, command: PaletteCommand) {
        let Some(palette) = &mut self.palette else { return };
        match command {
            PaletteCommand::Type(text) => (palette.text, palette.marked) = (text, 0),
            PaletteCommand::Mark(line) => palette.marked = line,
            PaletteCommand::Close => self.palette = None,
            PaletteCommand::Choose(choice) => {
                self.palette = None;
                self.choose(choice);
            }
        }
    }

    pub(super) fn toggle_palette(&mut self, numbers_only: bool) {
        let is_open = self.palette.as_ref().is_some_and(|palette| palette.numbers_only == numbers_only);
        self.palette = (!is_open).then(|| PaletteModel { numbers_only, ..PaletteModel::default() });
        self.help_open = false;
    }

    fn choose(&mut self, choice: Choice) {
        match choice {
            Choice::GoTo(number) => self.go_to_number(number),
            Choice::Do(action) => {
                let screen = match action.scope() {
                    Scope::Review if self.screen == Screen::Images && !action.is_meant_in_images() => Screen::Review,
                    Scope::Review | Scope::Adjust if self.screen != Screen::Images => Screen::Review,
                    Scope::Images => Screen::Images,
                    Scope::Everywhere | Scope::Review | Scope::Adjust => self.screen,
                };
                if screen == Screen::Images && self.screen == screen && action.scope() == Scope::Review {
                    self.review_key_in_images(action);
                } else if screen == self.screen {
                    // Queued like its key.
                    self.push(Command::Do(action));
                } else {
                    // Nothing invisible is decided: the action's screen is shown first, and the action done if it only shows something.
                    self.push(Command::Show(screen));
                    if self.only_shows(action) {
                        self.push(Command::Do(action));
                    }
                }
            }
        }
    }

    /// Whether an action of the review shows something that is not shown yet, and decides nothing.
    fn only_shows(&self, action: Action) -> bool {
        match action {
            Action::Grid => self.review.layout != Layout::Grid,
            Action::History => self.review.layout != Layout::History,
            Action::Annotators => self.review.layout != Layout::Annotators,
            Action::Filter => !self.review.filter_open,
            Action::Disagreements | Action::ShowGroup | Action::First | Action::Last | Action::NextUndecided => true,
            _ => false,
        }
    }

    /// Returns the length of the list that a number navigates.
    pub(super) fn places(&self) -> Option<u64> {
        match self.screen {
            Screen::Review if self.review.layout.shows_candidates() => self.review.total,
            Screen::Images => Some(self.images.count() as u64),
            _ => None,
        }
    }

    fn go_to_number(&mut self, number: u64) {
        let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        match self.screen {
            Screen::Review if matches!(self.review.layout, Layout::Queue | Layout::Grid) => self.review.seek_to(index),
            Screen::Images => self.open_image(|images| images.go_to(index)),
            _ => {}
        }
    }
}
