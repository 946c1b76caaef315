//! True positive rates at fixed numbers of false positives.

use egui::{Grid, RichText, ScrollArea, Ui, vec2};

use super::{CurvesModel, TABLE_AT};
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
                }
            });
        });
    });
}
