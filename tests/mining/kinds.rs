//! Kinds of candidates and their groups: against a brute-force oracle, and on images with known results.

use proptest::prelude::*;
use quarry::domain::{
    Annotation, AnnotationSource, ClassId, Detection, FalsePositiveKind, FeatureSpace, ImageId, ROI_FEATURE_LENGTH,
    RoiFeature, RoundId, Shape,
};
use quarry::geometry::{BoundingBox, Ellipse};
use quarry::mining::{
    DetectionClass, GROUP_MAX, Group, GroupConfig, Groupable, MiningConfig, classify, count_duplicates, group_alike,
    mine_image, regroup,
};

fn face(b: BoundingBox) -> Annotation {
    Annotation { class: ClassId::ONLY, shape: Shape::Rectangle(b), source: AnnotationSource::Imported, ignored: false }
}

fn detection(b: BoundingBox, score: f32) -> Detection {
    Detection { class: ClassId::ONLY, bbox: b, ellipse: None, score }
}

fn bb(x1: f64, y1: f64, x2: f64, y2: f64) -> BoundingBox {
    BoundingBox::new(x1, y1, x2, y2)
}

#[test]
fn known_kinds() {
    let truth = [face(bb(0., 0., 100., 100.))];
    let check = |b: BoundingBox, expected: Option<FalsePositiveKind>| {
        let mined = mine_image(&[detection(b, 0.9)], &truth, &MiningConfig::default());
        assert_eq!(mined.first().map(|c| c.kind), expected, "{b:?}");
    };
    check(bb(200., 0., 300., 100.), Some(FalsePositiveKind::Background));
    // IoU exactly 0.1: 10 x 100 of 100 x 100.
    check(bb(0., 0., 10., 100.), Some(FalsePositiveKind::Background));
    check(bb(0., 0., 11., 100.), Some(FalsePositiveKind::Localisation));
    check(bb(0., 0., 49., 100.), Some(FalsePositiveKind::Localisation));
    // IoU exactly 0.5 matches a face.
    check(bb(0., 0., 50., 100.), None);
    check(bb(0., 0., 100., 100.), None);
}

#[test]
fn a_second_detection_of_a_face_is_a_duplicate_and_no_candidate() {
    let truth = [face(bb(0., 0., 100., 100.))];
    let detections = [detection(bb(0., 0., 90., 100.), 0.6), detection(bb(0., 0., 100., 95.), 0.8)];
    let config = MiningConfig::default();
    let classes = classify(&detections, &truth, &config);
    assert_eq!(classes[1], DetectionClass::Match(0));
    let duplicate = |c| matches!(c, DetectionClass::FalsePositive { kind: FalsePositiveKind::Duplicate, .. });
    assert!(duplicate(classes[0]), "{classes:?}");
    assert!(mine_image(&detections, &truth, &config).is_empty());
    assert_eq!(count_duplicates(&detections, &truth, &config), 1);
    let unseen = MiningConfig { min_score: 0.7, ..config };
    assert_eq!(count_duplicates(&detections, &truth, &unseen), 0, "what is not mined at all is no duplicate");
}

#[test]
fn an_image_without_faces_gives_every_detection() {
    let detections = [detection(bb(0., 0., 9., 9.), 0.2), detection(bb(5., 5., 9., 9.), 0.7)];
    let mined = mine_image(&detections, &[], &MiningConfig::default());
    assert_eq!(mined.iter().map(|c| c.score).collect::<Vec<_>>(), [0.7, 0.2]);
    assert!(mined.iter().all(|c| c.max_iou == 0.0 && c.kind == FalsePositiveKind::Background));
}

#[test]
fn ellipses_match_by_their_box_and_ignored_faces_are_left_alone() {
    let ellipse = Ellipse::inscribed(&bb(0., 0., 60., 80.));
    let mut truth = vec![Annotation { shape: Shape::Ellipse(ellipse), ..face(bb(0., 0., 1., 1.)) }];
    truth.push(Annotation { ignored: true, ..face(bb(200., 200., 400., 400.)) });
    let config = MiningConfig::default();
    let on_ellipse = detection(bb(0., 0., 60., 80.), 0.9);
    let in_crowd = detection(bb(250., 250., 280., 280.), 0.9);
    let beside = detection(bb(500., 500., 540., 540.), 0.9);
    let mined = mine_image(&[on_ellipse, in_crowd, beside], &truth, &config);
    assert_eq!(mined.len(), 1);
    assert_eq!(mined[0].bbox, beside.bbox);
}

#[test]
fn low_scores_and_broken_boxes_are_not_mined() {
    let detections = [
        detection(bb(0., 0., 9., 9.), 0.04),
        detection(bb(0., 0., 0., 9.), 0.9),
        detection(bb(0., 0., f64::NAN, 9.), 0.9),
        detection(bb(0., 0., 9., 9.), f32::NAN),
    ];
    assert!(mine_image(&detections, &[], &MiningConfig::default()).is_empty());
}

fn groupable(image: i64, b: BoundingBox, hash: u64) -> Groupable<'static> {
    Groupable {
        class: ClassId::ONLY,
        kind: FalsePositiveKind::Background,
        image: ImageId(image),
        camera: image as u32,
        bbox: b,
        hash: Some(hash),
        placement: None,
        feature: None,
    }
}

fn members(groups: &[Group]) -> Vec<&[usize]> {
    groups.iter().map(|group| group.members.as_slice()).collect()
}

#[test]
fn candidates_are_grouped_by_region_and_by_look_and_never_by_way_of_a_third() {
    let (here, near, there) = (bb(0., 0., 10., 10.), bb(1., 0., 11., 10.), bb(50., 0., 60., 10.));
    let far = 0xffff_0000_0000_0000;
    let items = [
        groupable(1, here, 0),
        groupable(1, near, far),
        groupable(2, here, u64::MAX),
        groupable(2, there, 0xff),
        groupable(3, here, 0b111),
        groupable(3, there, 0b1_1111),
        Groupable { hash: None, ..groupable(4, here, 0) },
        // Similar to the second, which is similar to the first; not similar to the first.
        groupable(5, here, far | 1),
        Groupable { kind: FalsePositiveKind::Localisation, ..groupable(1, here, 0) },
        Groupable { class: ClassId(2), ..groupable(1, here, 0) },
    ];
    let check = |most_distance, expected: &[&[usize]]| {
        let groups = group_alike(&items, &GroupConfig { most_distance, ..GroupConfig::default() });
        assert_eq!(members(&groups), expected, "distance {most_distance}");
    };
    check(0, &[&[0, 1]]);
    check(3, &[&[0, 1, 4], &[3, 5]]);
    check(5, &[&[0, 1, 4], &[3, 5]]);
    check(8, &[&[0, 1, 3, 4, 5]]);
    assert!(group_alike(&[], &GroupConfig::default()).is_empty());
}

#[test]
fn one_thing_at_one_place_in_many_images_of_a_camera_is_one_group() {
    let camera = |image: i64, x: f64, flipped: u32| Groupable {
        camera: 7,
        // Two hashes differ in up to twice as many bits.
        hash: Some(((1_u64 << flipped) - 1) << (image * 7 % 40)),
        ..groupable(image, bb(x, 40., x + 40., 90.), 0)
    };
    let rock = |images: i64, flipped: u32| -> Vec<Groupable> {
        (0..images).map(|image| camera(image, 100. + f64::from(image as i32 % 3), flipped)).collect()
    };
    let places = |items: &[Groupable]| {
        let groups = group_alike(items, &GroupConfig { most_distance: 2, ..GroupConfig::default() });
        groups.iter().filter(|group| group.by_place).map(|group| group.members.len()).collect::<Vec<_>>()
    };
    assert_eq!(places(&rock(9, 5)), [9], "the look alone would not do");
    assert_eq!(places(&rock(4, 5)), Vec::<usize>::new(), "on few images it may be chance");
    assert_eq!(places(&rock(9, 20)), Vec::<usize>::new(), "other things come by at one place");
    let mut moved = rock(9, 5);
    moved.iter_mut().enumerate().for_each(|(k, item)| {
        let (dx, b) = (k as f64 * 60., item.bbox);
        item.bbox = BoundingBox::new(b.x1 + dx, b.y1, b.x2 + dx, b.y2);
    });
    assert_eq!(places(&moved), Vec::<usize>::new(), "at other places");
    let mut cameras = rock(9, 5);
    cameras.iter_mut().enumerate().for_each(|(k, item)| item.camera = k as u32 % 3);
    assert_eq!(places(&cameras), Vec::<usize>::new(), "of other cameras");
    let mut one_image = rock(9, 5);
    for item in &mut one_image {
        item.image = ImageId(1);
    }
    assert_eq!(places(&one_image), Vec::<usize>::new(), "in one image");
    assert_eq!(places(&rock(2 * GROUP_MAX as i64 + 9, 5)), [GROUP_MAX, GROUP_MAX, 9]);
}

#[test]
fn badly_localised_boxes_are_grouped_by_how_they_miss_their_objects() {
    let missed = |image: i64, (x, y, w, h): (f64, f64, f64, f64), hash: u64| Groupable {
        kind: FalsePositiveKind::Localisation,
        placement: bb(x, y, x + w, y + h).in_frame_of(&bb(0., 0., 100., 200.)),
        ..groupable(image, bb(x, y, x + w, y + h), hash)
    };
    let items = [
        // The upper half, in three images of different things.
        missed(1, (0., 0., 100., 100.), 0),
        missed(2, (5., -5., 100., 100.), u64::MAX),
        missed(3, (0., 0., 90., 110.), 0xffff_0000),
        // Mirrored, the left and the right half.
        missed(8, (-50., 0., 100., 200.), 5 << 20),
        missed(9, (50., 0., 100., 200.), 7 << 40),
        // All of it, far too large, and something else that looks like the first.
        missed(4, (-60., -100., 220., 440.), 0),
        missed(5, (-60., -90., 220., 440.), 0xff00_ff00),
        // Where the object is unknown, the crop decides.
        Groupable { placement: None, ..missed(6, (0., 0., 100., 100.), 0) },
        Groupable { placement: None, ..missed(7, (9., 9., 30., 30.), 1) },
    ];
    assert_eq!(members(&group_alike(&items, &GroupConfig::default())), [&[0, 1, 2][..], &[3, 4], &[5, 6], &[7, 8]]);
}

#[test]
fn a_full_group_is_split() {
    let items: Vec<Groupable> =
        (0..=2 * GROUP_MAX as i64).map(|image| groupable(image, bb(0., 0., 9., 9.), 5)).collect();
    let groups = group_alike(&items, &GroupConfig::default());
    assert_eq!(groups.iter().map(|group| group.members.len()).collect::<Vec<_>>(), [GROUP_MAX, GROUP_MAX]);
}

/// Hashes in families some bits apart, overlapping boxes, two classes, features in families; some badly localised.
fn mixed(seeds: &[u64], features: &[RoiFeature]) -> Vec<Groupable<'static>> {
    // Features outlive a test.
    let features: &'static [RoiFeature] = Box::leak(features.to_vec().into_boxed_slice());
    let item = |seed: &u64| {
        let at = |shift: u32, of: u64| (seed >> shift) % of;
        let x = at(0, 12) as f64 * 2.0;
        let placement = (at(54, 3) == 0)
            .then(|| BoundingBox::from_xywh(at(56, 8) as f64 * 0.06, 0., 1.0 + at(59, 4) as f64 * 0.1, 1.0));
        Groupable {
            kind: if placement.is_some() { FalsePositiveKind::Localisation } else { FalsePositiveKind::Background },
            placement,
            class: ClassId(at(8, 2) as i64 + 1),
            image: ImageId(at(12, 6) as i64),
            camera: at(12, 6) as u32,
            hash: (at(20, 10) > 0).then(|| (at(24, 3) * 0x5555_0000_ffff) | ((1 << at(28, 12)) - 1)),
            feature: (at(40, 3) > 0).then(|| {
                let space = FeatureSpace::Round(RoundId(at(44, 2) as i64));
                (space, &features[at(48, features.len() as u64) as usize])
            }),
            ..groupable(1, bb(x, 0., x + 10., 10.), 0)
        }
    };
    seeds.iter().map(item).collect()
}

fn waves() -> Vec<RoiFeature> {
    let wave =
        |k: usize| std::array::from_fn::<f32, ROI_FEATURE_LENGTH, _>(|d| (d as f32 * 0.7 + k as f32 * 0.15).sin());
    (0..20).map(|k| RoiFeature::of(&wave(k)).unwrap()).collect()
}

fn is_similar(a: &Groupable, b: &Groupable, config: &GroupConfig) -> bool {
    let region = a.image == b.image && a.bbox.iou(&b.bbox) >= config.least_iou;
    let look = a.hash.zip(b.hash).is_some_and(|(a, b)| (a ^ b).count_ones() <= config.most_distance);
    let feature = a.feature.zip(b.feature).is_some_and(|((space, a), (other, b))| {
        space == other && config.least_cosine.is_some_and(|least| a.cosine(b) >= least)
    });
    let placed = a
        .placement
        .zip(b.placement)
        .is_some_and(|(a, b)| a.iou(&b).max(a.iou(&b.mirrored_at(0.5))) >= GroupConfig::PLACEMENT_IOU);
    let crops = a.placement.is_none() && b.placement.is_none() && (look || feature);
    a.class == b.class && a.kind == b.kind && (region || placed || crops)
}

fn check_groups(items: &[Groupable], groups: &[Group], config: &GroupConfig) {
    let mut leads: Vec<bool> = vec![true; items.len()];
    for group in groups {
        assert!(group.members.len() > 1 && group.members.is_sorted() && !group.by_place);
        for member in &group.members[1..] {
            assert!(is_similar(&items[group.members[0]], &items[*member], config), "{group:?}");
            assert!(std::mem::replace(&mut leads[*member], false), "{member} is in two groups");
        }
    }
    let leaders: Vec<usize> = (0..items.len()).filter(|at| leads[*at]).collect();
    for (k, a) in leaders.iter().enumerate() {
        for b in &leaders[k + 1..] {
            assert!(!is_similar(&items[*a], &items[*b], config), "{a} and {b} could be one group");
        }
    }
}

fn boxes(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<BoundingBox>> {
    // A coarse grid, so that equal boxes and exact thresholds occur.
    let one = (0..12_i32, 0..12_i32, 1..8_i32, 1..8_i32);
    proptest::collection::vec(
        one.prop_map(|(x, y, w, h)| BoundingBox::from_xywh(x.into(), y.into(), w.into(), h.into())),
        count,
    )
}

/// The definition, literally: area by area, face by face.
fn oracle(b: &BoundingBox, truth: &[BoundingBox]) -> f64 {
    let overlap = |g: &BoundingBox| {
        let w = (b.x2.min(g.x2) - b.x1.max(g.x1)).max(0.0);
        let h = (b.y2.min(g.y2) - b.y1.max(g.y1)).max(0.0);
        let inter = w * h;
        inter / ((b.x2 - b.x1) * (b.y2 - b.y1) + (g.x2 - g.x1) * (g.y2 - g.y1) - inter)
    };
    truth.iter().map(overlap).fold(0.0, f64::max)
}

proptest! {
    #[test]
    fn mining_agrees_with_the_definition(found in boxes(0..20), truth in boxes(0..6), scores in proptest::collection::vec(0..10_u8, 20)) {
        let detections: Vec<Detection> = found.iter().zip(&scores).map(|(b, s)| detection(*b, f32::from(*s) / 10.0)).collect();
        let faces: Vec<Annotation> = truth.iter().copied().map(face).collect();
        let mined = mine_image(&detections, &faces, &MiningConfig::default());
        let mut expected: Vec<(f32, f64)> = detections.iter()
            .filter(|d| d.score >= 0.05)
            .map(|d| (d.score, oracle(&d.bbox, &truth)))
            .filter(|(_, iou)| *iou < 0.5)
            .collect();
        expected.sort_by(|a, b| b.0.total_cmp(&a.0));
        let got: Vec<(f32, f64)> = mined.iter().map(|c| (c.score, c.max_iou)).collect();
        prop_assert_eq!(got.len(), expected.len());
        for (g, e) in got.iter().zip(&expected) {
            prop_assert_eq!(g.0, e.0);
            prop_assert!((g.1 - e.1).abs() < 1e-12);
        }
        for c in &mined {
            let expected = if c.max_iou <= 0.1 { FalsePositiveKind::Background } else { FalsePositiveKind::Localisation };
            prop_assert_eq!(c.kind, expected);
        }
    }

    #[test]
    fn each_face_is_matched_once_and_every_overlap_is_explained(found in boxes(0..20), truth in boxes(0..6)) {
        let detections: Vec<Detection> = found.iter().enumerate().map(|(k, b)| detection(*b, 1.0 - k as f32 / 40.0)).collect();
        let faces: Vec<Annotation> = truth.iter().copied().map(face).collect();
        let classes = classify(&detections, &faces, &MiningConfig::default());
        let mut taken = vec![false; faces.len()];
        for (d, class) in detections.iter().zip(&classes) {
            let max_iou = oracle(&d.bbox, &truth);
            match class {
                DetectionClass::Match(k) => {
                    prop_assert!(!std::mem::replace(&mut taken[*k], true), "face {} matched twice", k);
                    prop_assert!(d.bbox.iou(&truth[*k]) >= 0.5);
                }
                DetectionClass::FalsePositive { kind: FalsePositiveKind::Duplicate, .. } => prop_assert!(max_iou >= 0.5),
                DetectionClass::FalsePositive { .. } => prop_assert!(max_iou < 0.5),
                DetectionClass::Ignored => prop_assert!(false, "nothing is ignored here"),
            }
        }
    }

    #[test]
    fn every_member_is_like_the_best_of_its_group_however_the_candidates_came(
        seeds in proptest::collection::vec(any::<u64>(), 0..90), most in 0..9_u32, cosine in proptest::option::of(0.9..1.0_f32),
        came in proptest::collection::vec(0..3_u8, 90),
    ) {
        let config = GroupConfig { most_distance: most, least_cosine: cosine, ..GroupConfig::default() };
        let items = mixed(&seeds, &waves());
        let at_once = group_alike(&items, &config);
        check_groups(&items, &at_once, &config);
        // Three times some more are added, of any rank.
        let mut known: Vec<Option<usize>> = vec![None; items.len()];
        for last in 0..3 {
            let here: Vec<usize> = (0..items.len()).filter(|at| came[*at] <= last).collect();
            let own: Vec<Groupable> = here.iter().map(|at| items[*at]).collect();
            let place = |at: usize| here.binary_search(&at).ok();
            let own_known: Vec<Option<usize>> = here.iter().map(|at| known[*at].and_then(place)).collect();
            let groups = regroup(&own, &config, &own_known);
            check_groups(&own, &groups, &config);
            for at in &here {
                known[*at] = Some(*at);
            }
            for group in &groups {
                group.members.iter().for_each(|at| known[here[*at]] = Some(here[group.members[0]]));
            }
        }
        // Unchanged candidates stay as they are.
        let again = regroup(&items, &config, &known);
        prop_assert_eq!(again.iter().map(|group| group.members.len()).sum::<usize>(), known.iter().enumerate().filter(|(at, leader)| {
            leader.is_some_and(|leader| leader != *at || known.iter().enumerate().any(|(other, l)| other != *at && *l == Some(*at)))
        }).count());
    }
}
