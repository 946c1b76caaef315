//! Reads new curves for the screen: each is parsed and thinned once, off the UI thread.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::domain::{RoundId, RoundRecord};
use crate::evaluation::RocCurve;
use crate::evaluation::average_precision::AveragePrecision;
use crate::store::{CurveRow, Store};
use crate::workflow::held_out_file::HELD_OUT_FILE;
use crate::workflow::round_metrics::{METRICS_FILE, RoundMetrics};
use crate::workflow::run_curves::{RunCurves, metrics_file, read_run, run_files};
use crate::workflow::tested_round::{FDDB_TEXT, corrected_metrics_of, metrics_of};
use crate::workflow::{Project, WorkflowError};

/// Maximum points of an evaluation that is not its round's newest.
const EARLIER_POINTS_MAX: usize = 1200;

/// One evaluation of a round.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadCurve {
    pub round: u32,
    pub label: String,
    pub step: u64,
    /// Complete if it is the newest with its label, otherwise thinned.
    pub curve: RocCurve,
}

/// The changes since the last report.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CurveNews {
    pub curves: Vec<ReadCurve>,
    /// `(round, step, average precision)` of each round's newest evaluation.
    pub precision: Vec<(u32, u64, AveragePrecision)>,
    /// The box evaluators' results on each round's last test, by round.
    pub metrics: Vec<(u32, RoundMetrics)>,
    /// The same on corrected ground truth, for rounds with corrections on their test images; complete if any changed.
    pub corrected: Option<Vec<(u32, RoundMetrics)>>,
    /// All cross-validations, if any changed.
    pub runs: Option<Vec<RunCurves>>,
    /// One message for each file that cannot be read.
    pub unreadable: Vec<String>,
}

/// What was already reported.
#[derive(Debug, Default)]
pub(super) struct ReportedCurves {
    /// Values are hashes of the text, so that a step that a resumed round evaluated again is reported again.
    evaluations: HashMap<(RoundId, u64, String), [u8; 32]>,
    runs: Vec<Seen>,
    /// By round: its metrics file, or its detections if there is none.
    metrics: HashMap<RoundId, Vec<Seen>>,
    corrected: Vec<(u32, RoundMetrics)>,
}

/// A file with its length and modification time.
type Seen = (PathBuf, u64, Option<SystemTime>);

/// If a round's metrics were not stored, detections up to this size are evaluated here; `quarry evaluate round` handles any size.
const MEASURED_BYTES_MAX: u64 = 64 << 20;

impl ReportedCurves {
    pub fn news(&mut self, store: &Store) -> Result<CurveNews, WorkflowError> {
        let mut news = CurveNews::default();
        let project = Project::of_database(store.path())?;
        let mut corrected = Vec::new();
        for round in store.rounds()? {
            let rows = store.curves(round.id)?;
            let newest: HashMap<String, u64> = rows.iter().map(|row| (row.label.clone(), row.step)).collect();
            for row in rows {
                if self.is_new(round.id, &row) {
                    let is_newest = newest.get(&row.label) == Some(&row.step);
                    news.take(round.number, row, is_newest);
                }
            }
            let precision = newest_precision(store, round.id)?;
            news.precision.extend(precision.map(|(step, precision)| (round.number, step, precision)));
            self.metrics_news(&project, store, &round, &mut news);
            corrected.extend(corrected_news(&project, store, &round, &mut news));
        }
        if corrected != self.corrected {
            self.corrected.clone_from(&corrected);
            news.corrected = Some(corrected);
        }
        self.runs_news(&project, &mut news);
        Ok(news)
    }

    fn is_new(&mut self, round: RoundId, row: &CurveRow) -> bool {
        let hash = *blake3::hash(row.json.as_bytes()).as_bytes();
        self.evaluations.insert((round, row.step, row.label.clone()), hash) != Some(hash)
    }

    fn runs_news(&mut self, project: &Project, news: &mut CurveNews) {
        let files = run_files(&project.runs_dir());
        let with_metrics = files.iter().flat_map(|file| std::iter::once(file.clone()).chain(metrics_file(file)));
        let now: Vec<Seen> = with_metrics.map(seen).collect();
        if now == self.runs {
            return;
        }
        let mut runs = Vec::new();
        for file in &files {
            match read_run(file) {
                Ok(run) => runs.push(run),
                Err(error) => news.unreadable.push(error.to_string()),
            }
        }
        (news.runs, self.runs) = (Some(runs), now);
    }

    fn metrics_news(&mut self, project: &Project, store: &Store, round: &RoundRecord, news: &mut CurveNews) {
        let run_dir = project.run_dir(round.number);
        let files = [METRICS_FILE, HELD_OUT_FILE, FDDB_TEXT].map(|name| seen(run_dir.join(name)));
        let size: u64 = files.iter().map(|(_, length, _)| length).sum();
        if self.metrics.insert(round.id, files.to_vec()).is_some_and(|reported| reported == files)
            || (files.first().is_some_and(|(_, length, _)| *length == 0) && size > MEASURED_BYTES_MAX)
        {
            return;
        }
        match metrics_of(project, store, round) {
            Ok(metrics) => news.metrics.extend(metrics.map(|metrics| (round.number, metrics))),
            Err(error) => news.unreadable.push(error.to_string()),
        }
    }
}

fn corrected_news(
    project: &Project,
    store: &Store,
    round: &RoundRecord,
    news: &mut CurveNews,
) -> Option<(u32, RoundMetrics)> {
    let run_dir = project.run_dir(round.number);
    if [HELD_OUT_FILE, FDDB_TEXT].into_iter().map(|name| seen(run_dir.join(name)).1).sum::<u64>() > MEASURED_BYTES_MAX {
        return None;
    }
    match corrected_metrics_of(project, store, round) {
        Ok(metrics) => metrics.map(|metrics| (round.number, metrics)),
        Err(error) => {
            news.unreadable.push(error.to_string());
            None
        }
    }
}

/// Length 0 if the file does not exist.
fn seen(file: PathBuf) -> Seen {
    let data = file.metadata();
    let (length, changed) = data.map_or((0, None), |data| (data.len(), data.modified().ok()));
    (file, length, changed)
}

impl CurveNews {
    fn take(&mut self, round: u32, row: CurveRow, is_newest: bool) {
        match serde_json::from_str::<RocCurve>(&row.json) {
            Ok(curve) => {
                let curve = if is_newest { curve } else { curve.thinned(EARLIER_POINTS_MAX) };
                self.curves.push(ReadCurve { round, label: row.label, step: row.step, curve });
            }
            Err(error) => {
                self.unreadable.push(format!("Round {round}: its curve of step {} is unreadable: {error}", row.step));
            }
        }
    }
}

/// Returns the average precision of the last evaluation that has one; a size without objects has none.
fn newest_precision(store: &Store, round: RoundId) -> Result<Option<(u64, AveragePrecision)>, WorkflowError> {
    let mut newest = [None; 6];
    for (name, found) in AveragePrecision::NAMES.into_iter().zip(&mut newest) {
        *found = store.newest_metric(round, name)?;
    }
    let Some(step) = newest.iter().flatten().map(|found| found.0).max() else { return Ok(None) };
    let values = newest.map(|found| found.filter(|(at, _)| *at == step).map(|(_, value)| value));
    Ok(Some((step, AveragePrecision::from_values(values))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::RocPoint;

    fn json(threshold: f64, points: u64) -> String {
        let point = |n| RocPoint { threshold, false_positives: points - n, discrete: 1.0, continuous: 0.5 };
        serde_json::to_string(&RocCurve { faces: 3, points: (0..points).map(point).collect(), unreadable: 0 }).unwrap()
    }

    #[test]
    fn each_evaluation_is_told_once_and_again_when_it_changed() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::create(&dir.path().join("p")).unwrap();
        let mut store = project.open_store().unwrap();
        let round = store.start_round("").unwrap();
        let threshold = 0.1 + 0.2;
        store.put_curve(round.id, 10, "rectangle", &json(threshold, 5000)).unwrap();
        store.put_curve(round.id, 20, "rectangle", &json(threshold, 5000)).unwrap();
        store
            .append_metrics(round.id, &[(10, "ap", 0.5), (20, "ap", 0.25), (20, "ap_small", 0.125), (30, "loss", 1.0)])
            .unwrap();
        let mut reported = ReportedCurves::default();
        let news = reported.news(&store).unwrap();
        let lengths: Vec<_> = news.curves.iter().map(|read| (read.step, read.curve.points.len())).collect();
        assert!(lengths[0].1 <= EARLIER_POINTS_MAX + 10 && lengths[1] == (20, 5000), "{lengths:?}");
        assert_eq!(news.curves[1].curve.points[0].threshold, threshold, "to the last digit");
        let precision = AveragePrecision::from_values([Some(0.25), None, None, Some(0.125), None, None]);
        assert_eq!(news.precision, [(round.number, 20, precision)]);
        assert_eq!(reported.news(&store).unwrap().curves, []);
        store.put_curve(round.id, 20, "rectangle", &json(0.25, 3)).unwrap();
        store.put_curve(round.id, 30, "rectangle", "{").unwrap();
        let news = reported.news(&store).unwrap();
        assert_eq!(news.curves.iter().map(|read| read.step).collect::<Vec<_>>(), [20]);
        assert!(news.unreadable[0].contains("curve of step 30"), "{:?}", news.unreadable);
    }
}
