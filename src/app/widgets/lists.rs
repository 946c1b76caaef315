//! Drop-down lists and menus that work with the keyboard alone: egui closes them after a click, but not after Enter on an entry.

use std::cell::Cell;

use egui::{ComboBox, InnerResponse, IntoAtoms, Key, Ui};

/// Shows a list. A key that chooses an entry, or Esc, closes it and returns the focus to it.
pub fn combo<R>(ui: &mut Ui, list: ComboBox<'_>, contents: impl FnOnce(&mut Ui) -> R) -> InnerResponse<Option<R>> {
    left_by_keys(contents, |contents| list.show_ui(ui, contents))
}

/// Shows a menu, which is left as [`combo`] is.
pub fn menu<'a, R>(
    ui: &mut Ui,
    text: impl IntoAtoms<'a>,
    contents: impl FnOnce(&mut Ui) -> R,
) -> InnerResponse<Option<R>> {
    left_by_keys(contents, |contents| ui.menu_button(text, contents))
}

fn left_by_keys<R>(
    contents: impl FnOnce(&mut Ui) -> R,
    show: impl FnOnce(Box<dyn FnOnce(&mut Ui) -> R + '_>) -> InnerResponse<Option<R>>,
) -> InnerResponse<Option<R>> {
    let is_left = Cell::new(false);
    let shown = show(Box::new(|ui: &mut Ui| {
        let result = contents(ui);
        is_left.set(left_by_key(ui));
        result
    }));
    if is_left.get() {
        shown.response.request_focus();
    }
    shown
}

/// Closes the list if a key chose one of its entries. Returns whether a key ended it.
fn left_by_key(ui: &Ui) -> bool {
    let focused = ui.memory(egui::Memory::focused).and_then(|id| ui.ctx().read_response(id));
    // The key that opened it was for the list's button.
    let is_within = focused.is_some_and(|entry| entry.layer_id == ui.layer_id());
    let (chooses, leaves) = ui.input(|input| {
        (input.key_pressed(Key::Enter) || input.key_pressed(Key::Space), input.key_pressed(Key::Escape))
    });
    if chooses && is_within {
        ui.close();
    }
    (chooses && is_within) || leaves
}
