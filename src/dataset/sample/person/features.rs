//! Eyes, brows, nose, mouth, cheeks, beard. Positions are angles on the head, so that features move and narrow as it turns.

use super::super::paint::{BLACK, Canvas, WHITE, mix, rgb, scaled};
use super::super::shapes::Both;
use super::Person;

/// Features turned further away than this are not visible.
const TURNED_AWAY: f32 = 0.22;

impl Person {
    pub(super) fn paint_features(&self, canvas: &mut Canvas) {
        self.paint_cheeks(canvas);
        if self.beard > 0.0 {
            self.paint_beard(canvas);
        }
        for side in [-1.0, 1.0] {
            self.paint_eye(canvas, side);
        }
        self.paint_mouth(canvas);
        self.paint_nose(canvas);
    }

    fn paint_cheeks(&self, canvas: &mut Canvas) {
        for side in [-1.0, 1.0] {
            let ((u, v), narrow) = self.on_face(side * 0.55, 0.3);
            let cheek = self.frame.ellipse(u, v, 0.2 * narrow.max(0.1), 0.17);
            canvas.glaze(&cheek, self.frame.unit * 0.25, mix(self.skin, rgb(0xd0453a), 0.6), 0.28);
        }
    }

    fn paint_eye(&self, canvas: &mut Canvas, side: f32) {
        let f = &self.frame;
        let ((u, v), narrow) = self.on_face(side * 0.47, -0.1);
        if narrow < TURNED_AWAY {
            return;
        }
        let (width, height) = (0.155 * narrow, 0.082 * self.eye_open);
        let shadow = f.ellipse(u, v - 0.02, 0.23 * narrow, 0.16);
        canvas.glaze(&shadow, f.unit * 0.16, mix(scaled(self.skin, 0.4), rgb(0x3a1a1a), 0.4), 0.42);
        if self.eye_open > 0.3 {
            let white = f.ellipse(u, v, width, height);
            canvas.flat(&white, self.lit(mix(rgb(0xe9e1d8), self.skin, 0.18), u, v));
            let look = u + self.yaw * 0.05;
            let iris = f.ellipse(look, v, 0.088 * narrow.sqrt(), 0.09);
            canvas.flat(&Both(white, iris), self.lit(self.iris, u, v));
            canvas.flat(&Both(white, f.ellipse(look, v, 0.038, 0.042)), rgb(0x080606));
            let spark = f.ellipse(look - 0.02 + 0.02 * self.light.direction.0, v - 0.028, 0.018, 0.018);
            canvas.glaze(&spark, 1.0, WHITE, 0.9);
        }
        let top = v - height * if self.eye_open > 0.3 { 1.5 } else { -0.6 };
        let lid = f.bow((u - width * 1.1, v + 0.012), (u, top - 0.035), (u + width * 1.1, v + 0.012), 0.018, 0.02);
        canvas.glaze(&lid, 1.0, rgb(0x1c100c), 0.9);
        canvas.glaze(
            &f.bow((u - width, v + 0.02), (u, v + height * 1.9), (u + width, v + 0.02), 0.008, 0.008),
            1.0,
            scaled(self.skin, 0.45),
            0.55,
        );
        let lift = 0.2 + 0.05 * self.brow + (1.0 - self.smile) * 0.02;
        let inner = (u - side * width * 1.1, v - lift + 0.04 * (0.6 - self.smile));
        let brow = f.bow(
            inner,
            (u + side * width * 0.2, v - lift - 0.09),
            (u + side * width * 1.45, v - lift + 0.05),
            0.036 * self.brow,
            0.014,
        );
        canvas.glaze(&brow, 1.0, scaled(mix(self.hair, rgb(0x2a1c14), 0.45), 0.8), 0.88);
    }

    fn paint_nose(&self, canvas: &mut Canvas) {
        let f = &self.frame;
        let ((bridge, top), _) = self.on_face(0.0, -0.05);
        let ((base, low), _) = self.on_face(0.0, 0.3);
        let tip = base + self.yaw.sin() * 0.1;
        let side = if self.light.direction.0 > 0.0 { -1.0 } else { 1.0 };
        let dark = mix(scaled(self.skin, 0.5), rgb(0x5a2418), 0.3);
        let flank = f.stroke(&[(bridge + side * 0.05, top), (tip + side * 0.1, low - 0.04)], 0.035, 0.07);
        canvas.glaze(&flank, f.unit * 0.1, dark, 0.45);
        canvas.glaze(&f.stroke(&[(bridge, top), (tip, low - 0.07)], 0.03, 0.05), f.unit * 0.09, WHITE, 0.2);
        canvas.glaze(&f.ellipse(tip - side * 0.02, low - 0.05, 0.055, 0.045), f.unit * 0.07, WHITE, 0.28);
        canvas.glaze(
            &f.bow((tip - 0.12, low), (tip, low + 0.09), (tip + 0.12, low), 0.022, 0.022),
            f.unit * 0.03,
            dark,
            0.6,
        );
        for nostril in [-1.0, 1.0] {
            canvas.glaze(&f.ellipse(tip + nostril * 0.06, low + 0.015, 0.032, 0.02), 1.0, scaled(dark, 0.45), 0.75);
        }
    }

    fn paint_mouth(&self, canvas: &mut Canvas) {
        let f = &self.frame;
        let ((u, v), narrow) = self.on_face(0.0, 0.62);
        let wide = (0.2 + 0.08 * self.smile.max(0.0)) * narrow.max(0.35);
        let corner = v - 0.07 * self.smile;
        let (left, right) = ((u - wide, corner), (u + wide, corner));
        let lips = self.lit(self.lips, u, v);
        let drop = 0.02 + 0.1 * self.smile.max(0.0) + 0.2 * self.open;
        if self.open > 0.0 {
            let points: Vec<_> = (0..=8)
                .map(|k| k as f32 / 8.0)
                .map(|t| (u - wide + 2.0 * wide * t, corner + 4.0 * t * (1.0 - t) * 0.03))
                .chain(
                    (1..8)
                        .rev()
                        .map(|k| k as f32 / 8.0)
                        .map(|t| (u - wide + 2.0 * wide * t, corner + 4.0 * t * (1.0 - t) * drop)),
                )
                .collect();
            let inside = f.polygon(&points, 0.0);
            canvas.flat(&inside, rgb(0x3d1113));
            let teeth = Both(inside, f.rect(u, corner + 0.02, wide * 0.85, 0.045 + 0.05 * self.open, 0.02));
            canvas.flat(&teeth, self.lit(rgb(0xf6f1e6), u, v));
        }
        canvas.flat(&f.bow(left, (u, corner + 0.02), right, 0.03, 0.03), lips);
        canvas.flat(
            &f.bow(left, (u, corner + 2.0 * drop + 0.03), right, 0.035, 0.035),
            scaled(mix(lips, WHITE, 0.08), 0.98),
        );
        if self.open == 0.0 {
            let line = f.bow(left, (u, corner + drop + 0.05), right, 0.014, 0.014);
            canvas.glaze(&line, 1.0, rgb(0x3a1416), 0.85);
        }
        let under = f.ellipse(u, corner + drop + 0.14, wide * 0.5, 0.035);
        canvas.glaze(&under, f.unit * 0.07, scaled(self.skin, 0.45), 0.35);
    }

    fn paint_beard(&self, canvas: &mut Canvas) {
        let f = &self.frame;
        let ((u, v), _) = self.on_face(0.0, 0.62);
        let chin = Both(
            f.egg(0.0, 0.0, self.aspect * 0.99, 0.99, self.taper),
            f.ellipse(u * 0.5, 0.85, self.aspect * 1.05, 0.62),
        );
        let hair = scaled(self.hair, self.shade(0.0, 0.5));
        canvas.glaze(&chin, f.unit * 0.22, hair, self.beard);
        canvas.glaze(
            &f.bow((u - 0.24, v + 0.03), (u, v - 0.24), (u + 0.24, v + 0.03), 0.05, 0.05),
            f.unit * 0.05,
            hair,
            self.beard,
        );
        canvas.glaze(&f.ellipse(u, v + 0.03, 0.12, 0.06), f.unit * 0.05, mix(self.lips, BLACK, 0.2), 0.3);
    }
}
