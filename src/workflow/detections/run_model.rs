//! A third-party model (ONNX, TorchScript) run on the project's images -> a round, as if its detections had been imported. It is detected and
//! kept batch by batch, and goes on where it was cut off.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::classes::ClassFinder;
use super::report::{self, Tally};
use super::{
    DetectionsReport, DetectionsRequest, Facts, ModelClass, ModelLook, ModelRequest, Scene, check_name, end, evaluate,
};
use crate::dataset::BadRecord;
use crate::dataset::results::ClassKey;
use crate::domain::{Cancel, ClassId, Detection, ImageId, ImageRecord, RoundRecord, Shape, check_shape};
use crate::mining::MiningConfig;
use crate::models::{ModelDetection, ModelFormat};
use crate::store::{Resume, Store};
use crate::training::RunLock;
use crate::workflow::detect::Task;
use crate::workflow::mine::{Detected, Intake, Seen, Target, detect_into, files_of};
use crate::workflow::models::ForeignModel;
use crate::workflow::retry::with_retries;
use crate::workflow::split::Split;
use crate::workflow::{Observer, Project, WorkEvent, WorkflowError};

/// Runs the model on every training and test image, mines the training images and evaluates on the test images: the model's next round.
/// One that was cut off goes on where it was, with the same model and settings.
///
/// # Errors
///
/// The model cannot be loaded or fails on its input; no class of it is one of the project; the images are away. Nothing is written then.
pub fn mine_model(
    project: &Project,
    request: &ModelRequest,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<DetectionsReport, WorkflowError> {
    check_name(&request.name)?;
    let model = load(&request.path, &request.device)?;
    let lock = RunLock::take(&project.runs_dir())?;
    let mut store = project.open_store()?;
    let import = as_import(request);
    let mut scene = Scene::new(&store, &import)?;
    // Images of neither part would only take time.
    let test: HashSet<ImageId> = scene.split.test.iter().map(|image| image.id).collect();
    let wanted: BTreeSet<ImageId> = scene.split.training.iter().map(|image| image.id).chain(test.clone()).collect();
    let (kept, others): (Vec<_>, Vec<_>) =
        std::mem::take(&mut scene.images).into_iter().partition(|image| wanted.contains(&image.id));
    scene.images = kept;
    let mut classes = ModelClasses::new(&mut store, &model, request)?;
    scene.split.told().into_iter().for_each(|text| observer(WorkEvent::Log(text)));
    let identity = identity(&store, &model, request, &scene)?;
    let round = start(&mut store, &model, request, &scene, &others, observer, cancel)?;
    let target = Target {
        round,
        mining: MiningConfig { min_score: request.min_score, ..MiningConfig::default() },
        images: scene.images.clone(),
        held_out: test,
        identity,
        truth: store.all_ground_truth()?,
        copies: scene.split.copies.clone(),
    };
    let (files, sources) = files_of(&store, &target.images)?;
    let is_there = || Ok(lock.check()?);
    let task = Task { files: &files, sources: &sources, is_there: &is_there, what: "Detecting", done_before: 0 };
    let mut intake = Intake::begin(&target, &mut store, None, Resume::Unfinished, observer, cancel)?;
    let seen = |image: &ImageRecord, found: Vec<ModelDetection>| classes.seen(image, found);
    let Detected { unreadable, .. } = detect_into(&model, &target, &task, &mut intake, seen, observer, cancel)?;
    intake.keep(observer)?;
    let round = target.round;
    let facts = classes.facts(unreadable, format_name(request));
    let tally = Tally::stored(&scene, &store, round.id, request.min_score)?;
    let mut report = report::new(&scene, &facts, &tally, &import);
    report.set_round(&round);
    let found = on_test_images(&store, &round, &scene)?;
    evaluate::evaluate(project, &mut store, Some(&round), &scene, &found, &mut report)?;
    end(&mut store, &round, &report, observer, cancel)?;
    Ok(report)
}

fn load(path: &Path, device: &str) -> Result<ForeignModel, WorkflowError> {
    let model = ForeignModel::at(path, device)?.ok_or_else(|| {
        WorkflowError::Refused(format!(
            "{}: a third-party model is an ONNX (.onnx) or TorchScript (.torchscript, .pt) file",
            path.display()
        ))
    })?;
    model.probe()?;
    Ok(model)
}

/// Changes when what is detected and kept may change by more than rounding.
fn identity(
    store: &Store,
    model: &ForeignModel,
    request: &ModelRequest,
    scene: &Scene,
) -> Result<String, WorkflowError> {
    let mut hasher = blake3::Hasher::new();
    let mut part = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    part("quarry detections of a model 1");
    part(&model.identity(&request.path)?);
    part(&format!("{:?} {}", request.map, request.min_score));
    part(&scene.config.to_toml());
    store.classes()?.iter().for_each(|class| part(&format!("{} {}", class.id.0, class.name)));
    Ok(hasher.finalize().to_hex().to_string())
}

/// The model's next round, or the one of its rounds that was cut off. What such a one holds of images that are no longer asked for goes.
fn start(
    store: &mut Store,
    model: &ForeignModel,
    request: &ModelRequest,
    scene: &Scene,
    others: &[ImageRecord],
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<RoundRecord, WorkflowError> {
    let path = request.path.canonicalize().unwrap_or_else(|_| request.path.clone());
    let source = format!("{} (images {})", path.to_string_lossy(), model.input_told());
    let mut tell = |text| observer(WorkEvent::Log(text));
    let settings = scene.config.to_toml();
    let round = with_retries(cancel, &mut tell, || store.start_imported_round(&request.name, &source, &settings))?;
    with_retries(cancel, &mut tell, || store.set_unscored(round.id, 0))?;
    if store.count_detections(round.id)? > 0 && !others.is_empty() {
        let none: Vec<(ImageId, Vec<Detection>)> = others.iter().map(|image| (image.id, Vec::new())).collect();
        let looked: Vec<ImageId> = others.iter().map(|image| image.id).collect();
        with_retries(cancel, &mut tell, || store.replace_detections(round.id, &none))?;
        with_retries(cancel, &mut tell, || store.replace_candidates(round.id, &looked, &[]))?;
    }
    Ok(round)
}

/// The stored detections on the test images, one list for each image of the scene.
fn on_test_images(store: &Store, round: &RoundRecord, scene: &Scene) -> Result<Vec<Vec<Detection>>, WorkflowError> {
    let test: HashSet<ImageId> = scene.split.test.iter().map(|image| image.id).collect();
    let of_image = |image: &ImageRecord| {
        if test.contains(&image.id) { store.detections(round.id, image.id) } else { Ok(Vec::new()) }
    };
    Ok(scene.images.iter().map(of_image).collect::<Result<_, _>>()?)
}

/// What the model's classes are in the project, and what does not fit.
struct ModelClasses {
    names: Vec<String>,
    finder: ClassFinder,
    left_out: BTreeMap<String, usize>,
    problems: Vec<BadRecord>,
    notes: Vec<String>,
}

impl ModelClasses {
    /// Refuses a model of which no class is one of the project.
    fn new(store: &mut Store, model: &ForeignModel, request: &ModelRequest) -> Result<Self, WorkflowError> {
        let names = class_names(store, model, request)?;
        let keys: BTreeSet<ClassKey> = names.iter().cloned().map(ClassKey::Name).collect();
        let mut notes = Vec::new();
        let finder =
            ClassFinder::new(store, &keys.iter().collect(), &BTreeMap::new(), &request.map, None, false, &mut notes)?;
        let problems: Vec<String> = keys.iter().filter_map(|key| finder.find(key).err()).collect();
        if let Some(first) = problems.first()
            && problems.len() == keys.len()
        {
            return Err(WorkflowError::Refused(format!(
                "no class of {} is one of the project: {first}. Add the class with `quarry classes`, or say what the model's classes are \
                 called in the project: --map NAME=CLASS",
                request.path.display()
            )));
        }
        Ok(Self { names, finder, left_out: BTreeMap::new(), problems: Vec::new(), notes })
    }

    fn class(&self, class: usize) -> Result<ClassId, String> {
        let unnamed = || unnamed(class);
        self.finder.find(&ClassKey::Name(self.names.get(class).cloned().unwrap_or_else(unnamed)))
    }

    /// The detections with the project's classes; those of classes that it lacks are counted.
    fn seen(&mut self, image: &ImageRecord, found: Vec<ModelDetection>) -> Vec<Seen> {
        let mut seen = Vec::with_capacity(found.len());
        for detection in found {
            let class = match self.class(detection.class) {
                Ok(class) => class,
                Err(problem) => {
                    *self.left_out.entry(problem).or_default() += 1;
                    continue;
                }
            };
            let kept = Detection { class, bbox: detection.bbox, ellipse: None, score: detection.score };
            match check_shape(&Shape::Rectangle(detection.bbox), image.width, image.height) {
                Ok(()) => seen.push((kept, None)),
                Err(problem) => {
                    let file = PathBuf::from(&image.name);
                    self.problems.push(BadRecord { file, line: None, problem: problem.to_string() });
                }
            }
        }
        seen
    }

    fn facts(self, unreadable: Vec<PathBuf>, format: &'static str) -> Facts {
        let Self { left_out, mut problems, mut notes, .. } = self;
        problems.extend(unreadable.into_iter().map(|file| BadRecord {
            file,
            line: None,
            problem: "the image cannot be read: nothing is known of it".to_owned(),
        }));
        notes.extend(left_out.into_iter().map(|(problem, n)| format!("{n} detections were left out: {problem}")));
        Facts { problems, notes, unscored: 0, format }
    }
}

/// Class numbers that are looked up by number where a model names no class and its outputs do not tell how many there are.
const UNNAMED: usize = 1000;

fn unnamed(class: usize) -> String {
    format!("class {class}")
}

fn class_names(store: &Store, model: &ForeignModel, request: &ModelRequest) -> Result<Vec<String>, WorkflowError> {
    let names = model.classes();
    if !names.is_empty() {
        return Ok(names);
    }
    if store.classes()?.is_empty() {
        return Err(WorkflowError::Refused(format!(
            "{}: neither the model nor the project names a class. Write `classes = [\"...\"]` into a model.toml beside the model.",
            request.path.display()
        )));
    }
    Ok((0..UNNAMED).map(unnamed).collect())
}

fn format_name(request: &ModelRequest) -> &'static str {
    match ModelFormat::of(&request.path) {
        Some(ModelFormat::TorchScript) => "torchscript",
        _ => "onnx",
    }
}

fn as_import(request: &ModelRequest) -> DetectionsRequest {
    DetectionsRequest {
        map: request.map.clone(),
        min_score: request.min_score,
        test_splits: request.test_splits.clone(),
        test_dataset: request.test_dataset.clone(),
        ..DetectionsRequest::new(request.path.clone(), request.name.clone())
    }
}

/// Images that a model is looked at with.
const LOOKED_AT: usize = 24;

/// Runs the model on some training images, evenly over all, to show its classes. Writes nothing.
///
/// # Errors
///
/// As [`mine_model`], but for classes that the project lacks.
pub fn look_at_model(
    project: &Project,
    path: &Path,
    device: &str,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<ModelLook, WorkflowError> {
    let model = load(path, device)?;
    let store = project.open_store_to_read()?;
    let scene = Scene::new(&store, &DetectionsRequest::new(path.to_path_buf(), String::new()))?;
    let Split { training, .. } = &scene.split;
    let step = training.len().div_ceil(LOOKED_AT).max(1);
    let images: Vec<ImageRecord> = training.iter().step_by(step).cloned().collect();
    let (files, sources) = files_of(&store, &images)?;
    let task =
        Task { files: &files, sources: &sources, is_there: &|| Ok(()), what: "Trying the model", done_before: 0 };
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    crate::workflow::detect::detect_on(&model, &task, observer, cancel, |of_image, _| {
        of_image.found.into_iter().flatten().for_each(|found| *counts.entry(found.class).or_default() += 1);
        Ok(())
    })?;
    let (names, known) = (model.classes(), store.classes()?);
    let in_project = |name: &str| {
        let same = known.iter().find(|class| class.name.eq_ignore_ascii_case(name.trim()));
        same.map(|class| class.name.clone())
    };
    let class = |(place, name): (usize, &String)| ModelClass {
        name: name.clone(),
        detections: counts.get(&place).copied().unwrap_or(0),
        in_project: in_project(name),
    };
    let mut classes: Vec<ModelClass> = names.iter().enumerate().map(class).collect();
    classes.sort_by_key(|class| (std::cmp::Reverse(class.detections), class.in_project.is_none()));
    Ok(ModelLook { input: model.input_told(), images: images.len(), classes })
}
