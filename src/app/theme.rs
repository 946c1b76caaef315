//! All colours, sizes and text styles of the window, defined only here.
#![expect(clippy::unreadable_literal, reason = "colours are written as everywhere else: six hex digits")]

use std::cell::Cell;

use egui::{Color32, CornerRadius, FontFamily, FontId, Margin, Stroke, TextStyle, Theme, ThemePreference, Vec2};

use super::options::{self, Options};
use crate::domain::{AnnotationSource, Verdict};

thread_local! {
    /// The theme of the window drawn by this thread.
    static LOOK: Cell<Theme> = const { Cell::new(Theme::Dark) };
}

/// A semantic colour in both themes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tone {
    dark: Color32,
    light: Color32,
}

impl Tone {
    const fn new(dark: u32, light: u32) -> Self {
        Self { dark: rgb(dark), light: rgb(light) }
    }

    /// Returns the colour in the current theme.
    pub fn now(self) -> Color32 {
        match LOOK.get() {
            Theme::Dark => self.dark,
            Theme::Light => self.light,
        }
    }

    /// Returns the same tone, fainter in both themes. `strength` is 0..=1.
    pub fn fainter(self, strength: f32) -> Self {
        Self { dark: self.dark.gamma_multiply(strength), light: self.light.gamma_multiply(strength) }
    }
}

impl From<Tone> for Color32 {
    fn from(tone: Tone) -> Self {
        tone.now()
    }
}

const fn rgb(hex: u32) -> Color32 {
    let [_, r, g, b] = hex.to_be_bytes();
    Color32::from_rgb(r, g, b)
}

pub const BACKGROUND: Tone = Tone::new(0x12151a, 0xf3f5f7);
pub const PANEL: Tone = Tone::new(0x181c22, 0xffffff);
pub const CARD: Tone = Tone::new(0x1f242b, 0xebeff3);
pub const CARD_HOVER: Tone = Tone::new(0x293039, 0xdde4eb);
pub const CANVAS: Tone = Tone::new(0x0d0f13, 0xdfe4e9);
pub const BORDER: Tone = Tone::new(0x2f3741, 0xc9d1d9);
/// Grid lines of a plot.
pub const GRID: Tone = Tone::new(0x3a434f, 0xd3dae1);
pub const TEXT: Tone = Tone::new(0xd9dee5, 0x232a33);
pub const STRONG: Tone = Tone::new(0xf6f8fa, 0x0b0f14);
pub const WEAK: Tone = Tone::new(0x939eab, 0x56616e);
pub const ACCENT: Tone = Tone::new(0x5fb0e5, 0x0b66a8);
/// Background of a selection.
pub const ACCENT_DEEP: Tone = Tone::new(0x23567a, 0xb9dcf3);
pub const ERROR: Tone = Tone::new(0xf0764f, 0x981900);
pub const WARNING: Tone = Tone::new(0xf2d04a, 0x846d10);
pub const GOOD: Tone = Tone::new(0x5fd9ac, 0x00735a);
/// The current candidate.
pub const CANDIDATE: Tone = Tone::new(0xff8a3c, 0xc34200);
/// Other detections of the same image.
pub const DETECTION: Tone = Tone::new(0x4f8cff, 0x2b6fd6);
/// Drawn below lines over an image, so that their colour stays readable: the light theme's lines are dark.
pub const HALO: Tone = Tone::new(0x000000, 0xffffff);
/// Background of text fields.
pub const FIELD: Tone = Tone::new(0x0d0f13, 0xf3f5f7);
pub const WRONG_CLASS: Tone = Tone::new(0xd0b0ff, 0x7a1fa0);
pub const SKIPPED: Tone = Tone::new(0x7c8897, 0x5d6875);
pub const IMPORTED: Tone = Tone::new(0x3fc9a0, 0x00795c);
pub const ADDED: Tone = Tone::new(0xff9ec8, 0xc92f6c);

/// Space between groups, in points.
pub const GAP: f32 = 12.0;
/// Space for a scroll bar next to what it scrolls: it is drawn over the content.
pub const SCROLL_BAR: f32 = 10.0;
pub const CARD_MARGIN: i8 = 14;
pub const CARD_RADIUS: u8 = 8;
/// Corner radius of images: nearly square, so that nothing is cut off.
pub const IMAGE_RADIUS: f32 = 2.0;

/// Minimum size of a small button, so that its text does not touch its edge.
pub const SMALL_BUTTON: Vec2 = Vec2::new(0.0, 20.0);
pub const BIG_NUMBER: f32 = 22.0;
/// Size of the numbers on a plot's axes.
pub const TICK: f32 = 11.0;

/// Returns the colour of a verdict, for buttons, badges and thumbnails.
pub fn verdict(verdict: Option<Verdict>) -> Tone {
    match verdict {
        None => WEAK,
        Some(Verdict::Confirmed) => GOOD,
        Some(Verdict::Rejected) => ERROR,
        Some(Verdict::MissedObject) => WARNING,
        Some(Verdict::WrongClass) => WRONG_CLASS,
        Some(Verdict::Skipped) => SKIPPED,
    }
}

/// Returns the colour of a ground truth annotation by its source.
pub fn ground_truth(source: AnnotationSource) -> Tone {
    match source {
        AnnotationSource::Imported => IMPORTED,
        AnnotationSource::Promoted => WARNING,
        AnnotationSource::Edited => WRONG_CLASS,
        AnnotationSource::Added => ADDED,
    }
}

/// Curve colours by theme. First the project's own, in the order of the figures' colours (after Okabe and Ito); from [`OWN_CURVES`] on
/// those of third-party curves, which are drawn thinner and dashed.
const CURVES: [Tone; 13] = [
    Tone::new(0x4aa5e8, 0x0068b0),
    Tone::new(0xf5823a, 0xd4570a),
    Tone::new(0x2fc290, 0x007a5a),
    Tone::new(0xe08fbd, 0xb04a86),
    Tone::new(0x8fd3f7, 0x2e8fc7),
    Tone::new(0xf2d04a, 0x6e5600),
    Tone::new(0xc3c8ce, 0x30363d),
    Tone::new(0xd8b86a, 0x8a6a10),
    Tone::new(0x5a86d0, 0x3f7fc8),
    Tone::new(0xd8888b, 0xa84a4a),
    Tone::new(0x4fb69c, 0x1f7a66),
    Tone::new(0xd9a8e8, 0x5a2080),
    Tone::new(0xc0c8d0, 0x8a939c),
];

/// Number of [`CURVES`] for the project's own curves.
const OWN_CURVES: usize = 7;

/// Returns the colour of the series with this number; it does not depend on other series.
pub fn series(number: usize) -> Color32 {
    CURVES[number % OWN_CURVES].now()
}

/// Returns the colour of the reference curve with this number.
pub fn reference(number: usize) -> Color32 {
    CURVES[OWN_CURVES + number % (CURVES.len() - OWN_CURVES)].now()
}

/// Returns the same colour, fainter. `strength` is 0..=1.
pub fn faded(color: impl Into<Color32>, strength: f32) -> Color32 {
    color.into().gamma_multiply(strength)
}

/// Sets the style of the whole window, for both themes.
pub fn apply(ctx: &egui::Context) {
    for theme in [Theme::Dark, Theme::Light] {
        LOOK.set(theme);
        ctx.style_mut_of(theme, |style| {
            set_text(style);
            set_spacing(&mut style.spacing);
            set_visuals(&mut style.visuals);
            style.interaction.selectable_labels = false;
            style.animation_time = 0.08;
        });
    }
    enter(ctx);
}

/// Selects the light or dark theme, or follows the desktop, and sets the `scale`.
pub fn choose(ctx: &egui::Context, options: &Options) {
    ctx.set_theme(match options.theme {
        options::Theme::System => ThemePreference::System,
        options::Theme::Dark => ThemePreference::Dark,
        options::Theme::Light => ThemePreference::Light,
    });
    ctx.set_zoom_factor(options.scale.clamp(*options::SCALE.start(), *options::SCALE.end()));
    enter(ctx);
}

/// Sets the theme for what this thread draws next; called before each frame.
pub fn enter(ctx: &egui::Context) {
    LOOK.set(ctx.theme());
}

fn set_text(style: &mut egui::Style) {
    let sizes =
        [(TextStyle::Small, 12.0), (TextStyle::Body, 14.0), (TextStyle::Button, 14.0), (TextStyle::Heading, 20.0)];
    for (text_style, size) in sizes {
        style.text_styles.insert(text_style, FontId::new(size, FontFamily::Proportional));
    }
    style.text_styles.insert(TextStyle::Monospace, FontId::new(13.0, FontFamily::Monospace));
}

fn set_spacing(spacing: &mut egui::style::Spacing) {
    spacing.item_spacing = Vec2::new(10.0, 8.0);
    spacing.button_padding = Vec2::new(12.0, 6.0);
    spacing.interact_size = Vec2::new(40.0, 28.0);
    spacing.window_margin = Margin::same(18);
    spacing.menu_margin = Margin::same(8);
    spacing.combo_width = 160.0;
    spacing.text_edit_width = 220.0;
}

fn set_visuals(visuals: &mut egui::Visuals) {
    visuals.panel_fill = BACKGROUND.now();
    visuals.window_fill = PANEL.now();
    visuals.window_stroke = Stroke::new(1.0, BORDER);
    visuals.window_corner_radius = CornerRadius::same(10);
    visuals.menu_corner_radius = CornerRadius::same(8);
    visuals.text_edit_bg_color = Some(FIELD.now());
    visuals.extreme_bg_color = CANVAS.now();
    visuals.slider_trailing_fill = true;
    visuals.faint_bg_color = PANEL.now();
    visuals.weak_text_color = Some(WEAK.now());
    visuals.hyperlink_color = ACCENT.now();
    visuals.error_fg_color = ERROR.now();
    visuals.warn_fg_color = WARNING.now();
    visuals.selection.bg_fill = ACCENT_DEEP.now();
    visuals.selection.stroke = Stroke::new(1.0, STRONG);
    let widgets = &mut visuals.widgets;
    let looks = [
        (&mut widgets.noninteractive, PANEL, BORDER, TEXT),
        (&mut widgets.inactive, CARD, BORDER, TEXT),
        (&mut widgets.hovered, CARD_HOVER, ACCENT_DEEP, STRONG),
        (&mut widgets.active, ACCENT_DEEP, ACCENT, STRONG),
        (&mut widgets.open, CARD_HOVER, BORDER, STRONG),
    ];
    for (look, fill, border, text) in looks {
        look.bg_fill = fill.now();
        look.weak_bg_fill = fill.now();
        look.bg_stroke = Stroke::new(1.0, border);
        look.fg_stroke = Stroke::new(1.0, text);
        look.corner_radius = CornerRadius::same(6);
        look.expansion = 0.0;
    }
}

/// The frame of a card, which groups related content.
pub fn card() -> egui::Frame {
    egui::Frame::new()
        .fill(PANEL.now())
        .stroke(Stroke::new(1.0, BORDER))
        .corner_radius(CornerRadius::same(CARD_RADIUS))
        .inner_margin(Margin::same(CARD_MARGIN))
}

/// The frame of a screen: the background with padding.
pub fn screen() -> egui::Frame {
    egui::Frame::new().fill(BACKGROUND.now()).inner_margin(Margin::same(16))
}

/// The frame of a screen's left column, with half of the gap to the main column.
pub fn side_column() -> egui::Frame {
    egui::Frame::new().fill(BACKGROUND.now()).inner_margin(Margin { left: 16, right: 8, top: 16, bottom: 16 })
}

/// The frame of what stays fixed below a scrolling column.
pub fn pinned() -> egui::Frame {
    egui::Frame::new().fill(BACKGROUND.now()).inner_margin(Margin { left: 0, right: 0, top: 10, bottom: 0 })
}

/// The frame of the main column, right of the left one.
pub fn main_column() -> egui::Frame {
    egui::Frame::new().fill(BACKGROUND.now()).inner_margin(Margin { left: 8, right: 16, top: 16, bottom: 16 })
}

/// The frame of the bar below every screen.
pub fn status_bar() -> egui::Frame {
    egui::Frame::new().fill(PANEL.now()).inner_margin(Margin::symmetric(16, 3))
}

/// The frame of a narrow bar of small buttons.
pub fn low_bar() -> egui::Frame {
    egui::Frame::new().fill(PANEL.now()).inner_margin(Margin::symmetric(16, 5))
}

/// The frame of the bars above and below a screen.
pub fn bar() -> egui::Frame {
    egui::Frame::new().fill(PANEL.now()).inner_margin(Margin::symmetric(16, 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Linear light of a colour under each type of colour vision (Machado, Oliveira and Fernandes 2009, severity 1).
    const VISIONS: [(&str, [[f64; 3]; 3]); 3] = [
        ("normal", [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        (
            "deuteranopia",
            [[0.367_322, 0.860_646, -0.227_968], [0.280_085, 0.672_501, 0.047_413], [-0.011_820, 0.042_940, 0.968_881]],
        ),
        (
            "protanopia",
            [
                [0.152_286, 1.052_583, -0.204_868],
                [0.114_503, 0.786_281, 0.099_216],
                [-0.003_882, -0.048_116, 1.051_998],
            ],
        ),
    ];

    fn linear(color: Color32) -> [f64; 3] {
        [color.r(), color.g(), color.b()].map(|byte| {
            let c = f64::from(byte) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        })
    }

    fn luminance(color: Color32) -> f64 {
        let [r, g, b] = linear(color);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    /// WCAG contrast ratio, 1..=21.
    fn contrast(a: Color32, b: Color32) -> f64 {
        let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
        a.max(b) / a.min(b)
    }

    /// CIE L*a*b* of a colour under this colour vision.
    fn lab(color: Color32, vision: &[[f64; 3]; 3]) -> [f64; 3] {
        let light = linear(color);
        let [r, g, b] = vision.map(|row| (0..3).map(|i| row[i] * light[i]).sum::<f64>().clamp(0.0, 1.0));
        let f = |t: f64| if t > 0.008_856 { t.cbrt() } else { 7.787 * t + 16.0 / 116.0 };
        let x = f((0.4124 * r + 0.3576 * g + 0.1805 * b) / 0.9505);
        let y = f(0.2126 * r + 0.7152 * g + 0.0722 * b);
        let z = f((0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.089);
        [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
    }

    fn distance(a: Color32, b: Color32, vision: &[[f64; 3]; 3]) -> f64 {
        let (a, b) = (lab(a, vision), lab(b, vision));
        (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt()
    }

    fn in_theme(theme: Theme, tone: Tone) -> Color32 {
        LOOK.set(theme);
        tone.now()
    }

    #[test]
    fn words_are_readable_in_both_themes() {
        for theme in [Theme::Dark, Theme::Light] {
            for ground in [BACKGROUND, PANEL, CARD] {
                for (text, least) in
                    [(TEXT, 7.0), (STRONG, 7.0), (WEAK, 4.5), (ACCENT, 4.5), (ERROR, 4.5), (WARNING, 4.3), (GOOD, 4.5)]
                {
                    let found = contrast(in_theme(theme, text), in_theme(theme, ground));
                    assert!(found >= least, "{theme:?}: {text:?} on {ground:?}: {found:.1}");
                }
            }
            let found = contrast(in_theme(theme, STRONG), in_theme(theme, ACCENT_DEEP));
            assert!(found >= 4.5, "{theme:?}: what is chosen: {found:.1}");
        }
    }

    #[test]
    fn what_colours_tell_apart_the_colour_blind_tell_apart() {
        let sets: [(&str, &[Tone], f64); 4] = [
            ("verdicts", &[GOOD, ERROR, WARNING, WRONG_CLASS, SKIPPED], 11.0),
            ("objects and boxes", &[IMPORTED, WARNING, WRONG_CLASS, ADDED, CANDIDATE, DETECTION], 8.0),
            ("series", &CURVES[..OWN_CURVES], 9.0),
            ("references", &CURVES[OWN_CURVES..], 9.0),
        ];
        let mut close = Vec::new();
        for theme in [Theme::Dark, Theme::Light] {
            for (name, tones, least) in sets {
                for (vision, matrix) in &VISIONS {
                    for (index, a) in tones.iter().enumerate() {
                        for (other, b) in tones.iter().enumerate().skip(index + 1) {
                            let found = distance(in_theme(theme, *a), in_theme(theme, *b), matrix);
                            if found < least {
                                close.push(format!("{theme:?} {name}, {vision}: {index} and {other}: {found:.1}"));
                            }
                        }
                    }
                }
            }
        }
        assert!(close.is_empty(), "{close:#?}");
    }
}
