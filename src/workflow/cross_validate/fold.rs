//! One fold: its project, its rounds, and the record of completed rounds.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::plan::{Plan, read_json, write_json};
use crate::dataset::{DEFAULT_MEGAPIXELS, max_megapixels};
use crate::domain::{Cancel, HardNegativeSource, RoundRecord, RoundState, make_folder};
use crate::training::RoundConfig;
use crate::workflow::held_out::OutputShape;
use crate::workflow::held_out_file::HELD_OUT_FILE;
use crate::workflow::mine::mine;
use crate::workflow::status::last_curves;
use crate::workflow::train::{resume, train, unfinished_settings};
use crate::workflow::{FoldProgress, Observer, Project, WorkEvent, WorkflowError};

const RECORD: &str = "fold.json";

/// `fold.json`: the trained and tested rounds of a fold, used for merging.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldRecord {
    pub fold: u8,
    /// Identifies settings and data; records of another plan are refused.
    pub plan: String,
    pub rounds: Vec<FoldRound>,
}

/// A round of a fold. Its detections on the fold are in `runs/<round>/held-out-<shape>.txt`, and with classes in `held-out.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FoldRound {
    pub round: u32,
    pub steps: u64,
    /// Total over all steps.
    pub seconds: f64,
    /// Number that the round trained with.
    pub hard_negatives: usize,
    /// `rectangle`, and `ellipse` if the detector regresses them.
    pub shapes: Vec<OutputShape>,
    /// Images of the fold that the last test could not read: their objects count as missed.
    #[serde(default)]
    pub unreadable: u64,
}

impl FoldRecord {
    /// Returns a contradiction that no run writes: rounds other than 1, 2, 3 ..., a round without shapes or with a repeated one.
    fn contradiction(&self) -> Option<String> {
        let wrong = |(index, round): (usize, &FoldRound)| {
            let is_next = round.round as usize == index + 1;
            let first = round.shapes.first()?;
            let is_twice = round.shapes.iter().skip(1).any(|shape| shape == first);
            let number = round.round;
            (!is_next || is_twice)
                .then(|| format!("round {number} is number {} of them, with shapes {:?}", index + 1, round.shapes))
        };
        if let Some(round) = self.rounds.iter().find(|round| round.shapes.is_empty()) {
            return Some(format!("round {} has no shapes", round.round));
        }
        self.rounds.iter().enumerate().find_map(wrong)
    }
}

/// A fold of a cross-validation.
pub(super) struct Fold<'a> {
    pub number: u8,
    dir: PathBuf,
    plan: &'a Plan,
}

impl<'a> Fold<'a> {
    /// The fold in `dir/fold-<number>`; does not access the disk.
    pub fn at(dir: &Path, number: u8, plan: &'a Plan) -> Self {
        Self { number, dir: dir.join(format!("fold-{number}")), plan }
    }

    /// Returns the completed rounds; `None` if there are none.
    pub fn record(&self) -> Result<Option<FoldRecord>, WorkflowError> {
        let path = self.dir.join(RECORD);
        if !path.is_file() {
            return Ok(None);
        }
        let record: FoldRecord = read_json(&path)?;
        if record.plan != self.plan.id || record.fold != self.number {
            let reason = "these results belong to another cross-validation; remove the folder, or take another --name";
            return Err(WorkflowError::BadFile { path, reason: reason.to_owned() });
        }
        if let Some(reason) = record.contradiction() {
            return Err(WorkflowError::BadFile { path, reason: format!("{reason}; the file was not made by Quarry") });
        }
        Ok(Some(record))
    }

    /// Returns the path of a round's detections in the cross-validation's folder `dir`.
    pub fn detections_file(dir: &Path, fold: u8, round: u32, shape: OutputShape) -> PathBuf {
        shape.detections_file(&Self::run_dir(dir, fold, round))
    }

    /// Returns the folder of a round in the cross-validation's folder `dir`.
    pub fn run_dir(dir: &Path, fold: u8, round: u32) -> PathBuf {
        dir.join(format!("fold-{fold}")).join("runs").join(round.to_string())
    }

    /// With `confirmed` hard negatives someone has to review between the rounds: refuses if nobody did.
    pub fn check_reviewed(&self, rounds: u32) -> Result<(), WorkflowError> {
        if self.plan.config.hard_negatives != HardNegativeSource::Confirmed || rounds < 2 {
            return Ok(());
        }
        let done = self.record()?.map_or(0, |record| record.rounds.len() as u32);
        for round in done.max(1)..rounds {
            if !self.is_reviewed(round)? {
                return Err(WorkflowError::Refused(format!(
                    "fold {}: round {} trains with confirmed hard negatives, but nobody has reviewed round {round} of this fold. \
                     Run with `--rounds {round}` first and review it with `quarry --project {}`, or take `--hard-negatives \
                     unreviewed` (the paper's).",
                    self.number,
                    round + 1,
                    self.dir.display()
                )));
            }
        }
        Ok(())
    }

    fn is_reviewed(&self, round: u32) -> Result<bool, WorkflowError> {
        if !self.dir.join("quarry.db").is_file() {
            return Ok(false);
        }
        let store = Project::open(&self.dir)?.open_store_to_read()?;
        let Some(record) = store.round_by_number(round)? else { return Ok(false) };
        let counts = store.verdict_counts(Some(record.id))?;
        Ok(record.state == RoundState::Mined && counts.judged() > 0)
    }

    /// Trains, tests and mines the remaining rounds.
    pub fn run(
        &self,
        facts: &Facts,
        rounds: u32,
        at: impl Fn(u32) -> FoldProgress,
        observer: &mut Observer,
        cancel: &Cancel,
    ) -> Result<(), WorkflowError> {
        if self.record()?.is_some_and(|record| rounds <= record.rounds.len() as u32) {
            return Ok(());
        }
        make_folder(&self.dir).map_err(WorkflowError::io(&self.dir, "Was the project moved?"))?;
        let project = Project::open_or_create_own(&self.dir)?;
        if max_megapixels() > DEFAULT_MEGAPIXELS {
            project.keep_max_megapixels(max_megapixels())?;
        }
        import_images(&project, facts)?;
        let config = self.plan.config_of(self.number);
        for number in 1..=rounds {
            let round = project.open_store()?.round_by_number(number)?;
            if !round.as_ref().is_some_and(is_trained) {
                observer(WorkEvent::Fold(at(number)));
                // A started round is resumed; a new one gets the next number, which is this one.
                let trained = if round.is_some() {
                    let preset = unfinished_settings(&project)?.preset;
                    resume(&project, Some(&RoundConfig { preset, ..config.clone() }), observer, cancel)?
                } else {
                    train(&project, &config, observer, cancel)?
                };
                if trained.stopped {
                    return Err(WorkflowError::Cancelled);
                }
            }
            let to_review = self.plan.config.hard_negatives == HardNegativeSource::Confirmed;
            let is_mined = round.is_some_and(|round| round.state == RoundState::Mined);
            if !is_mined && (number < rounds || to_review) {
                mine(&project, Some(number), observer, cancel)?;
            }
            self.write_record(&project, &config, number)?;
        }
        Ok(())
    }

    fn write_record(&self, project: &Project, config: &RoundConfig, rounds: u32) -> Result<(), WorkflowError> {
        let store = project.open_store()?;
        let mut done = Vec::new();
        for round in store.rounds()?.into_iter().filter(|round| round.number <= rounds) {
            let steps = store.metric_summary(round.id, "step_s")?;
            // Its own settings: a round without ellipses in its data only learns boxes.
            let own = RoundConfig::from_stored(&round.config_toml, &format!("round {}", round.number))?;
            let shapes = OutputShape::of(&own.detector);
            // The hard negatives available to the round: candidates of earlier rounds.
            let given = store.hard_negatives(config.hard_negatives, round.number)?;
            done.push(FoldRound {
                round: round.number,
                steps: steps.count,
                seconds: steps.sum,
                hard_negatives: given.values().map(Vec::len).sum(),
                shapes,
                unreadable: last_curves(project, &store, &round)?.iter().map(|c| c.unreadable).max().unwrap_or(0),
            });
        }
        let record = FoldRecord { fold: self.number, plan: self.plan.id.clone(), rounds: done };
        write_json(&self.dir.join(RECORD), &record)
    }

    /// Returns the files of the record relative to the fold's folder, the record last. Detections with classes are missing in results of
    /// earlier versions.
    pub fn result_files(&self, record: &FoldRecord) -> Vec<PathBuf> {
        let of_round = |round: &FoldRound| {
            let folder = Path::new("runs").join(round.round.to_string());
            let with_classes = Some(folder.join(HELD_OUT_FILE)).filter(|file| self.dir.join(file).is_file());
            round.shapes.iter().map(|shape| shape.detections_file(&folder)).chain(with_classes).collect::<Vec<_>>()
        };
        let mut files: Vec<PathBuf> = record.rounds.iter().flat_map(of_round).collect();
        files.push(PathBuf::from(RECORD));
        files
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

/// Imports the project's images with their imported annotations, in a fixed order.
fn import_images(project: &Project, facts: &Facts) -> Result<(), WorkflowError> {
    Ok(project.open_store()?.mirror_datasets(&facts.new_datasets())?)
}

fn is_trained(round: &RoundRecord) -> bool {
    matches!(round.state, RoundState::Trained | RoundState::Mined)
}
