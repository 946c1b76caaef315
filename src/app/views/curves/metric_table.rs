//! Draws a metric's tables: a row per round, and below it in small the difference from the previous round.

use egui::{Color32, Grid, RichText, ScrollArea, Ui, vec2};

use super::metric_tables::{Better, Column, MetricRow, MetricTable};
use super::plot::paint_sample;
use crate::app::theme;
use crate::app::views::start::card;

/// Height of a row with the gap below it, in screen points.
const ROW: f32 = 33.0;
/// Height of a card's frame with its title and the header.
const FRAME: f32 = 92.0;
/// Placeholder for a missing number.
const NONE: &str = "–";

/// Returns the tables' full height.
pub(super) fn height(tables: &[MetricTable]) -> f32 {
    let rows = |table: &MetricTable| table.rows.iter().map(|row| 1 + usize::from(row.since.is_some())).sum::<usize>();
    tables.iter().map(|table| FRAME + ROW * rows(table) as f32 + theme::GAP).sum()
}

pub(super) fn show(ui: &mut Ui, tables: &[MetricTable]) {
    ScrollArea::vertical().id_salt("metric tables").auto_shrink(false).show(ui, |ui| {
        for (k, table) in tables.iter().enumerate() {
            if k > 0 {
                ui.add_space(theme::GAP);
            }
            card(ui, &table.title, |ui| {
                ScrollArea::horizontal().id_salt(&table.title).show(ui, |ui| grid(ui, table));
            });
        }
    });
}

fn grid(ui: &mut Ui, table: &MetricTable) {
    let narrow = ui.available_width() < 80.0 * table.columns.len() as f32 + 130.0;
    let spacing = if narrow { 8.0 } else { 16.0 };
    Grid::new(&table.title).striped(true).min_col_width(40.0).spacing(vec2(spacing, 6.0)).show(ui, |ui| {
        ui.label("");
        for column in &table.columns {
            ui.label(RichText::new(column.name).color(theme::WEAK)).on_hover_text(column.hint);
        }
        ui.end_row();
        for row in &table.rows {
            name(ui, row);
            for (column, value) in table.columns.iter().zip(&row.values) {
                let text = value.map_or(NONE.to_owned(), |v| number(column, v, narrow));
                ui.label(RichText::new(text).monospace());
            }
            ui.end_row();
            if let Some((before, differences)) = &row.since {
                ui.label(RichText::new(format!("   since round {before}")).small().color(theme::WEAK));
                for (column, difference) in table.columns.iter().zip(differences) {
                    let (text, color) = difference_text(column, *difference, narrow);
                    ui.label(RichText::new(text).monospace().small().color(color));
                }
                ui.end_row();
            }
        }
    });
}

fn name(ui: &mut Ui, row: &MetricRow) {
    ui.horizontal(|ui| {
        if let Some(style) = row.style {
            let (rect, _) = ui.allocate_exact_size(vec2(18.0, 12.0), egui::Sense::hover());
            paint_sample(ui.painter(), rect, style);
        }
        ui.label(RichText::new(&row.name).color(theme::STRONG));
    });
}

fn number(column: &Column, value: f64, narrow: bool) -> String {
    let digits = digits(column, narrow);
    format!("{value:.digits$}")
}

/// Narrow windows lack space for four decimals.
fn digits(column: &Column, narrow: bool) -> usize {
    if narrow { column.digits.min(3) } else { column.digits }
}

/// Formats a signed difference, coloured by whether it is better; a change below the shown digits is zero.
fn difference_text(column: &Column, difference: Option<f64>, narrow: bool) -> (String, Color32) {
    let Some(difference) = difference else { return (String::new(), theme::WEAK.now()) };
    let digits = digits(column, narrow);
    let text = format!("{difference:+.digits$}");
    let is_nothing = text.trim_start_matches(['+', '-']).chars().all(|c| matches!(c, '0' | '.'));
    if is_nothing {
        return ("=".to_owned(), theme::WEAK.now());
    }
    let is_better = match column.better {
        Better::Neither => return (text, theme::WEAK.now()),
        Better::Higher => difference > 0.0,
        Better::Lower => difference < 0.0,
    };
    (text, if is_better { theme::GOOD.now() } else { theme::WARNING.now() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_have_signs_and_say_whether_they_are_better() {
        let column = |better| Column { name: "", hint: "", digits: 4, better };
        for (better, difference, text, color) in [
            (Better::Higher, Some(0.0123), "+0.0123", theme::GOOD),
            (Better::Higher, Some(-0.5), "-0.5000", theme::WARNING),
            (Better::Lower, Some(-0.5), "-0.5000", theme::GOOD),
            (Better::Lower, Some(0.5), "+0.5000", theme::WARNING),
            (Better::Neither, Some(0.5), "+0.5000", theme::WEAK),
            (Better::Lower, Some(-0.00001), "=", theme::WEAK),
            (Better::Lower, None, "", theme::WEAK),
        ] {
            assert_eq!(difference_text(&column(better), difference, false), (text.to_owned(), color.now()));
        }
        assert_eq!(number(&column(Better::Higher), 0.98765, true), "0.988");
    }
}
