//! Joins lists, annotations and detections: in list order like the official program, or by name.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::{AnnotatedImage, DetectedImage, FddbTextError, ListedImage};
use crate::domain::{ImageNames, NameMatch};
use crate::evaluation::region::EvaluatedImage;

/// How detections are assigned to images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Block by block in list order; anything else is an error, as in the official program.
    #[default]
    List,
    /// By name; every image must appear once. Gives the same curves as a file sorted into list order.
    ByName,
}

/// Returns the images to evaluate in list order (annotation order without a list). `size` returns an image's width and height by name.
pub fn join(
    list: Option<&[ListedImage]>,
    annotations: &[AnnotatedImage],
    detections: &[DetectedImage],
    order: Order,
    size: impl Fn(&str) -> Option<(u32, u32)>,
) -> Result<Vec<EvaluatedImage>, FddbTextError> {
    refuse_twice(annotations.iter().map(|a| (a.name.as_str(), &a.place)))?;
    refuse_twice(detections.iter().map(|d| (d.name.as_str(), &d.place)))?;
    let named = by_annotated_name(annotations, detections)?;
    let detections = named.as_slice();
    let annotations = match list {
        Some(list) => listed(&names_of(list, annotations), annotations)?,
        None => annotations,
    };
    let in_order: Vec<&DetectedImage> = match order {
        Order::List => in_list_order(annotations, detections, list.is_some())?,
        Order::ByName => by_name(annotations, detections, list.is_some())?,
    };
    let images = annotations.iter().zip(in_order).map(|(annotated, detected)| {
        let (width, height) = size(&annotated.name).filter(|(w, h)| *w > 0 && *h > 0).ok_or_else(|| {
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

/// The detections of an image under its annotated name.
struct Named<'a> {
    name: &'a str,
    block: &'a DetectedImage,
}

/// Matches detections to images even if the name lacks an image extension or has an extra one. A name that matches several images is
/// refused, and so are two names for one image.
fn by_annotated_name<'a>(
    annotations: &'a [AnnotatedImage],
    detections: &'a [DetectedImage],
) -> Result<Vec<Named<'a>>, FddbTextError> {
    let known = ImageNames::new(annotations.iter().map(|a| a.name.as_str()));
    let mut seen: HashMap<&str, &DetectedImage> = HashMap::new();
    let mut named = Vec::with_capacity(detections.len());
    for block in detections {
        let name = match known.find(&block.name) {
            NameMatch::One(index) => known.name(index),
            NameMatch::None => block.name.as_str(),
            NameMatch::Several(several) => {
                let mut both = several.iter().filter_map(|&index| annotations.get(index));
                let (Some(a), Some(b)) = (both.next(), both.next()) else { continue };
                return Err(block.place.error(format!(
                    "`{}` fits the annotated images `{}` ({}) and `{}` ({}): give the name in full",
                    block.name, a.name, a.place, b.name, b.place
                )));
            }
        };
        if let Some(first) = seen.insert(name, block) {
            return Err(block.place.error(format!(
                "`{}` and `{}` ({}) are both the annotated image `{name}`: remove one of them",
                block.name, first.name, first.place
            )));
        }
        named.push(Named { name, block });
    }
    Ok(named)
}

/// Splits every list line that is not an annotated name but consists of several, as the official program reads it.
fn names_of(list: &[ListedImage], annotations: &[AnnotatedImage]) -> Vec<ListedImage> {
    let known: HashSet<&str> = annotations.iter().map(|a| a.name.as_str()).collect();
    let apart = |line: &ListedImage| {
        let words: Vec<&str> = line.name.split_ascii_whitespace().collect();
        let is_whole = known.contains(line.name.as_str()) || !words.iter().all(|word| known.contains(word));
        let names = if is_whole { vec![line.name.as_str()] } else { words };
        names
            .into_iter()
            .map(|name| ListedImage { name: name.to_owned(), place: line.place.clone() })
            .collect::<Vec<_>>()
    };
    list.iter().flat_map(apart).collect()
}

fn refuse_twice<'a>(names: impl Iterator<Item = (&'a str, &'a super::Place)>) -> Result<(), FddbTextError> {
    let mut seen: HashMap<&str, &super::Place> = HashMap::new();
    for (name, place) in names {
        if let Some(first) = seen.insert(name, place) {
            return Err(place.error(format!("image `{name}` is listed twice; first in {first}")));
        }
    }
    Ok(())
}

/// Returns the annotations that the list names. The list must have the same order and may end early.
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
    Ok(annotations.get(..list.len()).unwrap_or(annotations))
}

fn in_list_order<'a>(
    annotations: &[AnnotatedImage],
    detections: &[Named<'a>],
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
                "no annotation mentions this image"
            };
            return Err(detected.block.place.error(format!(
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
        return Err(extra.block.place.error(message));
    }
    Ok(detections.iter().take(annotations.len()).map(|d| d.block).collect())
}

/// Reports the first image without detections, the number of such images, and annotation files whose images all have none: usually a fold's
/// detection file was forgotten.
fn refuse_missing(annotations: &[AnnotatedImage], detections: &[Named<'_>]) -> Result<(), FddbTextError> {
    let detected: HashSet<&str> = detections.iter().map(|d| d.name).collect();
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
    detections: &[Named<'a>],
    may_go_on: bool,
) -> Result<Vec<&'a DetectedImage>, FddbTextError> {
    let by_name: HashMap<&str, &DetectedImage> = detections.iter().map(|d| (d.name, d.block)).collect();
    refuse_missing(annotations, detections)?;
    let known: HashSet<&str> = annotations.iter().map(|a| a.name.as_str()).collect();
    if let Some(extra) = detections.iter().find(|d| !may_go_on && !known.contains(d.name)) {
        return Err(extra
            .block
            .place
            .error(format!("detections for image `{}`, which no annotation mentions", extra.name)));
    }
    // `refuse_missing` checked that all exist.
    Ok(annotations.iter().filter_map(|a| by_name.get(a.name.as_str()).copied()).collect())
}

/// Refuses a face and a detection that both have no pixel inside their image: the official program divides 0 by 0 and never terminates.
fn refuse_endless(
    annotations: &[AnnotatedImage],
    detections: &[Named<'_>],
    images: &[EvaluatedImage],
) -> Result<(), FddbTextError> {
    for (image, annotated) in images.iter().zip(annotations) {
        let Some((face, detection)) = crate::evaluation::pair_without_pixels(image) else { continue };
        let detected = detections.iter().find(|d| d.name == image.name);
        let place = detected.map_or_else(|| annotated.place.clone(), |d| d.block.place_of(detection));
        return Err(place.error(format!(
            "this detection and the face in {} both lie entirely outside image `{}` ({} x {}): their overlap is 0/0, on which \
             the official program never ends; remove the detection",
            annotated.place_of(face), image.name, image.width, image.height
        )));
    }
    Ok(())
}
