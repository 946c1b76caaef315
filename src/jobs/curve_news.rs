//! The curves that the screen does not have yet: parsed and thinned here, off the window's thread, each once. Must not write.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::SystemTime;

use crate::domain::RoundId;
use crate::evaluation::RocCurve;
use crate::evaluation::average_precision::AveragePrecision;
use crate::store::{CurveRow, Store};
use crate::workflow::run_curves::{RunCurves, read_run, run_files};
use crate::workflow::{Project, WorkflowError};

/// Points that an evaluation keeps that is no longer its round's newest.
const EARLIER_POINTS_MAX: usize = 1200;

/// One evaluation of a round.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadCurve {
    pub round: u32,
    pub label: String,
    pub step: u64,
    /// Whole where it is the newest of its label, else thinned.
    pub curve: RocCurve,
}

/// What changed since the last time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CurveNews {
    pub curves: Vec<ReadCurve>,
    /// `(round, step, average precision)` of each round's newest evaluation.
    pub precision: Vec<(u32, u64, AveragePrecision)>,
    /// All cross-validations, where one of them changed.
    pub runs: Option<Vec<RunCurves>>,
    /// One line for each that cannot be read.
    pub unreadable: Vec<String>,
}

/// What was told already.
#[derive(Debug, Default)]
pub(super) struct ToldCurves {
    /// A hash of the text, so that a step that a resumed round measured anew is told again.
    evaluations: HashMap<(RoundId, u64, String), [u8; 32]>,
    runs: Vec<(PathBuf, u64, Option<SystemTime>)>,
}

impl ToldCurves {
    pub fn news(&mut self, store: &Store) -> Result<CurveNews, WorkflowError> {
        let mut news = CurveNews::default();
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
        }
        self.runs_news(&Project::of_database(store.path())?, &mut news);
        Ok(news)
    }

    fn is_new(&mut self, round: RoundId, row: &CurveRow) -> bool {
        let hash = *blake3::hash(row.json.as_bytes()).as_bytes();
        self.evaluations.insert((round, row.step, row.label.clone()), hash) != Some(hash)
    }

    fn runs_news(&mut self, project: &Project, news: &mut CurveNews) {
        let files = run_files(&project.runs_dir()).into_iter().map(|file| {
            let data = file.metadata();
            let (length, changed) = data.map_or((0, None), |data| (data.len(), data.modified().ok()));
            (file, length, changed)
        });
        let files: Vec<_> = files.collect();
        if files == self.runs {
            return;
        }
        let mut runs = Vec::new();
        for (file, ..) in &files {
            match read_run(file) {
                Ok(run) => runs.push(run),
                Err(error) => news.unreadable.push(error.to_string()),
            }
        }
        (news.runs, self.runs) = (Some(runs), files);
    }
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

/// The average precision of the last evaluation that has one; a size without faces has none.
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
        let mut told = ToldCurves::default();
        let news = told.news(&store).unwrap();
        let lengths: Vec<_> = news.curves.iter().map(|read| (read.step, read.curve.points.len())).collect();
        assert!(lengths[0].1 <= EARLIER_POINTS_MAX + 10 && lengths[1] == (20, 5000), "{lengths:?}");
        assert_eq!(news.curves[1].curve.points[0].threshold, threshold, "to the last digit");
        let precision = AveragePrecision::from_values([Some(0.25), None, None, Some(0.125), None, None]);
        assert_eq!(news.precision, [(round.number, 20, precision)]);
        assert_eq!(told.news(&store).unwrap().curves, []);
        store.put_curve(round.id, 20, "rectangle", &json(0.25, 3)).unwrap();
        store.put_curve(round.id, 30, "rectangle", "{").unwrap();
        let news = told.news(&store).unwrap();
        assert_eq!(news.curves.iter().map(|read| read.step).collect::<Vec<_>>(), [20]);
        assert!(news.unreadable[0].contains("curve of step 30"), "{:?}", news.unreadable);
    }
}
