//! The bars for a damaged database, with its newest good backup, and for one copied without its WAL. Display only.

use egui::{Frame, Panel, RichText, Ui};

use super::command::Command;
use super::theme;
use crate::domain::printable_message;
use crate::jobs::Damage;

pub(super) fn show(ui: &mut Ui, damage: &Damage, commands: &mut Vec<Command>) {
    let frame = Frame::new().fill(theme::CARD.now()).inner_margin(12).stroke(egui::Stroke::new(1.5, theme::ERROR));
    Panel::top("damage").frame(frame).show(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new("Read only").strong().color(theme::ERROR));
            ui.label(&damage.message);
            if let Some(backup) = &damage.newest_good_backup
                && ui
                    .button("Restore the newest good backup")
                    .on_hover_text(format!(
                        "{}. The damaged file is kept in the same folder under another name",
                        backup.display()
                    ))
                    .clicked()
            {
                commands.push(Command::RestoreBackup);
            }
        });
    });
}

/// Shows notes on a database that is still usable.
pub(super) fn show_notes(ui: &mut Ui, notes: &[String], commands: &mut Vec<Command>) {
    if notes.is_empty() {
        return;
    }
    let frame = Frame::new().fill(theme::CARD.now()).inner_margin(12).stroke(egui::Stroke::new(1.5, theme::ACCENT));
    Panel::top("database notes").frame(frame).show(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            for note in notes {
                ui.label(printable_message(note).as_ref());
            }
            if ui.button("Understood").clicked() {
                commands.push(Command::DismissNotes);
            }
        });
    });
}
