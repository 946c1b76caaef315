//! A project's summary, for `quarry status` and the start screen. Read-only.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use serde::Serialize;

use super::copies::Copies;
use super::{Project, WorkflowError};
use crate::domain::{Away, ImageRecord, RoundRecord, RoundState, Verdict, WorkLock};
use crate::evaluation::RocCurve;
use crate::store::{CandidateQuery, Store, VerdictFilter};
use crate::training::LOCK_FILE;

/// A summary of a project.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    pub name: String,
    pub dir: String,
    /// Notes for the user about the database.
    pub notes: Vec<String>,
    pub datasets: Vec<DatasetStatus>,
    pub rounds: Vec<RoundStatus>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DatasetStatus {
    pub name: String,
    pub kind: String,
    pub root: String,
    /// Set if the dataset's folder is away: what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub away: Option<String>,
    /// Without removed ones.
    pub images: usize,
    pub objects: usize,
    /// The same number, under the key that scripts of the first version read.
    pub faces: usize,
    /// Images that the dataset no longer contains: kept with their verdicts, neither trained on nor tested on.
    pub removed: usize,
    /// Images that are not used, because copies with the same content in another dataset are.
    pub copies: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoundStatus {
    pub round: u32,
    /// The model with imported detections; `null` for a round that Quarry trained.
    pub model: Option<String>,
    /// The round's number among its model's.
    pub model_round: Option<u32>,
    /// The source of the detections.
    pub source: Option<String>,
    /// Number of imported detections without a score.
    pub without_score: u64,
    pub state: &'static str,
    /// Whether its training ended without a result and can be resumed, as after a crash.
    pub interrupted: bool,
    pub candidates: u64,
    pub undecided: u64,
    /// Decisions left if each group is decided together.
    pub decisions: u64,
    pub confirmed: u64,
    pub rejected: u64,
    pub missed_objects: u64,
    /// The same number, under the key that scripts of the first version read.
    pub missed_faces: u64,
    pub wrong_class: u64,
    pub skipped: u64,
    /// Number of images finished by an incomplete mining run; `null` without one.
    pub mining_done: Option<usize>,
    /// Among the decided: assigned from a random sample, not seen individually.
    pub estimated: u64,
    /// Among the decided: carried over from an earlier round.
    pub inherited: u64,
    /// The candidates' traces over the model's rounds; `null` if no other round is mined.
    pub over_rounds: Option<OverRounds>,
    pub curves: Vec<CurveStatus>,
}

/// A round's candidates compared with the mined rounds of the same model before and after it. The same candidate: one image and class, IoU
/// >= 0.7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OverRounds {
    /// Candidates that no earlier round had.
    pub new: u64,
    /// Candidates that the previous round had.
    pub persisting: u64,
    /// Candidates that an earlier round had, but not the previous one.
    pub came_back: u64,
    /// The round's hard negatives that no later round has.
    pub hard_negatives_gone: u64,
    pub hard_negatives_persisting: u64,
    /// Missing in the next round, but present again in a later one.
    pub hard_negatives_coming_back: u64,
}

/// The last evaluation of a round for one output shape.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CurveStatus {
    pub label: String,
    pub step: u64,
    /// `(false positives, discrete TPR, continuous TPR)`.
    pub at: Vec<(u64, f64, f64)>,
    /// Recall and precision; `null` without annotations.
    pub operating: Option<OperatingPoint>,
    /// Test images that could not be read: their objects count as missed.
    pub unreadable: u64,
}

/// A detector's recall and precision with detections of score >= [`OPERATING_SCORE`], at IoU > 0.5.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OperatingPoint {
    pub score: f64,
    pub recall: f64,
    /// `null` if no detection has that score.
    pub precision: Option<f64>,
    pub false_positives: u64,
}

/// The score from which most programs show a detection.
pub const OPERATING_SCORE: f64 = 0.5;

impl OperatingPoint {
    /// `None` without annotations.
    pub fn of(curve: &RocCurve) -> Option<Self> {
        if curve.faces == 0 {
            return None;
        }
        // Thresholds ascend: the first one that is high enough counts most detections.
        let (hits, false_positives) = curve
            .points
            .iter()
            .find(|point| point.threshold >= OPERATING_SCORE)
            .map_or((0.0, 0), |point| (point.discrete, point.false_positives));
        let found = hits + false_positives as f64;
        let precision = (found > 0.0).then(|| hits / found);
        Some(Self { score: OPERATING_SCORE, recall: hits / curve.faces as f64, precision, false_positives })
    }

    /// Formats `recall 0.8123, precision 0.9321`, each with its previous value in brackets.
    pub fn text(&self, before: Option<&Self>) -> String {
        let number = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.4}"));
        let with = |now: Option<f64>, was: Option<Option<f64>>| match was {
            Some(was) => format!("{} (before {})", number(now), number(was)),
            None => number(now),
        };
        format!(
            "recall {}, precision {} at score {}",
            with(Some(self.recall), before.map(|before| Some(before.recall))),
            with(self.precision, before.map(|before| before.precision)),
            self.score
        )
    }
}

/// The false positive counts in all of Quarry's tables.
pub const REPORTED_FALSE_POSITIVES: [u64; 4] = [10, 20, 50, 100];

/// Returns the rates at [`REPORTED_FALSE_POSITIVES`].
pub fn rates(curve: &RocCurve) -> Vec<(u64, f64, f64)> {
    REPORTED_FALSE_POSITIVES.iter().map(|&fp| (fp, curve.discrete_tpr_at(fp), curve.continuous_tpr_at(fp))).collect()
}

pub fn status(project: &Project) -> Result<Status, WorkflowError> {
    let store = project.open_store_to_read()?;
    let images = store.images()?;
    let truth = store.all_ground_truth()?;
    let (removed, copies) = (store.removed_images()?, Copies::new(&images, &truth));
    let datasets = store.datasets()?.into_iter().map(|d| {
        let of_it: Vec<&ImageRecord> = images.iter().filter(|i| i.dataset == d.id).collect();
        let objects = of_it.iter().map(|i| truth.get(&i.id).map_or(0, Vec::len)).sum();
        DatasetStatus {
            name: d.name,
            kind: d.kind,
            away: Away::of_folder(&d.root).filter(|_| !of_it.is_empty()).map(|away| away.to_string()),
            root: d.root.display().to_string(),
            images: of_it.len(),
            objects,
            faces: objects,
            removed: removed.get(&d.id).copied().unwrap_or(0),
            copies: of_it.iter().filter(|image| !copies.counts(image)).count(),
        }
    });
    let datasets = datasets.collect();
    let is_training = WorkLock::is_held(&project.runs_dir().join(LOCK_FILE));
    let mut rounds = Vec::new();
    let all_rounds = store.rounds()?;
    for round in all_rounds.clone() {
        let counts = store.verdict_counts(Some(round.id))?;
        let curves = last_curves(project, &store, &round)?;
        rounds.push(RoundStatus {
            round: round.number,
            model: round.imported.as_ref().map(|model| model.name.clone()),
            model_round: round.imported.as_ref().map(|model| model.round),
            source: round.imported.as_ref().map(|model| model.source.clone()),
            without_score: round.imported.as_ref().map_or(0, |model| model.unscored),
            state: round.state.as_str(),
            interrupted: round.is_own() && round.state == RoundState::Running && !is_training,
            candidates: counts.candidates(),
            undecided: counts.undecided,
            decisions: counts.decisions,
            confirmed: counts.confirmed,
            rejected: counts.rejected,
            missed_objects: counts.missed_object,
            missed_faces: counts.missed_object,
            wrong_class: counts.wrong_class,
            skipped: counts.skipped,
            mining_done: store.unfinished_mining(round.id)?,
            estimated: counts.estimated,
            inherited: counts.inherited,
            over_rounds: over_rounds(&store, &all_rounds, &round)?,
            curves,
        });
    }
    Ok(Status {
        name: project.name(),
        dir: project.dir().display().to_string(),
        notes: store.notes().to_vec(),
        datasets,
        rounds,
    })
}

fn over_rounds(
    store: &Store,
    rounds: &[RoundRecord],
    round: &RoundRecord,
) -> Result<Option<OverRounds>, WorkflowError> {
    let model = |round: &RoundRecord| round.imported.as_ref().map(|model| model.name.clone());
    let is_mined = |other: &&RoundRecord| other.state == RoundState::Mined && model(other) == model(round);
    if round.state != RoundState::Mined || rounds.iter().filter(is_mined).count() < 2 {
        return Ok(None);
    }
    let query = CandidateQuery {
        round: Some(round.id),
        verdict: VerdictFilter::Any,
        collapse: false,
        ..CandidateQuery::default()
    };
    let all = store.count_traces(&query)?;
    let confirmed = CandidateQuery { verdict: VerdictFilter::Is(Verdict::Confirmed), ..query };
    let hard = store.count_traces(&confirmed)?;
    Ok(Some(OverRounds {
        new: all.new,
        persisting: all.persisting,
        came_back: all.back,
        hard_negatives_gone: hard.gone,
        hard_negatives_persisting: hard.still_there,
        hard_negatives_coming_back: hard.comes_back,
    }))
}

/// Returns the last evaluation of a round, by output shape.
pub(super) fn last_curves(
    project: &Project,
    store: &Store,
    round: &RoundRecord,
) -> Result<Vec<CurveStatus>, WorkflowError> {
    let mut curves: Vec<CurveStatus> = Vec::new();
    for stored in store.curves(round.id)? {
        let curve: RocCurve = serde_json::from_str(&stored.json).map_err(|e| WorkflowError::BadFile {
            path: project.database(),
            reason: format!("the curve of round {} at step {} cannot be read: {e}", round.number, stored.step),
        })?;
        curves.retain(|c| c.label != stored.label);
        let unreadable = curve.unreadable;
        let operating = OperatingPoint::of(&curve);
        curves.push(CurveStatus { label: stored.label, step: stored.step, at: rates(&curve), operating, unreadable });
    }
    Ok(curves)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::RocPoint;

    #[test]
    fn recall_and_precision_are_those_of_the_first_threshold_that_is_high_enough() {
        let point =
            |threshold, false_positives, discrete| RocPoint { threshold, false_positives, discrete, continuous: 0.0 };
        let curve = |points| RocCurve { faces: 10, points, ..RocCurve::default() };
        let check = |points, recall: f64, precision: Option<f64>, false_positives: u64| {
            let expected = OperatingPoint { score: 0.5, recall, precision, false_positives };
            assert_eq!(OperatingPoint::of(&curve(points)), Some(expected));
        };
        check(vec![point(0.1, 90, 9.0), point(0.5, 2, 8.0), point(0.9, 0, 4.0)], 0.8, Some(0.8), 2);
        check(vec![point(0.1, 90, 9.0), point(0.6, 0, 5.0)], 0.5, Some(1.0), 0);
        check(vec![point(0.1, 90, 9.0)], 0.0, None, 0);
        check(vec![], 0.0, None, 0);
        assert_eq!(OperatingPoint::of(&RocCurve::default()), None);
        let after = OperatingPoint { score: 0.5, recall: 0.75, precision: Some(0.9), false_positives: 1 };
        let before = OperatingPoint { precision: None, ..after };
        assert_eq!(
            after.text(Some(&before)),
            "recall 0.7500 (before 0.7500), precision 0.9000 (before unknown) at score 0.5"
        );
    }
}
