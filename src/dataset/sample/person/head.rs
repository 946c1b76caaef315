//! Body, ears and the bare head.

use super::super::paint::{BLACK, Canvas, Colour, Noise, WHITE, mix, part, rgb, scaled};
use super::super::shapes::{Both, Frame};
use super::{Front, Person};

impl Person {
    pub(super) fn paint_body(&self, canvas: &mut Canvas, noise: &Noise) {
        let f = Frame::new(self.frame.x, self.frame.y, self.frame.unit, self.frame.turn * 0.25);
        let (neck_x, neck_y) = f.local(self.frame.px((0.0, 0.6)).0, self.frame.px((0.0, 0.6)).1);
        let wide = self.aspect * 2.35;
        let side = self.light.direction.0;
        let cloth = |x: f32, y: f32| {
            let (u, v) = f.local(x, y);
            let folds = 0.85 + 0.22 * noise.rough(u * 2.0 + 9.0, v * 1.2) + side * u * 0.12;
            (scaled(self.cloth_at(u, v), folds * 0.92), 1.0)
        };
        self.paint_legs(canvas, &f, wide);
        canvas.fill(&f.rect(0.0, 4.1, wide * 0.86, 2.8, 0.7), 1.0, cloth);
        for arm in [-1.0, 1.0] {
            let points = [(arm * wide * 0.8, 2.25), (arm * wide * 0.98, 3.9), (arm * wide * 0.96, 5.9)];
            canvas.flat(&f.ellipse(arm * wide * 0.95, 6.35, 0.3, 0.42), scaled(self.skin, 0.85));
            let sleeve = f.stroke(&points, 0.5, 0.34);
            canvas.glaze(&f.stroke(&points, 0.6, 0.42), f.unit * 0.2, BLACK, 0.35);
            canvas.fill(&sleeve, 1.0, cloth);
        }
        canvas.fill(&f.ellipse(0.0, 2.05, wide * 0.82, 0.82), 1.0, cloth);
        let neck = f.stroke(&[(neck_x, neck_y), (0.0, 1.35)], self.aspect * 0.52, self.aspect * 0.62);
        canvas.fill(&neck, 1.0, |x, y| {
            let (u, v) = f.local(x, y);
            let under_chin = 0.62 + 0.22 * ((v - 0.8) / 0.5).clamp(0.0, 1.0);
            (scaled(self.skin, under_chin + side * u * 0.2), 1.0)
        });
        let collar = f.bow((-self.aspect * 0.75, 1.32), (0.0, 1.85), (self.aspect * 0.75, 1.32), 0.07, 0.07);
        canvas.flat(&collar, scaled(self.cloth[0], 0.7));
    }

    /// Paints trousers down to the shoes; most people are so near that they are cropped above.
    fn paint_legs(&self, canvas: &mut Canvas, f: &Frame, wide: f32) {
        let trousers = scaled(mix(self.cloth[1], rgb(0x23283a), 0.7), 0.9);
        for side in [-1.0, 1.0] {
            let points = [(side * wide * 0.42, 6.4), (side * wide * 0.44, 10.0), (side * wide * 0.46, 13.2)];
            canvas.flat(&f.ellipse(side * wide * 0.55, 13.4, 0.62, 0.3), rgb(0x1c1a1a));
            canvas.flat(&f.stroke(&points, 0.72, 0.5), scaled(trousers, 1.0 + 0.12 * side * self.light.direction.0));
        }
    }

    fn cloth_at(&self, u: f32, v: f32) -> Colour {
        let [main, second] = self.cloth;
        let second = mix(main, second, 0.65);
        match self.pattern {
            0 => {
                if part(v * 2.4) < 0.4 {
                    second
                } else {
                    main
                }
            }
            1 => {
                if part(u * 2.2) < 0.3 {
                    second
                } else {
                    main
                }
            }
            2 => {
                if u.abs() < 0.32 * (2.6 - v).clamp(0.0, 1.4) {
                    mix(WHITE, main, 0.1)
                } else {
                    main
                }
            }
            _ => main,
        }
    }

    pub(super) fn paint_head(&self, canvas: &mut Canvas, noise: &Noise) {
        if self.front != Front::BackOfHead {
            for side in [-1.0, 1.0] {
                self.paint_ear(canvas, side);
            }
        }
        let grain = 7.0;
        let head = self.frame.egg(0.0, 0.0, self.aspect * 0.985, 0.985, self.taper);
        canvas.fill(&head, 1.0, |x, y| {
            let (u, v) = self.frame.local(x, y);
            let speckle = 0.97 + 0.06 * noise.at(u * grain, v * grain + 31.0);
            let shade = self.shade(u, v) * speckle;
            let warm = mix(self.skin, rgb(0x8a2c1c), (0.9 - shade).clamp(0.0, 0.35));
            (scaled(mix(warm, WHITE, ((shade - 1.02) * 0.8).clamp(0.0, 0.22)), shade), 1.0)
        });
        let jaw = Both(head, self.frame.ellipse(0.0, 1.25, self.aspect * 1.2, 0.5));
        canvas.glaze(&jaw, self.frame.unit * 0.35, scaled(self.skin, 0.45), 0.35);
    }

    fn paint_ear(&self, canvas: &mut Canvas, side: f32) {
        let reach = (side * self.yaw).sin();
        let u = side * self.aspect * (1.0 - 0.55 * reach.max(0.0));
        if reach < -0.25 {
            return;
        }
        let v = self.pitch * 0.8 + 0.02;
        let ear = self.frame.ellipse(u, v, 0.12, 0.2);
        canvas.flat(&ear, self.lit(mix(self.skin, rgb(0xa03a28), 0.18), u * 0.8, v));
        canvas.glaze(&self.frame.ellipse(u + side * 0.015, v, 0.06, 0.12), self.frame.unit * 0.05, BLACK, 0.3);
    }

    /// A doll's head: only the ridge of a nose.
    pub(super) fn paint_blank(&self, canvas: &mut Canvas) {
        let ((u, v), _) = self.on_face(0.0, 0.15);
        canvas.glaze(&self.frame.ellipse(u, v, 0.07, 0.22), self.frame.unit * 0.2, WHITE, 0.25);
        canvas.glaze(&self.frame.ellipse(u, v - 0.3, self.aspect * 0.62, 0.12), self.frame.unit * 0.25, BLACK, 0.12);
    }
}
