//! The candidate's data.

use egui::{RichText, Ui};

use super::crop;
use super::{Action, Command, ReviewView};
use crate::app::command::{kind_text, verdict_text};
use crate::app::textures::Shown;
use crate::app::theme;
use crate::app::widgets::key_button::key_button;
use crate::domain::Basis;
use crate::store::CandidateRow;

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
        ("Split", row.split.clone().unwrap_or_else(|| "none".to_owned())),
    ];
    let classes = &view.details.overview.classes;
    if let Some(class) = classes.iter().find(|class| class.id == candidate.class).filter(|_| classes.len() > 1) {
        facts.insert(0, ("Class", class.name.clone()));
    }
    if let Some(marked) = view.details.get(&row).map(|detail| &detail.complete_by).filter(|by| !by.is_empty()) {
        // In a blind review others' marks are hidden too.
        if !view.model.filter.blind || marked.iter().any(|by| by == view.annotator) {
            facts.push(("Image", "complete".to_owned()));
        }
    }
    if row.group_size > 1 {
        let left = match row.group_waiting {
            0 => ", all decided".to_owned(),
            left if left < row.group_size => format!(", {left} left"),
            _ => String::new(),
        };
        facts.push(("Group", format!("{} members{left}", row.group_size)));
    }
    if let Some(given) = candidate.verdict {
        let reason = row.reason().map_or(String::new(), |reason| format!(", {reason}"));
        let basis = match row.basis() {
            Basis::Reviewed => "",
            Basis::Inherited => ", as in an earlier round",
            Basis::Estimated => ", estimated",
        };
        facts.push(("Verdict", format!("{}{basis}{reason}", verdict_text(given))));
    }
    if let Some(inherits) = &row.inherits {
        let reason = inherits.reason.as_ref().map_or(String::new(), |reason| format!(", {reason}"));
        let of = if inherits.is_twin { "" } else { " (same group)" };
        let round = view.details.round_text(inherits.round);
        facts.push(("As in round", format!("{round}: {}{reason}{of}", verdict_text(inherits.verdict))));
    }
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = egui::vec2(18.0, 6.0);
        for (name, value) in facts {
            fact(ui, name, value);
        }
    });
    file_trouble(ui, view, &row);
    held(ui, &row);
    // While an ellipse is adjusted, it is what is decided.
    if view.model.adjusting.is_some() {
        return;
    }
    let of_group = [Action::ConfirmGroup, Action::RejectGroup, Action::ShowGroup];
    let actions = Some(Action::AsBefore).filter(|_| row.inherits.is_some()).into_iter();
    let actions: Vec<Action> = actions.chain(of_group.into_iter().filter(|_| row.group.is_some())).collect();
    if !actions.is_empty() {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().interact_size.y = 22.0;
            ui.spacing_mut().button_padding = egui::vec2(7.0, 2.0);
            for action in actions {
                if key_button(ui, view.keymap, action).clicked() {
                    view.commands.push(Command::Do(action));
                }
            }
        });
    }
}

/// Shows a name above its value as one unit: it moves to the next row as a whole and never breaks within a word.
fn fact(ui: &mut Ui, name: &str, value: String) {
    let name = egui::WidgetText::from(RichText::new(name).small().color(theme::WEAK));
    let value = egui::WidgetText::from(RichText::new(value).color(theme::STRONG));
    let size = |ui: &Ui, text: &egui::WidgetText| {
        let wrap = Some(egui::TextWrapMode::Extend);
        text.clone().into_galley(ui, wrap, f32::INFINITY, egui::TextStyle::Body).size()
    };
    let (above, below) = (size(ui, &name), size(ui, &value));
    // A value wider than the column wraps between words.
    let width = above.x.max(below.x).min(ui.max_rect().width());
    let both = egui::vec2(width, above.y + below.y + 1.0);
    ui.allocate_ui_with_layout(both, egui::Layout::top_down(egui::Align::Min), |ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        ui.add(egui::Label::new(name).extend());
        ui.set_max_width(width + 1.0);
        ui.add(egui::Label::new(value).wrap());
    });
}

/// Each annotator's current verdict, if there are several.
fn held(ui: &mut Ui, row: &CandidateRow) {
    if row.held.len() < 2 {
        return;
    }
    ui.horizontal_wrapped(|ui| {
        for held in &row.held {
            let reason = held.reason.as_ref().map_or(String::new(), |reason| format!(" ({reason})"));
            let text = format!("{}: {}{reason}", held.annotator, verdict_text(held.verdict));
            ui.label(RichText::new(text).small().color(theme::verdict(Some(held.verdict))));
        }
    });
}

/// Reports a missing image, or one that differs from the mined one.
fn file_trouble(ui: &mut Ui, view: &mut ReviewView<'_>, row: &CandidateRow) {
    let text = match view.textures.show(crop::request(row)) {
        Shown::Ready { is_changed: true, .. } => {
            format!("Changed since it was imported; its verdicts are kept: {}", row.file.display())
        }
        Shown::Failed(reason) => format!("Cannot be read; its verdicts are kept: {reason}"),
        Shown::Ready { .. } | Shown::Waiting => return,
    };
    ui.add(egui::Label::new(RichText::new(&text).small().color(theme::WARNING)).truncate()).on_hover_text(text);
}
