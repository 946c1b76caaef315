//! Keeps a label and its control on one row of a wrapped layout.

use egui::{Sense, TextStyle, TextWrapMode, Ui, WidgetText, vec2};

/// Space for a list's arrow and its padding, in points.
const ARROW: f32 = 44.0;

/// Starts a new row if the rest of this one is too narrow for the text and `control` points next to it.
pub fn together(ui: &mut Ui, text: &str, control: f32) {
    let wanted = width(ui, text) + control + ui.spacing().item_spacing.x;
    // Where even a whole row is too narrow, a new one does not help.
    if ui.available_size_before_wrap().x < wanted && wanted < ui.max_rect().width() {
        ui.end_row();
        // Unlike its neighbours the first label of a new row would be aligned to the top.
        ui.allocate_exact_size(vec2(0.0, ui.spacing().interact_size.y), Sense::hover());
        ui.add_space(-ui.spacing().item_spacing.x);
    }
}

/// [`together`] for a list that shows this text and is at least `least` points wide.
pub fn together_with_list(ui: &mut Ui, text: &str, selected: &str, least: f32) {
    let list = least.max(width(ui, selected) + ARROW);
    together(ui, text, list);
}

fn width(ui: &Ui, text: &str) -> f32 {
    let wrap = Some(TextWrapMode::Extend);
    WidgetText::from(text).into_galley(ui, wrap, f32::INFINITY, TextStyle::Body).size().x
}
