//! Puts lists, annotations and detections together, in lock step as the official program does, or by name. Must not know scores.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::{AnnotatedImage, DetectedImage, FddbTextError, ListedImage};
use crate::evaluation::region::EvaluatedImage;

/// How detections find their image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Block by block in the list's order: anything else is an error, as in the official program.
    #[default]
    List,
    /// By name; every image must be there once. Gives the same curves as a file sorted into the list's order.
    ByName,
}

/// The images to evaluate, in the list's order (the annotations' where there is no list). `size` tells an image's width and
/// height by its name.
pub fn join(
    list: Option<&[ListedImage]>,
    annotations: &[AnnotatedImage],
    detections: &[DetectedImage],
    order: Order,
    size: impl Fn(&str) -> Option<(u32, u32)>,
) -> Result<Vec<EvaluatedImage>, FddbTextError> {
    refuse_twice(annotations.iter().map(|a| (a.name.as_str(), &a.place)))?;
    refuse_twice(detections.iter().map(|d| (d.name.as_str(), &d.place)))?;
    let annotations = match list {
        Some(list) => listed(list, annotations)?,
        None => annotations,
    };
    let in_order: Vec<&DetectedImage> = match order {
        Order::List => in_list_order(annotations, detections, list.is_some())?,
        Order::ByName => by_name(annotations, detections, list.is_some())?,
    };
    let images = annotations.iter().zip(in_order).map(|(annotated, detected)| {
        let (width, height) = size(&annotated.name).filter(|(w, h)| 0 < *w && 0 < *h).ok_or_else(|| {
            annotated.place.error(format!(
                "the size of image `{}` is not known: it is missing from the sizes, or its file cannot be read",
                annotated.name
            ))
        })?;
        Ok(EvaluatedImage {
            name: annotated.name.clone(),
            width,
            height,
            faces: annotated.regions.clone(),
            detections: detected.regions.clone(),
        })
    });
    let images: Vec<EvaluatedImage> = images.collect::<Result<_, FddbTextError>>()?;
    refuse_endless(annotations, detections, &images)?;
    Ok(images)
}

fn refuse_twice<'a>(names: impl Iterator<Item = (&'a str, &'a super::Place)>) -> Result<(), FddbTextError> {
    let mut seen: HashMap<&str, &super::Place> = HashMap::new();
    for (name, place) in names {
        if let Some(first) = seen.insert(name, place) {
            return Err(place.error(format!("image `{name}` stands twice; first in {first}")));
        }
    }
    Ok(())
}

/// The annotations that the list names: its order must be theirs, and it may stop early.
fn listed<'a>(list: &[ListedImage], annotations: &'a [AnnotatedImage]) -> Result<&'a [AnnotatedImage], FddbTextError> {
    for (k, listed) in list.iter().enumerate() {
        let Some(annotated) = annotations.get(k) else {
            return Err(listed.place.error(format!("the annotations end before image `{}`", listed.name)));
        };
        if annotated.name != listed.name {
            return Err(annotated.place.error(format!(
                "image `{}` where the list has `{}` ({}); annotations must follow the list",
                annotated.name, listed.name, listed.place
            )));
        }
    }
    Ok(&annotations[..list.len()])
}

fn in_list_order<'a>(
    annotations: &[AnnotatedImage],
    detections: &'a [DetectedImage],
    may_go_on: bool,
) -> Result<Vec<&'a DetectedImage>, FddbTextError> {
    for (annotated, detected) in annotations.iter().zip(detections) {
        if annotated.name != detected.name {
            let known = annotations.iter().any(|a| a.name == detected.name);
            if known {
                refuse_missing(annotations, detections)?;
            }
            let why = if known {
                "the order differs; sort the file, or take detections by name (`--order name`)"
            } else {
                "no annotation knows this image"
            };
            return Err(detected.place.error(format!(
                "detections for image `{}` where `{}` ({}) is expected: {why}",
                detected.name, annotated.name, annotated.place
            )));
        }
    }
    refuse_missing(annotations, detections)?;
    if let Some(extra) = detections.get(annotations.len())
        && !may_go_on
    {
        let message = format!("detections for image `{}`, after the last annotated image", extra.name);
        return Err(extra.place.error(message));
    }
    Ok(detections.iter().take(annotations.len()).collect())
}

/// Names the first image without detections, how many there are, and the annotation files none of whose images has any: most often
/// a fold's detection file was left out.
fn refuse_missing(annotations: &[AnnotatedImage], detections: &[DetectedImage]) -> Result<(), FddbTextError> {
    let detected: HashSet<&str> = detections.iter().map(|d| d.name.as_str()).collect();
    let is_missing = |a: &&AnnotatedImage| !detected.contains(a.name.as_str());
    let missing: Vec<&AnnotatedImage> = annotations.iter().filter(is_missing).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let mut files: Vec<&Path> = missing.iter().map(|a| &*a.place.path).collect();
    files.dedup();
    files.retain(|file| annotations.iter().filter(|a| *a.place.path == **file).all(|a| is_missing(&a)));
    let names: Vec<String> = files.iter().filter_map(|f| Some(f.file_name()?.to_string_lossy().into_owned())).collect();
    let whole = match names.as_slice() {
        [] => String::new(),
        names => {
            format!(", among them all of {}: that fold's detection file seems to be left out", names.join(" and "))
        }
    };
    Err(first.place.error(format!(
        "no detections for image `{}`: {} annotated image(s) are missing from the detection files{whole}; an image without \
         detections needs its name and a count of 0",
        first.name,
        missing.len()
    )))
}

fn by_name<'a>(
    annotations: &[AnnotatedImage],
    detections: &'a [DetectedImage],
    may_go_on: bool,
) -> Result<Vec<&'a DetectedImage>, FddbTextError> {
    let by_name: HashMap<&str, &DetectedImage> = detections.iter().map(|d| (d.name.as_str(), d)).collect();
    refuse_missing(annotations, detections)?;
    let known: HashSet<&str> = annotations.iter().map(|a| a.name.as_str()).collect();
    if let Some(extra) = detections.iter().find(|d| !may_go_on && !known.contains(d.name.as_str())) {
        return Err(extra.place.error(format!("detections for image `{}`, which no annotation knows", extra.name)));
    }
    Ok(annotations.iter().map(|a| by_name[a.name.as_str()]).collect())
}

/// A face and a detection that both have no pixel inside their image: the official program divides 0 by 0 and never ends.
fn refuse_endless(
    annotations: &[AnnotatedImage],
    detections: &[DetectedImage],
    images: &[EvaluatedImage],
) -> Result<(), FddbTextError> {
    for (image, annotated) in images.iter().zip(annotations) {
        let Some((face, detection)) = crate::evaluation::pair_without_pixels(image) else { continue };
        let detected = detections.iter().find(|d| d.name == image.name);
        let place = detected.map_or_else(|| annotated.place.clone(), |d| d.place_of(detection));
        return Err(place.error(format!(
            "this detection and the face in {} both lie wholly outside image `{}` ({} x {}): their overlap is 0/0, on which \
             the official program never ends; remove the detection",
            annotated.place_of(face), image.name, image.width, image.height
        )));
    }
    Ok(())
}
