//! Live plots of the losses and the learning rate.

use egui::Ui;
use egui_plot::{Corner, Legend, Line, Plot, PlotPoints};

use super::model::{Run, TrainModel};
use crate::app::theme;

/// Window of the moving mean, in points.
const SMOOTH: usize = 20;
/// The learning rate plot's fraction of the height.
const RATE_SHARE: f32 = 0.28;
/// Width reserved for the numbers of both plots, so that their steps are aligned.
const AXIS_WIDTH: f32 = 64.0;
/// Width to the right of the newest step that the legend may cover.
const LEGEND_WIDTH: f32 = 140.0;

pub(super) fn show(ui: &mut Ui, model: &TrainModel, height: f32) {
    theme::card().show(ui, |ui| {
        ui.take_available_width();
        let height = (height - 2.0 * f32::from(theme::CARD_MARGIN)).max(120.0) - ui.spacing().item_spacing.y;
        let run = model.run.as_ref().filter(|run| !run.total.points().is_empty());
        let end = run.map_or(0.0, |run| steps_shown(run, ui.available_width() - AXIS_WIDTH));
        losses(ui, model, run, end, height * (1.0 - RATE_SHARE));
        rate(ui, run, end, height * RATE_SHARE);
    });
}

/// Returns the last step of the plots' axis, so that the newest losses are left of the legend.
fn steps_shown(run: &Run, width: f32) -> f64 {
    let newest = run.total.points().last().map_or(0.0, |point| point[0]);
    newest / f64::from(1.0 - (LEGEND_WIDTH / width.max(1.0)).clamp(0.0, 0.5))
}

fn losses(ui: &mut Ui, model: &TrainModel, run: Option<&Run>, end: f64, height: f32) {
    // Fixed bounds stop following the lines, so the empty plot is a separate one.
    let plot = match run {
        None => Plot::new("no losses").default_x_bounds(0.0, 100.0).default_y_bounds(0.0, 2.0),
        Some(_) => Plot::new("losses"),
    };
    let plot = plain(plot, end, height).y_axis_label("loss");
    let plot = plot.legend(Legend::default().position(Corner::RightTop).follow_insertion_order(true));
    plot.show(ui, |plot| {
        let Some(run) = run else { return };
        let raw = PlotPoints::new(run.total.points().to_vec());
        plot.line(Line::new("total, each step", raw).color(theme::faded(theme::series(0), 0.3)).width(1.0));
        let smooth = PlotPoints::new(run.total.smooth(SMOOTH));
        plot.line(Line::new("total", smooth).color(theme::series(0)).width(2.2));
        for (index, (name, series)) in model.loss_lines().into_iter().enumerate() {
            let points = PlotPoints::new(series.smooth(SMOOTH));
            plot.line(Line::new(name, points).color(theme::series(index + 1)).width(1.4));
        }
    });
}

fn rate(ui: &mut Ui, run: Option<&Run>, end: f64, height: f32) {
    let plot = match run {
        None => Plot::new("no learning rate").default_x_bounds(0.0, 100.0).default_y_bounds(0.0, 0.01),
        Some(_) => Plot::new("learning rate"),
    };
    plain(plot, end, height).x_axis_label("step").y_axis_label("learning rate").show(ui, |plot| {
        let Some(run) = run else { return };
        let points = PlotPoints::new(run.lr.points().to_vec());
        plot.line(Line::new("learning rate", points).color(theme::series(0)).width(1.8));
    });
}

/// A non-interactive plot from step 0 to at least `end`.
fn plain(plot: Plot<'_>, end: f64, height: f32) -> Plot<'_> {
    plot.height(height)
        .include_y(0.0)
        .include_x(0.0)
        .include_x(end)
        .y_axis_min_width(AXIS_WIDTH)
        .allow_scroll(false)
        .grid_color(theme::GRID.now())
        .show_crosshair(false)
        .label_formatter(|_| None)
        .allow_drag(false)
        .show_background(false)
}
