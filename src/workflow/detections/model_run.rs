//! One run of a third-party model on a project's images, without the network: images, classes, the resulting round, and its completion.
//! Shared by whole runs, shards and merges.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::model_classes::ModelClasses;
use super::report::{self, Tally};
use super::{DetectionsReport, DetectionsRequest, ModelRequest, Scene, check_name, end, evaluate};
use crate::domain::{Cancel, Detection, ImageId, ImageRecord, RoundRecord};
use crate::mining::MiningConfig;
use crate::models::{ModelDetection, ModelFormat};
use crate::store::Store;
use crate::workflow::mine::{Seen, Target};
use crate::workflow::retry::with_retries;
use crate::workflow::{Observer, Project, WorkEvent, WorkflowError};

/// The information about a model that a run needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::workflow) struct ModelInfo {
    /// Changes with the file's bytes and its description.
    pub identity: String,
    /// In the order of [`ModelDetection::class`].
    pub classes: Vec<String>,
    /// How images are fed to the network.
    pub input: String,
}

/// A run of a model.
pub(in crate::workflow) struct ModelRun {
    request: ModelRequest,
    input: String,
    scene: Scene,
    /// Images to evaluate on.
    test: HashSet<ImageId>,
    /// Images used for neither training nor evaluation.
    others: Vec<ImageRecord>,
    classes: ModelClasses,
    identity: String,
}

impl ModelRun {
    /// `only_read`: writes nothing to the project, which must have the model's classes already.
    pub fn new(
        store: &mut Store,
        request: &ModelRequest,
        info: &ModelInfo,
        only_read: bool,
    ) -> Result<Self, WorkflowError> {
        check_name(&request.name)?;
        let mut scene = Scene::new(store, &as_import(request))?;
        // Images in neither part would only take time.
        let test: HashSet<ImageId> = scene.split.test.iter().map(|image| image.id).collect();
        let wanted: BTreeSet<ImageId> = scene.split.training.iter().map(|image| image.id).chain(test.clone()).collect();
        let (kept, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut scene.images).into_iter().partition(|image| wanted.contains(&image.id));
        scene.images = kept;
        let classes = ModelClasses::new(store, &info.classes, request, only_read)?;
        let identity = identity(store, info, request, &scene)?;
        Ok(Self { request: request.clone(), input: info.input.clone(), scene, test, others, classes, identity })
    }

    /// Changes with everything that affects stored detections by more than rounding.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The images to detect on.
    pub fn images(&self) -> &[ImageRecord] {
        &self.scene.images
    }

    /// Logs how the images are divided.
    pub fn tell(&self, observer: &mut Observer) {
        self.scene.split.notes().into_iter().for_each(|text| observer(WorkEvent::Log(text)));
    }

    /// Starts the model's next round, or resumes an interrupted one. Removes images from it that are no longer requested. `file`: the
    /// model's file, as stored with the round.
    pub fn start(
        &self,
        store: &mut Store,
        file: &str,
        observer: &mut Observer,
        cancel: &Cancel,
    ) -> Result<Target, WorkflowError> {
        let source = format!("{file} (images {})", self.input);
        let mut tell = |text| observer(WorkEvent::Log(text));
        let settings = self.scene.config.to_toml();
        let name = &self.request.name;
        let round = with_retries(cancel, &mut tell, || store.start_imported_round(name, &source, &settings))?;
        with_retries(cancel, &mut tell, || store.set_unscored(round.id, 0))?;
        if store.count_detections(round.id)? > 0 && !self.others.is_empty() {
            let none: Vec<(ImageId, Vec<Detection>)> = self.others.iter().map(|image| (image.id, Vec::new())).collect();
            let processed: Vec<ImageId> = self.others.iter().map(|image| image.id).collect();
            with_retries(cancel, &mut tell, || store.replace_detections(round.id, &none))?;
            with_retries(cancel, &mut tell, || store.replace_candidates(round.id, &processed, &[]))?;
        }
        self.target(store, round)
    }

    /// Returns the round as the target of detections.
    pub fn target(&self, store: &Store, round: RoundRecord) -> Result<Target, WorkflowError> {
        Ok(Target {
            round,
            mining: MiningConfig { min_score: self.request.min_score, ..MiningConfig::default() },
            images: self.scene.images.clone(),
            held_out: self.test.clone(),
            identity: self.identity.clone(),
            truth: store.all_ground_truth()?,
            copies: self.scene.split.copies.clone(),
        })
    }

    /// Returns the detections with the project's classes; those of unknown classes are counted.
    pub fn seen(&mut self, image: &ImageRecord, found: Vec<ModelDetection>) -> Vec<Seen> {
        self.classes.seen(image, found)
    }

    /// Finishes the run: evaluates on the test images, marks the round as mined and groups its candidates.
    pub fn end(
        self,
        project: &Project,
        store: &mut Store,
        round: &RoundRecord,
        unreadable: Vec<PathBuf>,
        observer: &mut Observer,
        cancel: &Cancel,
    ) -> Result<DetectionsReport, WorkflowError> {
        let Self { request, scene, classes, .. } = self;
        let facts = classes.facts(unreadable, format_name(&request.path));
        let tally = Tally::stored(&scene, store, round.id, request.min_score)?;
        let mut report = report::new(&scene, &facts, &tally, &as_import(&request));
        report.set_round(round);
        let found = on_test_images(store, round, &scene)?;
        evaluate::evaluate(project, store, Some(round), &scene, &found, &mut report)?;
        end(store, round, &mut report, observer, cancel)?;
        Ok(report)
    }
}

fn identity(store: &Store, info: &ModelInfo, request: &ModelRequest, scene: &Scene) -> Result<String, WorkflowError> {
    let mut hasher = blake3::Hasher::new();
    let mut part = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    part("quarry detections of a model 1");
    part(&info.identity);
    part(&format!("{:?} {}", request.map, request.min_score));
    part(&scene.config.to_toml());
    store.classes()?.iter().for_each(|class| part(&format!("{} {}", class.id.0, class.name)));
    Ok(hasher.finalize().to_hex().to_string())
}

/// Reads the stored detections on the test images, one list for each image of the scene.
fn on_test_images(store: &Store, round: &RoundRecord, scene: &Scene) -> Result<Vec<Vec<Detection>>, WorkflowError> {
    let test: HashSet<ImageId> = scene.split.test.iter().map(|image| image.id).collect();
    let of_image = |image: &ImageRecord| {
        if test.contains(&image.id) { store.detections(round.id, image.id) } else { Ok(Vec::new()) }
    };
    Ok(scene.images.iter().map(of_image).collect::<Result<_, _>>()?)
}

fn format_name(path: &Path) -> &'static str {
    match ModelFormat::of(path) {
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
