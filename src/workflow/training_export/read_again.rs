//! Reads an export back from its files, like a trainer, and counts its content.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::TrainingFormat;
use super::plan::Part;
use crate::domain::{limits, open_regular, read_text};
use crate::workflow::WorkflowError;

/// The content of an export.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// Number of files.
    pub images: usize,
    /// In `train`, `val` and `test`.
    pub of_part: BTreeMap<String, usize>,
    /// Entries of the training list, including repeated ones.
    pub lines: usize,
    pub objects: usize,
    /// Regions that are neither objects nor background (COCO).
    pub ignored: usize,
    /// Images whose label exists and contains no object.
    pub empty: usize,
}

/// Every image and every label must exist.
pub(super) fn count(format: TrainingFormat, folder: &Path) -> Result<Counted, WorkflowError> {
    let mut found = Counted::default();
    for part in Part::ALL {
        match format {
            TrainingFormat::Yolo => yolo(folder, part, &mut found)?,
            TrainingFormat::Coco => coco(folder, part, &mut found)?,
        }
    }
    Ok(found)
}

fn yolo(folder: &Path, part: Part, found: &mut Counted) -> Result<(), WorkflowError> {
    let list = folder.join(format!("{}.txt", part.word()));
    if !list.is_file() {
        return Ok(());
    }
    let text = read_text(&list, limits::TEXT)?;
    let files: BTreeSet<&str> = text.lines().collect();
    if part == Part::Train {
        found.lines = text.lines().count();
    }
    for file in &files {
        open_regular(&folder.join(file))?;
        // ultralytics' rule: the last `/images/` becomes `/labels/`, the extension `txt`.
        let label = Path::new(&file.replacen("/images/", "/labels/", 1)).with_extension("txt");
        let label = read_text(&folder.join(label), limits::TEXT)?;
        found.objects += label.lines().count();
        found.empty += usize::from(label.is_empty());
    }
    found.images += files.len();
    if !files.is_empty() {
        found.of_part.insert(part.word().to_owned(), files.len());
    }
    Ok(())
}

fn coco(folder: &Path, part: Part, found: &mut Counted) -> Result<(), WorkflowError> {
    let file = folder.join(format!("{}.json", part.word()));
    if !file.is_file() {
        return Ok(());
    }
    let bad = |reason: String| WorkflowError::BadFile { path: file.clone(), reason };
    let text: Value = serde_json::from_str(&read_text(&file, limits::TEXT)?).map_err(|error| bad(error.to_string()))?;
    let list =
        |key: &str| text.get(key).and_then(Value::as_array).ok_or_else(|| bad(format!("it has no list `{key}`")));
    let (images, annotations) = (list("images")?, list("annotations")?);
    let annotated: BTreeSet<i64> = annotations.iter().filter_map(|a| a.get("image_id")?.as_i64()).collect();
    for image in images {
        let name =
            image.get("file_name").and_then(Value::as_str).ok_or_else(|| bad("an image without a name".to_owned()))?;
        open_regular(&folder.join(name))?;
        let id = image.get("id").and_then(Value::as_i64).unwrap_or_default();
        found.empty += usize::from(!annotated.contains(&id));
    }
    let ignored = annotations.iter().filter(|a| a.get("iscrowd").and_then(Value::as_u64) == Some(1)).count();
    found.images += images.len();
    found.ignored += ignored;
    found.objects += annotations.len() - ignored;
    if part == Part::Train {
        found.lines = images.len();
    }
    found.of_part.insert(part.word().to_owned(), images.len());
    Ok(())
}
