//! Plots precision over recall and the miss rate over false positives per image: a line per round, the best threshold marked, a readout
//! under the pointer, and a click that filters the review.

use egui::{Painter, Pos2, RichText, Stroke, Ui, pos2, vec2};
use egui_plot::{AxisHints, GridMark, Plot, PlotPoint, PlotTransform};

use super::CurvesView;
use super::metrics::{MetricLine, MetricPoint};
use super::plot::{Name, apart, color, paint_box, paint_line};
use crate::app::command::CurvesCommand;
use crate::app::theme;
use crate::app::widgets::ticks;
use crate::evaluation::miss_rate::REFERENCE_FPPI;
use crate::evaluation::{Metric, percent_g};

/// Maximum distance of the pointer from a point, in screen points.
const REACH: f32 = 28.0;
const NAME_HEIGHT: f32 = 14.0;
/// Space for names right of the axis's end, as a fraction of it.
const NAMES_WIDTH: f64 = 0.06;
/// Maximum start of the axis of false positives per image: the first point of the log-average.
const FIRST_FPPI: f64 = 0.01;
/// The lowest miss rate on the axis.
const LEAST_MISS_RATE: f64 = 1e-3;

/// An axis from `low` to `high`; values outside are clamped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub low: f64,
    pub high: f64,
    pub logarithmic: bool,
}

impl Axis {
    pub fn place(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        if self.logarithmic { value.log10() } else { value }
    }

    fn ends(&self) -> (f64, f64) {
        (self.place(self.low), self.place(self.high))
    }

    /// Returns the number of a mark of a logarithmic axis.
    fn text(mark: &GridMark) -> String {
        if !ticks::has_number(mark) {
            return String::new();
        }
        percent_g((10f64.powf(mark.value) * 1e6).round() / 1e6)
    }
}

/// Returns axes that fit the lines.
pub(super) fn axes(metric: Metric, lines: &[MetricLine], from_zero: bool) -> (Axis, Axis) {
    let points = || lines.iter().flat_map(|line| &line.points);
    if metric == Metric::PrecisionRecall {
        let down = |value: f64| (value * 10.0 + 1e-9).floor() / 10.0;
        let lowest = points().map(|p| p.y).fold(f64::INFINITY, f64::min);
        let low = if from_zero || !lowest.is_finite() { 0.0 } else { down(lowest).clamp(0.0, 0.9) };
        let farthest = points().map(|p| p.x).fold(0.0, f64::max);
        let high = if from_zero { 1.0 } else { ((farthest * 10.0 - 1e-9).ceil() / 10.0).clamp(0.1, 1.0) };
        return (Axis { low: 0.0, high, logarithmic: false }, Axis { low, high: 1.0, logarithmic: false });
    }
    let power = |value: f64, round: fn(f64) -> f64| 10f64.powf(round(value.log10()));
    let smallest = |values: &mut dyn Iterator<Item = f64>| values.filter(|v| *v > 0.0).fold(f64::INFINITY, f64::min);
    let first = smallest(&mut points().map(|p| p.x)).min(FIRST_FPPI);
    let farthest = points().map(|p| p.x).fold(1.0, f64::max).min(100.0);
    let lowest = smallest(&mut points().map(|p| p.y)).clamp(LEAST_MISS_RATE, 0.5);
    let x = Axis { low: power(first, f64::floor).max(1e-4), high: power(farthest, f64::ceil), logarithmic: true };
    (x, Axis { low: power(lowest, f64::floor), high: 1.0, logarithmic: true })
}

pub(super) fn show(ui: &mut Ui, view: &mut CurvesView<'_>, metric: Metric, lines: &[MetricLine], height: f32) {
    theme::card().show(ui, |ui| {
        ui.take_available_width();
        let (title, x_label, y_label) = match metric {
            Metric::PrecisionRecall => ("Precision over recall", "recall", "precision"),
            _ => ("Miss rate over false positives per image", "false positives per image", "miss rate"),
        };
        ui.label(RichText::new(title).strong().color(theme::STRONG));
        let (x_axis, y_axis) = axes(metric, lines, view.model.from_zero);
        let ((left, end), (bottom, top)) = (x_axis.ends(), y_axis.ends());
        let right = end + (end - left) * NAMES_WIDTH;
        let top = top + (top - bottom) * 0.02;
        let plot = Plot::new(title)
            .height((height - 2.0 * f32::from(theme::CARD_MARGIN) - 30.0).max(120.0))
            .default_x_bounds(left, right)
            .default_y_bounds(bottom, top)
            .label_formatter(|_| None)
            .allow_scroll(false)
            .allow_drag(false)
            .show_background(false)
            .grid_color(theme::GRID.now())
            .show_crosshair(false);
        let (x_hints, y_hints) = (ticks::x_axis(x_label), ticks::y_axis(y_label));
        let plot = if x_axis.logarithmic {
            let number = |hints: AxisHints<'static>| hints.formatter(|mark, _| Axis::text(&mark));
            plot.custom_x_axes(vec![number(x_hints)])
                .custom_y_axes(vec![number(y_hints)])
                .x_grid_spacer(|input| ticks::log_x_marks(&input))
                .y_grid_spacer(|input| ticks::log_y_marks(&input))
        } else {
            plot.custom_x_axes(vec![x_hints])
                .custom_y_axes(vec![y_hints])
                .x_grid_spacer(|input| ticks::x_marks(&input))
                .y_grid_spacer(|input| ticks::y_marks(&input))
        };
        let shown = plot.show(ui, |plot| {
            plot.set_plot_bounds_x(left..=right);
            plot.set_plot_bounds_y(bottom..=top);
        });
        let frame = shown.response.rect;
        let place = Place { transform: &shown.transform, x_axis, y_axis };
        let painter = ui.painter().with_clip_rect(frame);
        if metric == Metric::MissRate {
            paint_references(&painter, &place);
        }
        paint(&painter, lines, &place);
        let nearest = shown.response.hover_pos().and_then(|pointer| nearest(lines, &place, pointer));
        if let Some((line, point)) = nearest {
            let at = place.on_screen(&point);
            let is_own = line.key.run.is_none();
            paint_box(ui, at, color(line.key.style()), readout(&line.key.name(), metric, &point, is_own), frame);
            if let Some(score) = point.threshold.filter(|_| is_own && shown.response.clicked()) {
                view.push(CurvesCommand::ReviewFrom(score));
            }
        }
    });
}

struct Place<'a> {
    transform: &'a PlotTransform,
    x_axis: Axis,
    y_axis: Axis,
}

impl Place<'_> {
    fn on_screen(&self, point: &MetricPoint) -> Pos2 {
        self.at(point.x, point.y)
    }

    fn at(&self, x: f64, y: f64) -> Pos2 {
        self.transform.position_from_point(&PlotPoint::new(self.x_axis.place(x), self.y_axis.place(y)))
    }
}

/// Marks the nine points of the log-average.
fn paint_references(painter: &Painter, place: &Place<'_>) {
    for fppi in REFERENCE_FPPI {
        let (low, high) = (place.at(fppi, place.y_axis.low), place.at(fppi, place.y_axis.high));
        painter.line_segment([low, high], Stroke::new(1.0, theme::faded(theme::ACCENT, 0.35)));
    }
}

fn paint(painter: &Painter, lines: &[MetricLine], place: &Place<'_>) {
    let mut names = Vec::new();
    for line in lines {
        let style = line.key.style();
        let mut points: Vec<Pos2> = Vec::with_capacity(line.points.len());
        for point in line.points.iter().filter(|p| p.x <= place.x_axis.high) {
            let at = place.on_screen(point);
            if points.last() != Some(&at) {
                points.push(at);
            }
        }
        let Some(&last) = points.last() else { continue };
        paint_line(painter, &points, style, color(style));
        if points.len() == 1 {
            painter.circle_filled(last, 3.0, color(style));
        }
        if let Some(best) = &line.best {
            painter.circle(place.on_screen(best), 5.0, theme::CARD, Stroke::new(2.0, color(style)));
        }
        names.push(Name { at: last, text: line.key.short(), color: color(style) });
    }
    for name in apart(names, NAME_HEIGHT, painter.clip_rect()) {
        let at = name.at + vec2(7.0, 0.0);
        painter.text(at, egui::Align2::LEFT_CENTER, name.text, egui::FontId::proportional(12.0), name.color);
    }
}

fn nearest<'a>(lines: &'a [MetricLine], place: &Place<'_>, pointer: Pos2) -> Option<(&'a MetricLine, MetricPoint)> {
    let points = lines.iter().flat_map(|line| line.points.iter().map(move |point| (line, *point)));
    let with_distance = points.map(|(line, point)| (place.on_screen(&point).distance(pointer), line, point));
    let nearest = with_distance.min_by(|a, b| a.0.total_cmp(&b.0))?;
    (nearest.0 <= REACH).then_some((nearest.1, nearest.2))
}

fn readout(name: &str, metric: Metric, point: &MetricPoint, is_own: bool) -> String {
    let numbers = if metric == Metric::PrecisionRecall {
        let f1 = point.f1.map_or(String::new(), |f1| format!("\nF1 {f1:.4}"));
        format!("precision {:.4}\nrecall {:.4}{f1}", point.y, point.x)
    } else {
        format!("miss rate {:.4}\n{:.4} false positives per image", point.y, point.x)
    };
    let score = point.threshold.map_or("\nmean of the classes".to_owned(), |score| {
        let click = if is_own { "\nClick to review from this score" } else { "" };
        format!("\nscore from {}{click}", percent_g(score))
    });
    format!("{name}\n{numbers}{score}")
}

/// Draws a small mark of the best threshold for the legend.
pub(super) fn best_mark(ui: &mut Ui) {
    ui.horizontal(|ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(14.0, 14.0), egui::Sense::hover());
        ui.painter().circle(pos2(rect.center().x, rect.center().y), 5.0, theme::CARD, Stroke::new(2.0, theme::WEAK));
        ui.label(RichText::new("the score with the largest F1").small().color(theme::WEAK));
    });
}

#[cfg(test)]
mod tests {
    use egui_plot::GridInput;

    use super::*;
    use crate::app::command::CurveKey;

    fn line(points: &[(f64, f64)]) -> MetricLine {
        let point = |&(x, y): &(f64, f64)| MetricPoint { x, y, threshold: Some(0.5), f1: None };
        MetricLine { key: CurveKey::new(1, "rectangle"), points: points.iter().map(point).collect(), best: None }
    }

    #[test]
    fn axes_fit_the_lines() {
        let (x, y) = axes(Metric::PrecisionRecall, &[line(&[(0.1, 1.0), (0.62, 0.74)])], false);
        assert_eq!((x.low, x.high, y.low, y.high), (0.0, 0.7, 0.7, 1.0));
        let (x, y) = axes(Metric::PrecisionRecall, &[line(&[(0.62, 0.74)])], true);
        assert_eq!((x.high, y.low), (1.0, 0.0));
        let (x, y) = axes(Metric::MissRate, &[line(&[(0.0, 0.9), (0.05, 0.6), (3.0, 0.21), (4.0, 0.0)])], false);
        let near = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-9;
        assert!(near(x.low, 0.01) && near(x.high, 10.0) && near(y.low, 0.1), "{x:?} {y:?}");
        // Without lines there is still an axis.
        for metric in [Metric::PrecisionRecall, Metric::MissRate] {
            let (x, y) = axes(metric, &[], false);
            assert!(x.low < x.high && y.low < y.high, "{x:?} {y:?}");
        }
    }

    #[test]
    fn a_logarithmic_axis_is_marked_at_powers_of_ten() {
        let axis = Axis { low: 0.01, high: 1.0, logarithmic: true };
        let input = GridInput { bounds: axis.ends(), base_step_size: 2.0 / 200.0 * 8.0 };
        let written =
            ticks::log_x_marks(&input).into_iter().map(|mark| Axis::text(&mark)).filter(|text| !text.is_empty());
        assert_eq!(written.collect::<Vec<_>>(), ["0.01", "0.1", "1"]);
        assert_eq!(axis.place(0.0), axis.place(0.01), "what is below stands at the end");
    }
}
