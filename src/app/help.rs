//! The overlay with all keys.

use egui::{Context, Grid, Id, Modal, RichText, Ui, vec2};

use super::action::{Action, Scope};
use super::command::Command;
use super::keymap::Keymap;
use super::options::config_dir;
use super::theme;
use super::views::palette::name;
use super::views::review::Reasons;
use super::widgets::growing::growing;

/// Width of a column of keys in points.
const COLUMN: f32 = 370.0;

pub(super) fn show(ctx: &Context, keymap: &Keymap, reasons: &Reasons, commands: &mut Vec<Command>) {
    let modal = Modal::new(Id::unique("keys")).frame(theme::card().inner_margin(24)).show(ctx, |ui| {
        ui.set_width((COLUMN * 3.2).min(ctx.content_rect().width() - 80.0));
        ui.horizontal(|ui| {
            ui.label(RichText::new("All keys").size(20.0).strong().color(theme::STRONG));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if ui.button("Close").clicked() {
                    commands.push(Command::CloseKeys);
                }
            });
        });
        ui.add_space(8.0);
        let height = (ctx.content_rect().height() - 190.0).max(160.0);
        growing(height).show(ui, |ui| {
            let review: Vec<Action> = in_scope(Scope::Review);
            let (first, second) = review.split_at(review.len().div_ceil(2));
            let lists = [
                (Scope::Review.title(), first.to_vec()),
                ("Review, more", second.to_vec()),
                (Scope::Everywhere.title(), in_scope(Scope::Everywhere)),
                (Scope::Images.title(), in_scope(Scope::Images)),
                (Scope::Adjust.title(), in_scope(Scope::Adjust)),
            ];
            let count = ((ui.available_width() / COLUMN).floor() as usize).clamp(1, 3);
            let place =
                |list: usize| if count == 3 { [0, 1, 2, 1, 2].get(list).copied().unwrap_or(0) } else { list % count };
            ui.columns(count, |columns| {
                for (number, (title, actions)) in lists.iter().enumerate() {
                    if let Some(ui) = columns.get_mut(place(number)) {
                        list(ui, keymap, reasons, title, actions);
                        ui.add_space(theme::GAP);
                    }
                }
            });
        });
        if let Some(dir) = config_dir() {
            ui.add_space(8.0);
            let file = dir.join("keys.toml");
            let text = format!("Change keys on the Settings screen, or in {}, e.g. confirm = \"M\"", file.display());
            ui.add(egui::Label::new(RichText::new(text).small().color(theme::WEAK)).wrap());
        }
    });
    if modal.should_close() {
        commands.push(Command::CloseKeys);
    }
}

fn in_scope(scope: Scope) -> Vec<Action> {
    Action::ALL.iter().copied().filter(|action| action.scope() == scope).collect()
}

fn list(ui: &mut Ui, keymap: &Keymap, reasons: &Reasons, title: &str, actions: &[Action]) {
    ui.spacing_mut().interact_size.y = 18.0;
    ui.label(RichText::new(title).strong().color(theme::ACCENT));
    Grid::new((title, actions.len())).num_columns(2).spacing(vec2(16.0, 5.0)).show(ui, |ui| {
        for action in actions {
            ui.label(RichText::new(keymap.full_text(*action)).monospace().color(theme::STRONG));
            ui.label(name(*action, reasons)).on_hover_text(action.tooltip());
            ui.end_row();
        }
    });
}
