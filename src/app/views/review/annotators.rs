//! The annotators' counts, speed and agreement.

use egui::{Grid, RichText, Ui, vec2};

use super::{Action, Command, ReviewView, minutes_text};
use crate::app::theme;
use crate::domain::VerdictCounts;
use crate::workflow::review::{AnnotatorProgress, AnnotatorStatistics};
use crate::workflow::verdicts::PairAgreement;

pub(super) fn show(ui: &mut Ui, view: &mut ReviewView<'_>) {
    ui.label(RichText::new("Annotators").size(theme::BIG_NUMBER).color(theme::STRONG));
    let Some(statistics) = view.model.statistics.clone() else {
        ui.label(RichText::new("Counting…").color(theme::WEAK));
        return;
    };
    ui.label(
        RichText::new(format!("You review as {}. The Project screen changes the name.", view.annotator))
            .color(theme::WEAK),
    );
    ui.add_space(theme::GAP);
    egui::ScrollArea::horizontal().id_salt("annotators").show(ui, |ui| annotators(ui, &statistics));
    ui.add_space(theme::GAP * 1.5);
    ui.label(RichText::new("Agreement").strong().color(theme::ACCENT));
    if statistics.pairs.is_empty() {
        ui.label(RichText::new("No candidate has verdicts of two annotators yet.").color(theme::WEAK));
        return;
    }
    pairs(ui, &statistics.pairs);
    ui.add_space(theme::GAP);
    let key = RichText::new(view.keymap.text(Action::Disagreements)).monospace().color(theme::WEAK);
    let text = match statistics.disputed {
        1 => "Review the disagreement".to_owned(),
        count => format!("Review the {count} disagreements"),
    };
    let response = ui.add_enabled(statistics.disputed > 0, egui::Button::new(&text).right_text(key));
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, statistics.disputed > 0, &text));
    if response.clicked() {
        view.commands.push(Command::Do(Action::Disagreements));
    }
}

fn annotators(ui: &mut Ui, statistics: &AnnotatorStatistics) {
    let titles = [
        "Name",
        "Hard negatives",
        "Rejected",
        "Missed objects",
        "Wrong class",
        "Skipped",
        "Left",
        "A minute",
        "Time left",
    ];
    Grid::new("annotators").num_columns(titles.len()).spacing(vec2(24.0, 6.0)).striped(true).show(ui, |ui| {
        for title in titles {
            ui.label(RichText::new(title).small().color(theme::WEAK));
        }
        ui.end_row();
        for annotator in &statistics.annotators {
            for text in cells(annotator) {
                ui.label(text);
            }
            ui.end_row();
        }
    });
}

fn cells(annotator: &AnnotatorProgress) -> [String; 9] {
    let VerdictCounts { undecided, confirmed, rejected, missed_object, wrong_class, skipped, .. } = annotator.counts;
    let none = || "–".to_owned();
    [
        annotator.name.clone(),
        confirmed.to_string(),
        rejected.to_string(),
        missed_object.to_string(),
        wrong_class.to_string(),
        skipped.to_string(),
        undecided.to_string(),
        annotator.per_minute.map_or_else(none, |rate| format!("{rate:.0}")),
        annotator.per_minute.map_or_else(none, |rate| minutes_text(undecided as f64 / rate)),
    ]
}

fn pairs(ui: &mut Ui, pairs: &[PairAgreement]) {
    Grid::new("pairs").num_columns(4).spacing(vec2(24.0, 6.0)).striped(true).show(ui, |ui| {
        for title in ["Annotators", "Both decided", "Same verdict", "Cohen's kappa"] {
            ui.label(RichText::new(title).small().color(theme::WEAK));
        }
        ui.end_row();
        for pair in pairs {
            ui.label(format!("{} and {}", pair.first, pair.second));
            ui.label(pair.both.to_string());
            ui.label(format!("{:.1} %", pair.observed * 100.0));
            ui.label(format!("{:.2}", pair.kappa)).on_hover_text("1: full agreement; 0: agreement by chance");
            ui.end_row();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_decision_has_its_own_column() {
        let counts = VerdictCounts {
            undecided: 1,
            confirmed: 2,
            rejected: 3,
            missed_object: 4,
            wrong_class: 5,
            skipped: 6,
            ..VerdictCounts::default()
        };
        let annotator = AnnotatorProgress { name: "ada".to_owned(), counts, per_minute: None };
        assert_eq!(cells(&annotator), ["ada", "2", "3", "4", "5", "6", "1", "–", "–"]);
    }
}
