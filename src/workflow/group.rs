//! Groups of candidates that look alike: reads the crops once, keeps what they look like, groups. Must not know who asks.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use rayon::prelude::*;
use serde::Serialize;

use super::patience::patiently;
use super::{Observer, WorkEvent, WorkflowError};
use crate::dataset::decode_rgb;
use crate::domain::{Cancel, CandidateId, ImageId, Look, Progress, Sources};
use crate::geometry::BoundingBox;
use crate::mining::{GroupConfig, Groupable, chain_of_alike, group_alike, look_of};
use crate::store::Store;

/// The settings that hold what was asked for last.
const DISTANCE: &str = "group_distance";
const COSINE: &str = "group_cosine";
/// Photographs whose looks are kept with one transaction.
const IMAGES_AT_ONCE: usize = 64;
const WHAT: &str = "Looking at the crops";

/// What grouping found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupReport {
    pub candidates: usize,
    /// Groups of two or more.
    pub groups: usize,
    /// Candidates in them.
    pub alike: usize,
    /// Candidates whose photograph could not be read: grouped by their region alone.
    pub unread: usize,
    pub distance: u32,
    /// `null` where features were not compared.
    pub cosine: Option<f32>,
    /// Candidates whose features are not known; counted only where features were compared.
    pub without_features: usize,
}

impl fmt::Display for GroupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { candidates, groups, alike, unread, distance, cosine, without_features } = self;
        write!(f, "{alike} of {candidates} candidates are alike, in {groups} groups (distance {distance}")?;
        match cosine {
            Some(cosine) => write!(f, ", cosine {cosine})")?,
            None => write!(f, ")")?,
        }
        if 0 < *unread {
            write!(f, "; the photographs of {unread} could not be read")?;
        }
        if 0 < *without_features {
            write!(f, "; the features of {without_features} are not known: mine their rounds again to compare them")?;
        }
        Ok(())
    }
}

/// What the project's groups were made with, or the default.
pub fn config(store: &Store) -> Result<GroupConfig, WorkflowError> {
    let default = GroupConfig::default();
    let most_distance = store.setting(DISTANCE)?.and_then(|text| text.parse().ok()).unwrap_or(default.most_distance);
    let least_cosine = store.setting(COSINE)?.and_then(|text| text.parse().ok());
    Ok(GroupConfig { most_distance, least_cosine, ..default })
}

/// Groups all candidates of all rounds anew. Crops that were looked at before are not read again, so that another distance or cosine
/// (kept for the next time) costs little. Verdicts do not change.
pub fn group(
    store: &mut Store,
    config: &GroupConfig,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<GroupReport, WorkflowError> {
    look_at_new_crops(store, observer, cancel)?;
    let most_distance = config.most_distance.min(GroupConfig::DISTANCE_MAX);
    let least_cosine = config.least_cosine.map(|cosine| cosine.clamp(GroupConfig::COSINE_MIN, 1.0));
    let config = GroupConfig { most_distance, least_cosine, ..*config };
    let candidates = store.candidate_looks()?;
    let features = if least_cosine.is_some() { store.candidate_features()? } else { HashMap::new() };
    let items: Vec<Groupable> = candidates
        .iter()
        .map(|c| Groupable {
            round: c.round,
            image: c.image,
            bbox: c.bbox,
            look: c.look,
            feature: features.get(&c.id).copied(),
        })
        .collect();
    let alike = group_alike(&items, &config).into_iter().filter(|members| 1 < members.len()).collect();
    let groups: Vec<Vec<CandidateId>> = in_a_chain(alike, &items)
        .into_iter()
        .map(|members| members.into_iter().map(|at| candidates[at].id).collect())
        .collect();
    let cosine = least_cosine.map_or_else(|| "off".to_owned(), |cosine| cosine.to_string());
    let mut tell = |text| observer(WorkEvent::Log(text));
    patiently(cancel, &mut tell, || store.set_groups(&groups))?;
    patiently(cancel, &mut tell, || store.set_setting(DISTANCE, &most_distance.to_string()))?;
    patiently(cancel, &mut tell, || store.set_setting(COSINE, &cosine))?;
    Ok(GroupReport {
        candidates: candidates.len(),
        groups: groups.len(),
        alike: groups.iter().map(Vec::len).sum(),
        unread: items.iter().filter(|item| item.look.is_none()).count(),
        distance: most_distance,
        cosine: least_cosine,
        without_features: least_cosine.map_or(0, |_| items.iter().filter(|item| item.feature.is_none()).count()),
    })
}

/// The groups in the order in which the review shows alike ones together: each beside those that look like it, by its best candidate's
/// hash. Groups whose photographs could not be read come last.
fn in_a_chain(groups: Vec<Vec<usize>>, items: &[Groupable]) -> Vec<Vec<usize>> {
    let look = |members: &[usize]| members.iter().find_map(|at| items[*at].look);
    let (seen, unseen): (Vec<_>, Vec<_>) = groups.into_iter().partition(|members| look(members).is_some());
    let hashes: Vec<u64> = seen.iter().filter_map(|members| Some(look(members)?.perceptual)).collect();
    let mut seen: Vec<Option<Vec<usize>>> = seen.into_iter().map(Some).collect();
    let chain = chain_of_alike(&hashes).into_iter().filter_map(|place| seen[place].take());
    chain.chain(unseen).collect()
}

/// What the crops of an image look like.
type Looks = Vec<(CandidateId, Look)>;

fn look_at_new_crops(store: &mut Store, observer: &mut Observer, cancel: &Cancel) -> Result<(), WorkflowError> {
    let mut of_image: HashMap<ImageId, Vec<(CandidateId, BoundingBox)>> = HashMap::new();
    for candidate in store.candidates_without_look()? {
        of_image.entry(candidate.image).or_default().push((candidate.id, candidate.bbox));
    }
    let mut images: Vec<_> = of_image.into_iter().collect();
    images.sort_by_key(|(image, _)| *image);
    let sources = sources(store, &images)?;
    sources.check()?;
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
        let looked: Vec<Result<Looks, (&PathBuf, String)>> = files
            .par_iter()
            .map(|(file, crops)| {
                let picture = decode_rgb(file).map_err(|e| (file, e.to_string()))?;
                Ok(crops.iter().map(|(id, bbox)| (*id, look_of(&picture, bbox))).collect())
            })
            .collect();
        let mut looks = Vec::new();
        for of_image in looked {
            match of_image {
                Ok(of_image) => looks.extend(of_image),
                Err((file, reason)) => {
                    sources.check_around(file)?;
                    observer(WorkEvent::Log(format!("Grouped by region alone: {reason}")));
                }
            }
        }
        patiently(cancel, |text| observer(WorkEvent::Log(text)), || store.put_looks(&looks))?;
    }
    Ok(())
}

fn sources<T>(store: &Store, images: &[(ImageId, T)]) -> Result<Sources, WorkflowError> {
    let files = images.iter().map(|(image, _)| store.image_file(*image)).collect::<Result<Vec<_>, _>>()?;
    let roots = store.datasets()?.into_iter().map(|dataset| dataset.root);
    Ok(Sources::new(roots, files.iter().map(PathBuf::as_path)))
}
