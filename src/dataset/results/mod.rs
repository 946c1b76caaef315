//! Detections of any detector as its result files hold them: COCO's result list, FDDB's text, YOLO's label files, CSV. Which image and
//! class of a project each one means is for the caller to find.

mod coco;
mod csv_table;
mod fddb;
mod yolo;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use self::coco::{GroundTruthNames, read_ground_truth_names};
use super::{BadRecord, DatasetError};
use crate::domain::{Shape, limits, read_text};

/// The formats of detections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultFormat {
    /// A JSON list of `image_id`, `category_id`, `bbox` and `score`, or such records one after another.
    Coco,
    /// Blocks of an image's name, a count, and `x y w h score` or `ra rb theta cx cy score` a line.
    Fddb,
    /// A folder with one text file an image: `class x y w h confidence` a line, in fractions of the image.
    Yolo,
    /// A table with a header.
    Csv,
}

/// Where YOLO lines have their confidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfidencePlace {
    /// `class confidence x y w h`
    First,
    /// `class x y w h confidence`
    Last,
}

/// What coordinates count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Pixels,
    /// Of the image's width and height, 0 to 1.
    Fractions,
}

/// How an image is meant.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageKey {
    /// A file's name or path, with or without its extension.
    pub name: Option<String>,
    /// A number that a ground truth file gives it, or its name is.
    pub id: Option<i64>,
}

/// How a class is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClassKey {
    /// The format has no classes, or the record names none.
    Unnamed,
    Number(i64),
    Name(String),
}

/// A detection as its file says it.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundRecord {
    /// Its place in [`Results::files`].
    pub file: u32,
    /// From 1; `None` where the format has no lines.
    pub line: Option<usize>,
    pub image: ImageKey,
    pub class: ClassKey,
    /// In [`Results::unit`].
    pub shape: Shape,
    /// `None` where the file has none. Any finite number: whether it is a probability is for the caller to check.
    pub score: Option<f64>,
}

/// What result files hold.
#[derive(Debug, Clone)]
pub struct Results {
    pub files: Vec<PathBuf>,
    pub records: Vec<FoundRecord>,
    /// Images that are listed, with detections or without: file, line.
    pub listed: Vec<(u32, Option<usize>, ImageKey)>,
    pub bad: Vec<BadRecord>,
    /// What the format says coordinates count.
    pub unit: Unit,
    /// Names of class numbers, where files are beside the results that tell them.
    pub names: BTreeMap<i64, String>,
    /// How ambiguous records were understood.
    pub notes: Vec<String>,
}

impl ResultFormat {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Coco => "coco",
            Self::Fddb => "fddb",
            Self::Yolo => "yolo",
            Self::Csv => "csv",
        }
    }
}

impl Results {
    fn new(files: Vec<PathBuf>, unit: Unit) -> Self {
        let (records, listed, bad) = (Vec::new(), Vec::new(), Vec::new());
        Self { files, records, listed, bad, unit, names: BTreeMap::new(), notes: Vec::new() }
    }

    #[expect(clippy::indexing_slicing, reason = "the index is one of a file that was read")]
    fn report(&mut self, file: u32, line: Option<usize>, problem: impl Into<String>) {
        let file = self.files[file as usize].clone();
        self.bad.push(BadRecord { file, line, problem: problem.into() });
    }
}

impl ImageKey {
    fn named(name: &str) -> Self {
        let name = name.trim().replace('\\', "/");
        let id = name.parse().ok();
        Self { name: Some(name), id }
    }
}

/// Reads `path`: a file, or for YOLO a folder. `confidence` is asked for where YOLO lines can be understood in two ways.
///
/// # Errors
///
/// The file cannot be read, is cut off, or is of another format; single bad records are in [`Results::bad`].
pub fn read_results(
    path: &Path,
    format: ResultFormat,
    confidence: Option<ConfidencePlace>,
) -> Result<Results, DatasetError> {
    match format {
        ResultFormat::Coco => coco::read(path),
        ResultFormat::Fddb => fddb::read(path),
        ResultFormat::Yolo => yolo::read(path, confidence),
        ResultFormat::Csv => csv_table::read(path),
    }
}

/// The format that a path looks like.
///
/// # Errors
///
/// It looks like none, or cannot be read.
pub fn recognise(path: &Path) -> Result<ResultFormat, DatasetError> {
    if path.is_dir() {
        return Ok(ResultFormat::Yolo);
    }
    let text = read_text(path, limits::TEXT)?;
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let (first, second) = (lines.next().unwrap_or("").trim(), lines.next().unwrap_or("").trim());
    if first.starts_with(['[', '{']) {
        return Ok(ResultFormat::Coco);
    }
    if csv_table::is_header(first) {
        return Ok(ResultFormat::Csv);
    }
    if second.parse::<usize>().is_ok() {
        return Ok(ResultFormat::Fddb);
    }
    let problem = "its format was not recognised (a JSON result list, FDDB's text, a CSV table with a header, a folder of YOLO \
                   text files). Name it with --format coco, fddb, yolo or csv";
    Err(DatasetError::layout(path, problem))
}
