//! Exports a project as a training folder for other programs: images, labels, the selected dose of hard negatives, and a manifest that
//! records how it was made. Only reviewed images are used as background. The project and its datasets are only read.

mod choice;
pub(super) mod files;
mod plan;
mod read_again;
mod tables;

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use self::files::Materialised;
use self::plan::{Item, Part, Plan};
use self::read_again::Counted;
use super::export::{ExportScope, images_in};
use super::image_files::files_of;
use super::outputs::OutputPolicy;
use super::{Observer, WorkflowError};
use crate::domain::{Cancel, HardNegativeSource, Output, counted, counted_as, csv_text, shown_path};
use crate::store::{Store, now_ms};
use crate::training::is_reserved_split;

/// The file written last: without it, the folder is incomplete.
pub const MANIFEST: &str = "manifest.json";

/// The target format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainingFormat {
    /// `data.yaml`, a list for each part and `labels/`: read by ultralytics directly.
    Yolo,
    /// `train.json`, `val.json`, `test.json`.
    Coco,
}

/// How images are placed in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ImagesAs {
    /// Symbolic links to the datasets' files.
    Link,
    Copy,
}

/// How hard negatives on images with objects are included in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NegativesAs {
    /// As crops, which are images without objects; if an object is in the region, its image is repeated.
    Crops,
    /// By listing their images several times.
    Repeats,
}

/// How many hard negatives are exported, highest scores first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Dose {
    /// Maximum number.
    pub number: Option<usize>,
    /// Maximum fraction of hard negatives among the training images (hard negatives plus images with objects), 0 to 1.
    pub share: Option<f64>,
    /// Maximum number per group of similar ones.
    pub per_group: Option<usize>,
    /// How much more often an image with a hard negative is listed.
    pub repeat: u32,
}

impl Default for Dose {
    fn default() -> Self {
        Self { number: None, share: None, per_group: None, repeat: 1 }
    }
}

/// What is exported and how.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainingExport {
    pub format: TrainingFormat,
    pub images: ImagesAs,
    pub hard_negatives: HardNegativeSource,
    pub negatives_as: NegativesAs,
    pub dose: Dose,
    /// Validation and test splits; all others are trained on. No mined data enters these.
    pub val: Vec<String>,
    pub test: Vec<String>,
    #[serde(skip)]
    pub scope: ExportScope,
}

impl TrainingExport {
    /// The whole project with the defaults of `quarry export training`.
    pub fn usual(store: &Store, format: TrainingFormat) -> Result<Self, WorkflowError> {
        let scope = ExportScope::default();
        let [val, test] = usual_splits(store, &scope)?;
        Ok(Self {
            format,
            images: ImagesAs::Link,
            hard_negatives: HardNegativeSource::Confirmed,
            negatives_as: NegativesAs::Crops,
            dose: Dose::default(),
            val,
            test,
            scope,
        })
    }
}

/// What was written, as counted while writing; reading the folder back must give the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainingExportReport {
    #[serde(serialize_with = "shown_path")]
    pub folder: PathBuf,
    #[serde(flatten)]
    pub settings: TrainingExport,
    /// The project's classes.
    pub classes: Vec<String>,
    /// The content of the files, read back after writing.
    pub found: Counted,
    /// Hard negatives that the dose selected, and those that it excluded.
    pub hard_negatives_chosen: usize,
    pub hard_negatives_left: usize,
    /// Numbers by form: as crops, as images without objects, and by repeating their images.
    pub crops: usize,
    pub on_background_images: usize,
    pub repeated_images: usize,
    /// Number of copies with ignored regions painted over.
    pub painted_images: usize,
    pub painted_regions: usize,
    /// Images and hard negatives missing from the export; `excluded.csv` gives the reasons.
    pub excluded: usize,
    /// Of these, images without objects that nobody marked as complete.
    pub unreviewed_background: usize,
    /// Complete sentences on what the format cannot represent and what to do.
    pub losses: Vec<String>,
}

/// Returns the scope's default held-out splits, those that no round trains on by default: for testing those named like `test`, for
/// validation all others (`val`, `valid`, `val2017`).
pub fn usual_splits(store: &Store, scope: &ExportScope) -> Result<[Vec<String>; 2], WorkflowError> {
    if scope.split.is_some() {
        return Ok([Vec::new(), Vec::new()]);
    }
    let splits: BTreeSet<String> = images_in(store, scope)?.into_iter().filter_map(|image| image.split).collect();
    let held_out = splits.into_iter().filter(|split| is_reserved_split(split));
    let (test, val) = held_out.partition(|split| split.to_ascii_lowercase().starts_with("test"));
    Ok([val, test])
}

/// Something missing from the export.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Excluded {
    dataset: String,
    image: String,
    reason: String,
}

/// Writes the folder `out`, which must be new or empty, outside of every dataset and not part of a project. After an error nothing of it
/// remains.
pub fn export_training(
    store: &Store,
    settings: &TrainingExport,
    out: impl Into<Output>,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<TrainingExportReport, WorkflowError> {
    let out = &out.into();
    OutputPolicy::new().datasets(store)?.check_folder(out, [MANIFEST])?;
    files::check_new(&out.path)?;
    let plan = Plan::new(store, settings)?;
    let sources = files_of(store, plan.items.iter().map(|item| item.image.id))?;
    sources.1.check()?;
    let unfinished = files::folder_beside(&out.path)?;
    let folder = unfinished.path();
    let Materialised { mut items, mut excluded } =
        files::materialise(settings, &plan, folder, &sources, observer, cancel)?;
    excluded.splice(0..0, plan.excluded.iter().cloned());
    items.sort_by(|a, b| (a.item.part, &a.file).cmp(&(b.item.part, &b.file)));
    let expected = tables::write(settings, &plan, &items, folder)?;
    let table: String = std::iter::once("dataset,image,reason\n".to_owned())
        .chain(
            excluded
                .iter()
                .map(|e| format!("{},{},{}\n", csv_text(&e.dataset), csv_text(&e.image), csv_text(&e.reason))),
        )
        .collect();
    files::put(folder, "excluded.csv", table.as_bytes())?;
    let found = read_again::count(settings.format, folder)?;
    if found != expected {
        let text = format!(
            "{}: reading the export again found {found:?} where {expected:?} was written; nothing was kept. This is a fault of Quarry: please \
             report it.",
            out.path.display()
        );
        return Err(WorkflowError::Refused(text));
    }
    let of = |is: fn(&Item) -> bool| items.iter().filter(|made| is(&made.item)).count();
    let report = TrainingExportReport {
        folder: out.path.clone(),
        settings: settings.clone(),
        classes: plan.classes.clone(),
        found,
        hard_negatives_chosen: plan.chosen,
        hard_negatives_left: plan.left,
        crops: of(Item::is_crop),
        on_background_images: items
            .iter()
            .filter(|made| made.item.is_background() && !made.item.is_crop())
            .map(|made| made.item.negatives.len())
            .sum(),
        repeated_images: of(|item| item.repeats > 0),
        painted_images: items.iter().filter(|made| made.painted > 0).count(),
        painted_regions: items.iter().map(|made| made.painted).sum(),
        excluded: excluded.len(),
        unreviewed_background: excluded.iter().filter(|e| e.reason == plan::UNREVIEWED).count(),
        losses: losses(settings, &plan, &items),
    };
    let manifest = serde_json::json!({
        "made_by": format!("Quarry {}", env!("CARGO_PKG_VERSION")), "written_ms": now_ms(), "dataset": settings.scope.dataset,
        "split": settings.scope.split, "export": report,
    });
    let text = serde_json::to_string_pretty(&manifest).map_err(|e| WorkflowError::Refused(e.to_string()))?;
    files::put(folder, MANIFEST, text.as_bytes())?;
    files::place(unfinished, &out.path)?;
    Ok(report)
}

fn losses(settings: &TrainingExport, plan: &Plan, items: &[files::Made]) -> Vec<String> {
    let mut losses = Vec::new();
    let painted: usize = items.iter().map(|made| made.painted).sum();
    if painted > 0 {
        losses.push(format!(
            "{} painted out in copies of their images: YOLO's labels have no flag for them. What a detector could \
             learn from these pixels is lost; the datasets' files are as they were.",
            counted_as(painted, "ignored region is", "ignored regions are")
        ));
    }
    let ellipses = items.iter().flat_map(|made| &made.item.objects).filter(|o| o.shape.ellipse().is_some()).count();
    if ellipses > 0 {
        losses.push(format!("{} written as boxes.", counted_as(ellipses, "ellipse is", "ellipses are")));
    }
    let repeats: usize = items.iter().map(|made| made.item.repeats as usize).sum();
    if settings.format == TrainingFormat::Coco && repeats > 0 {
        losses.push("COCO has no repeated images: weights.csv says how often each is to be drawn.".to_owned());
    }
    let has = |part| items.iter().any(|made| made.item.part == part);
    if settings.format == TrainingFormat::Yolo && !has(Part::Val) {
        losses.push(
            "There is no image to validate on, which ultralytics needs: `val` names the training images. Choose a split with --val.".to_owned(),
        );
    }
    if !has(Part::Train) {
        let held_out =
            if settings.val.is_empty() && settings.test.is_empty() { "" } else { " outside --val and --test" };
        losses
            .push(format!("There is no image to train on: no image{held_out} has an object or is marked as complete."));
    }
    if plan.unreviewed > 0 {
        losses.push(format!(
            "{} left out: nobody said that nothing is missed there. Look for objects and mark images without with K, or with \
             `quarry dataset complete`.",
            counted_as(plan.unreviewed, "image without objects is", "images without objects are")
        ));
    }
    losses
}

impl std::fmt::Display for TrainingExportReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Counted { images, lines, objects, ignored, empty, .. } = &self.found;
        let (pictures, found) = (counted(*images, "image"), counted(*objects, "object"));
        write!(f, "{pictures} with {found} in {}", self.folder.display())?;
        write!(f, "\n{empty} of them without objects")?;
        if *ignored > 0 {
            write!(f, ", {}", counted(*ignored, "ignored region"))?;
        }
        if lines > images {
            write!(f, "; the training list has {lines} lines")?;
        }
        write!(
            f,
            "\n{}: {}, {} on images without objects, {} repeated",
            counted(self.hard_negatives_chosen, "hard negative"),
            counted(self.crops, "crop"),
            self.on_background_images,
            counted(self.repeated_images, "image")
        )?;
        if self.hard_negatives_left > 0 {
            write!(f, "; {} left out by the limits", self.hard_negatives_left)?;
        }
        if self.excluded > 0 {
            write!(
                f,
                "\n{} not in it: see excluded.csv",
                counted_as(self.excluded, "image or region is", "images and regions are")
            )?;
        }
        for loss in &self.losses {
            write!(f, "\n{loss}")?;
        }
        Ok(())
    }
}
