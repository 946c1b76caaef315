//! One ROC plot: a line per round (colour) and output shape (dash), a readout under the pointer, and a click that filters the review.

use egui::{Color32, FontId, Painter, Pos2, Rect, RichText, Shape, Stroke, Ui, pos2, vec2};
use egui_plot::{GridInput, GridMark, Plot, PlotPoint, PlotTransform};

use super::readout::Readout;
use super::{CurvesView, DrawnLine, Published};
use crate::app::command::{Command, CurvesCommand, ImagesCommand};
use crate::app::theme;
use crate::app::widgets::ticks;
use crate::evaluation::axes::{FalsePositiveAxis, RateAxis, spread_apart};
use crate::evaluation::palette::{CurveStyle, strokes};
use crate::evaluation::{PlotCurve, ScoreKind};

/// Maximum distance of the pointer from a point, in screen points.
const REACH: f32 = 28.0;
/// Height of a label at a line's end with its margins, in screen points.
const NAME_HEIGHT: f32 = 14.0;
/// Space for labels right of the axis's end, as a fraction of it.
const NAMES_WIDTH: f64 = 0.09;
/// Minimum width in points for the axis's title between the tick marks.
const WIDE: f32 = 290.0;
/// Dash pattern for the extension of a curve that ends before the axis at its last value.
const KEPT_VALUE: &[u32] = &[1, 4];

pub(super) fn show(ui: &mut Ui, view: &mut CurvesView<'_>, kind: ScoreKind, height: f32) {
    theme::card().show(ui, |ui| {
        ui.take_available_width();
        let title = kind.title();
        ui.label(RichText::new(title).strong().color(theme::STRONG));
        let (x_axis, y_axis) = (view.model.x_axis(), view.model.rate_axis(kind));
        let (start, end) = x_axis.range();
        let right = end + (end - start) * NAMES_WIDTH;
        let is_wide = ui.available_width() >= WIDE;
        let plot = Plot::new(title)
            .height((height - 2.0 * f32::from(theme::CARD_MARGIN) - 30.0).max(120.0))
            .default_x_bounds(start, right)
            .default_y_bounds(y_axis.low, y_axis.top())
            .custom_x_axes(vec![ticks::x_axis(if is_wide { "false positives" } else { "" }).formatter(
                move |mark, _| if ticks::has_number(&mark) { x_axis.text(mark.value) } else { String::new() },
            )])
            .custom_y_axes(vec![ticks::y_axis("true positive rate")])
            .x_grid_spacer(move |input: GridInput| x_marks(&x_axis, &input))
            .y_grid_spacer(|input| ticks::y_marks(&input))
            .label_formatter(|_| None)
            .allow_scroll(false)
            .allow_drag(false)
            .show_background(false)
            .grid_color(theme::GRID.now())
            .show_crosshair(false);
        let shown = plot.show(ui, |plot| {
            plot.set_plot_bounds_x(start..=right);
            plot.set_plot_bounds_y(y_axis.low..=y_axis.top());
        });
        let frame = shown.response.rect;
        let place = Place { transform: &shown.transform, x_axis, y_axis };
        paint(&ui.painter().with_clip_rect(frame), view, kind, &place);
        let readout = shown.response.hover_pos().and_then(|pointer| {
            view.model.nearest(kind, |fp, rate| place.on_screen(x_axis.place(fp), rate).distance(pointer), REACH)
        });
        if let Some(readout) = readout {
            paint_readout(ui, &place, &readout, frame);
            if let Some((key, score)) = readout.errors_from().filter(|_| shown.response.clicked()) {
                let (round, label) = (key.round, key.label.clone());
                view.commands.push(Command::Images(ImagesCommand::OfCurve { round, label, score }));
            }
            if let Some(score) = readout.review_from().filter(|_| shown.response.secondary_clicked()) {
                view.push(CurvesCommand::ReviewFrom(score));
            }
        }
    });
}

/// The plot's axes on the screen.
pub(super) struct Place<'a> {
    transform: &'a PlotTransform,
    pub x_axis: FalsePositiveAxis,
    y_axis: RateAxis,
}

impl Place<'_> {
    pub fn on_screen(&self, x: f64, rate: f64) -> Pos2 {
        self.transform.position_from_point(&PlotPoint::new(x, rate))
    }

    fn line(&self, curve: &PlotCurve) -> Vec<Pos2> {
        let mut line: Vec<Pos2> = Vec::new();
        for (x, rate) in self.y_axis.line(&self.x_axis.line(curve)) {
            let at = self.on_screen(x, rate);
            if line.last() != Some(&at) {
                line.push(at);
            }
        }
        line
    }

    /// Returns the position of a line's label.
    fn end(&self, last: Pos2) -> Pos2 {
        pos2(self.on_screen(self.x_axis.range().1, 1.0).x, last.y)
    }
}

/// A label at the end of a line.
pub(super) struct Name {
    pub at: Pos2,
    pub text: String,
    pub color: Color32,
}

/// Paints in order of importance: third-party curves, earlier evaluations, folds, the newest curves; then the labels.
fn paint(painter: &Painter, view: &CurvesView<'_>, kind: ScoreKind, place: &Place<'_>) {
    let mut names = Vec::new();
    let mut long_names = Vec::new();
    for published in view.model.published.iter().filter(|p| p.shown) {
        if let Some(last) = paint_others(painter, published, kind, place) {
            let color = color(published.style());
            long_names.push(Name { at: last, text: published.name.clone(), color });
        }
    }
    for line in view.model.lines(kind).iter().filter(|line| line.age == 0 || view.model.earlier_shown) {
        names.extend(paint_own(painter, line, place));
    }
    ring_threshold(painter, view, kind, place);
    let frame = painter.clip_rect();
    for name in apart(long_names, NAME_HEIGHT, frame) {
        let (at, anchor) = (pos2(place.end(name.at).x.min(name.at.x), name.at.y - 2.0), egui::Align2::RIGHT_BOTTOM);
        painter.text(at, anchor, name.text, FontId::proportional(11.0), name.color);
    }
    for name in apart(names, NAME_HEIGHT, frame) {
        let galley = painter.layout_no_wrap(name.text, FontId::proportional(12.0), name.color);
        // In a narrow plot a label is above the end of its line.
        let x = (name.at.x + 6.0).min(painter.clip_rect().right() - galley.size().x - 1.0);
        painter.galley(pos2(x, name.at.y - galley.size().y / 2.0), galley, name.color);
    }
}

/// Reference points have dots; an imported curve has a dot at its end. Returns the position of its last point.
fn paint_others(painter: &Painter, published: &Published, kind: ScoreKind, place: &Place<'_>) -> Option<Pos2> {
    let (curve, style) = (published.curve(kind), published.style());
    let line = place.line(curve);
    let (&last, color) = (line.last()?, color(style));
    paint_line(painter, &line, style, theme::faded(color, 0.6));
    if published.imported {
        paint_end(painter, last, place, style, color);
    } else {
        for point in curve.points.iter().filter(|p| p.false_positives <= place.x_axis.end) {
            let at = place.on_screen(place.x_axis.place(point.false_positives), point.rate);
            painter.circle_filled(at, 2.5, color);
        }
    }
    Some(last)
}

fn paint_own(painter: &Painter, line: &DrawnLine, place: &Place<'_>) -> Option<Name> {
    let points = place.line(&line.curve);
    let (&last, style) = (points.last()?, line.key.style());
    let strength = if line.age == 0 { 1.0 } else { (0.45 / line.age as f32).max(0.1) };
    let color = color(style);
    let style = CurveStyle { thin: style.thin || line.age > 0, ..style };
    paint_line(painter, &points, style, theme::faded(color, strength));
    if line.age > 0 {
        return None;
    }
    paint_end(painter, last, place, style, color);
    Some(Name { at: place.end(last), text: line.key.short(), color })
}

/// Marks the end of a curve that ends before the axis with a dot, and extends its last value with a faint line.
fn paint_end(painter: &Painter, last: Pos2, place: &Place<'_>, style: CurveStyle, color: Color32) {
    let end = place.end(last);
    if last.x + 0.5 < end.x {
        painter.circle_filled(last, 3.0, color);
        let style = CurveStyle { dash: KEPT_VALUE, thin: true, ..style };
        paint_line(painter, &[last, end], style, theme::faded(color, 0.7));
    }
}

/// Rings the point of the score threshold on each of the project's curves.
fn ring_threshold(painter: &Painter, view: &CurvesView<'_>, kind: ScoreKind, place: &Place<'_>) {
    for (key, curve) in view.model.shown() {
        let Some((point, discrete, continuous)) = curve.at_score(view.threshold) else { continue };
        let rate = if kind == ScoreKind::Discrete { discrete } else { continuous };
        let false_positives = point.false_positives as f64;
        if false_positives <= place.x_axis.end {
            let at = place.on_screen(place.x_axis.place(false_positives), rate);
            painter.circle_stroke(at, 6.0, Stroke::new(3.5, theme::HALO));
            painter.circle_stroke(at, 6.0, Stroke::new(2.0, color(key.style())));
        }
    }
}

pub(super) fn paint_line(painter: &Painter, line: &[Pos2], style: CurveStyle, color: Color32) {
    let stroke = Stroke::new(if style.thin { 1.2 } else { 2.2 }, color);
    let line: Vec<(f64, f64)> = line.iter().map(|at| (f64::from(at.x), f64::from(at.y))).collect();
    let shapes = strokes(&line, style.dash, 1.0).into_iter().map(|stroke_points| {
        Shape::line(stroke_points.into_iter().map(|(x, y)| pos2(x as f32, y as f32)).collect(), stroke)
    });
    painter.extend(shapes);
}

pub(super) fn color(style: CurveStyle) -> Color32 {
    match (style.colour, style.reference) {
        (Some(colour), _) => theme::series(colour),
        (None, Some(reference)) => theme::reference(reference),
        (None, None) => theme::WEAK.now(),
    }
}

/// Numbers of a linear axis that fit; for a logarithmic one powers of ten, and lines between them.
fn x_marks(axis: &FalsePositiveAxis, input: &GridInput) -> Vec<GridMark> {
    let (low, end) = axis.range();
    if !axis.logarithmic {
        // Counts are whole numbers.
        let is_shown = |mark: &GridMark| mark.value <= end && mark.value.fract() == 0.0;
        return ticks::x_marks(input).into_iter().filter(is_shown).collect();
    }
    let apart = ticks::decades_apart(input);
    let none = GridMark { value: low, step_size: 1.0 };
    let within = |mark: &GridMark| mark.value >= 0.0 && mark.value <= end;
    let of_decade = |decade: i32| (1..10).map(move |digit| (decade, digit));
    let marks = (0..=end.floor() as i32).flat_map(of_decade).map(|(decade, digit)| {
        let step_size = if digit == 1 && decade % apart == 0 { f64::from(apart) } else { ticks::LINE };
        GridMark { value: f64::from(decade) + f64::from(digit).log10(), step_size }
    });
    std::iter::once(none).chain(marks.filter(within)).collect()
}

/// Positions labels at the ends of lines, highest first, each at least `height` below the previous one, and inside `frame` if there is
/// room.
pub(super) fn apart(mut names: Vec<Name>, height: f32, frame: Rect) -> Vec<Name> {
    names.sort_by(|a, b| a.at.y.total_cmp(&b.at.y));
    let places: Vec<f64> = names.iter().map(|name| f64::from(name.at.y)).collect();
    let places = spread_apart(&places, f64::from(height));
    names.iter_mut().zip(places).for_each(|(name, y)| name.at.y = y as f32);
    let mut lowest = frame.bottom() - height / 2.0;
    for name in names.iter_mut().rev() {
        name.at.y = name.at.y.min(lowest);
        lowest = name.at.y - height;
    }
    let mut highest = frame.top() + height / 2.0;
    for name in &mut names {
        name.at.y = name.at.y.max(highest);
        highest = name.at.y + height;
    }
    names
}

/// Draws a sample of the line style next to its name.
pub(super) fn paint_sample(painter: &Painter, rect: Rect, style: CurveStyle) {
    paint_line(painter, &[rect.left_center(), rect.right_center()], style, color(style));
}

fn paint_readout(ui: &Ui, place: &Place<'_>, readout: &Readout, frame: Rect) {
    let at = place.on_screen(place.x_axis.place(readout.point.false_positives), readout.point.rate);
    paint_box(ui, at, color(readout.style), readout.text(), frame);
}

/// Draws a ring around the point `at`, and `text` in a box next to it.
pub(super) fn paint_box(ui: &Ui, at: Pos2, ring: Color32, text: String, frame: Rect) {
    let painter = ui.painter().with_clip_rect(frame);
    painter.circle(at, 5.0, ring, Stroke::new(1.5, theme::STRONG));
    let galley = painter.layout_no_wrap(text, FontId::proportional(12.5), theme::TEXT.now());
    let size = galley.size() + vec2(16.0, 12.0);
    let x = if at.x + size.x + 14.0 < frame.right() { at.x + 12.0 } else { at.x - size.x - 12.0 };
    let x = x.max(frame.left() + 4.0);
    let y = (at.y + 10.0).min(frame.bottom() - size.y - 4.0);
    let rect = Rect::from_min_size(pos2(x, y), size);
    painter.rect(rect, 6.0, theme::CARD, Stroke::new(1.0, theme::BORDER), egui::StrokeKind::Inside);
    painter.galley(rect.min + vec2(8.0, 6.0), galley, theme::TEXT.now());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_a_mark_for_none_and_for_each_power_of_ten() {
        let written = |axis: FalsePositiveAxis, points: f64| -> Vec<String> {
            let ((low, end), spacing) = (axis.range(), 8.0);
            let input = GridInput { bounds: (low, end), base_step_size: (end - low) / points * spacing };
            let marks = x_marks(&axis, &input).into_iter().filter(ticks::has_number);
            marks.map(|mark| axis.text(mark.value)).collect()
        };
        let axis = FalsePositiveAxis { logarithmic: true, end: 2000.0 };
        assert_eq!(written(axis, 265.0), ["0", "1", "10", "100", "1000"]);
        // Where they would touch, every other one.
        assert_eq!(written(axis, 140.0), ["0", "1", "100"]);
        let linear = FalsePositiveAxis { logarithmic: false, ..axis };
        assert_eq!(written(linear, 265.0), ["0", "500", "1000", "1500", "2000"]);
        assert_eq!(written(FalsePositiveAxis { end: 2.0, ..linear }, 265.0), ["0", "1", "2"]);
    }

    #[test]
    fn names_of_lines_that_end_together_stand_below_each_other() {
        let name = |text: &str, y| Name { at: pos2(1.0, y), text: text.to_owned(), color: theme::TEXT.now() };
        let frame = Rect::from_min_max(pos2(0.0, 0.0), pos2(100.0, 100.0));
        let placed = apart(vec![name("b", 10.0), name("a", 9.0), name("c", 80.0)], 5.0, frame);
        let placed: Vec<_> = placed.iter().map(|name| (name.text.as_str(), name.at.y)).collect();
        assert_eq!(placed, [("a", 7.0), ("b", 12.0), ("c", 80.0)]);
        // At the frame's edges they are pushed inwards.
        let placed = apart(vec![name("a", 0.0), name("b", 1.0), name("c", 99.0), name("d", 100.0)], 5.0, frame);
        let placed: Vec<f32> = placed.iter().map(|name| name.at.y).collect();
        assert_eq!(placed, [2.5, 7.5, 92.5, 97.5]);
    }
}
