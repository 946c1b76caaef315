//! Reads detection files of any detector: COCO's result list, FDDB's text, YOLO's label files, CSV. The caller matches images and classes
//! to the project.

mod coco;
mod csv_table;
mod fddb;
mod yolo;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use self::coco::{GivenImage, GroundTruthNames, read_ground_truth_names};
use super::{BadRecord, DatasetError};
use crate::domain::{Shape, limits, read_text};

/// The supported detection formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultFormat {
    /// A JSON list of `image_id`, `category_id`, `bbox` and `score`, or concatenated records.
    Coco,
    /// Blocks of an image name, a count, and one `x y w h score` or `ra rb theta cx cy score` line each.
    Fddb,
    /// A folder with one text file per image and one `class x y w h confidence` line per detection, in fractions of the image.
    Yolo,
    /// A table with a header.
    Csv,
}

/// The position of the confidence in YOLO lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfidencePlace {
    /// `class confidence x y w h`
    First,
    /// `class x y w h confidence`
    Last,
}

/// The unit of coordinates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Pixels,
    /// Of the image's width and height, 0 to 1.
    Fractions,
}

/// How a record identifies its image.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageKey {
    /// A file name or path, with or without extension.
    pub name: Option<String>,
    /// An id from a ground truth file, or a number that is the name.
    pub id: Option<i64>,
    /// The name is the text of an id: an id that the ground truth file has comes first.
    pub is_id: bool,
}

/// How a record identifies its class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ClassKey {
    /// The format has no classes, or the record has none.
    Unnamed,
    Number(i64),
    Name(String),
}

/// A detection as in its file.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundRecord {
    /// Its index in [`Results::files`].
    pub file: u32,
    /// From 1; `None` if the format has no lines.
    pub line: Option<usize>,
    pub image: ImageKey,
    pub class: ClassKey,
    /// In [`Results::unit`].
    pub shape: Shape,
    /// `None` if the file has none. Any finite number: the caller checks whether it is a probability.
    pub score: Option<f64>,
}

/// The content of result files.
#[derive(Debug, Clone)]
pub struct Results {
    pub files: Vec<PathBuf>,
    pub records: Vec<FoundRecord>,
    /// Listed images, with or without detections: file, line.
    pub listed: Vec<(u32, Option<usize>, ImageKey)>,
    pub bad: Vec<BadRecord>,
    /// The unit of coordinates according to the format.
    pub unit: Unit,
    /// Names of class numbers, if other files next to the results define them.
    pub names: BTreeMap<i64, String>,
    /// How ambiguous records were interpreted.
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
        Self { name: Some(name), id, is_id: false }
    }

    /// Of the text of an id, which some programs use for names too.
    fn id_text(text: &str) -> Self {
        Self { is_id: true, ..Self::named(text) }
    }
}

/// Reads `path`: a file, or for YOLO a folder. `confidence` is required if YOLO lines are ambiguous.
///
/// # Errors
///
/// The file cannot be read, is truncated, or has another format; individual bad records are in [`Results::bad`].
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

/// Detects the format of a path.
///
/// # Errors
///
/// It looks like no known format, or cannot be read.
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
    if csv_table::is_header(first).map_err(|problem| DatasetError::line(path, 1, problem))? {
        return Ok(ResultFormat::Csv);
    }
    if second.parse::<usize>().is_ok() {
        return Ok(ResultFormat::Fddb);
    }
    let problem = "its format was not recognised (a JSON result list, FDDB's text, a CSV table with a header, a folder of YOLO \
                   text files). Name it with --format coco, fddb, yolo or csv";
    Err(DatasetError::layout(path, problem))
}
