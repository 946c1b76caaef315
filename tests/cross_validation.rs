//! Cross-validation: interrupted and resumed, distributed over machines and merged, and no test image is ever trained on.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![cfg(feature = "torch")]

#[path = "support/tiny_project.rs"]
mod tiny_project;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use quarry::domain::{Cancel, HardNegativeSource};
use quarry::evaluation::Matching;
use quarry::evaluation::fddb_text::{Order, Shape, UnreadableScores, read_detections};
use quarry::training::{RoundConfig, TrainEvent};
use quarry::workflow::cross_validate::{CrossValidation, CrossValidationReport, DEFAULT_NAME, cross_validate, merge};
use quarry::workflow::evaluate::{FddbEvaluation, RoundEvaluation, SizeSource, evaluate_fddb, evaluate_round};
use quarry::workflow::run_curves::{read_run, run_files};
use quarry::workflow::tested_round::GroundTruth;
use quarry::workflow::{Project, WorkEvent, WorkflowError};

fn request(rounds: u32, folds: &[u8]) -> CrossValidation {
    let more = "iterations = 3\ncheckpoint_every = 1\nhard_negatives = \"unreviewed\"";
    let config = RoundConfig::from_toml(&tiny_project::settings(more), "tests").unwrap();
    CrossValidation { name: DEFAULT_NAME.to_owned(), config, rounds, folds: folds.to_vec() }
}

fn run(project: &Project, request: &CrossValidation) -> Result<CrossValidationReport, WorkflowError> {
    tch::set_num_threads(1);
    cross_validate(project, request, &mut |_| {}, &Cancel::new())
}

/// Runs until `step` steps were completed, then cancels.
fn cut_off(project: &Project, request: &CrossValidation, step: usize) {
    tch::set_num_threads(1);
    let (cancel, mut steps) = (Cancel::new(), 0);
    let flag = cancel.clone();
    let mut watch = |event| {
        if let WorkEvent::Train(TrainEvent::Step(_)) = event {
            steps += 1;
            if steps == step {
                flag.cancel();
            }
        }
    };
    let ended = cross_validate(project, request, &mut watch, &cancel);
    assert!(matches!(ended, Err(WorkflowError::Cancelled)), "{ended:?}");
}

/// The pooled files by path below the cross-validation's folder.
fn results(report: &CrossValidationReport) -> BTreeMap<PathBuf, Vec<u8>> {
    let of_curves = report.files.iter().filter(|file| !file.ends_with("summary.json"));
    of_curves.map(|file| (file.strip_prefix(&report.dir).unwrap().to_owned(), fs::read(file).unwrap())).collect()
}

#[test]
fn what_was_cut_off_or_split_over_machines_ends_in_the_same_curves() {
    let dir = tempfile::tempdir().unwrap();
    let whole = tiny_project::make(dir.path(), "whole", 6, 3);
    cut_off(&whole, &request(2, &[]), 2);
    cut_off(&whole, &request(2, &[]), 3);
    // Nine steps later the second round of the second fold is running.
    cut_off(&whole, &request(2, &[]), 8);
    let report = run(&whole, &request(2, &[])).unwrap();
    let rounds: Vec<(u32, &[u8])> = report.rounds.iter().map(|r| (r.round, r.folds.as_slice())).collect();
    assert_eq!(rounds, [(1, &[1, 2, 3][..]), (2, &[1, 2, 3][..])]);
    for shape in report.rounds.iter().flat_map(|round| &round.shapes) {
        assert_eq!((shape.images, shape.faces), (6, 6), "the scenes are never tested on");
    }
    for fold in &report.folds {
        assert!(fold.rounds.iter().all(|round| round.steps == 3), "{fold:?}");
        assert_eq!(fold.rounds[0].hard_negatives, 0);
        check_no_leak(&report.dir.join(format!("fold-{}", fold.fold)), fold.fold);
    }
    assert!(report.folds.iter().any(|fold| fold.rounds[1].hard_negatives > 0), "nothing was mined: {:?}", report.folds);

    check_pooled_as_official(&whole, &report, dir.path());
    check_tests_of_earlier_versions_are_read(&report.dir);

    let first = tiny_project::make(dir.path(), "first", 6, 3);
    let second = tiny_project::make(dir.path(), "second", 6, 3);
    let part = run(&first, &request(2, &[1])).unwrap();
    assert_eq!(part.rounds[1].folds, [1]);
    let others = run(&second, &request(2, &[2, 3])).unwrap();
    check_paths_in_records_are_refused(&first, &others.dir, dir.path());
    let merged = merge(&first, DEFAULT_NAME, &[second.dir().to_owned()], &mut |_| {}).unwrap();
    assert_eq!(merged.rounds, report.rounds);
    assert_eq!(results(&merged), results(&report));
    assert!(results(&merged).keys().any(|file| file.ends_with("round-2/rectangle/DiscROC.txt")));

    // Everything is complete: nothing is trained again.
    let mut trained = 0;
    let again = cross_validate(
        &first,
        &request(2, &[]),
        &mut |event| trained += usize::from(matches!(event, WorkEvent::Train(_))),
        &Cancel::new(),
    );
    assert_eq!((results(&again.unwrap()), trained), (results(&report), 0));
}

/// A round tested by an earlier version only has FDDB's text: with one class it can still be read.
fn check_tests_of_earlier_versions_are_read(dir: &Path) {
    let fold = Project::open(&dir.join("fold-1")).unwrap();
    let request =
        RoundEvaluation { round: 2, metrics: Vec::new(), ground_truth: GroundTruth::Imported, iou: 0.5, out: None };
    let with_classes = evaluate_round(&fold, &request).unwrap();
    assert!(with_classes.detections > 0 && with_classes.metrics.len() == 6, "{with_classes:?}");
    let (file, aside) = (fold.run_dir(2).join("held-out.jsonl"), fold.dir().join("aside"));
    fs::rename(&file, &aside).unwrap();
    let text_alone = evaluate_round(&fold, &request).unwrap();
    assert_eq!((text_alone.step, text_alone.detections), (with_classes.step, with_classes.detections));
    for (a, b) in text_alone.metrics.iter().zip(&with_classes.metrics) {
        assert_eq!(a.report, b.report, "{}", a.metric.name());
    }
    fs::rename(&aside, &file).unwrap();
}

/// A copy whose `fold.json` contains paths, or rounds that no run creates, is refused, and nothing outside the project changes.
fn check_paths_in_records_are_refused(project: &Project, copy: &Path, scratch: &Path) {
    let record = copy.join("fold-2/fold.json");
    let sound = fs::read_to_string(&record).unwrap();
    let victim = scratch.join("victim.txt");
    fs::write(&victim, "mine").unwrap();
    for (from, to) in [
        ("\"rectangle\"", "\"x/../../../../../../../victim\""),
        ("\"rectangle\"", "\"/etc/passwd\""),
        ("\"rectangle\"", "\"ellipse\""),
        ("\"round\": 1,", "\"round\": 7,"),
        ("\"fold\": 2,", "\"fold\": 3,"),
    ] {
        let changed = sound.replace(from, to);
        assert_ne!(changed, sound);
        fs::write(&record, changed).unwrap();
        let refused = merge(project, DEFAULT_NAME, &[copy.to_owned()], &mut |_| {}).unwrap_err().to_string();
        assert!(refused.contains("fold.json"), "{to}: {refused}");
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
    fs::write(&record, sound).unwrap();
}

/// The pooled files equal the output of `quarry evaluate fddb` on the folds' detection files, which equals that of FDDB's own program.
fn check_pooled_as_official(project: &Project, report: &CrossValidationReport, scratch: &Path) {
    let store = project.open_store().unwrap();
    let truth = store.all_ground_truth().unwrap();
    let (mut annotations, mut sizes) = (Vec::new(), String::new());
    for fold in 1..=3 {
        let mut list = String::new();
        for image in store.images().unwrap().into_iter().filter(|image| image.fold() == Some(fold)) {
            let e = truth[&image.id][0].shape.ellipse().unwrap();
            writeln!(list, "{}\n1\n{} {} {} {} {}  1", image.name, e.ra, e.rb, e.theta, e.cx, e.cy).unwrap();
            writeln!(sizes, "{}\t{}\t{}", image.name, image.width, image.height).unwrap();
        }
        let file = scratch.join(format!("FDDB-fold-0{fold}-ellipseList.txt"));
        fs::write(&file, list).unwrap();
        annotations.push(file);
    }
    fs::write(scratch.join("sizes.tsv"), sizes).unwrap();
    for (round, shape) in [(1, "rectangle"), (1, "ellipse"), (2, "rectangle"), (2, "ellipse")] {
        let held_out = |fold| report.dir.join(format!("fold-{fold}/runs/{round}/held-out-{shape}.txt"));
        let evaluation = FddbEvaluation {
            annotations: annotations.clone(),
            detections: (1..=3).map(held_out).collect(),
            lists: vec![],
            sizes: SizeSource::Table(scratch.join("sizes.tsv")),
            shape: if shape == "ellipse" { Shape::Ellipse } else { Shape::Rectangle },
            matching: Matching::Official,
            order: Order::List,
            unreadable_scores: UnreadableScores::Refuse,
            out: scratch.join(format!("official-{round}-{shape}")).into(),
            figures: vec![],
            logarithmic: false,
            from_zero: false,
            published: false,
            most_hours: 1.0,
        };
        evaluate_fddb(&evaluation, &mut |_| {}, &Cancel::new()).unwrap();
        for file in ["DiscROC.txt", "ContROC.txt", "curves.csv"] {
            let pooled = fs::read_to_string(report.dir.join(format!("round-{round}/{shape}/{file}"))).unwrap();
            assert_eq!(pooled, fs::read_to_string(evaluation.out.path.join(file)).unwrap(), "{round} {shape} {file}");
            assert!(pooled.lines().count() > 1, "{pooled}");
        }
    }
    // The ROC screen shows the same.
    let files = run_files(report.dir.parent().unwrap());
    assert_eq!(files.len(), 4, "{files:?}");
    for file in files {
        let run = read_run(&file).unwrap();
        let text = fs::read_to_string(file.with_file_name("DiscROC.txt")).unwrap();
        assert_eq!((run.curves.pooled.disc_text(), run.curves.folds.len()), (text, 3), "{}", file.display());
    }
}

/// The fold's project was trained, mined and tested on the correct images.
fn check_no_leak(dir: &Path, fold: u8) {
    let store = Project::open(dir).unwrap().open_store().unwrap();
    let images = store.images().unwrap();
    let folds: BTreeMap<_, _> = images.iter().map(|image| (image.id, image.fold())).collect();
    for round in store.rounds().unwrap() {
        let config = RoundConfig::from_toml(&round.config_toml, "stored").unwrap();
        assert_eq!(config.test_splits, [fold.to_string()]);
        for image in &images {
            let candidates = store.candidates_of_image(image.id).unwrap();
            assert!(candidates.is_empty() || image.fold() != Some(fold), "mined on {}", image.name);
        }
        let tested = dir.join(format!("runs/{}/held-out-rectangle.txt", round.number));
        let blocks = read_detections(&[tested], Shape::Rectangle, UnreadableScores::Refuse).unwrap();
        let names: Vec<&str> = blocks.iter().map(|block| block.name.as_str()).collect();
        let expected: Vec<&str> =
            images.iter().filter(|image| image.fold() == Some(fold)).map(|image| image.name.as_str()).collect();
        assert_eq!(names, expected);
    }
    let hard = store.hard_negatives(HardNegativeSource::Unreviewed, 99).unwrap();
    assert!(hard.keys().all(|image| folds[image] != Some(fold)));
}

#[test]
fn the_projects_own_verdicts_and_rounds_do_not_reach_a_fold() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 4, 2);
    let mut store = project.open_store().unwrap();
    let round = store.start_round(&request(1, &[]).config.to_toml()).unwrap();
    let image = store.images().unwrap()[0].id;
    let candidate = quarry::store::NewCandidate {
        image,
        class: quarry::domain::ClassId::ONLY,
        bbox: quarry::geometry::BoundingBox::new(1.0, 1.0, 9.0, 9.0),
        score: 0.9,
        max_iou: 0.0,
        kind: quarry::domain::FalsePositiveKind::Background,
    };
    store.replace_candidates(round.id, &[image], &[candidate]).unwrap();
    let id = store.candidates_of_image(image).unwrap()[0].id;
    let shape = quarry::domain::Shape::Rectangle(candidate.bbox);
    store.record_missed_object(id, "tester", (shape, None), None, 1).unwrap();
    let report = run(&project, &request(1, &[1])).unwrap();
    let fold = Project::open(&report.dir.join("fold-1")).unwrap().open_store().unwrap();
    assert_eq!(fold.rounds().unwrap().len(), 1);
    let faces: usize = fold.all_ground_truth().unwrap().values().map(Vec::len).sum();
    assert_eq!(faces, 4, "the promoted face stayed behind");
}

#[test]
fn other_settings_other_data_and_missing_folds_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 4, 2);
    let check = |project: &Project, request: &CrossValidation, expected: &[&str]| {
        let message = run(project, request).unwrap_err().to_string();
        for part in expected {
            assert!(message.contains(part), "{message:?} lacks {part:?}");
        }
    };
    check(&project, &request(1, &[7]), &["fold 7", "[1, 2]"]);
    let named = |name: &str| CrossValidation { name: name.to_owned(), ..request(1, &[]) };
    for bad in ["2", "../x", "", ".x"] {
        check(&project, &named(bad), &["not a valid name"]);
    }
    let mut on_dataset = request(1, &[]);
    on_dataset.config.test_dataset = "scenes".to_owned();
    check(&project, &on_dataset, &["test_dataset"]);
    let mut confirmed = request(2, &[]);
    confirmed.config.hard_negatives = HardNegativeSource::Confirmed;
    check(&project, &confirmed, &["fold 1", "nobody has reviewed round 1", "fold-1"]);

    run(&project, &request(1, &[1])).unwrap();
    let mut other = request(1, &[]);
    (other.config.seed, other.config.workers) = (5, 1);
    check(&project, &other, &["`seed` was 1 and is 5", "--name"]);
    let stranger = tiny_project::make(&dir.path().join("else"), "p", 6, 2);
    let message = merge(&stranger, DEFAULT_NAME, &[project.dir().to_owned()], &mut |_| {}).unwrap_err().to_string();
    assert!(message.contains("images, folds or annotations have changed"), "{message}");
    let nothing = merge(&project, DEFAULT_NAME, &[stranger.dir().to_owned()], &mut |_| {}).unwrap_err().to_string();
    assert!(nothing.contains("no cross-validation here"), "{nothing}");
    let one_fold = tiny_project::make(&dir.path().join("one"), "p", 2, 1);
    check(&one_fold, &request(1, &[]), &["at least two folds"]);
}

#[cfg(unix)]
#[test]
fn a_project_is_held_over_all_folds_and_goes_on_where_it_was_moved_to() {
    let dir = tempfile::tempdir().unwrap();
    let whole = tiny_project::make(&dir.path().join("one"), "p", 4, 2);
    let expected = run(&whole, &request(1, &[])).unwrap();

    let old = tiny_project::make(&dir.path().join("two"), "old", 4, 2);
    let place = dir.path().join("two/new");
    tch::set_num_threads(1);
    let (mut fold, mut held) = (0, Vec::new());
    let mut watch = |event| match event {
        // Between folds and within them.
        WorkEvent::Fold(at) => {
            fold = at.fold;
            held.push(old.lock("import").unwrap_err().to_string());
        }
        WorkEvent::Train(TrainEvent::Step(step)) if fold == 2 && step.step == 2 => {
            fs::rename(old.dir(), &place).unwrap();
        }
        _ => {}
    };
    let error = cross_validate(&old, &request(1, &[]), &mut watch, &Cancel::new()).unwrap_err().to_string();
    assert!(error.contains("two/old") && error.contains("was moved"), "{error}");
    assert_eq!(held.len(), 2);
    let me = format!("process {} on host", std::process::id());
    assert!(held.iter().all(|told| told.contains(&me) && told.contains("cross-validation, since 20")), "{held:?}");
    assert!(!old.dir().exists(), "nothing is made again at the old place");

    let moved = Project::open(&place).unwrap();
    moved.lock("import").unwrap();
    assert_eq!(results(&run(&moved, &request(1, &[])).unwrap()), results(&expected));
}
