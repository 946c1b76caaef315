//! True positive rates at fixed numbers of false positives.

use egui::{Grid, RichText, ScrollArea, Ui, vec2};

use super::{CurveKey, CurvesModel, TABLE_AT};
use crate::app::theme;
use crate::app::views::start::card;

pub(super) fn show(ui: &mut Ui, model: &CurvesModel) {
    card(ui, "True positive rate: discrete / continuous", |ui| {
        ScrollArea::both().auto_shrink(false).show(ui, |ui| {
            Grid::new("rates").striped(true).min_col_width(86.0).spacing(vec2(12.0, 6.0)).show(ui, |ui| {
                ui.label(RichText::new("at false positives").small().color(theme::WEAK));
                for at in TABLE_AT {
                    ui.label(RichText::new(at.to_string()).color(theme::WEAK));
                }
                ui.end_row();
                for (key, curve) in model.shown() {
                    ui.label(RichText::new(key.text()).color(theme::STRONG));
                    for at in TABLE_AT {
                        let (discrete, continuous) = (curve.discrete_tpr_at(at), curve.continuous_tpr_at(at));
                        ui.label(RichText::new(format!("{discrete:.3} / {continuous:.3}")).monospace());
                    }
                    ui.end_row();
                    spread(ui, model, key);
                }
            });
        });
    });
}

/// How far the folds of a pooled curve lie apart, at their share of each number of false positives.
fn spread(ui: &mut Ui, model: &CurvesModel, pooled: &CurveKey) {
    let spread = model.spread(pooled);
    if spread.is_empty() {
        return;
    }
    ui.label(RichText::new("  ± between folds").small().color(theme::WEAK));
    for at in spread {
        let text = format!("±{:.3} / ±{:.3}", at.discrete.deviation, at.continuous.deviation);
        let range = |s: crate::evaluation::Spread| format!("{:.3} to {:.3}, mean {:.3}", s.lowest, s.highest, s.mean);
        let hover = format!("Discrete {}\nContinuous {}", range(at.discrete), range(at.continuous));
        ui.label(RichText::new(text).monospace().small().color(theme::WEAK)).on_hover_text(hover);
    }
    ui.end_row();
}
