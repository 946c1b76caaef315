//! A person: samples the traits at random, then paints body, head, features, hair and accessories from back to front.

mod features;
mod hair;
mod head;
mod worn;

use super::paint::{Canvas, Colour, Noise, mix, rgb, scaled};
use super::rng::Draws;
use super::shapes::{Frame, Oval, Point};
use crate::geometry::Ellipse;

/// The direction of the light: x to the right, y down, z towards the viewer; length 1.
#[derive(Debug, Clone, Copy)]
pub(in crate::dataset::sample) struct Light {
    pub direction: (f32, f32, f32),
    /// 0 is hard light, 1 fully diffuse.
    pub ambient: f32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::dataset::sample) enum HairStyle {
    Bald,
    Short,
    Fringe,
    Side,
    Long,
    Curly,
    Bun,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::dataset::sample) enum Hat {
    None,
    Beanie,
    Cap,
    Brim,
    Scarf,
}

/// What occludes a part of the face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::dataset::sample) enum Cover {
    None,
    Cup,
    Phone,
    Shawl,
    Hand,
}

/// What is drawn in place of the features.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::dataset::sample) enum Front {
    Face,
    /// A shop-window doll: skin without features.
    Blank,
    /// Seen from behind.
    BackOfHead,
}

pub(in crate::dataset::sample) struct Person {
    /// Origin in the centre of the head; the unit is half the head's height; rotated by the tilt.
    pub frame: Frame,
    pub front: Front,
    /// Width divided by height.
    aspect: f32,
    taper: f32,
    /// Sideways and downward rotation of the head, in radians.
    yaw: f32,
    pitch: f32,
    skin: Colour,
    hair: Colour,
    style: HairStyle,
    hat: Hat,
    glasses: Option<bool>,
    cover: Cover,
    beard: f32,
    smile: f32,
    open: f32,
    eye_open: f32,
    iris: Colour,
    lips: Colour,
    brow: f32,
    cloth: [Colour; 2],
    pattern: usize,
    hat_colour: Colour,
    light: Light,
}

const SKIN: [u32; 10] =
    [0xffe0c8, 0xf6cfae, 0xf0c29b, 0xe4b088, 0xd39c72, 0xbd8258, 0xa06a45, 0x855236, 0x683d28, 0x4c2c1e];
const HAIR: [u32; 9] = [0x14110f, 0x2a1c14, 0x43291a, 0x6b4423, 0x9a6a34, 0xcf9f56, 0xe6cf9a, 0x8c8c8c, 0x8a3b1c];
const CLOTH: [u32; 12] = [
    0x27496d, 0xb23a48, 0xe8e4d9, 0x2f2f35, 0x4f772d, 0xe09f3e, 0x6a4c93, 0x1f7a8c, 0xd9ae94, 0x7f8fa6, 0xf2f2f2,
    0x8d5524,
];
const IRIS: [u32; 5] = [0x3a2412, 0x2b1a0e, 0x4a6b3a, 0x3d6c8f, 0x5a4632];

impl Person {
    pub fn new(draws: &mut Draws, (x, y): Point, half_height_px: f32, light: Light, front: Front) -> Self {
        let tilt = draws.bell() * if draws.chance(0.25) { 0.75 } else { 0.25 };
        let skin = mix(rgb(draws.pick(&SKIN)), rgb(draws.pick(&SKIN)), draws.range(0.0, 0.25));
        let light_skin = skin[0] > 0.75;
        let hair = rgb(HAIR[draws.index(if light_skin { 9 } else { 4 })]);
        let styles = [
            HairStyle::Short,
            HairStyle::Short,
            HairStyle::Side,
            HairStyle::Fringe,
            HairStyle::Long,
            HairStyle::Long,
            HairStyle::Curly,
            HairStyle::Bun,
            HairStyle::Bald,
        ];
        let worn = draws.chance(0.2);
        let hats = if worn { [Hat::Beanie, Hat::Cap, Hat::Brim, Hat::Scarf] } else { [Hat::None; 4] };
        let covered = draws.chance(0.13);
        let covers = if covered { [Cover::Cup, Cover::Phone, Cover::Shawl, Cover::Hand] } else { [Cover::None; 4] };
        Self {
            frame: Frame::new(x, y, half_height_px, tilt),
            front,
            aspect: draws.range(0.68, 0.8),
            taper: draws.range(0.04, 0.16),
            yaw: draws.bell() * if draws.chance(0.3) { 0.85 } else { 0.4 },
            pitch: draws.bell() * 0.22,
            skin,
            hair,
            style: draws.pick(&styles),
            hat: draws.pick(&hats),
            glasses: if draws.chance(0.22) { Some(draws.chance(0.35)) } else { None },
            cover: draws.pick(&covers),
            beard: if draws.chance(0.22) { draws.range(0.35, 0.95) } else { 0.0 },
            smile: draws.range(-0.25, 1.0),
            open: if draws.chance(0.4) { draws.range(0.3, 1.0) } else { 0.0 },
            eye_open: if draws.chance(0.07) { 0.1 } else { draws.range(0.65, 1.1) },
            iris: rgb(draws.pick(&IRIS)),
            lips: mix(skin, rgb(0xb03a48), draws.range(0.25, 0.65)),
            brow: draws.range(0.5, 1.1),
            cloth: [rgb(draws.pick(&CLOTH)), rgb(draws.pick(&CLOTH))],
            pattern: draws.index(5),
            hat_colour: rgb(draws.pick(&CLOTH)),
            light,
        }
    }

    /// Ground truth by FDDB's convention: the ellipse around the head from chin to crown, `ra` half its height, `theta` the angle of that
    /// axis within -pi/2..=pi/2.
    pub fn ellipse(&self) -> Ellipse {
        let mut theta = f64::from(self.frame.turn) + std::f64::consts::FRAC_PI_2;
        if theta > std::f64::consts::FRAC_PI_2 {
            theta -= std::f64::consts::PI;
        }
        let ra = f64::from(self.frame.unit);
        let (x, y) = (f64::from(self.frame.x), f64::from(self.frame.y));
        Ellipse::new(ra, ra * f64::from(self.aspect), theta, x, y)
    }

    /// The same ellipse as a shape.
    pub fn outline(&self) -> Oval {
        self.frame.ellipse(0.0, 0.0, self.aspect, 1.0)
    }

    /// Paints body and head from back to front.
    pub fn paint(&self, canvas: &mut Canvas, noise: &Noise) {
        self.paint_hair_behind(canvas, noise);
        self.paint_body(canvas, noise);
        self.paint_head(canvas, noise);
        match self.front {
            Front::Face => {
                self.paint_features(canvas);
                self.paint_hair(canvas, noise);
                self.paint_glasses(canvas);
            }
            Front::Blank => {
                self.paint_blank(canvas);
                self.paint_hair(canvas, noise);
            }
            Front::BackOfHead => self.paint_back_of_head(canvas, noise),
        }
        self.paint_hat(canvas, noise);
    }

    /// Paints what occludes a part of the face; it belongs to no subject.
    pub fn paint_in_front(&self, canvas: &mut Canvas) {
        if self.front == Front::Face {
            self.paint_cover(canvas);
        }
    }

    /// Returns the light on the head at `(u, v)`; 1 is mid-range.
    fn shade(&self, u: f32, v: f32) -> f32 {
        let (p, q) = (u / (self.aspect * 1.04), v / 1.04);
        let r = (p * p + q * q).min(0.97);
        let z = (1.0 - r).sqrt();
        let (x, y, depth) = self.light.direction;
        let (sin, cos) = self.frame.turn.sin_cos();
        let (x, y) = (x * cos + y * sin, y * cos - x * sin);
        let falling = (p * x + q * y + z * depth).max(0.0);
        let round = 0.82 + 0.18 * z;
        round * (0.62 + self.light.ambient * 0.28 + (1.0 - self.light.ambient) * 0.62 * falling)
    }

    /// Returns `colour` under the light at a position on the head.
    fn lit(&self, colour: Colour, u: f32, v: f32) -> Colour {
        scaled(colour, self.shade(u, v))
    }

    /// Returns a point of the face from its angles relative to the centre (right, down; radians): its position and how much narrower it
    /// appears, 0 when turned away.
    fn on_face(&self, right: f32, down: f32) -> (Point, f32) {
        let (a, e) = (self.yaw + right, self.pitch + down);
        let u = self.aspect * a.sin() * e.cos().max(0.2).sqrt();
        ((u, e.sin()), a.cos().max(0.0))
    }
}
