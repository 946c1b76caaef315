//! Ellipse -> pixels, the way OpenCV's filled `cvEllipse` draws it: a polygon in 16-bit fixed point, outline plus scan fill
//! (`fddb_spec.md`, section 4.2). Matches the official masks pixel by pixel.

use std::f64::consts::PI;
use std::sync::LazyLock;

use super::polygon_fill;
use super::raster::{ONE, Span, round_single};
use crate::geometry::Ellipse;

/// Maximum coordinate or semi-axis in pixels; the text formats refuse more (the official program's integers overflow here).
const LIMIT: i64 = 1 << 31;

/// OpenCV's sine table for 0..=450 degrees: seven decimals, single precision.
static SINE: LazyLock<[f64; 451]> = LazyLock::new(|| {
    std::array::from_fn(|k| {
        let seven_decimals = ((k as f64).to_radians().sin() * 1e7).round() / 1e7;
        f64::from(seven_decimals as f32)
    })
});

/// Returns the pixels of `ellipse` inside `width` x `height` as sorted disjoint row spans.
pub(super) fn paint(ellipse: &Ellipse, width: u32, height: u32) -> Vec<Span> {
    if width == 0 || height == 0 || misses(ellipse, width, height) {
        return Vec::new();
    }
    polygon_fill::fill(&polygon(ellipse), i64::from(width), i64::from(height))
}

/// Whether the ellipse is so far outside the image that no pixel is painted.
fn misses(e: &Ellipse, width: u32, height: u32) -> bool {
    let reach = e.ra.abs().max(e.rb.abs()) + 3.0;
    // Centres are rounded to single precision, which far away moves them by more than a pixel.
    let slack = reach + (e.cx.abs() + e.cy.abs()) * 1e-6;
    e.cx + slack < 0.0 || e.cy + slack < 0.0 || e.cx - slack > f64::from(width) || e.cy - slack > f64::from(height)
}

/// Returns the vertices in fixed point.
fn polygon(e: &Ellipse) -> Vec<(i64, i64)> {
    let (cx, cy) = (round_single(e.cx).clamp(-LIMIT, LIMIT), round_single(e.cy).clamp(-LIMIT, LIMIT));
    let (a, b) = (e.ra.trunc().clamp(0.0, LIMIT as f64), e.rb.trunc().clamp(0.0, LIMIT as f64));
    let angle = whole_degrees(e.theta);
    let (cos, sin) = (SINE[450 - angle], SINE[angle]);
    let step = degrees_between_vertices(a.max(b));
    let (fixed_cx, fixed_cy) = (cx as f64 * ONE as f64, cy as f64 * ONE as f64);

    let mut vertices: Vec<(i64, i64)> = Vec::with_capacity(360 / step + 2);
    for t in (0..360 + step).step_by(step) {
        let t = t.min(360);
        let x = (a * ONE as f64) * SINE[450 - t];
        let y = (b * ONE as f64) * SINE[t];
        let vertex = (
            (fixed_cx + x * cos - y * sin).round_ties_even() as i64,
            (fixed_cy + x * sin + y * cos).round_ties_even() as i64,
        );
        if vertices.last() != Some(&vertex) {
            vertices.push(vertex);
        }
    }
    if vertices.len() == 1 {
        vertices = vec![(cx * ONE, cy * ONE); 2];
    }
    vertices
}

/// Converts the angle to whole degrees, 0..=360.
fn whole_degrees(theta: f64) -> usize {
    let degrees = (180.0 - ((PI - theta) * 180.0 / PI)).round_ties_even();
    let turns = if degrees < 0.0 {
        (-degrees / 360.0).ceil()
    } else if degrees > 360.0 {
        -((degrees - 360.0) / 360.0).ceil()
    } else {
        0.0
    };
    (degrees + turns * 360.0).clamp(0.0, 360.0) as usize
}

fn degrees_between_vertices(longer_axis: f64) -> usize {
    if longer_axis < 3.0 {
        90
    } else if longer_axis < 10.0 {
        30
    } else if longer_axis < 15.0 {
        18
    } else {
        5
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn angles_come_into_one_turn() {
        let check = |degrees: f64, expected| assert_eq!(whole_degrees(degrees.to_radians()), expected, "{degrees}");
        check(0.0, 0);
        check(-1.0, 359);
        check(360.0, 360);
        check(361.0, 1);
        check(720.0, 360);
        check(-360.0, 0);
        check(-725.0, 355);
    }

    #[test]
    fn a_face_without_size_is_one_pixel_and_one_outside_is_none() {
        let pixels = |e: Ellipse| paint(&e, 20, 20).iter().map(|s| s.x1 - s.x0 + 1).sum::<i32>();
        assert_eq!(pixels(Ellipse::new(0.0, 0.0, 0.0, 4.0, 4.0)), 1);
        assert_eq!(pixels(Ellipse::new(1.0, 1.0, 0.0, 0.0, 0.0)), 3); // FDDB's placeholder face
        assert_eq!(pixels(Ellipse::new(5.0, 5.0, 0.0, -30.0, 4.0)), 0);
        assert_eq!(pixels(Ellipse::new(1e9, 1e9, 0.3, 10.0, 10.0)), 400);
    }
}
