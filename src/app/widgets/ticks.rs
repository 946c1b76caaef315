//! Numbers and grid lines of plots: round steps, and at least three numbers on an axis wherever they fit.

use egui::{FontId, Rangef, WidgetText};
use egui_plot::{AxisHints, GridInput, GridMark};

use crate::app::theme;

/// egui's minimum distance between grid lines in points, which a grid's step size stands for.
const LINE_SPACING: f64 = 8.0;
/// Usual minimum distance between two numbers in points.
const X_LEAST: f64 = 60.0;
const Y_LEAST: f64 = 26.0;
/// Number of labels that an axis needs to be read.
const FEWEST: usize = 3;
/// The step size of a grid line without a number.
pub const LINE: f64 = 0.1;
/// More decimals are written with a power of ten.
const DECIMALS: usize = 6;

/// A horizontal axis whose numbers are those of [`x_marks`] or [`log_x_marks`].
pub fn x_axis<'a>(label: impl Into<WidgetText>) -> AxisHints<'a> {
    with_numbers(AxisHints::new_x().label(label))
}

/// A vertical axis whose numbers are those of [`y_marks`] or [`log_y_marks`].
pub fn y_axis<'a>(label: impl Into<WidgetText>) -> AxisHints<'a> {
    with_numbers(AxisHints::new_y().label(label))
}

/// The marks say which numbers fit, so egui's own minimum distance must not hide them.
fn with_numbers(axis: AxisHints<'_>) -> AxisHints<'_> {
    let font = FontId::proportional(theme::TICK);
    axis.label_spacing(Rangef::new(1.0, 2.0)).tick_label_font(font).formatter(|mark, _| text(&mark))
}

/// Marks of a linear horizontal axis.
pub fn x_marks(input: &GridInput) -> Vec<GridMark> {
    linear(input, X_LEAST)
}

/// Marks of a linear vertical axis.
pub fn y_marks(input: &GridInput) -> Vec<GridMark> {
    linear(input, Y_LEAST)
}

/// Marks of a horizontal axis whose values are logarithms to base ten.
pub fn log_x_marks(input: &GridInput) -> Vec<GridMark> {
    logarithmic(input, X_LEAST)
}

/// Marks of a vertical axis whose values are logarithms to base ten.
pub fn log_y_marks(input: &GridInput) -> Vec<GridMark> {
    logarithmic(input, Y_LEAST)
}

/// Whether a mark of a logarithmic axis has a number.
pub fn has_number(mark: &GridMark) -> bool {
    mark.step_size > LINE
}

/// Returns how many powers of ten are between two numbers of a horizontal axis of logarithms.
pub fn decades_apart(input: &GridInput) -> i32 {
    (X_LEAST / points_per_unit(input)).ceil().clamp(1.0, 100.0) as i32
}

/// Formats a number with as many decimals as the axis's step needs.
fn text(mark: &GridMark) -> String {
    let is_exact = |decimals: &usize| {
        let scaled = mark.step_size * 10f64.powi(*decimals as i32);
        scaled.round() >= 1.0 && (scaled - scaled.round()).abs() < 1e-6 * scaled
    };
    match (0..=DECIMALS).find(is_exact) {
        Some(decimals) => format!("{:.decimals$}", mark.value + 0.0),
        None => format!("{:.1e}", mark.value),
    }
}

fn points_per_unit(input: &GridInput) -> f64 {
    LINE_SPACING / input.base_step_size.max(f64::MIN_POSITIVE)
}

fn linear(input: &GridInput, least: f64) -> Vec<GridMark> {
    let (low, high) = input.bounds;
    let is_axis = low < high && input.base_step_size.is_finite() && input.base_step_size > 0.0;
    if !is_axis {
        return Vec::new();
    }
    let range = |step: f64| ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    let is_enough = |step: &f64| range(*step).1 - range(*step).0 >= (FEWEST - 1) as f64;
    let usual = steps_from(least / points_per_unit(input)).find(|step| *step * points_per_unit(input) >= least);
    let smaller = || {
        let power = 10f64.powf((high - low).log10().floor());
        let parts = [5.0, 4.0, 2.5, 2.0, 1.5, 1.0, 0.5, 0.4, 0.25, 0.2, 0.15, 0.1];
        parts.into_iter().map(|part| part * power).find(is_enough)
    };
    let Some(step) = usual.filter(is_enough).or_else(smaller) else { return Vec::new() };
    let (first, last) = range(step);
    let count = (last - first).clamp(0.0, 1000.0) as u32;
    (0..=count).map(|k| GridMark { value: (first + f64::from(k)) * step, step_size: step }).collect()
}

/// Returns 1, 2 and 5 times the powers of ten around `least`, ascending.
fn steps_from(least: f64) -> impl Iterator<Item = f64> {
    let power = 10f64.powf(least.max(f64::MIN_POSITIVE).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(move |part| part * power)
}

/// Numbers at powers of ten, as far apart as they need to be; between too few of them also at 2 and 5 times each. Lines between all.
fn logarithmic(input: &GridInput, least: f64) -> Vec<GridMark> {
    let (low, high) = input.bounds;
    let (first, last) = ((low - 1e-9).ceil(), (high + 1e-9).floor());
    let is_few = last - first < (FEWEST - 1) as f64;
    let apart = if is_few { 1 } else { (least / points_per_unit(input)).ceil().clamp(1.0, 100.0) as i32 };
    let digits: &[i32] = if is_few { &[1, 2, 5] } else { &[1] };
    let of_decade = |decade: i32| (1..10).map(move |digit| (decade, digit));
    let marks = (low.floor() as i32..=high.ceil() as i32).flat_map(of_decade).map(|(decade, digit)| {
        let is_number = digits.contains(&digit) && decade.rem_euclid(apart) == 0;
        let step_size = if !is_number {
            LINE
        } else if is_few {
            2f64.log10()
        } else {
            f64::from(apart)
        };
        GridMark { value: f64::from(decade) + f64::from(digit).log10(), step_size }
    });
    marks.filter(|mark| (low - 1e-9..=high + 1e-9).contains(&mark.value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The grid of an axis of this length in points.
    fn input(low: f64, high: f64, points: f64) -> GridInput {
        GridInput { bounds: (low, high), base_step_size: (high - low) / points * LINE_SPACING }
    }

    fn numbers(marks: &[GridMark]) -> Vec<String> {
        marks.iter().map(text).collect()
    }

    #[test]
    fn small_axes_have_three_numbers_and_large_ones_no_more_than_fit() {
        let check = |low: f64, high: f64, points: f64, expected: &[&str]| {
            assert_eq!(numbers(&y_marks(&input(low, high, points))), expected, "{low} to {high} on {points} points");
        };
        check(0.0, 0.9, 56.0, &["0.0", "0.4", "0.8"]);
        check(0.0, 2.3, 120.0, &["0.0", "0.5", "1.0", "1.5", "2.0"]);
        check(0.88, 1.002, 70.0, &["0.90", "0.95", "1.00"]);
        check(0.0, 0.0011, 60.0, &["0.0000", "0.0005", "0.0010"]);
        check(
            0.0,
            0.1,
            300.0,
            &["0.00", "0.01", "0.02", "0.03", "0.04", "0.05", "0.06", "0.07", "0.08", "0.09", "0.10"],
        );
        check(0.0, 4e-8, 60.0, &["0.0e0", "2.0e-8", "4.0e-8"]);
        assert_eq!(numbers(&x_marks(&input(0.0, 1090.0, 265.0))), ["0", "500", "1000"]);
        assert!(y_marks(&input(1.0, 1.0, 100.0)).is_empty());
        for points in [40.0, 60.0, 100.0, 200.0, 1000.0] {
            for high in [0.37, 1.0, 1.7, 4.9, 99.0, 12_345.0] {
                let marks = y_marks(&input(0.0, high, points));
                let fit = (points / Y_LEAST) as usize + 1;
                assert!(marks.len() >= FEWEST && marks.len() <= fit.max(5), "{high} on {points}: {marks:?}");
            }
        }
    }

    #[test]
    fn a_logarithmic_axis_has_numbers_that_fit() {
        let numbers = |marks: Vec<GridMark>| -> Vec<f64> {
            let marks = marks.into_iter().filter(has_number);
            marks.map(|mark| (10f64.powf(mark.value) * 1e6).round() / 1e6).collect()
        };
        assert_eq!(numbers(log_y_marks(&input(-1.0, 0.0, 120.0))), [0.1, 0.2, 0.5, 1.0]);
        assert_eq!(numbers(log_y_marks(&input(-3.0, 0.0, 120.0))), [0.001, 0.01, 0.1, 1.0]);
        assert_eq!(numbers(log_x_marks(&input(0.0, 6.0, 240.0))), [1.0, 100.0, 10_000.0, 1_000_000.0]);
        assert_eq!((decades_apart(&input(0.0, 6.0, 240.0)), decades_apart(&input(0.0, 3.0, 240.0))), (2, 1));
    }
}
