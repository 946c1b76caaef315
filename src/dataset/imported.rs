//! What every importer gives back: images with their ground truth, and a summary of what was found and what was left out.
//! Must not know which format it came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::domain::Annotation;

/// One photograph of a dataset, with the faces that its annotation lists.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedImage {
    /// The name in the dataset's own lists, e.g. FDDB's `2002/08/11/big/img_591`; the relative path where there are no lists.
    pub name: String,
    /// Relative to the dataset's root.
    pub path: PathBuf,
    /// blake3 of the file's bytes, lower-case hex.
    pub content_hash: String,
    /// Pixels after EXIF orientation.
    pub width: u32,
    pub height: u32,
    /// FDDB's fold 1..=10; `None` for sets without folds.
    pub fold: Option<u8>,
    /// Empty for a photograph without faces.
    pub faces: Vec<Annotation>,
}

/// A dataset as read from its folder; nothing is stored yet.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedDataset {
    /// The folder's name.
    pub name: String,
    /// `fddb`, `folder` or `sample`.
    pub kind: &'static str,
    /// Absolute.
    pub root: PathBuf,
    /// In the order of the dataset's own lists, or by path.
    pub images: Vec<ImportedImage>,
    pub summary: ImportSummary,
}

impl ImportedDataset {
    pub(super) fn new(kind: &'static str, root: PathBuf, images: Vec<ImportedImage>, left_out: LeftOut) -> Self {
        let name = root.file_name().map_or_else(|| kind.to_owned(), |name| name.to_string_lossy().into_owned());
        let summary = ImportSummary::of(&images, left_out);
        Self { name, kind, root, images, summary }
    }
}

/// What an importer met and could not use.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    pub missing: Vec<String>,
    pub unreadable: Vec<(String, String)>,
    pub duplicates: Vec<(String, String)>,
    pub warnings: Vec<String>,
}

/// What was found, and what was left out and why.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ImportSummary {
    pub images: usize,
    pub faces: usize,
    /// Fold -> images read.
    pub folds: BTreeMap<u8, usize>,
    /// Names that the lists hold but whose picture is not there; left out.
    pub missing: Vec<String>,
    /// Name and reason; left out.
    pub unreadable: Vec<(String, String)>,
    /// Two names whose files have the same bytes: the later one, then the earlier one.
    pub duplicates: Vec<(String, String)>,
    /// Whole sentences, ready to be shown.
    pub warnings: Vec<String>,
}

impl ImportSummary {
    fn of(images: &[ImportedImage], left_out: LeftOut) -> Self {
        let mut folds = BTreeMap::new();
        for fold in images.iter().filter_map(|image| image.fold) {
            *folds.entry(fold).or_insert(0) += 1;
        }
        let LeftOut { missing, unreadable, duplicates, warnings } = left_out;
        let faces = images.iter().map(|image| image.faces.len()).sum();
        Self { images: images.len(), faces, folds, missing, unreadable, duplicates, warnings }
    }
}

/// A few lines for a terminal or a window: counts first, then what was left out, at most three names of each.
impl fmt::Display for ImportSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} images, {} faces", self.images, self.faces)?;
        if !self.folds.is_empty() {
            let folds: Vec<String> = self.folds.iter().map(|(fold, images)| format!("{fold}: {images}")).collect();
            write!(f, ", {} folds ({})", self.folds.len(), folds.join(", "))?;
        }
        for warning in &self.warnings {
            write!(f, "\n{warning}")?;
        }
        if !self.unreadable.is_empty() {
            let shown: Vec<String> =
                self.unreadable.iter().take(3).map(|(name, why)| format!("{name} ({why})")).collect();
            write!(
                f,
                "\n{} unreadable, left out: {}{}",
                self.unreadable.len(),
                shown.join(", "),
                more(self.unreadable.len())
            )?;
        }
        if !self.duplicates.is_empty() {
            let shown: Vec<String> = self.duplicates.iter().take(3).map(|(b, a)| format!("{b} = {a}")).collect();
            write!(
                f,
                "\n{} with the same bytes as another: {}{}",
                self.duplicates.len(),
                shown.join(", "),
                more(self.duplicates.len())
            )?;
        }
        Ok(())
    }
}

fn more(count: usize) -> &'static str {
    if count > 3 { ", …" } else { "" }
}
