//! True positive rates at fixed numbers of false positives, and average precision. Must not measure anything.

use egui::{Grid, RichText, ScrollArea, Ui, vec2};

use super::{CurveKey, CurvesModel, Published, TABLE_AT};
use crate::app::theme;
use crate::app::views::start::card;
use crate::evaluation::ScoreKind;

/// A row with the gap below it, in points of the screen.
const ROW: f32 = 34.0;
/// The card around the rows.
const FRAME: f32 = 78.0;
/// What a place without a number shows.
const NONE: &str = "–";

/// How high the table is when nothing is cut off.
pub(super) fn height(model: &CurvesModel) -> f32 {
    let spreads = model.shown().filter(|(key, _)| !model.spread(key).is_empty()).count();
    let rates = 1 + model.shown().count() + spreads + model.published.iter().filter(|p| p.shown).count();
    let precisions = model.precision().count();
    let precisions = if precisions == 0 { 0.0 } else { precisions as f32 + 2.0 };
    FRAME + ROW * (rates as f32 + precisions)
}

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
                    ui.label(RichText::new(key.text() + &curve.mark()).color(theme::STRONG));
                    for (discrete, continuous) in model.rates(key) {
                        ui.label(RichText::new(format!("{discrete:.4}/{continuous:.4}")).monospace());
                    }
                    ui.end_row();
                    spread(ui, model, key);
                }
                model.published.iter().filter(|p| p.shown).for_each(|published| others(ui, published));
            });
            precision(ui, model);
        });
    });
}

/// A curve of others; of reference points only where there is one.
fn others(ui: &mut Ui, published: &Published) {
    ui.label(RichText::new(&published.name).color(theme::WEAK));
    for at in TABLE_AT {
        let rate = |kind| published.rate_at(kind, at).map_or(NONE.to_owned(), |rate| format!("{rate:.4}"));
        let text = match (rate(ScoreKind::Discrete), rate(ScoreKind::Continuous)) {
            (discrete, continuous) if discrete == NONE && continuous == NONE => NONE.to_owned(),
            (discrete, continuous) => format!("{discrete}/{continuous}"),
        };
        ui.label(RichText::new(text).monospace().color(theme::WEAK));
    }
    ui.end_row();
}

/// How far the folds of a pooled curve lie apart, at their share of each number of false positives.
fn spread(ui: &mut Ui, model: &CurvesModel, pooled: &CurveKey) {
    let spread = model.spread(pooled);
    if spread.is_empty() {
        return;
    }
    ui.label(RichText::new("  ± between folds").small().color(theme::WEAK));
    for at in spread {
        let text = format!("±{:.4}/±{:.4}", at.discrete.deviation, at.continuous.deviation);
        let range = |s: crate::evaluation::Spread| format!("{:.4} to {:.4}, mean {:.4}", s.lowest, s.highest, s.mean);
        let hover = format!("Discrete {}\nContinuous {}", range(at.discrete), range(at.continuous));
        ui.label(RichText::new(text).monospace().small().color(theme::WEAK)).on_hover_text(hover);
    }
    ui.end_row();
}

/// COCO's numbers of each round's boxes.
fn precision(ui: &mut Ui, model: &CurvesModel) {
    if model.precision().next().is_none() {
        return;
    }
    ui.add_space(ROW);
    let hint = "As pycocotools computes it on the boxes of the last evaluation: for datasets that are not FDDB";
    Grid::new("precision").striped(true).min_col_width(86.0).spacing(vec2(12.0, 6.0)).show(ui, |ui| {
        ui.label(RichText::new("average precision").small().color(theme::WEAK)).on_hover_text(hint);
        for name in ["AP", "AP50", "AP75", "small", "medium", "large"] {
            ui.label(RichText::new(name).color(theme::WEAK)).on_hover_text(hint);
        }
        ui.end_row();
        for (round, precision) in model.precision() {
            ui.label(RichText::new(format!("Round {round}, boxes")).color(theme::STRONG));
            for value in precision.values() {
                let text = value.map_or(NONE.to_owned(), |value| format!("{value:.4}"));
                ui.label(RichText::new(text).monospace());
            }
            ui.end_row();
        }
    });
}
