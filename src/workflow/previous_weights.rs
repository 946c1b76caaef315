//! The weights that a round with `init = "previous"` starts from, and the test images that they were trained on.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::good_model::good_model;
use super::round_data;
use super::{Observer, Project, WorkEvent, WorkflowError};
use crate::detector::Detector;
use crate::domain::{DatasetId, ImageId, ImageRecord, RoundInit, RoundRecord, counted};
use crate::store::Store;
use crate::training::{RoundConfig, last_model};

/// Weights of an earlier round.
pub(super) struct PreviousWeights {
    pub file: PathBuf,
    /// The round that they are from.
    pub round: u32,
}

/// Returns the initial weights of a round with `init = "previous"`: from the last round that has any, finished or not.
pub(super) fn previous_weights(
    project: &Project,
    round: u32,
    config: &RoundConfig,
    observer: &mut Observer,
) -> Result<Option<PreviousWeights>, WorkflowError> {
    if config.init == RoundInit::Backbone {
        return Ok(None);
    }
    let has_any = |n: &u32| last_model(&project.run_dir(*n)).is_some();
    let newest = (1..round).rev().find(has_any);
    let file = newest.map(|n| good_model(&project.run_dir(n), observer)).transpose()?.flatten();
    let Some((from, found)) = newest.zip(file) else {
        return Err(WorkflowError::Refused(
            "init is `previous`, but no earlier round has a checkpoint. Use `--init backbone`.".to_owned(),
        ));
    };
    Detector::check_architecture(&found, config.detector.architecture)?;
    let known = Detector::config_of(&found)?.class_names();
    if known != config.detector.class_names() {
        return Err(WorkflowError::Refused(format!(
            "init is `previous`, but {} has the classes {} and this round {}. Set the same ones with `detector.classes`, or use `--init backbone`.",
            found.display(),
            known.join(", "),
            config.detector.class_names().join(", ")
        )));
    }
    observer(WorkEvent::Log(format!("Round {round} starts from the weights of {}", found.display())));
    Ok(Some(PreviousWeights { file: found, round: from }))
}

/// Warns of test images that these weights were trained on, in their round or in one that it started from: splits may have changed since.
/// `None` without any. Rounds without a list of their images (data.json) are not known about.
pub(super) fn tested_on_training_images(
    project: &Project,
    store: &Store,
    weights: &PreviousWeights,
    test: &[ImageRecord],
) -> Result<Option<String>, WorkflowError> {
    let rounds = store.rounds()?;
    let (mut seen, mut datasets_of) = (HashSet::new(), HashMap::<String, HashSet<DatasetId>>::new());
    let mut next = Some(weights.round);
    while let Some(number) = next {
        for image in images_of(project, number) {
            seen.insert(image);
            // A deleted image is no test image.
            if let Ok(record) = store.image(image) {
                datasets_of.entry(record.content_hash).or_default().insert(record.dataset);
            }
        }
        let starts_from_previous = rounds.iter().find(|round| round.number == number).is_some_and(starts_from_previous);
        let has_any = |n: &u32| last_model(&project.run_dir(*n)).is_some();
        next = (1..number).rev().find(has_any).filter(|_| starts_from_previous);
    }
    // Copies within a dataset are its own protocol.
    let is_copy = |image: &ImageRecord| {
        datasets_of.get(&image.content_hash).is_some_and(|datasets| datasets.iter().any(|d| *d != image.dataset))
    };
    let count = test.iter().filter(|image| seen.contains(&image.id) || is_copy(image)).count();
    Ok((count > 0).then(|| {
        format!(
            "{} of {} are among those that the weights of round {} were trained on: the test results of this round will look better than \
             they are. Train with `--init backbone`, or test on other images",
            count,
            counted(test.len(), "test image"),
            weights.round
        )
    }))
}

fn starts_from_previous(round: &RoundRecord) -> bool {
    let config = RoundConfig::from_stored(&round.config_toml, &format!("round {}", round.number));
    config.is_ok_and(|config| config.init == RoundInit::Previous)
}

/// Returns the training images of a round; none if they are not recorded.
fn images_of(project: &Project, round: u32) -> Vec<ImageId> {
    let no_path = |_| Ok::<_, WorkflowError>(PathBuf::new());
    let kept = round_data::read(&project.run_dir(round), no_path).ok().flatten().unwrap_or_default();
    kept.into_iter().map(|image| image.id).collect()
}
