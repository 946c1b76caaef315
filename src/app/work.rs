//! The use cases as jobs: each closure owns its settings and returns one sentence for the user. The only code of the window that calls
//! training or detection.

use std::path::{Path, PathBuf};

use crate::detector::GpuState;
#[cfg(feature = "torch")]
use crate::domain::counted;
use crate::domain::{Cancel, Progress};
use crate::jobs::Work;
use crate::mining::GroupConfig;
use crate::training::RoundConfig;
#[cfg(feature = "torch")]
use crate::workflow;
use crate::workflow::detections::{
    DetectionsRequest, ModelPreview, ModelRequest, import_detections as bring_in_detections,
};
use crate::workflow::group::group as find_groups;
use crate::workflow::import::{ReadDataset, take as take_in};
use crate::workflow::{Project, WorkEvent};

/// Progress events replace each other; all other events are kept in order.
pub fn progress_of(event: &WorkEvent) -> Option<Progress> {
    match event {
        WorkEvent::Progress(progress) => Some(progress.clone()),
        _ => None,
    }
}

/// Imports a dataset that was read.
pub fn take(project: Project, read: Box<ReadDataset>) -> Work<WorkEvent> {
    Box::new(move |_, _| {
        let report = take_in(&project, &read).map_err(|e| e.to_string())?;
        Ok(report.to_string())
    })
}

/// Backs up the project's database.
pub fn back_up(project: Project) -> Work<WorkEvent> {
    Box::new(move |_, _| {
        let store = project.open_store_now().map_err(|e| e.to_string())?;
        let path = store.back_up().map_err(|e| e.to_string())?;
        Ok(format!("The project is copied to {}", path.display()))
    })
}

/// Imports a detector's results as a round.
pub fn import_detections(project: Project, request: Box<DetectionsRequest>) -> Work<WorkEvent> {
    Box::new(move |tell, cancel| {
        let report = bring_in_detections(&project, &request, tell, cancel).map_err(|e| e.to_string())?;
        Ok(report.to_string())
    })
}

/// Regroups similar candidates.
pub fn group(project: Project, config: GroupConfig) -> Work<WorkEvent> {
    Box::new(move |tell, cancel| {
        let _lock = project.lock("grouping").map_err(|e| e.to_string())?;
        let mut store = project.open_store_now().map_err(|e| e.to_string())?;
        #[cfg_attr(not(feature = "torch"), expect(unused_mut, reason = "embeddings need libtorch"))]
        let mut report = find_groups(&mut store, &config, tell, cancel).map_err(|e| e.to_string())?;
        // The groups by hash are done; the slow part follows, and keeps its results when stopped.
        #[cfg(feature = "torch")]
        if config.compares_features()
            && workflow::embed::embed(&mut store, tell, cancel).map_err(|e| e.to_string())? > 0
        {
            report = find_groups(&mut store, &config, tell, cancel).map_err(|e| e.to_string())?;
        }
        Ok(report.to_string())
    })
}

/// Which round to train.
#[derive(Debug)]
#[cfg_attr(not(feature = "torch"), allow(dead_code, reason = "training needs libtorch"))]
pub enum Begin {
    New(Box<RoundConfig>),
    /// The unfinished one, with its own settings.
    Resume,
    /// The unfinished one, with the rates of these settings.
    ResumeWithRates(Box<RoundConfig>),
}

#[cfg(feature = "torch")]
fn wait_for_review(candidates: usize) -> String {
    let wait = if candidates == 1 { "waits" } else { "wait" };
    format!("{} {wait} for review", counted(candidates, "candidate"))
}

/// Trains or resumes a round, and mines it.
#[cfg(feature = "torch")]
pub fn train(project: Project, begin: Begin, mine_after: bool) -> Work<WorkEvent> {
    Box::new(move |tell, cancel| {
        let trained = match &begin {
            Begin::New(config) => workflow::train::train(&project, config, tell, cancel),
            Begin::Resume => workflow::train::resume(&project, None, tell, cancel),
            Begin::ResumeWithRates(form) => workflow::train::unfinished_settings(&project)
                .and_then(|own| workflow::train::resume(&project, Some(&own.with_rates_of(form)), tell, cancel)),
        };
        let trained = trained.map_err(|e| e.to_string())?;
        if trained.stopped {
            return Ok(format!(
                "Round {} stopped at step {}. Resume continues from there",
                trained.round, trained.steps
            ));
        }
        if !mine_after {
            return Ok(format!("Round {} is trained", trained.round));
        }
        let mined = workflow::mine::mine(&project, Some(trained.round), tell, cancel).map_err(|e| e.to_string())?;
        Ok(format!("Round {} is trained: {}", mined.round, wait_for_review(mined.candidates)))
    })
}

/// Trains and tests every fold, or the remaining ones.
#[cfg(feature = "torch")]
pub fn cross_validate(project: Project, name: String, config: RoundConfig, rounds: u32) -> Work<WorkEvent> {
    use workflow::cross_validate::{CrossValidation, cross_validate};
    Box::new(move |tell, cancel| {
        let request = CrossValidation { name, config, rounds, folds: Vec::new() };
        match cross_validate(&project, &request, tell, cancel) {
            Ok(report) => Ok(format!(
                "Cross-validation: {} of {} folds are done. Their pooled curves are on the Curves screen",
                report.folds.len(),
                report.all_folds.len()
            )),
            Err(workflow::WorkflowError::Cancelled) => {
                Err("The cross-validation stopped. It resumes from there; finished folds are pooled".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    })
}

/// Mines a trained round.
#[cfg(feature = "torch")]
pub fn mine(project: Project, round: Option<u32>) -> Work<WorkEvent> {
    Box::new(move |tell, cancel| {
        let mined = workflow::mine::mine(&project, round, tell, cancel).map_err(|e| e.to_string())?;
        Ok(format!("Round {}: {}", mined.round, wait_for_review(mined.candidates)))
    })
}

/// Previews a third-party model on some images; nothing is written.
#[cfg(feature = "torch")]
pub fn look_at_model(
    project: &Project,
    path: &Path,
    tell: &mut dyn FnMut(WorkEvent),
    cancel: &Cancel,
) -> Result<ModelPreview, String> {
    workflow::detections::look_at_model(project, path, "auto", tell, cancel).map_err(|error| error.to_string())
}

/// Runs a third-party model and mines its detections.
#[cfg(feature = "torch")]
pub fn mine_model(project: Project, request: ModelRequest) -> Work<WorkEvent> {
    Box::new(move |tell, cancel| match workflow::detections::mine_model(&project, &request, tell, cancel) {
        Ok(report) => Ok(report.to_string()),
        Err(workflow::WorkflowError::Cancelled) => {
            Err(format!("The run of {} stopped. Run the same model under the same name to resume it", request.name))
        }
        Err(error) => Err(error.to_string()),
    })
}

/// Computes embeddings of imported detections' crops, and groups by them. Silent if there is nothing to do.
#[cfg(feature = "torch")]
pub fn embed(project: Project) -> Work<WorkEvent> {
    Box::new(move |tell, cancel| {
        let report = workflow::embed::embed_and_group(&project, tell, cancel).map_err(|e| e.to_string())?;
        Ok(report.map_or_else(String::new, |report| report.to_string()))
    })
}

/// Runs the built-in sample: round 1 and its candidates; with `auto_review` also an automatic review by the ground truth, and round 2.
#[cfg(feature = "torch")]
pub fn demo(dir: PathBuf, auto_review: bool) -> Work<WorkEvent> {
    Box::new(move |tell, cancel| {
        let report = workflow::demo::run_headless(
            &dir,
            workflow::demo::DemoOptions { with_review: auto_review, with_classes: false },
            tell,
            cancel,
        )
        .map_err(|e| e.to_string())?;
        Ok(if auto_review {
            format!("The sample's two rounds are trained, {} between them", counted(report.verdicts, "verdict"))
        } else {
            format!("The sample: {}", wait_for_review(report.candidates))
        })
    })
}

/// Checks whether rounds can train on a GPU here; takes up to a second.
#[cfg(feature = "torch")]
pub fn gpu_state() -> GpuState {
    crate::training::gpu_state().clone()
}

/// Sets the number of CPU threads for training and detection.
#[cfg(feature = "torch")]
pub fn use_threads(count: usize) {
    crate::detector::use_threads(count);
}

#[cfg(not(feature = "torch"))]
pub fn use_threads(_: usize) {}

#[cfg(not(feature = "torch"))]
pub fn gpu_state() -> GpuState {
    GpuState::None
}

#[cfg(not(feature = "torch"))]
const NO_TORCH: &str = "this quarry was built without libtorch (feature `torch`), so it cannot train or detect";

#[cfg(not(feature = "torch"))]
pub fn train(_: Project, _: Begin, _: bool) -> Work<WorkEvent> {
    Box::new(|_, _| Err(NO_TORCH.to_owned()))
}

#[cfg(not(feature = "torch"))]
pub fn cross_validate(_: Project, _: String, _: RoundConfig, _: u32) -> Work<WorkEvent> {
    Box::new(|_, _| Err(NO_TORCH.to_owned()))
}

#[cfg(not(feature = "torch"))]
pub fn mine(_: Project, _: Option<u32>) -> Work<WorkEvent> {
    Box::new(|_, _| Err(NO_TORCH.to_owned()))
}

#[cfg(not(feature = "torch"))]
pub fn embed(_: Project) -> Work<WorkEvent> {
    Box::new(|_, _| Ok(String::new()))
}

#[cfg(not(feature = "torch"))]
pub fn look_at_model(_: &Project, _: &Path, _: &mut dyn FnMut(WorkEvent), _: &Cancel) -> Result<ModelPreview, String> {
    Err(NO_TORCH.to_owned())
}

#[cfg(not(feature = "torch"))]
pub fn mine_model(_: Project, _: ModelRequest) -> Work<WorkEvent> {
    Box::new(|_, _| Err(NO_TORCH.to_owned()))
}

#[cfg(not(feature = "torch"))]
pub fn demo(_: PathBuf, _: bool) -> Work<WorkEvent> {
    Box::new(|_, _| Err(NO_TORCH.to_owned()))
}
