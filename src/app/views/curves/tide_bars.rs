//! The cost of each error type as bars: a group per type, a bar per round.

use egui::{Align2, FontId, Rect, RichText, Sense, Ui, pos2, vec2};

use super::CurvesModel;
use super::plot::color;
use crate::app::command::CurveKey;
use crate::app::theme;
use crate::domain::counted;
use crate::evaluation::tide::{ErrorKind, TideReport};

/// Space below the bars for the types, and above them for the numbers.
const BELOW: f32 = 22.0;
const ABOVE: f32 = 16.0;
/// Minimum width of a bar with its number.
const NUMBER_WIDTH: f32 = 34.0;

/// Returns an error type's name and description.
pub(super) fn words(kind: ErrorKind) -> (&'static str, &'static str) {
    match kind {
        ErrorKind::Classification => ("Classification", "Enough overlap with an object, but the wrong class"),
        ErrorKind::Localisation => ("Localisation", "The right class, but too little overlap"),
        ErrorKind::Both => ("Both", "Too little overlap, and the wrong class"),
        ErrorKind::Duplicate => ("Duplicate", "On an object that a better detection already matches"),
        ErrorKind::Background => ("Background", "On no object"),
        ErrorKind::Missed => ("Missed", "An object that no detection finds and no other error explains"),
    }
}

pub(super) fn show(ui: &mut Ui, model: &CurvesModel, shown: &[&CurveKey], height: f32) {
    theme::card().show(ui, |ui| {
        ui.take_available_width();
        ui.label(RichText::new("What each kind of error costs, in points of AP").strong().color(theme::STRONG));
        let size = vec2(ui.available_width(), (height - 2.0 * f32::from(theme::CARD_MARGIN) - 30.0).max(100.0));
        let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
        let reports: Vec<(&CurveKey, &TideReport)> =
            shown.iter().filter_map(|key| Some((*key, &model.metrics.get(key)?.suite.tide))).collect();
        let largest = reports.iter().flat_map(|(_, report)| report.main.values()).fold(0.0, f64::max);
        let scale = if largest > 0.0 { (rect.height() - BELOW - ABOVE) / largest as f32 } else { 0.0 };
        let group = rect.width() / ErrorKind::ALL.len() as f32;
        let bar = ((group - 16.0) / reports.len().max(1) as f32).clamp(2.0, 46.0);
        let floor = rect.bottom() - BELOW;
        ui.painter().hline(rect.x_range(), floor, egui::Stroke::new(1.0, theme::GRID));
        for (k, kind) in ErrorKind::ALL.into_iter().enumerate() {
            let middle = rect.left() + group * (k as f32 + 0.5);
            let first = middle - bar * reports.len() as f32 / 2.0;
            for (n, (key, report)) in reports.iter().enumerate() {
                let cost = report.main.values()[k];
                let count = report.counts.values()[k];
                let left = first + bar * n as f32;
                let top = floor - (cost as f32 * scale).max(1.0);
                let bar_rect = Rect::from_min_max(pos2(left, top), pos2(left + bar - 2.0, floor));
                ui.painter().rect_filled(bar_rect, 2.0, color(key.style()));
                if bar >= NUMBER_WIDTH {
                    let at = pos2(bar_rect.center().x, top - 2.0);
                    let text = format!("{cost:.2}");
                    ui.painter().text(at, Align2::CENTER_BOTTOM, text, FontId::proportional(11.0), theme::TEXT.now());
                }
                let column = Rect::from_min_max(pos2(left, rect.top()), pos2(left + bar, floor));
                let id = ui.scope_id().with((k, n));
                ui.interact(column, id, Sense::hover()).on_hover_text(hover(key, kind, cost, count));
            }
            let name = words(kind).0;
            let at = pos2(middle, rect.bottom());
            ui.painter().text(at, Align2::CENTER_BOTTOM, name, FontId::proportional(13.0), theme::WEAK.now());
        }
    });
}

fn hover(key: &CurveKey, kind: ErrorKind, cost: f64, count: usize) -> String {
    let (name, meaning) = words(kind);
    format!("{}: {name}\n{meaning}\n{cost:.2} points of AP, {}", key.name(), counted(count, "error"))
}
