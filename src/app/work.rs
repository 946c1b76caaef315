//! The use cases as jobs: each closes over its settings and ends with one sentence for the user. The only place of the window that
//! calls what trains or detects.

use std::path::PathBuf;

use super::command::ImportKind;
use crate::detector::GpuState;
use crate::domain::Progress;
use crate::jobs::Work;
use crate::mining::GroupConfig;
use crate::training::RoundConfig;
#[cfg(feature = "torch")]
use crate::workflow;
use crate::workflow::group::group as find_groups;
use crate::workflow::import::{ImportFormat, import as bring_in};
use crate::workflow::{Project, WorkEvent};

/// Progress replaces what was there before; all other events are kept in order.
pub fn progress_of(event: &WorkEvent) -> Option<Progress> {
    match event {
        WorkEvent::Progress(progress) => Some(progress.clone()),
        _ => None,
    }
}

pub fn import(project: Project, kind: ImportKind, path: PathBuf) -> Work<WorkEvent> {
    Box::new(move |tell, cancel| {
        let format = match kind {
            ImportKind::Dataset => ImportFormat::Auto,
            ImportKind::Folder => ImportFormat::Folder,
        };
        let report = bring_in(&project, format, &path, false, tell, cancel).map_err(|e| e.to_string())?;
        Ok(report.to_string())
    })
}

/// Groups the candidates that look alike anew.
pub fn group(project: Project, config: GroupConfig) -> Work<WorkEvent> {
    Box::new(move |tell, cancel| {
        let _lock = project.lock("grouping").map_err(|e| e.to_string())?;
        let mut store = project.open_store_now().map_err(|e| e.to_string())?;
        let report = find_groups(&mut store, &config, tell, cancel).map_err(|e| e.to_string())?;
        Ok(report.to_string())
    })
}

/// Which round is trained.
#[derive(Debug)]
#[cfg_attr(not(feature = "torch"), allow(dead_code, reason = "nothing is trained without libtorch"))]
pub enum Begin {
    New(Box<RoundConfig>),
    /// The unfinished one, with its own settings.
    Resume,
    /// The unfinished one, with the rates of these settings.
    ResumeWithRates(Box<RoundConfig>),
}

/// Trains a round (or goes on with the unfinished one) and mines it.
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
            return Ok(format!("Round {} stopped at step {}. Resume goes on from there", trained.round, trained.steps));
        }
        if !mine_after {
            return Ok(format!("Round {} is trained", trained.round));
        }
        let mined = workflow::mine::mine(&project, Some(trained.round), tell, cancel).map_err(|e| e.to_string())?;
        Ok(format!("Round {} is trained: {} candidates wait for review", mined.round, mined.candidates))
    })
}

/// Mines a round that was trained.
#[cfg(feature = "torch")]
pub fn mine(project: Project, round: Option<u32>) -> Work<WorkEvent> {
    Box::new(move |tell, cancel| {
        let mined = workflow::mine::mine(&project, round, tell, cancel).map_err(|e| e.to_string())?;
        Ok(format!("Round {}: {} candidates wait for review", mined.round, mined.candidates))
    })
}

/// The built-in sample: round 1 and its candidates; with `auto_review` also the review by the ground truth's word, and round 2.
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
            format!("The sample's two rounds are trained, {} verdicts between them", report.verdicts)
        } else {
            format!("{} candidates of the sample wait for review", report.candidates)
        })
    })
}

/// Whether rounds can train on a GPU here; takes up to a second.
#[cfg(feature = "torch")]
pub fn gpu_state() -> GpuState {
    crate::training::gpu_state().clone()
}

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
pub fn mine(_: Project, _: Option<u32>) -> Work<WorkEvent> {
    Box::new(|_, _| Err(NO_TORCH.to_owned()))
}

#[cfg(not(feature = "torch"))]
pub fn demo(_: PathBuf, _: bool) -> Work<WorkEvent> {
    Box::new(|_, _| Err(NO_TORCH.to_owned()))
}
