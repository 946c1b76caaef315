//! Groups over rounds, over thresholds, and with missing images.
#![allow(clippy::unwrap_used)]

#[path = "support/app_project.rs"]
mod app_project;

use std::collections::HashMap;

use quarry::domain::{
    Cancel, CandidateId, ClassId, FalsePositiveKind, GroupId, PerceptualHashes, ROI_FEATURE_LENGTH, RoiFeature, Verdict,
};
use quarry::geometry::BoundingBox;
use quarry::mining::GroupConfig;
use quarry::store::{CandidateQuery, NewCandidate, Sort, Store, VerdictFilter};
use quarry::workflow::group::{GroupReport, config, group};

fn grouped(store: &mut Store, most_distance: Option<u32>) -> GroupReport {
    let own = config(store).unwrap();
    let asked = GroupConfig { most_distance: most_distance.unwrap_or(own.most_distance), ..own };
    group(store, &asked, &mut |_| {}, &Cancel::new()).unwrap()
}

#[test]
fn the_same_region_of_two_rounds_is_one_group_and_verdicts_stay() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 4, 2);
    let mut store = project.open_store().unwrap();
    let all = CandidateQuery { verdict: VerdictFilter::Any, ..CandidateQuery::default() };
    let ids = store.candidate_ids(&all).unwrap();
    store.record_verdicts(&ids[..1], "Ada", Verdict::Rejected, None, 1).unwrap();
    let report = grouped(&mut store, Some(0));
    assert_eq!((report.candidates, report.alike, report.unread), (24, 24, 0));
    for row in store.candidate_rows(&ids).unwrap() {
        let members = store.group_members(row.group.unwrap()).unwrap();
        assert_eq!(members.len() as u32, row.group_size);
        let rows = store.candidate_rows(&members).unwrap();
        let here = |round| rows.iter().any(|r| r.round_number == round && r.candidate.bbox == row.candidate.bbox);
        assert!(here(1) && here(2), "{rows:?}");
    }
    assert_eq!(store.verdict_counts(None).unwrap().rejected, 1);
    let row = store.candidate_row(ids[0]).unwrap();
    let waiting = store.undecided_of_group(row.group.unwrap(), None).unwrap();
    assert_eq!(waiting.len() as u32, row.group_size - 1);
    assert!(!waiting.contains(&ids[0]));
    let for_grace = store.undecided_of_group(row.group.unwrap(), Some("Grace")).unwrap();
    assert_eq!(for_grace.len() as u32, row.group_size);
}

#[test]
fn alike_groups_are_neighbours_in_the_order_by_likeness() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 12, 2);
    let mut store = project.open_store().unwrap();
    let report = grouped(&mut store, Some(0));
    assert!(report.groups > 6, "{report}");
    let by_likeness = CandidateQuery { sort: Sort::Group, descending: false, ..CandidateQuery::default() };
    let listed = store.candidate_ids(&by_likeness).unwrap();
    assert_eq!(listed.len(), report.groups, "each group is listed as one");
    let hashes: HashMap<CandidateId, PerceptualHashes> =
        store.candidate_hashes().unwrap().into_iter().filter_map(|c| Some((c.id, c.hashes?))).collect();
    let length = |ids: &[CandidateId]| -> u32 { ids.windows(2).map(|p| hashes[&p[0]].distance(&hashes[&p[1]])).sum() };
    let by_score = store.candidate_ids(&CandidateQuery::default()).unwrap();
    assert!(length(&listed) * 4 < length(&by_score) * 3, "{} {}", length(&listed), length(&by_score));
    for id in listed {
        let row = store.candidate_row(id).unwrap();
        let best = store.group_members(row.group.unwrap()).unwrap()[0];
        assert_eq!(row.candidate.score, store.candidate(best).unwrap().score, "the best stands for its group");
    }
}

#[test]
fn another_distance_is_kept_and_reads_no_image_again() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 4, 1);
    let mut store = project.open_store().unwrap();
    assert_eq!(grouped(&mut store, None).unread, 0);
    std::fs::remove_dir_all(dir.path().join("pictures")).unwrap();
    let (strict, loose) = (grouped(&mut store, Some(0)), grouped(&mut store, Some(16)));
    assert!(strict.alike <= loose.alike && loose.alike > 0, "{strict} {loose}");
    assert_eq!((strict.unread, loose.unread), (0, 0));
    assert_eq!(config(&project.open_store().unwrap()).unwrap().most_distance, 16);
    assert_eq!(grouped(&mut store, None), loose);
    assert_eq!(grouped(&mut store, Some(99)).distance, 16);
}

#[test]
fn an_image_that_is_gone_is_told_and_grouped_by_region() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 2);
    std::fs::remove_file(dir.path().join("pictures/scene_0001.png")).unwrap();
    let mut told = Vec::new();
    let mut store = project.open_store().unwrap();
    let exact = GroupConfig { most_distance: 0, ..GroupConfig::default() };
    let report = group(&mut store, &exact, &mut |event| told.push(format!("{event:?}")), &Cancel::new()).unwrap();
    assert_eq!((report.unread, report.alike), (6, 12));
    assert!(told.iter().any(|text| text.contains("scene_0001.png")), "{told:?}");
    assert!(report.to_string().contains("the images of 6 could not be read"));
}

#[test]
fn a_grouping_that_is_stopped_changes_no_group() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 1);
    let cancel = Cancel::new();
    cancel.cancel();
    let mut store = project.open_store().unwrap();
    assert!(group(&mut store, &GroupConfig::default(), &mut |_| {}, &cancel).is_err());
    assert!(store.candidate_hashes().unwrap().iter().all(|c| c.hashes.is_none()));
}

#[test]
fn what_the_detector_saw_groups_the_candidates_of_a_round_when_it_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 4, 1);
    let mut store = project.open_store().unwrap();
    let candidates = store.candidate_hashes().unwrap();
    // Every second candidate has the same features, the others unique ones.
    let feature = |k: usize| {
        let own = if k.is_multiple_of(2) { 0 } else { k };
        RoiFeature::of(&std::array::from_fn::<f32, ROI_FEATURE_LENGTH, _>(|d| ((d * (own + 1)) as f32).sin())).unwrap()
    };
    let round = candidates[0].round;
    assert!(candidates.iter().all(|c| c.round == round));
    let known = candidates.iter().enumerate().skip(1).map(|(k, c)| (c.image, ClassId::ONLY, c.bbox, feature(k)));
    store.put_features(round, known).unwrap();
    let off =
        group(&mut store, &GroupConfig { most_distance: 0, ..GroupConfig::default() }, &mut |_| {}, &Cancel::new());
    let asked = GroupConfig { most_distance: 0, least_cosine: Some(0.95), ..GroupConfig::default() };
    let on = group(&mut store, &asked, &mut |_| {}, &Cancel::new()).unwrap();
    assert!(off.unwrap().alike < on.alike, "{on}");
    assert_eq!((on.cosine, on.without_features), (Some(0.95), 1));
    assert!(on.to_string().contains("cosine 0.95") && on.to_string().contains("`quarry group` computes"), "{on}");
    let group_of = |k: usize| store.candidate_row(candidates[k].id).unwrap().group;
    assert!(group_of(2).is_some() && group_of(2) == group_of(4));
    assert_eq!(config(&project.open_store().unwrap()).unwrap(), asked, "kept for the next time");
}

fn groups_of(store: &Store) -> HashMap<CandidateId, GroupId> {
    store.candidate_hashes().unwrap().into_iter().filter_map(|c| Some((c.id, c.group?))).collect()
}

#[test]
fn only_groups_that_change_are_written_and_a_changed_one_has_an_id_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 6, 1);
    let mut store = project.open_store().unwrap();
    let report = grouped(&mut store, Some(0));
    let before = groups_of(&store);
    assert!(report.groups > 1, "{report}");
    assert_eq!(grouped(&mut store, None), report);
    assert_eq!(groups_of(&store), before, "nothing is new");
    assert!(store.candidate_hashes().unwrap().iter().all(|c| !c.is_new));
    // A second round finds one of the regions again, and something unlike all others.
    let grouped_one = store.groups().unwrap()[0].representative.unwrap();
    let known = store.candidate(grouped_one).unwrap();
    let round = store.start_round("").unwrap().id;
    let new = |bbox: BoundingBox, score: f32| NewCandidate {
        image: known.image,
        class: known.class,
        bbox,
        score,
        max_iou: known.max_iou,
        kind: known.kind,
    };
    let near = BoundingBox::new(known.bbox.x1 + 1.0, known.bbox.y1, known.bbox.x2 + 1.0, known.bbox.y2);
    let elsewhere = BoundingBox::new(3.0, 3.0, 60.0, 21.0);
    store.replace_candidates(round, &[known.image], &[new(near, 0.01), new(elsewhere, 0.02)]).unwrap();
    let report = grouped(&mut store, None);
    let after = groups_of(&store);
    let changed = before[&grouped_one];
    let highest = before.values().max().unwrap();
    for (candidate, group) in &before {
        if *group == changed {
            assert!(after[candidate] > *highest, "a screen may still show the group without its new member");
        } else {
            assert_eq!(after[candidate], *group);
        }
    }
    assert_eq!(after.len(), before.len() + 1);
    assert!(store.group_members(changed).unwrap().is_empty());
    assert!(store.groups().unwrap().iter().all(|group| group.id != changed));
    // Like a grouping from scratch.
    store.set_setting("groups_found_with", "").unwrap();
    assert_eq!(grouped(&mut store, None), report);
    assert_eq!(groups_of(&store), after, "what is found again is not written again");
}

#[test]
fn a_better_candidate_takes_a_group_over_and_a_kind_that_changed_leaves_it() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 2, 2);
    let mut store = project.open_store().unwrap();
    grouped(&mut store, Some(0));
    let first = store.candidate_hashes().unwrap().into_iter().find(|c| c.group.is_some()).unwrap();
    let group = store.groups().unwrap().into_iter().find(|group| Some(group.id) == first.group).unwrap();
    let known = store.candidate(group.representative.unwrap()).unwrap();
    let round = store.start_round("").unwrap().id;
    let better = NewCandidate {
        image: known.image,
        class: known.class,
        bbox: known.bbox,
        score: 1.0,
        max_iou: known.max_iou,
        kind: known.kind,
    };
    store.replace_candidates(round, &[known.image], &[better]).unwrap();
    grouped(&mut store, None);
    let hashes = store.candidate_hashes().unwrap();
    let best = &hashes[0];
    assert_eq!(best.score, 1.0);
    assert_eq!(store.candidate_row(known.id).unwrap().group, best.group);
    let leads = store.groups().unwrap().into_iter().find(|group| Some(group.id) == best.group).unwrap();
    assert_eq!(leads.representative, Some(best.id));
    // A missed object at the others' position makes them its duplicates.
    store.record_verdicts(&[known.id], "Ada", Verdict::MissedObject, None, 1).unwrap();
    grouped(&mut store, None);
    for group in store.groups().unwrap() {
        let members = store.candidate_rows(&store.group_members(group.id).unwrap()).unwrap();
        assert!(members.iter().all(|row| row.candidate.kind == members[0].candidate.kind), "{members:?}");
    }
}

#[cfg(feature = "torch")]
#[test]
fn crops_of_imported_detections_are_compared_by_the_bundled_backbone_and_a_stop_keeps_what_is_computed() {
    use quarry::workflow::WorkEvent;
    use quarry::workflow::embed::embed;

    if !std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/open-nsfw.onnx").is_file() {
        eprintln!("SKIPPED: models/open-nsfw.onnx is missing (`make setup` fetches it); embeddings were not grouped");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 18, 1);
    let mut store = project.open_store().unwrap();
    assert_eq!(embed(&mut store, &mut |_| {}, &Cancel::new()).unwrap(), 0, "Quarry's own rounds have features");
    let own: Vec<_> = store.candidate_hashes().unwrap();
    let round = store.start_imported_round("yolo", "found.json", "").unwrap().id;
    let images: Vec<_> = store.images().unwrap().iter().map(|image| image.id).collect();
    let new: Vec<NewCandidate> = own
        .iter()
        .map(|c| NewCandidate { image: c.image, class: c.class, bbox: c.bbox, score: 0.99, max_iou: 0.0, kind: c.kind })
        .collect();
    store.replace_candidates(round, &images, &new).unwrap();
    let cancel = Cancel::new();
    let mut parts = 0;
    let mut stop_after_one = |event: WorkEvent| {
        if let WorkEvent::Progress(_) = event {
            parts += 1;
            cancel.cancel();
        }
    };
    assert!(embed(&mut store, &mut stop_after_one, &cancel).is_err());
    let kept = store.candidate_features().unwrap();
    assert_eq!((parts, kept.len()), (1, 16 * 3), "one part was computed and stays");
    assert_eq!(embed(&mut store, &mut |_| {}, &Cancel::new()).unwrap(), new.len() - kept.len());
    assert_eq!(embed(&mut store, &mut |_| {}, &Cancel::new()).unwrap(), 0);
    let features = store.candidate_features().unwrap();
    assert!(kept.iter().all(|(candidate, feature)| features[candidate] == *feature));
    let exact = GroupConfig { most_distance: 0, ..GroupConfig::default() };
    let by_hash = group(&mut store, &exact, &mut |_| {}, &Cancel::new()).unwrap();
    let asked = GroupConfig { least_cosine: Some(0.97), ..exact };
    let by_both = group(&mut store, &asked, &mut |_| {}, &Cancel::new()).unwrap();
    assert_eq!(by_both.without_features, own.len(), "those of the round without features");
    assert!(by_both.groups < by_hash.groups, "{by_both} {by_hash}");
}

#[test]
fn boxes_that_miss_different_objects_in_the_same_way_are_one_group() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 4, 1);
    let mut store = project.open_store().unwrap();
    let round = store.start_imported_round("yolo", "found.json", "").unwrap().id;
    let images: Vec<_> = store.images().unwrap().iter().map(|image| image.id).collect();
    let objects = store.all_ground_truth().unwrap();
    let missed = |kind, of: fn(&BoundingBox) -> BoundingBox| {
        let of_image = |image: &_| {
            let object = objects[image].first().unwrap();
            let bbox = of(&object.shape.bounding_box());
            NewCandidate { image: *image, class: object.class, bbox, score: 0.5, max_iou: 0.3, kind }
        };
        images.iter().map(of_image).collect::<Vec<_>>()
    };
    let inner = missed(FalsePositiveKind::Localisation, |object| object.scaled(0.6));
    let right = missed(FalsePositiveKind::Localisation, |object| {
        BoundingBox::from_xywh(object.x1 + object.width() / 2.0, object.y1, object.width(), object.height())
    });
    let background = missed(FalsePositiveKind::Background, |object| object.scaled(0.6));
    store.replace_candidates(round, &images, &[inner.clone(), right.clone(), background.clone()].concat()).unwrap();
    let exact = GroupConfig { most_distance: 0, ..GroupConfig::default() };
    group(&mut store, &exact, &mut |_| {}, &Cancel::new()).unwrap();
    let groups_of = |new: &[NewCandidate], kind| {
        let of_round = store.candidate_hashes().unwrap().into_iter().filter(|c| c.round == round && c.kind == kind);
        let mut groups: Vec<Option<GroupId>> =
            of_round.filter(|c| new.iter().any(|n| n.image == c.image && n.bbox == c.bbox)).map(|c| c.group).collect();
        assert_eq!(groups.len(), images.len());
        groups.dedup();
        groups
    };
    let (inner, right) =
        (groups_of(&inner, FalsePositiveKind::Localisation), groups_of(&right, FalsePositiveKind::Localisation));
    assert!(inner.len() == 1 && right.len() == 1 && inner[0].is_some() && right[0].is_some(), "{inner:?} {right:?}");
    assert_ne!(inner, right);
    let background = groups_of(&background, FalsePositiveKind::Background);
    assert!(background.len() > 1 || background[0].is_none(), "background is compared by what it shows: {background:?}");
}

/// Candidates of an imported round in a row of their own, with embeddings that share most of their direction: three families.
fn with_embeddings(store: &mut Store, row: u32, count: usize) -> Vec<CandidateId> {
    let round = store.start_imported_round(&format!("model {row}"), "found.json", "").unwrap().id;
    let images: Vec<_> = store.images().unwrap().iter().map(|image| image.id).collect();
    let new: Vec<NewCandidate> = (0..count)
        .map(|k| NewCandidate {
            image: images[k % images.len()],
            class: ClassId::ONLY,
            bbox: BoundingBox::from_xywh((k / images.len()) as f64 * 3.0, f64::from(row) * 3.0, 2.0, 2.0),
            score: 1.0 - k as f32 / 1000.0,
            max_iou: 0.0,
            kind: FalsePositiveKind::Background,
        })
        .collect();
    store.replace_candidates(round, &images, &new).unwrap();
    let candidates: Vec<CandidateId> =
        store.candidate_hashes().unwrap().into_iter().filter(|c| c.round == round).map(|c| c.id).collect();
    let embedding = |k: usize| {
        let value = |d: usize| 5.0 + ((d * (k % 3 + 1)) as f32 * 0.7).sin() + ((d * (k + 7)) as f32).sin() * 0.2;
        RoiFeature::of(&std::array::from_fn::<f32, ROI_FEATURE_LENGTH, _>(value)).unwrap()
    };
    let embeddings: Vec<_> = candidates.iter().enumerate().map(|(k, id)| (*id, embedding(k))).collect();
    store.put_embeddings(&embeddings).unwrap();
    // No two crops look alike.
    let hashes = candidates.iter().map(|id| {
        let perceptual = (id.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (*id, PerceptualHashes { content: perceptual.to_le_bytes().repeat(4).try_into().unwrap(), perceptual })
    });
    store.put_hashes(&hashes.collect::<Vec<_>>()).unwrap();
    candidates
}

#[test]
fn embeddings_are_compared_about_their_centre_which_stays_until_there_are_twice_as_many() {
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 4, 1);
    let mut store = project.open_store().unwrap();
    let recommended = |store: &mut Store| {
        let asked = GroupConfig { most_distance: 0, ..config(store).unwrap() };
        assert!(asked.recommended);
        group(store, &asked, &mut |_| {}, &Cancel::new()).unwrap();
        store.setting("group_centre").unwrap()
    };
    let few = with_embeddings(&mut store, 0, 40);
    let family = |store: &Store, candidates: &[CandidateId], k: usize| {
        let groups = groups_of(store);
        candidates.iter().skip(k).step_by(3).map(|c| groups.get(c).copied()).collect::<std::collections::HashSet<_>>()
    };
    assert_eq!(recommended(&mut store), None, "few have no centre");
    assert_eq!(family(&store, &few, 0), family(&store, &few, 1), "about the origin all are similar");
    let many = with_embeddings(&mut store, 1, 100);
    let centre = recommended(&mut store);
    assert!(centre.is_some());
    let families: Vec<_> = (0..3).map(|k| family(&store, &many, k)).collect();
    assert!(families.iter().all(|family| family.len() == 1 && !family.contains(&None)), "{families:?}");
    assert!(families[0] != families[1] && families[1] != families[2] && families[0] != families[2]);
    with_embeddings(&mut store, 2, 100);
    assert_eq!(recommended(&mut store), centre);
    with_embeddings(&mut store, 3, 100);
    assert_ne!(recommended(&mut store), centre);
}
