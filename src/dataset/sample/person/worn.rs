//! Glasses, hats, and things held in front of the face.

use super::super::paint::{BLACK, Canvas, Noise, WHITE, mix, rgb, scaled};
use super::super::shapes::{Both, Shape};
use super::{Cover, Front, Hat, Person};

impl Person {
    pub(super) fn paint_glasses(&self, canvas: &mut Canvas) {
        let Some(dark) = self.glasses else { return };
        let f = &self.frame;
        let frame = if self.brow > 0.8 { rgb(0x16161a) } else { rgb(0x6a4a2a) };
        let mut bridge = Vec::new();
        for side in [-1.0, 1.0] {
            let ((u, v), narrow) = self.on_face(side * 0.47, -0.08);
            let half = 0.235 * narrow.max(0.15);
            bridge.push((u - side * half, v - 0.03));
            let lens = f.rect(u, v, half, 0.16, 0.13);
            let (glass, alpha) = if dark { (rgb(0x101014), 0.9) } else { (rgb(0xdfeaf2), 0.16) };
            canvas.glaze(&lens, 1.0, glass, alpha);
            let glint = Both(lens, f.stroke(&[(u - half * 0.4, v + 0.16), (u + half * 0.2, v - 0.16)], 0.035, 0.035));
            canvas.glaze(&glint, 1.0, WHITE, if dark { 0.3 } else { 0.35 });
            let rim = f.rect(u, v, half + 0.02, 0.18, 0.14);
            let line = super::super::shapes::Without(rim, f.rect(u, v, (half - 0.02).max(0.02), 0.14, 0.11));
            canvas.flat(&line, frame);
            let edge = side * self.aspect * 0.97;
            if narrow > 0.3 {
                canvas.flat(&f.stroke(&[(u + side * half, v - 0.04), (edge, v - 0.07)], 0.022, 0.018), frame);
            }
        }
        canvas.flat(&f.stroke(&bridge, 0.022, 0.022), frame);
    }

    pub(super) fn paint_hat(&self, canvas: &mut Canvas, noise: &Noise) {
        let f = &self.frame;
        let a = self.aspect;
        let skull = f.egg(0.0, -0.03, a * 1.1, 1.08, self.taper * 0.5);
        let front = self.yaw.sin() * a * 0.5;
        match self.hat {
            Hat::None => {}
            Hat::Beanie => {
                self.paint_felt(canvas, noise, &Both(skull, f.rect(0.0, -2.42, 3.0, 2.0, 0.0)), 1.0);
                self.paint_felt(
                    canvas,
                    noise,
                    &f.bow((-a * 1.06, -0.4), (front, -0.56), (a * 1.06, -0.4), 0.13, 0.13),
                    0.8,
                );
                self.paint_felt(canvas, noise, &f.ellipse(0.0, -1.12, 0.2, 0.18), 1.15);
            }
            Hat::Cap => {
                self.paint_felt(canvas, noise, &Both(skull, f.rect(0.0, -2.5, 3.0, 2.0, 0.0)), 1.0);
                if self.front != Front::BackOfHead {
                    let peak =
                        f.bow((front - a * 0.8, -0.47), (front * 1.6, -0.62), (front + a * 0.8, -0.47), 0.1, 0.1);
                    self.paint_felt(canvas, noise, &peak, 0.65);
                }
            }
            Hat::Brim => {
                self.paint_felt(canvas, noise, &f.egg(0.0, -0.85, a * 0.95, 0.55, 0.0), 1.0);
                self.paint_felt(canvas, noise, &f.ellipse(0.0, -0.52, a * 1.75, 0.2), 0.85);
                canvas.flat(
                    &f.bow((-a * 0.94, -0.62), (0.0, -0.5), (a * 0.94, -0.62), 0.06, 0.06),
                    scaled(self.hat_colour, 0.4),
                );
            }
            Hat::Scarf => {
                let cloth = f.egg(0.0, 0.05, a * 1.2, 1.14, self.taper * 0.6);
                if self.front == Front::BackOfHead {
                    self.paint_felt(canvas, noise, &cloth, 0.95);
                } else {
                    let window = f.egg(front * 0.5, 0.12, a * 0.86, 0.82, self.taper);
                    self.paint_felt(canvas, noise, &super::super::shapes::Without(cloth, window), 0.95);
                }
                canvas.flat(
                    &f.bow((-a * 0.8, 1.0), (0.0, 1.35), (a * 0.8, 1.0), 0.12, 0.12),
                    scaled(self.hat_colour, 0.75),
                );
            }
        }
    }

    fn paint_felt(&self, canvas: &mut Canvas, noise: &Noise, shape: &impl Shape, brightness: f32) {
        canvas.fill(shape, 1.0, |x, y| {
            let (u, v) = self.frame.local(x, y);
            let rib = 0.93 + 0.14 * noise.rough(u * 11.0, v * 3.0);
            (scaled(self.hat_colour, self.shade(u * 0.8, v * 0.75) * rib * brightness), 1.0)
        });
    }

    pub(super) fn paint_cover(&self, canvas: &mut Canvas) {
        let f = &self.frame;
        let ((u, v), _) = self.on_face(0.0, 0.62);
        let side = if self.smile > 0.4 { 1.0 } else { -1.0 };
        match self.cover {
            Cover::None => {}
            Cover::Cup => {
                let cup = f.polygon(
                    &[(u - 0.3, v - 0.12), (u + 0.3, v - 0.12), (u + 0.23, v + 0.6), (u - 0.23, v + 0.6)],
                    0.03,
                );
                canvas.flat(&cup, mix(self.hat_colour, WHITE, 0.3));
                canvas.glaze(&f.rect(u - 0.14, v + 0.22, 0.05, 0.3, 0.04), 2.0, WHITE, 0.4);
                self.paint_fingers(canvas, u + side * 0.2, v + 0.4, side);
            }
            Cover::Phone => {
                let phone = f.inner(side * self.aspect * 0.8, 0.25, 1.0, side * 0.25);
                canvas.flat(&phone.rect(0.0, 0.0, 0.2, 0.42, 0.06), rgb(0x17181c));
                canvas.glaze(&phone.rect(0.0, -0.03, 0.16, 0.34, 0.03), 1.0, rgb(0x39424e), 1.0);
                self.paint_fingers(canvas, side * self.aspect * 0.9, 0.38, side);
            }
            Cover::Shawl => {
                let band = f.bow((-self.aspect * 1.02, 0.72), (u, 0.82), (self.aspect * 1.02, 0.72), 0.3, 0.3);
                canvas.flat(&band, self.lit(self.hat_colour, 0.0, 0.5));
                canvas.glaze(
                    &f.bow((-self.aspect, 0.75), (u, 0.86), (self.aspect, 0.72), 0.02, 0.02),
                    2.0,
                    BLACK,
                    0.35,
                );
            }
            Cover::Hand => {
                let palm = f.ellipse(u + side * 0.1, v + 0.22, 0.3, 0.26);
                canvas.flat(&palm, scaled(self.skin, 0.9));
                self.paint_fingers(canvas, u, v + 0.05, side);
            }
        }
    }

    fn paint_fingers(&self, canvas: &mut Canvas, u: f32, v: f32, side: f32) {
        for k in 0..4 {
            let low = v + 0.13 * k as f32 - 0.15;
            let finger = self.frame.stroke(&[(u + side * 0.32, low + 0.05), (u - side * 0.12, low)], 0.07, 0.055);
            canvas.flat(&finger, scaled(self.skin, 0.7));
            let top = self.frame.stroke(&[(u + side * 0.32, low + 0.04), (u - side * 0.12, low - 0.012)], 0.055, 0.04);
            canvas.flat(&top, scaled(self.skin, 0.95));
        }
    }
}
