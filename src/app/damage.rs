//! The bar that tells of a damaged database and offers its newest good backup. Shows what the writer found; repairs nothing itself.

use egui::{Frame, Panel, RichText, Ui};

use super::command::Command;
use super::theme;
use crate::jobs::Damage;

pub(super) fn show(ui: &mut Ui, damage: &Damage, commands: &mut Vec<Command>) {
    let frame = Frame::new().fill(theme::CARD).inner_margin(12).stroke(egui::Stroke::new(1.5, theme::ERROR));
    Panel::top("damage").frame(frame).show(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.label(RichText::new("Read only").strong().color(theme::ERROR));
            ui.label(&damage.message);
            if let Some(backup) = &damage.newest_good_backup
                && ui
                    .button("Restore the newest good backup")
                    .on_hover_text(format!("{}. The damaged file stays beside it under another name", backup.display()))
                    .clicked()
            {
                commands.push(Command::RestoreBackup);
            }
        });
    });
}
