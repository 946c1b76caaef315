//! The image files of the export: links and copies of the datasets' own, crops, and copies with ignored regions painted over. The export is
//! made in a temporary folder, which is renamed when complete.

use std::fs;
use std::io::{self, Cursor};
use std::path::{Path, PathBuf};

use image::{ImageFormat, Rgb, RgbImage};
use rayon::prelude::*;

use super::plan::{Item, Plan};
use super::{Excluded, ImagesAs, TrainingExport, TrainingFormat};
use crate::dataset::{decode_rgb_bytes, read_image_file};
use crate::domain::{Cancel, Progress, Sources, UnfinishedFolder, unfinished_folder, unfinished_link};
use crate::geometry::BoundingBox;
use crate::workflow::{Observer, WorkEvent, WorkflowError};

/// Number of images between two checks for cancellation.
const BATCH: usize = 64;
/// The fill colour: the grey that ultralytics pads images with.
const GREY: Rgb<u8> = Rgb([114, 114, 114]);
/// Extensions that ultralytics and most other programs read.
const COMMON: [&str; 7] = ["jpg", "jpeg", "png", "bmp", "tif", "tiff", "webp"];
const ADVICE: &str = "Check that the folder is writable.";

/// An image of the export that is there.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub item: Item,
    /// Relative to the folder, with `/`.
    pub file: String,
    /// Number of ignored regions painted over.
    pub painted: usize,
}

pub(super) struct Materialised {
    pub items: Vec<Made>,
    pub excluded: Vec<Excluded>,
}

/// Refuses a folder that is not empty.
pub(super) fn check_new(out: &Path) -> Result<(), WorkflowError> {
    let mut entries = match fs::read_dir(out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(WorkflowError::io(out, ADVICE)(error)),
    };
    if entries.next().is_some() {
        let text = format!("{}: the folder is not empty. Choose a new one.", out.display());
        return Err(WorkflowError::Refused(text));
    }
    Ok(())
}

/// Creates a folder next to `out`, which is removed on drop.
pub(super) fn folder_beside(out: &Path) -> Result<UnfinishedFolder, WorkflowError> {
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(WorkflowError::io(parent, ADVICE))?;
    unfinished_folder(parent).map_err(WorkflowError::io(parent, ADVICE))
}

/// Renames the finished folder to the requested name.
pub(super) fn place(unfinished: UnfinishedFolder, out: &Path) -> Result<(), WorkflowError> {
    // An empty folder with that name may exist; anything created in it meanwhile stays, and the rename fails.
    let _ = fs::remove_dir(out);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        // Temporary folders are private.
        let rights = fs::Permissions::from_mode(0o755);
        fs::set_permissions(unfinished.path(), rights).map_err(WorkflowError::io(out, ADVICE))?;
    }
    unfinished.place(out).map_err(WorkflowError::io(out, ADVICE))
}

/// Writes `folder/name` and creates missing folders.
pub(super) fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), WorkflowError> {
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(WorkflowError::io(parent, ADVICE))?;
    }
    fs::write(&path, bytes).map_err(WorkflowError::io(&path, ADVICE))
}

/// Creates the file of every item below `folder/images`. An image that cannot be read, or differs from the imported file, is skipped and
/// reported; without a whole dataset the export stops.
pub(super) fn materialise(
    settings: &TrainingExport,
    plan: &Plan,
    folder: &Path,
    files: &(Vec<PathBuf>, Sources),
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<Materialised, WorkflowError> {
    let (files, sources) = files;
    for part in super::Part::ALL {
        let images = folder.join("images").join(part.word());
        fs::create_dir_all(&images).map_err(WorkflowError::io(&images, ADVICE))?;
    }
    let mut made = Materialised { items: Vec::new(), excluded: Vec::new() };
    let pairs: Vec<(&Item, &PathBuf)> = plan.items.iter().zip(files).collect();
    for (k, batch) in pairs.chunks(BATCH).enumerate() {
        if cancel.is_cancelled() {
            return Err(WorkflowError::Cancelled);
        }
        let results: Vec<Result<Made, Failed>> =
            batch.par_iter().map(|(item, source)| make(settings, item, source, folder)).collect();
        for ((item, file), result) in batch.iter().zip(results) {
            match result {
                Ok(done) => made.items.push(done),
                Err(Failed::Image(reason)) => {
                    sources.check_around(file)?;
                    made.excluded.push(Excluded {
                        dataset: plan.datasets.get(&item.image.dataset).cloned().unwrap_or_default(),
                        image: item.image.name.clone(),
                        reason,
                    });
                }
                Err(Failed::Output(error)) => return Err(*error),
            }
        }
        let (done, total) = ((k * BATCH + batch.len()) as u64, pairs.len() as u64);
        observer(WorkEvent::Progress(Progress { what: "Exporting images".into(), done, total }));
    }
    Ok(made)
}

/// An image that cannot be exported, or a folder that cannot be written to.
enum Failed {
    Image(String),
    Output(Box<WorkflowError>),
}

fn make(settings: &TrainingExport, item: &Item, source: &Path, folder: &Path) -> Result<Made, Failed> {
    let bytes = read_image_file(source).map_err(|error| Failed::Image(error.to_string()))?;
    if blake3::hash(&bytes).to_hex().as_str() != item.image.content_hash {
        return Err(Failed::Image("its file has changed since the import: import the dataset again".to_owned()));
    }
    let paints = settings.format == TrainingFormat::Yolo && !item.ignored.is_empty();
    let extension = source.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let is_own = item.crop.is_none() && !paints && COMMON.contains(&extension.as_str());
    let file = file_name(item, if is_own { &extension } else { "png" });
    let target = folder.join(&file);
    let failed = |error: io::Error| Failed::Output(Box::new(WorkflowError::io(&target, ADVICE)(error)));
    if is_own {
        match settings.images {
            ImagesAs::Link => link(source, &target).map_err(failed)?,
            ImagesAs::Copy => fs::write(&target, &bytes).map_err(failed)?,
        }
        return Ok(Made { item: item.clone(), file, painted: 0 });
    }
    let mut pixels = decode_rgb_bytes(&bytes, source).map_err(|error| Failed::Image(error.to_string()))?;
    let mut painted = 0;
    if paints {
        let objects: Vec<BoundingBox> = item.objects.iter().map(|object| object.shape.bounding_box()).collect();
        painted = item.ignored.iter().filter(|(_, region)| paint_out(&mut pixels, region, &objects)).count();
    }
    if let Some(region) = &item.crop {
        let (x, y) = (region.x1 as u32, region.y1 as u32);
        pixels = image::imageops::crop_imm(&pixels, x, y, region.width() as u32, region.height() as u32).to_image();
    }
    let mut png = Cursor::new(Vec::new());
    let encoded = pixels.write_to(&mut png, ImageFormat::Png);
    encoded.map_err(|error| Failed::Image(format!("it cannot be written as PNG: {error}")))?;
    fs::write(&target, png.into_inner()).map_err(failed)?;
    Ok(Made { item: item.clone(), file, painted })
}

/// [`link`]; with `replace` an existing file or link gives way, in one step.
pub(in crate::workflow) fn link_over(source: &Path, target: &Path, replace: bool) -> io::Result<()> {
    if !replace {
        return link(source, target);
    }
    let folder = target.parent().unwrap_or(Path::new("."));
    let made = unfinished_link(folder, |path| link(source, path))?;
    made.persist(target).map_err(|error| error.error)
}

#[cfg(unix)]
fn link(source: &Path, target: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(fs::canonicalize(source)?, target).map_err(|error| {
        io::Error::new(error.kind(), format!("{error} (where links cannot be made, take --images copy)"))
    })
}

#[cfg(not(unix))]
fn link(source: &Path, target: &Path) -> io::Result<()> {
    fs::hard_link(source, target).map_err(|error| {
        io::Error::new(error.kind(), format!("{error} (where links cannot be made, take --images copy)"))
    })
}

/// Unique by the image's or the candidate's id; followed by the dataset's own name for readability.
fn file_name(item: &Item, extension: &str) -> String {
    let part = item.part.word();
    let stem =
        Path::new(&item.image.path).file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let plain: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || "-_".contains(c) { c } else { '_' }).take(80).collect();
    match item.negatives.first().filter(|_| item.is_crop()) {
        Some(mined) => format!("images/{part}/negative_{:07}_{plain}.{extension}", mined.candidate.0),
        None => format!("images/{part}/{:07}_{plain}.{extension}", item.image.id.0),
    }
}

/// Paints a region grey except for the pixels of objects; returns whether any pixel was painted.
fn paint_out(pixels: &mut RgbImage, region: &BoundingBox, objects: &[BoundingBox]) -> bool {
    let inside = region.clipped(f64::from(pixels.width()), f64::from(pixels.height()));
    let mut any = false;
    for y in inside.y1.floor() as u32..(inside.y2.ceil() as u32).min(pixels.height()) {
        for x in inside.x1.floor() as u32..(inside.x2.ceil() as u32).min(pixels.width()) {
            let (px, py) = (f64::from(x), f64::from(y));
            let is_object = objects.iter().any(|b| px + 1.0 > b.x1 && px < b.x2 && py + 1.0 > b.y1 && py < b.y2);
            if !is_object {
                pixels.put_pixel(x, y, GREY);
                any = true;
            }
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_painted_and_objects_in_it_are_not() {
        let mut pixels = RgbImage::from_pixel(20, 10, Rgb([1, 2, 3]));
        let object = BoundingBox::new(5.0, 0.0, 8.0, 10.0);
        assert!(paint_out(&mut pixels, &BoundingBox::new(2.5, 2.5, 12.0, 30.0), &[object]));
        let is_grey = |x, y| *pixels.get_pixel(x, y) == GREY;
        assert!(is_grey(2, 2) && is_grey(11, 9) && is_grey(4, 5) && is_grey(8, 5));
        assert!(!is_grey(1, 5) && !is_grey(5, 5) && !is_grey(7, 5) && !is_grey(12, 5) && !is_grey(2, 1));
        let covered = BoundingBox::new(5.0, 1.0, 7.0, 3.0);
        assert!(!paint_out(&mut pixels, &covered, &[object]), "nothing of it is left to paint");
    }
}
