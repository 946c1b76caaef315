//! Figures for papers: both rates side by side as SVG or PNG, with legend and the font inside the file. Must not know the window.

use std::sync::LazyLock;

use base64::Engine as _;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use plotters::style::register_font;

use super::palette::{CurveStyle, PUBLISHED, Rgb};
use super::plot_curve::{PlotCurve, ScoreKind};

/// A line of the figure.
#[derive(Debug, Clone)]
pub struct FigureCurve {
    pub label: String,
    pub style: CurveStyle,
    pub discrete: PlotCurve,
    pub continuous: PlotCurve,
}

/// Markers behind the curves.
#[derive(Debug, Clone)]
pub struct FigureMarkers {
    pub label: String,
    pub discrete: PlotCurve,
    pub continuous: PlotCurve,
}

#[derive(Debug, Clone)]
pub struct Figure {
    pub curves: Vec<FigureCurve>,
    /// Published reference points.
    pub published: Vec<FigureMarkers>,
    pub logarithmic: bool,
    /// The largest false positives shown.
    pub x_end: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FigureFormat {
    Svg,
    Png,
}

impl FigureFormat {
    pub fn extension(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the figure cannot be drawn: {0}")]
pub struct FigureError(String);

fn failed(e: impl std::fmt::Display) -> FigureError {
    FigureError(e.to_string())
}

const FONT: &str = "Quarry Sans";
const WIDTH: u32 = 1200;
const PANEL_HEIGHT: u32 = 520;
const LEGEND_ROW: u32 = 22;
const LEGEND_COLUMNS: u32 = 3;
/// PNG pixels for each point of the SVG.
const PNG_SCALE: u32 = 2;
/// More points than this in a line cannot be told apart.
const MOST_POINTS: usize = 2000;

static FONT_REGISTERED: LazyLock<bool> =
    LazyLock::new(|| register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT).is_ok());

impl Figure {
    fn height(&self) -> u32 {
        let rows = (self.curves.len() + self.published.len()) as u32;
        PANEL_HEIGHT + 16 + rows.div_ceil(LEGEND_COLUMNS) * LEGEND_ROW
    }

    /// SVG text with the font embedded.
    pub fn svg(&self) -> Result<String, FigureError> {
        check_font()?;
        let mut text = String::new();
        {
            let root = SVGBackend::with_string(&mut text, (WIDTH, self.height())).into_drawing_area();
            self.draw(&root, 1)?;
            root.present().map_err(failed)?;
        }
        let font = base64::engine::general_purpose::STANDARD.encode(epaint_default_fonts::UBUNTU_LIGHT);
        let style = format!(
            "<defs><style>@font-face{{font-family:\"{FONT}\";src:url(data:font/ttf;base64,{font})}}</style></defs>\n"
        );
        let after_tag = text.find("<svg").and_then(|at| text[at..].find('>').map(|end| at + end + 1));
        let at = after_tag.ok_or_else(|| failed("no <svg> element"))?;
        text.insert_str(at, &style);
        Ok(text)
    }

    /// PNG bytes at twice the SVG's size.
    pub fn png(&self) -> Result<Vec<u8>, FigureError> {
        check_font()?;
        let (width, height) = (WIDTH * PNG_SCALE, self.height() * PNG_SCALE);
        let mut pixels = vec![255; width as usize * height as usize * 3];
        {
            let root = BitMapBackend::with_buffer(&mut pixels, (width, height)).into_drawing_area();
            self.draw(&root, PNG_SCALE)?;
            root.present().map_err(failed)?;
        }
        let mut png = std::io::Cursor::new(Vec::new());
        let image = image::RgbImage::from_raw(width, height, pixels).ok_or_else(|| failed("wrong size"))?;
        image.write_to(&mut png, image::ImageFormat::Png).map_err(failed)?;
        Ok(png.into_inner())
    }

    fn draw<B: DrawingBackend>(&self, root: &DrawingArea<B, Shift>, scale: u32) -> Result<(), FigureError> {
        root.fill(&WHITE).map_err(failed)?;
        let (panels, legend) = root.split_vertically(PANEL_HEIGHT * scale);
        for (panel, kind) in panels.split_evenly((1, 2)).iter().zip(ScoreKind::ALL) {
            if self.logarithmic {
                self.draw_panel(panel, kind, scale, (1.0..self.x_end.max(10.0)).log_scale())?;
            } else {
                self.draw_panel(panel, kind, scale, 0.0..self.x_end.max(1.0))?;
            }
        }
        self.draw_legend(&legend, scale)
    }

    fn draw_panel<B: DrawingBackend, X>(
        &self,
        area: &DrawingArea<B, Shift>,
        kind: ScoreKind,
        scale: u32,
        x: X,
    ) -> Result<(), FigureError>
    where
        X: AsRangedCoord<Value = f64>,
        X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let text = |size: u32| (FONT, size * scale).into_font();
        let mut chart = ChartBuilder::on(area)
            .caption(kind.title(), text(20))
            .margin(12 * scale)
            .margin_right(40 * scale)
            .x_label_area_size(44 * scale)
            .y_label_area_size(52 * scale)
            .build_cartesian_2d(x, 0.0..1.0)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc("False positives")
            .y_desc("True positive rate")
            .x_labels(8)
            .y_labels(11)
            .x_label_formatter(&|x| format!("{x:.0}"))
            .y_label_formatter(&|y| format!("{y:.1}"))
            .label_style(text(14))
            .axis_desc_style(text(15))
            .light_line_style(WHITE)
            .bold_line_style(RGBColor(225, 225, 225))
            .draw()
            .map_err(failed)?;
        let floor = if self.logarithmic { 1.0 } else { 0.0 };
        let mut ends = Vec::new();
        for (k, markers) in self.published.iter().enumerate() {
            let curve = pick(kind, &markers.discrete, &markers.continuous);
            let within = curve.points.iter().filter(|p| p.false_positives <= self.x_end);
            let points: Vec<(f64, f64)> = within.map(|p| (p.false_positives.max(floor), p.rate)).collect();
            let (Some(&last), faint) = (points.last(), rgb(PUBLISHED).mix(0.5)) else { continue };
            let dots = points.iter().map(|p| Circle::new(*p, 2 * scale, rgb(PUBLISHED).filled()));
            chart.draw_series(dots).map_err(failed)?;
            chart.draw_series([PathElement::new(points.clone(), faint.stroke_width(scale))]).map_err(failed)?;
            ends.push((chart.backend_coord(&last), marker_letter(k)));
        }
        draw_letters(area, &mut ends, scale)?;
        for curve in &self.curves {
            let thin =
                pick(kind, &curve.discrete, &curve.continuous).decimated(MOST_POINTS, self.logarithmic, self.x_end);
            let mut points: Vec<(f64, f64)> =
                thin.points.iter().map(|p| (p.false_positives.max(floor), p.rate)).collect();
            // A curve that ends earlier keeps its last value.
            points.extend(points.last().filter(|p| p.0 < self.x_end).map(|p| (self.x_end, p.1)));
            points.retain(|p| p.0 <= self.x_end);
            for stroke in strokes(&points, curve.style.dash, |p| chart.backend_coord(p), scale) {
                let line = PathElement::new(stroke, rgb(curve.style.colour).stroke_width(2 * scale));
                chart.draw_series([line]).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn draw_legend<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, scale: u32) -> Result<(), FigureError> {
        let text = (FONT, 14 * scale).into_font();
        let lines = self.curves.iter().map(|c| (Some(c.style), c.label.clone()));
        let markers =
            self.published.iter().enumerate().map(|(k, m)| (None, format!("{}  {}", marker_letter(k), m.label)));
        for (k, (style, label)) in lines.chain(markers).enumerate() {
            let (column, row) = (k as u32 % LEGEND_COLUMNS, k as u32 / LEGEND_COLUMNS);
            let x = ((60 + column * (WIDTH - 80) / LEGEND_COLUMNS) * scale) as i32;
            let y = ((8 + row * LEGEND_ROW) * scale) as i32;
            let indent = if style.is_some() { (46 * scale) as i32 } else { 0 };
            if let Some(style) = style {
                let (a, b) = ((x, y + 8 * scale as i32), (x + 38 * scale as i32, y + 8 * scale as i32));
                for stroke in strokes(&[a, b], style.dash, |p| *p, scale) {
                    area.draw(&PathElement::new(stroke, rgb(style.colour).stroke_width(2 * scale))).map_err(failed)?;
                }
            }
            area.draw(&Text::new(label, (x + indent, y), text.color(&BLACK))).map_err(failed)?;
        }
        Ok(())
    }
}

/// Names published curves at their right ends (in pixels of the whole figure), spread so that no letter covers another.
fn draw_letters<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    ends: &mut [((i32, i32), String)],
    scale: u32,
) -> Result<(), FigureError> {
    let (base_x, base_y) = area.get_base_pixel();
    let pixels = |points: i32| points * scale as i32;
    let text = (FONT, 12 * scale).into_font();
    ends.sort_by_key(|(at, _)| at.1);
    let mut next_free = i32::MIN;
    for ((x, y), letter) in ends {
        let letter_y = (*y).max(next_free);
        next_free = letter_y + pixels(11);
        let (x, y, letter_y) = (*x - base_x, *y - base_y, letter_y - base_y);
        let leader = vec![(x + pixels(3), y), (x + pixels(14), letter_y)];
        area.draw(&PathElement::new(leader, rgb(PUBLISHED).mix(0.5).stroke_width(scale))).map_err(failed)?;
        let at = (x + pixels(17), letter_y - pixels(7));
        area.draw(&Text::new(letter.clone(), at, text.color(&RGBColor(70, 70, 70)))).map_err(failed)?;
    }
    Ok(())
}

fn check_font() -> Result<(), FigureError> {
    if *FONT_REGISTERED { Ok(()) } else { Err(failed("the built-in font cannot be read")) }
}

fn pick<'a>(kind: ScoreKind, discrete: &'a PlotCurve, continuous: &'a PlotCurve) -> &'a PlotCurve {
    match kind {
        ScoreKind::Discrete => discrete,
        ScoreKind::Continuous => continuous,
    }
}

fn rgb([r, g, b]: Rgb) -> RGBColor {
    RGBColor(r, g, b)
}

/// a, b, c ... of a published method.
fn marker_letter(k: usize) -> String {
    char::from(b'a' + (k % 26) as u8).to_string()
}

/// Cuts a line into strokes by its dash pattern, measured in pixels. Points are interpolated by the pixels they lie at: the
/// nearest given point ends a stroke, which is exact enough for curves of many points.
fn strokes<P: Clone + Lerp>(points: &[P], dash: &[u32], pixel: impl Fn(&P) -> (i32, i32), scale: u32) -> Vec<Vec<P>> {
    if dash.is_empty() || points.len() < 2 {
        return vec![points.to_vec()];
    }
    let pattern: Vec<f64> = dash.iter().map(|d| f64::from(d * scale)).collect();
    let (mut part, mut left) = (0, pattern[0]);
    let mut strokes = vec![vec![points[0].clone()]];
    for pair in points.windows(2) {
        let (a, b) = (pixel(&pair[0]), pixel(&pair[1]));
        let length = f64::from(b.0 - a.0).hypot(f64::from(b.1 - a.1));
        let mut done = 0.0;
        while left < length - done {
            done += left;
            let at = pair[0].lerp(&pair[1], done / length);
            if part % 2 == 0 {
                if let Some(stroke) = strokes.last_mut() {
                    stroke.push(at);
                }
            } else {
                strokes.push(vec![at]);
            }
            part = (part + 1) % pattern.len();
            left = pattern[part];
        }
        left -= length - done;
        if part % 2 == 0
            && let Some(stroke) = strokes.last_mut()
        {
            stroke.push(pair[1].clone());
        }
    }
    strokes
}

trait Lerp {
    fn lerp(&self, other: &Self, t: f64) -> Self;
}

impl Lerp for (f64, f64) {
    fn lerp(&self, other: &Self, t: f64) -> Self {
        (self.0 + (other.0 - self.0) * t, self.1 + (other.1 - self.1) * t)
    }
}

impl Lerp for (i32, i32) {
    fn lerp(&self, other: &Self, t: f64) -> Self {
        let at = |a: i32, b: i32| a + (f64::from(b - a) * t).round() as i32;
        (at(self.0, other.0), at(self.1, other.1))
    }
}
