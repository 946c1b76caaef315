//! Rounds with two classes: what is trained, detected, mined and trained again.

// A failure here is a failure of the test.
#![allow(clippy::unwrap_used)]
#![cfg(feature = "torch")]

#[path = "support/tiny_project.rs"]
#[allow(dead_code, reason = "only the settings are used here")]
mod tiny_project;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use image::{Rgb, RgbImage};
use quarry::dataset::formats::ReadOptions;
use quarry::dataset::sample::{self, SampleConfig};
use quarry::detector::Detector;
use quarry::domain::{Cancel, ClassId, FalsePositiveKind, HardNegativeSource, ObjectChange, Output, Shape, Verdict};
use quarry::geometry::BoundingBox;
use quarry::store::{CandidateQuery, NewCandidate, NewDataset, NewImage, NewObject, NewVerdict, Store};
use quarry::training::RoundConfig;
use quarry::workflow::Project;
use quarry::workflow::cross_validate::{CrossValidation, DEFAULT_NAME, cross_validate, merge};
use quarry::workflow::datasets::splits::{SplitPlan, divide, parse_shares};
use quarry::workflow::evaluate::{RoundEvaluation, RoundEvaluationReport, evaluate_round};
use quarry::workflow::export::{ExportScope, WriteFormat, ground_truth};
use quarry::workflow::export_images::place_images;
use quarry::workflow::held_out_file::HeldOutDetections;
use quarry::workflow::import::{ImportFormat, import_read, import_with};
use quarry::workflow::mine::mine;
use quarry::workflow::round_metrics::RoundMetrics;
use quarry::workflow::round_report::round_report;
use quarry::workflow::tested_round::GroundTruth;
use quarry::workflow::train::{TrainReport, train};
use quarry::workflow::training_export::{ImagesAs, NegativesAs, TrainingExport, TrainingFormat, export_training};

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
    // A dog on the cat, and a cat and a dog on background.
    let new = |class, bbox, max_iou, kind| NewCandidate { image, class, bbox, score: 0.9, max_iou, kind };
    let new = [
        new(ClassId(2), BoundingBox::new(6.0, 8.0, 26.0, 33.0), 0.96, FalsePositiveKind::Classification),
        new(ClassId(1), BoundingBox::new(28.0, 0.0, 34.0, 9.0), 0.0, FalsePositiveKind::Background),
        new(ClassId(2), BoundingBox::new(0.0, 36.0, 5.0, 46.0), 0.0, FalsePositiveKind::Background),
    ];
    store.replace_candidates(round, &[image], &new).unwrap();
    store.set_round_state(round, quarry::domain::RoundState::Mined).unwrap();
    let ids: Vec<_> = store.candidates_of_image(image).unwrap().iter().map(|c| c.id).collect();
    store.record_verdicts(&ids, "tester", Verdict::Confirmed, None, 1).unwrap();
    let report = run(&project, &config);
    assert_eq!(report.hard_negatives, 3);
    let data = std::fs::read_to_string(project.run_dir(2).join("data.json")).unwrap();
    let data: serde_json::Value = serde_json::from_str(&data).unwrap();
    let given = data["images"].as_array().unwrap().iter().find(|i| i["image"] == image.0).unwrap();
    assert_eq!(given["labels"], serde_json::json!([1, 2]));
    assert_eq!(given["misclassified"], serde_json::json!(["6 8 26 33"]));
    assert_eq!(given["hard_negatives"], serde_json::json!(["28 0 34 9 0.9", "0 36 5 46 0.9"]));
    assert_eq!(given["hard_negative_labels"], serde_json::json!([1, 2]));
    // The sampling counts are by predicted class.
    let round = store.rounds().unwrap().remove(1);
    let told = round_report(&project, &store, &round).unwrap();
    let totals = told.sampler.unwrap();
    let of: Vec<(&str, u64)> = told.classes.iter().map(|c| (c.class.as_str(), c.hard_negatives)).collect();
    let half = totals.hard_negatives / 2;
    assert!(half > 0 && totals.hard_negatives == 2 * half, "{totals:?}");
    assert_eq!(of, [("cat", half), ("dog", half)]);
    let forced: u64 = told.classes.iter().map(|class| class.forced).sum();
    assert_eq!(forced, totals.drawn.forced);
    assert!(forced > 0, "{totals:?}");
}

/// An image with a cat for each row, in fold 1, and one test image in fold 2.
fn project_of_rows(dir: &Path, rows: usize) -> Project {
    let pictures = dir.join("pictures");
    std::fs::create_dir(&pictures).unwrap();
    let cat = BoundingBox::new(6.0, 8.0, 26.0, 34.0);
    let image = |n: usize| {
        let name = format!("row-{n:02}.png");
        let file = pictures.join(&name);
        RgbImage::from_fn(64, 48, |x, y| Rgb([(x * 3) as u8, (y * 5) as u8, n as u8])).save(&file).unwrap();
        NewImage {
            path: name.clone().into(),
            name,
            content_hash: blake3::hash(&std::fs::read(&file).unwrap()).to_hex().to_string(),
            width: 64,
            height: 48,
            split: Some(if n == rows { "2" } else { "1" }.to_owned()),
            objects: vec![NewObject { class: 0, shape: Shape::Rectangle(cat), ignored: false }],
        }
    };
    let dataset = NewDataset {
        name: "pets".to_owned(),
        kind: "coco".to_owned(),
        root: pictures.clone(),
        classes: ["cat", "dog", "bird"].map(str::to_owned).to_vec(),
        images: (0..=rows).map(image).collect(),
    };
    let project = Project::create(&dir.join("p")).unwrap();
    project.open_store().unwrap().add_dataset(&dataset).unwrap();
    project
}

/// The rows of docs/verdicts.md, each on a separate image: what a round's samplers get from it, and what a training export contains in each
/// format. tests/store checks the other columns.
#[test]
fn every_row_of_the_table_of_verdicts_reaches_the_samplers_and_the_training_exports() {
    const ROWS: usize = 24;
    let table = include_str!("../docs/verdicts.md").lines().skip_while(|line| !line.starts_with("| kind ")).skip(2);
    let rows: Vec<Vec<&str>> = table
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), ROWS);
    let dir = tempfile::tempdir().unwrap();
    let project = project_of_rows(dir.path(), ROWS);
    let mut store = project.open_store().unwrap();
    let [cats, dogs, birds] = [1, 2, 3].map(ClassId);
    let images: Vec<_> = store.images().unwrap().iter().map(|image| image.id).collect();
    let round = store.start_round("").unwrap().id;
    let candidates: Vec<NewCandidate> = std::iter::zip(&rows, &images)
        .map(|(row, image)| {
            let kind = FalsePositiveKind::parse(row[0]).unwrap();
            let (class, bbox, max_iou) = match kind {
                FalsePositiveKind::Background => (dogs, BoundingBox::new(40.0, 30.0, 60.0, 46.0), 0.0),
                FalsePositiveKind::Localisation => (cats, BoundingBox::new(6.0, 8.0, 14.0, 34.0), 0.4),
                FalsePositiveKind::Classification => (dogs, BoundingBox::new(6.0, 8.0, 25.0, 34.0), 0.95),
                FalsePositiveKind::Both => (dogs, BoundingBox::new(6.0, 8.0, 14.0, 34.0), 0.4),
                FalsePositiveKind::Duplicate => panic!("{row:?}"),
            };
            NewCandidate { image: *image, class, bbox, score: 0.9, max_iou, kind }
        })
        .collect();
    store.replace_candidates(round, &images, &candidates).unwrap();
    store.set_round_state(round, quarry::domain::RoundState::Mined).unwrap();
    for (row, image) in std::iter::zip(&rows, &images).filter(|(row, _)| row[1] != "none") {
        let verdict = Verdict::parse(row[1]).unwrap();
        let ruling = NewVerdict { class: verdict.has_class().then_some(birds), ..NewVerdict::plain(verdict) };
        let id = store.candidates_of_image(*image).unwrap()[0].id;
        store.decide(&[id], "Ada", &ruling, 1).unwrap();
    }

    for (number, word, source, learns, exported) in
        [(2, "confirmed", HardNegativeSource::Confirmed, 2, 6), (3, "unreviewed", HardNegativeSource::Unreviewed, 3, 7)]
    {
        let text = format!("iterations = 1\ntest_folds = [2]\nhard_negatives = \"{word}\"");
        run(&project, &RoundConfig::from_toml(&tiny_project::settings(&text), "tests").unwrap());
        let data = std::fs::read_to_string(project.run_dir(number).join("data.json")).unwrap();
        let data: serde_json::Value = serde_json::from_str(&data).unwrap();
        let given = data["images"].as_array().unwrap();
        assert_eq!(given.len(), ROWS);
        for ((row, image), candidate) in std::iter::zip(std::iter::zip(&rows, &images), &candidates) {
            let given = given.iter().find(|given| given["image"] == image.0).unwrap();
            let numbers = |key: &str| -> Vec<i64> {
                let listed = given[key].as_array().into_iter().flatten();
                listed.map(|number| number.as_i64().unwrap()).collect()
            };
            let of = |key: &str| given[key].as_array().map_or(0, Vec::len);
            // Labels that are all 1 are omitted.
            let labels = match numbers("labels") {
                labels if labels.is_empty() => vec![1; of("faces")],
                labels => labels,
            };
            let found = match (labels.as_slice(), of("hard_negatives"), of("misclassified"), of("ignored")) {
                ([1], 0, 0, 0) => "nothing",
                ([1], 1, 0, 0) => {
                    let mistaken = numbers("hard_negative_labels").first().copied().unwrap_or(1);
                    assert_eq!(mistaken, candidate.class.0, "{row:?}");
                    "background"
                }
                ([1], 0, 1, 0) => "foreground",
                ([1], 0, 0, 1) => "ignored",
                ([1, 3] | [3, 1], 0, 0, 0) => "object",
                ([3], 0, 0, 0) => "corrected",
                _ => panic!("{row:?}: {given}"),
            };
            assert_eq!(found, row[learns], "{row:?}");
        }
        for format in [TrainingFormat::Yolo, TrainingFormat::Coco] {
            let settings = TrainingExport {
                hard_negatives: source,
                negatives_as: NegativesAs::Repeats,
                test: vec!["2".to_owned()],
                ..TrainingExport::usual(&store, format).unwrap()
            };
            let out = dir.path().join(format!("{number}-{format:?}"));
            export_training(&store, &settings, &out, &mut |_| {}, &Cancel::new()).unwrap();
            let listed = std::fs::read_to_string(out.join("hard_negatives.csv")).unwrap();
            for (n, row) in rows.iter().enumerate() {
                let is_listed = listed.contains(&format!("row-{n:02}"));
                assert_eq!(is_listed, row[exported] == "yes", "{format:?} {row:?}: {listed}");
            }
        }
    }
}

#[test]
fn a_round_learns_corrections_where_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    let mut store = project.open_store().unwrap();
    let images: Vec<_> = store.images().unwrap().into_iter().filter(|image| image.fold() == Some(1)).collect();
    let (first, second) = (images[0].id, images[1].id);
    let ids = |store: &Store, image| -> Vec<_> {
        store.objects_of_image(image).unwrap().into_iter().map(|object| object.id).collect()
    };
    let (one, two) = (ids(&store, first), ids(&store, second));
    let better = Shape::Rectangle(BoundingBox::new(7.0, 8.0, 26.0, 35.0));
    let mut correct = |object, change| drop(store.correct_objects(&[object], "tester", change, 1).unwrap().unwrap());
    correct(one[0], ObjectChange::Shape(better));
    correct(one[1], ObjectChange::Class(ClassId(1)));
    correct(two[0], ObjectChange::Ignored(true));
    correct(two[1], ObjectChange::Deleted(true));
    let added = Shape::Rectangle(BoundingBox::new(28.0, 0.0, 40.0, 9.0));
    store.add_object(second, "tester", (added, ClassId(2)), 2).unwrap();
    let (cat, dog) = ("rectangle 6 8 26 34", "rectangle 36 10 58 38");
    for (round, source, expected) in [
        (
            1,
            "corrected",
            [
                (vec!["rectangle 7 8 26 35", dog], vec![1, 1], vec![]),
                (vec!["rectangle 28 0 40 9"], vec![2], vec!["6 8 26 34"]),
            ],
        ),
        (2, "imported", [(vec![cat, dog], vec![1, 2], vec![]), (vec![cat, dog], vec![1, 2], vec![])]),
    ] {
        let report = run(&project, &settings(&format!("test_folds = [2]\nground_truth = \"{source}\"")));
        assert_eq!(report.curves[0].1.faces, 4, "a published number counts the dataset's own");
        let data = std::fs::read_to_string(project.run_dir(round).join("data.json")).unwrap();
        let data: serde_json::Value = serde_json::from_str(&data).unwrap();
        for (image, (objects, labels, ignored)) in [first, second].into_iter().zip(expected) {
            let given = data["images"].as_array().unwrap().iter().find(|i| i["image"] == image.0).unwrap();
            assert_eq!(given["faces"], serde_json::json!(objects), "{source}");
            let all_one = labels.iter().all(|label| *label == 1);
            let labels = if all_one { serde_json::Value::Null } else { serde_json::json!(labels) };
            assert_eq!(given["labels"], labels, "{source}");
            let none = ignored.is_empty();
            assert_eq!(given["ignored"], if none { serde_json::Value::Null } else { serde_json::json!(ignored) });
        }
    }
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
    refused(&settings("test_folds = [2]\ninit = \"previous\""), &["has the classes dog", "this round cat, dog"]);
}

fn evaluated(project: &Project, round: u32, out: Option<&Path>) -> RoundEvaluationReport {
    let out = out.map(|out| Output::new(out, false));
    evaluate_round(
        project,
        &RoundEvaluation { round, metrics: Vec::new(), ground_truth: GroundTruth::Imported, iou: 0.5, out },
    )
    .unwrap()
}

/// The detections of the last test keep their classes, and every evaluator reads them; sampling counts are by class.
#[test]
fn a_tested_round_is_evaluated_class_by_class() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    run(&project, &settings("test_folds = [2]"));
    let run_dir = project.run_dir(1);
    let stored = HeldOutDetections::read(&run_dir).unwrap().unwrap();
    assert_eq!((stored.step, stored.images.len()), (6, 2));
    let names: Vec<&str> = stored.classes.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(names, ["cat", "dog"]);
    let found: BTreeSet<ClassId> = stored.images.iter().flat_map(|i| &i.detections).map(|d| d.class).collect();
    assert_eq!(found.len(), 2, "an untrained detector takes things for both");

    let out = dir.path().join("results");
    let report = evaluated(&project, 1, Some(&out));
    assert_eq!((report.step, report.images, report.objects), (6, 2, 4));
    let metrics: Vec<&str> = report.metrics.iter().map(|m| m.metric.name()).collect();
    assert_eq!(metrics, ["fddb", "coco", "voc", "precision-recall", "miss-rate", "tide"]);
    assert!(report.files.iter().all(|file| file.is_file()) && out.join("miss-rate-curves.csv").is_file());
    // The metrics stored for the curves screen are the same.
    let kept = RoundMetrics::read(&RoundMetrics::file(&run_dir)).unwrap();
    let coco = |report: &RoundEvaluationReport| report.metrics[1].report.clone();
    assert_eq!(serde_json::to_value(&kept.suite.coco).unwrap(), coco(&report));
    assert_eq!(kept.suite.coco.classes.iter().map(|c| c.class.name.as_str()).collect::<Vec<_>>(), ["cat", "dog"]);
    assert!(!kept.is_for_fddb);

    let mut store = project.open_store().unwrap();
    // Annotators' additions only count with corrected ground truth.
    let image = store.images().unwrap().into_iter().find(|image| image.fold() == Some(2)).unwrap().id;
    let round = store.rounds().unwrap()[0].id;
    let bbox = BoundingBox::new(28.0, 0.0, 34.0, 9.0);
    let kind = FalsePositiveKind::Background;
    let new = NewCandidate { image, class: ClassId(1), bbox, score: 0.9, max_iou: 0.0, kind };
    store.replace_candidates(round, &[image], &[new]).unwrap();
    let ids: Vec<_> = store.candidates_of_image(image).unwrap().iter().map(|c| c.id).collect();
    store.record_verdicts(&ids, "tester", Verdict::MissedObject, None, 1).unwrap();
    let corrected =
        RoundEvaluation { round: 1, metrics: Vec::new(), ground_truth: GroundTruth::Corrected, iou: 0.5, out: None };
    let corrected = evaluate_round(&project, &corrected).unwrap();
    assert_eq!((corrected.objects, evaluated(&project, 1, None).objects), (5, 4));

    // Renamed classes are the same classes.
    let dog = store.class_by_name("dog").unwrap().unwrap();
    store.rename_class(dog, "hound").unwrap();
    let renamed = evaluated(&project, 1, None);
    assert_eq!(renamed.detections, report.detections);
    assert_eq!(renamed.metrics[1].report["ap"], report.metrics[1].report["ap"]);
    assert_eq!(renamed.metrics[1].report["classes"][1]["name"], "hound");

    // Without stored classes the mapping is unknown, which is reported instead of guessed.
    std::fs::remove_file(run_dir.join("held-out.jsonl")).unwrap();
    let request =
        RoundEvaluation { round: 1, metrics: Vec::new(), ground_truth: GroundTruth::Imported, iou: 0.5, out: None };
    let refused = evaluate_round(&project, &request).unwrap_err().to_string();
    assert!(refused.contains("stored no classes"), "{refused}");
    let refused = evaluate_round(&project, &RoundEvaluation { round: 7, ..request }).unwrap_err().to_string();
    assert!(refused.contains("no round 7") && refused.contains('1'), "{refused}");

    let round = store.rounds().unwrap().remove(0);
    let report = round_report(&project, &store, &round).unwrap();
    let drawn: u64 = report.classes.iter().map(|class| class.rois).sum();
    let classes: Vec<&str> = report.classes.iter().map(|class| class.class.as_str()).collect();
    assert_eq!((classes, drawn), (vec!["cat", "dog"], report.sampler.unwrap().drawn.foreground));
    assert!(report.classes.iter().all(|class| class.rois > 0 && class.anchors > 0), "{:?}", report.classes);
}

/// FDDB's text has no classes: each class has its own file, and together they contain the same as COCO's list.
#[test]
fn detections_of_several_classes_in_fddbs_format_are_a_file_a_class() {
    use quarry::workflow::detect::{DetectRequest, DetectionFormat, detect};
    let dir = tempfile::tempdir().unwrap();
    let project = project(dir.path());
    run(&project, &settings("test_folds = [2]\n[mining]\nscore_threshold = 0.01"));
    let request = |name: &str, format| DetectRequest {
        checkpoint: project.run_dir(1),
        images: dir.path().join("pictures"),
        root: None,
        out: quarry::domain::Output::new(dir.path().join(name), false),
        format,
        ellipses: false,
        scale: None,
        precision: None,
        device: "cpu".to_owned(),
    };
    let run = |name, format| detect(&request(name, format), &mut |_| {}, &Cancel::new());
    let fddb = run("found.txt", DetectionFormat::Fddb).unwrap();
    let names: Vec<_> = fddb.files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["found-cat.txt", "found-dog.txt"]);
    assert!(!dir.path().join("found.txt").exists());
    let boxes = |file: &std::path::PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().filter(|line| line.split(' ').count() == 5).count()
    };
    assert_eq!(fddb.files.iter().map(boxes).sum::<usize>(), fddb.detections);
    assert_eq!(run("found.json", DetectionFormat::Coco).unwrap().detections, fddb.detections);
    // Nothing is replaced without permission, in any class's file.
    std::fs::remove_file(&fddb.files[0]).unwrap();
    let refused = run("found.txt", DetectionFormat::Fddb).unwrap_err().to_string();
    assert!(refused.contains("found-dog.txt") && !fddb.files[0].exists(), "{refused}");
}

/// Returns how many objects of one class its own detections match by FDDB's rules, on all folds.
fn found_alone(project: &Project, dir: &Path, class: &str) -> f64 {
    use quarry::evaluation::{EvaluatedImage, Matching, Region, ScoredRegion, roc};
    let store = project.open_store().unwrap();
    let (truth, images) = (store.own_ground_truth().unwrap(), store.images().unwrap());
    let id = store.class_by_name(class).unwrap().unwrap();
    let mut evaluated = Vec::new();
    for fold in [1, 2] {
        let found = HeldOutDetections::read(&dir.join(format!("fold-{fold}/runs/1"))).unwrap().unwrap();
        let own = found.classes.iter().find(|(_, name)| name == class).unwrap().0;
        for image in found.images {
            let record = images.iter().find(|record| record.name == image.name).unwrap();
            let objects = truth[&record.id].iter().filter(|a| a.class == id);
            let detections = image.detections.iter().filter(|d| d.class == own);
            let region = |d: &quarry::domain::Detection| ScoredRegion { region: d.bbox.into(), score: d.score.into() };
            evaluated.push(EvaluatedImage {
                name: image.name.clone(),
                width: record.width,
                height: record.height,
                faces: objects.map(|a| Region::from(&a.shape)).collect(),
                detections: detections.map(region).collect(),
            });
        }
    }
    roc(&evaluated, Matching::Official).points.first().map_or(0.0, |point| point.discrete)
}

#[test]
fn several_classes_are_cross_validated_and_merged() {
    tch::set_num_threads(1);
    let dir = tempfile::tempdir().unwrap();
    let request = |folds: &[u8]| CrossValidation {
        name: DEFAULT_NAME.to_owned(),
        config: settings("hard_negatives = \"unreviewed\""),
        rounds: 1,
        folds: folds.to_vec(),
    };
    let make = |name: &str| {
        let dir = dir.path().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        project(&dir)
    };
    let run = |project: &Project, folds: &[u8]| {
        cross_validate(project, &request(folds), &mut |_| {}, &Cancel::new()).unwrap()
    };
    let whole = make("whole");
    let report = run(&whole, &[]);
    let shape = &report.rounds[0].shapes[0];
    assert_eq!((shape.images, shape.faces), (4, 8), "objects of both classes");
    let metrics = |dir: &Path| RoundMetrics::read(&RoundMetrics::file(&dir.join("round-1"))).unwrap();
    let pooled = metrics(&report.dir);
    assert_eq!((pooled.images, pooled.objects), (4, 8));
    assert_eq!(pooled.suite.coco.classes.iter().map(|c| c.objects).collect::<Vec<_>>(), [4, 4]);
    let alone: f64 = ["cat", "dog"].map(|class| found_alone(&whole, &report.dir, class)).iter().sum();
    let curves = std::fs::read_to_string(report.dir.join("round-1/rectangle/curves.json")).unwrap();
    let curves: quarry::workflow::run_curves::PooledCurves = serde_json::from_str(&curves).unwrap();
    let discrete = curves.curves.pooled.points.first().map_or(0.0, |point| point.discrete);
    assert_eq!(discrete, alone, "a detection finds objects of its class alone");

    let (first, second) = (make("first"), make("second"));
    run(&first, &[1]);
    run(&second, &[2]);
    let merged = merge(&first, DEFAULT_NAME, &[second.dir().to_owned()], &mut |_| {}).unwrap();
    assert_eq!(merged.rounds, report.rounds);
    assert_eq!(metrics(&merged.dir), pooled);
    // A fold without its detections' classes cannot be pooled.
    std::fs::remove_file(merged.dir.join("fold-2/runs/1/held-out.jsonl")).unwrap();
    let refused = cross_validate(&first, &request(&[]), &mut |_| {}, &Cancel::new()).unwrap_err().to_string();
    assert!(refused.contains("held-out.jsonl") && refused.contains("several classes"), "{refused}");
}

/// Returns the boxes of a YOLO folder with class names, by image; an independent implementation of ultralytics' documented rules.
fn read_yolo(folder: &Path) -> BTreeMap<String, Vec<(String, [f64; 4])>> {
    let yaml = std::fs::read_to_string(folder.join("data.yaml")).unwrap();
    let value = |key: &str| yaml.lines().find_map(|line| line.strip_prefix(&format!("{key}:"))).map(str::trim);
    let names: Vec<String> = yaml
        .lines()
        .skip_while(|line| !line.starts_with("names:"))
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .map(|line| line.split_once(':').unwrap().1.trim().trim_matches(['"', '\'']).to_owned())
        .collect();
    let mut found = BTreeMap::new();
    for split in ["train", "val", "test"] {
        let Some(list) = value(split) else { continue };
        for line in std::fs::read_to_string(folder.join(list.trim_matches(['"', '\'']))).unwrap().lines() {
            let image = folder.join(line);
            let (width, height) = image::image_dimensions(&image).unwrap();
            let (before, after) = line.rsplit_once("/images/").unwrap();
            let label = folder.join(format!("{before}/labels/{after}")).with_extension("txt");
            let boxes = std::fs::read_to_string(label).unwrap();
            let boxes = boxes.lines().map(|row| {
                let numbers: Vec<f64> = row.split(' ').map(|word| word.parse().unwrap()).collect();
                let [class, cx, cy, w, h] = numbers[..] else { panic!("{row}") };
                assert!([cx, cy, w, h].iter().all(|share| (0.0..=1.0).contains(share)), "{row}");
                let (x, y, w, h) =
                    (cx * f64::from(width), cy * f64::from(height), w * f64::from(width), h * f64::from(height));
                (names[class as usize].clone(), [x - w / 2.0, y - h / 2.0, x + w / 2.0, y + h / 2.0])
            });
            found.insert(after.to_owned(), boxes.collect());
        }
    }
    found
}

/// The sample with its animals and toys through the whole loop: exported, imported, split, trained, mined, reviewed, trained again,
/// evaluated, exported as YOLO, and read by a reader that shares no code with the writer.
#[test]
fn three_classes_go_from_coco_through_two_rounds_to_yolo() {
    let dir = tempfile::tempdir().unwrap();
    let sample_dir = dir.path().join("sample");
    let config = SampleConfig { scenes: 30, width: 160, height: 120, ..SampleConfig::default() };
    sample::write(&sample_dir, &config, &mut |_| {}).unwrap();
    let first = Project::create(&dir.path().join("first")).unwrap();
    let read = sample::read_with_classes(&sample_dir, &mut |_| {}, &Cancel::new()).unwrap();
    import_read(&first, &read, false).unwrap();
    let coco = dir.path().join("all.json");
    let store = first.open_store().unwrap();
    let written = ground_truth(&store, &ExportScope::default(), WriteFormat::Coco, &*coco).unwrap();
    assert_eq!((written.images, written.left_out), (30, 0));

    let project = Project::create(&dir.path().join("second")).unwrap();
    let options = ReadOptions { images: Some(sample_dir.clone()), strict: true, ..ReadOptions::default() };
    import_with(&project, ImportFormat::Coco, &coco, &options, false, &mut |_| {}, &Cancel::new()).unwrap();
    let mut store = project.open_store().unwrap();
    let shares = parse_shares("train=60%,val=20%,test=20%").unwrap();
    let plan = SplitPlan { shares, seed: 3, distance: None };
    let divided = divide(&mut store, None, &plan, false, &mut |_| {}, &Cancel::new()).unwrap();
    let names: Vec<String> = store.classes().unwrap().into_iter().map(|class| class.name).collect();
    assert_eq!(names.len(), 3);
    for (split, counts) in &divided.splits {
        let of = |name: &String| counts.classes.get(name).copied().unwrap_or(0);
        assert!(names.iter().all(|name| of(name) > 0), "{split}: {counts:?}");
    }

    run(&project, &settings("test_splits = [\"test\"]\n[mining]\nscore_threshold = 0.01"));
    assert!(mine(&project, None, &mut |_| {}, &Cancel::new()).unwrap().candidates > 0);
    let all = CandidateQuery { collapse: false, ..CandidateQuery::default() };
    let mut given = [0; 2];
    for id in store.candidate_ids(&all).unwrap() {
        // A reviewer who confirms background and rejects the rest.
        let is_background = store.candidate(id).unwrap().kind == FalsePositiveKind::Background;
        let verdict = if is_background { Verdict::Confirmed } else { Verdict::Rejected };
        given[usize::from(is_background)] += 1;
        store.record_verdicts(&[id], "tester", verdict, None, 1).unwrap();
    }
    assert!(given[1] > 0, "{given:?}");
    let again = run(&project, &settings("test_splits = [\"test\"]\nhard_negatives = \"confirmed\""));
    assert!(again.hard_negatives > 0 && again.hard_negatives <= given[1]);
    let report = evaluated(&project, 2, None);
    let classes = report.metrics[1].report["classes"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap());
    assert_eq!(classes.collect::<BTreeSet<_>>(), names.iter().map(String::as_str).collect());

    let yolo = Output::new(dir.path().join("yolo"), false);
    let scope = ExportScope::default();
    let written = ground_truth(&store, &scope, WriteFormat::Yolo, yolo.clone()).unwrap();
    place_images(&store, &scope, ImagesAs::Copy, &yolo, &mut |_| {}, &Cancel::new()).unwrap();
    let found = read_yolo(&dir.path().join("yolo"));
    assert_eq!((found.len(), found.values().map(Vec::len).sum::<usize>()), (30, written.objects));
    let (mut compared, names): (_, BTreeMap<_, _>) =
        (0, store.classes().unwrap().into_iter().map(|class| (class.id, class.name)).collect());
    for image in store.images().unwrap() {
        let boxes = &found[&image.path];
        let objects = store.ground_truth(image.id).unwrap();
        assert_eq!(boxes.len(), objects.len(), "{}", image.path);
        for ((class, corners), (_, object)) in boxes.iter().zip(&objects) {
            let b = object.shape.bounding_box().clipped(f64::from(image.width), f64::from(image.height));
            let apart = corners.iter().zip([b.x1, b.y1, b.x2, b.y2]).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(*class == names[&object.class] && apart < 1e-9, "{}: {class} {corners:?}, {object:?}", image.path);
            compared += 1;
        }
    }
    assert_eq!(compared, written.objects);
}
