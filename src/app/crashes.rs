//! The bar that offers earlier sessions' crash reports. Lists them; reads and marks them on request.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::PathBuf;

use egui::{Frame, Panel, RichText, Ui};

use super::command::Command;
use super::{QuarryApp, theme};
use crate::domain::{limits, mark_seen, printable_path, read_text};

pub(super) fn show(ui: &mut Ui, reports: &[PathBuf], commands: &mut Vec<Command>) {
    let Some(newest) = reports.first() else { return };
    let frame = Frame::new().fill(theme::CARD.now()).inner_margin(12).stroke(egui::Stroke::new(1.5, theme::ERROR));
    Panel::top("crashes").frame(frame).show(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new("Quarry crashed").strong().color(theme::ERROR));
            let more = match reports.len() {
                1 => String::new(),
                count => format!(" and {} more in the same folder", count - 1),
            };
            ui.label(format!("in an earlier session. There is a crash report: {}{more}", printable_path(newest)));
            let copy =
                ui.button("Copy the report").on_hover_text("For a bug report; it holds no images and no annotations");
            if copy.clicked() {
                commands.push(Command::CopyCrashReport);
            }
            if ui.button("Dismiss").on_hover_text("The file stays").clicked() {
                commands.push(Command::DismissCrashReports);
            }
        });
    });
}

impl QuarryApp {
    /// Offers crash reports of earlier sessions, newest first.
    pub fn offer_crash_reports(&mut self, reports: Vec<PathBuf>) {
        self.crash_reports = reports;
    }

    pub(super) fn copy_crash_report(&mut self, ctx: &egui::Context) {
        let Some(newest) = self.crash_reports.first() else { return };
        match read_text(newest, limits::TEXT) {
            Ok(text) => {
                ctx.copy_text(text);
                self.say("The crash report is in the clipboard");
            }
            Err(error) => self.say_error(error.to_string()),
        }
    }

    pub(super) fn dismiss_crash_reports(&mut self) {
        mark_seen(&std::mem::take(&mut self.crash_reports));
    }
}
