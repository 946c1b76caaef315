//! A round's checkpoint -> detections on the training images -> candidates in the store. Must not know how they are reviewed.

use std::path::PathBuf;

use serde::Serialize;

use super::classes::LabelMap;
use super::detect::{Found, on_files, refuse_mostly_unreadable};
use super::device::load_detector;
use super::group::{config as group_config, group};
use super::patience::patiently;
use super::split::Split;
use super::train::good_model;
use super::{Observer, Project, WorkEvent, WorkflowError};
use crate::domain::{
    Cancel, Detection, FalsePositiveKind, ImageId, ImageRecord, RoiFeature, RoundRecord, RoundState, Sources,
    shown_paths,
};
use crate::mining::{MiningConfig, count_duplicates, mine_image};
use crate::store::{NewCandidate, Store};
use crate::training::{RoundConfig, RunLock};

/// What mining found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MineReport {
    pub round: u32,
    pub images: usize,
    pub detections: usize,
    pub candidates: usize,
    pub background: usize,
    pub localisation: usize,
    pub classification: usize,
    pub both: usize,
    /// Further detections of an object: found, and no candidates.
    pub duplicate: usize,
    /// Training images that could not be read: their candidates of an earlier mining stay as they are.
    #[serde(serialize_with = "shown_paths")]
    pub unreadable: Vec<PathBuf>,
}

/// Mines `round` (the newest trained one when `None`): detects on every image that it trained on and keeps the false positives.
/// Mining again replaces candidates that nobody has judged on the images that could be read. No round may train meanwhile: it might be this one.
pub fn mine(
    project: &Project,
    round: Option<u32>,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<MineReport, WorkflowError> {
    let lock = RunLock::take(&project.runs_dir())?;
    let mut store = project.open_store()?;
    let round = choose_round(&store, round)?;
    let config = RoundConfig::from_stored(&round.config_toml, &format!("round {}", round.number))?;
    let checkpoint = good_model(&project.run_dir(round.number), observer)?.ok_or_else(|| {
        WorkflowError::Refused(format!(
            "round {} has no checkpoint in {}. Train it first, or go on with `quarry train --resume`.",
            round.number,
            project.run_dir(round.number).display()
        ))
    })?;
    let mut detector = load_detector(&checkpoint, &config.device, observer)?;
    detector.set_detection(config.mining);
    let mining = MiningConfig { min_score: config.mining.score_threshold as f32, ..MiningConfig::default() };
    let truth = store.all_ground_truth()?;
    let Split { training: images, copies, .. } = Split::new(&store.images()?, &store.datasets()?, &truth, &config)?;
    let files = images.iter().map(|i| store.image_file(i.id)).collect::<Result<Vec<_>, _>>()?;
    let roots = store.datasets()?.into_iter().map(|dataset| dataset.root);
    let sources = Sources::new(roots, files.iter().map(PathBuf::as_path));
    let detect = |picture: &_| detector.detect_with_features(picture);
    let is_there = || Ok(lock.check()?);
    let what = "Detecting on the training images";
    let Found { of_files, unreadable } = on_files(detect, &files, (&sources, &is_there), what, observer, cancel)?;
    refuse_mostly_unreadable(&unreadable, images.len())?;
    // Of images that could not be read nothing was learnt: what is known of them stays.
    let read = images.iter().zip(of_files).filter_map(|(image, found)| Some((image, found?)));
    let labels = LabelMap::new(&mut store, &detector.config().class_names())?;
    let in_project =
        |(detection, feature): &(Detection, Option<RoiFeature>)| Some((labels.in_project(detection)?, *feature));
    let read = read.map(|(image, found)| (image, found.iter().filter_map(in_project).collect()));
    let (read, seen): (Vec<&ImageRecord>, Vec<Vec<Seen>>) = read.unzip();
    let looked: Vec<ImageId> = read.iter().map(|image| image.id).collect();
    let found: Vec<Vec<Detection>> =
        seen.iter().map(|of_image| of_image.iter().map(|(detection, _)| *detection).collect()).collect();

    let (mut candidates, mut duplicate) = (Vec::new(), 0);
    for (image, detections) in read.iter().zip(&found) {
        let annotations = copies.annotations(image, &truth);
        duplicate += count_duplicates(detections, &annotations, &mining);
        let mined = mine_image(detections, &annotations, &mining);
        candidates.extend(mined.into_iter().map(|m| NewCandidate {
            image: image.id,
            class: m.class,
            bbox: m.bbox,
            score: m.score,
            max_iou: m.max_iou,
            kind: m.kind,
        }));
    }
    let count = |kind| candidates.iter().filter(|c| c.kind == kind).count();
    let report = MineReport {
        round: round.number,
        images: images.len(),
        detections: found.iter().map(Vec::len).sum(),
        candidates: candidates.len(),
        background: count(FalsePositiveKind::Background),
        localisation: count(FalsePositiveKind::Localisation),
        classification: count(FalsePositiveKind::Classification),
        both: count(FalsePositiveKind::Both),
        duplicate,
        unreadable,
    };
    let rows: Vec<_> = looked.iter().copied().zip(found).collect();
    let mut tell = |text| observer(WorkEvent::Log(text));
    patiently(cancel, &mut tell, || store.replace_detections(round.id, &rows))?;
    patiently(cancel, &mut tell, || store.replace_candidates(round.id, &looked, &candidates))?;
    let of_images = looked.iter().zip(&seen);
    let features = of_images.flat_map(|(image, of_image)| of_image.iter().map(|(d, f)| (*image, d, *f)));
    let features = features.filter_map(|(image, d, feature)| Some((image, d.class, d.bbox, feature?)));
    patiently(cancel, &mut tell, || store.put_features(round.id, features.clone()))?;
    patiently(cancel, &mut tell, || store.set_round_state(round.id, RoundState::Mined))?;
    let alike = group_config(&store)?;
    let groups = group(&mut store, &alike, observer, cancel)?;
    observer(WorkEvent::Log(format!(
        "Round {}: {} candidates on {} images; {groups}",
        report.round, report.candidates, report.images
    )));
    Ok(report)
}

/// A detection with what the detector saw in it.
type Seen = (Detection, Option<RoiFeature>);

/// The round to mine; one that is not trained to its end is refused.
fn choose_round(store: &Store, number: Option<u32>) -> Result<RoundRecord, WorkflowError> {
    let rounds = store.rounds()?;
    let is_trained = |r: &RoundRecord| r.is_own() && matches!(r.state, RoundState::Trained | RoundState::Mined);
    let found = match number {
        Some(number) => rounds.iter().find(|r| r.number == number),
        None => rounds.iter().rfind(|r| is_trained(r)),
    };
    match found {
        Some(round) if is_trained(round) => Ok(round.clone()),
        Some(round) if !round.is_own() => Err(WorkflowError::Refused(format!(
            "{} has imported detections and no checkpoint: importing them mined it. Import its newer results with `quarry import \
             detections`.",
            round.title()
        ))),
        Some(round) => Err(WorkflowError::Refused(format!(
            "round {} is {}: only a round that is trained to its end can be mined. Go on with `quarry train --resume`.",
            round.number,
            round.state.as_str()
        ))),
        None => {
            let known: Vec<u32> = rounds.iter().map(|r| r.number).collect();
            Err(WorkflowError::Refused(match number {
                Some(n) => format!("there is no round {n}; this project has rounds {known:?}."),
                None => "no round is trained yet. Train one with `quarry train --project P`.".to_owned(),
            }))
        }
    }
}
