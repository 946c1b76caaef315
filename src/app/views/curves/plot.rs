//! One ROC plot: lines by round (colour) and output (style), a readout under the pointer, a click that filters the review.

use egui::{Color32, FontId, Painter, Pos2, Rect, RichText, Shape, Stroke, Ui, pos2, vec2};
use egui_plot::{GridInput, GridMark, Line, LineStyle, Plot, PlotPoint, PlotPoints, PlotTransform, Text};

use super::{CurveKey, CurvesCommand, CurvesView, DrawnLine, Reading, Score};
use crate::app::theme;

/// How near the pointer must be to a point, in points of the screen.
const REACH: f32 = 28.0;
/// On a logarithmic axis, no false positive stands here.
const NONE_AT: f64 = 0.5;
/// A published curve's name with the room around it, in points of the screen.
const NAME_HEIGHT: f64 = 16.0;
/// A little above 1, so that a line at a rate of 1 and its axis mark are seen whole.
const TOP: f64 = 1.02;

pub(super) fn show(ui: &mut Ui, view: &mut CurvesView<'_>, score: Score, height: f32) {
    theme::card().show(ui, |ui| {
        ui.take_available_width();
        let title = match score {
            Score::Discrete => "Discrete score",
            Score::Continuous => "Continuous score",
        };
        ui.label(RichText::new(title).strong().color(theme::STRONG));
        let log = view.model.log_x;
        let x_max = x_of(view.model.x_max as f64, log);
        let plot = Plot::new(title)
            .height((height - 2.0 * f32::from(theme::CARD_MARGIN) - 30.0).max(120.0))
            .default_x_bounds(x_of(0.0, log), x_max)
            .default_y_bounds(0.0, TOP)
            .x_axis_label("false positives")
            .y_axis_label("true positive rate")
            .x_axis_formatter(move |mark, _| x_text(mark.value, log))
            .label_formatter(|_| None)
            .allow_scroll(false)
            .allow_drag(false)
            .show_background(false)
            .grid_color(theme::GRID)
            .show_crosshair(false);
        let plot = if log { plot.x_grid_spacer(|input: GridInput| log_marks(input.bounds)) } else { plot };
        let shown = plot.show(ui, |plot| {
            plot.set_plot_bounds_x(x_of(0.0, log)..=x_max);
            plot.set_plot_bounds_y(0.0..=TOP);
            let mut names = Vec::new();
            for published in view.model.published.iter().filter(|p| p.shown) {
                let curve = if score == Score::Discrete { &published.discrete } else { &published.continuous };
                let points: Vec<[f64; 2]> =
                    curve.points.iter().map(|point| [x_of(point.false_positives, log), point.rate]).collect();
                names.extend(points.iter().rfind(|point| point[0] <= x_max).map(|end| (*end, published.name.as_str())));
                let line = Line::new(published.name.clone(), PlotPoints::new(points));
                let line = line.color(theme::faded(theme::WEAK, 0.6)).width(1.2);
                // A ROC file rises many times at one number of false positives: a step, not a band.
                plot.line(line.allow_hover(false).allow_band(false));
            }
            for (at, name) in apart(names, NAME_HEIGHT * TOP / f64::from(height)) {
                let text = RichText::new(name).size(11.0);
                let text = Text::new(name.to_owned(), PlotPoint::new(at[0], at[1]), text);
                plot.text(text.color(theme::WEAK).anchor(egui::Align2::RIGHT_BOTTOM));
            }
            for line in view.model.lines(score) {
                if line.age == 0 || view.model.earlier_shown {
                    plot.line(drawn(line, log));
                    if let Some(name) = fold_name(line, log, x_max) {
                        plot.text(name);
                    }
                }
            }
        });
        let pointer = shown.response.hover_pos();
        let reading = pointer.and_then(|pointer| nearest(view, score, &shown.transform, pointer));
        if let Some((line, reading)) = reading {
            readout(ui, &shown.transform, &line, &reading, log, shown.response.rect);
            if shown.response.clicked() && reading.threshold != f64::MAX {
                view.push(CurvesCommand::ReviewFrom(reading.threshold));
            }
        }
    });
}

/// The place of a number of false positives on the axis.
fn x_of(false_positives: f64, log: bool) -> f64 {
    if log { false_positives.max(NONE_AT).log10() } else { false_positives }
}

fn x_text(value: f64, log: bool) -> String {
    let count = if log { 10f64.powf(value) } else { value };
    if count < 0.75 { "0".to_owned() } else { format!("{count:.0}") }
}

fn log_marks((low, high): (f64, f64)) -> Vec<GridMark> {
    let mut marks = vec![GridMark { value: NONE_AT.log10(), step_size: 1.0 }];
    for decade in low.floor() as i32..=high.ceil() as i32 {
        for digit in 1..10 {
            let value = f64::from(decade) + f64::from(digit).log10();
            let step_size = if digit == 1 { 1.0 } else { 0.1 };
            if 0.0 <= value && value <= high {
                marks.push(GridMark { value, step_size });
            }
        }
    }
    marks
}

fn color(key: &CurveKey) -> Color32 {
    theme::series(key.round.saturating_sub(1) as usize)
}

/// The figures' dashes, as near as the plot has them.
fn style(key: &CurveKey) -> LineStyle {
    match key.number() % 4 {
        0 => LineStyle::Solid,
        1 => LineStyle::Dashed { length: 8.0 },
        2 => LineStyle::Dotted { spacing: 6.0 },
        _ => LineStyle::Dashed { length: 18.0 },
    }
}

fn drawn(line: &DrawnLine, log: bool) -> Line<'static> {
    let points = line.points.iter().map(|point| [x_of(point.false_positives as f64, log), point.rate]);
    let points = without_middles(points);
    let strength = if line.age == 0 { 1.0 } else { (0.45 / line.age as f32).max(0.1) };
    Line::new(format!("{} {}", line.key.text(), line.step), PlotPoints::new(points))
        .color(theme::faded(color(&line.key), strength))
        .width(if line.age == 0 && line.key.fold().is_none() { 2.2 } else { 1.2 })
        .style(style(&line.key))
        .allow_hover(false)
        .allow_band(false)
}

/// The same line with fewer points: those in the middle of a level or upright stretch are left out, since dashes that start anew
/// at each of hundreds of points are no dashes.
fn without_middles(points: impl Iterator<Item = [f64; 2]>) -> Vec<[f64; 2]> {
    let mut kept: Vec<[f64; 2]> = Vec::new();
    for point in points {
        if let [.., before, last] = kept[..]
            && (0..2).any(|axis| before[axis] == last[axis] && last[axis] == point[axis])
        {
            kept.pop();
        }
        kept.push(point);
    }
    kept
}

/// Names at the ends of lines, highest first, each at least `height` below the one before.
fn apart(mut names: Vec<([f64; 2], &str)>, height: f64) -> Vec<([f64; 2], &str)> {
    names.sort_by(|(a, _), (b, _)| b[1].total_cmp(&a[1]));
    let mut highest = f64::INFINITY;
    for (at, _) in &mut names {
        at[1] = at[1].min(highest);
        highest = at[1] - height;
    }
    names
}

/// A fold's number at the end of its newest line: it tells the folds apart without colour.
fn fold_name(line: &DrawnLine, log: bool, x_max: f64) -> Option<Text> {
    let (fold, color) = (line.key.fold()?, color(&line.key));
    let last = line.points.iter().rev().find(|point| x_of(point.false_positives as f64, log) <= x_max)?;
    let at = PlotPoint::new(x_of(last.false_positives as f64, log), last.rate);
    let text = RichText::new(format!(" {fold}")).size(12.0);
    (line.age == 0).then(|| Text::new(line.key.text(), at, text).color(color).anchor(egui::Align2::LEFT_CENTER))
}

/// The line's look beside its name.
pub(super) fn paint_sample(painter: &Painter, rect: Rect, key: &CurveKey) {
    let ends = [rect.left_center(), rect.right_center()];
    let stroke = Stroke::new(2.4, color(key));
    match style(key) {
        LineStyle::Solid => {
            painter.line_segment(ends, stroke);
        }
        LineStyle::Dashed { length } => painter.extend(Shape::dashed_line(&ends, stroke, length, length * 0.6)),
        LineStyle::Dotted { spacing } => painter.extend(Shape::dotted_line(&ends, stroke.color, spacing, 1.6)),
    }
}

fn nearest(
    view: &CurvesView<'_>,
    score: Score,
    transform: &PlotTransform,
    pointer: Pos2,
) -> Option<(DrawnLine, Reading)> {
    let log = view.model.log_x;
    let distance = |reading: &Reading| position(transform, reading, log).distance(pointer);
    view.model.nearest(score, distance, REACH).map(|(line, reading)| (line.clone(), reading))
}

fn position(transform: &PlotTransform, reading: &Reading, log: bool) -> Pos2 {
    transform.position_from_point(&PlotPoint::new(x_of(reading.false_positives as f64, log), reading.rate))
}

fn readout(ui: &Ui, transform: &PlotTransform, line: &DrawnLine, reading: &Reading, log: bool, frame: Rect) {
    let at = position(transform, reading, log);
    let painter = ui.painter().with_clip_rect(frame);
    painter.circle(at, 5.0, color(&line.key), Stroke::new(1.5, theme::STRONG));
    let score = if reading.threshold == f64::MAX {
        "no detection".to_owned()
    } else {
        format!("score from {:.3}\nClick to review from this score", reading.threshold)
    };
    let (name, count) = (line.key.text(), reading.false_positives);
    let text = format!("{name}\n{count} false positives\nrate {:.4}\n{score}", reading.rate);
    let galley = painter.layout_no_wrap(text, FontId::proportional(12.5), theme::TEXT);
    let size = galley.size() + vec2(16.0, 12.0);
    let x = if at.x + size.x + 14.0 < frame.right() { at.x + 12.0 } else { at.x - size.x - 12.0 };
    let y = (at.y + 10.0).min(frame.bottom() - size.y - 4.0);
    let rect = Rect::from_min_size(pos2(x, y), size);
    painter.rect(rect, 6.0, theme::CARD, Stroke::new(1.0, theme::BORDER), egui::StrokeKind::Inside);
    painter.galley(rect.min + vec2(8.0, 6.0), galley, theme::TEXT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logarithmic_axis_has_room_for_none() {
        assert_eq!(
            (x_text(x_of(0.0, true), true), x_text(x_of(100.0, true), true)),
            ("0".to_owned(), "100".to_owned())
        );
        assert_eq!(x_text(x_of(250.0, false), false), "250");
        let marks = log_marks((NONE_AT.log10(), 3.3));
        let tens = marks.iter().filter(|mark| mark.step_size == 1.0).count();
        assert_eq!(tens, 5, "0, 1, 10, 100, 1000");
    }

    #[test]
    fn names_of_lines_that_end_together_stand_below_each_other() {
        let names = vec![([1.0, 0.90], "b"), ([2.0, 0.91], "a"), ([1.0, 0.3], "c")];
        let placed = apart(names, 0.05);
        assert_eq!(placed.iter().map(|(_, name)| *name).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(placed.iter().map(|(at, _)| at[1]).collect::<Vec<_>>(), [0.91, 0.86, 0.3]);
    }

    #[test]
    fn a_line_keeps_its_corners_and_loses_the_points_between() {
        let points = [[0.0, 0.1], [0.0, 0.2], [0.0, 0.5], [1.0, 0.5], [2.0, 0.5], [3.0, 0.5], [4.0, 0.6], [5.0, 0.7]];
        let corners = [[0.0, 0.1], [0.0, 0.5], [3.0, 0.5], [4.0, 0.6], [5.0, 0.7]];
        assert_eq!(without_middles(points.into_iter()), corners);
        assert_eq!(without_middles([[1.0, 0.5]].into_iter()), [[1.0, 0.5]]);
    }
}
