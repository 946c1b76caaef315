//! Hair: behind the head, on the head, and the head seen from behind.

use super::super::paint::{Canvas, Colour, Noise, WHITE, mix, scaled};
use super::super::shapes::{Both, Shape, Without};
use super::{Front, HairStyle, Hat, Person};

impl Person {
    pub(super) fn paint_hair_behind(&self, canvas: &mut Canvas, noise: &Noise) {
        let f = &self.frame;
        let a = self.aspect;
        match self.style {
            HairStyle::Long => {
                self.paint_strands(canvas, noise, &f.egg(0.0, 0.35, a * 1.22, 1.25, -0.12), 0.72);
                self.paint_strands(canvas, noise, &f.rect(0.0, 0.9, a * 1.2, 0.75, 0.35), 0.66);
            }
            HairStyle::Curly if self.hat == Hat::None => {
                self.paint_strands(canvas, noise, &f.ellipse(0.0, -0.18, a * 1.3, 1.0), 0.75);
                for k in 0..14 {
                    let t = std::f32::consts::PI * (0.9 + 1.2 * k as f32 / 13.0);
                    let curl = f.ellipse(a * 1.24 * t.cos(), -0.12 + 0.94 * t.sin(), 0.19, 0.18);
                    self.paint_strands(canvas, noise, &curl, 0.78 + 0.1 * (k % 3) as f32);
                }
            }
            HairStyle::Bun if self.hat == Hat::None => {
                self.paint_strands(canvas, noise, &f.ellipse(self.yaw * -0.3, -1.05, 0.32, 0.28), 0.9);
            }
            _ => {}
        }
    }

    /// Paints the hair that frames the face, by style.
    pub(super) fn paint_hair(&self, canvas: &mut Canvas, noise: &Noise) {
        let f = &self.frame;
        let a = self.aspect;
        // Centre, half width and top of the opening that shows the face.
        let (mid, half, top) = match self.style {
            HairStyle::Bald => return self.paint_bald_sides(canvas, noise),
            HairStyle::Short | HairStyle::Bun => (0.0, 0.9, -0.56),
            HairStyle::Fringe => (0.0, 0.84, -0.3),
            HairStyle::Side => (0.22, 0.95, -0.52),
            HairStyle::Long => (0.1, 0.78, -0.58),
            HairStyle::Curly => (0.0, 0.86, -0.44),
        };
        let shift = self.yaw.sin() * a * 0.4 + mid * a;
        let low = if self.style == HairStyle::Long { 1.5 } else { 0.12 };
        let skull = f.egg(0.0, -0.01, a * 1.03, 1.03, self.taper * 0.6);
        let upper = f.rect(0.0, low - 2.0, 3.0, 2.0, 0.0);
        let middle = f32::midpoint(top, 1.5);
        let window = f.ellipse(shift, middle + self.pitch * 0.4, a * half, 1.5 - middle);
        self.paint_strands(canvas, noise, &Without(Both(skull, upper), window), 1.0);
    }

    fn paint_bald_sides(&self, canvas: &mut Canvas, noise: &Noise) {
        if self.brow > 0.8 {
            return;
        }
        let f = &self.frame;
        let a = self.aspect;
        let ring = Both(f.egg(0.0, 0.0, a * 1.02, 1.0, self.taper), f.rect(0.0, -0.08, 2.0, 0.24, 0.1));
        let window = f.ellipse(self.yaw.sin() * a * 0.4, 0.0, a * 0.86, 1.2);
        self.paint_strands(canvas, noise, &Without(ring, window), 0.95);
    }

    pub(super) fn paint_back_of_head(&self, canvas: &mut Canvas, noise: &Noise) {
        let f = &self.frame;
        let a = self.aspect;
        for side in [-1.0, 1.0] {
            canvas.flat(&f.ellipse(side * a, 0.1, 0.1, 0.19), self.lit(self.skin, side * a * 0.8, 0.1));
        }
        let head = f.egg(0.0, 0.0, a * 1.02, 1.02, self.taper * 0.5);
        let nape = f.ellipse(0.0, 1.15, a * 0.75, if self.style == HairStyle::Long { 0.05 } else { 0.42 });
        self.paint_strands(canvas, noise, &Without(head, nape), 0.95);
        if self.style == HairStyle::Long {
            self.paint_strands(canvas, noise, &f.rect(0.0, 0.75, a * 1.05, 0.85, 0.4), 0.85);
        }
    }

    /// Paints hair: strands from the crown, highlights from the light.
    fn paint_strands(&self, canvas: &mut Canvas, noise: &Noise, shape: &impl Shape, brightness: f32) {
        canvas.fill(shape, 1.0, |x, y| {
            let (u, v) = self.frame.local(x, y);
            (self.strand(noise, u, v, brightness), 1.0)
        });
    }

    fn strand(&self, noise: &Noise, u: f32, v: f32, brightness: f32) -> Colour {
        let along = (v + 1.3).max(0.2);
        let streak = if self.style == HairStyle::Curly {
            noise.rough(u * 9.0, v * 9.0)
        } else {
            noise.rough(u / along * 14.0 + 17.0, v * 1.6)
        };
        let shade = self.shade(u * 0.85, v * 0.85) * brightness;
        let shine =
            ((shade - 0.9) * (streak - 0.25)).clamp(0.0, 0.3) * if self.front == Front::Blank { 1.5 } else { 1.0 };
        scaled(mix(self.hair, WHITE, shine), shade * (0.72 + 0.56 * streak))
    }
}
