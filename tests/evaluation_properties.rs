//! The fast evaluation against a plain brute-force oracle written from the specification: masks as byte images, every threshold matched
//! from scratch, the solver with full tables.
#![allow(clippy::needless_range_loop, reason = "the oracle is written as the specification writes it")]

use proptest::prelude::*;
use quarry::evaluation::{EvaluatedImage, Matching, PixelSet, Region, ScoredRegion, match_image, merge, roc};

const EPS: f64 = 1e-15;

fn grow(i: usize, j: usize, tight: &[Vec<bool>], star: &mut [Option<usize>], seen: &mut [bool]) -> bool {
    seen[i] = true;
    if let Some(c) = star[i]
        && !(0..star.len()).any(|k| !seen[k] && tight[k][c] && grow(k, c, tight, star, seen))
    {
        return false;
    }
    star[i] = Some(j);
    true
}

/// Section 7 of the specification, literally, on a full table.
fn oracle_solver(r: &[Vec<f64>]) -> Vec<usize> {
    let (m, n) = (r.len(), r[0].len());
    let rowmax: Vec<f64> = r.iter().map(|row| row.iter().fold(0.0, |a: f64, &b| a.max(b))).collect();
    let colmax: Vec<f64> = (0..n).map(|j| r.iter().fold(0.0, |a: f64, row| a.max(row[j]))).collect();
    let sum = |v: &[f64]| v.iter().fold(0.0, |a, b| a + b);
    let by_rows = sum(&rowmax) <= sum(&colmax);
    let (mut u, mut v) = if by_rows { (rowmax, vec![0.0; n]) } else { (vec![0.0; m], colmax) };
    let table = |u: &[f64], v: &[f64]| -> Vec<Vec<bool>> {
        (0..m).map(|i| (0..n).map(|j| ((u[i] + v[j]) - r[i][j]).abs() < EPS).collect()).collect()
    };
    let mut tight = table(&u, &v);
    let mut star = vec![None; m];
    let starred = |star: &[Option<usize>], j: usize| star.contains(&Some(j));
    if by_rows {
        for i in 0..m {
            star[i] = (0..n).find(|&j| tight[i][j] && !starred(&star, j));
        }
    } else {
        for j in 0..n {
            if let Some(i) = (0..m).find(|&i| tight[i][j] && star[i].is_none()) {
                star[i] = Some(j);
            }
        }
    }
    for _ in 0..10_000 {
        let mut seen = vec![false; m];
        let mut grown = false;
        'search: for j in 0..n {
            if starred(&star, j) {
                continue;
            }
            for i in 0..m {
                if tight[i][j] && !seen[i] && grow(i, j, &tight, &mut star, &mut seen) {
                    grown = true;
                    break 'search;
                }
            }
        }
        if grown {
            continue;
        }
        let essential: Vec<bool> = (0..n).map(|j| (0..m).any(|i| star[i] == Some(j) && !seen[i])).collect();
        let mut d = 0.0_f64;
        for i in (0..m).filter(|&i| !seen[i]) {
            for j in (0..n).filter(|&j| !essential[j]) {
                let t = (u[i] + v[j]) - r[i][j];
                if d.abs() < EPS || (t > -EPS && t < d) {
                    d = t;
                }
            }
        }
        if d.abs() < EPS {
            return star.into_iter().map(|s| s.expect("all rows are starred")).collect();
        }
        if (0..m).any(|i| !seen[i] && u[i] == 0.0) {
            let q = (0..n).filter(|&j| !essential[j]).fold(d, |q, j| q.min(v[j]));
            (0..m).filter(|&i| seen[i]).for_each(|i| u[i] += q);
            (0..n).filter(|&j| !essential[j]).for_each(|j| v[j] -= q);
        } else {
            let q = (0..m).filter(|&i| !seen[i]).fold(d, |q, i| q.min(u[i]));
            (0..m).filter(|&i| !seen[i]).for_each(|i| u[i] -= q);
            (0..n).filter(|&j| essential[j]).for_each(|j| v[j] += q);
        }
        tight = table(&u, &v);
        for i in 0..m {
            star[i] = star[i].filter(|&j| tight[i][j]);
        }
    }
    panic!("the solver does not end");
}

/// `(threshold, true positives, false positives, continuous)` by ascending threshold.
fn oracle_image(image: &EvaluatedImage) -> Vec<(f64, u64, u64, f64)> {
    if image.detections.is_empty() {
        return vec![(f64::MAX, 0, 0, 0.0)];
    }
    let mask = |region| PixelSet::paint(region, image.width, image.height).mask(image.width, image.height);
    let faces: Vec<Vec<u8>> = image.faces.iter().map(mask).collect();
    let masks: Vec<Vec<u8>> = image.detections.iter().map(|d| mask(&d.region)).collect();
    let iou = |a: &[u8], b: &[u8]| {
        let (mut and, mut or) = (0_u64, 0_u64);
        for (p, q) in a.iter().zip(b) {
            and += u64::from(p & q);
            or += u64::from(p | q);
        }
        if or == 0 { 0.0 } else { and as f64 / or as f64 }
    };
    let all: Vec<Vec<f64>> = faces.iter().map(|f| masks.iter().map(|d| iou(f, d)).collect()).collect();
    let mut thresholds: Vec<f64> = image.detections.iter().map(|d| d.score).collect();
    thresholds.sort_by(f64::total_cmp);
    thresholds.dedup();
    let at = |&t: &f64| {
        let valid: Vec<usize> = (0..masks.len()).filter(|&d| image.detections[d].score >= t).collect();
        let rows: Vec<usize> = (0..faces.len()).filter(|&f| valid.iter().any(|&d| all[f][d] != 0.0)).collect();
        let columns: Vec<usize> = valid.iter().copied().filter(|&d| all.iter().any(|f| f[d] != 0.0)).collect();
        let (mut tp, mut sum) = (0, 0.0);
        if !rows.is_empty() {
            let r: Vec<Vec<f64>> = if rows.len() <= columns.len() {
                rows.iter().map(|&f| columns.iter().map(|&d| all[f][d]).collect()).collect()
            } else {
                columns.iter().map(|&d| rows.iter().map(|&f| all[f][d]).collect()).collect()
            };
            for (i, j) in oracle_solver(&r).into_iter().enumerate() {
                sum += r[i][j];
                tp += u64::from(r[i][j] > 0.5);
            }
        }
        (t, tp, valid.len() as u64 - tp, sum)
    };
    thresholds.iter().map(at).collect()
}

const SIDE: u32 = 40;

/// Coordinates from a coarse grid, so that equal boxes, equal overlaps and clipped regions are frequent.
fn face() -> impl Strategy<Value = Region> {
    (0..12u8, 0..12u8, 0..4u8, -1..11i8, -1..11i8).prop_map(|(ra, rb, theta, cx, cy)| Region::Ellipse {
        ra: f64::from(ra) * 1.7,
        rb: f64::from(rb) * 1.3,
        theta: f64::from(theta) * 0.7 - 1.0,
        cx: f64::from(cx) * 4.0,
        cy: f64::from(cy) * 4.0,
    })
}

fn detection() -> impl Strategy<Value = ScoredRegion> {
    let rectangle = (-2..10i8, -2..10i8, 0..7u8, 0..7u8).prop_map(|(x, y, w, h)| Region::Rectangle {
        x: f64::from(x) * 4.0,
        y: f64::from(y) * 4.0,
        w: f64::from(w) * 4.5,
        h: f64::from(h) * 4.5,
    });
    let region = prop_oneof![4 => rectangle, 1 => face()];
    (region, 0..8u8).prop_map(|(region, score)| ScoredRegion { region, score: f64::from(score) / 8.0 })
}

fn image(faces: usize, detections: std::ops::Range<usize>) -> impl Strategy<Value = EvaluatedImage> {
    (prop::collection::vec(face(), 0..=faces), prop::collection::vec(detection(), detections)).prop_map(
        |(faces, detections)| EvaluatedImage { name: "p".into(), width: SIDE, height: SIDE, faces, detections },
    )
}

/// Nearly identical faces, a few good boxes, and many more detections that touch them by a few pixels: the sum of the faces' best overlaps
/// exceeds the detections', so that the official solver starts from the other cover.
fn specks(detections: std::ops::Range<usize>) -> impl Strategy<Value = EvaluatedImage> {
    let face = (-1..2i8, -1..2i8).prop_map(|(dx, dy)| Region::Ellipse {
        ra: 15.0,
        rb: 12.0,
        theta: 1.5,
        cx: 18.0 + f64::from(dx),
        cy: 20.0 + f64::from(dy),
    });
    let at = |(x, y, w, h): (u8, u8, u8, u8)| {
        let [x, y, w, h] = [x, y, w, h].map(f64::from);
        Region::Rectangle { x, y, w, h }
    };
    let good = (3..8u8, 3..8u8, 20..27u8, 24..32u8).prop_map(at);
    let speck = (5..33u8, 5..35u8, 0..2u8, 0..2u8).prop_map(at);
    // From the right border inwards, over the faces' last pixels.
    let far = (29..33u8, 0..15u8, 15..40u8, 15..25u8).prop_map(at);
    let score = || 0..60u8;
    let scored = |(region, score): (Region, u8)| ScoredRegion { region, score: f64::from(score) };
    let many = prop::collection::vec((prop_oneof![4 => speck, 1 => far], score()).prop_map(scored), detections);
    let few = prop::collection::vec((good, 30..60u8).prop_map(scored), 1..4);
    let together = (many, few, any::<prop::sample::Index>()).prop_map(|(mut all, few, at)| {
        let at = at.index(all.len());
        all.splice(at..at, few);
        all
    });
    (prop::collection::vec(face, 2..6), together).prop_map(|(faces, detections)| EvaluatedImage {
        name: "s".into(),
        width: SIDE,
        height: SIDE,
        faces,
        detections,
    })
}

fn assert_equal_to_oracle(image: &EvaluatedImage) {
    let ours = match_image(image, Matching::Official);
    let ours: Vec<_> =
        ours.steps.iter().map(|s| (s.threshold, s.true_positives, s.false_positives, s.continuous)).collect();
    // Bit equality, not closeness: the curves are compared byte by byte.
    assert_eq!(ours, oracle_image(image));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn small_images_match_the_oracle(image in image(6, 0..14)) {
        assert_equal_to_oracle(&image);
    }

    /// Enough detections over few faces that only the columns that can matter are solved.
    #[test]
    fn wide_images_match_the_oracle(image in image(4, 90..220)) {
        assert_equal_to_oracle(&image);
    }

    /// The same from the other cover.
    #[test]
    fn specks_over_crowded_faces_match_the_oracle(image in specks(70..180)) {
        assert_equal_to_oracle(&image);
    }

    #[test]
    fn curves_are_the_sums_over_images_in_list_order(images in prop::collection::vec(image(3, 0..6), 1..6)) {
        let curve = roc(&images, Matching::Official);
        let each: Vec<_> = images.iter().map(oracle_image).collect();
        let mut thresholds: Vec<f64> = each.iter().flatten().map(|s| s.0).collect();
        thresholds.sort_by(f64::total_cmp);
        thresholds.dedup();
        prop_assert_eq!(curve.points.len(), thresholds.len());
        for (point, t) in curve.points.iter().zip(thresholds) {
            let (mut tp, mut fp, mut sum) = (0, 0, 0.0);
            for steps in &each {
                if let Some(s) = steps.iter().find(|s| s.0 >= t) {
                    (tp, fp, sum) = (tp + s.1, fp + s.2, sum + s.3);
                }
            }
            prop_assert_eq!(
                (point.threshold, point.discrete, point.false_positives, point.continuous), (t, tp as f64, fp, sum)
            );
        }
    }
}

fn wide_image(faces: usize, detections: Vec<ScoredRegion>) -> EvaluatedImage {
    let face = |k: usize| Region::Ellipse { ra: 30.0, rb: 22.0, theta: 1.4, cx: 40.0 + 35.0 * k as f64, cy: 60.0 };
    EvaluatedImage { name: "w".into(), width: 450, height: 450, faces: (0..faces).map(face).collect(), detections }
}

// The following would run for minutes to years if it were slow; `make bench` measures the speed.

#[test]
fn thirteen_identical_boxes_over_eleven_faces_are_quick() {
    let whole = Region::Rectangle { x: 0.0, y: 0.0, w: 449.0, h: 130.0 };
    let boxes = (0..13).map(|k| ScoredRegion { region: whole, score: f64::from(k) }).collect();
    let outcome = match_image(&wide_image(11, boxes), Matching::Official);
    assert_eq!(outcome.steps.len(), 13);
}

#[test]
fn a_hundred_thousand_detections_in_one_image_are_quick() {
    let boxes = (0..100_000_u64).map(|k| {
        let (x, y) = ((k * 7919 % 400) as f64, (k * 104_729 % 120) as f64);
        let region = Region::Rectangle { x, y, w: (20 + k % 31) as f64, h: (25 + k % 37) as f64 };
        ScoredRegion { region, score: (k * 2_654_435_761 % (1 << 32)) as f64 }
    });
    let outcome = match_image(&wide_image(12, boxes.collect()), Matching::Official);
    assert_eq!(outcome.steps.len(), 100_000);
}

/// The worst order: lower scores have better boxes, so that every detection changes the solver's input.
#[test]
fn detections_that_only_get_better_are_quick() {
    let boxes = (0..100_000_u32).map(|k| {
        let face = f64::from(k % 12);
        let grown = f64::from(k / 12) / 8334.0;
        let region = Region::Rectangle { x: 20.0 + 35.0 * face, y: 30.0, w: 1.0 + 36.0 * grown, h: 4.0 + 50.0 * grown };
        ScoredRegion { region, score: -f64::from(k) }
    });
    let outcome = match_image(&wide_image(12, boxes.collect()), Matching::Official);
    assert_eq!(outcome.steps.len(), 100_000);
}

/// `faces` identical large faces, a box over them, then specks of one or two pixels: always from the column cover.
fn crowd_under_specks(faces: usize, specks: u32) -> EvaluatedImage {
    let face = Region::Ellipse { ra: 100.0, rb: 75.0, theta: 0.0, cx: 225.0, cy: 225.0 };
    let over = Region::Rectangle { x: 135.0, y: 160.0, w: 180.0, h: 130.0 };
    let speck = |k: u32| Region::Rectangle {
        x: f64::from(140 + k % 997 * 7919 % 170),
        y: f64::from(165 + k % 991 * 104_729 % 120),
        w: f64::from(u32::from(k.is_multiple_of(50))),
        h: 0.0,
    };
    let specks = (0..specks).map(|k| ScoredRegion { region: speck(k), score: -f64::from(k) });
    let detections = std::iter::once(ScoredRegion { region: over, score: 1.0 }).chain(specks).collect();
    EvaluatedImage { name: "c".into(), width: 450, height: 450, faces: vec![face; faces], detections }
}

#[test]
fn a_crowd_under_specks_matches_the_oracle() {
    let mut small = crowd_under_specks(4, 90);
    assert_equal_to_oracle(&small);
    // The opposite insertion order: each speck comes before its representatives.
    small.detections.iter_mut().for_each(|d| d.score = -d.score);
    assert_equal_to_oracle(&small);
}

#[test]
fn a_hundred_thousand_specks_over_a_crowd_are_quick() {
    for rising in [false, true] {
        let mut image = crowd_under_specks(12, 100_000);
        if rising {
            image.detections.iter_mut().for_each(|d| d.score = d.score.abs());
        }
        let outcome = match_image(&image, Matching::Official);
        assert!(outcome.steps.len() >= 100_000);
    }
}

#[test]
fn a_million_distinct_scores_are_quick() {
    let image = |k: u32| {
        let boxes = (0..1000u32).map(|d| ScoredRegion {
            region: Region::Rectangle { x: f64::from(d % 300), y: f64::from(d % 90), w: 40.0, h: 60.0 },
            score: f64::from(k + 1000 * d),
        });
        wide_image(2, boxes.collect())
    };
    let images: Vec<EvaluatedImage> = (0..1000).map(image).collect();
    let matched = quarry::evaluation::match_images(&images, Matching::Official);
    let curve = merge(&matched);
    assert_eq!((curve.points.len(), curve.faces), (1_000_000, 2000));
}

/// A crowded image: `faces` faces in a grid that overlap their neighbours, and as many boxes shifted by a few pixels.
fn crowd(faces: usize, side: u32, step: f64) -> EvaluatedImage {
    let across = f64::from(side) / step;
    let at = |k: usize| ((k as f64 % across).floor() * step + 10.0, (k as f64 / across).floor() * step + 12.0);
    let face = |k: usize| {
        let (cx, cy) = at(k);
        Region::Ellipse { ra: 14.0 + (k % 7) as f64, rb: 9.0 + (k % 5) as f64, theta: 1.4, cx, cy }
    };
    let found = |k: usize| {
        let (cx, cy) = at(k * 7919 % faces);
        let (dx, dy) = ((k * 31 % 9) as f64 - 4.0, (k * 17 % 9) as f64 - 4.0);
        let region =
            Region::Rectangle { x: cx - 10.0 + dx, y: cy - 14.0 + dy, w: (18 + k % 6) as f64, h: (26 + k % 9) as f64 };
        ScoredRegion { region, score: (k * 2_654_435_761 % (1 << 32)) as f64 }
    };
    EvaluatedImage {
        name: "crowd".into(),
        width: side,
        height: side,
        faces: (0..faces).map(face).collect(),
        detections: (0..faces).map(found).collect(),
    }
}

/// Enough faces and boxes for the solver without a table, and for matching thresholds in parallel.
#[test]
fn a_crowded_picture_matches_the_oracle() {
    assert_equal_to_oracle(&crowd(60, 200, 18.0));
    assert_equal_to_oracle(&crowd(104, 150, 12.0));
}

#[test]
fn six_hundred_faces_under_six_hundred_boxes_are_quick() {
    let outcome = match_image(&crowd(600, 800, 24.0), Matching::Official);
    assert_eq!(outcome.steps.len(), 600);
}
