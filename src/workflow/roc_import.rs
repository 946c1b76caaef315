//! Imports ROC files of other programs into a project: detects their columns and stores them as `curves/<name>.json`. The files are only
//! read.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fs;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Project, WorkflowError, write_atomically};
use crate::domain::{limits, make_folder, read_text, read_text_bytes, text_bytes};
use crate::evaluation::roc_file::{self, ColumnOrder, RocFileError};
use crate::evaluation::{PlotCurve, ScoreKind};

/// Maximum points per curve; more than any screen or figure shows.
const MOST_POINTS: usize = 4000;

/// A method's third-party curves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImportedRoc {
    pub name: String,
    /// The files, how their columns were interpreted, and other notes for the user.
    pub notes: String,
    /// Distinguishes curves with the same name: the files' path, with `*` for the score. Empty in older projects.
    #[serde(default)]
    pub source: String,
    /// Empty if only the other file existed.
    pub discrete: PlotCurve,
    pub continuous: PlotCurve,
}

/// Why a file could not be imported as a curve.
#[derive(Debug, thiserror::Error)]
pub enum RocImportError {
    /// Either column could be the rate; the user has to choose.
    #[error("{path}: both columns could be the true positive rate. Say which one is", path = .0.display())]
    Ambiguous(PathBuf),
    #[error(transparent)]
    Failed(#[from] WorkflowError),
}

/// [`read_roc`], stored in the project. The same files again replace their curve; others with the same name get a number.
pub fn import_roc(project: &Project, path: &Path, order: Option<ColumnOrder>) -> Result<ImportedRoc, RocImportError> {
    let read = read_roc(path, order)?;
    let folder = folder(project.dir());
    make_folder(&folder).map_err(WorkflowError::io(&folder, "Check that the project is writable."))?;
    let imported = free_name(&folder, read);
    let kept = kept_at(&folder, &imported.name);
    let json = serde_json::to_vec(&imported).map_err(|e| bad(&kept, e.to_string()))?;
    write_atomically(&kept, &json)?;
    Ok(imported)
}

/// Reads `path` (`*DiscROC.txt` or `*ContROC.txt`) and, if it exists, the file of the other score next to it; writes nothing. `order` is
/// the user's choice for ambiguous columns.
pub fn read_roc(path: &Path, order: Option<ColumnOrder>) -> Result<ImportedRoc, RocImportError> {
    let named = NamedFile::of(path).ok_or_else(|| {
        let reason = "the name does not say which score it holds. Rename a copy to end in DiscROC.txt or ContROC.txt";
        bad(path, reason.to_owned())
    })?;
    let (curve, note) = read_curve(path, order)?;
    let other = named.other_score(path).map(|path| read_curve(&path, order)).transpose()?;
    let notes = std::iter::once(&note).chain(other.as_ref().map(|(_, note)| note)).cloned().collect::<Vec<_>>();
    let other = other.map(|(curve, _)| curve).unwrap_or_default();
    let (discrete, continuous) = match named.kind {
        ScoreKind::Discrete => (curve, other),
        ScoreKind::Continuous => (other, curve),
    };
    let (name, source) = (named.name.clone(), named.source(path));
    Ok(ImportedRoc { name, notes: notes.join("\n"), source, discrete, continuous })
}

/// Appends a number to the name, with a note, if another source has the name.
fn free_name(folder: &Path, mut imported: ImportedRoc) -> ImportedRoc {
    let name = imported.name.clone();
    let mut number = 1;
    while let Some(kept) = kept_roc(&kept_at(folder, &imported.name)) {
        let older = kept.source.is_empty() && imported.notes.lines().any(|line| kept.notes.contains(line));
        if kept.source == imported.source || older {
            break;
        }
        number += 1;
        imported.name = format!("{name} ({number})");
    }
    if number > 1 {
        let ImportedRoc { name: called, notes, .. } = &imported;
        imported.notes = format!("{notes}\nCalled `{called}`: another imported curve is called `{name}`");
    }
    imported
}

/// Reads a stored curve; a file that cannot be parsed may be replaced.
fn kept_roc(path: &Path) -> Option<ImportedRoc> {
    serde_json::from_str(&read_text(path, limits::TEXT).ok()?).ok()
}

/// Returns the curves imported into the project in `dir`, by name, and unreadable files.
pub fn imported_rocs(dir: &Path) -> (Vec<ImportedRoc>, Vec<WorkflowError>) {
    let (mut curves, mut errors) = (Vec::new(), Vec::new());
    let Ok(entries) = fs::read_dir(folder(dir)) else { return (curves, errors) };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths.into_iter().filter(|path| path.extension().is_some_and(|e| e == "json")) {
        let text = read_text(&path, limits::TEXT).map_err(WorkflowError::from);
        let parsed = text.and_then(|text| serde_json::from_str(&text).map_err(|e| bad(&path, e.to_string())));
        match parsed.and_then(|curve| named_as_its_file(&path, curve)) {
            Ok(curve) => curves.push(curve),
            Err(error) => errors.push(error),
        }
    }
    (curves, errors)
}

/// A curve is deleted by the name inside the file, so it must correspond to this file.
fn named_as_its_file(path: &Path, curve: ImportedRoc) -> Result<ImportedRoc, WorkflowError> {
    if path.file_name() == kept_at(Path::new(""), &curve.name).file_name() {
        return Ok(curve);
    }
    let name: String = curve.name.chars().take(80).flat_map(char::escape_debug).collect();
    Err(bad(path, format!("the name in it, `{name}`, is not this file's. Remove the file, or import the curve again")))
}

/// Removes an imported curve from the project; the user's own files are unaffected.
pub fn forget_roc(project: &Project, name: &str) -> Result<(), WorkflowError> {
    let path = kept_at(&folder(project.dir()), name);
    fs::remove_file(&path).map_err(WorkflowError::io(&path, "Check that the project is writable."))
}

/// Reads a ROC file's curve; also returns how its columns were interpreted.
fn read_curve(path: &Path, order: Option<ColumnOrder>) -> Result<(PlotCurve, String), RocImportError> {
    let bytes = read_text_bytes(path, limits::TEXT).map_err(WorkflowError::from)?;
    let text = text_bytes(path, &bytes).map_err(WorkflowError::from)?;
    let read = roc_file::parse(&String::from_utf8_lossy(text), order).map_err(|error| match error {
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

fn kept_at(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{}.json", safe_name(name)))
}

/// The parts of a ROC file's name: `MTCNN_DiscROC.txt` is MTCNN, discrete.
struct NamedFile {
    name: String,
    kind: ScoreKind,
    file_name: String,
    /// Offset of `Disc` or `Cont`.
    at: usize,
}

impl NamedFile {
    /// `None` if the name has neither `DiscROC` nor `ContROC`, in any case. A bare `DiscROC.txt` is named after its folder.
    fn of(path: &Path) -> Option<Self> {
        let file_name = path.file_name()?.to_string_lossy().into_owned();
        let lower = file_name.to_ascii_lowercase();
        let found = [("discroc", ScoreKind::Discrete), ("controc", ScoreKind::Continuous)]
            .into_iter()
            .filter_map(|(marker, kind)| Some((lower.rfind(marker)?, kind)));
        let (at, kind) = found.max_by_key(|(at, _)| *at)?;
        let (before, after) = (plain(file_name.get(..at)?), file_name.get(at + "DiscROC".len()..)?);
        let after = plain(after.rsplit_once('.').map_or(after, |(stem, _)| stem));
        let folder = || path.canonicalize().ok()?.parent()?.file_name().map(|n| n.to_string_lossy().into_owned());
        let name = match (before, after) {
            ("", "") => folder().unwrap_or_else(|| "Imported".to_owned()),
            ("", after) => after.to_owned(),
            (before, _) => before.to_owned(),
        };
        Some(Self { name, kind, file_name, at })
    }

    /// Returns the file's name with another word for the score.
    fn with_score(&self, word: &str) -> String {
        let part = |range: (Bound<usize>, Bound<usize>)| self.file_name.get(range).unwrap_or("");
        let (before, after) = (Bound::Excluded(self.at), Bound::Included(self.at + "Disc".len()));
        format!("{}{word}{}", part((Bound::Unbounded, before)), part((after, Bound::Unbounded)))
    }

    /// Returns the file of the other score next to this one.
    fn other_score(&self, path: &Path) -> Option<PathBuf> {
        let words = match self.kind {
            ScoreKind::Discrete => ["Cont", "cont", "CONT"],
            ScoreKind::Continuous => ["Disc", "disc", "DISC"],
        };
        words.map(|word| path.with_file_name(self.with_score(word))).into_iter().find(|path| path.is_file())
    }

    fn source(&self, path: &Path) -> String {
        let whole = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        whole.with_file_name(self.with_score("*")).display().to_string()
    }
}

/// Strips separators between a name and the score's word.
fn plain(name: &str) -> &str {
    name.trim_matches(['_', '-', ' ', '.'])
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
        // The detected order contradicts the user's choice for the other half.
        fs::write(dir.path().join("x-ContROC.txt"), "7 0.25\n9 0.5\n").unwrap();
        let imported = import_roc(&project, &file, Some(ColumnOrder::RateFirst)).unwrap();
        assert_eq!(imported.continuous.rate_at(9.0), Some(0.5));
        let nameless = dir.path().join("roc.txt");
        fs::write(&nameless, "0.5 10\n").unwrap();
        assert!(import_roc(&project, &nameless, None).unwrap_err().to_string().contains("DiscROC.txt"));
    }

    #[test]
    fn names_say_the_score_beyond_doubt() {
        let named = |name: &str| NamedFile::of(Path::new(name)).map(|n| (n.name, n.kind));
        let is = |name: &str, kind| Some((name.to_owned(), kind));
        assert_eq!(named("MTCNN_DiscROC.txt"), is("MTCNN", ScoreKind::Discrete));
        assert_eq!(named("net-controc.TXT"), is("net", ScoreKind::Continuous));
        assert_eq!(named("ContROC_of-discs.txt"), is("of-discs", ScoreKind::Continuous));
        assert_eq!(named("contour.txt"), None);
        assert_eq!(named("disc.txt"), None);
    }

    #[test]
    fn two_sources_of_one_name_are_two_curves() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::create(&dir.path().join("p")).unwrap();
        let write = |folder: &str, name: &str, text: &str| {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
            let path = dir.path().join(folder).join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let import = |path: &Path| import_roc(&project, path, None).unwrap();
        let (a, b) = (write("first", "DiscROC.txt", "0.5 10\n"), write("second", "DiscROC.txt", "0.6 10\n"));
        assert_eq!((import(&a).name, import(&b).name), ("first".to_owned(), "second".to_owned()));
        let (c, d) = (write("first", "Net_DiscROC.txt", "0.5 10\n"), write("second", "Net_DiscROC.txt", "0.6 10\n"));
        assert_eq!(import(&c).name, "Net");
        let second = import(&d);
        assert_eq!(second.name, "Net (2)");
        assert!(second.notes.contains("another imported curve is called `Net`"), "{}", second.notes);
        // The same files again, also starting from their other half, replace their own curve.
        let cont = write("second", "Net_ContROC.txt", "0.4 10\n");
        assert_eq!(import(&cont).name, "Net (2)");
        assert_eq!(import(&c).name, "Net");
        assert_eq!(imported_rocs(project.dir()).0.len(), 4);
    }
}
