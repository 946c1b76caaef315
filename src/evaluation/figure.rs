//! Figures for papers: both rates side by side as SVG or PNG, with the legend and an embedded font.

mod panel;

use std::sync::LazyLock;

use base64::Engine as _;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;

use super::axes::FalsePositiveAxis;
use super::palette::{CurveStyle, Rgb, strokes};
use super::plot_curve::{PlotCurve, ScoreKind};
use panel::draw_panel;

/// A curve of the figure.
#[derive(Debug, Clone)]
pub struct FigureCurve {
    pub label: String,
    /// A short label at the curve's end, which identifies it without colour.
    pub short: String,
    pub style: CurveStyle,
    /// A third-party curve: drawn behind the user's curves and listed after them in the legend.
    pub behind: bool,
    pub discrete: PlotCurve,
    pub continuous: PlotCurve,
}

/// Markers drawn behind the curves.
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
    /// The largest false positive count shown.
    pub x_end: f64,
    /// Start the rate axis at 0 instead of a round number below the lowest curve.
    pub from_zero: bool,
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
/// PNG pixels per SVG point.
const PNG_SCALE: u32 = 2;
static FONT_REGISTERED: LazyLock<bool> =
    LazyLock::new(|| register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT).is_ok());

impl Figure {
    fn height(&self) -> u32 {
        let rows = (self.curves.len() + self.published.len()) as u32;
        PANEL_HEIGHT + 16 + rows.div_ceil(LEGEND_COLUMNS) * LEGEND_ROW
    }

    /// Returns SVG text with the font embedded.
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

    /// Returns PNG bytes at twice the SVG's size.
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

    fn axis(&self) -> FalsePositiveAxis {
        FalsePositiveAxis { logarithmic: self.logarithmic, end: self.x_end }
    }

    fn draw<B: DrawingBackend>(&self, root: &DrawingArea<B, Shift>, scale: u32) -> Result<(), FigureError> {
        root.fill(&WHITE).map_err(failed)?;
        let (panels, legend) = root.split_vertically(PANEL_HEIGHT * scale);
        for (panel, kind) in panels.split_evenly((1, 2)).iter().zip(ScoreKind::ALL) {
            draw_panel(self, panel, kind, scale)?;
        }
        self.draw_legend(&legend, scale)
    }

    fn draw_legend<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, scale: u32) -> Result<(), FigureError> {
        let text = (FONT, 14 * scale).into_font();
        let of = |behind: bool| self.curves.iter().filter(move |c| c.behind == behind);
        let named = |short: &str, label: &str| format!("{short}  {label}").trim_start().to_owned();
        let lines = of(false).chain(of(true)).map(|c| (Some(c.style), named(&c.short, &c.label)));
        let markers = self.published.iter().enumerate().map(|(k, m)| (None, named(&marker_letter(k), &m.label)));
        for (k, (style, label)) in lines.chain(markers).enumerate() {
            let (column, row) = (k as u32 % LEGEND_COLUMNS, k as u32 / LEGEND_COLUMNS);
            let x = ((60 + column * (WIDTH - 80) / LEGEND_COLUMNS) * scale) as i32;
            let y = ((8 + row * LEGEND_ROW) * scale) as i32;
            let indent = if style.is_some() { (46 * scale) as i32 } else { 0 };
            if let Some(style) = style {
                let y = y + 5 * scale as i32;
                draw_line(area, &[(x, y), (x + 38 * scale as i32, y)], style, scale)?;
            }
            area.draw(&Text::new(label, (x + indent, y), text.color(&BLACK))).map_err(failed)?;
        }
        Ok(())
    }
}

/// Draws a polyline in a curve's style.
fn draw_line<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    pixels: &[(i32, i32)],
    style: CurveStyle,
    scale: u32,
) -> Result<(), FigureError> {
    let line: Vec<(f64, f64)> = pixels.iter().map(|&(x, y)| (f64::from(x), f64::from(y))).collect();
    let width = if style.thin { scale } else { 2 * scale };
    for stroke in strokes(&line, style.dash, f64::from(scale)) {
        let whole: Vec<(i32, i32)> = stroke.iter().map(|(x, y)| (x.round() as i32, y.round() as i32)).collect();
        area.draw(&PathElement::new(whole, rgb(style.rgb()).stroke_width(width))).map_err(failed)?;
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

/// Returns the letter a, b, c ... of a published method.
fn marker_letter(k: usize) -> String {
    char::from(b'a' + (k % 26) as u8).to_string()
}
