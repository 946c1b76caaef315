//! Imports images and annotations into the project's store. The files themselves are only read.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Observer, Project, WorkEvent, WorkflowError};
use crate::dataset::formats::{self, ReadOptions};
use crate::dataset::{ImportSummary, ImportedDataset, ImportedImage, ImportedObject};
use crate::domain::{Cancel, DatasetId, Progress, counted, counted_as, printable, printable_line};
use crate::store::{CLASS_NAME_BYTES, ImportCounts, KeptReport, NewDataset, NewImage, NewObject, Store, is_class_name};

/// The supported import formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportFormat {
    /// Detected from the path.
    Auto,
    Coco,
    Voc,
    Yolo,
    Wider,
    Cvat,
    /// FDDB as distributed: `FDDB-folds/*.txt` and `originalPics/`.
    Fddb,
    LabelStudio,
    Labelme,
    /// A folder of images without objects, for mining.
    Folder,
}

impl ImportFormat {
    pub const ALL: [Self; 10] = [
        Self::Auto,
        Self::Coco,
        Self::Voc,
        Self::Yolo,
        Self::Wider,
        Self::Cvat,
        Self::Fddb,
        Self::LabelStudio,
        Self::Labelme,
        Self::Folder,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Coco => "coco",
            Self::Voc => "voc",
            Self::Yolo => "yolo",
            Self::Wider => "wider",
            Self::Cvat => "cvat",
            Self::Fddb => "fddb",
            Self::LabelStudio => "label-studio",
            Self::Labelme => "labelme",
            Self::Folder => "folder",
        }
    }
}

/// What an import found and changes, or would change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    #[serde(flatten)]
    pub summary: ImportSummary,
    /// The project already has the dataset, and it is updated.
    pub is_update: bool,
    pub added: usize,
    pub changed: usize,
    pub moved: usize,
    pub removed: usize,
    pub returned: usize,
    pub unchanged: usize,
    /// Images that the dataset lists but that cannot be read now. What is known about them is kept.
    pub kept_unread: usize,
    /// Candidates found in content that their image no longer has. They are not trained with until they are mined or decided again.
    pub stale_candidates: usize,
    /// Corrections of objects that are missing or different in the dataset: inactive until an import restores the object as it was
    /// corrected.
    pub resting_corrections: usize,
    /// Images with the same content as one of another dataset in the project.
    pub same_bytes: usize,
    pub names: ChangedNames,
}

/// The images behind the counts of an [`ImportReport`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedNames {
    /// For an update; in a new dataset all images are added.
    pub added: Vec<String>,
    pub changed: Vec<String>,
    /// Before and now.
    pub moved: Vec<(String, String)>,
    pub removed: Vec<String>,
    pub returned: Vec<String>,
    /// Name, the other dataset, and the name there.
    pub same_bytes: Vec<(String, String, String)>,
}

/// Reads the dataset at `path` and, unless `dry_run`, adds it to the project in one transaction. A known dataset is updated (see
/// [`Store::import_dataset`](crate::store::Store::import_dataset)).
pub fn import(
    project: &Project,
    format: ImportFormat,
    path: &Path,
    dry_run: bool,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<ImportReport, WorkflowError> {
    import_with(project, format, path, &ReadOptions::default(), dry_run, observer, cancel)
}

/// [`import`] with options for reading the annotations.
pub fn import_with(
    project: &Project,
    format: ImportFormat,
    path: &Path,
    options: &ReadOptions,
    dry_run: bool,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<ImportReport, WorkflowError> {
    // The project limits the image size, and hours of reading should not end at a database that cannot be opened.
    let _lock = if dry_run { None } else { Some(project.lock("import")?) };
    drop(if dry_run { project.open_store_to_read()? } else { project.open_store()? });
    let ReadDataset { imported, is_one_split } = read(project, format, path, options, observer, cancel)?;
    keep(project, imported, is_one_split, dry_run)
}

/// A dataset that was read but not yet stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadDataset {
    imported: ImportedDataset,
    is_one_split: bool,
}

/// Reads the dataset at `path` without writing.
pub fn read(
    project: &Project,
    format: ImportFormat,
    path: &Path,
    options: &ReadOptions,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<ReadDataset, WorkflowError> {
    drop(project.open_store_to_read()?);
    let mut progress = |p: Progress| observer(WorkEvent::Progress(p));
    let imported = match formats::format_named(format.as_str()) {
        Some(named) => named.read(path, options, &mut progress, cancel)?,
        None => formats::read_auto(path, options, &mut progress, cancel)?,
    };
    Ok(ReadDataset { imported, is_one_split: options.split.is_some() })
}

/// Returns what storing the dataset would change.
pub fn preview(project: &Project, read: &ReadDataset) -> Result<ImportReport, WorkflowError> {
    keep(project, read.imported.clone(), read.is_one_split, true)
}

/// Stores a dataset that was read, in one transaction.
pub fn take(project: &Project, read: &ReadDataset) -> Result<ImportReport, WorkflowError> {
    let _lock = project.lock("import")?;
    keep(project, read.imported.clone(), read.is_one_split, false)
}

/// [`import`] of an already read, complete dataset.
pub fn import_read(
    project: &Project,
    imported: &ImportedDataset,
    dry_run: bool,
) -> Result<ImportReport, WorkflowError> {
    keep(project, imported.clone(), false, dry_run)
}

/// More than any public dataset has; every class takes a look at all earlier ones.
const MOST_CLASSES: usize = 20_000;

/// Refuses class names that the project cannot hold, naming the dataset and the class.
fn check_classes(imported: &ImportedDataset) -> Result<(), WorkflowError> {
    let refused = |reason| Err(WorkflowError::BadFile { path: imported.root.clone(), reason });
    if imported.classes.len() > MOST_CLASSES {
        let count = imported.classes.len();
        return refused(format!("its annotations name {count} classes; a project has at most {MOST_CLASSES}"));
    }
    imported.classes.iter().find(|name| !is_class_name(name)).map_or(Ok(()), |name| {
        refused(format!(
            "its annotations have the class `{}`; a class has a name of one line, of 1 to {CLASS_NAME_BYTES} bytes and without control \
             characters. Rename it in the annotations",
            printable(name)
        ))
    })
}

fn keep(
    project: &Project,
    imported: ImportedDataset,
    is_one_split: bool,
    dry_run: bool,
) -> Result<ImportReport, WorkflowError> {
    check_classes(&imported)?;
    let (rows, summary) = new_dataset(imported);
    let mut unread = unread(&summary);
    let unread_now = unread.len();
    let mut store = if dry_run { project.open_store_to_read()? } else { project.open_store()? };
    let known = store.known_dataset(&rows, is_one_split)?;
    let is_update = known.is_some();
    if let Some(dataset) = known.filter(|_| is_one_split) {
        // Images of other splits were not requested, so they are not removed.
        unread.extend(store.images()?.into_iter().filter(|image| image.dataset == dataset).map(|image| image.name));
    }
    let counts = if dry_run { store.preview_import(&rows, &unread)? } else { store.import_dataset(&rows, &unread)? };
    let dataset = counts.dataset.filter(|_| !dry_run);
    let report = ImportReport::new(summary, is_update, unread_now, counts);
    if let Some(dataset) = dataset {
        // The import succeeded, whether or not its report can be stored.
        let kept = serde_json::to_string(&report).map(|text| store.keep_import_report(dataset, &text));
        if let Ok(Err(error)) = kept {
            tracing::warn!("the import report was not saved: {error}");
        }
    }
    Ok(report)
}

/// Returns the report of a dataset's last import, and its time in milliseconds since the Unix epoch; `None` for a dataset that an older
/// version imported.
pub fn last_report(store: &Store, dataset: DatasetId) -> Result<Option<(i64, ImportReport)>, WorkflowError> {
    let newest = store.import_reports(dataset)?.into_iter().next();
    let read = |kept: KeptReport| Some((kept.time_ms, serde_json::from_str(&kept.report).ok()?));
    Ok(newest.and_then(read))
}

/// Returns names in the dataset that could not be read, including folders.
fn unread(summary: &ImportSummary) -> Vec<String> {
    summary.missing.iter().chain(summary.unreadable.iter().map(|(name, _)| name)).cloned().collect()
}

fn new_dataset(imported: ImportedDataset) -> (NewDataset, ImportSummary) {
    let ImportedDataset { name, kind, root, classes, images, summary } = imported;
    let images = images.into_iter().map(|image| {
        let ImportedImage { name, path, content_hash, width, height, split, objects } = image;
        let objects = objects.into_iter().map(new_object).collect();
        NewImage { name, path, content_hash, width, height, split, objects }
    });
    (NewDataset { name, kind: kind.to_owned(), root, classes, images: images.collect() }, summary)
}

impl ImportReport {
    fn new(summary: ImportSummary, is_update: bool, unread: usize, counts: ImportCounts) -> Self {
        let same_bytes = counts.same_bytes.into_iter().map(|same| (same.name, same.dataset, same.other));
        let names = ChangedNames {
            added: if is_update { counts.added.clone() } else { Vec::new() },
            changed: counts.changed,
            moved: counts.moved,
            removed: counts.removed,
            returned: counts.returned,
            same_bytes: same_bytes.collect(),
        };
        Self {
            summary,
            is_update,
            added: counts.added.len(),
            changed: names.changed.len(),
            moved: names.moved.len(),
            removed: names.removed.len(),
            returned: names.returned.len(),
            unchanged: counts.unchanged,
            kept_unread: if is_update { unread } else { 0 },
            stale_candidates: counts.stale_candidates,
            resting_corrections: counts.resting_corrections,
            same_bytes: names.same_bytes.len(),
            names,
        }
    }
}

/// The summary, then the changes: counts first, then at most three names of each kind.
impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.summary)?;
        if self.is_update {
            let Self { added, removed, changed, moved, returned, unchanged, .. } = self;
            write!(
                f,
                "\nThe project has this dataset already: {added} added, {removed} removed, {changed} changed, {moved} moved, \
                 {returned} returned, {unchanged} unchanged"
            )?;
            let names = &self.names;
            listed(f, "Added", &names.added)?;
            listed(f, "Removed (kept with their verdicts, no longer trained or tested on)", &names.removed)?;
            listed(f, "Changed", &names.changed)?;
            let moved: Vec<String> = names
                .moved
                .iter()
                .map(|(before, now)| format!("{} -> {}", printable(before), printable(now)))
                .collect();
            listed(f, "Moved (the same bytes under another name)", &moved)?;
            listed(f, "Returned", &names.returned)?;
        }
        if self.kept_unread > 0 {
            write!(
                f,
                "\n{} cannot be read; the project keeps its data on {}.",
                counted(self.kept_unread, "image"),
                if self.kept_unread == 1 { "it" } else { "them" }
            )?;
        }
        if self.stale_candidates > 0 {
            write!(
                f,
                "\n{} not used for training until mined or decided again: the image has changed.",
                counted_as(self.stale_candidates, "candidate is", "candidates are")
            )?;
        }
        if self.resting_corrections > 0 {
            write!(
                f,
                "\n{} corrected: the dataset's own count. The corrections are kept, and \
                 count again when an import brings those objects back.",
                counted_as(
                    self.resting_corrections,
                    "corrected object is not in the dataset as it was",
                    "corrected objects are not in the dataset as they were"
                )
            )?;
        }
        if self.same_bytes > 0 {
            let same = self.names.same_bytes.iter().map(|(name, dataset, other)| {
                format!("{} = {}: {}", printable(name), printable(dataset), printable(other))
            });
            let what = format!(
                "{} of other datasets in this project",
                counted_as(
                    self.same_bytes,
                    "image has the same bytes as images",
                    "images have the same bytes as images"
                )
            );
            listed(f, &what, &same.collect::<Vec<_>>())?;
            write!(
                f,
                "\nOf such copies the annotated one counts (the first imported of several); the others are neither trained on \
                 nor mined."
            )?;
        }
        Ok(())
    }
}

/// Maximum number of names on a line before `…`.
const SHOWN: usize = 3;

fn listed(f: &mut fmt::Formatter<'_>, what: &str, names: &[String]) -> fmt::Result {
    if names.is_empty() {
        return Ok(());
    }
    let more = if names.len() > SHOWN { ", …" } else { "" };
    let shown: Vec<_> = names.iter().take(SHOWN).map(|name| printable_line(name)).collect();
    write!(f, "\n{what}: {}{more}", shown.join(", "))
}

fn new_object(object: ImportedObject) -> NewObject {
    NewObject { class: object.class, shape: object.shape, ignored: object.ignored }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_format_that_is_read_can_be_named() {
        let named: BTreeSet<_> = ImportFormat::ALL.iter().map(|format| format.as_str()).collect();
        let read: BTreeSet<_> = formats::FORMATS.iter().map(|format| format.name()).chain(["auto"]).collect();
        assert_eq!(named, read);
    }
}
