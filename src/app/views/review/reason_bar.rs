//! The reasons for the number keys, above the verdict keys: always shown with candidates, as the keys work on them.

use egui::{Button, Panel, RichText, Ui};

use super::deciding::reasons;
use super::{Action, Command, ReviewView};
use crate::app::theme;

pub(super) fn show(ui: &mut Ui, view: &mut ReviewView<'_>) {
    Panel::bottom("review_reasons").frame(theme::low_bar()).show_separator_line(true).show(ui, |ui| buttons(ui, view));
}

/// Closely spaced, so that nine of them take two rows in a small window.
fn buttons(ui: &mut Ui, view: &mut ReviewView<'_>) {
    // Set outside the wrapped layout, which takes its row height from here.
    ui.spacing_mut().item_spacing = egui::vec2(5.0, 4.0);
    ui.spacing_mut().interact_size.y = 18.0;
    ui.spacing_mut().button_padding = egui::vec2(7.0, 2.0);
    ui.horizontal_wrapped(|ui| {
        for (action, reason) in Action::REASONS.into_iter().zip(reasons(&view.details.overview.classes)) {
            let text = RichText::new(format!("{}  {reason}", view.keymap.text(action))).small();
            if ui.add(Button::new(text).small()).on_hover_text("Reject, with this reason").clicked() {
                view.commands.push(Command::Do(action));
            }
        }
    });
}
