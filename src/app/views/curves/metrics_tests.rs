//! Tests the metrics' state and tables without a window.

use super::super::metric_tables::{MetricTable, tables};
use super::*;
use crate::app::views::curves::CurvesModel;
use crate::evaluation::{EvaluationSet, SetClass, SetDetection, SetImage, SetObject, Suite, XywhBox};

/// Two classes with two objects each on two images; one detection for each object with a number below `hits`.
fn set(hits: usize) -> EvaluationSet {
    let class = |k: usize| SetClass { id: k as i64, name: ["cat", "dog"][k].to_owned(), listed: true };
    let bbox = |k: usize| XywhBox { x: 100.0 * k as f64, y: 0.0, w: 50.0, h: 50.0 };
    let object = |k: usize| SetObject { class: k % 2, bbox: bbox(k), area: 2500.0, crowd: false, difficult: false };
    let hit = |k: usize| SetDetection { class: k % 2, bbox: bbox(k), score: 0.9 - 0.1 * k as f64 };
    let wrong = SetDetection { class: 0, bbox: bbox(7), score: 0.2 };
    let image = |n: usize| SetImage {
        id: n as i64,
        objects: [2 * n, 2 * n + 1].map(object).to_vec(),
        detections: (2 * n..2 * n + 2).filter(|k| *k < hits).map(hit).chain([wrong]).collect(),
    };
    EvaluationSet { classes: vec![class(0), class(1)], images: vec![image(0), image(1)] }
}

fn metrics(hits: usize, data: &str) -> RoundMetrics {
    RoundMetrics {
        format: 1,
        step: 10,
        data: data.to_owned(),
        images: 2,
        unreadable: 0,
        objects: 4,
        detections: hits + 2,
        is_for_fddb: false,
        suite: Suite::evaluate(&set(hits)),
    }
}

fn model(rounds: &[(u32, usize, &str)]) -> MetricsModel {
    let mut model = MetricsModel::default();
    for (round, hits, data) in rounds {
        model.put(*round, metrics(*hits, data));
    }
    model
}

fn key(round: u32) -> CurveKey {
    key_of(None, round)
}

#[test]
fn what_fits_the_dataset_comes_first() {
    let mut model = MetricsModel::default();
    assert_eq!((model.available(true), model.metric(true)), (vec![Metric::Fddb], Metric::Fddb));
    assert_eq!((model.available(false), model.metric(false)), (vec![], Metric::Fddb));
    model.put(1, metrics(3, "a"));
    let boxes = [Metric::PrecisionRecall, Metric::MissRate, Metric::Coco, Metric::Tide];
    assert_eq!(model.available(true), [&boxes[..], &[Metric::Fddb]].concat());
    assert_eq!(model.metric(true), Metric::PrecisionRecall);
    model.put(2, RoundMetrics { is_for_fddb: true, ..metrics(3, "a") });
    assert_eq!(model.available(true), [&[Metric::Fddb], &boxes[..]].concat());
    model.pick(Metric::Tide);
    assert_eq!(model.metric(true), Metric::Tide);
}

#[test]
fn lines_are_of_the_class_that_is_picked() {
    let mut model = model(&[(1, 3, "a")]);
    assert_eq!(model.classes(), ["cat", "dog"]);
    let last = |model: &MetricsModel, metric| model.line(&key(1), metric).unwrap().points.last().copied().unwrap();
    assert_eq!(last(&model, Metric::PrecisionRecall).x, 0.75, "three of four objects");
    let line = model.line(&key(1), Metric::PrecisionRecall).unwrap();
    assert_eq!(line.best.and_then(|best| best.threshold), Some(0.9 - 0.1 * 2.0));
    assert_eq!(model.line(&key(1), Metric::MissRate).unwrap().points.len(), 9, "a mean over classes has nine points");
    model.pick_class(Some("dog".to_owned()));
    assert_eq!(last(&model, Metric::PrecisionRecall).x, 0.5);
    assert_eq!(last(&model, Metric::MissRate).y, 0.5);
    model.pick_class(Some("horse".to_owned()));
    assert_eq!(model.class(), None, "a class that is gone is no class");
    assert_eq!(model.line(&key(9), Metric::PrecisionRecall), None);
}

#[test]
fn numbers_stand_with_thresholds_and_differences_to_the_round_before() {
    let model = model(&[(1, 2, "a"), (2, 4, "a"), (3, 4, "b")]);
    let keys = [key(1), key(2), key(3)];
    let shown: Vec<&CurveKey> = keys.iter().collect();
    let table = |metric, at: usize| -> MetricTable { tables(&model, metric, &shown).remove(at) };
    for metric in [Metric::PrecisionRecall, Metric::MissRate, Metric::Coco, Metric::Tide] {
        for table in tables(&model, metric, &shown) {
            assert!(!table.rows.is_empty() && table.rows.iter().all(|row| row.values.len() == table.columns.len()));
            assert!(table.title.contains("IoU") || table.title.contains("class by class"), "{}", table.title);
        }
    }
    let counts = table(Metric::PrecisionRecall, 1);
    let row = |k: usize| counts.rows[k].values.iter().map(|v| v.unwrap()).collect::<Vec<_>>();
    assert_eq!(row(0)[1..], [2.0, 0.0, 2.0, 4.0], "found, false, missed, objects at the best F1");
    assert_eq!(row(1)[1..], [4.0, 0.0, 0.0, 4.0]);
    let (before, differences) = counts.rows[1].since.clone().unwrap();
    assert_eq!((before, differences[1], differences[3]), (1, Some(2.0), Some(-2.0)));
    assert_eq!((&counts.rows[0].since, &counts.rows[2].since), (&None, &None), "round 3 was tested on other data");
    let tide = table(Metric::Tide, 1);
    assert_eq!(tide.columns.len(), 8);
    assert_eq!(tide.rows[0].values[7], Some(2.0), "objects that are missed");
    let by_class = table(Metric::Coco, 2);
    assert_eq!(by_class.rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), ["cat", "dog"]);
}

#[test]
fn curves_of_different_data_are_warned_of() {
    let model = model(&[(1, 2, "a"), (2, 4, "a"), (3, 4, "b")]);
    assert_eq!(model.different_data(&[&key(1), &key(2)]), None);
    let warning = model.different_data(&[&key(1), &key(2), &key(3)]).unwrap();
    assert!(warning.contains("Round 1, Round 2 (4 objects on 2 images)") && warning.contains("Round 3"), "{warning}");
}

/// FDDB's published curves with few objects, and own curves of different tests.
#[test]
fn the_roc_screen_warns_where_curves_do_not_compare() {
    use crate::evaluation::{PlotCurve, RocCurve, RocPoint};
    let curve = |faces| RocCurve {
        faces,
        points: vec![RocPoint { threshold: 0.5, false_positives: 3, discrete: 1.0, continuous: 1.0 }],
        unreadable: 0,
    };
    let mut model = CurvesModel::default();
    model.put(CurveKey::new(1, "rectangle"), 1, curve(93));
    assert_eq!(model.warnings(), Vec::<String>::new());
    model.published.push(super::super::Published {
        name: "Theirs".to_owned(),
        notes: String::new(),
        discrete: PlotCurve::default(),
        continuous: PlotCurve::default(),
        shown: true,
        imported: false,
        number: 0,
    });
    assert!(model.warnings()[0].contains("5171") && model.warnings()[0].contains("93"), "{:?}", model.warnings());
    model.put(CurveKey::new(2, "rectangle"), 1, curve(40));
    assert!(model.warnings()[0].contains("40 and 93"), "{:?}", model.warnings());
    model.toggle(&CurveKey::new(1, "rectangle"));
    model.toggle(&CurveKey::new(2, "rectangle"));
    model.put(CurveKey::new(3, "rectangle"), 1, curve(5171));
    assert_eq!(model.warnings(), Vec::<String>::new());
}

#[test]
fn numbers_on_corrected_ground_truth_stand_apart_and_are_named_so() {
    let mut model = model(&[(1, 2, "a"), (2, 4, "a")]);
    model.on_corrected(true);
    assert!(!model.is_on_corrected(), "nothing is corrected");
    model.set_corrected(vec![(2, metrics(3, "b"))]);
    let keys = |model: &MetricsModel| model.rounds().map(|(key, _)| key.round).collect::<Vec<_>>();
    assert_eq!(keys(&model), [2]);
    for metric in [Metric::PrecisionRecall, Metric::MissRate, Metric::Coco, Metric::Tide] {
        let title = tables(&model, metric, &[&key(2)]).remove(0).title;
        assert!(title.contains("corrected ground truth"), "{title}");
    }
    model.on_corrected(false);
    assert_eq!(keys(&model), [1, 2]);
}
