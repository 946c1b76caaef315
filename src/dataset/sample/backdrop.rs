//! Backgrounds of the sample's scenes: rooms, streets, parks, nights, studios, table tops.

use super::paint::{Canvas, Colour, Noise, WHITE, mix, part, rgb, scaled};
use super::rng::Draws;
use super::shapes::{Frame, length};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backdrop {
    Room,
    Street,
    Park,
    Night,
    Studio,
    Table,
}

impl Backdrop {
    pub const ALL: [Self; 6] = [Self::Room, Self::Street, Self::Park, Self::Night, Self::Studio, Self::Table];

    /// Paints the whole canvas, slightly out of focus.
    pub fn paint(self, canvas: &mut Canvas, draws: &mut Draws, noise: &Noise) {
        match self {
            Self::Room => room(canvas, draws, noise),
            Self::Street => street(canvas, draws, noise),
            Self::Park => park(canvas, draws, noise),
            Self::Night => night(canvas, draws, noise),
            Self::Studio => studio(canvas, draws, noise),
            Self::Table => table(canvas, draws, noise),
        }
        canvas.blur(1 + draws.index(2));
    }
}

/// One unit is a pixel; the origin is the top-left corner.
fn pixels() -> Frame {
    Frame::new(0.0, 0.0, 1.0, 0.0)
}

fn room(canvas: &mut Canvas, draws: &mut Draws, noise: &Noise) {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let f = pixels();
    let wall = rgb(draws.pick(&[0xd9cbb4, 0xb9c4c9, 0xc8b6a6, 0x8fa3a0, 0xe3d5c0, 0xa88f86, 0x7c8799, 0xc9a38c]));
    let second = mix(wall, rgb(draws.pick(&[0x704a3a, 0xffffff, 0x2f3e4e])), 0.22);
    let paper = draws.index(4);
    let step = draws.range(14.0, 34.0);
    let lamp = draws.range(0.1, 0.9) * w;
    let floor = h * draws.range(0.72, 0.95);
    canvas.cover(|x, y| {
        let pattern = match paper {
            0 => part(x / step) < 0.4,
            1 => length(part(x / step) - 0.5, part(y / step) - 0.5) < 0.18,
            2 => part((x + y) / step) < 0.15 || part((x - y) / step) < 0.15,
            _ => false,
        };
        let glow = 1.12 - length((x - lamp) / w, y / h * 0.7) * 0.5;
        scaled(if pattern { second } else { wall }, glow * (0.94 + 0.1 * noise.rough(x / 22.0, y / 22.0)))
    });
    let wood = rgb(draws.pick(&[0x6b4a2f, 0x8a6a4a, 0x4d3a2c, 0x9c8468]));
    canvas.fill(&f.rect(w / 2.0, f32::midpoint(floor, h) + 20.0, w, (h - floor) / 2.0 + 20.0, 0.0), 1.0, |x, y| {
        let board = noise.at((x / 46.0) as i32 as f32 * 3.7, (y / 9.0) as i32 as f32 * 1.9);
        (scaled(wood, 0.75 + 0.3 * board + 0.12 * noise.rough(x / 16.0, y / 2.5)), 1.0)
    });
    canvas.flat(&f.rect(w / 2.0, floor, w, 3.5, 0.0), scaled(WHITE, 0.86));
    for _ in 0..=draws.index(3) {
        let (x, y) = (draws.range(0.0, w), draws.range(0.0, h * 0.5));
        match draws.index(3) {
            0 => window(canvas, draws, x, y),
            1 => picture(canvas, draws, noise, x, y),
            _ => shelf(canvas, draws, x, y + 40.0),
        }
    }
}

fn window(canvas: &mut Canvas, draws: &mut Draws, x: f32, y: f32) {
    let f = Frame::new(x, y, draws.range(38.0, 60.0), 0.0);
    canvas.flat(&f.rect(0.0, 0.0, 1.0, 1.2, 0.04), scaled(WHITE, 0.93));
    let sky = mix(rgb(0x9cc7e8), rgb(0xf2e6cf), draws.unit());
    canvas.fill(&f.rect(0.0, 0.0, 0.9, 1.1, 0.0), 1.0, |x, y| {
        (mix(sky, WHITE, (0.5 - f.local(x, y).1 * 0.5).clamp(0.0, 0.8)), 1.0)
    });
    canvas.flat(&f.rect(0.0, 0.0, 0.05, 1.1, 0.0), scaled(WHITE, 0.9));
    canvas.flat(&f.rect(0.0, -0.1, 0.9, 0.05, 0.0), scaled(WHITE, 0.9));
}

fn picture(canvas: &mut Canvas, draws: &mut Draws, noise: &Noise, x: f32, y: f32) {
    let f = Frame::new(x, y, draws.range(22.0, 38.0), 0.0);
    let [a, b] = [0, 1].map(|_| rgb(draws.pick(&[0x355070, 0xeaac8b, 0x6d597a, 0x588157, 0xf4f1de, 0xe07a5f])));
    canvas.flat(&f.rect(0.0, 0.0, 1.0, 0.8, 0.02), rgb(draws.pick(&[0x2b2320, 0xc9a227, 0x8c6a4a])));
    canvas.fill(&f.rect(0.0, 0.0, 0.86, 0.66, 0.0), 1.0, |x, y| {
        (mix(a, b, (noise.rough(x / 19.0, y / 11.0) * 2.0 - 0.5).clamp(0.0, 1.0)), 1.0)
    });
}

fn shelf(canvas: &mut Canvas, draws: &mut Draws, x: f32, y: f32) {
    let f = pixels();
    let wide = draws.range(40.0, 90.0);
    let mut at = x - wide;
    while at < x + wide {
        let (thick, tall) = (draws.range(2.5, 6.0), draws.range(12.0, 26.0));
        let spine = rgb(draws.pick(&[0x8b2635, 0x2e4057, 0xe0b354, 0x4f6d4a, 0xd8d0c4, 0x3a3a48, 0xb56a43]));
        canvas.flat(&f.rect(at, y - tall, thick - 0.4, tall, 0.6), spine);
        at += 2.0 * thick + if draws.chance(0.12) { 12.0 } else { 0.0 };
    }
    canvas.flat(&f.rect(x, y + 2.0, wide + 8.0, 3.0, 0.0), rgb(0x5b3f2b));
}

fn street(canvas: &mut Canvas, draws: &mut Draws, noise: &Noise) {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let f = pixels();
    let sky =
        [rgb(draws.pick(&[0x8fb8de, 0xb9c6cf, 0xe8c39e, 0x6f9fd8])), rgb(draws.pick(&[0xe9eff2, 0xf7e3c5, 0xdfe7ea]))];
    canvas.cover(|x, y| {
        mix(mix(sky[0], sky[1], y / h * 1.3), WHITE, (noise.rough(x / 55.0, y / 22.0) - 0.45).clamp(0.0, 0.4))
    });
    let ground = h * draws.range(0.7, 0.86);
    let mut x = -20.0;
    while x < w + 20.0 {
        let wide = draws.range(28.0, 62.0);
        let top = h * draws.range(0.02, 0.45);
        building(canvas, draws, (x, x + wide), (top, ground));
        x += wide + 1.0;
    }
    canvas.fill(&f.rect(w / 2.0, ground + h / 2.0, w, h / 2.0, 0.0), 1.0, |x, y| {
        let near = (y - ground) / (h - ground);
        (scaled(rgb(0x6f7076), 0.72 + 0.22 * noise.rough(x / 3.0, y / 1.5) + 0.12 * near), 1.0)
    });
    canvas.flat(&f.rect(w / 2.0, ground, w, 3.0, 0.0), rgb(0xa9a59d));
}

fn building(canvas: &mut Canvas, draws: &mut Draws, (left, right): (f32, f32), (top, ground): (f32, f32)) {
    let f = pixels();
    let wall = rgb(draws.pick(&[0xa4694f, 0xc9b79c, 0x8d99ae, 0x7a6a5d, 0xd6c2a4, 0x9a8c98, 0xb5838d, 0x6d7c7a]));
    let pane = mix(rgb(0x32424f), rgb(0xcfe3ee), draws.range(0.0, 0.5));
    canvas.flat(
        &f.rect(
            f32::midpoint(left, right),
            f32::midpoint(top, ground),
            (right - left) / 2.0,
            (ground - top) / 2.0,
            0.0,
        ),
        wall,
    );
    let (dx, dy) = (draws.range(9.0, 14.0), draws.range(12.0, 18.0));
    let mut y = top + 8.0;
    while y < ground - 16.0 {
        let mut x = left + 6.0;
        while x < right - 5.0 {
            let lit = if draws.chance(0.15) { rgb(0xf3d58a) } else { scaled(pane, draws.range(0.8, 1.15)) };
            canvas.flat(&f.rect(x, y, dx * 0.27, dy * 0.3, 0.0), lit);
            x += dx;
        }
        y += dy;
    }
    let shop = rgb(draws.pick(&[0x7c2d2d, 0x24523b, 0x27408b, 0xd49a3a, 0x3b3b3b]));
    canvas.flat(&f.rect(f32::midpoint(left, right), ground - 13.0, (right - left) / 2.0 - 2.0, 3.0, 0.0), shop);
    canvas.flat(&f.rect(f32::midpoint(left, right), ground - 5.0, (right - left) / 2.0 - 4.0, 5.0, 0.0), rgb(0x2a3238));
}

fn park(canvas: &mut Canvas, draws: &mut Draws, noise: &Noise) {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let f = pixels();
    let sky = [rgb(draws.pick(&[0x5fa8e0, 0x8ec5ee, 0xc9d6df, 0xf2b880])), rgb(0xeef5f7)];
    canvas.cover(|x, y| {
        mix(mix(sky[0], sky[1], y / h * 1.5), WHITE, ((noise.rough(x / 60.0, y / 26.0) - 0.42) * 2.2).clamp(0.0, 0.9))
    });
    let horizon = h * draws.range(0.42, 0.66);
    let green = rgb(draws.pick(&[0x5b8c3a, 0x7a9a3c, 0x4b7f4e, 0xa59a45]));
    let hill = |x: f32| horizon - 26.0 * noise.at(x / 70.0, 3.0);
    canvas.fill(&f.rect(w / 2.0, h / 2.0, w, h, 0.0), 1.0, |x, y| {
        (mix(green, rgb(0x9db4c4), 0.45), ((y - hill(x)) * 0.7).clamp(0.0, 1.0))
    });
    for _ in 0..3 + draws.index(6) {
        tree(canvas, draws, noise, horizon, green);
    }
    canvas.fill(&f.rect(w / 2.0, horizon + h / 2.0, w, h / 2.0, 0.0), 1.0, |x, y| {
        let near = (y - horizon) / (h - horizon);
        let blades = noise.rough(x / (2.0 + 5.0 * near), y / (1.0 + 9.0 * near));
        (scaled(green, 0.72 + 0.5 * blades + 0.1 * near), 1.0)
    });
}

fn tree(canvas: &mut Canvas, draws: &mut Draws, noise: &Noise, horizon: f32, green: Colour) {
    let f = Frame::new(
        draws.range(0.0, canvas.width as f32),
        horizon + draws.range(0.0, 14.0),
        draws.range(30.0, 70.0),
        0.0,
    );
    let leaf = scaled(mix(green, rgb(draws.pick(&[0x2f5d34, 0xc47b2b, 0x6b8f2e])), 0.5), draws.range(0.6, 0.95));
    canvas.flat(&f.stroke(&[(0.0, 0.0), (0.0, -0.8)], 0.1, 0.07), rgb(0x4b3526));
    for k in 0..9 {
        let (u, v) = (draws.bell() * 0.55, -1.1 + draws.bell() * 0.5);
        canvas.fill(&f.ellipse(u, v, 0.4, 0.34), 5.0, |x, y| {
            let light = 0.75 + 0.4 * noise.rough(x / 4.0, y / 4.0) - (f.local(x, y).1 + 1.1) * 0.25;
            (scaled(leaf, light + 0.02 * k as f32), 1.0)
        });
    }
}

fn night(canvas: &mut Canvas, draws: &mut Draws, noise: &Noise) {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let [above, below] =
        [rgb(draws.pick(&[0x0b1026, 0x140f24, 0x101820])), rgb(draws.pick(&[0x3a2a4a, 0x4a2f2a, 0x1f3550]))];
    canvas.cover(|x, y| scaled(mix(above, below, y / h), 0.8 + 0.4 * noise.rough(x / 40.0, y / 40.0)));
    let f = pixels();
    for _ in 0..40 {
        let star = f.ellipse(draws.range(0.0, w), draws.range(0.0, h * 0.5), 0.6, 0.6);
        canvas.glaze(&star, 1.0, WHITE, draws.range(0.2, 0.9));
    }
    lights(canvas, draws, 26, &[0xffc46b, 0xff7f50, 0xfff1c9, 0x7fc8ff, 0xff5d73, 0x9dff9d]);
}

/// Out-of-focus lamps.
fn lights(canvas: &mut Canvas, draws: &mut Draws, count: usize, colours: &[u32]) {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let f = pixels();
    for _ in 0..count {
        let r = draws.log_range(3.0, 15.0);
        let disc = f.ellipse(draws.range(0.0, w), draws.range(h * 0.15, h), r, r);
        canvas.glaze(&disc, 1.6, rgb(draws.pick(colours)), draws.range(0.12, 0.5));
    }
}

fn studio(canvas: &mut Canvas, draws: &mut Draws, noise: &Noise) {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let [a, b] = [0, 1].map(|_| {
        rgb(draws.pick(&[
            0x264653, 0x2a9d8f, 0xe9c46a, 0xe76f51, 0x6d6875, 0xb5838d, 0xe5989b, 0x355070, 0xd8e2dc, 0x8d99ae,
        ]))
    });
    let (cx, cy) = (draws.range(0.2, 0.8) * w, draws.range(0.1, 0.7) * h);
    canvas.cover(|x, y| {
        let away = length((x - cx) / w, (y - cy) / h);
        scaled(mix(a, b, (away * 1.1).clamp(0.0, 1.0)), 0.9 + 0.22 * noise.rough(x / 30.0, y / 30.0))
    });
    if draws.chance(0.6) {
        lights(canvas, draws, 14, &[0xffffff, 0xfff1c9, 0xffd6e0]);
    }
}

fn table(canvas: &mut Canvas, draws: &mut Draws, noise: &Noise) {
    let wood = rgb(draws.pick(&[0x9a6b43, 0xb98b5f, 0x6f4a30, 0xd1b48c, 0x51606b, 0xc9c3b8]));
    let board = draws.range(26.0, 60.0);
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    canvas.cover(|x, y| {
        let row = (y / board) as i32 as f32;
        let seam = if part(y / board) < 0.04 { 0.55 } else { 1.0 };
        let grain = noise.rough(x / 34.0 + row * 7.3, y / 2.6);
        let light = 1.1 - 0.35 * length(x / w - 0.3, y / h - 0.2);
        scaled(wood, (0.76 + 0.4 * grain) * seam * light)
    });
}
