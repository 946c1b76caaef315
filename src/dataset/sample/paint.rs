//! A small canvas: fills shapes with smooth edges and any paint, blurs areas, and records the subject of each pixel, so that a scene can
//! determine how much of a face is visible.

use super::rng::Draws;
use super::shapes::{Bounds, Shape};

/// Red, green, blue in 0..=1 (sRGB as stored, not linear).
pub(super) type Colour = [f32; 3];

pub(super) const BLACK: Colour = [0.0; 3];
pub(super) const WHITE: Colour = [1.0; 3];

/// `0xRRGGBB`.
pub(super) const fn rgb(code: u32) -> Colour {
    [((code >> 16) & 255) as f32 / 255.0, ((code >> 8) & 255) as f32 / 255.0, (code & 255) as f32 / 255.0]
}

pub(super) fn mix(a: Colour, b: Colour, t: f32) -> Colour {
    [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t]
}

pub(super) fn scaled(c: Colour, factor: f32) -> Colour {
    c.map(|channel| (channel * factor).clamp(0.0, 1.0))
}

pub(super) struct Canvas {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<Colour>,
    owners: Vec<u8>,
    /// The subject of what is painted next; 0 is the scene.
    pub owner: u8,
}

impl Canvas {
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![BLACK; width * height], owners: vec![0; width * height], owner: 0 }
    }

    /// Paints every pixel.
    pub fn cover(&mut self, paint: impl Fn(f32, f32) -> Colour) {
        for (at, pixel) in self.pixels.iter_mut().enumerate() {
            *pixel = paint((at % self.width) as f32 + 0.5, (at / self.width) as f32 + 0.5);
        }
    }

    pub fn flat(&mut self, shape: &impl Shape, colour: Colour) {
        self.fill(shape, 1.0, |_, _| (colour, 1.0));
    }

    /// Paints a flat translucent colour.
    pub fn glaze(&mut self, shape: &impl Shape, soft_px: f32, colour: Colour, alpha: f32) {
        self.fill(shape, soft_px, |_, _| (colour, alpha));
    }

    /// Fills `shape` with an edge `soft_px` wide (1 is sharp). `paint` returns colour and opacity at a position in pixels.
    pub fn fill(&mut self, shape: &impl Shape, soft_px: f32, paint: impl Fn(f32, f32) -> (Colour, f32)) {
        let soft = soft_px.max(1.0);
        let (columns, rows) = self.area(shape.bounds(), soft);
        for row in rows {
            for column in columns.clone() {
                let (x, y) = (column as f32 + 0.5, row as f32 + 0.5);
                let coverage = coverage(shape, soft, x, y);
                if coverage <= 0.0 {
                    continue;
                }
                let (colour, alpha) = paint(x, y);
                let alpha = alpha * coverage;
                let at = row * self.width + column;
                self.pixels[at] = mix(self.pixels[at], colour, alpha);
                if alpha > 0.5 {
                    self.owners[at] = self.owner;
                }
            }
        }
    }

    /// Counts pixels of `shape` that show the subject `owner`.
    pub fn count_owned(&self, shape: &impl Shape, owner: u8) -> usize {
        let (columns, rows) = self.area(shape.bounds(), 0.0);
        let shown = |row: usize, column: usize| {
            self.owners[row * self.width + column] == owner
                && shape.distance(column as f32 + 0.5, row as f32 + 0.5) < 0.0
        };
        rows.map(|row| columns.clone().filter(|&column| shown(row, column)).count()).sum()
    }

    /// Blurs the inside of `shape`, fading at its edge over `soft_px`.
    pub fn blur_within(&mut self, shape: &impl Shape, soft_px: f32, radius: usize) {
        let (columns, rows) = self.area(shape.bounds(), soft_px.max(1.0));
        if columns.is_empty() || rows.is_empty() {
            return;
        }
        let line = |row: usize| row * self.width + columns.start..row * self.width + columns.end;
        let mut blurred: Vec<Colour> = rows.clone().flat_map(|row| self.pixels[line(row)].iter().copied()).collect();
        box_blur(&mut blurred, columns.len(), radius);
        let mut blurred = blurred.into_iter();
        for row in rows {
            for (column, colour) in columns.clone().zip(blurred.by_ref()) {
                let at = row * self.width + column;
                let share = coverage(shape, soft_px.max(1.0), column as f32 + 0.5, row as f32 + 0.5);
                self.pixels[at] = mix(self.pixels[at], colour, share);
            }
        }
    }

    pub fn blur(&mut self, radius: usize) {
        box_blur(&mut self.pixels, self.width, radius);
    }

    fn area(&self, b: Bounds, margin: f32) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let span = |low: f32, high: f32, size: usize| {
            let low = (low - margin).floor().clamp(0.0, size as f32) as usize;
            low..(high + margin).ceil().clamp(low as f32, size as f32) as usize
        };
        (span(b.0, b.2, self.width), span(b.1, b.3, self.height))
    }
}

/// Two box blurs in each direction approximate a Gaussian.
fn box_blur(pixels: &mut [Colour], width: usize, radius: usize) {
    let height = pixels.len() / width;
    let mut line = Vec::new();
    for _ in 0..2 {
        for row in 0..height {
            blur_line(pixels, row * width, 1, width, radius, &mut line);
        }
        for column in 0..width {
            blur_line(pixels, column, width, height, radius, &mut line);
        }
    }
}

/// Blurs `count` pixels from `start`, `step` apart, with the end pixels repeated beyond the ends. `line` is scratch space.
fn blur_line(pixels: &mut [Colour], start: usize, step: usize, count: usize, radius: usize, line: &mut Vec<Colour>) {
    line.clear();
    line.extend(std::iter::repeat_n(pixels[start], radius));
    line.extend((0..count).map(|k| pixels[start + k * step]));
    line.extend(std::iter::repeat_n(pixels[start + (count - 1) * step], radius + 1));
    let width = 2 * radius + 1;
    let share = 1.0 / width as f32;
    let mut sum = line[..width].iter().fold([0.0; 3], |sum, &pixel| add(sum, pixel, 1.0));
    for k in 0..count {
        pixels[start + k * step] = sum.map(|channel| channel * share);
        sum = add(add(sum, line[k + width], 1.0), line[k], -1.0);
    }
}

/// Returns the coverage of the pixel around `(x, y)` by the shape, 0..=1, for an edge `soft` pixels wide.
fn coverage(shape: &impl Shape, soft: f32, x: f32, y: f32) -> f32 {
    (0.5 - shape.distance(x, y) / soft).clamp(0.0, 1.0)
}

fn add(a: Colour, b: Colour, sign: f32) -> Colour {
    [a[0] + sign * b[0], a[1] + sign * b[1], a[2] + sign * b[2]]
}

/// Smooth noise on a repeating lattice.
pub(super) struct Noise(Vec<f32>);

impl Noise {
    const SIDE: usize = 64;

    pub fn new(draws: &mut Draws) -> Self {
        Self((0..Self::SIDE * Self::SIDE).map(|_| draws.unit()).collect())
    }

    /// Returns a value in 0..1; features are about 1 apart.
    pub fn at(&self, x: f32, y: f32) -> f32 {
        let (column, fx) = whole_and_part(x);
        let (row, fy) = whole_and_part(y);
        let (fx, fy) = (fx * fx * (3.0 - 2.0 * fx), fy * fy * (3.0 - 2.0 * fy));
        let value = |dx: usize, dy: usize| self.0[(row + dy) % Self::SIDE * Self::SIDE + (column + dx) % Self::SIDE];
        let above = value(0, 0) + (value(1, 0) - value(0, 0)) * fx;
        let below = value(0, 1) + (value(1, 1) - value(0, 1)) * fx;
        above + (below - above) * fy
    }

    /// Three octaves, 0..1.
    pub fn rough(&self, x: f32, y: f32) -> f32 {
        (4.0 * self.at(x, y) + 2.0 * self.at(x * 2.1, y * 2.1) + self.at(x * 4.3, y * 4.3)) / 7.0
    }
}

/// Returns `x` modulo the lattice as an index, and its fractional part. The library's rounding would take most of the time here.
fn whole_and_part(x: f32) -> (usize, f32) {
    /// A multiple of the lattice's side, above any coordinate; small enough to keep eight fractional bits.
    const SHIFT: f32 = 16_384.0;
    let shifted = (x + SHIFT).max(0.0);
    let whole = shifted as usize;
    (whole % Noise::SIDE, shifted - whole as f32)
}

/// Returns the fractional part of `x`, relative to the next lower integer.
pub(super) fn part(x: f32) -> f32 {
    x - (x as i32 - i32::from(x < 0.0)) as f32
}
