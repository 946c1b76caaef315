//! Groups similar candidates: reads the crops once, stores their perceptual hashes, groups.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;

use super::retry::with_retries;
use super::{Observer, WorkEvent, WorkflowError};
use crate::dataset::decode_rgb;
use crate::domain::{
    Cancel, CandidateId, FeatureSpace, GroupId, ImageId, PerceptualHashes, Progress, RoiFeature, Sources,
};
use crate::geometry::BoundingBox;
use crate::mining::{Group, GroupConfig, Groupable, chain_of_alike, hashes_of, nearest_hashes, regroup};
use crate::store::{CandidateHashes, GroupChange, NewGroup, Store, StoredGroup};

/// The settings that hold what was asked for last.
const DISTANCE: &str = "group_distance";
const COSINE: &str = "group_cosine";
/// Its value where the recommended cosines were chosen again.
const RECOMMENDED: &str = "recommended";
/// The setting that holds what the stored groups were found with; other groups are found again.
const FOUND_WITH: &str = "groups_found_with";
/// Images whose hashes are kept with one transaction.
const IMAGES_AT_ONCE: usize = 64;
const WHAT: &str = "Computing hashes of the crops";

/// What grouping found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupReport {
    pub candidates: usize,
    /// Groups of two or more.
    pub groups: usize,
    /// Of them, one thing at one place in many images.
    pub by_place: usize,
    /// Candidates in them.
    pub alike: usize,
    /// Candidates whose image could not be read: grouped by their region alone.
    pub unread: usize,
    pub distance: u32,
    /// `null` where features were not compared, or with the recommended cosines.
    pub cosine: Option<f32>,
    /// Features were compared with the recommended cosines.
    pub recommended: bool,
    /// Candidates whose features are not known; counted only where a cosine was chosen.
    pub without_features: usize,
}

impl fmt::Display for GroupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { candidates, groups, by_place, alike, unread, distance, cosine, recommended, without_features } =
            self;
        write!(f, "{alike} of {candidates} candidates are in {groups} groups (distance {distance}")?;
        match cosine {
            Some(cosine) => write!(f, ", cosine {cosine})")?,
            None if *recommended => write!(f, ", recommended cosines)")?,
            None => write!(f, ")")?,
        }
        if *by_place > 0 {
            write!(f, "; {by_place} of the groups are at one place in many images")?;
        }
        if *unread > 0 {
            write!(f, "; the images of {unread} could not be read")?;
        }
        if *without_features > 0 {
            write!(
                f,
                "; the features of {without_features} are not known: `quarry group` computes those of imported detections, mining a round those of \
                 its own"
            )?;
        }
        Ok(())
    }
}

/// What the project's groups were made with, or what is recommended.
pub fn config(store: &Store) -> Result<GroupConfig, WorkflowError> {
    let default = GroupConfig::default();
    let most_distance = store.setting(DISTANCE)?.and_then(|text| text.parse().ok()).unwrap_or(default.most_distance);
    let chosen = store.setting(COSINE)?.filter(|text| text != RECOMMENDED);
    let least_cosine = chosen.as_ref().and_then(|text| text.parse().ok());
    Ok(GroupConfig { most_distance, least_cosine, recommended: chosen.is_none(), ..default })
}

/// As [`config`]; `None` where somebody turned the comparison of features off: then embeddings are not worth computing.
pub fn by_content(store: &Store) -> Result<Option<GroupConfig>, WorkflowError> {
    Ok(Some(config(store)?).filter(GroupConfig::compares_features))
}

/// Features are compared no longer, until somebody asks for it.
pub fn turn_cosine_off(store: &mut Store) -> Result<(), WorkflowError> {
    Ok(store.set_setting(COSINE, "off")?)
}

/// Groups the candidates of all rounds. Crops that were looked at before are not read again; with the settings of the last time only
/// what is new or changed since is compared, and only groups that change are written, a few at a time: verdicts go first. The settings are
/// kept for the next time. Verdicts do not change.
pub fn group(
    store: &mut Store,
    config: &GroupConfig,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<GroupReport, WorkflowError> {
    hash_new_crops(store, observer, cancel)?;
    let most_distance = config.most_distance.min(GroupConfig::DISTANCE_MAX);
    let least_cosine = config.least_cosine.map(|cosine| cosine.clamp(GroupConfig::COSINE_MIN, 1.0));
    let config = GroupConfig { most_distance, least_cosine, ..*config };
    let candidates = store.candidate_hashes()?;
    let features = features(store, &config)?;
    let items = groupables(&candidates, &features);
    let stored = store.groups()?;
    let found_with = found_with(&config);
    let is_same = store.setting(FOUND_WITH)?.as_deref() == Some(found_with.as_str());
    let known = if is_same { known(&candidates, &stored) } else { vec![None; items.len()] };
    let groups = regroup(&items, &config, &known);
    let cosine = match least_cosine {
        _ if config.recommended => RECOMMENDED.to_owned(),
        Some(cosine) => cosine.to_string(),
        None => "off".to_owned(),
    };
    let mut tell = |text| observer(WorkEvent::Log(text));
    if !is_same {
        // Until all is written the groups are of neither setting.
        with_retries(cancel, &mut tell, || store.set_setting(FOUND_WITH, ""))?;
    }
    write(store, &changes(&candidates, &stored, &groups), &mut tell, cancel)?;
    with_retries(cancel, &mut tell, || store.set_setting(DISTANCE, &most_distance.to_string()))?;
    // Groups without features are no choice against them: see [`by_content`].
    if least_cosine.is_some() || store.setting(COSINE)?.is_some() {
        with_retries(cancel, &mut tell, || store.set_setting(COSINE, &cosine))?;
    }
    with_retries(cancel, &mut tell, || store.set_setting(FOUND_WITH, &found_with))?;
    Ok(GroupReport {
        candidates: candidates.len(),
        groups: groups.len(),
        by_place: groups.iter().filter(|group| group.by_place).count(),
        alike: groups.iter().map(|group| group.members.len()).sum(),
        unread: items.iter().filter(|item| item.hash.is_none()).count(),
        distance: most_distance,
        cosine: least_cosine.filter(|_| !config.recommended),
        recommended: config.recommended && !features.is_empty(),
        without_features: match least_cosine {
            Some(_) if !config.recommended => items.iter().filter(|item| item.feature.is_none()).count(),
            _ => 0,
        },
    })
}

/// What groups with certain settings would mean for the review.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct GroupPreview {
    /// Candidates without a verdict.
    pub waiting: usize,
    /// Groups with such a candidate, and such candidates without a group: what is left to decide if each group is decided as one.
    pub decisions: usize,
}

/// The groups that [`group`] would find with these settings among the crops that were looked at, in numbers. Nothing is changed.
pub fn preview(store: &Store, config: &GroupConfig) -> Result<GroupPreview, WorkflowError> {
    let candidates = store.candidate_hashes()?;
    let features = features(store, config)?;
    let groups = regroup(&groupables(&candidates, &features), config, &vec![None; candidates.len()]);
    let waits = |at: &usize| candidates[*at].is_left;
    let waiting = (0..candidates.len()).filter(waits).count();
    let spared = groups.iter().map(|group| group.members.iter().filter(|at| waits(at)).count().saturating_sub(1));
    Ok(GroupPreview { waiting, decisions: waiting - spared.sum::<usize>() })
}

type Features = HashMap<CandidateId, (FeatureSpace, RoiFeature)>;

fn features(store: &Store, config: &GroupConfig) -> Result<Features, WorkflowError> {
    Ok(if config.compares_features() { store.candidate_features()? } else { HashMap::new() })
}

fn groupables<'a>(candidates: &[CandidateHashes], features: &'a Features) -> Vec<Groupable<'a>> {
    let groupable = |c: &CandidateHashes| Groupable {
        class: c.class,
        kind: c.kind,
        image: c.image,
        camera: c.camera,
        bbox: c.bbox,
        hash: c.hashes.map(|hashes| hashes.perceptual),
        feature: features.get(&c.id).map(|(space, feature)| (*space, feature)),
    };
    candidates.iter().map(groupable).collect()
}

/// Names the settings, and the way in which groups are found with them.
fn found_with(config: &GroupConfig) -> String {
    let GroupConfig { least_iou, most_distance, least_cosine, recommended } = config;
    if *recommended {
        let (roi, embedding) = (GroupConfig::ROI_COSINE, GroupConfig::EMBEDDING_COSINE);
        return format!("2: IoU {least_iou}, distance {most_distance}, cosines {roi} and {embedding}");
    }
    format!("2: IoU {least_iou}, distance {most_distance}, cosine {}", least_cosine.unwrap_or(2.0))
}

/// Which candidate represents each, by place, as far as that still holds.
fn known(candidates: &[CandidateHashes], stored: &[StoredGroup]) -> Vec<Option<usize>> {
    let place_of: HashMap<CandidateId, usize> = candidates.iter().enumerate().map(|(at, c)| (c.id, at)).collect();
    let groups: HashMap<GroupId, &StoredGroup> = stored.iter().map(|group| (group.id, group)).collect();
    let leader = |(at, candidate): (usize, &CandidateHashes)| {
        let Some(group) = candidate.group else { return (!candidate.is_new).then_some(at) };
        let group = groups.get(&group).filter(|group| !group.by_place && !candidate.is_new)?;
        place_of.get(&group.representative?).copied()
    };
    candidates.iter().enumerate().map(leader).collect()
}

/// What has to change for `found` to be the groups that are stored.
fn changes(candidates: &[CandidateHashes], stored: &[StoredGroup], found: &[Group]) -> Vec<GroupChange> {
    let mut sizes: HashMap<GroupId, usize> = HashMap::new();
    for group in candidates.iter().filter_map(|candidate| candidate.group) {
        *sizes.entry(group).or_default() += 1;
    }
    let by_id: HashMap<GroupId, &StoredGroup> = stored.iter().map(|group| (group.id, group)).collect();
    // The stored group that is the same.
    let same = |group: &Group| {
        let representative = &candidates[group.members[0]];
        let stored = by_id.get(&representative.group?)?;
        let is_same = stored.representative == Some(representative.id)
            && stored.by_place == group.by_place
            && sizes.get(&stored.id) == Some(&group.members.len())
            && group.members.iter().all(|at| candidates[*at].group == Some(stored.id));
        is_same.then_some(stored.id)
    };
    let same: Vec<Option<GroupId>> = found.iter().map(same).collect();
    let kept: HashSet<GroupId> = same.iter().flatten().copied().collect();
    let new: Vec<&Group> = found.iter().zip(&same).filter(|(_, same)| same.is_none()).map(|(group, _)| group).collect();
    let chain = chain_places(candidates, &by_id, &kept, &new);
    let mut made: Vec<NewGroup> = new
        .iter()
        .zip(chain)
        .map(|(group, chain)| NewGroup {
            representative: candidates[group.members[0]].id,
            by_place: group.by_place,
            chain,
            members: group.members.iter().map(|at| candidates[*at].id).collect(),
        })
        .collect();
    made.sort_by_key(|group| group.chain);
    let mut is_grouped = vec![false; candidates.len()];
    found.iter().flat_map(|group| &group.members).for_each(|at| is_grouped[*at] = true);
    let leaving = candidates.iter().zip(is_grouped).filter(|(c, is_grouped)| c.group.is_some() && !is_grouped);
    let gone = stored.iter().filter(|group| !kept.contains(&group.id));
    let settled = candidates.iter().filter(|c| c.is_new && c.hashes.is_some());
    let made = made.into_iter().map(GroupChange::Make);
    let leaving = leaving.map(|(candidate, _)| GroupChange::Leave(candidate.id));
    made.chain(leaving)
        .chain(gone.map(|group| GroupChange::Remove(group.id)))
        .chain(settled.map(|candidate| GroupChange::Settled(candidate.id)))
        .collect()
}

/// Where each new group is in the order by likeness: where its best candidate's group stood, else beside the group that hashes most like
/// it; where nothing stays all groups make a chain. Groups whose images could not be read come last.
fn chain_places(
    candidates: &[CandidateHashes],
    stored: &HashMap<GroupId, &StoredGroup>,
    kept: &HashSet<GroupId>,
    new: &[&Group],
) -> Vec<i64> {
    let hash = |at: usize| candidates[at].hashes.map(|hashes| hashes.perceptual);
    let of_group = |group: &Group| group.members.iter().find_map(|at| hash(*at));
    if kept.is_empty() {
        let mut places = vec![i64::MAX; new.len()];
        let seen: Vec<(usize, u64)> =
            new.iter().enumerate().filter_map(|(at, group)| Some((at, of_group(group)?))).collect();
        let hashes: Vec<u64> = seen.iter().map(|(_, hash)| *hash).collect();
        for (place, at) in (1..).zip(chain_of_alike(&hashes)) {
            places[seen[at].0] = place;
        }
        return places;
    }
    let standing: Vec<(u64, i64)> = (0..candidates.len())
        .filter_map(|at| {
            let group = stored.get(&candidates[at].group?)?;
            let is_shown = kept.contains(&group.id) && group.representative == Some(candidates[at].id);
            Some((hash(at).filter(|_| is_shown)?, group.chain))
        })
        .collect();
    let stood = |group: &Group| candidates[group.members[0]].group.and_then(|group| stored.get(&group));
    let hashes: Vec<u64> = standing.iter().map(|(hash, _)| *hash).collect();
    let unplaced = new.iter().filter(|group| stood(group).is_none());
    let wanted: Vec<u64> = unplaced.filter_map(|group| of_group(group)).collect();
    let mut nearest = nearest_hashes(&hashes, &wanted).into_iter();
    let mut beside = |group: &Group| {
        let nearest = of_group(group).and_then(|_| nearest.next().flatten());
        nearest.map_or(i64::MAX, |place| standing[place].1)
    };
    new.iter().map(|group| stood(group).map_or_else(|| beside(group), |group| group.chain)).collect()
}

/// Writes briefly, then pauses as long: a writer of a verdict may be waiting.
fn write(
    store: &mut Store,
    mut changes: &[GroupChange],
    tell: &mut impl FnMut(String),
    cancel: &Cancel,
) -> Result<(), WorkflowError> {
    let is_changed = changes.iter().any(|change| !matches!(change, GroupChange::Settled(_)));
    let mut written = Ok(());
    while !changes.is_empty() {
        if cancel.is_cancelled() {
            written = Err(WorkflowError::Cancelled);
            break;
        }
        let begun = Instant::now();
        let done = with_retries(cancel, &mut *tell, || store.change_groups(changes))?;
        changes = &changes[done..];
        std::thread::sleep(begun.elapsed());
    }
    if is_changed {
        with_retries(cancel, tell, || store.groups_are_found())?;
    }
    written
}

/// The hashes of the crops of an image.
type ImageHashes = Vec<(CandidateId, PerceptualHashes)>;

fn hash_new_crops(store: &mut Store, observer: &mut Observer, cancel: &Cancel) -> Result<(), WorkflowError> {
    let mut of_image: HashMap<ImageId, Vec<(CandidateId, BoundingBox)>> = HashMap::new();
    for candidate in store.candidates_without_hashes()? {
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
        let computed: Vec<Result<ImageHashes, (&PathBuf, String)>> = files
            .par_iter()
            .map(|(file, crops)| {
                let picture = decode_rgb(file).map_err(|e| (file, e.to_string()))?;
                Ok(crops.iter().map(|(id, bbox)| (*id, hashes_of(&picture, bbox))).collect())
            })
            .collect();
        let mut hashes = Vec::new();
        for of_image in computed {
            match of_image {
                Ok(of_image) => hashes.extend(of_image),
                Err((file, reason)) => {
                    sources.check_around(file)?;
                    observer(WorkEvent::Log(format!("Grouped by region alone: {reason}")));
                }
            }
        }
        with_retries(cancel, |text| observer(WorkEvent::Log(text)), || store.put_hashes(&hashes))?;
    }
    Ok(())
}

fn sources<T>(store: &Store, images: &[(ImageId, T)]) -> Result<Sources, WorkflowError> {
    let files = images.iter().map(|(image, _)| store.image_file(*image)).collect::<Result<Vec<_>, _>>()?;
    let roots = store.datasets()?.into_iter().map(|dataset| dataset.root);
    Ok(Sources::new(roots, files.iter().map(PathBuf::as_path)))
}
