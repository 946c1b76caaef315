//! Groups of candidates that look alike: reads the crops once, keeps what they look like, groups. Must not know who asks.

use std::collections::HashMap;
use std::fmt;

use rayon::prelude::*;
use serde::Serialize;

use super::{Observer, WorkEvent, WorkflowError};
use crate::dataset::decode_rgb;
use crate::domain::{Cancel, CandidateId, ImageId, Look, Progress};
use crate::geometry::BoundingBox;
use crate::mining::{GroupConfig, Groupable, group_alike, look_of};
use crate::store::Store;

/// The setting that holds the distance which was asked for last.
const DISTANCE: &str = "group_distance";
/// Photographs whose looks are kept with one transaction.
const IMAGES_AT_ONCE: usize = 64;
const WHAT: &str = "Looking at the crops";

/// What grouping found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupReport {
    pub candidates: usize,
    /// Groups of two or more.
    pub groups: usize,
    /// Candidates in them.
    pub alike: usize,
    /// Candidates whose photograph could not be read: grouped by their region alone.
    pub unread: usize,
    pub distance: u32,
}

impl fmt::Display for GroupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { candidates, groups, alike, unread, distance } = self;
        write!(f, "{alike} of {candidates} candidates are alike, in {groups} groups (distance {distance})")?;
        if 0 < *unread { write!(f, "; the photographs of {unread} could not be read") } else { Ok(()) }
    }
}

/// The distance that the project's groups were made with, or the default.
pub fn distance(store: &Store) -> Result<u32, WorkflowError> {
    let kept = store.setting(DISTANCE)?.and_then(|text| text.parse().ok());
    Ok(kept.unwrap_or(GroupConfig::default().most_distance))
}

/// Groups all candidates of all rounds anew. Crops that were looked at before are not read again, so that another distance (kept
/// for the next time) costs little. Verdicts do not change.
pub fn group(
    store: &mut Store,
    most_distance: Option<u32>,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<GroupReport, WorkflowError> {
    look_at_new_crops(store, observer, cancel)?;
    let most_distance = match most_distance {
        Some(asked) => asked.min(GroupConfig::DISTANCE_MAX),
        None => distance(store)?,
    };
    let candidates = store.candidate_looks()?;
    let items: Vec<Groupable> =
        candidates.iter().map(|c| Groupable { image: c.image, bbox: c.bbox, look: c.look }).collect();
    let config = GroupConfig { most_distance, ..GroupConfig::default() };
    let groups: Vec<Vec<CandidateId>> = group_alike(&items, &config)
        .into_iter()
        .filter(|members| 1 < members.len())
        .map(|members| members.into_iter().map(|at| candidates[at].id).collect())
        .collect();
    store.set_groups(&groups)?;
    store.set_setting(DISTANCE, &most_distance.to_string())?;
    Ok(GroupReport {
        candidates: candidates.len(),
        groups: groups.len(),
        alike: groups.iter().map(Vec::len).sum(),
        unread: items.iter().filter(|item| item.look.is_none()).count(),
        distance: most_distance,
    })
}

fn look_at_new_crops(store: &mut Store, observer: &mut Observer, cancel: &Cancel) -> Result<(), WorkflowError> {
    let mut of_image: HashMap<ImageId, Vec<(CandidateId, BoundingBox)>> = HashMap::new();
    for candidate in store.candidates_without_look()? {
        of_image.entry(candidate.image).or_default().push((candidate.id, candidate.bbox));
    }
    let mut images: Vec<_> = of_image.into_iter().collect();
    images.sort_by_key(|(image, _)| *image);
    let total = images.len() as u64;
    for (part, images) in images.chunks(IMAGES_AT_ONCE).enumerate() {
        if cancel.is_cancelled() {
            return Err(WorkflowError::Cancelled);
        }
        let done = (part * IMAGES_AT_ONCE) as u64;
        observer(WorkEvent::Progress(Progress { what: WHAT.to_owned(), done, total }));
        let mut files = Vec::with_capacity(images.len());
        for (image, crops) in images {
            files.push((store.image_file(*image)?, crops));
        }
        let looked: Vec<Result<Vec<(CandidateId, Look)>, String>> = files
            .par_iter()
            .map(|(file, crops)| {
                let picture = decode_rgb(file).map_err(|e| e.to_string())?;
                Ok(crops.iter().map(|(id, bbox)| (*id, look_of(&picture, bbox))).collect())
            })
            .collect();
        let mut looks = Vec::new();
        for of_image in looked {
            match of_image {
                Ok(of_image) => looks.extend(of_image),
                Err(reason) => observer(WorkEvent::Log(format!("Grouped by region alone: {reason}"))),
            }
        }
        store.put_looks(&looks)?;
    }
    Ok(())
}
