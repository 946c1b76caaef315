//! Decoys from the household and the street. The frame's unit is half their height.

use std::f32::consts::TAU;

use super::super::paint::{BLACK, Canvas, Noise, WHITE, mix, rgb, scaled};
use super::super::rng::Draws;
use super::super::shapes::{Both, Frame, Shape, Without};

/// A shadow on the ground behind a shape.
pub(super) fn shadow(canvas: &mut Canvas, f: &Frame, ru: f32, rv: f32) {
    canvas.glaze(&f.ellipse(0.1, 0.14, ru, rv), f.unit * 0.3, BLACK, 0.38);
}

/// A round body lit from the top left.
pub(super) fn globe(canvas: &mut Canvas, f: &Frame, shape: &impl Shape, colour: [f32; 3]) {
    canvas.fill(shape, 1.0, |x, y| {
        let (u, v) = f.local(x, y);
        let z = (1.0 - (u * u + v * v).min(0.96)).sqrt();
        (scaled(colour, 0.45 + 0.45 * z - 0.22 * u - 0.26 * v), 1.0)
    });
    canvas.glaze(&f.ellipse(-0.35, -0.4, 0.16, 0.12), f.unit * 0.18, WHITE, 0.6);
}

pub(super) fn clock(canvas: &mut Canvas, draws: &mut Draws, f: Frame) {
    shadow(canvas, &f, 0.98, 0.98);
    let rim = rgb(draws.pick(&[0x2a2a2e, 0xb08d57, 0x8b1e2d, 0xc0c4c8, 0x5b3a24]));
    let dial = rgb(draws.pick(&[0xfaf6ec, 0xf1d9bd, 0xffffff, 0xe9c9a8]));
    canvas.flat(&f.ellipse(0.0, 0.0, 1.0, 1.0), rim);
    canvas.fill(&f.ellipse(0.0, 0.0, 0.86, 0.86), 1.0, |x, y| (scaled(dial, 0.95 - 0.09 * f.local(x, y).1), 1.0));
    for hour in 0..12 {
        let (sin, cos) = (TAU * hour as f32 / 12.0).sin_cos();
        let long = if hour % 3 == 0 { 0.62 } else { 0.7 };
        canvas.flat(&f.stroke(&[(long * sin, long * cos), (0.78 * sin, 0.78 * cos)], 0.03, 0.03), rgb(0x202024));
    }
    let hour = draws.unit();
    for (turn, long, thick) in [(hour, 0.42, 0.055), ((hour * 12.0).fract(), 0.64, 0.04)] {
        let (sin, cos) = (TAU * turn).sin_cos();
        canvas
            .flat(&f.stroke(&[(-0.1 * sin, 0.1 * cos), (long * sin, -long * cos)], thick, thick * 0.6), rgb(0x141418));
    }
    canvas.flat(&f.ellipse(0.0, 0.0, 0.07, 0.07), rim);
    canvas.glaze(&f.bow((-0.6, -0.35), (-0.45, -0.65), (-0.05, -0.72), 0.05, 0.02), f.unit * 0.08, WHITE, 0.5);
}

pub(super) fn socket(canvas: &mut Canvas, draws: &mut Draws, f: Frame) {
    let plate = rgb(draws.pick(&[0xf2efe8, 0xe6dcc8, 0xd8b79a, 0xffffff]));
    let hole = rgb(0x1a1816);
    shadow(canvas, &f, 0.95, 0.95);
    canvas.fill(&f.rect(0.0, 0.0, 0.92, 1.0, 0.16), 1.0, |x, y| (scaled(plate, 0.94 - 0.06 * f.local(x, y).1), 1.0));
    if draws.chance(0.5) {
        canvas.flat(&f.ellipse(0.0, 0.0, 0.7, 0.7), scaled(plate, 0.8));
        canvas.flat(&f.ellipse(0.0, 0.03, 0.63, 0.63), scaled(plate, 0.9));
        for side in [-1.0, 1.0] {
            canvas.flat(&f.ellipse(side * 0.28, 0.0, 0.1, 0.1), hole);
        }
        canvas.flat(&f.rect(0.0, -0.62, 0.1, 0.07, 0.02), rgb(0x9a9a9a));
        canvas.flat(&f.rect(0.0, 0.62, 0.1, 0.07, 0.02), rgb(0x9a9a9a));
    } else {
        for side in [-1.0, 1.0] {
            canvas.flat(&f.rect(side * 0.28, -0.22, 0.07, 0.24, 0.02), hole);
        }
        canvas.flat(&f.ellipse(0.0, 0.4, 0.14, 0.15), hole);
    }
}

pub(super) fn car(canvas: &mut Canvas, draws: &mut Draws, f: Frame) {
    let paint = rgb(draws.pick(&[0xb3202c, 0x1d4e89, 0xe8e8e6, 0x2f3136, 0xd9a441, 0x4f7f63, 0xc9b29b]));
    let glow = draws.chance(0.4);
    canvas.glaze(&f.ellipse(0.0, 0.92, 1.5, 0.18), f.unit * 0.2, BLACK, 0.6);
    for side in [-1.0, 1.0] {
        canvas.flat(&f.rect(side * 1.0, 0.72, 0.2, 0.28, 0.08), rgb(0x151517));
        canvas.flat(&f.rect(side * 1.32, -0.18, 0.13, 0.09, 0.05), scaled(paint, 0.8));
    }
    canvas.flat(&f.polygon(&[(-0.98, -0.1), (-0.7, -0.85), (0.7, -0.85), (0.98, -0.1)], 0.1), scaled(paint, 0.9));
    let glass = f.polygon(&[(-0.84, -0.14), (-0.62, -0.76), (0.62, -0.76), (0.84, -0.14)], 0.03);
    canvas.fill(&glass, 1.0, |x, y| (mix(rgb(0x9fb8c6), rgb(0x1d2730), (f.local(x, y).1 + 0.8) * 1.3), 1.0));
    canvas.fill(&f.rect(0.0, 0.3, 1.24, 0.46, 0.22), 1.0, |x, y| {
        let (u, v) = f.local(x, y);
        (scaled(paint, 1.08 - 0.45 * (v - 0.1) - 0.1 * u.abs()), 1.0)
    });
    for side in [-1.0, 1.0] {
        canvas.flat(&f.ellipse(side * 0.86, 0.2, 0.25, 0.19), rgb(0x3a3d42));
        let lamp = if glow { rgb(0xfff6d0) } else { rgb(0xdfe8ec) };
        canvas.flat(&f.ellipse(side * 0.86, 0.2, 0.2, 0.15), lamp);
        canvas.glaze(&f.ellipse(side * 0.86, 0.2, 0.09, 0.08), 1.0, if glow { WHITE } else { rgb(0x77838a) }, 0.9);
        if glow {
            canvas.glaze(&f.ellipse(side * 0.86, 0.2, 0.3, 0.3), f.unit * 0.5, rgb(0xfff0b8), 0.4);
        }
    }
    canvas.flat(&f.rect(0.0, 0.3, 0.5, 0.13, 0.08), rgb(0x18191c));
    for bar in 0..4 {
        canvas.flat(&f.rect(0.0, 0.21 + 0.06 * bar as f32, 0.46, 0.01, 0.0), rgb(0x8c9196));
    }
    canvas.flat(&f.rect(0.0, 0.62, 1.15, 0.07, 0.06), scaled(paint, 0.55));
    canvas.flat(&f.rect(0.0, 0.62, 0.28, 0.08, 0.02), rgb(0xf0efe9));
}

pub(super) fn button(canvas: &mut Canvas, draws: &mut Draws, f: Frame) {
    let colour = rgb(draws.pick(&[0xd9a07a, 0xf0cfae, 0x9b2f3a, 0x2f5d8a, 0x6b4a2f, 0xe7d8b9, 0x3b7a57]));
    shadow(canvas, &f, 0.98, 0.98);
    globe(canvas, &f, &f.ellipse(0.0, 0.0, 1.0, 1.0), mix(colour, WHITE, 0.1));
    canvas.fill(&f.ellipse(0.0, 0.0, 0.74, 0.74), 1.5, |x, y| (scaled(colour, 0.85 + 0.16 * f.local(x, y).1), 1.0));
    let four = draws.chance(0.55);
    for side in [-1.0, 1.0] {
        for (v, there) in [(if four { -0.22 } else { -0.05 }, true), (0.24, four)] {
            if there {
                canvas.flat(&f.ellipse(side * 0.24, v, 0.11, 0.11), scaled(colour, 0.25));
            }
        }
    }
    if draws.chance(0.5) {
        canvas.flat(&f.stroke(&[(-0.24, 0.24), (0.24, 0.24)], 0.05, 0.05), mix(colour, WHITE, 0.6));
    }
}

pub(super) fn plate(canvas: &mut Canvas, draws: &mut Draws, f: Frame) {
    shadow(canvas, &f, 1.0, 1.0);
    let china = rgb(draws.pick(&[0xf5f2ec, 0xe8d3bd, 0xdfe7ea]));
    let band = rgb(draws.pick(&[0x2f5d8a, 0x9b2f3a, 0xb9975b, 0xf5f2ec]));
    canvas.fill(&f.ellipse(0.0, 0.0, 1.0, 1.0), 1.0, |x, y| (scaled(china, 0.97 - 0.07 * f.local(x, y).1), 1.0));
    canvas.flat(&Without(f.ellipse(0.0, 0.0, 0.93, 0.93), f.ellipse(0.0, 0.0, 0.88, 0.88)), band);
    canvas.glaze(&Without(f.ellipse(0.0, 0.0, 0.7, 0.7), f.ellipse(0.03, 0.04, 0.68, 0.68)), 1.5, BLACK, 0.3);
    match draws.index(3) {
        0 => {
            for side in [-1.0, 1.0] {
                canvas.flat(&f.egg(side * 0.29, -0.15, 0.25, 0.22, 0.1), rgb(0xfefcf5));
                globe(
                    canvas,
                    &f.inner(side * 0.28, -0.15, 0.12, 0.0),
                    &f.ellipse(side * 0.28, -0.15, 0.12, 0.12),
                    rgb(0xf2a516),
                );
            }
            let rasher = f.bow((-0.42, 0.25), (0.0, 0.62), (0.42, 0.25), 0.09, 0.09);
            canvas.flat(&rasher, rgb(0xa63a2e));
            canvas.glaze(&f.bow((-0.4, 0.25), (0.0, 0.6), (0.4, 0.25), 0.025, 0.025), 1.0, rgb(0xf0c4a8), 0.9);
        }
        1 => {
            for _ in 0..9 {
                let pea = f.ellipse(draws.bell() * 0.5, draws.bell() * 0.5, 0.09, 0.09);
                canvas.flat(&pea, scaled(rgb(0x6a994e), draws.range(0.8, 1.2)));
            }
            canvas.flat(&f.egg(0.15, 0.1, 0.3, 0.2, 0.2), rgb(0x9c5a33));
        }
        _ => {}
    }
}

pub(super) fn speaker(canvas: &mut Canvas, draws: &mut Draws, f: Frame) {
    let wood = rgb(draws.pick(&[0x26262a, 0x7a4e2d, 0xcaa27a, 0xe4e1da]));
    shadow(canvas, &f, 0.75, 1.0);
    canvas.fill(&f.rect(0.0, 0.0, 0.7, 1.0, 0.06), 1.0, |x, y| (scaled(wood, 0.95 - 0.12 * f.local(x, y).0), 1.0));
    let mut cone = |v: f32, r: f32| {
        canvas.flat(&f.ellipse(0.0, v, r, r), rgb(0x8d8f94));
        canvas.flat(&f.ellipse(0.0, v, r * 0.88, r * 0.88), rgb(0x1b1b1e));
        globe(canvas, &f.inner(0.0, v, r * 0.4, 0.0), &f.ellipse(0.0, v, r * 0.36, r * 0.36), rgb(0x55565c));
    };
    cone(-0.48, 0.3);
    cone(0.35, 0.5);
}

pub(super) fn ball(canvas: &mut Canvas, draws: &mut Draws, f: Frame) {
    shadow(canvas, &f, 0.95, 0.95);
    let colour = rgb(draws.pick(&[0xe9b48a, 0x27408b, 0xc0392b, 0xf4d35e, 0xcf8a5c, 0x3b2a4a, 0xf2e3d0]));
    let whole = f.ellipse(0.0, 0.0, 1.0, 1.0);
    globe(canvas, &f, &whole, colour);
    match draws.index(3) {
        0 => {
            for (u, v) in [(-0.2, -0.25), (0.22, -0.28), (0.03, 0.12)] {
                canvas.flat(&f.ellipse(u, v, 0.11, 0.12), scaled(colour, 0.15));
            }
        }
        1 => {
            for turn in [-0.6, 0.6] {
                let seam = f.inner(0.0, 0.0, 1.0, turn).bow((-0.9, 0.2), (0.0, 0.75), (0.9, 0.2), 0.035, 0.035);
                canvas.flat(&Both(seam, whole), scaled(colour, 0.3));
            }
        }
        _ => {
            canvas.glaze(&Both(f.rect(0.0, 0.05, 1.0, 0.2, 0.0), whole), 1.0, WHITE, 0.75);
        }
    }
}

pub(super) fn traffic_light(canvas: &mut Canvas, draws: &mut Draws, f: Frame) {
    canvas.flat(&f.rect(0.0, 2.2, 0.07, 1.6, 0.0), rgb(0x4b4f52));
    canvas.flat(&f.rect(0.0, 0.0, 0.42, 1.0, 0.14), rgb(0x1d2022));
    let lit = draws.index(3);
    for (k, code) in [0xff3b30, 0xffb830, 0x3ddc68].into_iter().enumerate() {
        let v = -0.62 + 0.62 * k as f32;
        let lamp = if k == lit { rgb(code) } else { scaled(rgb(code), 0.28) };
        canvas.flat(&f.ellipse(0.0, v, 0.25, 0.25), lamp);
        if k == lit {
            canvas.glaze(&f.ellipse(0.0, v, 0.3, 0.3), f.unit * 0.4, rgb(code), 0.4);
        }
    }
}

pub(super) fn egg(canvas: &mut Canvas, draws: &mut Draws, noise: &Noise, f: Frame) {
    let shell = rgb(draws.pick(&[0xe0a982, 0xf3dcc2, 0xc98f68, 0xf7efe2]));
    shadow(canvas, &f, 0.78, 1.0);
    globe(canvas, &f, &f.egg(0.0, 0.0, 0.76, 1.0, -0.12), shell);
    for _ in 0..6 {
        let fleck = f.ellipse(draws.bell() * 0.5, draws.bell() * 0.7, 0.05, 0.05);
        canvas.glaze(&fleck, 1.5, scaled(shell, 0.5), 0.3 + 0.3 * noise.at(f.x, f.y));
    }
}
