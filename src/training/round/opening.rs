//! The state that a round starts or resumes with: its weights and what they are reported as.

use super::super::average::Average;
use super::super::checkpoint::Checkpoints;
use super::super::config::RoundConfig;
use super::super::device::choose_device;
use super::super::error::TrainingError;
use super::super::events::{RoundStart, TrainEvent};
use super::super::loader::TrainingImage;
use super::super::optimiser::Sgd;
use super::super::progress::{MODEL_FILE, RoundProgress, TRAINED_FILE};
use super::{RoundHooks, RoundTask};
use crate::detector::Detector;
use crate::domain::RoundInit;

/// Creates a detector with the round's initial weights.
pub(super) fn fresh(
    config: &RoundConfig,
    task: &RoundTask<'_>,
    hooks: &mut dyn RoundHooks,
) -> Result<Detector, TrainingError> {
    let device = choose_device(&config.device)?;
    if config.init == RoundInit::Previous {
        let previous = task.previous.ok_or(TrainingError::NoPrevious)?;
        return Ok(Detector::load_with(previous, &config.detector, device)?);
    }
    let mut detector = Detector::new(&config.detector, device, config.seed)?;
    match task.backbone {
        Some(path) => {
            detector.load_backbone(path)?.into_iter().for_each(|note| hooks.event(TrainEvent::Warning(note)));
        }
        None => hooks.event(TrainEvent::Warning(
            "There are no pretrained backbone weights: the round starts from random ones and learns far more slowly"
                .to_owned(),
        )),
    }
    Ok(detector)
}

pub(super) fn continued(
    config: &RoundConfig,
    checkpoints: &Checkpoints,
    step: u64,
    data: &str,
) -> Result<(Detector, RoundProgress), TrainingError> {
    let path = checkpoints.path(step);
    let mut progress = checkpoints.read(step)?;
    progress.check_continues(&path, config, data)?;
    progress.config_toml = config.to_toml();
    let device = choose_device(&config.device)?;
    let file = if config.ema > 0.0 { TRAINED_FILE } else { MODEL_FILE };
    Ok((Detector::load_as(&path.join(file), &config.detector, device)?, progress))
}

/// Returns the averaged weights after `step` steps, if the round averages them.
pub(super) fn average(
    config: &RoundConfig,
    checkpoints: &Checkpoints,
    step: u64,
    trained: &Detector,
    sgd: &Sgd,
) -> Result<Option<Average>, TrainingError> {
    match step {
        _ if config.ema <= 0.0 => Ok(None),
        0 => Average::start(trained, sgd, config.ema).map(Some),
        step => Average::load(&checkpoints.path(step).join(MODEL_FILE), trained, sgd, config.ema).map(Some),
    }
}

pub(super) fn started(
    config: &RoundConfig,
    images: &[TrainingImage],
    progress: &RoundProgress,
    sgd: &Sgd,
    detector: &Detector,
) -> RoundStart {
    let sum = |count: fn(&TrainingImage) -> usize| images.iter().map(|image| count(image) as u64).sum();
    RoundStart {
        step: progress.step,
        iterations: config.iterations,
        images: images.len() as u64,
        faces: sum(|image| image.faces.len()),
        hard_negatives: sum(|image| image.hard_negatives.len()),
        ignored: sum(|image| image.ignored.len()),
        trainable: sgd.numel(),
        device: format!("{:?}", detector.device()),
    }
}
