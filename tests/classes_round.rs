//! Rounds on two classes from outside: what is trained, found, mined and trained again.

// What fails here is the test's own footing.
#![allow(clippy::unwrap_used)]
#![cfg(feature = "torch")]

#[path = "support/tiny_project.rs"]
#[allow(dead_code, reason = "only the settings are used here")]
mod tiny_project;

use std::collections::BTreeSet;
use std::path::Path;

use image::{Rgb, RgbImage};
use quarry::detector::Detector;
use quarry::domain::{Cancel, ClassId, FalsePositiveKind, Shape, Verdict};
use quarry::geometry::BoundingBox;
use quarry::store::{CandidateQuery, NewCandidate, NewDataset, NewImage, NewObject};
use quarry::training::RoundConfig;
use quarry::workflow::Project;
use quarry::workflow::mine::mine;
use quarry::workflow::train::{TrainReport, train};

fn settings(more: &str) -> RoundConfig {
    let text = tiny_project::settings(&format!("iterations = 6\ncheckpoint_every = 3\n{more}"));
    RoundConfig::from_toml(&text, "tests").unwrap()
}

/// Four images, each with a red cat on the left and a blue dog on the right, in folds 1 and 2.
fn project(dir: &Path) -> Project {
    let project = Project::create(&dir.join("p")).unwrap();
    let (cat, dog) = (BoundingBox::new(6.0, 8.0, 26.0, 34.0), BoundingBox::new(36.0, 10.0, 58.0, 38.0));
    let pictures = dir.join("pictures");
    std::fs::create_dir_all(&pictures).unwrap();
    let image = |n: u32| {
        let pixels = RgbImage::from_fn(64, 48, |x, y| {
            let texture = ((x * 7 + y * 13 + n * 29) % 31) as u8;
            let on = |b: &BoundingBox| {
                let (x, y) = (f64::from(x), f64::from(y));
                b.x1 <= x && x < b.x2 && b.y1 <= y && y < b.y2
            };
            match (on(&cat), on(&dog)) {
                (true, _) => Rgb([220, 40 + texture, 30]),
                (_, true) => Rgb([30, 60 + texture, 220]),
                _ => Rgb([60 + texture, 120, 80]),
            }
        });
        let name = format!("{n}.png");
        pixels.save(pictures.join(&name)).unwrap();
        let object = |class, bbox| NewObject { class, shape: Shape::Rectangle(bbox), ignored: false };
        NewImage {
            path: name.clone().into(),
            name,
            content_hash: format!("{n:064x}"),
            width: 64,
            height: 48,
            split: Some((n % 2 + 1).to_string()),
            objects: vec![object(0, cat), object(1, dog)],
        }
    };
    let dataset = NewDataset {
        name: "pets".to_owned(),
        kind: "coco".to_owned(),
        root: pictures.clone(),
        classes: vec!["cat".to_owned(), "dog".to_owned()],
        images: (0..4).map(image).collect(),
    };
    project.open_store().unwrap().add_dataset(&dataset).unwrap();
    project
}

fn run(project: &Project, config: &RoundConfig) -> TrainReport {
    tch::set_num_threads(1);
    train(project, config, &mut |_| {}, &Cancel::new()).unwrap()
}

#[test]
fn two_classes_are_trained_tested_and_mined() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let report = run(&project, &settings("test_folds = [2]\n[mining]\nscore_threshold = 0.01"));
    assert_eq!((report.training_images, report.test_images), (2, 2));
    let store = project.open_store().unwrap();
    let stored = RoundConfig::from_stored(&store.rounds().unwrap()[0].config_toml, "round 1").unwrap();
    assert_eq!((stored.detector.class_names(), stored.detector.num_classes), (vec!["cat".into(), "dog".into()], 3));
    assert!(!stored.detector.ellipse_head, "nothing here is an ellipse");
    let checkpoint = report.checkpoint.unwrap();
    assert_eq!(Detector::config_of(&checkpoint).unwrap().class_names(), ["cat", "dog"]);
    let labels: Vec<&str> = report.curves.iter().map(|(label, _)| label.as_str()).collect();
    assert_eq!(labels, ["rectangle"]);
    assert_eq!(report.curves[0].1.faces, 4, "objects of both classes on the test images");

    let mined = mine(&project, None, &mut |_| {}, &Cancel::new()).unwrap();
    let kinds = mined.background + mined.localisation + mined.classification + mined.both;
    assert_eq!(kinds, mined.candidates);
    let all = CandidateQuery { collapse: false, ..CandidateQuery::default() };
    let ids = store.candidate_ids(&all).unwrap();
    let classes: BTreeSet<ClassId> = ids.iter().map(|id| store.candidate(*id).unwrap().class).collect();
    assert_eq!(classes, BTreeSet::from([ClassId(1), ClassId(2)]), "an untrained detector takes things for both");
}

#[test]
fn a_confirmed_classification_error_is_drawn_as_foreground_and_never_forced_as_background() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let config = settings("test_folds = [2]\nhard_negatives = \"confirmed\"");
    run(&project, &config);
    let mut store = project.open_store().unwrap();
    let image = store.images().unwrap().into_iter().find(|image| image.fold() == Some(1)).unwrap().id;
    let round = store.rounds().unwrap()[0].id;
    // A dog on the cat, and nothing where nothing is.
    let new = |class, bbox, max_iou, kind| NewCandidate { image, class, bbox, score: 0.9, max_iou, kind };
    let new = [
        new(ClassId(2), BoundingBox::new(6.0, 8.0, 26.0, 33.0), 0.96, FalsePositiveKind::Classification),
        new(ClassId(1), BoundingBox::new(28.0, 0.0, 34.0, 9.0), 0.0, FalsePositiveKind::Background),
    ];
    store.replace_candidates(round, &[image], &new).unwrap();
    store.set_round_state(round, quarry::domain::RoundState::Mined).unwrap();
    let ids: Vec<_> = store.candidates_of_image(image).unwrap().iter().map(|c| c.id).collect();
    store.record_verdicts(&ids, "tester", Verdict::Confirmed, None, 1).unwrap();
    let report = run(&project, &config);
    assert_eq!(report.hard_negatives, 2);
    let data = std::fs::read_to_string(project.run_dir(2).join("data.json")).unwrap();
    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
    let given = data["images"].as_array().unwrap().iter().find(|i| i["image"] == image.0).unwrap();
    assert_eq!(given["labels"], serde_json::json!([1, 2]));
    assert_eq!(given["misclassified"], serde_json::json!(["6 8 26 33"]));
    assert_eq!(given["hard_negatives"], serde_json::json!(["28 0 34 9 0.9"]));
}

#[test]
fn classes_that_do_not_fit_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let refused = |config: &RoundConfig, parts: &[&str]| {
        let message = train(&project, config, &mut |_| {}, &Cancel::new()).unwrap_err().to_string();
        for part in parts {
            assert!(message.contains(part), "{message}");
        }
    };
    let mut named = settings("test_folds = [2]");
    named.detector.set_classes(&["cow".to_owned()]);
    refused(&named, &["no class `cow`", "`cat`, `dog`"]);
    named.detector.set_classes(&["dog".to_owned()]);
    run(&project, &named);
    refused(&settings("test_folds = [2]\ninit = \"previous\""), &["knows the classes dog", "learns cat, dog"]);
}
