//! Groups similar candidates: reads the crops once, stores their perceptual hashes, groups.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use rayon::prelude::*;
use serde::Serialize;

use super::group_changes::{Before, write};
use super::image_files::files_of;
use super::retry::with_retries;
use super::{Observer, WorkEvent, WorkflowError};
use crate::dataset::decode_rgb;
use crate::domain::{
    Cancel, CandidateId, FalsePositiveKind, FeatureSpace, ImageId, PerceptualHashes, Progress, RoiFeature, counted,
};
use crate::geometry::{BoundingBox, ObjectFrame};
use crate::mining::{Centre, GroupConfig, Groupable, hashes_of, regroup};
use crate::store::{CandidateHashes, Store};

/// The setting with the last requested distance.
const DISTANCE: &str = "group_distance";
const COSINE: &str = "group_cosine";
/// Its value if the recommended cosines were chosen again.
const RECOMMENDED: &str = "recommended";
/// The setting with the parameters of the stored groups; with other parameters the groups are recomputed.
const FOUND_WITH: &str = "groups_found_with";
/// The setting with the centre of the embeddings that the stored groups were found with.
const CENTRE: &str = "group_centre";
/// Number of images whose hashes are stored per transaction.
const IMAGES_AT_ONCE: usize = 64;
const WHAT: &str = "Computing hashes of the crops";

/// The result of grouping.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupReport {
    pub candidates: usize,
    /// Groups of two or more.
    pub groups: usize,
    /// Of these, groups of one thing at a fixed place in many images.
    pub by_place: usize,
    /// Number of candidates in groups.
    pub alike: usize,
    /// Candidates whose image could not be read: grouped only by region.
    pub unread: usize,
    pub distance: u32,
    /// `null` if features were not compared, or with the recommended cosines.
    pub cosine: Option<f32>,
    /// Whether features were compared with the recommended cosines.
    pub recommended: bool,
    /// Candidates without features; only counted if features are compared.
    pub without_features: usize,
}

impl fmt::Display for GroupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { candidates, groups, by_place, alike, unread, distance, cosine, recommended, without_features } =
            self;
        write!(
            f,
            "{alike} of {} {} in {} (distance {distance}",
            counted(*candidates, "candidate"),
            if *alike == 1 { "is" } else { "are" },
            counted(*groups, "group")
        )?;
        match cosine {
            Some(cosine) => write!(f, ", cosine {cosine})")?,
            None if *recommended => write!(f, ", recommended cosines)")?,
            None => write!(f, ")")?,
        }
        if *by_place > 0 {
            write!(
                f,
                "; {by_place} of these {} at one place in many images",
                if *by_place == 1 { "is" } else { "are" }
            )?;
        }
        if *unread > 0 {
            write!(f, "; the images of {unread} could not be read")?;
        }
        // Without any features none were compared.
        if *without_features > 0 && (cosine.is_some() || *recommended) {
            write!(
                f,
                "; the features of {without_features} are not known: `quarry group` computes those of imported detections, mining a round those of \
                 its own"
            )?;
        }
        Ok(())
    }
}

/// Returns the parameters of the project's groups, or the recommended ones.
pub fn config(store: &Store) -> Result<GroupConfig, WorkflowError> {
    let default = GroupConfig::default();
    let most_distance = store.setting(DISTANCE)?.and_then(|text| text.parse().ok()).unwrap_or(default.most_distance);
    let chosen = store.setting(COSINE)?.filter(|text| text != RECOMMENDED);
    let least_cosine = chosen.as_ref().and_then(|text| text.parse().ok());
    Ok(GroupConfig { most_distance, least_cosine, recommended: chosen.is_none(), ..default })
}

/// Like [`config`]; `None` if the user turned feature comparison off: then embeddings are not worth computing.
pub fn by_content(store: &Store) -> Result<Option<GroupConfig>, WorkflowError> {
    Ok(Some(config(store)?).filter(GroupConfig::compares_features))
}

/// Stops comparing features until the user requests it.
pub fn turn_cosine_off(store: &mut Store) -> Result<(), WorkflowError> {
    Ok(store.set_setting(COSINE, "off")?)
}

/// Groups the candidates of all rounds. Crops with hashes are not read again; with unchanged parameters only what is new or changed is
/// compared, and only changed groups are written, a few at a time: verdicts take precedence. The parameters are stored for the next time.
/// Verdicts do not change.
pub fn group(
    store: &mut Store,
    config: &GroupConfig,
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<GroupReport, WorkflowError> {
    let mut candidates = store.candidate_hashes()?;
    hash_new_crops(store, &mut candidates, observer, cancel)?;
    let most_distance = config.most_distance.min(GroupConfig::DISTANCE_MAX);
    let least_cosine = config.least_cosine.map(|cosine| cosine.clamp(GroupConfig::COSINE_MIN, 1.0));
    let (features, centre) = features(store, config)?;
    let config = GroupConfig { most_distance, least_cosine, centred: centre.is_some(), ..*config };
    let placements = placements(store, &candidates)?;
    let items = groupables(&candidates, &features, &placements);
    let stored = store.groups()?;
    let found_with = found_with(&config, centre.as_ref());
    let is_same = store.setting(FOUND_WITH)?.as_deref() == Some(found_with.as_str());
    let before = Before::new(&candidates, &stored);
    let known = if is_same { before.known() } else { vec![None; items.len()] };
    let groups = regroup(&items, &config, &known);
    let cosine = match least_cosine {
        _ if config.recommended => RECOMMENDED.to_owned(),
        Some(cosine) => cosine.to_string(),
        None => "off".to_owned(),
    };
    let mut tell = |text| observer(WorkEvent::Log(text));
    if !is_same {
        // Until everything is written, the groups match neither set of parameters.
        with_retries(cancel, &mut tell, || store.set_setting(FOUND_WITH, ""))?;
        if let Some(centre) = &centre {
            let text = centre.to_text();
            with_retries(cancel, &mut tell, || store.set_setting(CENTRE, &text))?;
        }
    }
    write(store, &before.changes(&groups, store.next_group()?), &mut tell, cancel)?;
    with_retries(cancel, &mut tell, || store.set_setting(DISTANCE, &most_distance.to_string()))?;
    // Groups without features do not mean that the user chose against them: see [`by_content`].
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
        without_features: if config.compares_features() {
            items.iter().filter(|item| item.feature.is_none()).count()
        } else {
            0
        },
    })
}

/// The effect of grouping parameters on the review.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct GroupPreview {
    /// Candidates without a verdict.
    pub waiting: usize,
    /// Groups with such a candidate, plus such candidates without a group: the decisions left if each group is decided together.
    pub decisions: usize,
}

/// Returns statistics of the groups that [`group`] would find with these parameters among the crops with hashes. Changes nothing.
pub fn preview(store: &Store, config: &GroupConfig) -> Result<GroupPreview, WorkflowError> {
    let candidates = store.candidate_hashes()?;
    let (features, centre) = features(store, config)?;
    let placements = placements(store, &candidates)?;
    let config = GroupConfig { centred: centre.is_some(), ..*config };
    let groups = regroup(&groupables(&candidates, &features, &placements), &config, &vec![None; candidates.len()]);
    let waits = |at: &usize| candidates[*at].is_left;
    let waiting = (0..candidates.len()).filter(waits).count();
    let spared = groups.iter().map(|group| group.members.iter().filter(|at| waits(at)).count().saturating_sub(1));
    Ok(GroupPreview { waiting, decisions: waiting - spared.sum::<usize>() })
}

type Features = HashMap<CandidateId, (FeatureSpace, RoiFeature)>;

/// Returns the features to compare. With the recommended cosines, embeddings are those seen from the returned centre, if there are enough.
fn features(store: &Store, config: &GroupConfig) -> Result<(Features, Option<Centre>), WorkflowError> {
    if !config.compares_features() {
        return Ok((HashMap::new(), None));
    }
    let features = store.candidate_features()?;
    if !config.recommended {
        return Ok((features, None));
    }
    let mut embeddings: Vec<(&CandidateId, &RoiFeature)> = features
        .iter()
        .filter(|(_, (space, _))| *space == FeatureSpace::Backbone)
        .map(|(candidate, (_, embedding))| (candidate, embedding))
        .collect();
    // In order, so that the sum is the same each time.
    embeddings.par_sort_unstable_by_key(|(candidate, _)| **candidate);
    let stored: Option<Centre> = store.setting(CENTRE)?.and_then(|text| Centre::from_text(&text));
    let kept = stored.filter(|centre| !centre.is_outgrown_by(embeddings.len()));
    let Some(centre) = kept.or_else(|| Centre::of(embeddings.iter().map(|(_, embedding)| *embedding))) else {
        return Ok((features, None));
    };
    let seen = |(candidate, (space, feature)): (CandidateId, (FeatureSpace, RoiFeature))| match space {
        FeatureSpace::Backbone => Some((candidate, (space, centre.towards(&feature)?))),
        FeatureSpace::Round(_) => Some((candidate, (space, feature))),
    };
    let features = features.into_par_iter().filter_map(seen).collect();
    Ok((features, Some(centre)))
}

/// The place of each badly localised candidate on the object of its class that it overlaps most.
type Placements = HashMap<CandidateId, BoundingBox<ObjectFrame>>;

fn placements(store: &Store, candidates: &[CandidateHashes]) -> Result<Placements, WorkflowError> {
    let is_localisation = |c: &&CandidateHashes| c.kind == FalsePositiveKind::Localisation;
    if !candidates.iter().any(|c| is_localisation(&c)) {
        return Ok(Placements::new());
    }
    let objects = store.all_ground_truth()?;
    let placement = |c: &CandidateHashes| {
        let of_class = objects.get(&c.image)?.iter().filter(|object| object.class == c.class && !object.ignored);
        let boxes: Vec<BoundingBox> = of_class.map(|object| object.shape.bounding_box()).collect();
        let (best, iou) = c.bbox.max_iou(&boxes)?;
        let object = boxes.get(best).filter(|_| iou > 0.0)?;
        Some((c.id, c.bbox.in_frame_of(object)?))
    };
    Ok(candidates.par_iter().filter(is_localisation).filter_map(placement).collect())
}

fn groupables<'a>(
    candidates: &[CandidateHashes],
    features: &'a Features,
    placements: &Placements,
) -> Vec<Groupable<'a>> {
    let groupable = |c: &CandidateHashes| Groupable {
        class: c.class,
        kind: c.kind,
        image: c.image,
        camera: c.camera,
        bbox: c.bbox,
        hash: c.hashes.map(|hashes| hashes.perceptual),
        placement: placements.get(&c.id).copied(),
        feature: features.get(&c.id).map(|(space, feature)| (*space, feature)),
    };
    candidates.iter().map(groupable).collect()
}

/// Identifies the parameters and the grouping algorithm.
fn found_with(config: &GroupConfig, centre: Option<&Centre>) -> String {
    let GroupConfig { least_iou, most_distance, least_cosine, recommended, centred: _ } = config;
    if *recommended {
        let roi = GroupConfig::ROI_COSINE;
        let embedding = match centre {
            Some(centre) => format!("{} about the centre of {}", GroupConfig::CENTRED_COSINE, centre.count()),
            None => GroupConfig::EMBEDDING_COSINE.to_string(),
        };
        return format!("3: IoU {least_iou}, distance {most_distance}, cosines {roi} and {embedding}");
    }
    format!("3: IoU {least_iou}, distance {most_distance}, cosine {}", least_cosine.unwrap_or(2.0))
}

/// A crop of an image, and the index of its candidate.
type Crop = (usize, CandidateId, BoundingBox);
/// The hashes of the crops of an image.
type ImageHashes = Vec<(usize, (CandidateId, PerceptualHashes))>;

/// Reads the crops of candidates without hashes, and stores the result here and in the database.
fn hash_new_crops(
    store: &mut Store,
    candidates: &mut [CandidateHashes],
    observer: &mut Observer,
    cancel: &Cancel,
) -> Result<(), WorkflowError> {
    let mut of_image: HashMap<ImageId, Vec<Crop>> = HashMap::new();
    for (at, candidate) in candidates.iter().enumerate().filter(|(_, candidate)| candidate.hashes.is_none()) {
        of_image.entry(candidate.image).or_default().push((at, candidate.id, candidate.bbox));
    }
    let mut images: Vec<_> = of_image.into_iter().collect();
    images.sort_unstable_by_key(|(image, _)| *image);
    let (_, sources) = files_of(store, images.iter().map(|(image, _)| *image))?;
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
                Ok(crops.iter().map(|(at, id, bbox)| (*at, (*id, hashes_of(&picture, bbox)))).collect())
            })
            .collect();
        let mut hashes = Vec::new();
        for of_image in computed {
            match of_image {
                Ok(of_image) => {
                    for (at, of_crop) in of_image {
                        candidates[at].hashes = Some(of_crop.1);
                        hashes.push(of_crop);
                    }
                }
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
