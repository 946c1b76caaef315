//! A round's checkpoint -> detections on the training images -> candidates in the store. Must not know how they are reviewed.

use serde::Serialize;

use super::detect::on_files;
use super::group::{config as group_config, group};
use super::split::Split;
use super::{Observer, Project, WorkEvent, WorkflowError};
use crate::detector::{DetectionConfig, Detector, choose_device};
use crate::domain::{Cancel, Detection, FalsePositiveKind, RoundRecord, RoundState};
use crate::mining::{MiningConfig, mine_image};
use crate::store::{NewCandidate, Store};
use crate::training::{RoundConfig, last_model};

/// What mining found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MineReport {
    pub round: u32,
    pub images: usize,
    pub detections: usize,
    pub candidates: usize,
    pub background: usize,
    pub localisation: usize,
    pub duplicate: usize,
}

/// Mines `round` (the newest trained one when `None`): detects on every image that it trained on and keeps the false positives.
/// Mining again replaces candidates that nobody has judged.
pub fn mine(
    project: &Project,
    round: Option<u32>,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<MineReport, WorkflowError> {
    let mut store = project.open_store()?;
    let round = choose_round(&store, round)?;
    let config = RoundConfig::from_toml(&round.config_toml, &format!("round {}", round.number))?;
    let checkpoint = last_model(&project.run_dir(round.number)).ok_or_else(|| {
        WorkflowError::Refused(format!(
            "round {} has no checkpoint in {}. Train it first, or go on with `quarry train --resume`.",
            round.number,
            project.run_dir(round.number).display()
        ))
    })?;
    let mut detector = Detector::load(&checkpoint, choose_device(&config.device)?)?;
    let mining = MiningConfig::default();
    let detection = DetectionConfig { score_threshold: f64::from(mining.min_score), ..detector.config().detection };
    detector.set_detection(detection);
    let images = Split::new(&store.images()?, &store.datasets()?, &config)?.training;
    let files = images.iter().map(|i| store.image_file(i.id)).collect::<Result<Vec<_>, _>>()?;
    let detect = |picture: &_| detector.detect_with_features(picture);
    let seen = on_files(detect, &files, "Detecting on the training images", observer, cancel)?;
    let found: Vec<Vec<Detection>> =
        seen.iter().map(|of_image| of_image.iter().map(|(detection, _)| *detection).collect()).collect();

    let truth = store.all_ground_truth()?;
    let mut candidates = Vec::new();
    for (image, detections) in images.iter().zip(&found) {
        let annotations = truth.get(&image.id).map_or(&[][..], Vec::as_slice);
        let mined = mine_image(detections, annotations, &mining);
        candidates.extend(mined.into_iter().map(|m| NewCandidate {
            image: image.id,
            bbox: m.bbox,
            score: m.score,
            max_iou: m.max_iou,
            kind: m.kind,
        }));
    }
    let report = report(round.number, images.len(), found.iter().map(Vec::len).sum(), &candidates);
    let rows: Vec<_> = images.iter().map(|i| i.id).zip(found).collect();
    store.replace_detections(round.id, &rows)?;
    store.replace_candidates(round.id, &candidates)?;
    let of_images = images.iter().zip(seen);
    let features =
        of_images.flat_map(|(image, of_image)| of_image.into_iter().map(move |(d, f)| (image.id, d.bbox, f)));
    store.put_features(round.id, features.filter_map(|(image, bbox, feature)| Some((image, bbox, feature?))))?;
    store.set_round_state(round.id, RoundState::Mined)?;
    let alike = group_config(&store)?;
    let groups = group(&mut store, &alike, observer, cancel)?;
    observer(WorkEvent::Log(format!(
        "Round {}: {} candidates on {} images; {groups}",
        report.round, report.candidates, report.images
    )));
    Ok(report)
}

fn choose_round(store: &Store, number: Option<u32>) -> Result<RoundRecord, WorkflowError> {
    let rounds = store.rounds()?;
    let trained = |r: &RoundRecord| matches!(r.state, RoundState::Trained | RoundState::Mined);
    let found = match number {
        Some(number) => rounds.iter().find(|r| r.number == number),
        None => rounds.iter().rfind(|r| trained(r)),
    };
    found.cloned().ok_or_else(|| {
        let known: Vec<u32> = rounds.iter().map(|r| r.number).collect();
        WorkflowError::Refused(match number {
            Some(n) => format!("there is no round {n}; this project has rounds {known:?}."),
            None => "no round is trained yet. Train one with `quarry train --project P`.".to_owned(),
        })
    })
}

fn report(round: u32, images: usize, detections: usize, candidates: &[NewCandidate]) -> MineReport {
    let count = |kind| candidates.iter().filter(|c| c.kind == kind).count();
    MineReport {
        round,
        images,
        detections,
        candidates: candidates.len(),
        background: count(FalsePositiveKind::Background),
        localisation: count(FalsePositiveKind::Localisation),
        duplicate: count(FalsePositiveKind::Duplicate),
    }
}
