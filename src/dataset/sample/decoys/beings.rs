//! Decoys with a face: masks, moons, balloons, pumpkins, teddies. The frame's unit is half their height.

use super::super::paint::{BLACK, Canvas, Noise, WHITE, mix, rgb, scaled};
use super::super::rng::Draws;
use super::super::shapes::{Both, Frame, Without};
use super::things::{globe, shadow};

pub(super) fn mask(canvas: &mut Canvas, draws: &mut Draws, f: Frame) {
    let colour = rgb(draws.pick(&[0xf4f0e6, 0xd4af37, 0xb23a48, 0x2f2f35, 0xe2c4a6, 0x4a7c8c]));
    let smile = if draws.chance(0.6) { 1.0 } else { -1.0 };
    shadow(canvas, &f, 0.76, 0.98);
    globe(canvas, &f, &f.egg(0.0, 0.0, 0.76, 1.0, 0.18), colour);
    for side in [-1.0, 1.0] {
        let eye = f.bow((side * 0.16, -0.13), (side * 0.34, -0.3), (side * 0.52, -0.13), 0.07, 0.05);
        canvas.flat(&eye, rgb(0x0d0c0e));
        canvas.flat(
            &f.bow((side * 0.14, -0.4), (side * 0.34, -0.58), (side * 0.56, -0.36), 0.03, 0.02),
            scaled(colour, 0.4),
        );
        canvas.glaze(&f.ellipse(side * 0.42, 0.2, 0.14, 0.14), f.unit * 0.12, rgb(0xc0392b), 0.35);
    }
    canvas.glaze(&f.stroke(&[(0.06, -0.15), (0.09, 0.2)], 0.03, 0.06), f.unit * 0.06, BLACK, 0.3);
    let corner = 0.5 - 0.1 * smile;
    let mouth = f.bow((-0.34, corner), (0.0, corner + 0.36 * smile), (0.34, corner), 0.055, 0.055);
    canvas.flat(&mouth, rgb(0x120d0e));
    if draws.chance(0.5) {
        for k in -2..=2 {
            let feather = f.inner(k as f32 * 0.2, -0.92, 0.5, k as f32 * 0.25);
            canvas.flat(
                &feather.ellipse(0.0, -0.5, 0.14, 0.62),
                mix(rgb(0x1f7a8c), rgb(0xd4af37), 0.25 * (k + 2) as f32),
            );
        }
    }
}

pub(super) fn moon(canvas: &mut Canvas, noise: &Noise, f: Frame) {
    canvas.glaze(&f.ellipse(0.0, 0.0, 1.35, 1.35), f.unit * 0.8, rgb(0xfff3cf), 0.35);
    canvas.fill(&f.ellipse(0.0, 0.0, 1.0, 1.0), 1.0, |x, y| {
        let (u, v) = f.local(x, y);
        let seas = ((noise.rough(u * 2.3 + 5.0, v * 2.3 + f.x) - 0.48) * 3.0).clamp(0.0, 0.55);
        (scaled(mix(rgb(0xfbf0cf), rgb(0x8d8878), seas), 1.0 - 0.18 * (u * u + v * v)), 1.0)
    });
    for (u, v, r) in [(-0.32, -0.22, 0.15), (0.35, -0.28, 0.13), (0.05, 0.42, 0.22), (-0.5, 0.3, 0.08)] {
        canvas.glaze(&f.ellipse(u, v, r, r * 0.9), f.unit * 0.05, rgb(0x9a937d), 0.6);
        canvas.glaze(&f.ellipse(u - 0.03, v - 0.03, r * 0.75, r * 0.66), f.unit * 0.05, rgb(0xcfc6a6), 0.6);
    }
}

pub(super) fn balloon(canvas: &mut Canvas, draws: &mut Draws, f: Frame) {
    let colour = rgb(draws.pick(&[0xd62839, 0xf7b538, 0x2176ae, 0x57b894, 0xe9a98a, 0xb56bb8, 0xf4c7ab]));
    canvas.glaze(&f.bow((0.0, 1.1), (0.35, 2.0), (0.05, 3.2), 0.02, 0.02), 1.2, rgb(0xe8e8e8), 0.8);
    canvas.flat(&f.polygon(&[(0.0, 0.96), (-0.12, 1.16), (0.12, 1.16)], 0.01), scaled(colour, 0.7));
    let skin = f.egg(0.0, 0.0, 0.82, 1.0, 0.1);
    globe(canvas, &f, &skin, colour);
    if draws.chance(0.35) {
        let ink = rgb(0x1c1418);
        for side in [-1.0, 1.0] {
            canvas.flat(&f.ellipse(side * 0.27, -0.18, 0.08, 0.12), ink);
        }
        canvas.flat(&f.bow((-0.4, 0.2), (0.0, 0.68), (0.4, 0.2), 0.045, 0.045), ink);
    } else if draws.chance(0.4) {
        canvas.glaze(&Both(f.rect(0.0, 0.15, 1.0, 0.16, 0.0), skin), 1.0, WHITE, 0.7);
    }
}

pub(super) fn pumpkin(canvas: &mut Canvas, draws: &mut Draws, f: Frame) {
    let colour = rgb(draws.pick(&[0xe8731a, 0xd95f0e, 0xf29b38]));
    canvas.glaze(&f.ellipse(0.0, 0.9, 1.1, 0.2), f.unit * 0.2, BLACK, 0.5);
    canvas.flat(&f.bow((0.0, -0.75), (0.05, -1.05), (0.22, -1.1), 0.12, 0.08), rgb(0x4f6b2b));
    globe(canvas, &f.inner(0.0, 0.05, 1.12, 0.0), &f.ellipse(0.0, 0.05, 1.1, 0.88), colour);
    for k in -2_i32..=2 {
        let ru = 1.08 * (1.0 - 0.2 * k.abs() as f32);
        let rib = Without(f.ellipse(0.0, 0.05, ru, 0.87), f.ellipse(0.0, 0.05, ru - 0.05, 0.9));
        canvas.glaze(&rib, 2.0, scaled(colour, 0.5), if k == 0 { 0.0 } else { 0.35 });
    }
    if draws.chance(0.7) {
        let fire = if draws.chance(0.5) { rgb(0xffe066) } else { rgb(0x1d0f08) };
        for side in [-1.0, 1.0] {
            canvas.flat(&f.polygon(&[(side * 0.2, -0.08), (side * 0.58, -0.08), (side * 0.38, -0.42)], 0.02), fire);
        }
        canvas.flat(&f.polygon(&[(-0.1, 0.16), (0.1, 0.16), (0.0, 0.0)], 0.01), fire);
        canvas.flat(
            &f.polygon(
                &[
                    (-0.62, 0.28),
                    (-0.3, 0.4),
                    (-0.22, 0.32),
                    (-0.1, 0.43),
                    (0.14, 0.43),
                    (0.22, 0.32),
                    (0.3, 0.4),
                    (0.62, 0.28),
                    (0.32, 0.64),
                    (0.1, 0.6),
                    (0.02, 0.7),
                    (-0.1, 0.68),
                    (-0.32, 0.64),
                ],
                0.01,
            ),
            fire,
        );
    }
}

pub(super) fn teddy(canvas: &mut Canvas, draws: &mut Draws, noise: &Noise, f: Frame) {
    let fur = rgb(draws.pick(&[0x9a6a3c, 0xc79a63, 0x6b4a34, 0xe0c49a, 0xb9b2a8]));
    let hairy = |x: f32, y: f32, light: f32| {
        let (u, v) = f.local(x, y);
        (scaled(fur, light * (0.72 + 0.45 * noise.rough(u * 13.0, v * 13.0)) - 0.12 * v - 0.1 * u), 1.0)
    };
    canvas.fill(&f.ellipse(0.0, 1.6, 0.85, 0.95), 1.5, |x, y| hairy(x, y, 1.05));
    for side in [-1.0, 1.0] {
        canvas.fill(&f.ellipse(side * 0.68, -0.68, 0.34, 0.34), 1.5, |x, y| hairy(x, y, 0.9));
        canvas.flat(&f.ellipse(side * 0.68, -0.66, 0.19, 0.19), mix(fur, rgb(0xf0c8a8), 0.6));
        canvas.fill(&f.stroke(&[(side * 0.7, 1.1), (side * 1.05, 1.7)], 0.25, 0.22), 1.5, |x, y| hairy(x, y, 0.95));
    }
    canvas.fill(&f.ellipse(0.0, 0.0, 0.95, 0.86), 1.5, |x, y| hairy(x, y, 1.0));
    canvas.flat(&f.ellipse(0.0, 0.32, 0.42, 0.34), mix(fur, rgb(0xf7e6cf), 0.7));
    canvas.flat(&f.ellipse(0.0, 0.18, 0.15, 0.1), rgb(0x1a1210));
    canvas.flat(&f.bow((-0.2, 0.42), (0.0, 0.58), (0.2, 0.42), 0.03, 0.03), rgb(0x2a1a14));
    for side in [-1.0, 1.0] {
        canvas.flat(&f.ellipse(side * 0.34, -0.14, 0.1, 0.11), rgb(0x0e0b0a));
        canvas.flat(&f.ellipse(side * 0.34 - 0.03, -0.18, 0.03, 0.03), WHITE);
    }
}
