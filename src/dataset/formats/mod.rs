//! The supported annotation formats, one file or folder each with a common trait, and format detection for a path.
//!
//! A reader creates a `Draft`: the records of the annotation files with every image's path. The common steps are in `Draft::finish`: images
//! are hashed and measured, coordinates converted to the upright image, shapes validated.

mod batches;
mod coco;
mod cvat;
mod draft;
mod image_files;
mod json_lines;
mod json_values;
mod label_studio;
mod labelme;
mod layout;
mod plain;
mod skipped;
mod text_lines;
mod upright;
mod voc;
mod wider;
pub mod write;
mod xml;
mod yolo;

pub use upright::Upright;
pub use yolo::{class_names, class_names_near};

pub(super) use text_lines::{numbered, numbers};
pub(super) use yolo::{box_of, box_of_polygon};

use std::path::{Path, PathBuf};

use super::{DatasetError, ImportedDataset};
use crate::domain::{Cancel, InputError, Progress, counted_as, printable_path};

/// Options for reading annotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadOptions {
    /// The folder that image names are relative to, if it differs from the format's layout.
    pub images: Option<PathBuf>,
    /// Fail at the first bad record or unusable image instead of skipping it.
    pub strict: bool,
    /// Read only the split with this name.
    pub split: Option<String>,
    pub exif: ExifRule,
    /// The index of Pascal VOC's first pixel: 1 by definition, 0 in files of some tools.
    pub voc_origin: u8,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { images: None, strict: false, split: None, exif: ExifRule::Auto, voc_origin: 1 }
    }
}

/// Which pixel grid the coordinates of an image with an EXIF orientation refer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExifRule {
    /// The stored pixels if they match the annotation's width and height, otherwise the upright image.
    #[default]
    Auto,
    /// The upright image with orientation applied, as viewers show it.
    Apply,
    /// The pixels as stored, ignoring orientation.
    Ignore,
}

/// A supported format.
pub trait Format: Sync {
    /// The name on the command line and in the database.
    fn name(&self) -> &'static str;

    /// Returns why `path` looks like this format; `None` if it does not. Reads little.
    fn recognise(&self, path: &Path) -> Option<String>;

    /// Reads the dataset at `path`. Bad records are skipped and reported in the summary, or fail the import with `options.strict`.
    fn read(
        &self,
        path: &Path,
        options: &ReadOptions,
        progress: &mut dyn FnMut(Progress),
        cancel: &Cancel,
    ) -> Result<ImportedDataset, DatasetError>;
}

/// In the order of detection by [`recognise`]: the most specific layouts first, the plain folder last.
pub const FORMATS: [&dyn Format; 9] = [
    &plain::Fddb,
    &wider::WiderFace,
    &voc::Voc,
    &cvat::Cvat,
    &yolo::Yolo,
    &coco::Coco,
    &label_studio::LabelStudio,
    &labelme::Labelme,
    &plain::Folder,
];

/// Reads `path` in the format detected by [`recognise`].
pub fn read_auto(
    path: &Path,
    options: &ReadOptions,
    progress: &mut dyn FnMut(Progress),
    cancel: &Cancel,
) -> Result<ImportedDataset, DatasetError> {
    let (format, why) = recognise(path)?;
    let mut dataset = format.read(path, options, progress, cancel)?;
    dataset.summary.recognised = Some(why);
    if format.name() == "folder" {
        dataset.summary.warnings.extend(unread_annotations(&dataset.root));
    }
    Ok(dataset)
}

/// Returns the format with this name.
pub fn format_named(name: &str) -> Option<&'static dyn Format> {
    FORMATS.into_iter().find(|format| format.name() == name)
}

/// Detects the format of `path`, and says why.
pub fn recognise(path: &Path) -> Result<(&'static dyn Format, String), DatasetError> {
    std::fs::metadata(path).map_err(DatasetError::io("open", path))?;
    let found = FORMATS.into_iter().find_map(|format| Some((format, format.recognise(path)?)));
    // Images next to a list of detections are not a dataset without objects.
    if found.as_ref().is_none_or(|(format, _)| format.name() == "folder")
        && let Some(file) = detections_at(path)
    {
        let problem = "this is a list of detections, not of annotations; use `quarry import detections`, or `quarry import folder` for \
                       the images alone";
        return Err(DatasetError::layout(&file, problem));
    }
    if found.as_ref().is_none_or(|(format, _)| format.name() == "folder")
        && let Some(path) = utf16_at(path)
    {
        return Err(InputError::Utf16 { path }.into());
    }
    found.ok_or_else(|| {
        let names: Vec<&str> = FORMATS.iter().map(|format| format.name()).collect();
        let problem = format!(
            "it looks like none of the formats that Quarry reads ({}). Name the format instead of `auto`, and the folder or file \
             that docs/formats.md gives for it",
            names.join(", ")
        );
        DatasetError::layout(path, problem)
    })
}

/// Describes files next to images that may contain annotations in an unknown format.
fn unread_annotations(root: &Path) -> Option<String> {
    let files =
        layout::files_below(root, &["txt", "json", "jsonl", "xml", "csv", "tsv", "yaml", "yml", "data"]).ok()?;
    let first = files.first()?;
    Some(format!(
        "{} not read, e.g. {}. If so, convert to one of the formats in docs/formats.md, or name the format instead of `auto`.",
        counted_as(
            files.len(),
            "file may hold annotations in a form that Quarry does not know, and was",
            "files may hold annotations in a form that Quarry does not know, and were"
        ),
        printable_path(first.strip_prefix(root).unwrap_or(first))
    ))
}

/// Returns the file of COCO results at `path`: itself, or in it or its subfolders.
fn detections_at(path: &Path) -> Option<PathBuf> {
    if path.is_file() {
        return is_results(path).then(|| path.to_path_buf());
    }
    let files = [0, 1].into_iter().flat_map(|depth| layout::json_files(path, depth).unwrap_or_default());
    files.into_iter().find(|file| is_results(file))
}

/// Returns the UTF-16 file at `path`, itself or in it: an annotation file that no format could detect.
fn utf16_at(path: &Path) -> Option<PathBuf> {
    const LOOKED_AT: usize = 64;
    let is_utf16 = |file: &PathBuf| json_values::head_of(file).is_some_and(|head| crate::domain::is_utf16(&head));
    if path.is_file() {
        return Some(path.to_path_buf()).filter(is_utf16);
    }
    let texts = layout::files_in(path, &["xml", "yaml", "yml", "txt"]).unwrap_or_default();
    let json = [0, 1].into_iter().flat_map(|depth| layout::json_files(path, depth).unwrap_or_default());
    texts.into_iter().chain(json).take(LOOKED_AT).find(is_utf16)
}

/// Whether a file is a JSON list of records like COCO's results. An empty list is one too: a detector without detections writes it, and no
/// dataset is an empty list.
fn is_results(path: &Path) -> bool {
    let head = json_values::head_of(path).unwrap_or_default();
    let head = String::from_utf8_lossy(&head);
    let Some(rest) = head.trim_start().strip_prefix('[') else { return false };
    rest.trim() == "]" || ["\"image_id\"", "\"category_id\"", "\"score\""].iter().all(|key| head.contains(key))
}
