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
    } else {
        // Ids are counted: what follows keeps its focus when a text before it grows and a row breaks elsewhere.
        ui.skip_ahead_auto_ids(1);
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

#[cfg(test)]
mod tests {
    use egui::{Context, RawInput, Rect, pos2};

    use super::*;

    /// Shows a text and a button behind it, which takes the focus at first; returns the button's top and whether it has the focus.
    fn frame(ctx: &Context, text: &str, take_focus: bool) -> (f32, bool) {
        let mut seen = (0.0, false);
        let screen_rect = Some(Rect::from_min_size(pos2(0.0, 0.0), vec2(200.0, 200.0)));
        let mut output = ctx.run_ui(RawInput { screen_rect, ..RawInput::default() }, |ui| {
            ui.horizontal_wrapped(|ui| {
                ui.label(text);
                together(ui, "Show all", 40.0);
                let button = ui.button("Show all");
                if take_focus {
                    button.request_focus();
                }
                seen = (button.rect.top(), button.has_focus());
            });
        });
        output.textures_delta.clear();
        seen
    }

    #[test]
    fn what_follows_keeps_its_focus_where_a_row_breaks_elsewhere() {
        let ctx = Context::default();
        frame(&ctx, "counting", true);
        let (before, had_focus) = frame(&ctx, "counting", false);
        let (after, _) = frame(&ctx, "120 decisions for 600", false);
        let (_, has_focus) = frame(&ctx, "120 decisions for 600", false);
        assert!(after > before, "the row did not break: {before} {after}");
        assert!(had_focus && has_focus);
    }
}
