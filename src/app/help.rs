//! All keys, over the screen.

use egui::{Context, Grid, Id, Modal, RichText, Ui, vec2};

use super::action::{Action, Scope};
use super::command::Command;
use super::keymap::Keymap;
use super::options::config_dir;
use super::theme;
use super::views::review::REASONS;

pub(super) fn show(ctx: &Context, keymap: &Keymap, commands: &mut Vec<Command>) {
    let modal = Modal::new(Id::unique("keys")).frame(theme::card().inner_margin(24)).show(ctx, |ui| {
        ui.set_width(980.0_f32.min(ctx.content_rect().width() - 80.0));
        ui.horizontal(|ui| {
            ui.label(RichText::new("All keys").size(20.0).strong().color(theme::STRONG));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                if ui.button("Close").clicked() {
                    commands.push(Command::CloseKeys);
                }
            });
        });
        ui.add_space(8.0);
        let review: Vec<Action> = in_scope(Scope::Review);
        let (first, second) = review.split_at(review.len().div_ceil(2));
        ui.columns(3, |columns| {
            list(&mut columns[0], keymap, Scope::Review.title(), first);
            list(&mut columns[1], keymap, "", second);
            list(&mut columns[2], keymap, Scope::Everywhere.title(), &in_scope(Scope::Everywhere));
            columns[2].add_space(theme::GAP);
            list(&mut columns[2], keymap, Scope::Adjust.title(), &in_scope(Scope::Adjust));
            columns[1].add_space(theme::GAP);
            list(&mut columns[1], keymap, Scope::Images.title(), &in_scope(Scope::Images));
        });
        if let Some(dir) = config_dir() {
            ui.add_space(8.0);
            let text = format!("Give actions other keys in {}, e.g. confirm = \"M\"", dir.join("keys.toml").display());
            ui.label(RichText::new(text).small().color(theme::WEAK));
        }
    });
    if modal.should_close() {
        commands.push(Command::CloseKeys);
    }
}

fn in_scope(scope: Scope) -> Vec<Action> {
    Action::ALL.iter().copied().filter(|action| action.scope() == scope).collect()
}

fn list(ui: &mut Ui, keymap: &Keymap, title: &str, actions: &[Action]) {
    ui.spacing_mut().interact_size.y = 18.0;
    ui.label(RichText::new(title).strong().color(theme::ACCENT));
    Grid::new((title, actions.len())).num_columns(2).spacing(vec2(16.0, 5.0)).show(ui, |ui| {
        for action in actions {
            ui.label(RichText::new(keymap.full_text(*action)).monospace().color(theme::STRONG));
            let reason = action.reason().and_then(|number| REASONS.get(usize::from(number) - 1));
            let text = reason.map_or(action.text().to_owned(), |reason| format!("Reject: {reason}"));
            ui.label(text).on_hover_text(action.tooltip());
            ui.end_row();
        }
    });
}
