//! The score threshold of the Images screen: a slider, and the counts of the project's curves there.

use egui::{Grid, RichText, Ui, vec2};

use super::CurvesView;
use super::plot::color;
use crate::app::command::{Command, ImagesCommand};
use crate::app::theme;
use crate::app::views::start::card;
use crate::app::widgets::score::score_slider;

pub(super) fn show(ui: &mut Ui, view: &mut CurvesView<'_>) {
    card(ui, "Score threshold", |ui| {
        let mut threshold = view.threshold;
        ui.spacing_mut().slider_width = 120.0;
        let slider = score_slider(&mut threshold);
        let hint =
            "The same as on the Images screen: detections from this score on count. A ring marks it on the curves";
        if ui.name_inputs("Score from", |ui| ui.add(slider)).on_hover_text(hint).changed() {
            view.commands.push(Command::Images(ImagesCommand::SetThreshold(threshold)));
        }
        counts(ui, view);
    });
}

/// The counts and rates of the shown curves at the threshold.
fn counts(ui: &mut Ui, view: &CurvesView<'_>) {
    let shown: Vec<_> = view.model.shown().collect();
    if shown.is_empty() {
        return;
    }
    Grid::new("at threshold").num_columns(3).spacing(vec2(12.0, 3.0)).show(ui, |ui| {
        for (key, curve) in shown {
            let small = |text: String| RichText::new(text).small();
            ui.label(small(key.short()).color(color(key.style()))).on_hover_text(key.text());
            match curve.at_score(view.threshold) {
                Some((point, discrete, continuous)) => {
                    ui.label(small(format!("{} FP", point.false_positives)).color(theme::TEXT));
                    let rates = format!("{discrete:.4}/{continuous:.4}");
                    let hint = "True positive rate: discrete (IoU over 0.5) / continuous";
                    ui.label(small(rates).monospace().color(theme::TEXT)).on_hover_text(hint);
                }
                None => {
                    ui.label(small("no detection".to_owned()).color(theme::WEAK));
                }
            }
            ui.end_row();
        }
    });
}
