//! Exports a project for other programs: ground truth with its sources, hard negatives, ignored regions, detections. The project is not
//! changed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::WorkflowError;
use super::outputs::{self, OutputPolicy};
use super::split::is_tested_on;
pub use crate::dataset::formats::write::WriteFormat;
use crate::dataset::formats::write::{
    Export, ExportClass, ExportImage, ExportObject, History, Written, coco_results, fddb_detections, write,
};
use crate::domain::{
    AnnotationSource, Basis, ClassId, DatasetId, Detection, HardNegativeSource, ImageId, ImageRecord, Output, Shape,
    printable_path, shown_paths, stays_below,
};
use crate::geometry::BoundingBox;
use crate::store::{MinedNegative, Store};
use crate::training::RoundConfig;

/// Which images to export.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExportScope {
    /// Only the dataset with this name; `None` for all.
    pub dataset: Option<String>,
    pub split: Option<String>,
}

/// The result of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExportReport {
    pub images: usize,
    /// Objects in the files.
    pub objects: usize,
    /// Number of objects of class `face`, under the key that scripts of the first version read.
    pub faces: usize,
    pub imported: usize,
    pub promoted: usize,
    pub edited: usize,
    /// Drawn by an annotator where neither the dataset nor the detector had an object.
    pub added: usize,
    /// Objects that the format cannot represent.
    pub left_out: usize,
    /// Complete sentences on what the format cannot represent.
    pub losses: Vec<String>,
    #[serde(serialize_with = "shown_paths")]
    pub files: Vec<PathBuf>,
}

/// An image's objects with their row ids.
type Objects = HashMap<ImageId, Vec<Row>>;

/// Row id, class, shape, whether it is ignored, source, score, history.
type Row = (i64, ClassId, Shape, bool, &'static str, Option<f32>, Option<History>);

/// Writes the current ground truth of all images in import order to `out`, atomically. Corrected, promoted and added objects are flagged if
/// the format can; deleted ones are excluded.
pub fn ground_truth(
    store: &Store,
    scope: &ExportScope,
    format: WriteFormat,
    out: impl Into<Output>,
) -> Result<ExportReport, WorkflowError> {
    write_truth(store, scope, format, &out.into(), || Ok(store.ground_truth_by_image()?))
}

/// Like [`ground_truth`], but with the datasets' own objects as imported: including deleted ones, without added ones.
pub fn imported_ground_truth(
    store: &Store,
    scope: &ExportScope,
    format: WriteFormat,
    out: impl Into<Output>,
) -> Result<ExportReport, WorkflowError> {
    write_truth(store, scope, format, &out.into(), || Ok(store.imported_by_image()?))
}

type TruthByImage = HashMap<ImageId, Vec<(crate::domain::GroundTruthId, crate::domain::Annotation)>>;

fn write_truth(
    store: &Store,
    scope: &ExportScope,
    format: WriteFormat,
    out: &Output,
    truth: impl FnOnce() -> Result<TruthByImage, WorkflowError>,
) -> Result<ExportReport, WorkflowError> {
    let description = "Ground truth of a Quarry project. `source` of an annotation: imported from the dataset, promoted from a \
                       candidate by a reviewer, edited, or added by hand. `ellipse`: ra, rb, theta, cx, cy, as FDDB has them.";
    let objects = || -> Result<Objects, WorkflowError> {
        let truth = truth()?.into_iter();
        let of = |(image, objects): (ImageId, Vec<_>)| {
            let rows = objects.into_iter().map(
                |(id, annotation): (crate::domain::GroundTruthId, crate::domain::Annotation)| {
                    (
                        id.0,
                        annotation.class,
                        annotation.shape,
                        annotation.ignored,
                        annotation.source.as_str(),
                        None,
                        None,
                    )
                },
            );
            (image, rows.collect())
        };
        Ok(truth.map(of).collect())
    };
    write_objects(store, scope, format, out, description, true, objects)
}

/// Writes what the next round would use as background, with the predicted class and score of each. Images without any are omitted.
pub fn hard_negatives(
    store: &Store,
    scope: &ExportScope,
    source: HardNegativeSource,
    format: WriteFormat,
    out: impl Into<Output>,
) -> Result<ExportReport, WorkflowError> {
    let description = "Hard negatives of a Quarry project: regions that a detector classified as objects and that are not of that class.";
    let objects = || -> Result<Objects, WorkflowError> {
        let traces = store.traces()?;
        let mut negatives = store.mined_negatives(source)?;
        // By image, each one's highest score first.
        negatives.sort_by_key(|mined| mined.image);
        let mut found: Objects = HashMap::new();
        for (id, MinedNegative { candidate, image, round, negative, .. }) in (1..).zip(negatives) {
            let source = match negative.basis {
                Basis::Estimated => "estimated_hard_negative",
                Basis::Reviewed | Basis::Inherited => "hard_negative",
            };
            let history = traces.get(&candidate).map(|trace| History {
                round,
                origin: trace.origin.as_str(),
                fate: trace.fate.as_str(),
            });
            let shape = Shape::Rectangle(negative.bbox);
            let row = (id, negative.class, shape, false, source, Some(negative.score), history);
            found.entry(image).or_default().push(row);
        }
        Ok(found)
    };
    write_objects(store, scope, format, &out.into(), description, false, objects)
}

/// The class of regions that are neither objects nor background.
const IGNORED_CLASS: &str = "ignored";

/// Writes the regions that an annotator rejected: trained on neither as objects nor as background. Images without any are omitted.
pub fn ignored_regions(
    store: &Store,
    scope: &ExportScope,
    format: WriteFormat,
    out: impl Into<Output>,
) -> Result<ExportReport, WorkflowError> {
    let description =
        "Ignored regions of a Quarry project: rejected candidates, to be learnt neither as objects nor as background.";
    let objects = || -> Result<Objects, WorkflowError> {
        let mut id = 0;
        let mut found: Objects = HashMap::new();
        for (image, regions) in sorted(store.rejected_regions()?) {
            for bbox in regions {
                id += 1;
                // Everything in the file is ignored, so formats without a flag can represent it too; COCO and VOC have one.
                let flag =
                    matches!(format, WriteFormat::Coco | WriteFormat::Voc | WriteFormat::Cvat | WriteFormat::Csv);
                let row = (id, NO_CLASS, Shape::Rectangle(bbox), flag, "ignored_region", None, None);
                found.entry(image).or_default().push(row);
            }
        }
        Ok(found)
    };
    write_objects(store, scope, format, &out.into(), description, false, objects)
}

/// Placeholder for [`IGNORED_CLASS`], which is not a class of the project.
const NO_CLASS: ClassId = ClassId(0);

fn sorted<T>(by_image: HashMap<ImageId, Vec<T>>) -> Vec<(ImageId, Vec<T>)> {
    let mut all: Vec<(ImageId, Vec<T>)> = by_image.into_iter().collect();
    all.sort_by_key(|(image, _)| *image);
    all
}

/// Checks `out`, collects the objects, and writes the files.
fn write_objects(
    store: &Store,
    scope: &ExportScope,
    format: WriteFormat,
    out: &Output,
    description: &str,
    empty_images_too: bool,
    objects: impl FnOnce() -> Result<Objects, WorkflowError>,
) -> Result<ExportReport, WorkflowError> {
    let policy = OutputPolicy::new().datasets(store)?;
    let paths = if format == WriteFormat::Fddb {
        vec![out.path.clone(), sources_file(&out.path)]
    } else {
        vec![out.path.clone()]
    };
    if format.is_folder() {
        policy.check_folder(out, ["data.yaml"].into_iter().filter(|_| format == WriteFormat::Yolo))?;
    } else {
        paths.into_iter().try_for_each(|path| policy.check_file(&Output::new(path, out.replace)))?;
    }
    let export = export(store, scope, description, objects()?, empty_images_too)?;
    let written = write(format, &export).map_err(WorkflowError::Refused)?;
    let files = if format.is_folder() { put_folder(&policy, out, &written)? } else { put_files(out, &written)? };
    Ok(report(format, &export, &written, files))
}

/// Returns images in import order with their entries in `objects`.
fn export(
    store: &Store,
    scope: &ExportScope,
    description: &str,
    mut objects: Objects,
    empty_images_too: bool,
) -> Result<Export, WorkflowError> {
    let names = datasets(store, scope)?;
    let mut classes: Vec<ExportClass> =
        store.classes()?.into_iter().map(|class| ExportClass { id: class.id.0, name: class.name }).collect();
    if objects.values().flatten().any(|row| row.1 == NO_CLASS) {
        classes.push(ExportClass { id: NO_CLASS.0, name: IGNORED_CLASS.to_owned() });
    }
    let index: HashMap<i64, usize> = classes.iter().enumerate().map(|(k, class)| (class.id, k)).collect();
    let mut images = Vec::new();
    for image in images_of(store, scope, &names)? {
        let rows = objects.remove(&image.id).unwrap_or_default();
        if rows.is_empty() && !empty_images_too {
            continue;
        }
        let objects = rows.into_iter().filter_map(|(id, class, shape, ignored, source, score, history)| {
            Some(ExportObject { id, class: *index.get(&class.0)?, shape, ignored, source, score, history })
        });
        images.push(ExportImage {
            id: image.id.0,
            dataset: names.get(&image.dataset).cloned().unwrap_or_default(),
            split: split_of(&image),
            objects: objects.collect(),
            name: image.name,
            path: image.path,
            width: image.width,
            height: image.height,
        });
    }
    Ok(Export { description: description.to_owned(), classes, images })
}

fn split_of(image: &ImageRecord) -> Option<String> {
    image.split.clone()
}

/// Returns the names of the exported datasets.
fn datasets(store: &Store, scope: &ExportScope) -> Result<HashMap<DatasetId, String>, WorkflowError> {
    let all = store.datasets()?;
    let Some(wanted) = &scope.dataset else { return Ok(all.into_iter().map(|d| (d.id, d.name)).collect()) };
    let found: HashMap<DatasetId, String> =
        all.iter().filter(|dataset| dataset.name == *wanted).map(|d| (d.id, d.name.clone())).collect();
    if found.is_empty() {
        let names: Vec<&str> = all.iter().map(|dataset| dataset.name.as_str()).collect();
        let text = format!("there is no dataset `{wanted}` in this project; it has {}.", names.join(", "));
        return Err(WorkflowError::Refused(text));
    }
    Ok(found)
}

/// Returns the images of the scope in import order.
pub(super) fn images_in(store: &Store, scope: &ExportScope) -> Result<Vec<ImageRecord>, WorkflowError> {
    images_of(store, scope, &datasets(store, scope)?)
}

fn images_of(
    store: &Store,
    scope: &ExportScope,
    datasets: &HashMap<DatasetId, String>,
) -> Result<Vec<ImageRecord>, WorkflowError> {
    let all: Vec<ImageRecord> =
        store.images()?.into_iter().filter(|image| datasets.contains_key(&image.dataset)).collect();
    let Some(wanted) = &scope.split else { return Ok(all) };
    let splits: std::collections::BTreeSet<String> = all.iter().filter_map(split_of).collect();
    if !splits.contains(wanted) {
        let splits: Vec<String> = splits.into_iter().collect();
        let text = format!("there is no split `{wanted}`; there are {}.", splits.join(", "));
        return Err(WorkflowError::Refused(text));
    }
    Ok(all.into_iter().filter(|image| split_of(image).as_ref() == Some(wanted)).collect())
}

/// The sources of `faces.txt` are in `faces.sources.csv`.
fn sources_file(out: &Path) -> PathBuf {
    out.with_extension("sources.csv")
}

/// Writes one file and its companions.
fn put_files(out: &Output, written: &Written) -> Result<Vec<PathBuf>, WorkflowError> {
    let folder = out.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let place = |suffix: &Path| if suffix.as_os_str().is_empty() { out.path.clone() } else { sources_file(&out.path) };
    let files: Vec<PathBuf> = written.files.iter().map(|(suffix, _)| place(suffix)).collect();
    let named: Vec<_> = files
        .iter()
        .zip(&written.files)
        .filter_map(|(path, (_, bytes))| Some((path.file_name()?.to_owned(), bytes.clone())))
        .collect();
    outputs::write_folder(&Output::new(folder, out.replace), &named)?;
    Ok(files)
}

/// Refuses a path of an image, as the database has it, that would lead out of the output's folder.
pub(super) fn check_below(path: &Path) -> Result<(), WorkflowError> {
    if stays_below(path) {
        return Ok(());
    }
    Err(WorkflowError::Refused(format!(
        "`{}` leaves the folder of the export; nothing was written. The database was not made by Quarry alone: import the dataset again.",
        printable_path(path)
    )))
}

/// Names and bytes of the files of one folder.
type NamedFiles = Vec<(std::ffi::OsString, Vec<u8>)>;

/// Writes a folder of files. Each of its subfolders is written atomically.
fn put_folder(policy: &OutputPolicy, out: &Output, written: &Written) -> Result<Vec<PathBuf>, WorkflowError> {
    let mut by_folder: Vec<(PathBuf, NamedFiles)> = Vec::new();
    let mut index: HashMap<PathBuf, usize> = HashMap::new();
    for (path, bytes) in &written.files {
        check_below(path)?;
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { continue };
        let k = *index.entry(folder.to_path_buf()).or_insert_with(|| {
            by_folder.push((folder.to_path_buf(), Vec::new()));
            by_folder.len() - 1
        });
        by_folder[k].1.push((name.to_owned(), bytes.clone()));
    }
    for (folder, files) in &by_folder {
        let into = Output::new(out.path.join(folder), out.replace);
        let names: Vec<String> = files.iter().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
        policy.check_folder(&into, names.iter().map(String::as_str))?;
    }
    for (folder, files) in by_folder {
        outputs::write_folder(&Output::new(out.path.join(folder), out.replace), &files)?;
    }
    Ok(vec![out.path.clone()])
}

fn report(format: WriteFormat, export: &Export, written: &Written, files: Vec<PathBuf>) -> ExportReport {
    let holds_ignored = !matches!(format, WriteFormat::Fddb | WriteFormat::Yolo);
    let kept = || export.images.iter().flat_map(|image| &image.objects).filter(move |o| holds_ignored || !o.ignored);
    let of = |source: AnnotationSource| kept().filter(|object| object.source == source.as_str()).count();
    let face = export.classes.iter().position(|class| class.name == "face");
    ExportReport {
        images: export.images.len(),
        objects: written.objects,
        faces: kept().filter(|object| Some(object.class) == face).count(),
        imported: of(AnnotationSource::Imported),
        promoted: of(AnnotationSource::Promoted),
        edited: of(AnnotationSource::Edited),
        added: of(AnnotationSource::Added),
        left_out: written.left_out,
        losses: written.losses.clone(),
        files,
    }
}

/// The output format of detections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetectionFormat {
    /// COCO's result list, with the image and category ids of a ground truth exported as COCO.
    Coco,
    /// FDDB's text: boxes of all classes.
    Fddb,
}

/// The result of [`detections`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportedDetections {
    pub images: usize,
    pub detections: usize,
    /// Detections that have an ellipse, of which the box was written.
    pub ellipses_left_out: usize,
}

/// Writes a round's detections: those on the training images, and of an imported round on all images. `ellipses`: write the ellipse of each
/// detection that has one, in COCO as a key of its own.
pub fn detections(
    store: &Store,
    scope: &ExportScope,
    round: u32,
    format: DetectionFormat,
    ellipses: bool,
    out: impl Into<Output>,
) -> Result<ExportedDetections, WorkflowError> {
    let out = &out.into();
    OutputPolicy::new().datasets(store)?.check_file(out)?;
    let found = store.round_by_number(round)?;
    let found =
        found.ok_or_else(|| WorkflowError::Refused(format!("there is no round {round}; see `quarry status`.")))?;
    if store.count_detections(found.id)? == 0 {
        let text = format!("round {round} has no detections yet. Run `quarry mine` first.");
        return Err(WorkflowError::Refused(text));
    }
    let mut images = images_in(store, scope)?;
    if found.is_own() {
        // Listed without detections, images that the round is tested on would count as missed: mining does not detect on them.
        let config = RoundConfig::from_stored(&found.config_toml, &format!("round {round}"))?;
        // A test dataset may have been deleted since: then none of its images is here.
        if let Ok(is_tested) = is_tested_on(&store.datasets()?, &config) {
            images.retain(|image| !is_tested(image));
        }
    }
    let of =
        |image: &ImageRecord| -> Result<Vec<Detection>, WorkflowError> { Ok(store.detections(found.id, image.id)?) };
    let all: Vec<Vec<Detection>> = images.iter().map(of).collect::<Result<_, _>>()?;
    let with_ellipse = all.iter().flatten().filter(|detection| detection.ellipse.is_some()).count();
    if ellipses && with_ellipse == 0 {
        let text = format!("no detection of round {round} has an ellipse. Export rectangles.");
        return Err(WorkflowError::Refused(text));
    }
    let text = match format {
        DetectionFormat::Coco => {
            coco_results(images.iter().zip(&all).map(|(image, found)| (image.id.0, found.as_slice())), ellipses)
        }
        DetectionFormat::Fddb => {
            let names: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
            outputs::check_list_names(names.iter().copied())?;
            fddb_detections(&names, &all, ellipses)
        }
    };
    outputs::write(out, text.as_bytes())?;
    Ok(ExportedDetections {
        images: images.len(),
        detections: all.iter().map(Vec::len).sum(),
        ellipses_left_out: if ellipses { 0 } else { with_ellipse },
    })
}

/// A crop for [`super::crops`].
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CropSource {
    pub image: ImageRecord,
    pub dataset: String,
    pub class: String,
    pub kind: &'static str,
    pub bbox: BoundingBox,
    pub score: f32,
}

/// Returns the hard negatives of the scope, by image.
pub(super) fn crop_sources(
    store: &Store,
    scope: &ExportScope,
    source: HardNegativeSource,
) -> Result<Vec<CropSource>, WorkflowError> {
    let names = datasets(store, scope)?;
    let classes: HashMap<ClassId, String> = store.classes()?.into_iter().map(|class| (class.id, class.name)).collect();
    let mut negatives = store.all_hard_negatives(source)?;
    let mut sources = Vec::new();
    for image in images_of(store, scope, &names)? {
        for negative in negatives.remove(&image.id).unwrap_or_default() {
            sources.push(CropSource {
                dataset: names.get(&image.dataset).cloned().unwrap_or_default(),
                class: classes.get(&negative.class).cloned().unwrap_or_default(),
                kind: negative.kind.as_str(),
                bbox: negative.bbox,
                score: negative.score,
                image: image.clone(),
            });
        }
    }
    Ok(sources)
}
