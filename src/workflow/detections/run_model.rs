//! Runs a third-party model (ONNX, TorchScript) on the project's images and creates a round, as if its detections had been imported.
//! Results are stored in batches, and an interrupted run resumes.

use std::collections::BTreeMap;
use std::path::Path;

use super::model_run::{ModelInfo, ModelRun};
use super::{DetectionsReport, DetectionsRequest, ModelClass, ModelPreview, ModelRequest, Scene};
use crate::domain::{Cancel, ImageRecord};
use crate::models::ModelDetection;
use crate::store::Resume;
use crate::training::RunLock;
use crate::workflow::detect::{ForeignModel, Task, detect_on};
use crate::workflow::image_files::files_of;
use crate::workflow::mine::{Detected, Intake, detect_into};
use crate::workflow::split::Split;
use crate::workflow::{Observer, Project, WorkflowError};

/// Runs the model on every training and test image, mines the training images and evaluates on the test images, as the model's next round.
/// An interrupted run with the same model and settings is resumed.
///
/// # Errors
///
/// The model cannot be loaded or rejects its input; none of its classes is in the project; the images are missing. Nothing is written then.
pub fn mine_model(
    project: &Project,
    request: &ModelRequest,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<DetectionsReport, WorkflowError> {
    let model = load(&request.path, &request.device)?;
    let lock = RunLock::take(&project.runs_dir())?;
    let mut store = project.open_store()?;
    let mut run = ModelRun::new(&mut store, request, &model_info(&model, &request.path)?, false)?;
    run.tell(observer);
    let path = request.path.canonicalize().unwrap_or_else(|_| request.path.clone());
    let target = run.start(&mut store, &path.to_string_lossy(), observer, cancel)?;
    let (files, sources) = files_of(&store, target.images.iter().map(|image| image.id))?;
    let is_there = || Ok(lock.check()?);
    let task = Task { files: &files, sources: &sources, is_there: &is_there, what: "Detecting", done_before: 0 };
    let mut intake = Intake::begin(&target, &mut store, None, Resume::Unfinished, observer, cancel)?;
    let seen = |image: &ImageRecord, found: Vec<ModelDetection>| run.seen(image, found);
    let Detected { unreadable, .. } = detect_into(&model, &target, &task, &mut intake, seen, observer, cancel)?;
    intake.keep(observer)?;
    run.end(project, &mut store, &target.round, unreadable, observer, cancel)
}

/// Returns the information about a loaded model that a run needs.
pub(in crate::workflow) fn model_info(model: &ForeignModel, path: &Path) -> Result<ModelInfo, WorkflowError> {
    Ok(ModelInfo { identity: model.identity(path)?, classes: model.classes(), input: model.input_text() })
}

/// Loads the model and tests it on an empty image.
pub(in crate::workflow) fn load(path: &Path, device: &str) -> Result<ForeignModel, WorkflowError> {
    let model = ForeignModel::at(path, device)?.ok_or_else(|| {
        WorkflowError::Refused(format!(
            "{}: a third-party model is an ONNX (.onnx) or TorchScript (.torchscript, .pt) file",
            path.display()
        ))
    })?;
    model.probe()?;
    Ok(model)
}

/// Number of images in the preview.
const LOOKED_AT: usize = 24;

/// Runs the model on evenly spaced training images to preview its classes. Writes nothing.
///
/// # Errors
///
/// As for [`mine_model`], except that unknown classes are accepted.
pub fn look_at_model(
    project: &Project,
    path: &Path,
    device: &str,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<ModelPreview, WorkflowError> {
    let model = load(path, device)?;
    let store = project.open_store_to_read()?;
    let scene = Scene::new(&store, &DetectionsRequest::new(path.to_path_buf(), String::new()))?;
    let Split { training, .. } = &scene.split;
    let step = training.len().div_ceil(LOOKED_AT).max(1);
    let images: Vec<ImageRecord> = training.iter().step_by(step).cloned().collect();
    let (files, sources) = files_of(&store, images.iter().map(|image| image.id))?;
    let task =
        Task { files: &files, sources: &sources, is_there: &|| Ok(()), what: "Trying the model", done_before: 0 };
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    detect_on(&model, &task, observer, cancel, |of_image, _| {
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
    Ok(ModelPreview { input: model.input_text(), images: images.len(), classes })
}
