//! All colours, sizes and text styles of the window. Nothing else names a colour. Must not know what is shown.

use egui::{Color32, CornerRadius, FontFamily, FontId, Margin, Stroke, TextStyle, Theme, Vec2};

use crate::domain::{AnnotationSource, Verdict};

pub const BACKGROUND: Color32 = Color32::from_rgb(0x12, 0x15, 0x1a);
pub const PANEL: Color32 = Color32::from_rgb(0x18, 0x1c, 0x22);
pub const CARD: Color32 = Color32::from_rgb(0x1f, 0x24, 0x2b);
pub const CARD_HOVER: Color32 = Color32::from_rgb(0x29, 0x30, 0x39);
pub const CANVAS: Color32 = Color32::from_rgb(0x0d, 0x0f, 0x13);
pub const BORDER: Color32 = Color32::from_rgb(0x2f, 0x37, 0x41);
/// Lines of a plot's grid.
pub const GRID: Color32 = Color32::from_rgb(0x3a, 0x43, 0x4f);
pub const TEXT: Color32 = Color32::from_rgb(0xd9, 0xde, 0xe5);
pub const STRONG: Color32 = Color32::from_rgb(0xf6, 0xf8, 0xfa);
pub const WEAK: Color32 = Color32::from_rgb(0x93, 0x9e, 0xab);
pub const ACCENT: Color32 = Color32::from_rgb(0x5f, 0xb0, 0xe5);
pub const ACCENT_DEEP: Color32 = Color32::from_rgb(0x23, 0x56, 0x7a);
pub const ERROR: Color32 = Color32::from_rgb(0xf0, 0x7a, 0x72);
pub const WARNING: Color32 = Color32::from_rgb(0xe8, 0xb9, 0x5a);
pub const GOOD: Color32 = Color32::from_rgb(0x5c, 0xc4, 0x8d);

/// The candidate that is asked about.
pub const CANDIDATE: Color32 = Color32::from_rgb(0xff, 0xa0, 0x40);
/// Other detections of the same image.
pub const DETECTION: Color32 = Color32::from_rgb(0x78, 0xa8, 0xff);

/// Space between groups, in points.
pub const GAP: f32 = 12.0;
pub const CARD_MARGIN: i8 = 14;
pub const CARD_RADIUS: u8 = 8;
/// Corners of pictures: nearly square, so that nothing of them is cut off.
pub const PICTURE_RADIUS: f32 = 2.0;

pub const BIG_NUMBER: f32 = 22.0;

/// The colour of a verdict, on buttons, badges and thumbnails.
pub fn verdict(verdict: Option<Verdict>) -> Color32 {
    match verdict {
        None => WEAK,
        Some(Verdict::Confirmed) => GOOD,
        Some(Verdict::Rejected) => ERROR,
        Some(Verdict::MissedObject) => WARNING,
        Some(Verdict::WrongClass) => Color32::from_rgb(0xc4, 0x9c, 0xff),
        Some(Verdict::Skipped) => Color32::from_rgb(0x7c, 0x88, 0x97),
    }
}

/// The colour of a ground truth by where it came from.
pub fn ground_truth(source: AnnotationSource) -> Color32 {
    match source {
        AnnotationSource::Imported => Color32::from_rgb(0x45, 0xd6, 0xa4),
        AnnotationSource::Promoted => WARNING,
        AnnotationSource::Edited => Color32::from_rgb(0xc4, 0x9c, 0xff),
        AnnotationSource::Added => Color32::from_rgb(0xff, 0x9e, 0xc8),
    }
}

/// The figures' colours (after Okabe and Ito) in the same order, lightened for a dark ground.
const SERIES: [Color32; 7] = [
    Color32::from_rgb(0x4a, 0xa5, 0xe8),
    Color32::from_rgb(0xf5, 0x82, 0x3a),
    Color32::from_rgb(0x2f, 0xc2, 0x90),
    Color32::from_rgb(0xe0, 0x8f, 0xbd),
    Color32::from_rgb(0x8f, 0xd3, 0xf7),
    Color32::from_rgb(0xf2, 0xb9, 0x33),
    Color32::from_rgb(0xc3, 0xc8, 0xce),
];

/// The colour of the series with this number; it never changes while others come and go.
pub fn series(number: usize) -> Color32 {
    SERIES[number % SERIES.len()]
}

/// Of curves of others, which stand behind: paler than the series, and told apart with red-green blindness too.
const REFERENCES: [Color32; 6] = [
    Color32::from_rgb(0xb8, 0xa8, 0x7c),
    Color32::from_rgb(0x8c, 0xa6, 0xc8),
    Color32::from_rgb(0xc9, 0x9a, 0x9a),
    Color32::from_rgb(0x8f, 0xb5, 0xa6),
    Color32::from_rgb(0xb2, 0x9c, 0xc4),
    Color32::from_rgb(0xa8, 0xae, 0xb5),
];

/// The colour of the reference curve with this number.
pub fn reference(number: usize) -> Color32 {
    REFERENCES[number % REFERENCES.len()]
}

/// The same colour, fainter. `strength` is 0..=1.
pub fn faded(color: Color32, strength: f32) -> Color32 {
    color.gamma_multiply(strength)
}

/// Sets the look of the whole window.
pub fn apply(ctx: &egui::Context) {
    ctx.set_theme(Theme::Dark);
    ctx.style_mut_of(Theme::Dark, |style| {
        set_text(style);
        set_spacing(&mut style.spacing);
        set_visuals(&mut style.visuals);
        style.interaction.selectable_labels = false;
        style.animation_time = 0.08;
    });
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
    visuals.panel_fill = BACKGROUND;
    visuals.window_fill = PANEL;
    visuals.window_stroke = Stroke::new(1.0, BORDER);
    visuals.window_corner_radius = CornerRadius::same(10);
    visuals.menu_corner_radius = CornerRadius::same(8);
    visuals.extreme_bg_color = CANVAS;
    visuals.faint_bg_color = PANEL;
    visuals.weak_text_color = Some(WEAK);
    visuals.hyperlink_color = ACCENT;
    visuals.error_fg_color = ERROR;
    visuals.warn_fg_color = WARNING;
    visuals.selection.bg_fill = ACCENT_DEEP;
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
        look.bg_fill = fill;
        look.weak_bg_fill = fill;
        look.bg_stroke = Stroke::new(1.0, border);
        look.fg_stroke = Stroke::new(1.0, text);
        look.corner_radius = CornerRadius::same(6);
        look.expansion = 0.0;
    }
}

/// The frame of a card: a group of things that belong together.
pub fn card() -> egui::Frame {
    egui::Frame::new()
        .fill(PANEL)
        .stroke(Stroke::new(1.0, BORDER))
        .corner_radius(CornerRadius::same(CARD_RADIUS))
        .inner_margin(Margin::same(CARD_MARGIN))
}

/// The frame of a screen: the ground with air around.
pub fn screen() -> egui::Frame {
    egui::Frame::new().fill(BACKGROUND).inner_margin(Margin::same(16))
}

/// The frame of a screen's left column: half of the air between it and the main column.
pub fn side_column() -> egui::Frame {
    egui::Frame::new().fill(BACKGROUND).inner_margin(Margin { left: 16, right: 8, top: 16, bottom: 16 })
}

/// The frame of what stands right of the left column.
pub fn main_column() -> egui::Frame {
    egui::Frame::new().fill(BACKGROUND).inner_margin(Margin { left: 8, right: 16, top: 16, bottom: 16 })
}

/// The frame of the bars above and below a screen.
pub fn bar() -> egui::Frame {
    egui::Frame::new().fill(PANEL).inner_margin(Margin::symmetric(16, 8))
}
