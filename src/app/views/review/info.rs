//! What is known of the candidate, and the reasons that the number keys give.

use egui::{RichText, Ui};

use super::filter::kind_text;
use super::model::REASONS;
use super::{Action, Command, ReviewView};
use crate::app::theme;

pub(super) fn show(ui: &mut Ui, view: &mut ReviewView<'_>) {
    let Some(row) = view.model.current().cloned() else { return };
    let candidate = &row.candidate;
    let place = match view.model.total {
        Some(total) => format!("{} of {total}", view.model.position() + 1),
        None => format!("{}", view.model.position() + 1),
    };
    ui.horizontal(|ui| {
        ui.label(RichText::new(place).color(theme::STRONG).strong());
        ui.add(egui::Label::new(RichText::new(&row.image_name).color(theme::WEAK)).truncate());
    });
    let mut facts = vec![
        ("Score", format!("{:.3}", candidate.score)),
        ("Max IoU", format!("{:.2}", candidate.max_iou)),
        ("Kind", kind_text(candidate.kind).to_owned()),
        ("Size", format!("{:.0} × {:.0}", candidate.bbox.width(), candidate.bbox.height())),
        ("Round", row.round_number.to_string()),
        ("Fold", row.fold.map_or("none".to_owned(), |fold| fold.to_string())),
    ];
    if 1 < row.group_size {
        facts.push(("Group", format!("{} alike", row.group_size)));
    }
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 18.0;
        for (name, value) in facts {
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 1.0;
                ui.label(RichText::new(name).small().color(theme::WEAK));
                ui.label(RichText::new(value).color(theme::STRONG));
            });
        }
    });
    ui.add_space(2.0);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = egui::vec2(5.0, 4.0);
        ui.spacing_mut().interact_size.y = 20.0;
        ui.spacing_mut().button_padding = egui::vec2(7.0, 2.0);
        for (action, reason) in Action::REASONS.into_iter().zip(REASONS) {
            let text = RichText::new(format!("{}  {reason}", view.keymap.text(action))).small();
            let button = egui::Button::new(text).small();
            if ui.add(button).on_hover_text("Hard negative, with this reason").clicked() {
                view.commands.push(Command::Do(action));
            }
        }
    });
}
