//! The project's ground truth as a file for other programs, each face with its source: imported, promoted from a candidate, or edited.
//! Must not know who asks, nor change anything.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::WorkflowError;
use super::outputs::{self, OutputPolicy};
use crate::domain::{
    Annotation, AnnotationSource, Class, DatasetId, GroundTruthId, ImageId, ImageRecord, Output, Shape, csv_text,
    distinct_names, shown_paths,
};
use crate::geometry::Ellipse;
use crate::store::Store;

/// What the file looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TruthFormat {
    /// An ellipse list, all images in one file. It has no room for sources: they stand in a table beside it, `NAME.sources.csv`.
    Fddb,
    /// COCO's instances, boxes only; `source` and `ellipse` are keys of Quarry's own on each annotation.
    Coco,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TruthReport {
    pub images: usize,
    /// Faces in the file.
    pub faces: usize,
    pub imported: usize,
    pub promoted: usize,
    pub edited: usize,
    /// Ignored regions that the format has no room for.
    pub left_out: usize,
    #[serde(serialize_with = "shown_paths")]
    pub files: Vec<PathBuf>,
}

/// An image with its faces, in the order in which they came.
type Annotated = (ImageRecord, Vec<(GroundTruthId, Annotation)>);

/// Writes the ground truth of all images, in the order of import, to `out`: whole, or after an error not at all.
pub fn ground_truth(store: &Store, format: TruthFormat, out: impl Into<Output>) -> Result<TruthReport, WorkflowError> {
    let Output { path: ref out, replace } = out.into();
    let policy = OutputPolicy::new().datasets(store)?;
    let written = if format == TruthFormat::Fddb { vec![out.clone(), sources_beside(out)] } else { vec![out.clone()] };
    written.into_iter().try_for_each(|path| policy.check_file(&Output::new(path, replace)))?;
    let images = annotated(store)?;
    let text = |value: &Value| value.to_string().into_bytes();
    let (contents, left_out) = match format {
        TruthFormat::Coco => (vec![(out.clone(), text(&coco(store, &images)?))], 0),
        TruthFormat::Fddb => {
            refuse_repeated_names(&images)?;
            let names = distinct_names(images.iter().map(|(image, _)| image.name.as_str()));
            outputs::check_list_names(names.iter().map(String::as_str))?;
            let (list, sources) = fddb(&images, &names);
            let ignored = faces(&images).filter(|face| face.ignored).count();
            (vec![(out.clone(), list.into_bytes()), (sources_beside(out), sources.into_bytes())], ignored)
        }
    };
    let files = contents.iter().map(|(path, _)| path.clone()).collect();
    write(contents, replace)?;
    let kept = |face: &&Annotation| format == TruthFormat::Coco || !face.ignored;
    let of = |source| faces(&images).filter(kept).filter(|face| face.source == source).count();
    Ok(TruthReport {
        images: images.len(),
        faces: faces(&images).filter(kept).count(),
        imported: of(AnnotationSource::Imported),
        promoted: of(AnnotationSource::Promoted),
        edited: of(AnnotationSource::Edited),
        left_out,
        files,
    })
}

fn annotated(store: &Store) -> Result<Vec<Annotated>, WorkflowError> {
    let mut faces: HashMap<ImageId, Vec<(GroundTruthId, Annotation)>> = store.ground_truth_by_image()?;
    let of = |image: ImageRecord| {
        let faces = faces.remove(&image.id).unwrap_or_default();
        (image, faces)
    };
    Ok(store.images()?.into_iter().map(of).collect())
}

fn faces(images: &[Annotated]) -> impl Iterator<Item = &Annotation> {
    images.iter().flat_map(|(_, faces)| faces.iter().map(|(_, face)| face))
}

/// `faces.txt` has its sources in `faces.sources.csv`.
fn sources_beside(out: &Path) -> PathBuf {
    out.with_extension("sources.csv")
}

/// The files lie in one folder.
fn write(contents: Vec<(PathBuf, Vec<u8>)>, replace: bool) -> Result<(), WorkflowError> {
    let folder = contents.first().and_then(|(path, _)| path.parent()).filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).to_path_buf();
    let named: Vec<(OsString, Vec<u8>)> =
        contents.into_iter().filter_map(|(path, bytes)| Some((path.file_name()?.to_owned(), bytes))).collect();
    outputs::write_folder(&Output::new(folder, replace), &named).map_err(Into::into)
}

/// FDDB knows images by name alone.
fn refuse_repeated_names(images: &[Annotated]) -> Result<(), WorkflowError> {
    let mut seen = HashSet::new();
    match images.iter().find(|(image, _)| !seen.insert(image.name.as_str())) {
        None => Ok(()),
        Some((image, _)) => Err(WorkflowError::Refused(format!(
            "image `{}` is in two datasets of the project, and FDDB's format knows images by name alone. Export as coco.",
            image.name
        ))),
    }
}

/// The ellipse list and the table of sources. Names stand without extension, as FDDB's do: readers of the list put one on. A rectangle becomes the ellipse that it holds, which the table says. Numbers have all
/// their digits.
fn fddb(images: &[Annotated], names: &[String]) -> (String, String) {
    let mut list = String::new();
    let mut sources = String::from("image,face,source,shape\n");
    for ((_, all), name) in images.iter().zip(names) {
        let faces: Vec<&Annotation> = all.iter().map(|(_, face)| face).filter(|face| !face.ignored).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(list, "{name}\n{}", faces.len());
        for (k, face) in faces.into_iter().enumerate() {
            let (e, shape) = match face.shape {
                Shape::Ellipse(e) => (e, "ellipse"),
                Shape::Rectangle(b) => (Ellipse::inscribed(&b), "rectangle"),
            };
            let _ = writeln!(list, "{} {} {} {} {}  1", e.ra, e.rb, e.theta, e.cx, e.cy);
            let _ = writeln!(sources, "{},{},{},{shape}", csv_text(name), k + 1, face.source.as_str());
        }
    }
    (list, sources)
}

fn category(class: &Class) -> Value {
    match class.name.as_str() {
        "face" => json!({ "id": class.id.0, "name": "face", "supercategory": "person" }),
        name => json!({ "id": class.id.0, "name": name }),
    }
}

fn coco(store: &Store, images: &[Annotated]) -> Result<Value, WorkflowError> {
    let names: HashMap<DatasetId, String> = store.datasets()?.into_iter().map(|d| (d.id, d.name)).collect();
    let of_images = images.iter().map(|(image, _)| {
        json!({
            "id": image.id.0, "file_name": image.path, "width": image.width, "height": image.height,
            "name": image.name, "dataset": names.get(&image.dataset),
        })
    });
    let of_faces = images.iter().flat_map(|(image, faces)| {
        faces.iter().map(|(id, face)| {
            let b = face.shape.bounding_box();
            let ellipse = face.shape.ellipse().map(|e| [e.ra, e.rb, e.theta, e.cx, e.cy]);
            json!({
                "id": id.0, "image_id": image.id.0, "category_id": face.class.0, "bbox": [b.x1, b.y1, b.width(), b.height()],
                "area": ellipse.map_or(b.area(), |[ra, rb, ..]| std::f64::consts::PI * ra * rb),
                "iscrowd": u8::from(face.ignored), "source": face.source, "ellipse": ellipse,
            })
        })
    });
    Ok(json!({
        "info": { "description": "Ground truth of a Quarry project. `source` of an annotation: imported from the dataset, promoted \
                                  from a candidate by a reviewer, or edited. `ellipse`: ra, rb, theta, cx, cy, as FDDB has them." },
        "images": of_images.collect::<Vec<_>>(),
        "annotations": of_faces.collect::<Vec<_>>(),
        "categories": store.classes()?.iter().map(category).collect::<Vec<_>>(),
    }))
}
