//! `quarry import detections FILE --project DIR --name MODEL`: its options and its report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Context;
use super::console::{Console, cancel_on_ctrl_c};
use crate::dataset::results::{ConfidencePlace, ResultFormat, Unit};
use crate::domain::parse_splits;
use crate::workflow::Project;
use crate::workflow::detections::{ClassNumbers, DEFAULT_MIN_SCORE, DetectionsRequest, ScoreScale, import_detections};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Detections")]
pub struct DetectionsArgs {
    /// Name of the model; importing its newer results makes its next round
    #[arg(long, value_name = "MODEL")]
    name: Option<String>,
    /// The format of the detections [default: detected]
    #[arg(long = "format", id = "detections_format", value_enum)]
    format: Option<Format>,
    /// The COCO file that image ids and category ids come from
    #[arg(long, value_name = "JSON")]
    ground_truth: Option<PathBuf>,
    /// Names of class numbers: data.yaml, or one name per line
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,
    /// What class numbers refer to, if the list of names can be read in several ways
    #[arg(long, value_enum)]
    class_numbers: Option<Numbers>,
    /// The class of all detections
    #[arg(long, value_name = "NAME")]
    class: Option<String>,
    /// Project's names of the model's classes or class numbers, where they differ: FACE_MALE=face,3=face
    #[arg(long, value_name = "NAME=CLASS,...", value_parser = class_map)]
    map: Option<ClassMap>,
    /// Unit of coordinates, if the file's range contradicts its format
    #[arg(long, value_enum)]
    coordinates: Option<Coordinates>,
    /// Kind of scores, if they are not 0 to 1
    #[arg(long, value_enum)]
    scores: Option<Scores>,
    /// Position of the confidence in YOLO lines, if it is ambiguous
    #[arg(long, value_enum)]
    confidence: Option<Confidence>,
    /// Detections below this score are stored but not mined [default: 0.05]
    #[arg(long, value_name = "SCORE")]
    min_score: Option<f32>,
    /// Splits to evaluate on instead of mining [default: those of the newest round that Quarry trained]
    #[arg(long, value_name = "LIST", alias = "test-folds", value_parser = splits, conflicts_with = "test_dataset")]
    test_splits: Option<Splits>,
    /// The dataset to evaluate on instead of mining
    #[arg(long, value_name = "NAME")]
    test_dataset: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Splits(pub Vec<String>);

pub(super) fn splits(text: &str) -> Result<Splits, String> {
    parse_splits(text).map(Splits)
}

/// Class names of the project by class names of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ClassMap(pub BTreeMap<String, String>);

pub(super) fn class_map(text: &str) -> Result<ClassMap, String> {
    let pair = |part: &str| match part.split_once('=') {
        Some((theirs, ours)) if !theirs.trim().is_empty() && !ours.trim().is_empty() => {
            Ok((theirs.trim().to_owned(), ours.trim().to_owned()))
        }
        _ => Err(format!("`{part}` is not NAME=CLASS")),
    };
    let pairs: Vec<(String, String)> = text.split(',').map(pair).collect::<Result<_, _>>()?;
    let count = pairs.len();
    let map: BTreeMap<String, String> = pairs.into_iter().collect();
    if map.len() == count { Ok(ClassMap(map)) } else { Err("a name occurs twice before `=`".to_owned()) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Coco,
    Fddb,
    Yolo,
    Csv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Numbers {
    /// They are the list's own numbers
    Listed,
    /// The list's first class is 0
    #[value(name = "from-0")]
    From0,
    /// The list's first class is 1
    #[value(name = "from-1")]
    From1,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Coordinates {
    Pixels,
    Fractions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Scores {
    Probability,
    Percent,
    Logit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Confidence {
    First,
    Last,
}

impl DetectionsArgs {
    /// Returns the first of these options that was given.
    pub fn first_given(&self) -> Option<&'static str> {
        let given = [
            ("--name", self.name.is_some()),
            ("--format", self.format.is_some()),
            ("--ground-truth", self.ground_truth.is_some()),
            ("--names", self.names.is_some()),
            ("--class-numbers", self.class_numbers.is_some()),
            ("--class", self.class.is_some()),
            ("--map", self.map.is_some()),
            ("--coordinates", self.coordinates.is_some()),
            ("--scores", self.scores.is_some()),
            ("--confidence", self.confidence.is_some()),
            ("--min-score", self.min_score.is_some()),
            ("--test-splits", self.test_splits.is_some()),
            ("--test-dataset", self.test_dataset.is_some()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(option, _)| option)
    }

    /// What these options say of the import of `path`; the rest as by default.
    pub fn request(&self, path: &Path) -> anyhow::Result<DetectionsRequest> {
        let Some(name) = self.name.clone() else {
            anyhow::bail!("`import detections` needs the model's name: --name yolo11-v3");
        };
        let min_score = self.min_score.unwrap_or(DEFAULT_MIN_SCORE);
        anyhow::ensure!((0.0..=1.0).contains(&min_score), "--min-score {min_score} is outside 0 to 1");
        Ok(DetectionsRequest {
            format: self.format.map(|format| match format {
                Format::Coco => ResultFormat::Coco,
                Format::Fddb => ResultFormat::Fddb,
                Format::Yolo => ResultFormat::Yolo,
                Format::Csv => ResultFormat::Csv,
            }),
            ground_truth: self.ground_truth.clone(),
            names: self.names.clone(),
            class_numbers: self.class_numbers.map(|numbers| match numbers {
                Numbers::Listed => ClassNumbers::Listed,
                Numbers::From0 => ClassNumbers::From0,
                Numbers::From1 => ClassNumbers::From1,
            }),
            class: self.class.clone(),
            map: self.map.clone().unwrap_or_default().0,
            unit: self.coordinates.map(|coordinates| match coordinates {
                Coordinates::Pixels => Unit::Pixels,
                Coordinates::Fractions => Unit::Fractions,
            }),
            scores: self.scores.map(|scores| match scores {
                Scores::Probability => ScoreScale::Probability,
                Scores::Percent => ScoreScale::Percent,
                Scores::Logit => ScoreScale::Logit,
            }),
            confidence: self.confidence.map(|confidence| match confidence {
                Confidence::First => ConfidencePlace::First,
                Confidence::Last => ConfidencePlace::Last,
            }),
            min_score,
            test_splits: self.test_splits.clone().map(|splits| splits.0),
            test_dataset: self.test_dataset.clone(),
            ..DetectionsRequest::new(path.to_path_buf(), name)
        })
    }
}

pub fn run(project: &Project, request: &DetectionsRequest, context: &Context) -> anyhow::Result<()> {
    let mut console = Console::new();
    let cancel = cancel_on_ctrl_c();
    let report = import_detections(project, request, &mut |e| console.show(e), &cancel)?;
    drop(console);
    context.print_done(&report, || report.to_string())
}
