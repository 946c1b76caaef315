//! Messages at the bottom of the window and errors above the screens. A notice expires, an error stays until it is dismissed, repeats are
//! counted on one line. Nothing covers a screen.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use egui::{Context, Frame, Panel, RichText, ScrollArea, Ui};

use super::command::{Command, MessageCommand};
use super::views::review::utc_text;
use super::{QuarryApp, theme};
use crate::jobs::OneShot;
use crate::workflow::messages::{append, read};

/// How long a notice is shown.
const NOTICE: Duration = Duration::from_secs(6);
/// Maximum number of log lines in memory.
const KEPT: usize = 500;

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    text: String,
    is_error: bool,
    count: u32,
}

impl Line {
    /// Formats `Nothing to undo ×100`.
    fn shown(&self) -> String {
        if self.count > 1 { format!("{} ×{}", self.text, self.count) } else { self.text.clone() }
    }
}

/// All messages, and those still shown.
#[derive(Default)]
pub struct Messages {
    log: VecDeque<Line>,
    /// The newest notice, until it expires.
    notice: Option<(Line, Instant)>,
    /// Errors not dismissed yet, oldest first.
    errors: Vec<Line>,
    is_open: bool,
    /// What had the focus when the log was opened.
    focus_before: Option<egui::Id>,
    /// The open project's folder, which stores its errors.
    project: Option<PathBuf>,
    /// Messages stored there by earlier sessions.
    earlier: Vec<String>,
    /// Errors to be written after the current write.
    unwritten: Vec<String>,
    writing: Option<OneShot<()>>,
    reading: Option<OneShot<Vec<String>>>,
}

impl Messages {
    pub(super) fn is_log_open(&self) -> bool {
        self.is_open
    }

    fn say(&mut self, text: String, is_error: bool) {
        let line = Line { text, is_error, count: 1 };
        let last = self.log.back_mut().filter(|last| last.text == line.text && last.is_error == is_error);
        let is_again = last.is_some();
        if let Some(last) = last {
            last.count = last.count.saturating_add(1);
        } else {
            self.log.push_back(line.clone());
        }
        if self.log.len() > KEPT {
            self.log.pop_front();
        }
        if !is_error {
            let shown = self.log.back().cloned().unwrap_or(line);
            self.notice = Some((shown, Instant::now()));
            return;
        }
        match self.errors.iter_mut().find(|known| known.text == line.text) {
            Some(known) => known.count = known.count.saturating_add(1),
            None => self.errors.push(line.clone()),
        }
        if !is_again && self.project.is_some() {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let time = utc_text(now.map_or(0, |since| since.as_millis() as i64));
            self.unwritten.push(format!("{time}  {}", line.text));
        }
    }

    /// Runs once per frame: expires notices and writes errors to the project.
    fn tick(&mut self, ctx: &Context, waker: &crate::jobs::Waker) {
        if let Some((_, since)) = &self.notice {
            match NOTICE.checked_sub(since.elapsed()) {
                Some(left) if !left.is_zero() => ctx.request_repaint_after(left),
                _ => self.notice = None,
            }
        }
        if self.writing.as_mut().is_some_and(|writing| writing.poll().is_some()) {
            self.writing = None;
        }
        if let Some(result) = self.reading.as_mut().and_then(OneShot::poll) {
            self.reading = None;
            self.earlier = result.unwrap_or_else(|reason| vec![reason]);
        }
        let Some(project) = self.project.clone().filter(|_| self.writing.is_none() && !self.unwritten.is_empty())
        else {
            return;
        };
        let lines = std::mem::take(&mut self.unwritten);
        let write = move |_: &mut dyn FnMut(_), _: &_| append(&project, &lines).map_err(|error| error.to_string());
        // A failure to write the log must not create an error to be logged.
        self.writing = OneShot::start("Messages", write, waker.clone()).ok();
    }

    /// Called when another project is opened: its stored errors are shown in the log.
    fn opened(&mut self, project: &Path, waker: &crate::jobs::Waker) {
        if self.project.as_deref() == Some(project) {
            return;
        }
        self.project = Some(project.to_owned());
        self.unwritten.clear();
        self.earlier.clear();
        let project = project.to_owned();
        let list = move |_: &mut dyn FnMut(_), _: &_| read(&project).map_err(|error| error.to_string());
        self.reading = OneShot::start("Messages", list, waker.clone()).ok();
    }

    /// Returns the whole log as text, oldest first.
    fn text(&self) -> String {
        let lines = self.log.iter().map(Line::shown);
        self.earlier.iter().cloned().chain(lines).collect::<Vec<_>>().join("\n")
    }
}

impl QuarryApp {
    /// Shows an error until it is dismissed.
    pub(super) fn say_error(&mut self, text: impl Into<String>) {
        let text = crate::domain::printable_message(&text.into()).into_owned();
        tracing::error!("{text}");
        self.messages.say(text, true);
    }

    /// Shows a notice, which expires.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.messages.say(crate::domain::printable_message(&text.into()).into_owned(), false);
    }

    pub(super) fn tick_messages(&mut self, ctx: &Context) {
        let waker = self.waker.clone();
        if let Some(session) = &self.session {
            self.messages.opened(session.project.dir(), &waker);
        }
        self.messages.tick(ctx, &waker);
    }

    /// Opens or closes the log; closing it returns the focus to where it was.
    pub(super) fn toggle_log(&mut self, ctx: &Context) {
        self.messages.is_open = !self.messages.is_open;
        let focused = ctx.memory(egui::Memory::focused);
        if self.messages.is_open {
            self.messages.focus_before = focused;
        } else if let Some(before) = self.messages.focus_before.take() {
            ctx.memory_mut(|memory| memory.request_focus(before));
        }
    }

    pub(super) fn apply_message(&mut self, command: MessageCommand, ctx: &Context) {
        match command {
            MessageCommand::ToggleLog => self.toggle_log(ctx),
            MessageCommand::Dismiss => {
                if !self.messages.errors.is_empty() {
                    self.messages.errors.remove(0);
                }
            }
            MessageCommand::CopyError => {
                if let Some(error) = self.messages.errors.first() {
                    ctx.copy_text(error.shown());
                }
            }
            MessageCommand::CopyLog => ctx.copy_text(self.messages.text()),
        }
    }
}

/// Shows the oldest undismissed error above the screen.
pub(super) fn show_error(ui: &mut Ui, messages: &Messages, commands: &mut Vec<Command>) {
    let Some(error) = messages.errors.first() else { return };
    let frame = Frame::new().fill(theme::CARD.now()).inner_margin(8).stroke(egui::Stroke::new(1.5, theme::ERROR.now()));
    Panel::top("errors").frame(frame).show(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new("Error").strong().color(theme::ERROR));
            ui.label(error.shown());
            let more = messages.errors.len() - 1;
            if more > 0 {
                ui.label(RichText::new(format!("and {more} more")).color(theme::WEAK));
            }
            let buttons = [
                ("Copy error", "To share it", MessageCommand::CopyError),
                ("Dismiss error", "It remains in the log", MessageCommand::Dismiss),
            ];
            for (text, hint, command) in buttons {
                if ui.button(text).on_hover_text(hint).clicked() {
                    commands.push(Command::Message(command));
                }
            }
        });
    });
}

/// The button that shows all messages.
pub(super) fn log_button(ui: &mut Ui, commands: &mut Vec<Command>) {
    let button = egui::Button::new("Log").small().min_size(theme::SMALL_BUTTON);
    if ui.add(button).on_hover_text("Messages of this session, and errors of earlier ones").clicked() {
        commands.push(Command::Message(MessageCommand::ToggleLog));
    }
}

/// Shows the newest notice on a line that is always present, so that the layout does not move. Returns false if there is none.
pub(super) fn show_notice(ui: &mut Ui, messages: &Messages) -> bool {
    let Some((line, _)) = &messages.notice else { return false };
    let text = line.shown();
    ui.add(egui::Label::new(RichText::new(&text).small().color(theme::TEXT)).truncate()).on_hover_text(text);
    true
}

pub(super) fn show_log(ctx: &Context, messages: &Messages, commands: &mut Vec<Command>) {
    if !messages.is_open {
        return;
    }
    let mut is_open = true;
    // Above its button, where it covers neither the screens' names nor Stop.
    let corner = ctx.content_rect().right_bottom() - egui::vec2(16.0, 44.0);
    let window = egui::Window::new("Messages").open(&mut is_open).default_size([620.0, 360.0]);
    window.pivot(egui::Align2::RIGHT_BOTTOM).default_pos(corner).show(ctx, |ui| {
        if ui.button("Copy the log").clicked() {
            commands.push(Command::Message(MessageCommand::CopyLog));
        }
        ScrollArea::vertical().auto_shrink(false).stick_to_bottom(true).show(ui, |ui| {
            if messages.earlier.is_empty() && messages.log.is_empty() {
                ui.label(RichText::new("No messages yet.").color(theme::WEAK));
            }
            for line in &messages.earlier {
                ui.label(RichText::new(line).small().color(theme::WEAK));
            }
            for line in &messages.log {
                let text = RichText::new(line.shown()).small();
                ui.label(if line.is_error { text.color(theme::ERROR) } else { text.color(theme::TEXT) });
            }
        });
    });
    if !is_open {
        commands.push(Command::Message(MessageCommand::ToggleLog));
    }
}

/// Reports that there was nothing to undo or redo.
pub(super) fn nothing_left(is_redo: bool) -> &'static str {
    if is_redo { "Nothing to redo" } else { "Nothing to undo" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_is_one_line_and_errors_stay() {
        let mut messages = Messages::default();
        for _ in 0..100 {
            messages.say(nothing_left(false).to_owned(), false);
        }
        assert_eq!(messages.log.len(), 1);
        assert_eq!(messages.notice.as_ref().unwrap().0.shown(), "Nothing to undo ×100");
        for text in ["a.jpg cannot be read", "b.jpg cannot be read", "a.jpg cannot be read"] {
            messages.say(text.to_owned(), true);
        }
        let errors: Vec<String> = messages.errors.iter().map(Line::shown).collect();
        assert_eq!(errors, ["a.jpg cannot be read ×2", "b.jpg cannot be read"]);
        for number in 0..2 * KEPT {
            messages.say(number.to_string(), false);
        }
        assert_eq!((messages.log.len(), messages.errors.len()), (KEPT, 2));
    }
}
