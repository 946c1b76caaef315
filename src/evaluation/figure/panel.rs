//! One of a figure's two panels: axes, curves, labels at their ends.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::prelude::*;

use super::{FONT, Figure, FigureCurve, FigureError, draw_line, failed, marker_letter, pick, rgb};
use crate::evaluation::axes::{FalsePositiveAxis, RateAxis, spread_apart};
use crate::evaluation::palette::{CurveStyle, PUBLISHED, Rgb};
use crate::evaluation::plot_curve::{PlotCurve, ScoreKind};

/// Maximum number of points per curve; more would be indistinguishable.
const MOST_POINTS: usize = 2000;
/// Dash pattern for the extension of a curve that ends before the axis at its last value.
const KEPT_VALUE: &[u32] = &[1, 4];

/// A curve's end: position, label, colour.
type End = ((i32, i32), String, Rgb);

pub(super) fn draw_panel<B: DrawingBackend>(
    figure: &Figure,
    area: &DrawingArea<B, Shift>,
    kind: ScoreKind,
    scale: u32,
) -> Result<(), FigureError> {
    let (x_axis, y_axis) = (figure.axis(), rate_axis(figure, kind));
    let text = |size: u32| (FONT, size * scale).into_font();
    let ((start, end), top) = (x_axis.range(), y_axis.top());
    let mut chart = ChartBuilder::on(area)
        .caption(kind.title(), text(20))
        .margin(12 * scale)
        .margin_right(62 * scale)
        .x_label_area_size(44 * scale)
        .y_label_area_size(56 * scale)
        .build_cartesian_2d(
            Marked { range: start..end, marks: x_axis.marks() },
            Marked { range: y_axis.low..top, marks: y_axis.marks() },
        )
        .map_err(failed)?;
    chart
        .configure_mesh()
        .x_desc("False positives")
        .y_desc("True positive rate")
        .x_label_formatter(&|place| x_axis.text(*place))
        .y_label_formatter(&|rate| y_axis.text(*rate))
        .label_style(text(14))
        .axis_desc_style(text(15))
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(225, 225, 225))
        .draw()
        .map_err(failed)?;
    let (base_x, base_y) = area.get_base_pixel();
    let pixel = |at: (f64, f64)| {
        let (x, y) = chart.backend_coord(&at);
        (x - base_x, y - base_y)
    };
    let mut panel = Panel { area, scale, x_axis, y_axis, pixel, ends: Vec::new() };
    for (k, markers) in figure.published.iter().enumerate() {
        panel.published(pick(kind, &markers.discrete, &markers.continuous), marker_letter(k))?;
    }
    let of = |behind: bool| figure.curves.iter().filter(move |c| c.behind == behind);
    for curve in of(true).chain(of(false)) {
        panel.curve(curve, pick(kind, &curve.discrete, &curve.continuous))?;
    }
    panel.letters()
}

/// A linear axis with tick marks at given positions.
struct Marked {
    range: Range<f64>,
    marks: Vec<f64>,
}

impl Ranged for Marked {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let part = (value - self.range.start) / (self.range.end - self.range.start);
        from + (part * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.marks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

fn rate_axis(figure: &Figure, kind: ScoreKind) -> RateAxis {
    if figure.from_zero {
        return RateAxis::FROM_ZERO;
    }
    let own = figure.curves.iter().map(|c| pick(kind, &c.discrete, &c.continuous));
    RateAxis::fitting(own.chain(figure.published.iter().map(|p| pick(kind, &p.discrete, &p.continuous))))
}

struct Panel<'a, B: DrawingBackend, F: Fn((f64, f64)) -> (i32, i32)> {
    area: &'a DrawingArea<B, Shift>,
    scale: u32,
    x_axis: FalsePositiveAxis,
    y_axis: RateAxis,
    /// Maps position and rate to pixels of `area`.
    pixel: F,
    ends: Vec<End>,
}

impl<B: DrawingBackend, F: Fn((f64, f64)) -> (i32, i32)> Panel<'_, B, F> {
    /// Draws reference points with a faint line through them.
    fn published(&mut self, curve: &PlotCurve, letter: String) -> Result<(), FigureError> {
        let pixels = self.pixels(&self.y_axis.line(&self.x_axis.line(curve)));
        let Some(&last) = pixels.last() else { return Ok(()) };
        let faint = rgb(PUBLISHED).mix(0.5).stroke_width(self.scale);
        self.area.draw(&PathElement::new(pixels, faint)).map_err(failed)?;
        for point in curve.points.iter().filter(|p| p.false_positives <= self.x_axis.end) {
            let at = (self.pixel)((self.x_axis.place(point.false_positives), point.rate));
            self.dot(at, 2, PUBLISHED)?;
        }
        self.ends.push((last, letter, PUBLISHED));
        Ok(())
    }

    /// Draws a curve. If it ends before the axis, a dot marks the end and a faint line extends its last value.
    fn curve(&mut self, curve: &FigureCurve, points: &PlotCurve) -> Result<(), FigureError> {
        let axis = self.x_axis;
        let line = self.y_axis.line(&axis.line(&points.decimated(MOST_POINTS, axis.logarithmic, axis.end)));
        let Some(&(_, rate)) = line.last() else { return Ok(()) };
        let pixels = self.pixels(&line);
        draw_line(self.area, &pixels, curve.style, self.scale)?;
        let last = pixels[pixels.len() - 1];
        let end = (self.pixel)((axis.range().1, rate));
        if axis.ends_early(&line) {
            self.dot(last, 3, curve.style.rgb())?;
            draw_line(self.area, &[last, end], CurveStyle { dash: KEPT_VALUE, thin: true, ..curve.style }, self.scale)?;
        }
        if !curve.short.is_empty() {
            self.ends.push((end, curve.short.clone(), curve.style.rgb()));
        }
        Ok(())
    }

    fn pixels(&self, line: &[(f64, f64)]) -> Vec<(i32, i32)> {
        let mut pixels: Vec<(i32, i32)> = line.iter().map(|at| (self.pixel)(*at)).collect();
        pixels.dedup();
        pixels
    }

    fn dot(&self, at: (i32, i32), radius: u32, colour: Rgb) -> Result<(), FigureError> {
        self.area.draw(&Circle::new(at, radius * self.scale, rgb(colour).filled())).map_err(failed)
    }

    /// Labels the curves at their ends, spread so that labels do not overlap.
    fn letters(mut self) -> Result<(), FigureError> {
        let points = |points: i32| points * self.scale as i32;
        let text = (FONT, 12 * self.scale).into_font();
        self.ends.sort_by_key(|(at, ..)| at.1);
        let places: Vec<f64> = self.ends.iter().map(|(at, ..)| f64::from(at.1)).collect();
        let places = spread_apart(&places, f64::from(points(11)));
        for (((x, y), letters, colour), letters_y) in self.ends.iter().zip(places) {
            let letters_y = letters_y.round() as i32;
            let leader = vec![(x + points(3), *y), (x + points(14), letters_y)];
            let faint = rgb(*colour).mix(0.5).stroke_width(self.scale);
            self.area.draw(&PathElement::new(leader, faint)).map_err(failed)?;
            let at = (x + points(17), letters_y - points(7));
            let ink = if *colour == PUBLISHED { RGBColor(70, 70, 70) } else { rgb(*colour) };
            self.area.draw(&Text::new(letters.clone(), at, text.color(&ink))).map_err(failed)?;
        }
        Ok(())
    }
}
