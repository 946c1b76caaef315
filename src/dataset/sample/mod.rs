//! The built-in sample: small scenes with stylised faces and many decoys, drawn in code from a seed and written in FDDB's layout, so that
//! Quarry can be tried without any images.

#![allow(clippy::unreadable_literal, reason = "colours are read as 0xRRGGBB")]

mod backdrop;
mod camera;
mod decoys;
mod paint;
mod person;
mod rng;
mod scene;
mod shapes;
mod sidecar;

use std::collections::HashMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use rayon::prelude::*;

pub use decoys::{Decoy, DecoyKind};
pub use sidecar::{DECOYS_FILE, read_decoys};

use super::fddb::{FOLDS_FOLDER, IMAGES_FOLDER};
use super::{DatasetError, ImportedDataset, ImportedObject, read_fddb};
use crate::domain::{Cancel, Progress, Shape};
use crate::geometry::Ellipse;

/// FDDB's number of folds.
const FOLDS: usize = 10;
/// Scenes between two progress reports.
const BATCH: usize = 16;

/// Everything that the sample depends on: the same values give the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleConfig {
    pub seed: u64,
    /// Distributed evenly over ten folds.
    pub scenes: usize,
    /// Width of every scene in pixels.
    pub width: u32,
    pub height: u32,
    /// 1..=100.
    pub jpeg_quality: u8,
}

impl Default for SampleConfig {
    fn default() -> Self {
        Self { seed: 7, scenes: 240, width: 320, height: 240, jpeg_quality: 92 }
    }
}

/// Draws the sample into `dir` (created if missing): `originalPics/`, `FDDB-folds/` and `decoys.tsv`. An earlier sample there is replaced.
///
/// Fails if `dir` contains anything else, or if it cannot be written to (e.g. no space left).
pub fn write(dir: &Path, config: &SampleConfig, progress: &mut dyn FnMut(Progress)) -> Result<(), DatasetError> {
    claim(dir)?;
    let total = config.scenes as u64;
    let indices: Vec<usize> = (0..config.scenes).collect();
    let mut entries = Vec::with_capacity(config.scenes);
    for batch in indices.chunks(BATCH) {
        let drawn: Result<Vec<Entry>, DatasetError> =
            batch.par_iter().map(|&index| write_scene(dir, config, index)).collect();
        entries.extend(drawn?);
        progress(Progress { what: "Drawing the sample".into(), done: entries.len() as u64, total });
    }
    let rows = entries.iter().map(|entry| (entry.name.as_str(), entry.decoys.as_slice()));
    write_file(&dir.join(DECOYS_FILE), sidecar::text(rows).as_bytes())?;
    write_lists(dir, &entries)
}

/// Reads a sample that [`write()`] wrote, as a dataset in FDDB's layout under its own name.
pub fn read(dir: &Path, progress: &mut dyn FnMut(Progress), cancel: &Cancel) -> Result<ImportedDataset, DatasetError> {
    let dataset = read_fddb(dir, progress, cancel)?;
    Ok(ImportedDataset { name: "Built-in sample".into(), kind: "sample", ..dataset })
}

/// [`read`] with the decoys that are animals or toys as objects of two additional classes, annotated as rectangles.
pub fn read_with_classes(
    dir: &Path,
    progress: &mut dyn FnMut(Progress),
    cancel: &Cancel,
) -> Result<ImportedDataset, DatasetError> {
    let mut dataset = read_fddb(dir, progress, cancel)?;
    let first = dataset.classes.len() as u32;
    dataset.classes.extend(MORE_CLASSES.iter().map(|(name, _)| (*name).to_owned()));
    let mut of_scene: HashMap<String, Vec<ImportedObject>> = HashMap::new();
    for (scene, decoy) in read_decoys(dir)? {
        let class = MORE_CLASSES.iter().position(|(_, kinds)| kinds.contains(&decoy.kind));
        if let Some(class) = class {
            let object =
                ImportedObject { class: first + class as u32, shape: Shape::Rectangle(decoy.bbox), ignored: false };
            of_scene.entry(scene).or_default().push(object);
        }
    }
    for image in &mut dataset.images {
        image.objects.extend(of_scene.remove(&image.name).unwrap_or_default());
    }
    Ok(dataset.with_counts_updated())
}

/// The sample's second and third class.
const MORE_CLASSES: [(&str, &[DecoyKind]); 2] =
    [("animal", &[DecoyKind::Teddy]), ("toy", &[DecoyKind::Ball, DecoyKind::Balloon, DecoyKind::Doll])];

struct Entry {
    fold: usize,
    name: String,
    faces: Vec<Ellipse>,
    decoys: Vec<Decoy>,
}

fn write_scene(dir: &Path, config: &SampleConfig, index: usize) -> Result<Entry, DatasetError> {
    let fold = index % FOLDS + 1;
    let name = format!("sample/{fold:02}/scene_{index:03}");
    let path = dir.join(IMAGES_FOLDER).join(format!("{name}.jpg"));
    let scene = scene::Scene::draw(config, index);
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, config.jpeg_quality)
        .encode_image(&scene.picture)
        .map_err(|error| DatasetError::layout(&path, format!("cannot encode the scene: {error}")))?;
    write_file(&path, &bytes)?;
    Ok(Entry { fold, name, faces: scene.faces, decoys: scene.decoys })
}

/// Claims `dir`, unless it contains something other than a sample.
fn claim(dir: &Path) -> Result<(), DatasetError> {
    if dir.exists() && !dir.join(DECOYS_FILE).is_file() {
        let mut entries = fs::read_dir(dir).map_err(DatasetError::io("list", dir))?;
        if entries.next().is_some() {
            let problem = "the folder is not empty and is not a sample. Nothing was written; choose a new folder";
            return Err(DatasetError::layout(dir, problem));
        }
    }
    fs::create_dir_all(dir).map_err(DatasetError::io("make", dir))?;
    write_file(&dir.join(DECOYS_FILE), sidecar::text([]).as_bytes())
}

/// The lists are written last: without them, an unfinished sample is not a dataset.
fn write_lists(dir: &Path, entries: &[Entry]) -> Result<(), DatasetError> {
    for fold in 1..=FOLDS {
        let (mut names, mut ellipses) = (String::new(), String::new());
        for entry in entries.iter().filter(|entry| entry.fold == fold) {
            // Writing to a String cannot fail.
            let _ = writeln!(names, "{}", entry.name);
            let _ = writeln!(ellipses, "{}\n{}", entry.name, entry.faces.len());
            for e in &entry.faces {
                let _ = writeln!(ellipses, "{:.6} {:.6} {:.6} {:.6} {:.6}  1", e.ra, e.rb, e.theta, e.cx, e.cy);
            }
        }
        let folder = dir.join(FOLDS_FOLDER);
        write_file(&folder.join(format!("FDDB-fold-{fold:02}-ellipseList.txt")), ellipses.as_bytes())?;
        write_file(&folder.join(format!("FDDB-fold-{fold:02}.txt")), names.as_bytes())?;
    }
    Ok(())
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), DatasetError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(DatasetError::io("make", folder))?;
    }
    fs::write(path, bytes).map_err(DatasetError::io("write", path))
}
