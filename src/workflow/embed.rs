//! Computes bundled-backbone features of imported detections' crops, to group detections of models whose own features are unknown.

use std::collections::HashMap;
use std::path::PathBuf;

use image::{RgbImage, imageops};

use super::backbone;
use super::device::with_backbone;
use super::group::{GroupReport, by_content, group};
use super::image_files::files_of;
use super::retry::with_retries;
use super::{Observer, Project, WorkEvent, WorkflowError};
use crate::dataset::decode_rgb;
use crate::detector::{Architecture, Detector, DetectorConfig};
use crate::domain::{Cancel, CandidateId, ImageId, Progress};
use crate::geometry::BoundingBox;
use crate::store::Store;
use crate::training::RoundConfig;

/// Number of images whose embeddings are stored per transaction: at most this many are lost when the work is stopped.
const IMAGES_AT_ONCE: usize = 16;
/// Margin around a box, as a fraction of its sides.
const MARGIN: f64 = 0.1;
const WHAT: &str = "Computing features of the crops";

/// Computes missing embeddings of imported candidates, and groups by them unless the user turned that off. What was computed before a stop
/// is kept; `None` if there was nothing to do.
pub fn embed_and_group(
    project: &Project,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<Option<GroupReport>, WorkflowError> {
    let mut store = project.open_store_now()?;
    let Some(config) = by_content(&store)? else { return Ok(None) };
    // Embeddings computed before a stop may wait for grouping.
    if embed(&mut store, observer, cancel)? == 0 && !store.has_ungrouped_embeddings()? {
        return Ok(None);
    }
    // Embeddings need no lock, so that they do not block training; groups do.
    let _lock = match project.lock("grouping") {
        Ok(lock) => lock,
        Err(error) => {
            observer(WorkEvent::Log(format!("The crops' features are stored; the next grouping uses them: {error}")));
            return Ok(None);
        }
    };
    group(&mut store, &config, observer, cancel).map(Some)
}

/// Computes missing embeddings of imported candidates image by image; what was computed before a stop is kept. Returns their number.
/// Without the backbone's file there are none, and the log says so.
pub fn embed(store: &mut Store, observer: &mut Observer, cancel: &Cancel) -> Result<usize, WorkflowError> {
    let missing = store.candidates_without_embedding()?;
    if missing.is_empty() {
        return Ok(0);
    }
    let mut of_image: HashMap<ImageId, Vec<(CandidateId, BoundingBox)>> = HashMap::new();
    for (candidate, image, bbox) in missing {
        of_image.entry(image).or_default().push((candidate, bbox));
    }
    let mut images: Vec<_> = of_image.into_iter().collect();
    images.sort_by_key(|(image, _)| *image);
    let Some(network) = load(observer)? else { return Ok(0) };
    let (_, sources) = files_of(store, images.iter().map(|(image, _)| *image))?;
    if let Err(away) = sources.check() {
        // Grouping by what is known does without them.
        observer(WorkEvent::Log(format!("The features of these crops are not computed: {away}")));
        return Ok(0);
    }
    let total = images.len() as u64;
    let mut computed = 0;
    for (part, images) in images.chunks(IMAGES_AT_ONCE).enumerate() {
        if cancel.is_cancelled() {
            return Err(WorkflowError::Cancelled);
        }
        let done = (part * IMAGES_AT_ONCE) as u64;
        observer(WorkEvent::Progress(Progress { what: WHAT.to_owned(), done, total }));
        let mut found = Vec::new();
        for (image, crops) in images {
            // An unreadable image was reported when its crops' hashes were computed.
            let Ok(picture) = decode_rgb(&store.image_file(*image)?) else { continue };
            let cut: Vec<RgbImage> = crops.iter().map(|(_, bbox)| crop(&picture, bbox)).collect();
            let embeddings = network.embed(&cut)?;
            found.extend(crops.iter().zip(embeddings).filter_map(|((id, _), embedding)| Some((*id, embedding?))));
        }
        computed += found.len();
        with_retries(cancel, |text| observer(WorkEvent::Log(text)), || store.put_embeddings(&found))?;
    }
    Ok(computed)
}

/// Loads the backbone as the first stages of a detector whose other weights are never used.
fn load(observer: &mut Observer) -> Result<Option<Detector>, WorkflowError> {
    let mut config = RoundConfig::preset("sample")?;
    config.detector = DetectorConfig::of(Architecture::ResNet50HalfC4);
    let Some(file): Option<PathBuf> = backbone::find(&config, observer)? else { return Ok(None) };
    with_backbone(&config.detector, &file, &config.device).map(Some)
}

fn crop(picture: &RgbImage, bbox: &BoundingBox) -> RgbImage {
    let (width, height) = (f64::from(picture.width()), f64::from(picture.height()));
    let (dx, dy) = (bbox.width() * MARGIN, bbox.height() * MARGIN);
    let around: BoundingBox = BoundingBox::new(bbox.x1 - dx, bbox.y1 - dy, bbox.x2 + dx, bbox.y2 + dy);
    let part = around.clipped(width, height);
    let (x, y) = (part.x1.floor().min(width - 1.0) as u32, part.y1.floor().min(height - 1.0) as u32);
    let (w, h) = ((part.x2.ceil() as u32).max(x + 1) - x, (part.y2.ceil() as u32).max(y + 1) - y);
    let cut = imageops::crop_imm(picture, x, y, w, h).to_image();
    let side = Detector::EMBEDDED_SIDE;
    imageops::resize(&cut, side, side, imageops::FilterType::Triangle)
}
