//! Tests the curves' state without a window.

use super::*;
use crate::evaluation::{CurvePoint, RocPoint};

fn curve(points: &[(f64, u64, f64)]) -> RocCurve {
    let point = |&(threshold, false_positives, discrete): &(f64, u64, f64)| RocPoint {
        threshold,
        false_positives,
        discrete,
        continuous: discrete * 0.8,
    };
    RocCurve { faces: 10, points: points.iter().map(point).collect(), unreadable: 0 }
}

fn key(round: u32) -> CurveKey {
    CurveKey::new(round, "rectangle")
}

fn imported(name: &str, points: &[(f64, f64)]) -> Published {
    let point = |&(false_positives, rate): &(f64, f64)| CurvePoint { false_positives, rate, threshold: None };
    let curve = PlotCurve::new(points.iter().map(point).collect());
    Published {
        name: name.to_owned(),
        notes: String::new(),
        discrete: curve.clone(),
        continuous: curve,
        shown: true,
        imported: true,
        number: 0,
    }
}

#[test]
fn a_line_runs_from_few_to_many_with_the_best_rate_of_each() {
    let mut model = CurvesModel::default();
    model.put(key(1), 100, curve(&[(0.1, 5, 9.0), (0.5, 1, 8.0), (0.7, 0, 6.0), (0.9, 0, 3.0)]));
    let line = &model.lines(ScoreKind::Discrete)[0].curve;
    let rates: Vec<_> = line.points.iter().map(|p| (p.false_positives, p.rate)).collect();
    assert_eq!(rates, [(0.0, 0.6), (1.0, 0.8), (5.0, 0.9)]);
    assert_eq!(line.points[0].threshold, Some(0.7));
    assert!((model.lines(ScoreKind::Continuous)[0].curve.points[2].rate - 0.72).abs() < 1e-12);
    assert_eq!(model.rates(&key(1))[0].0, 0.9);
}

/// A running round: its curve grows with every evaluation, earlier ones fade behind it, and no earlier curve covers a newest line.
#[test]
fn a_running_round_grows_and_its_past_lies_behind_all_newest_lines() {
    let mut model = CurvesModel::default();
    model.put(key(1), 900, curve(&[(0.5, 1, 6.0)]));
    model.set_running(Some(2));
    for (step, hits) in [(100, 3.0), (200, 5.0), (300, 7.0)] {
        model.put(key(2), step, curve(&[(0.5, 1, hits)]));
        assert_eq!(model.newest(&key(2)).map(|n| (n.0, n.1.points[0].discrete)), Some((step, hits)));
        assert_eq!(model.rates(&key(2))[0].0, hits / 10.0);
    }
    let order: Vec<_> = model.lines(ScoreKind::Discrete).iter().map(|l| (l.key.round, l.step, l.age)).collect();
    assert_eq!(order, [(2, 100, 2), (2, 200, 1), (1, 900, 0), (2, 300, 0)]);
    assert!(model.is_running(&key(2)) && !model.is_running(&key(1)));
    // A repeated step is replaced.
    model.put(key(2), 300, curve(&[(0.5, 1, 8.0)]));
    assert_eq!(model.lines(ScoreKind::Discrete).len(), 4);
    assert_eq!(model.rates(&key(2))[0].0, 0.8);
}

#[test]
fn hidden_curves_are_gone() {
    let mut model = CurvesModel::default();
    model.put_all([(key(1), 1, curve(&[(0.5, 1, 5.0)])), (key(2), 1, curve(&[(0.5, 1, 7.0)]))]);
    model.toggle(&key(1));
    assert_eq!((model.lines(ScoreKind::Discrete).len(), model.shown().count()), (1, 1));
    model.toggle(&key(2));
    assert!(!model.shows_anything() && !model.is_empty());
    model.put_imported(imported("A", &[(1.0, 0.5)]));
    assert!(model.shows_anything());
}

#[test]
fn folds_are_hidden_until_asked_for_and_their_spread_is_told() {
    let mut model = CurvesModel::default();
    let fold = |n: u8| key(1).of_fold(n);
    model.put(key(1), 1, curve(&[(0.5, 10, 7.0)]));
    model.put(fold(10), 1, curve(&[(0.5, 5, 8.0)]));
    model.put(fold(9), 1, curve(&[(0.5, 5, 6.0)]));
    assert_eq!(model.shown().count(), 1);
    assert_eq!(model.folds_of(&key(1)), [fold(9), fold(10)]);
    model.toggle(&fold(9));
    let lines: Vec<_> = model.lines(ScoreKind::Discrete).iter().map(|line| line.key.fold()).collect();
    assert_eq!(lines, [Some(9), None], "the pooled curve over its folds");
    let spread = model.spread(&key(1));
    assert_eq!((spread[0].discrete.lowest, spread[0].discrete.highest), (0.6, 0.8));
    assert_eq!((spread[0].false_positives, spread.len()), (TABLE_AT[0], TABLE_AT.len()));
    assert!(model.spread(&fold(9)).is_empty());
}

#[test]
fn a_cross_validation_stands_beside_the_rounds_and_is_replaced_whole() {
    let mut model = CurvesModel::default();
    let run = |title: &str| CurveKey { run: Some(title.to_owned()), ..key(1) };
    model.put(key(1), 1, curve(&[(0.5, 1, 5.0)]));
    let some = [run("2 of 10 folds"), run("2 of 10 folds").of_fold(1), run("2 of 10 folds").of_fold(2)];
    model.set_runs(some.map(|key| (key, curve(&[(0.5, 1, 6.0)]))));
    assert_eq!((model.shown().count(), model.spread(&run("2 of 10 folds")).len()), (2, TABLE_AT.len()));
    model.set_runs([(run("Ten-fold"), curve(&[(0.5, 1, 7.0)]))]);
    assert_eq!(model.keys().cloned().collect::<Vec<_>>(), [key(1), run("Ten-fold")]);
    model.set_running(Some(1));
    assert!(!model.is_running(&run("Ten-fold")));
}

#[test]
fn only_the_newest_evaluation_is_kept_whole() {
    let long: Vec<_> = (0..50_000u64).rev().map(|n| (1.0 - n as f64 / 50_000.0, n, n as f64 / 5e4)).collect();
    let mut model = CurvesModel::default();
    for step in [1, 2] {
        model.put(key(1), step, curve(&long));
    }
    let kept: Vec<usize> = model.curves[&key(1)].values().map(|e| e.curve.points.len()).collect();
    assert!(kept[0] <= LINE_POINTS_MAX + 10 && kept[1] == 50_000, "{kept:?}");
    let points = &model.lines(ScoreKind::Discrete)[1].curve.points;
    assert!(points.len() <= LINE_POINTS_MAX + 10, "{}", points.len());
    assert_eq!((points[0].false_positives, points.last().unwrap().false_positives), (0.0, 49_999.0));
}

#[test]
fn the_nearest_point_is_read_out_only_within_reach_and_of_others_too() {
    let mut model = CurvesModel::default();
    model.put(key(1), 1, curve(&[(0.2, 100, 9.0), (0.8, 10, 5.0)]));
    let to = |place: f64| move |false_positives: f64, _: f64| (false_positives - place).abs() as f32;
    let readout = model.nearest(ScoreKind::Discrete, to(12.0), 5.0).unwrap();
    assert_eq!((readout.name.as_str(), readout.review_from()), ("Round 1, rectangle", Some(0.8)));
    assert!(model.nearest(ScoreKind::Discrete, to(12.0), 1.0).is_none());
    model.put_imported(imported("Theirs", &[(50.0, 0.7), (60.0, 0.8)]));
    let readout = model.nearest(ScoreKind::Discrete, to(58.0), 5.0).unwrap();
    assert_eq!((readout.name.as_str(), readout.point.rate, readout.review_from()), ("Theirs", 0.8, None));
    model.published[0].shown = false;
    assert!(model.nearest(ScoreKind::Discrete, to(58.0), 5.0).is_none());
}

/// False positives may fall when a detection is added: the nearest point is found by position, not by order.
#[test]
fn a_curve_that_runs_back_is_read_out_where_the_pointer_is() {
    let mut model = CurvesModel::default();
    model.put(key(1), 1, curve(&[(0.1, 5, 9.0), (0.2, 2, 8.0), (0.3, 3, 6.0), (0.4, 0, 1.0)]));
    let to = |place: f64| move |false_positives: f64, _: f64| (false_positives - place).abs() as f32;
    for (place, threshold) in [(2.1, 0.2), (2.9, 0.3), (4.6, 0.1)] {
        let readout = model.nearest(ScoreKind::Discrete, to(place), 1.0).unwrap();
        assert_eq!(readout.review_from(), Some(threshold), "{place}");
    }
}

#[test]
fn others_keep_their_styles_and_tell_only_what_they_know() {
    let mut model = CurvesModel::default();
    model.put_imported(imported("first", &[(0.0, 0.5), (100.0, 0.8)]));
    let style = model.published[0].style();
    model.put_imported(imported("second", &[(0.0, 0.5)]));
    model.put_imported(imported("first", &[(0.0, 0.4), (100.0, 0.8)]));
    let of = |name: &str| model.published.iter().find(|p| p.name == name).unwrap();
    assert_eq!((of("first").style(), model.published.len()), (style, 2));
    assert_ne!(of("second").style().dash, style.dash);
    assert_eq!(of("first").rate_at(ScoreKind::Discrete, 50), Some(0.4));
    let reference = Published { imported: false, ..of("first").clone() };
    assert_eq!([50, 100].map(|at| reference.rate_at(ScoreKind::Discrete, at)), [None, Some(0.8)]);
}

#[test]
fn rates_begin_below_the_lowest_newest_curve_unless_from_zero() {
    let mut model = CurvesModel::default();
    model.put(key(1), 1, curve(&[(0.5, 0, 1.0)]));
    model.put(key(1), 2, curve(&[(0.1, 9, 9.0), (0.5, 0, 8.5)]));
    assert!((model.rate_axis(ScoreKind::Discrete).low - 0.8).abs() < 1e-9);
    model.put_imported(imported("low", &[(0.0, 0.33)]));
    assert!((model.rate_axis(ScoreKind::Discrete).low - 0.3).abs() < 1e-9);
    model.from_zero = true;
    assert_eq!(model.rate_axis(ScoreKind::Discrete), RateAxis::FROM_ZERO);
}

#[test]
fn the_newest_average_precision_of_a_round_is_kept() {
    let mut model = CurvesModel::default();
    let ap = |ap| AveragePrecision::from_values([Some(ap), None, None, None, None, None]);
    for (step, value) in [(200, 0.5), (100, 0.25)] {
        model.put_precision(1, step, ap(value));
    }
    assert_eq!(model.precision().collect::<Vec<_>>(), [(1, ap(0.5))]);
}
