//! The table of true positive rates at fixed false positive counts, with the score thresholds and the change from the previous round, and
//! average precision.

use egui::{Grid, Label, RichText, ScrollArea, Ui, vec2};

use super::{CurvesModel, Published, TABLE_AT};
use crate::app::command::CurveKey;
use crate::app::theme;
use crate::app::views::start::card;
use crate::evaluation::{ScoreKind, percent_g};

/// Height of a row with the gap below it, in screen points.
const ROW: f32 = 34.0;
/// Height of the card's frame with its title and header.
const FRAME: f32 = 96.0;
/// Width of a pair of rates with four decimals and a gap.
const RATES_WIDTH: f32 = 118.0;
/// Width of a row's name.
const NAME_WIDTH: f32 = 150.0;
/// Placeholder for a missing number.
const NONE: &str = "–";

/// Returns the table's full height.
pub(super) fn height(model: &CurvesModel) -> f32 {
    let of_curve =
        |key: &CurveKey| 2 + usize::from(!model.spread(key).is_empty()) + usize::from(model.before(key).is_some());
    let own: usize = model.shown().map(|(key, _)| of_curve(key)).sum();
    let rates = own + model.published.iter().filter(|p| p.shown).count();
    let precisions = if has_precision(model) { model.precision().count() + 2 } else { 0 };
    FRAME + ROW * (rates + precisions) as f32
}

/// Rounds with stored metrics show it under their own metrics instead.
fn has_precision(model: &CurvesModel) -> bool {
    model.metrics.rounds().next().is_none() && model.precision().next().is_some()
}

/// Returns the columns of [`TABLE_AT`] within the axis, as many as fit `width`, including the last.
fn columns(model: &CurvesModel, width: f32) -> Vec<usize> {
    let end = model.x_end();
    let known: Vec<usize> = (0..TABLE_AT.len()).filter(|&k| TABLE_AT[k] <= end.max(TABLE_AT[0])).collect();
    let room = (((width - NAME_WIDTH) / RATES_WIDTH) as usize).clamp(2, TABLE_AT.len());
    if known.len() <= room {
        return known;
    }
    (0..room).map(|k| known[k * (known.len() - 1) / (room - 1)]).collect()
}

pub(super) fn show(ui: &mut Ui, model: &CurvesModel) {
    card(ui, "True positive rate: discrete (IoU over 0.5) / continuous (IoU of each match)", |ui| {
        let columns = columns(model, ui.available_width());
        ScrollArea::both().auto_shrink(false).show(ui, |ui| {
            Grid::new("rates").striped(true).min_col_width(60.0).spacing(vec2(12.0, 6.0)).show(ui, |ui| {
                ui.label(RichText::new("at false positives").small().color(theme::WEAK));
                for &k in &columns {
                    ui.label(RichText::new(TABLE_AT[k].to_string()).color(theme::WEAK));
                }
                ui.end_row();
                for (key, curve) in model.shown() {
                    name(ui, &(key.text() + &curve.mark()));
                    for (discrete, continuous) in columns.iter().filter_map(|&k| model.rates(key).get(k)) {
                        ui.label(RichText::new(format!("{discrete:.4}/{continuous:.4}")).monospace());
                    }
                    ui.end_row();
                    since(ui, model, key, &columns);
                    scores(ui, model, key, &columns);
                    spread(ui, model, key, &columns);
                }
                model.published.iter().filter(|p| p.shown).for_each(|published| others(ui, published, &columns));
            });
            if has_precision(model) {
                precision(ui, model);
            }
        });
    });
}

/// Truncates a name that would displace the numbers; the whole name is shown on hover.
fn name(ui: &mut Ui, text: &str) {
    let width = NAME_WIDTH;
    ui.allocate_ui(vec2(width, ui.spacing().interact_size.y), |ui| {
        ui.set_max_width(width);
        ui.add(Label::new(RichText::new(text).color(theme::STRONG)).truncate());
    });
}

/// Shows the differences from the previous round.
fn since(ui: &mut Ui, model: &CurvesModel, key: &CurveKey, columns: &[usize]) {
    let Some((before, rates)) = model.before(key) else { return };
    ui.label(RichText::new(format!("   since round {before}")).small().color(theme::WEAK));
    for &k in columns {
        let (Some(now), Some(then)) = (model.rates(key).get(k), rates.get(k)) else { continue };
        let (discrete, continuous) = (now.0 - then.0, now.1 - then.1);
        let color = match discrete {
            d if d > 0.00005 => theme::GOOD,
            d if d < -0.00005 => theme::WARNING,
            _ => theme::WEAK,
        };
        ui.label(RichText::new(format!("{discrete:+.4}/{continuous:+.4}")).monospace().small().color(color));
    }
    ui.end_row();
}

/// Shows the score thresholds of the rates.
fn scores(ui: &mut Ui, model: &CurvesModel, key: &CurveKey, columns: &[usize]) {
    ui.label(RichText::new("   score from").small().color(theme::WEAK));
    for score in columns.iter().filter_map(|&k| model.scores(key).get(k)) {
        let text = score.map_or(NONE.to_owned(), |score| percent_g((score * 1e4).round() / 1e4));
        let whole = score.map_or("No detection counts there".to_owned(), percent_g);
        ui.label(RichText::new(text).monospace().small().color(theme::WEAK)).on_hover_text(whole);
    }
    ui.end_row();
}

/// Shows a third-party curve; for reference points only existing ones.
fn others(ui: &mut Ui, published: &Published, columns: &[usize]) {
    name(ui, &published.name);
    for at in columns.iter().map(|&k| TABLE_AT[k]) {
        let rate = |kind| published.rate_at(kind, at).map_or(NONE.to_owned(), |rate| format!("{rate:.4}"));
        let text = match (rate(ScoreKind::Discrete), rate(ScoreKind::Continuous)) {
            (discrete, continuous) if discrete == NONE && continuous == NONE => NONE.to_owned(),
            (discrete, continuous) => format!("{discrete}/{continuous}"),
        };
        ui.label(RichText::new(text).monospace().color(theme::WEAK));
    }
    ui.end_row();
}

/// Shows the spread of a pooled curve's folds, at their share of each false positive count.
fn spread(ui: &mut Ui, model: &CurvesModel, pooled: &CurveKey, columns: &[usize]) {
    let spread = model.spread(pooled);
    if spread.is_empty() {
        return;
    }
    ui.label(RichText::new("   ± between folds").small().color(theme::WEAK));
    for at in columns.iter().filter_map(|&k| spread.get(k)) {
        let text = format!("±{:.4}/±{:.4}", at.discrete.deviation, at.continuous.deviation);
        let range = |s: crate::evaluation::Spread| format!("{:.4} to {:.4}, mean {:.4}", s.lowest, s.highest, s.mean);
        let hover = format!("Discrete {}\nContinuous {}", range(at.discrete), range(at.continuous));
        ui.label(RichText::new(text).monospace().small().color(theme::WEAK)).on_hover_text(hover);
    }
    ui.end_row();
}

/// Shows COCO's metrics of each round's boxes.
fn precision(ui: &mut Ui, model: &CurvesModel) {
    ui.add_space(ROW);
    let hint = "As pycocotools computes it on the boxes of the last evaluation: for datasets that are not FDDB";
    Grid::new("precision").striped(true).min_col_width(60.0).spacing(vec2(12.0, 6.0)).show(ui, |ui| {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::{RocCurve, RocPoint};

    #[test]
    fn columns_keep_to_the_axis_and_to_the_room() {
        let mut model = CurvesModel::default();
        let point = |false_positives| RocPoint { threshold: 0.5, false_positives, discrete: 1.0, continuous: 1.0 };
        let curve = |most| RocCurve { faces: 10, points: vec![point(most), point(0)], unreadable: 0 };
        model.put(CurveKey::new(1, "rectangle"), 1, curve(60));
        assert_eq!(columns(&model, 2000.0), [0, 1, 2, 3], "10, 20, 50, 100");
        model.put(CurveKey::new(2, "rectangle"), 1, curve(90_000));
        assert_eq!(columns(&model, 2000.0).len(), TABLE_AT.len());
        let few = columns(&model, 640.0);
        assert!(few.len() == 4 && few[0] == 0 && few[3] == TABLE_AT.len() - 1, "{few:?}");
        model.x_max = Some(100);
        assert_eq!(columns(&model, 2000.0), [0, 1, 2, 3]);
    }
}
