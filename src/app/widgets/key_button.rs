//! A button that shows its key.

use egui::{Button, Response, RichText, Ui, Vec2};

use crate::app::action::Action;
use crate::app::keymap::Keymap;
use crate::app::theme::{self, Tone};

/// An action's button: its text, its key in a weaker tone, its tooltip.
pub fn key_button(ui: &mut Ui, keymap: &Keymap, action: Action) -> Response {
    key_button_colored(ui, keymap, action, None, false)
}

/// An action's button with another text and tooltip, which say what it does to this object.
pub fn key_button_saying(ui: &mut Ui, keymap: &Keymap, action: Action, text: &str, tooltip: &str) -> Response {
    let key = RichText::new(keymap.text(action)).monospace().color(theme::WEAK);
    let response = ui.add(Button::new(text).right_text(key)).on_hover_text(tooltip);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, ui.is_enabled(), text));
    response
}

/// The button of an action that switches something on and off.
pub fn key_switch(ui: &mut Ui, keymap: &Keymap, action: Action, is_on: bool) -> Response {
    let key = RichText::new(keymap.text(action)).monospace().color(theme::WEAK);
    let button = Button::new(action.text()).right_text(key).selected(is_on);
    let response = ui.add(button).on_hover_text(action.tooltip());
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, ui.is_enabled(), is_on, action.text()));
    response
}

/// [`key_button`] with coloured text for verdicts, and `large` for the most frequent ones.
pub fn key_button_colored(ui: &mut Ui, keymap: &Keymap, action: Action, color: Option<Tone>, large: bool) -> Response {
    let mut text = RichText::new(action.text());
    if let Some(color) = color {
        text = text.color(color);
    }
    let mut key = RichText::new(keymap.text(action)).monospace().color(theme::WEAK);
    if large {
        text = text.size(15.0).strong();
        key = key.size(14.0);
    }
    let mut button = Button::new(text).right_text(key);
    if large {
        button = button.min_size(Vec2::new(150.0, 40.0));
    }
    let response = ui.add(button).on_hover_text(action.tooltip());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, ui.is_enabled(), action.text()));
    response
}
