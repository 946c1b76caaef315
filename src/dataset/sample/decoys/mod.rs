//! Objects that a poorly trained detector takes for faces: round, skin-coloured, or with two dots above a line. None of them is ground
//! truth.

mod beings;
mod things;

use super::backdrop::Backdrop;
use super::paint::{Canvas, Noise};
use super::person::{Front, Light, Person};
use super::rng::Draws;
use super::shapes::Frame;
use crate::geometry::BoundingBox;

/// The kind of a decoy. Its word is in `decoys.tsv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DecoyKind {
    Clock,
    Socket,
    Car,
    Button,
    Mask,
    Moon,
    Doll,
    BackOfHead,
    Plate,
    Balloon,
    Pumpkin,
    Teddy,
    Speaker,
    Ball,
    TrafficLight,
    Egg,
}

impl DecoyKind {
    pub const ALL: [Self; 16] = [
        Self::Clock,
        Self::Socket,
        Self::Car,
        Self::Button,
        Self::Mask,
        Self::Moon,
        Self::Doll,
        Self::BackOfHead,
        Self::Plate,
        Self::Balloon,
        Self::Pumpkin,
        Self::Teddy,
        Self::Speaker,
        Self::Ball,
        Self::TrafficLight,
        Self::Egg,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Socket => "socket",
            Self::Car => "car",
            Self::Button => "button",
            Self::Mask => "mask",
            Self::Moon => "moon",
            Self::Doll => "doll",
            Self::BackOfHead => "back_of_head",
            Self::Plate => "plate",
            Self::Balloon => "balloon",
            Self::Pumpkin => "pumpkin",
            Self::Teddy => "teddy",
            Self::Speaker => "speaker",
            Self::Ball => "ball",
            Self::TrafficLight => "traffic_light",
            Self::Egg => "egg",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Returns the decoys that fit a backdrop.
    pub(super) fn before(backdrop: Backdrop) -> &'static [Self] {
        use DecoyKind::{
            BackOfHead, Ball, Balloon, Button, Car, Clock, Doll, Egg, Mask, Moon, Plate, Pumpkin, Socket, Speaker,
            Teddy, TrafficLight,
        };
        match backdrop {
            Backdrop::Room => &[Clock, Socket, Mask, Plate, Teddy, Doll, Speaker, Balloon, BackOfHead, Ball],
            Backdrop::Street => &[Car, Car, TrafficLight, Clock, Balloon, BackOfHead, Doll, Moon],
            Backdrop::Park => &[Balloon, Ball, Pumpkin, BackOfHead, Teddy, Car, Balloon],
            Backdrop::Night => &[Moon, Car, Pumpkin, Balloon, Mask, TrafficLight, BackOfHead, Speaker],
            Backdrop::Studio => &[Doll, Mask, BackOfHead, Clock, Balloon, Speaker, Ball, Teddy],
            Backdrop::Table => &[Button, Button, Plate, Egg, Ball, Clock, Mask, Teddy, Socket, Pumpkin],
        }
    }

    /// Returns the vertical range of its centre, in fractions of the scene's height.
    pub(super) fn heights(self) -> (f32, f32) {
        match self {
            Self::Car => (0.6, 0.88),
            Self::Moon => (0.08, 0.35),
            Self::TrafficLight => (0.2, 0.6),
            Self::Pumpkin => (0.5, 0.92),
            Self::Doll | Self::BackOfHead => (0.3, 0.7),
            _ => (0.1, 0.9),
        }
    }

    /// Returns half its width for a half height of 1.
    pub(super) fn half_width(self) -> f32 {
        match self {
            Self::Car => 1.4,
            Self::Pumpkin => 1.1,
            Self::Clock | Self::Plate | Self::Ball | Self::Button | Self::Moon | Self::Teddy => 1.0,
            Self::Socket => 0.92,
            Self::TrafficLight => 0.42,
            Self::Balloon | Self::Egg | Self::Mask | Self::Doll | Self::BackOfHead | Self::Speaker => 0.78,
        }
    }

    /// Returns the minimum and maximum half height in pixels.
    pub(super) fn sizes(self) -> (f32, f32) {
        match self {
            Self::Car => (16.0, 34.0),
            Self::Button | Self::Socket => (8.0, 26.0),
            Self::Doll | Self::BackOfHead => (12.0, 38.0),
            _ => (10.0, 34.0),
        }
    }
}

/// A decoy in a scene.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decoy {
    pub kind: DecoyKind,
    /// In scene pixels; for a doll or a head, only the head.
    pub bbox: BoundingBox,
}

/// Paints one; its half height is the frame's unit.
pub(super) fn paint(
    kind: DecoyKind,
    canvas: &mut Canvas,
    draws: &mut Draws,
    noise: &Noise,
    frame: Frame,
    light: Light,
) {
    match kind {
        DecoyKind::Clock => things::clock(canvas, draws, frame),
        DecoyKind::Socket => things::socket(canvas, draws, frame),
        DecoyKind::Car => things::car(canvas, draws, frame),
        DecoyKind::Button => things::button(canvas, draws, frame),
        DecoyKind::Plate => things::plate(canvas, draws, frame),
        DecoyKind::Speaker => things::speaker(canvas, draws, frame),
        DecoyKind::Ball => things::ball(canvas, draws, frame),
        DecoyKind::TrafficLight => things::traffic_light(canvas, draws, frame),
        DecoyKind::Egg => things::egg(canvas, draws, noise, frame),
        DecoyKind::Mask => beings::mask(canvas, draws, frame),
        DecoyKind::Moon => beings::moon(canvas, noise, frame),
        DecoyKind::Balloon => beings::balloon(canvas, draws, frame),
        DecoyKind::Pumpkin => beings::pumpkin(canvas, draws, frame),
        DecoyKind::Teddy => beings::teddy(canvas, draws, noise, frame),
        DecoyKind::Doll | DecoyKind::BackOfHead => {
            let front = if kind == DecoyKind::Doll { Front::Blank } else { Front::BackOfHead };
            Person::new(draws, (frame.x, frame.y), frame.unit, light, front).paint(canvas, noise);
        }
    }
}
