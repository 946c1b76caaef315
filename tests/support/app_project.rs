//! A small project with drawn images, candidates and curves, for window tests. Knows the store, not the window.

use std::path::Path;

use image::{Rgb, RgbImage};
use quarry::domain::{ClassId, Detection, FalsePositiveKind, ImageId, RoundState, Shape};
use quarry::evaluation::{RocCurve, RocPoint};
use quarry::geometry::{BoundingBox, Ellipse};
use quarry::store::{NewCandidate, NewDataset, NewImage, NewObject};
use quarry::training::RoundConfig;
use quarry::workflow::Project;

const WIDTH: u32 = 480;
const HEIGHT: u32 = 320;

/// A project in `dir` with `images` images of one face and three decoys each, and a mined round; `rounds` of them have curves.
pub fn make(dir: &Path, images: u32, rounds: u32) -> Project {
    make_with(dir, images, rounds, &["face"])
}

/// [`make`] with these classes; every face and detection has the first.
pub fn make_with(dir: &Path, images: u32, rounds: u32, classes: &[&str]) -> Project {
    let pictures = dir.join("pictures");
    std::fs::create_dir_all(&pictures).unwrap();
    let project = Project::create(&dir.join("project")).unwrap();
    let mut store = project.open_store().unwrap();
    let new = (0..images).map(|n| picture(&pictures, n)).collect();
    let classes = classes.iter().map(|class| (*class).to_owned()).collect();
    let (name, kind) = ("drawn".to_owned(), "folder".to_owned());
    let dataset = NewDataset { name, kind, root: pictures, classes, images: new };
    store.add_dataset(&dataset).unwrap();
    let config = RoundConfig::preset("sample").unwrap();
    for number in 1..=rounds {
        let round = store.start_round(&RoundConfig { seed: u64::from(number), ..config.clone() }.to_toml()).unwrap();
        for step in [50, 100, 150] {
            let json = serde_json::to_string(&curve(number, step)).unwrap();
            store.put_curve(round.id, step, "rectangle", &json).unwrap();
            store.put_curve(round.id, step, "ellipse", &json).unwrap();
        }
        let ids: Vec<ImageId> = store.images().unwrap().iter().map(|i| i.id).collect();
        let detections: Vec<_> = ids.iter().enumerate().map(|(n, id)| (*id, detections(n as u32))).collect();
        store.replace_detections(round.id, &detections).unwrap();
        store.replace_candidates(round.id, &ids, &candidates(&detections)).unwrap();
        store.set_round_state(round.id, RoundState::Mined).unwrap();
    }
    project
}

fn place(image: u32, decoy: u32) -> (f64, f64, f64) {
    let x = 40.0 + 110.0 * f64::from(decoy) + f64::from((image * 37 + decoy * 13) % 30);
    let y = 60.0 + f64::from((image * 53 + decoy * 91) % 150);
    (x, y, 34.0 + f64::from((image * 7 + decoy * 11) % 30))
}

fn face(image: u32) -> Ellipse {
    let (x, y, size) = place(image, 3);
    Ellipse::new(size, size * 0.72, 1.4, x + size, y + size)
}

fn decoy_box(image: u32, decoy: u32) -> BoundingBox {
    let (x, y, size) = place(image, decoy);
    BoundingBox::from_xywh(x, y, size, size)
}

fn picture(dir: &Path, number: u32) -> NewImage {
    let mut pixels = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let light = (y * 70 / HEIGHT) as u8;
        Rgb([70 + light, 84 + light, 96 + ((x * 60) / WIDTH) as u8])
    });
    paint_face(&mut pixels, &face(number));
    for decoy in 0..3 {
        paint_clock(&mut pixels, &decoy_box(number, decoy), decoy);
    }
    let name = format!("scene_{number:04}");
    let path = dir.join(format!("{name}.png"));
    pixels.save(&path).unwrap();
    let shape = Shape::Ellipse(face(number));
    NewImage {
        path: format!("{name}.png").into(),
        content_hash: blake3::hash(&std::fs::read(&path).unwrap()).to_hex().to_string(),
        name,
        width: WIDTH,
        height: HEIGHT,
        split: Some((number % 10 + 1).to_string()),
        objects: vec![NewObject { class: 0, shape, ignored: false }],
    }
}

fn paint_face(pixels: &mut RgbImage, e: &Ellipse) {
    let eye = |side: f64| (e.cx + side * e.rb * 0.45, e.cy - e.ra * 0.2);
    for (x, y, pixel) in pixels.enumerate_pixels_mut() {
        let (x, y) = (f64::from(x), f64::from(y));
        if e.contains(x, y) {
            *pixel = Rgb([224, 182, 150]);
            let near = |(ex, ey): (f64, f64)| (x - ex).hypot(y - ey) < e.rb * 0.13;
            let mouth = (y - e.cy - e.ra * 0.45).abs() < e.ra * 0.06 && (x - e.cx).abs() < e.rb * 0.35;
            if near(eye(-1.0)) || near(eye(1.0)) || mouth {
                *pixel = Rgb([60, 36, 34]);
            }
        }
    }
}

fn paint_clock(pixels: &mut RgbImage, b: &BoundingBox, kind: u32) {
    let ((cx, cy), radius) = (b.center(), b.width() / 2.0);
    let color = [Rgb([236, 228, 206]), Rgb([196, 206, 214]), Rgb([208, 170, 120])][kind as usize % 3];
    for (x, y, pixel) in pixels.enumerate_pixels_mut() {
        let (dx, dy) = (f64::from(x) - cx, f64::from(y) - cy);
        let from_center = dx.hypot(dy);
        if from_center < radius {
            let hand = (dx.abs() < 1.5 && dy < 0.0) || (dy.abs() < 1.5 && dx > 0.0 && dx < radius * 0.6);
            let dark = from_center > radius * 0.88 || hand;
            *pixel = if dark { Rgb([52, 48, 60]) } else { color };
        }
    }
}

fn detections(image: u32) -> Vec<Detection> {
    let detection = |bbox, score| Detection { class: ClassId::ONLY, bbox, ellipse: None, score };
    let mut found = vec![detection(face(image).bounding_box(), 0.97)];
    found.extend((0..3).map(|d| detection(decoy_box(image, d), 0.2 + ((image * 29 + d * 17) % 75) as f32 / 100.0)));
    found
}

fn candidates(detections: &[(ImageId, Vec<Detection>)]) -> Vec<NewCandidate> {
    let decoys = detections.iter().flat_map(|(image, found)| found[1..].iter().map(move |d| (*image, d)));
    decoys
        .map(|(image, d)| NewCandidate {
            image,
            class: d.class,
            bbox: d.bbox,
            score: d.score,
            max_iou: 0.0,
            kind: FalsePositiveKind::Background,
        })
        .collect()
}

/// A plausible curve that rises with the round and the step.
fn curve(round: u32, step: u64) -> RocCurve {
    let faces = 200;
    let skill = 0.75 + 0.05 * f64::from(round) + 0.0004 * step as f64;
    let point = |n: u64| {
        let discrete = (faces as f64 * skill * (1.0 - (-(n as f64 + 3.0).ln() / 2.2).exp())).min(faces as f64);
        let threshold = 1.0 - n as f64 / 1100.0;
        RocPoint { threshold, false_positives: n, discrete, continuous: discrete * 0.78 }
    };
    RocCurve { faces, points: (0..1000).rev().map(point).collect(), unreadable: 0 }
}
