//! ROC files of others, brought into a project: read with their columns found out, kept as `curves/<name>.json`. The files
//! themselves are only read. Must not know how curves are shown.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Project, WorkflowError, write_atomically};
use crate::evaluation::roc_file::{self, ColumnOrder, RocFileError};
use crate::evaluation::{PlotCurve, ScoreKind};

/// More points of a line than any screen or figure shows.
const MOST_POINTS: usize = 4000;

/// A method's curves as others measured them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImportedRoc {
    pub name: String,
    /// Which files, and how their columns were read.
    pub notes: String,
    /// Empty where only the other file was there.
    pub discrete: PlotCurve,
    pub continuous: PlotCurve,
}

/// Why a file did not become a curve.
#[derive(Debug, thiserror::Error)]
pub enum RocImportError {
    /// Both columns could be the rate; the user has to say which is.
    #[error("{path}: both columns could be the true positive rate. Say which one is", path = .0.display())]
    Ambiguous(PathBuf),
    #[error(transparent)]
    Failed(#[from] WorkflowError),
}

/// [`read_roc`], kept in the project.
pub fn import_roc(project: &Project, path: &Path, order: Option<ColumnOrder>) -> Result<ImportedRoc, RocImportError> {
    let imported = read_roc(path, order)?;
    let folder = folder(project.dir());
    fs::create_dir_all(&folder).map_err(WorkflowError::io(&folder, "Check that the project may be written to."))?;
    let kept = folder.join(format!("{}.json", safe_name(&imported.name)));
    let json = serde_json::to_vec(&imported).map_err(|e| bad(&kept, e.to_string()))?;
    write_atomically(&kept, &json)?;
    Ok(imported)
}

/// Reads `path` (`*DiscROC.txt` or `*ContROC.txt`) and the file of the other score beside it, where there is one; writes nothing.
/// `order` is the user's word for files whose columns cannot be told apart.
pub fn read_roc(path: &Path, order: Option<ColumnOrder>) -> Result<ImportedRoc, RocImportError> {
    let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some((name, kind)) = name_and_score(&file_name) else {
        let reason = "the name does not say which score it holds. Rename a copy to end in DiscROC.txt or ContROC.txt";
        return Err(bad(path, reason.to_owned()).into());
    };
    let (curve, note) = read_curve(path, order)?;
    let other = other_score(path, &file_name, kind).map(|path| read_curve(&path, order)).transpose()?;
    let notes =
        std::iter::once(&note).chain(other.as_ref().map(|(_, note)| note)).cloned().collect::<Vec<_>>().join("\n");
    let other = other.map(|(curve, _)| curve).unwrap_or_default();
    let (discrete, continuous) = match kind {
        ScoreKind::Discrete => (curve, other),
        ScoreKind::Continuous => (other, curve),
    };
    Ok(ImportedRoc { name, notes, discrete, continuous })
}

/// The curves that were imported into the project in `dir`, by name, and what cannot be read.
pub fn imported_rocs(dir: &Path) -> (Vec<ImportedRoc>, Vec<WorkflowError>) {
    let (mut curves, mut errors) = (Vec::new(), Vec::new());
    let Ok(entries) = fs::read_dir(folder(dir)) else { return (curves, errors) };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths.into_iter().filter(|path| path.extension().is_some_and(|e| e == "json")) {
        let text = fs::read(&path).map_err(WorkflowError::io(&path, "Check its permissions."));
        match text.and_then(|text| serde_json::from_slice(&text).map_err(|e| bad(&path, e.to_string()))) {
            Ok(curve) => curves.push(curve),
            Err(error) => errors.push(error),
        }
    }
    (curves, errors)
}

/// Takes an imported curve out of the project again; the user's own files stay.
pub fn forget_roc(project: &Project, name: &str) -> Result<(), WorkflowError> {
    let path = folder(project.dir()).join(format!("{}.json", safe_name(name)));
    fs::remove_file(&path).map_err(WorkflowError::io(&path, "Check that the project may be written to."))
}

/// A ROC file's curve, and how its columns were read.
fn read_curve(path: &Path, order: Option<ColumnOrder>) -> Result<(PlotCurve, String), RocImportError> {
    let bytes = fs::read(path).map_err(WorkflowError::io(path, "Check the path."))?;
    let read = roc_file::parse(&String::from_utf8_lossy(&bytes), order).map_err(|error| match error {
        RocFileError::Ambiguous => RocImportError::Ambiguous(path.to_path_buf()),
        other => bad(path, other.to_string()).into(),
    })?;
    let columns = match read.order {
        ColumnOrder::RateFirst => "rate, false positives",
        ColumnOrder::FalsePositivesFirst => "false positives, rate",
    };
    let third = if read.has_thresholds { ", score" } else { "" };
    let end = read.curve.largest_false_positives();
    let note = format!("{}: columns {columns}{third}", path.display());
    Ok((read.curve.decimated(MOST_POINTS, true, end), note))
}

fn bad(path: &Path, reason: String) -> WorkflowError {
    WorkflowError::BadFile { path: path.to_path_buf(), reason }
}

fn folder(project: &Path) -> PathBuf {
    project.join("curves")
}

/// `MTCNN_DiscROC.txt`: MTCNN, discrete.
fn name_and_score(file_name: &str) -> Option<(String, ScoreKind)> {
    let lower = file_name.to_ascii_lowercase();
    let (at, kind) = match (lower.rfind("disc"), lower.rfind("cont")) {
        (Some(at), None) => (at, ScoreKind::Discrete),
        (None, Some(at)) => (at, ScoreKind::Continuous),
        (Some(d), Some(c)) if c < d => (d, ScoreKind::Discrete),
        (Some(_), Some(c)) => (c, ScoreKind::Continuous),
        (None, None) => return None,
    };
    let name = file_name[..at].trim_end_matches(['_', '-', ' ', '.']);
    Some((if name.is_empty() { "Imported".to_owned() } else { name.to_owned() }, kind))
}

/// The file of the other score beside this one.
fn other_score(path: &Path, file_name: &str, kind: ScoreKind) -> Option<PathBuf> {
    let names = [("Disc", "Cont"), ("disc", "cont"), ("DISC", "CONT")].into_iter().filter_map(|(disc, cont)| {
        let (this, that) = if kind == ScoreKind::Discrete { (disc, cont) } else { (cont, disc) };
        let at = file_name.rfind(this)?;
        Some(format!("{}{that}{}", &file_name[..at], &file_name[at + this.len()..]))
    });
    names.map(|name| path.with_file_name(name)).find(|path| path.is_file())
}

fn safe_name(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || "-_. ".contains(c) { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_of_files_becomes_one_curve_that_the_project_keeps() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::create(&dir.path().join("p")).unwrap();
        let file = dir.path().join("Net_ContROC.txt");
        fs::write(&file, "0.5 10\n0.7 20\n").unwrap();
        fs::write(dir.path().join("Net_DiscROC.txt"), "10 0.8 0.5\n20 0.9 0.25\n").unwrap();
        let imported = import_roc(&project, &file, None).unwrap();
        assert_eq!(imported.name, "Net");
        assert_eq!((imported.discrete.rate_at(15.0), imported.continuous.rate_at(15.0)), (Some(0.8), Some(0.5)));
        assert!(imported.notes.contains("columns false positives, rate, score"), "{}", imported.notes);
        assert_eq!(imported_rocs(project.dir()).0, [imported]);
        forget_roc(&project, "Net").unwrap();
        assert!(imported_rocs(project.dir()).0.is_empty());
        assert!(file.is_file());
    }

    #[test]
    fn columns_that_cannot_be_told_apart_are_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::create(&dir.path().join("p")).unwrap();
        let file = dir.path().join("x-DiscROC.txt");
        fs::write(&file, "0 0\n1 1\n").unwrap();
        assert!(matches!(import_roc(&project, &file, None), Err(RocImportError::Ambiguous(path)) if path == file));
        let imported = import_roc(&project, &file, Some(ColumnOrder::RateFirst)).unwrap();
        assert_eq!(imported.name, "x");
        fs::write(dir.path().join("p/curves/broken.json"), "{").unwrap();
        let (curves, errors) = imported_rocs(project.dir());
        assert_eq!((curves.len(), errors.len()), (1, 1));
        assert!(errors[0].to_string().contains("broken.json"));
        let nameless = dir.path().join("roc.txt");
        fs::write(&nameless, "0.5 10\n").unwrap();
        assert!(import_roc(&project, &nameless, None).unwrap_err().to_string().contains("DiscROC.txt"));
    }
}
