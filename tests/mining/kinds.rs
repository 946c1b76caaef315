//! Kinds of candidates and their groups: against a brute-force oracle, and on images whose answer is known.

use proptest::prelude::*;
use quarry::domain::{
    Annotation, AnnotationSource, ClassId, Detection, FalsePositiveKind, ImageId, Look, RoundId, Shape,
};
use quarry::geometry::{BoundingBox, Ellipse};
use quarry::mining::{
    DetectionClass, GroupConfig, Groupable, MiningConfig, classify, count_duplicates, group_alike, group_boxes,
    mine_image,
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
    // IoU exactly 0.5 holds a face.
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

fn groupable(image: i64, b: BoundingBox, content: u8, perceptual: u64) -> Groupable {
    let look = Some(Look { content: [content; 32], perceptual });
    Groupable { round: RoundId(1), image: ImageId(image), bbox: b, look, feature: None }
}

#[test]
fn candidates_are_grouped_by_region_then_content_then_look() {
    let (here, near, there) = (bb(0., 0., 10., 10.), bb(1., 0., 11., 10.), bb(50., 0., 60., 10.));
    let far = 0xffff_0000_0000_0000;
    let items = [
        groupable(1, here, 1, 0),
        groupable(1, near, 2, far),
        groupable(2, here, 3, u64::MAX),
        groupable(2, there, 1, 0xff),
        groupable(3, here, 4, 0b111),
        groupable(3, there, 5, 0b1_1111),
        Groupable { look: None, ..groupable(4, here, 6, 0) },
    ];
    let check = |most_distance, expected: &[&[usize]]| {
        let groups = group_alike(&items, &GroupConfig { most_distance, ..GroupConfig::default() });
        assert_eq!(groups, expected, "distance {most_distance}");
    };
    check(0, &[&[0, 1, 3], &[2], &[4], &[5], &[6]]);
    check(3, &[&[0, 1, 3, 4], &[2], &[5], &[6]]);
    check(5, &[&[0, 1, 3, 4, 5], &[2], &[6]]);
    assert!(group_alike(&[], &GroupConfig::default()).is_empty());
}

fn boxes(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<BoundingBox>> {
    // A coarse grid, so that equal boxes and exact thresholds come up.
    let one = (0..12_i32, 0..12_i32, 1..8_i32, 1..8_i32);
    proptest::collection::vec(
        one.prop_map(|(x, y, w, h)| BoundingBox::from_xywh(x.into(), y.into(), w.into(), h.into())),
        count,
    )
}

/// The definition, spelled out: area by area, face by face.
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
    fn groups_hold_what_overlaps_their_leader(found in boxes(0..20)) {
        let groups = group_boxes(&found, 0.5);
        let mut leaders: Vec<usize> = Vec::new();
        for (at, group) in groups.iter().enumerate() {
            prop_assert!(*group <= leaders.len());
            if *group == leaders.len() {
                for leader in &leaders {
                    prop_assert!(found[*leader].iou(&found[at]) < 0.5, "a leader overlaps one before it");
                }
                leaders.push(at);
            } else {
                prop_assert!(found[leaders[*group]].iou(&found[at]) >= 0.5);
            }
        }
    }

    #[test]
    fn looks_are_grouped_as_the_plain_search_would(bits in proptest::collection::vec(0..64_u32, 0..60), most in 0..17_u32) {
        // Hashes some bits apart from each other, each on an image of its own.
        let hash = |k: usize| bits[..k].iter().fold(0_u64, |hash, bit| hash ^ 1 << bit);
        let hashes: Vec<u64> = (0..bits.len()).map(|k| hash(k * 7 % bits.len().max(1))).collect();
        let items: Vec<Groupable> =
            hashes.iter().enumerate().map(|(k, h)| groupable(k as i64, bb(0., 0., 9., 9.), k as u8, *h)).collect();
        let mut expected: Vec<Vec<usize>> = Vec::new();
        for (at, h) in hashes.iter().enumerate() {
            match expected.iter_mut().find(|group| (hashes[group[0]] ^ h).count_ones() <= most) {
                Some(group) => group.push(at),
                None => expected.push(vec![at]),
            }
        }
        let config = GroupConfig { most_distance: most, ..GroupConfig::default() };
        prop_assert_eq!(group_alike(&items, &config), expected);
    }
}
