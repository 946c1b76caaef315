//! Formats objects of images as annotation files, one source file per format. What a format cannot represent is counted in the losses.

mod coco;
mod csv;
mod cvat;
mod detections;
mod fddb;
mod voc;
mod yolo;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub use self::detections::{CocoResult, coco_results, fddb_detections};
pub use self::yolo::listed_path as yolo_image_path;
use crate::domain::{Shape, counted_as};

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFormat {
    /// COCO's instances, one file. `ellipse`, `source`, `split` and `score` are keys of Quarry's own.
    Coco,
    /// A folder for ultralytics: `data.yaml`, a list of images for each split, and `labels/`.
    Yolo,
    /// A folder with `Annotations/` and `ImageSets/Main/`.
    Voc,
    /// CVAT for images 1.1, one file.
    Cvat,
    /// FDDB's ellipse list, one file, and a table of sources.
    Fddb,
    /// One row per object, one file.
    Csv,
}

impl WriteFormat {
    pub const ALL: [Self; 6] = [Self::Coco, Self::Yolo, Self::Voc, Self::Cvat, Self::Fddb, Self::Csv];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Coco => "coco",
            Self::Yolo => "yolo",
            Self::Voc => "voc",
            Self::Cvat => "cvat",
            Self::Fddb => "fddb",
            Self::Csv => "csv",
        }
    }

    /// Whether the output is a folder instead of a file.
    pub fn is_folder(self) -> bool {
        matches!(self, Self::Yolo | Self::Voc)
    }
}

/// The data to write.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Export {
    /// A sentence that describes the objects, for formats with a description.
    pub description: String,
    pub classes: Vec<ExportClass>,
    pub images: Vec<ExportImage>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportClass {
    pub id: i64,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ExportImage {
    pub id: i64,
    /// The name in the dataset's own lists.
    pub name: String,
    /// Relative to the dataset's root, with `/`.
    pub path: String,
    pub dataset: String,
    /// Pixels of the upright image.
    pub width: u32,
    pub height: u32,
    pub split: Option<String>,
    pub objects: Vec<ExportObject>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ExportObject {
    pub id: i64,
    /// Index into [`Export::classes`].
    pub class: usize,
    pub shape: Shape,
    pub ignored: bool,
    /// `imported`, `promoted`, `edited`, `added`, `hard_negative`, `ignored_region`.
    pub source: &'static str,
    pub score: Option<f32>,
    /// For a hard negative.
    pub history: Option<History>,
}

/// A hard negative's trace over the rounds of its model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// The number of the round that found it.
    pub round: u32,
    /// `new`, `persists` (the previous round had it too), `returned` (an earlier round had it, but not the previous one).
    pub origin: &'static str,
    /// `open` (no later round is mined), `gone`, `persists` (the next round has it too), `returns` (a later round has it, but not the next
    /// one).
    pub fate: &'static str,
}

/// The files of an export, and its losses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// Paths relative to the output folder, with their bytes. A single-file format has that file first, under an empty name; further names
    /// are suffixes of it.
    pub files: Vec<(PathBuf, Vec<u8>)>,
    /// Number of objects in the files.
    pub objects: usize,
    /// Number of objects missing from the files.
    pub left_out: usize,
    /// Complete sentences on what the format cannot represent.
    pub losses: Vec<String>,
}

/// Formats `export`. Fails with advice if the format cannot distinguish two images.
pub fn write(format: WriteFormat, export: &Export) -> Result<Written, String> {
    match format {
        WriteFormat::Coco => Ok(coco::write(export)),
        WriteFormat::Yolo => yolo::write(export),
        WriteFormat::Voc => voc::write(export),
        WriteFormat::Cvat => cvat::write(export),
        WriteFormat::Fddb => fddb::write(export),
        WriteFormat::Csv => Ok(csv::write(export)),
    }
}

impl Export {
    fn objects(&self) -> impl Iterator<Item = &ExportObject> {
        self.images.iter().flat_map(|image| &image.objects)
    }

    fn class(&self, object: &ExportObject) -> &str {
        self.classes.get(object.class).map_or("", |class| class.name.as_str())
    }

    /// Counts the objects for which `kept` is true.
    fn count(&self, kept: impl Fn(&ExportObject) -> bool) -> usize {
        self.objects().filter(|object| kept(object)).count()
    }

    fn ellipses(&self) -> usize {
        self.count(|object| matches!(object.shape, Shape::Ellipse(_)))
    }

    /// Whether any object has a trace over rounds.
    fn has_history(&self) -> bool {
        self.count(|object| object.history.is_some()) > 0
    }

    fn scores(&self) -> usize {
        self.count(|object| object.score.is_some())
    }

    /// Counts promoted, edited and added objects, which differ from the dataset.
    fn flagged(&self) -> usize {
        self.count(|object| object.source != "imported")
    }

    /// Fails if two images (of two datasets) have the same path, for formats that identify an image by path only.
    fn refuse_repeated_paths(&self, key: impl Fn(&ExportImage) -> String) -> Result<(), String> {
        let mut seen: HashMap<String, &ExportImage> = HashMap::new();
        for image in &self.images {
            if let Some(earlier) = seen.insert(key(image), image) {
                return Err(format!(
                    "`{}` of dataset {} and `{}` of dataset {} would get the same name in the files. Export one dataset at a time \
                     with --dataset NAME, or export as coco",
                    earlier.path, earlier.dataset, image.path, image.dataset
                ));
            }
        }
        Ok(())
    }
}

/// Adds `3 ellipses: ...`, if there are any.
/// Adds `count` with `one` or `many`, and the rest of the sentence.
fn lost(losses: &mut Vec<String>, count: usize, [one, many]: [&str; 2], rest: &str) {
    if count > 0 {
        losses.push(format!("{} {rest}", counted_as(count, one, many)));
    }
}

/// Returns each path without its extension, or with it if another image would have the same path.
fn stems(export: &Export) -> Vec<String> {
    let stem = |path: &str| Path::new(path).with_extension("").to_string_lossy().into_owned();
    let mut counts: HashMap<String, usize> = HashMap::new();
    for image in &export.images {
        *counts.entry(stem(&image.path)).or_insert(0) += 1;
    }
    export
        .images
        .iter()
        .map(|image| {
            if counts.get(&stem(&image.path)).is_some_and(|count| *count > 1) {
                image.path.clone()
            } else {
                stem(&image.path)
            }
        })
        .collect()
}
