//! Composes one scene: a background, people and decoys, occlusions, and the ground truth.

use image::RgbImage;

use super::SampleConfig;
use super::backdrop::Backdrop;
use super::camera;
use super::decoys::{self, Decoy, DecoyKind};
use super::paint::{Canvas, Noise, rgb, scaled};
use super::person::{Front, Light, Person};
use super::rng::Draws;
use super::shapes::{Bounds, Frame};
use crate::geometry::{BoundingBox, Ellipse};

/// If less of a face is visible, it is no fair ground truth and the scene is redrawn.
const LEAST_VISIBLE_FACE: f64 = 0.55;
/// A decoy with less visible is not listed.
const LEAST_VISIBLE_DECOY: f64 = 0.4;
/// Number of attempts before a scene is drawn without people, so that drawing always terminates.
const ATTEMPTS: u64 = 40;
/// First subject number of decoys; faces count from 1.
const FIRST_DECOY: u8 = 100;

/// An image and its content.
pub(super) struct Scene {
    pub picture: RgbImage,
    pub faces: Vec<Ellipse>,
    pub decoys: Vec<Decoy>,
}

impl Scene {
    /// Draws scene number `index`; only depends on the configuration and `index`.
    pub fn draw(config: &SampleConfig, index: usize) -> Self {
        let attempt = |attempt| {
            let mut draws = Draws::new(config.seed, index as u64, attempt);
            Composition::new(config, &mut draws, attempt < ATTEMPTS).paint(config, &mut draws)
        };
        (0..ATTEMPTS).find_map(attempt).or_else(|| attempt(ATTEMPTS)).unwrap_or_else(|| Self {
            picture: RgbImage::new(config.width, config.height),
            faces: Vec::new(),
            decoys: Vec::new(),
        })
    }
}

/// Everything in a scene, before it is painted.
struct Composition {
    backdrop: Backdrop,
    light: Light,
    people: Vec<Person>,
    things: Vec<(DecoyKind, Frame)>,
}

impl Composition {
    fn new(config: &SampleConfig, draws: &mut Draws, with_people: bool) -> Self {
        let backdrop = if draws.chance(0.07) { Backdrop::Table } else { draws.pick(&Backdrop::ALL[..5]) };
        let light = light(draws, backdrop);
        let mut taken = Vec::new();
        let mut people = Vec::new();
        let count = if backdrop == Backdrop::Table || !with_people {
            0
        } else {
            draws.pick(&[0, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4])
        };
        let largest = [52.0, 54.0, 46.0, 38.0, 32.0][count];
        for _ in 0..count {
            let size = draws.log_range(11.0, largest);
            let at_border = draws.chance(0.08);
            if let Some((x, y)) = find_place(config, draws, &mut taken, size, (0.22, 0.75), at_border, 0.2) {
                people.push(Person::new(draws, (x, y), size, light, Front::Face));
            }
        }
        people.sort_by(|a, b| a.frame.unit.total_cmp(&b.frame.unit));
        let mut things = Vec::new();
        let wanted = if backdrop == Backdrop::Table { 5 } else { 2 } + draws.index(4);
        for _ in 0..wanted {
            let kind = draws.pick(DecoyKind::before(backdrop));
            let (smallest, largest) = kind.sizes();
            let size = draws.log_range(smallest, largest);
            if let Some((x, y)) = find_place(config, draws, &mut taken, size, kind.heights(), false, 0.04) {
                let turn =
                    if matches!(kind, DecoyKind::Car | DecoyKind::TrafficLight) { 0.0 } else { draws.bell() * 0.3 };
                things.push((kind, Frame::new(x, y, size, turn)));
            }
        }
        things.sort_by(|a, b| a.1.unit.total_cmp(&b.1.unit));
        Self { backdrop, light, people, things }
    }

    /// `None` if too little of a face is visible.
    fn paint(self, config: &SampleConfig, draws: &mut Draws) -> Option<Scene> {
        let noise = Noise::new(draws);
        let mut canvas = Canvas::new(config.width as usize, config.height as usize);
        self.backdrop.paint(&mut canvas, draws, &noise);
        for (owner, (kind, frame)) in (FIRST_DECOY..).zip(&self.things) {
            canvas.owner = owner;
            decoys::paint(*kind, &mut canvas, draws, &noise, *frame, self.light);
        }
        for (owner, person) in (1..).zip(&self.people) {
            canvas.owner = owner;
            person.paint(&mut canvas, &noise);
            canvas.owner = 0;
            person.paint_in_front(&mut canvas);
            if person.frame.unit > 15.0 && draws.chance(0.16) {
                let head = person.frame.ellipse(0.0, 0.1, 1.15, 1.35);
                canvas.blur_within(&head, person.frame.unit * 0.5, if person.frame.unit > 30.0 { 2 } else { 1 });
            }
        }
        canvas.owner = 0;
        if draws.chance(0.1) {
            foreground(&mut canvas, draws);
        }
        let hidden = |(owner, person): (u8, &Person)| {
            let ellipse = person.ellipse();
            (canvas.count_owned(&person.outline(), owner) as f64) < LEAST_VISIBLE_FACE * ellipse.area()
        };
        if (1..).zip(&self.people).any(hidden) {
            return None;
        }
        let faces = self.people.iter().map(Person::ellipse).collect();
        let decoys = self.visible_decoys(&canvas, config);
        Some(Scene { picture: camera::expose(canvas, draws, self.backdrop), faces, decoys })
    }

    fn visible_decoys(&self, canvas: &Canvas, config: &SampleConfig) -> Vec<Decoy> {
        let (width, height) = (f64::from(config.width), f64::from(config.height));
        let one = |(owner, (kind, frame)): (u8, &(DecoyKind, Frame))| {
            let core = frame.ellipse(0.0, 0.0, 0.7 * kind.half_width(), 0.75);
            let seen = canvas.count_owned(&core, owner) as f64;
            let area = std::f64::consts::PI * 0.75 * 0.7 * f64::from(kind.half_width()) * f64::from(frame.unit).powi(2);
            let Bounds(x1, y1, x2, y2) = frame.ellipse(0.0, 0.0, kind.half_width(), 1.0).tight_bounds();
            let bbox = BoundingBox::new(x1.into(), y1.into(), x2.into(), y2.into()).clipped(width, height);
            (seen >= LEAST_VISIBLE_DECOY * area).then_some(Decoy { kind: *kind, bbox })
        };
        (FIRST_DECOY..).zip(&self.things).filter_map(one).collect()
    }
}

fn light(draws: &mut Draws, backdrop: Backdrop) -> Light {
    let (x, y, z) = (draws.bell() * 0.9, -draws.range(0.15, 0.75), draws.range(0.45, 0.9));
    let length = (x * x + y * y + z * z).sqrt();
    let ambient = if backdrop == Backdrop::Night { draws.range(0.1, 0.45) } else { draws.range(0.25, 0.85) };
    Light { direction: (x / length, y / length, z / length), ambient }
}

/// Finds a position for something of this half height that neither occludes more than `overlap` of existing subjects nor is occluded more.
fn find_place(
    config: &SampleConfig,
    draws: &mut Draws,
    taken: &mut Vec<BoundingBox>,
    half_height: f32,
    (top, bottom): (f32, f32),
    at_border: bool,
    overlap: f64,
) -> Option<(f32, f32)> {
    let (w, h) = (config.width as f32, config.height as f32);
    let margin = half_height * if at_border { 0.3 } else { 0.95 };
    for _ in 0..30 {
        let x = if at_border && draws.chance(0.5) {
            margin
        } else if at_border {
            w - margin
        } else {
            draws.range(margin, w - margin)
        };
        let y =
            draws.range(top * h, bottom * h).clamp(half_height * 1.1, (h - half_height * 1.1).max(half_height * 1.1));
        let (cx, cy, size) = (f64::from(x), f64::from(y), f64::from(half_height));
        let place = BoundingBox::new(cx - 0.85 * size, cy - 1.05 * size, cx + 0.85 * size, cy + 1.05 * size);
        let free = |other: &BoundingBox| place.intersection_area(other) <= overlap * place.area().min(other.area());
        if taken.iter().all(free) {
            taken.push(place);
            return Some((x, y));
        }
    }
    None
}

/// Something out of focus directly in front of the camera.
fn foreground(canvas: &mut Canvas, draws: &mut Draws) {
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let colour = rgb(draws.pick(&[0x1f3d2b, 0x3a2a22, 0x6b2d2d, 0x22304a]));
    let side = if draws.chance(0.5) { 0.0 } else { w };
    for _ in 0..4 {
        let r = draws.range(14.0, 34.0);
        let leaf = Frame::new(side + draws.bell() * 46.0, h * draws.range(0.45, 1.05), r, draws.range(-1.5, 1.5));
        canvas.glaze(&leaf.ellipse(0.0, 0.0, 0.5, 1.3), 9.0, scaled(colour, draws.range(0.7, 1.3)), 0.93);
    }
}
