//! Reads the curves of the project's cross-validations, for the ROC screen.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::WorkflowError;
use super::round_metrics::RoundMetrics;
use crate::domain::{limits, read_text};
use crate::evaluation::FoldCurves;

/// Next to the pooled text files, `runs/<name>/round-<n>/<shape>/`: everything that the screen shows, at full precision.
pub const CURVES_FILE: &str = "curves.json";

/// The default folder of a cross-validation in `runs/`.
pub const DEFAULT_RUN: &str = "cross-validation";

/// The content of [`CURVES_FILE`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PooledCurves {
    /// Number of folds with images in the project; completed ones are in `curves`.
    pub all_folds: usize,
    pub curves: FoldCurves,
}

/// One round of a cross-validation for one output shape.
#[derive(Debug, Clone, PartialEq)]
pub struct RunCurves {
    /// `Ten-fold`, `3 of 10 folds`, with the run's name if it has a custom one.
    pub title: String,
    pub round: u32,
    /// `rectangle` or `ellipse`.
    pub shape: String,
    pub curves: FoldCurves,
    /// Metrics of the round on all folds, common to its output shapes.
    pub metrics: Option<RoundMetrics>,
}

/// Returns the [`CURVES_FILE`]s below a project's `runs` folder, in a fixed order.
pub fn run_files(runs: &Path) -> Vec<PathBuf> {
    let folders = |dir: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
        folders.sort();
        folders
    };
    let rounds = folders(runs).into_iter().flat_map(|run| folders(&run)).filter(|dir| round_of(dir).is_some());
    let shapes = rounds.flat_map(|round| folders(&round));
    shapes.map(|shape| shape.join(CURVES_FILE)).filter(|file| file.is_file()).collect()
}

/// Returns the metrics file for one of [`run_files`]; it need not exist.
pub fn metrics_file(file: &Path) -> Option<PathBuf> {
    file.ancestors().nth(2).map(RoundMetrics::file)
}

/// Reads one of [`run_files`].
pub fn read_run(file: &Path) -> Result<RunCurves, WorkflowError> {
    let text = read_text(file, limits::TEXT)?;
    let bad = |reason: String| WorkflowError::BadFile { path: file.to_path_buf(), reason };
    let pooled: PooledCurves = serde_json::from_str(&text)
        .map_err(|e| bad(format!("{e}; run the cross-validation again, to pool its folds again")))?;
    let name_of = |dir: Option<&Path>| dir.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let round_dir = file.ancestors().nth(2);
    let round = round_dir.and_then(round_of).ok_or_else(|| bad("it is not in a round's folder".to_owned()))?;
    let run = name_of(file.ancestors().nth(3)).unwrap_or_default();
    let title = title(&run, pooled.curves.folds.len(), pooled.all_folds);
    let metrics = metrics_file(file).filter(|file| file.is_file()).map(|file| RoundMetrics::read(&file)).transpose()?;
    let shape = name_of(file.parent()).unwrap_or_default();
    Ok(RunCurves { title, round, shape, curves: pooled.curves, metrics })
}

/// Returns the number in `round-<n>`.
fn round_of(dir: &Path) -> Option<u32> {
    dir.file_name()?.to_str()?.strip_prefix("round-")?.parse().ok()
}

fn title(run: &str, folds: usize, all_folds: usize) -> String {
    let folds = match (folds, all_folds) {
        (10, 10) => "Ten-fold".to_owned(),
        (some, all) if some == all => format!("{all}-fold"),
        (some, all) => format!("{some} of {all} folds"),
    };
    if run == DEFAULT_RUN { folds } else { format!("{folds} ({run})") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::{RocCurve, RocPoint};

    #[test]
    fn what_was_pooled_is_read_again_to_the_last_digit() {
        let runs = tempfile::tempdir().unwrap();
        let point = RocPoint { threshold: 0.1 + 0.2, false_positives: 3, discrete: 2.0, continuous: 1.0 / 3.0 };
        let curve = RocCurve { faces: 7, points: vec![point], unreadable: 0 };
        let folds = (1..=10).map(|fold| (fold, curve.clone())).collect();
        let pooled = PooledCurves { all_folds: 10, curves: FoldCurves { pooled: curve, folds } };
        for folder in
            ["cross-validation/round-2/ellipse", "cross-validation/fold-1/runs/1", "other/round-1/rectangle", "3"]
        {
            fs::create_dir_all(runs.path().join(folder)).unwrap();
        }
        let file = |folder: &str| runs.path().join(folder).join(CURVES_FILE);
        let text = serde_json::to_vec(&pooled).unwrap();
        fs::write(file("cross-validation/round-2/ellipse"), &text).unwrap();
        fs::write(file("other/round-1/rectangle"), "{").unwrap();
        let files = run_files(runs.path());
        assert_eq!(files, [file("cross-validation/round-2/ellipse"), file("other/round-1/rectangle")]);
        let read = read_run(&files[0]).unwrap();
        assert_eq!((read.title.as_str(), read.round, read.shape.as_str()), ("Ten-fold", 2, "ellipse"));
        assert_eq!(read.curves, pooled.curves);
        assert!(read_run(&files[1]).unwrap_err().to_string().contains("to pool its folds again"));
    }

    #[test]
    fn titles_say_how_many_folds_and_which_run() {
        for (run, folds, all, expected) in [
            (DEFAULT_RUN, 10, 10, "Ten-fold"),
            (DEFAULT_RUN, 3, 10, "3 of 10 folds"),
            ("no-mining", 5, 5, "5-fold (no-mining)"),
        ] {
            assert_eq!(title(run, folds, all), expected);
        }
    }
}
