//! A model of others (ONNX, TorchScript) run on the project's images -> a round, as if its detections had been imported.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::classes::ClassFinder;
use super::{DetectionsReport, DetectionsRequest, Scene, Taken, check_name, make_round};
use crate::dataset::BadRecord;
use crate::dataset::results::ClassKey;
use crate::domain::{Cancel, Detection, check_shape};
use crate::models::{ModelDetection, ModelFormat};
use crate::store::Store;
use crate::training::RunLock;
use crate::workflow::detect::{OfImage, Task, detect_on, refuse_mostly_unreadable};
use crate::workflow::mine::files_of;
use crate::workflow::models::ForeignModel;
use crate::workflow::{Observer, Project, WorkEvent, WorkflowError};

/// Which model to run, and what its round is called.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRequest {
    /// The model's file.
    pub path: PathBuf,
    /// What the model is called.
    pub name: String,
    /// auto, cpu or cuda:N.
    pub device: String,
    /// What the model's class names are called in the project, where they differ.
    pub map: BTreeMap<String, String>,
    /// Detections below this score are kept and not mined.
    pub min_score: f32,
    /// Instead of those of the newest round that Quarry trained.
    pub test_splits: Option<Vec<String>>,
    pub test_dataset: Option<String>,
}

/// Runs the model on every training and test image, mines the training images and evaluates on the test images: the model's next round.
///
/// # Errors
///
/// The model cannot be loaded or fails; no class of it is one of the project; the images are away. Nothing is written then.
pub fn mine_model(
    project: &Project,
    request: &ModelRequest,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<DetectionsReport, WorkflowError> {
    check_name(&request.name)?;
    let model = ForeignModel::at(&request.path, &request.device)?.ok_or_else(|| {
        WorkflowError::Refused(format!(
            "{}: --model takes an ONNX (.onnx) or TorchScript (.torchscript, .pt) file",
            request.path.display()
        ))
    })?;
    let lock = RunLock::take(&project.runs_dir())?;
    let mut store = project.open_store()?;
    let import = as_import(request);
    let mut scene = Scene::new(&store, &import)?;
    // Images of neither part would only take time.
    let wanted: BTreeSet<_> = scene.split.training.iter().chain(&scene.split.test).map(|image| image.id).collect();
    scene.images.retain(|image| wanted.contains(&image.id));
    let (files, sources) = files_of(&store, &scene.images)?;
    let is_there = || Ok(lock.check()?);
    let task = Task { files: &files, sources: &sources, is_there: &is_there, what: "Detecting", done_before: 0 };
    let mut found: Vec<Option<Vec<ModelDetection>>> = vec![None; files.len()];
    let mut unreadable = Vec::new();
    let take = |of_image: OfImage<ModelDetection>, _: &mut Observer| {
        if of_image.found.is_none() {
            unreadable.extend(files.get(of_image.place).cloned());
        }
        if let Some(place) = found.get_mut(of_image.place) {
            *place = of_image.found;
        }
        refuse_mostly_unreadable(&unreadable, files.len())
    };
    let pace = detect_on(&model, &task, observer, cancel, take)?;
    observer(WorkEvent::Log(format!("Detected on {pace}")));
    is_there()?;
    let mut taken = taken(&mut store, &scene, &model, found, &files, request)?;
    for file in unreadable {
        taken.problems.push(BadRecord {
            file,
            line: None,
            problem: "the image cannot be read: nothing is known of it".to_owned(),
        });
    }
    let path = request.path.canonicalize().unwrap_or_else(|_| request.path.clone());
    let source = format!("{} (images {})", path.to_string_lossy(), model.input_told());
    make_round(project, &mut store, &scene, &taken, &source, &import, observer, cancel)
}

/// The detections with the project's classes; those of classes that it lacks are counted.
fn taken(
    store: &mut Store,
    scene: &Scene,
    model: &ForeignModel,
    found: Vec<Option<Vec<ModelDetection>>>,
    files: &[PathBuf],
    request: &ModelRequest,
) -> Result<Taken, WorkflowError> {
    let names = model.classes();
    let key_of = |class: usize| ClassKey::Name(names.get(class).cloned().unwrap_or_default());
    let used: BTreeSet<usize> = found.iter().flatten().flatten().map(|detection| detection.class).collect();
    let keys: BTreeMap<usize, ClassKey> = used.into_iter().map(|class| (class, key_of(class))).collect();
    let mut notes = Vec::new();
    let classes =
        ClassFinder::new(store, &keys.values().collect(), &BTreeMap::new(), &request.map, None, false, &mut notes)?;
    let mut taken = Taken {
        found: vec![Vec::new(); scene.images.len()],
        problems: Vec::new(),
        notes,
        unscored: 0,
        format: format_name(request),
    };
    let mut left_out: BTreeMap<String, usize> = BTreeMap::new();
    let images = scene.images.iter().zip(found).zip(&mut taken.found).zip(files);
    for (((image, found), kept), file) in images {
        for detection in found.into_iter().flatten() {
            let class = match classes.find(&key_of(detection.class)) {
                Ok(class) => class,
                Err(problem) => {
                    *left_out.entry(problem).or_default() += 1;
                    continue;
                }
            };
            let detection = Detection { class, bbox: detection.bbox, ellipse: None, score: detection.score };
            let shape = crate::domain::Shape::Rectangle(detection.bbox);
            match check_shape(&shape, image.width, image.height) {
                Ok(()) => kept.push(detection),
                Err(problem) => {
                    taken.problems.push(BadRecord { file: file.clone(), line: None, problem: problem.to_string() });
                }
            }
        }
    }
    if taken.count() == 0
        && let Some((problem, count)) = left_out.iter().next()
    {
        return Err(WorkflowError::Refused(format!(
            "no class of {} is one of the project: {count} detections: {problem}. Add the class with `quarry classes`, or say what the \
             model's classes are called in the project: --map NAME=CLASS",
            request.path.display()
        )));
    }
    taken
        .notes
        .extend(left_out.into_iter().map(|(problem, count)| format!("{count} detections were left out: {problem}")));
    Ok(taken)
}

fn format_name(request: &ModelRequest) -> &'static str {
    match ModelFormat::of(&request.path) {
        Some(ModelFormat::TorchScript) => "torchscript",
        _ => "onnx",
    }
}

fn as_import(request: &ModelRequest) -> DetectionsRequest {
    DetectionsRequest {
        path: request.path.clone(),
        name: request.name.clone(),
        format: None,
        ground_truth: None,
        names: None,
        class_names: BTreeMap::new(),
        class: None,
        map: request.map.clone(),
        unit: None,
        scores: None,
        confidence: None,
        min_score: request.min_score,
        test_splits: request.test_splits.clone(),
        test_dataset: request.test_dataset.clone(),
        strict: false,
        dry_run: false,
    }
}
