//! Imports any detector's detections as a round of the project: matched to its images and classes, mined on the training images, evaluated
//! on the test images. Afterwards it is an ordinary round.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

mod classes;
mod evaluate;
mod images;
mod model;
#[cfg(feature = "torch")]
mod model_classes;
#[cfg(feature = "torch")]
mod model_run;
mod numbers;
mod overlaps;
mod pixels;
mod repeated;
mod report;
#[cfg(feature = "torch")]
mod run_model;
mod samples;
mod scale;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use self::classes::{ClassFinder, ClassHints};
use self::images::ImageFinder;
pub use self::model::{ModelClass, ModelPreview, ModelRequest, is_model};
#[cfg(feature = "torch")]
pub(super) use self::model_run::{ModelInfo, ModelRun};
pub use self::numbers::ClassNumbers;
use self::numbers::names_of_numbers;
use self::overlaps::Overlaps;
use self::pixels::Pixels;
pub use self::report::DetectionsReport;
use self::report::Tally;
#[cfg(feature = "torch")]
pub(super) use self::run_model::{load, model_info};
#[cfg(feature = "torch")]
pub use self::run_model::{look_at_model, mine_model};
pub use self::samples::{ClassSample, Likely, class_samples};
pub use self::scale::ScoreScale;
use self::scale::{scale_of, unit_of};
use super::copies::Truth;
use super::group::{config as group_config, group};
use super::retry::{let_verdicts_go_first, with_retries};
use super::split::Split;
use super::{Observer, Project, WorkEvent, WorkflowError};
use crate::dataset::formats::{ExifRule, class_names};
use crate::dataset::results::{
    ConfidencePlace, ResultFormat, Results, Unit, read_ground_truth_names, read_results, recognise,
};
use crate::dataset::{BadRecord, LikeCorners};
use crate::domain::{
    Cancel, Detection, ImageId, ImageRecord, RoundRecord, Shape, check_shape, counted, counted_as, printable_line,
    printable_path,
};
use crate::mining::{MiningConfig, count_duplicates, mine_image};
use crate::store::{Dataset, NewCandidate, Store};
use crate::training::RoundConfig;

/// Placeholder for an unknown score: it ranks the detection last. The round stores how many there are.
pub const UNKNOWN_SCORE: f32 = 0.0;
/// Default score below which detections are not mined.
pub const DEFAULT_MIN_SCORE: f32 = 0.05;
/// Maximum number of rows per transaction, except for those of a single image.
const ROWS_AT_ONCE: usize = 300;

/// What to import and how to interpret it; `None` is inferred from the files, or requested if they do not contain it.
#[derive(Debug, Clone, PartialEq)]
pub struct DetectionsRequest {
    pub path: PathBuf,
    /// The model's name.
    pub name: String,
    pub format: Option<ResultFormat>,
    /// COCO's ground truth, which defines image ids and category ids.
    pub ground_truth: Option<PathBuf>,
    /// A `data.yaml` or a list of class names, which defines class numbers.
    pub names: Option<PathBuf>,
    /// The user's names of class numbers.
    pub class_names: BTreeMap<i64, String>,
    /// How class numbers refer to the list of names.
    pub class_numbers: Option<ClassNumbers>,
    /// The class of all detections.
    pub class: Option<String>,
    /// Class names of the project, if they differ from the model's class names or numbers.
    pub map: BTreeMap<String, String>,
    pub unit: Option<Unit>,
    pub scores: Option<ScoreScale>,
    pub confidence: Option<ConfidencePlace>,
    /// Which pixels coordinates mean on images with an EXIF orientation; the declared size is that of the ground truth file.
    pub exif: ExifRule,
    /// Detections below this score are stored but not mined.
    pub min_score: f32,
    /// Overrides those of the newest round that Quarry trained.
    pub test_splits: Option<Vec<String>>,
    pub test_dataset: Option<String>,
    /// Fail at the first invalid record.
    pub strict: bool,
    /// Write nothing.
    pub dry_run: bool,
}

impl DetectionsRequest {
    /// Infers everything but the file and the model's name from the file.
    pub fn new(path: PathBuf, name: String) -> Self {
        Self {
            path,
            name,
            format: None,
            ground_truth: None,
            names: None,
            class_names: BTreeMap::new(),
            class_numbers: None,
            class: None,
            map: BTreeMap::new(),
            unit: None,
            scores: None,
            confidence: None,
            exif: ExifRule::Auto,
            min_score: DEFAULT_MIN_SCORE,
            test_splits: None,
            test_dataset: None,
            strict: false,
            dry_run: false,
        }
    }
}

/// Imports detections as the next round of the model, mines and evaluates it.
///
/// # Errors
///
/// A file cannot be read or is truncated; it is ambiguous and no interpretation was chosen; no detection is on an image of the project;
/// with `strict`, any invalid record. Nothing is written then.
pub fn import_detections(
    project: &Project,
    request: &DetectionsRequest,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<DetectionsReport, WorkflowError> {
    check_name(&request.name)?;
    // A training that starts meanwhile would number its rounds without this one.
    let _lock = if request.dry_run { None } else { Some(project.lock("import")?) };
    // A dry run only reads, so that a read-only disk suffices.
    let mut store = if request.dry_run { project.open_store_to_read()? } else { project.open_store()? };
    let scene = Scene::new(&store, request)?;
    let taken = Taken::new(&mut store, &scene, request)?;
    if cancel.is_cancelled() {
        return Err(WorkflowError::Cancelled);
    }
    let source = request.path.canonicalize().unwrap_or_else(|_| request.path.clone()).to_string_lossy().into_owned();
    make_round(project, &mut store, &scene, &taken, &source, request, observer, cancel)
}

/// Mines and evaluates the matched detections as the model's next round.
#[allow(clippy::too_many_arguments, reason = "the parts of one import, made one after another")]
fn make_round(
    project: &Project,
    store: &mut Store,
    scene: &Scene,
    taken: &Taken,
    source: &str,
    request: &DetectionsRequest,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<DetectionsReport, WorkflowError> {
    let mining = MiningConfig { min_score: request.min_score, ..MiningConfig::default() };
    let mined = Mined::new(scene, taken, &mining);
    scene.split.notes().into_iter().for_each(|text| observer(WorkEvent::Log(text)));
    let tally = Tally::new(scene, taken, &mined, request.min_score);
    let mut report = report::new(scene, &taken.facts, &tally, request);
    let round = if request.dry_run {
        None
    } else {
        let round = write(store, scene, taken, &mined, source, request, observer, cancel)?;
        report.set_round(&round);
        Some(round)
    };
    if taken.facts.unscored == 0 {
        evaluate::evaluate(project, store, round.as_ref(), scene, &taken.found, &mut report)?;
    } else {
        report.notes.push(format!(
            "{} last, and no curve is drawn",
            counted_as(taken.facts.unscored, "detection has no score: it ranks", "detections have no score: they rank")
        ));
    }
    let Some(round) = round else { return Ok(report) };
    end(store, &round, &mut report, observer, cancel)?;
    Ok(report)
}

/// Finishes the round: marks it as mined and groups its candidates. If the images are missing, the import has not failed: importing the
/// same detections again would create another round.
fn end(
    store: &mut Store,
    round: &RoundRecord,
    report: &mut DetectionsReport,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<(), WorkflowError> {
    with_retries(cancel, |text| observer(WorkEvent::Log(text)), || store.end_mining(round.id))?;
    let config = group_config(store)?;
    let groups = match group(store, &config, observer, cancel) {
        Err(WorkflowError::Away(away)) => {
            let text = format!(
                "the candidates are not grouped: {} cannot be read. `quarry group` does it later",
                away.root.display()
            );
            report.notes.push(text);
            return Ok(());
        }
        groups => groups?,
    };
    observer(WorkEvent::Log(format!("{}: {}; {groups}", round.title(), counted(report.candidates, "candidate"))));
    Ok(())
}

fn check_name(name: &str) -> Result<(), WorkflowError> {
    let is_bad =
        name.trim().is_empty() || name.trim() != name || name.len() > 100 || name.chars().any(char::is_control);
    if is_bad {
        let text =
            "a model needs a name of one line, of at most 100 bytes and without spaces around it: --name yolo11-v3";
        return Err(WorkflowError::Refused(text.to_owned()));
    }
    Ok(())
}

/// The project's data and split.
pub(super) struct Scene {
    images: Vec<ImageRecord>,
    truth: Truth,
    split: Split,
    config: RoundConfig,
    datasets: Vec<Dataset>,
}

impl Scene {
    fn new(store: &Store, request: &DetectionsRequest) -> Result<Self, WorkflowError> {
        let (images, datasets, truth) = (store.images()?, store.datasets()?, store.all_ground_truth()?);
        let config = split_config(store, &images, request)?;
        let split = Split::new(&images, &datasets, &truth, &config)?;
        Ok(Self { images, truth, split, config, datasets })
    }
}

/// Returns the settings that split the images: as requested, else those of Quarry's newest own round, so that rounds are comparable, else
/// the defaults if the project has such splits.
fn split_config(
    store: &Store,
    images: &[ImageRecord],
    request: &DetectionsRequest,
) -> Result<RoundConfig, WorkflowError> {
    let own = store.rounds()?.into_iter().rfind(RoundRecord::is_own);
    let mut config = if let Some(round) = own {
        RoundConfig::from_stored(&round.config_toml, &round.title())?
    } else {
        let known: HashSet<&str> = images.iter().filter_map(|image| image.split.as_deref()).collect();
        let mut config = RoundConfig::default();
        config.test_splits.retain(|split| known.contains(split.as_str()));
        config
    };
    if let Some(splits) = &request.test_splits {
        config.test_splits.clone_from(splits);
        config.train_splits.retain(|split| !splits.contains(split));
        config.test_dataset.clear();
    }
    if let Some(dataset) = &request.test_dataset {
        config.test_dataset.clone_from(dataset);
        config.test_splits.clear();
    }
    Ok(config)
}

/// Information about the detections other than the detections themselves.
pub(super) struct Facts {
    /// Invalid records.
    problems: Vec<BadRecord>,
    notes: Vec<String>,
    unscored: u64,
    format: &'static str,
}

/// The matched detections, one list for each image of the project.
pub(super) struct Taken {
    found: Vec<Vec<Detection>>,
    facts: Facts,
}

impl Taken {
    fn new(store: &mut Store, scene: &Scene, request: &DetectionsRequest) -> Result<Self, WorkflowError> {
        let format = request.format.map_or_else(|| recognise(&request.path), Ok)?;
        let mut results = read_results(&request.path, format, request.confidence)?;
        let (unit, scale) = (unit_of(&results, request.unit)?, scale_of(&results, request.scores)?);
        let mut names = std::mem::take(&mut results.names);
        let mut image_names = BTreeMap::new();
        if let Some(file) = &request.ground_truth {
            let given = read_ground_truth_names(file)?;
            (image_names, names) = (given.images, given.categories);
        }
        if let Some(file) = &request.names {
            names = names_of(file)?;
        }
        let finder = ImageFinder::new(&scene.images, &scene.datasets, &scene.split.copies, &image_names);
        let places: Vec<Result<usize, String>> =
            results.records.iter().map(|record| finder.find(&record.image)).collect();
        let mut notes = std::mem::take(&mut results.notes);
        let problems = std::mem::take(&mut results.bad);
        let facts = Facts { problems, notes: Vec::new(), unscored: 0, format: format.as_str() };
        let mut taken = Self { found: vec![Vec::new(); scene.images.len()], facts };
        refuse_strangers(&request.path, &places)?;
        let keys = results.records.iter().map(|record| &record.class).collect();
        let pixels = Pixels::new(scene, &results, &places, unit, request.exif, &image_names);
        let overlaps = Overlaps::new(scene, &results, &places, &pixels);
        let counts_from_0 = format == ResultFormat::Yolo;
        names = names_of_numbers(store, request, &keys, names, counts_from_0, &overlaps, &mut notes)?;
        let (only, dry_run) = (request.class.as_deref(), request.dry_run);
        let hints = ClassHints { names: &names, map: &request.map, only, overlaps: &overlaps, dry_run };
        let classes = ClassFinder::new(store, &keys, &hints, &mut notes)?;
        let mut corners = LikeCorners::default();
        for (record, place) in results.records.iter().zip(places) {
            let fitting = place.and_then(|at| {
                let image = scene.images.get(at).ok_or("its image is not in the project")?;
                let class = classes.find(&record.class)?;
                if format == ResultFormat::Coco && unit == Unit::Pixels {
                    let size = (!pixels.is_stored(at)).then_some((image.width, image.height));
                    corners.look(size, &record.shape);
                }
                let shape = pixels.shape(at, image, &record.shape);
                check_shape(&shape, image.width, image.height).map_err(|problem| problem.to_string())?;
                let score = match record.score {
                    None => None,
                    Some(score) => Some(
                        scale
                            .probability(score)
                            .ok_or_else(|| format!("the score {score} is outside 0 to 1 (or what --scores says)"))?,
                    ),
                };
                Ok((at, class, shape, score))
            });
            match fitting {
                Ok((at, class, shape, score)) => {
                    taken.facts.unscored += u64::from(score.is_none());
                    let ellipse = if let Shape::Ellipse(ellipse) = shape { Some(ellipse) } else { None };
                    let (bbox, score) = (shape.bounding_box(), score.unwrap_or(UNKNOWN_SCORE));
                    if let Some(found) = taken.found.get_mut(at) {
                        found.push(Detection { class, bbox, ellipse, score });
                    }
                }
                Err(problem) => {
                    let file = file_of(&results, record.file);
                    taken.facts.problems.push(BadRecord { file, line: record.line, problem });
                }
            }
        }
        for (file, line, image) in unmatched_without_detections(&results, &finder) {
            taken.facts.problems.push(BadRecord { file, line, problem: image });
        }
        taken.facts.problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        refuse_unusable(&taken)?;
        if let Some(first) = taken.facts.problems.first().filter(|_| request.strict) {
            return Err(WorkflowError::Refused(format!("{first}. Correct it, or import without --strict.")));
        }
        // Highest score first, as detectors return them; ties in file order.
        taken.found.iter_mut().for_each(|of_image| of_image.sort_by(|a, b| b.score.total_cmp(&a.score)));
        notes.extend(pixels.note(scene));
        notes.extend(corners.warning(&request.path));
        notes.extend(repeated::count_once(&mut taken.found, scene));
        taken.facts.notes = notes;
        Ok(taken)
    }

    fn count(&self) -> usize {
        self.found.iter().map(Vec::len).sum()
    }
}

/// Reads class names by number from a COCO file, a YAML file or a list.
fn names_of(file: &Path) -> Result<BTreeMap<i64, String>, WorkflowError> {
    let is_json = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    if is_json {
        return Ok(read_ground_truth_names(file)?.categories);
    }
    let names: BTreeMap<i64, String> =
        class_names(file)?.into_iter().map(|(number, name)| (i64::from(number), name)).collect();
    if names.is_empty() {
        let reason = "it names no class; expected `names:` of a data.yaml, or one name a line".to_owned();
        return Err(WorkflowError::BadFile { path: file.to_path_buf(), reason });
    }
    Ok(names)
}

/// If no detection in a file is on an image of the project, it is for another dataset or its names have another form.
fn refuse_strangers(path: &Path, places: &[Result<usize, String>]) -> Result<(), WorkflowError> {
    let Some(Err(first)) = places.first() else { return Ok(()) };
    if places.iter().any(Result::is_ok) {
        return Ok(());
    }
    Err(WorkflowError::Refused(format!(
        "{}: none of its {} is on an image of this project. The first: {}.",
        printable_path(path),
        counted(places.len(), "detection"),
        printable_line(first)
    )))
}

/// If no record is valid, that is not a detector without detections: its round would have a recall of 0 that was never measured.
fn refuse_unusable(taken: &Taken) -> Result<(), WorkflowError> {
    match taken.facts.problems.first() {
        Some(first) if taken.count() == 0 => {
            let records = taken.facts.problems.len();
            Err(WorkflowError::Refused(format!(
                "none of {} can be taken. The first: {first}.",
                counted(records, "record")
            )))
        }
        _ => Ok(()),
    }
}

/// Returns the file that a record comes from.
fn file_of(results: &Results, file: u32) -> PathBuf {
    results.files.get(file as usize).cloned().unwrap_or_default()
}

/// Returns listed images without a detection that the project does not know.
fn unmatched_without_detections(results: &Results, finder: &ImageFinder) -> Vec<(PathBuf, Option<usize>, String)> {
    let with: HashSet<_> = results.records.iter().map(|record| &record.image).collect();
    let without = results.listed.iter().filter(|(_, _, image)| !with.contains(image));
    without
        .filter_map(|(file, line, image)| {
            let problem = finder.find(image).err()?;
            Some((file_of(results, *file), *line, problem))
        })
        .collect()
}

/// The candidates on the training images.
pub(super) struct Mined {
    processed: Vec<ImageId>,
    candidates: Vec<NewCandidate>,
    duplicate: usize,
}

impl Mined {
    fn new(scene: &Scene, taken: &Taken, config: &MiningConfig) -> Self {
        let by_id: HashMap<ImageId, usize> =
            scene.images.iter().enumerate().map(|(at, image)| (image.id, at)).collect();
        let mut mined = Self { processed: Vec::new(), candidates: Vec::new(), duplicate: 0 };
        // Unknown scores are not below any threshold.
        let all = MiningConfig { min_score: 0.0, ..*config };
        let config = if taken.facts.unscored > 0 { &all } else { config };
        for image in &scene.split.training {
            mined.processed.push(image.id);
            let Some(detections) = by_id.get(&image.id).and_then(|at| taken.found.get(*at)) else { continue };
            let annotations = scene.split.copies.annotations(image, &scene.truth);
            mined.duplicate += count_duplicates(detections, &annotations, config);
            let found = mine_image(detections, &annotations, config).into_iter();
            mined.candidates.extend(found.map(|m| NewCandidate {
                image: image.id,
                class: m.class,
                bbox: m.bbox,
                score: m.score,
                max_iou: m.max_iou,
                kind: m.kind,
            }));
        }
        mined
    }
}

/// Divides images into parts of about this many rows, but at least one image: an annotator's verdict waits for the end of a transaction.
fn few_rows<T>(images: &[T], rows: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    let mut rest = images;
    std::iter::from_fn(move || {
        let mut sum = 0;
        let fitting = rest.iter().take_while(|image| {
            sum += rows(image);
            sum <= ROWS_AT_ONCE
        });
        let (part, left) = rest.split_at_checked(fitting.count().max(1))?;
        rest = left;
        Some(part)
    })
}

#[allow(clippy::too_many_arguments, reason = "the parts of one import, made one after another")]
fn write(
    store: &mut Store,
    scene: &Scene,
    taken: &Taken,
    mined: &Mined,
    source: &str,
    request: &DetectionsRequest,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<RoundRecord, WorkflowError> {
    let mut tell = |text| observer(WorkEvent::Log(text));
    let settings = scene.config.to_toml();
    let round = with_retries(cancel, &mut tell, || store.start_imported_round(&request.name, source, &settings))?;
    with_retries(cancel, &mut tell, || store.set_unscored(round.id, taken.facts.unscored))?;
    let rows: Vec<(ImageId, Vec<Detection>)> =
        scene.images.iter().zip(&taken.found).map(|(image, found)| (image.id, found.clone())).collect();
    let count = |(_, found): &(ImageId, Vec<Detection>)| 1 + found.len();
    for rows in few_rows(&rows, count) {
        with_retries(cancel, &mut tell, || store.replace_detections(round.id, rows))?;
        let_verdicts_go_first();
    }
    // In image order.
    let mut candidates = &mined.candidates[..];
    let of_image = mined.processed.iter().map(|image| {
        let (own, rest) = candidates.split_at(candidates.iter().take_while(|c| c.image == *image).count());
        candidates = rest;
        (*image, own)
    });
    let of_image: Vec<(ImageId, &[NewCandidate])> = of_image.collect();
    for part in few_rows(&of_image, |(_, own)| 1 + 2 * own.len()) {
        let processed: Vec<ImageId> = part.iter().map(|(image, _)| *image).collect();
        let new: Vec<NewCandidate> = part.iter().flat_map(|(_, own)| own.iter().copied()).collect();
        with_retries(cancel, &mut tell, || store.replace_some_candidates(round.id, &processed, &new))?;
        let_verdicts_go_first();
    }
    Ok(store.round(round.id)?)
}
