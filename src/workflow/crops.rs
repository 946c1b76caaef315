//! Exports hard negatives as PNG crops, with a table of their origins.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use image::{ImageFormat, RgbImage};
use serde::Serialize;

use super::export::{CropSource, ExportScope, crop_sources};
use super::image_files::files_of;
use super::outputs::{self, OutputPolicy};
use super::{Observer, WorkEvent, WorkflowError};
use crate::dataset::decode_rgb_checked;
use crate::domain::{Cancel, HardNegativeSource, ImageId, Output, Progress, csv_text, shown_path};
use crate::geometry::BoundingBox;
use crate::store::Store;

/// The table's file name.
pub const MANIFEST: &str = "manifest.csv";

const HEADER: &str = "file,dataset,image,path,x1,y1,x2,y2,class,kind,score";

/// The result of the export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CropReport {
    pub crops: usize,
    /// Image and reason: missing, unreadable or changed since the import.
    pub left_out: Vec<(String, String)>,
    #[serde(serialize_with = "shown_path")]
    pub folder: PathBuf,
}

/// Writes every hard negative of the scope to the folder `out` as `000001.png`, `000002.png` ..., and [`MANIFEST`] last: without it, the
/// folder is incomplete. A missing image is left out and reported; without a whole dataset the export stops.
pub fn crops(
    store: &Store,
    scope: &ExportScope,
    source: HardNegativeSource,
    out: impl Into<Output>,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<CropReport, WorkflowError> {
    let out = &out.into();
    let policy = OutputPolicy::new().datasets(store)?;
    policy.check_folder(out, [MANIFEST])?;
    let sources = crop_sources(store, scope, source)?;
    let (_, datasets) = files_of(store, sources.iter().map(|source| source.image.id))?;
    datasets.check()?;
    let names: Vec<String> = (1..=sources.len()).map(|k| format!("{k:06}.png")).collect();
    policy.check_folder(out, names.iter().map(String::as_str))?;
    let mut report = CropReport { crops: 0, left_out: Vec::new(), folder: out.path.clone() };
    let mut manifest = format!("{HEADER}\n");
    let mut open: Option<(ImageId, Result<RgbImage, String>)> = None;
    for (k, (source, name)) in sources.iter().zip(&names).enumerate() {
        if cancel.is_cancelled() {
            return Err(WorkflowError::Cancelled);
        }
        if open.as_ref().is_none_or(|(id, _)| *id != source.image.id) {
            let file = store.image_file(source.image.id)?;
            let decoded = decoded(&file, source);
            if let Err(why) = &decoded {
                datasets.check_around(&file)?;
                report.left_out.push((source.image.name.clone(), why.clone()));
            }
            open = Some((source.image.id, decoded));
        }
        let Some((_, Ok(image))) = &open else { continue };
        outputs::write_folder(out, &[(name, png(image, &source.bbox)?)])?;
        manifest.push_str(&row(name, source));
        report.crops += 1;
        let (done, total) = (k as u64 + 1, sources.len() as u64);
        observer(WorkEvent::Progress(Progress { what: "Cropping hard negatives".into(), done, total }));
    }
    outputs::write_folder(out, &[(MANIFEST, manifest.into_bytes())])?;
    Ok(report)
}

fn decoded(file: &Path, source: &CropSource) -> Result<RgbImage, String> {
    match decode_rgb_checked(file, &source.image.content_hash) {
        Ok((image, false)) => Ok(image),
        Ok((_, true)) => Err("its file has changed since the import: import the dataset again".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Encodes the pixels that the box touches, at least one.
fn png(image: &RgbImage, bbox: &BoundingBox) -> Result<Vec<u8>, WorkflowError> {
    let inside = bbox.clipped(f64::from(image.width()), f64::from(image.height()));
    let (x, y) =
        ((inside.x1.floor() as u32).min(image.width() - 1), (inside.y1.floor() as u32).min(image.height() - 1));
    let width = (inside.x2.ceil() as u32).saturating_sub(x).max(1);
    let height = (inside.y2.ceil() as u32).saturating_sub(y).max(1);
    let crop = image::imageops::crop_imm(image, x, y, width, height).to_image();
    let mut bytes = Cursor::new(Vec::new());
    let encoded = crop.write_to(&mut bytes, ImageFormat::Png);
    encoded.map_err(|error| WorkflowError::Refused(format!("a crop cannot be written as PNG: {error}")))?;
    Ok(bytes.into_inner())
}

fn row(file: &str, source: &CropSource) -> String {
    let CropSource { image, dataset, class, kind, bbox: b, score } = source;
    let (dataset, name) = (csv_text(dataset), csv_text(&image.name));
    let (path, class) = (csv_text(&image.path), csv_text(class));
    format!("{file},{dataset},{name},{path},{},{},{},{},{class},{kind},{score}\n", b.x1, b.y1, b.x2, b.y2)
}
