//! The losses over the steps, as they come.

use egui::Ui;
use egui_plot::{Corner, Legend, Line, Plot, PlotPoints};

use super::model::TrainModel;
use crate::app::theme;

/// Points of the moving mean.
const SMOOTH: usize = 20;

pub(super) fn show(ui: &mut Ui, model: &TrainModel, height: f32) {
    theme::card().show(ui, |ui| {
        ui.take_available_width();
        let is_empty = model.run.as_ref().is_none_or(|run| run.total.points().is_empty());
        // Bounds that are set once stop following the lines, so the empty plot is another one.
        let plot = if is_empty {
            Plot::new("no losses").default_x_bounds(0.0, 100.0).default_y_bounds(0.0, 2.0)
        } else {
            Plot::new("losses")
        };
        let plot = plot
            .height((height - 2.0 * f32::from(theme::CARD_MARGIN)).max(80.0))
            .legend(Legend::default().position(Corner::RightTop).follow_insertion_order(true))
            .include_y(0.0)
            .include_x(0.0)
            .x_axis_label("step")
            .y_axis_label("loss")
            .allow_scroll(false)
            .grid_color(theme::GRID)
            .show_crosshair(false)
            .label_formatter(|_| None)
            .allow_drag(false)
            .show_background(false);
        plot.show(ui, |plot| {
            let Some(run) = &model.run else { return };
            let raw = PlotPoints::new(run.total.points().to_vec());
            plot.line(Line::new("total, each step", raw).color(theme::faded(theme::series(0), 0.3)).width(1.0));
            let smooth = PlotPoints::new(run.total.smooth(SMOOTH));
            plot.line(Line::new("total", smooth).color(theme::series(0)).width(2.2));
            for (index, (name, series)) in model.loss_lines().into_iter().enumerate() {
                let points = PlotPoints::new(series.smooth(SMOOTH));
                plot.line(Line::new(name, points).color(theme::series(index + 1)).width(1.4));
            }
        });
    });
}
