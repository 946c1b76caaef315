//! Live plots of the losses and the learning rate.

use std::collections::HashSet;

use egui::{Color32, Id, RichText, Sense, Stroke, Ui, UiBuilder, pos2, vec2};
use egui_plot::{AxisHints, Line, Plot, PlotPoints};

use super::model::{Run, TrainModel};
use crate::app::theme;
use crate::app::widgets::ticks;

/// Window of the moving mean, in points.
const SMOOTH: usize = 20;
/// The learning rate plot's fraction of the height.
const RATE_SHARE: f32 = 0.44;
/// Below this height in points the titles of the axes are shortened.
const LOW: f32 = 240.0;
/// Width reserved for the numbers of both plots, so that their steps are aligned.
const AXIS_WIDTH: f32 = 64.0;
/// Width of the legend right of both plots, and height of one of its rows.
const LEGEND_WIDTH: f32 = 140.0;
const LEGEND_ROW: f32 = 17.0;

/// The names of the lines that a click on the legend hid.
type Hidden = HashSet<String>;

pub(super) fn show(ui: &mut Ui, model: &TrainModel, height: f32) {
    theme::card().show(ui, |ui| {
        ui.take_available_width();
        let height = (height - 2.0 * f32::from(theme::CARD_MARGIN)).max(120.0);
        let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover());
        let (mut plots, mut names) = (rect, rect);
        plots.max.x = (rect.right() - LEGEND_WIDTH).max(rect.left());
        names.min.x = plots.right() + theme::GAP;
        let run = model.run.as_ref().filter(|run| !run.total.points().is_empty());
        let lines = run.map_or_else(Vec::new, |run| lines(model, run));
        let hidden = ui.scope_builder(UiBuilder::new().max_rect(names), |ui| legend(ui, &lines)).inner;
        ui.scope_builder(UiBuilder::new().max_rect(plots), |ui| {
            let height = height - ui.spacing().item_spacing.y;
            losses(ui, lines, &hidden, height * (1.0 - RATE_SHARE));
            rate(ui, run, height * RATE_SHARE, height < LOW);
        });
    });
}

/// A line of the losses' plot.
struct Loss {
    name: &'static str,
    points: Vec<[f64; 2]>,
    color: Color32,
    width: f32,
}

fn lines(model: &TrainModel, run: &Run) -> Vec<Loss> {
    let color = theme::series(0);
    let mut lines = vec![
        Loss {
            name: "total, each step",
            points: run.total.points().to_vec(),
            color: theme::faded(color, 0.3),
            width: 1.0,
        },
        Loss { name: "total", points: run.total.smooth(SMOOTH), color, width: 2.2 },
    ];
    let parts = model.loss_lines().into_iter().enumerate();
    lines.extend(parts.map(|(index, (name, series))| Loss {
        name,
        points: series.smooth(SMOOTH),
        color: theme::series(index + 1),
        width: 1.4,
    }));
    lines
}

/// Shows the names beside the plots, where they cover nothing. A click hides or shows a line. Returns the hidden ones.
fn legend(ui: &mut Ui, lines: &[Loss]) -> Hidden {
    let id = Id::unique("hidden losses");
    let mut hidden = ui.data(|data| data.get_temp::<Hidden>(id)).unwrap_or_default();
    ui.spacing_mut().item_spacing = vec2(0.0, 0.0);
    for line in lines {
        let is_shown = !hidden.contains(line.name);
        let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), LEGEND_ROW), Sense::click());
        response.widget_info(|| egui::WidgetInfo::selected(egui::Role::CheckBox, true, is_shown, line.name));
        let strength = if is_shown { 1.0 } else { 0.3 };
        let middle = rect.left_center();
        let stroke = Stroke::new(line.width.max(1.5), theme::faded(line.color, strength));
        ui.painter().line_segment([middle, middle + vec2(14.0, 0.0)], stroke);
        let color = if is_shown { theme::TEXT } else { theme::WEAK };
        let text = egui::WidgetText::from(RichText::new(line.name).small().color(color));
        let galley =
            text.into_galley(ui, Some(egui::TextWrapMode::Truncate), rect.width() - 20.0, egui::TextStyle::Small);
        let at = pos2(rect.left() + 20.0, rect.center().y - galley.size().y / 2.0);
        ui.painter().galley(at, galley, color.now());
        let hint = if is_shown { "Hide this line" } else { "Show this line" };
        if response.on_hover_text(hint).clicked() && !hidden.remove(line.name) {
            hidden.insert(line.name.to_owned());
        }
    }
    ui.data_mut(|data| data.insert_temp(id, hidden.clone()));
    hidden
}

/// Its steps are those of the learning rate's plot below, which has the numbers.
fn losses(ui: &mut Ui, lines: Vec<Loss>, hidden: &Hidden, height: f32) {
    // Fixed bounds stop following the lines, so the empty plot is a separate one.
    let plot = match lines[..] {
        [] => Plot::new("no losses").default_x_bounds(0.0, 100.0).default_y_bounds(0.0, 2.0),
        _ => Plot::new("losses"),
    };
    let plot = plain(plot, height).custom_x_axes(Vec::new()).custom_y_axes(vec![y_axis("loss")]);
    plot.show(ui, |plot| {
        for line in lines.into_iter().filter(|line| !hidden.contains(line.name)) {
            let points = PlotPoints::new(line.points);
            plot.line(Line::new(line.name, points).color(line.color).width(line.width));
        }
    });
}

fn rate(ui: &mut Ui, run: Option<&Run>, height: f32, is_low: bool) {
    let plot = match run {
        None => Plot::new("no learning rate").default_x_bounds(0.0, 100.0).default_y_bounds(0.0, 0.01),
        Some(_) => Plot::new("learning rate"),
    };
    let (steps, rates) = if is_low { ("", "rate") } else { ("step", "learning rate") };
    let plot = plain(plot, height)
        .custom_x_axes(vec![ticks::x_axis(RichText::new(steps).size(theme::TICK))])
        .custom_y_axes(vec![y_axis(rates)]);
    plot.show(ui, |plot| {
        let Some(run) = run else { return };
        let points = PlotPoints::new(run.lr.points().to_vec());
        plot.line(Line::new("learning rate", points).color(theme::series(0)).width(1.8));
    });
}

/// Its title is small, as the plots are low.
fn y_axis(title: &str) -> AxisHints<'static> {
    ticks::y_axis(RichText::new(title).size(theme::TICK)).min_thickness(AXIS_WIDTH)
}

/// A non-interactive plot from step 0.
fn plain(plot: Plot<'_>, height: f32) -> Plot<'_> {
    plot.height(height)
        .include_y(0.0)
        .include_x(0.0)
        .x_grid_spacer(|input| ticks::x_marks(&input))
        .y_grid_spacer(|input| ticks::y_marks(&input))
        .allow_scroll(false)
        .grid_color(theme::GRID.now())
        .show_crosshair(false)
        .label_formatter(|_| None)
        .allow_drag(false)
        .show_background(false)
}
