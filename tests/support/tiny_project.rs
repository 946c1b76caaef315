//! A project of tiny drawn images in several folds, and settings that train on it within seconds. Knows the store, not the command line.

use std::path::Path;

use image::{Rgb, RgbImage};
use quarry::domain::Shape;
use quarry::geometry::Ellipse;
use quarry::store::{NewDataset, NewImage, NewObject};
use quarry::workflow::Project;

/// `round.toml` of a small detector; `more` are additional top-level lines.
pub fn settings(more: &str) -> String {
    format!(
        "preset = \"sample\"\nworkers = 2\ndevice = \"cpu\"\nschedule = \"cosine\"\nmilestones = []\n{more}\n\
         [sampler]\nbatch_per_image = 16\nrpn_batch_per_image = 16\n\
         [detector]\narchitecture = \"resnet18-fpn\"\nshorter_side = 48\nlonger_side_cap = 64\npyramid_channels = 16\n\
         [detector.roi]\nhidden = 16\n"
    )
}

/// A project in `dir/NAME` with `images` images of one face and one decoy, distributed over `folds` folds, and a dataset of two scenes
/// without faces and folds. The images are in `dir/pictures` and `dir/scenes`.
pub fn make(dir: &Path, name: &str, images: u32, folds: u32) -> Project {
    let project = Project::create(&dir.join(name)).unwrap();
    let mut store = project.open_store().unwrap();
    let picture =
        |folder: &str, number: u32, face: bool, fold: Option<u8>| picture(&dir.join(folder), number, face, fold);
    let faces = (0..images).map(|n| picture("pictures", n, true, Some((n % folds + 1) as u8))).collect();
    let scenes = (100..102).map(|n| picture("scenes", n, false, None)).collect();
    for (name, folder, images) in [("drawn", "pictures", faces), ("scenes", "scenes", scenes)] {
        let (name, kind) = (name.to_owned(), "folder".to_owned());
        store
            .add_dataset(&NewDataset { name, kind, root: dir.join(folder), classes: vec!["face".to_owned()], images })
            .unwrap();
    }
    project
}

fn picture(dir: &Path, number: u32, with_face: bool, fold: Option<u8>) -> NewImage {
    std::fs::create_dir_all(dir).unwrap();
    let (dx, dy) = (f64::from(number % 3), f64::from(number % 4));
    let face = Ellipse::new(12.0, 8.0, 1.5, 20.0 + dx, 22.0 + dy);
    let decoy: Ellipse = Ellipse::new(11.0, 9.0, 1.5, 46.0 - dy, 24.0 + dx);
    let pixels = RgbImage::from_fn(64, 48, |x, y| {
        let texture = ((x * 7 + y * 13 + number * 29) % 31) as u8;
        let (px, py) = (f64::from(x), f64::from(y));
        match (with_face && face.contains(px, py), decoy.contains(px, py)) {
            (true, _) => Rgb([220, 180 + texture, 150]),
            (_, true) => Rgb([200, 120 + texture, 60]),
            _ => Rgb([60 + texture, 90, 80]),
        }
    });
    let name = format!("scene_{number}");
    let path = dir.join(format!("{name}.png"));
    pixels.save(&path).unwrap();
    let content_hash = format!("{number:064x}");
    let shape = Shape::Ellipse(face);
    let annotation = NewObject { class: 0, shape, ignored: false };
    let objects = if with_face { vec![annotation] } else { vec![] };
    NewImage {
        path: format!("{name}.png").into(),
        content_hash,
        name,
        width: 64,
        height: 48,
        split: fold.map(|fold| fold.to_string()),
        objects,
    }
}
