//! Datasets that are unmounted before or during work, and projects that are moved while they train.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
#![cfg(feature = "torch")]

#[path = "support/tiny_project.rs"]
mod tiny_project;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use quarry::domain::{Cancel, ImageId, RoundState};
use quarry::store::{CandidateQuery, NewDataset, NewImage, NewObject, Store, VerdictFilter};
use quarry::training::{RoundConfig, TrainEvent};
use quarry::workflow::mine::mine;
use quarry::workflow::status::status;
use quarry::workflow::train::{TrainReport, resume, train};
use quarry::workflow::{Project, WorkEvent, WorkflowError};

fn config(more: &str) -> RoundConfig {
    tch::set_num_threads(1);
    RoundConfig::from_toml(&tiny_project::settings(more), "tests").unwrap()
}

fn quarry(args: &[&str], project: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quarry"));
    command.args(args).arg("--project").arg(project).env("OMP_NUM_THREADS", "1").output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn trained(dir: &Path, images: u32, more: &str) -> Project {
    let project = tiny_project::make(dir, "p", images, 2);
    train(&project, &config(&format!("iterations = 2\ntest_folds = [2]\n{more}")), &mut |_| {}, &Cancel::new())
        .unwrap();
    project
}

fn candidates(store: &Store) -> u64 {
    let all = CandidateQuery { verdict: VerdictFilter::Any, collapse: false, ..CandidateQuery::default() };
    store.count_candidates(&all).unwrap()
}

fn state(project: &Project, round: usize) -> RoundState {
    project.open_store().unwrap().rounds().unwrap()[round - 1].state
}

#[test]
fn mining_without_the_images_keeps_every_candidate() {
    let dir = tempfile::tempdir().unwrap();
    // More than the threads prefetch, whatever the number of cores.
    let project = trained(dir.path(), 120, "mining.max_detections = 6");
    let found = mine(&project, None, &mut |_| {}, &Cancel::new()).unwrap();
    let store = project.open_store().unwrap();
    let (before, detections) = (candidates(&store), store.count_detections(store.rounds().unwrap()[0].id).unwrap());
    assert!(before > 0 && found.candidates as u64 == before);
    let (pictures, away) = (dir.path().join("pictures"), dir.path().join("away"));

    // Before the start: the folder is missing, then an empty one is at its mount point.
    fs::rename(&pictures, &away).unwrap();
    for empty in [false, true] {
        if empty {
            fs::create_dir(&pictures).unwrap();
        }
        let refused = quarry(&["mine"], project.dir());
        assert_eq!(refused.status.code(), Some(1));
        let message = stderr(&refused);
        assert!(message.contains("pictures") && message.contains("Mount or restore it"), "{message}");
        assert_eq!(candidates(&store), before);
    }
    fs::remove_dir(&pictures).unwrap();
    fs::rename(&away, &pictures).unwrap();

    // During the work.
    let mut unmount = |event| {
        if let WorkEvent::Progress(progress) = event
            && progress.what.starts_with("Detecting")
            && progress.done == 2
        {
            fs::rename(&pictures, &away).unwrap();
        }
    };
    let error = mine(&project, None, &mut unmount, &Cancel::new()).unwrap_err();
    assert!(matches!(error, WorkflowError::Away(_)), "{error}");
    assert_eq!(candidates(&store), before);
    let grouped = quarry(&["group", "--distance", "3"], project.dir());
    assert!(grouped.status.success(), "what crops look like is known: {}", stderr(&grouped));
    fs::rename(&away, &pictures).unwrap();
    let rest = mine(&project, None, &mut |_| {}, &Cancel::new()).unwrap();
    assert!(rest.resumed > 0 && rest.candidates == found.candidates && candidates(&store) == before, "{rest:?}");

    // A single missing image keeps its data, and the others are mined.
    fs::remove_file(pictures.join("scene_0.png")).unwrap();
    let again = mine(&project, None, &mut |_| {}, &Cancel::new()).unwrap();
    assert_eq!(again.unreadable, [pictures.join("scene_0.png")]);
    assert!((again.candidates as u64) < before && candidates(&store) == before);
    assert_eq!(store.count_detections(store.rounds().unwrap()[0].id).unwrap(), detections);
}

#[test]
fn most_images_broken_is_no_mining() {
    let dir = tempfile::tempdir().unwrap();
    let project = trained(dir.path(), 4, "");
    mine(&project, None, &mut |_| {}, &Cancel::new()).unwrap();
    let store = project.open_store().unwrap();
    let before = candidates(&store);
    for name in ["pictures/scene_0.png", "pictures/scene_2.png", "scenes/scene_100.png"] {
        fs::write(dir.path().join(name), "no picture").unwrap();
    }
    let error = mine(&project, None, &mut |_| {}, &Cancel::new()).unwrap_err().to_string();
    assert!(error.contains("3 of 4 images cannot be read") && error.contains("scene_0.png"), "{error}");
    assert_eq!(candidates(&store), before);
}

/// Trains the next round; calls `at` after each step.
fn train_watched(
    project: &Project,
    config: &RoundConfig,
    mut at: impl FnMut(u64),
) -> Result<TrainReport, WorkflowError> {
    let mut watch = |event| {
        if let WorkEvent::Train(TrainEvent::Step(step)) = event {
            at(step.step);
        }
    };
    train(project, config, &mut watch, &Cancel::new())
}

fn weights(project: &Project, step: u64) -> Vec<u8> {
    fs::read(project.run_dir(1).join(format!("checkpoints/step-{step:07}/model.safetensors"))).unwrap()
}

#[test]
fn training_stops_where_a_dataset_is_away_and_goes_on_with_all_images() {
    let dir = tempfile::tempdir().unwrap();
    let settings = config("iterations = 12\ncheckpoint_every = 0\nevaluate_every = 0\ntest_folds = [2]\nprefetch = 2");
    let whole = tiny_project::make(&dir.path().join("one"), "p", 8, 2);
    train(&whole, &settings, &mut |_| {}, &Cancel::new()).unwrap();

    let project = tiny_project::make(&dir.path().join("two"), "p", 8, 2);
    let (pictures, away) = (dir.path().join("two/pictures"), dir.path().join("away"));
    fs::rename(&pictures, &away).unwrap();
    let refused = quarry(&["train", "--preset", "sample", "--test-folds", "2"], project.dir());
    assert!(refused.status.code() == Some(1) && stderr(&refused).contains("Mount or restore"), "{}", stderr(&refused));
    assert!(project.open_store().unwrap().rounds().unwrap().is_empty(), "nothing was begun");
    fs::rename(&away, &pictures).unwrap();

    let unmount = |step| {
        if step == 2 {
            fs::rename(&pictures, &away).unwrap();
        }
    };
    let error = train_watched(&project, &settings, unmount).unwrap_err();
    assert!(error.to_string().contains("pictures: the dataset's folder does not exist"), "{error}");
    assert_eq!(state(&project, 1), RoundState::Stopped);
    let kept = fs::read_dir(project.run_dir(1).join("checkpoints")).unwrap().flatten();
    assert!(
        kept.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("step-")),
        "a checkpoint is kept"
    );
    let still_away = resume(&project, None, &mut |_| {}, &Cancel::new()).unwrap_err();
    assert!(matches!(still_away, WorkflowError::Away(_)), "{still_away}");
    assert_eq!(state(&project, 1), RoundState::Stopped);

    fs::rename(&away, &pictures).unwrap();
    let report = resume(&project, None, &mut |_| {}, &Cancel::new()).unwrap();
    assert!(!report.stopped && report.unreadable.is_empty(), "{report:?}");
    assert!(weights(&whole, 12) == weights(&project, 12), "no image was left out for good");
}

#[test]
fn an_image_that_could_not_be_read_is_tried_again_when_the_round_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 8, 2);
    let (there, away) = (dir.path().join("pictures/scene_0.png"), dir.path().join("scene_0.png"));
    fs::rename(&there, &away).unwrap();
    let settings = config("iterations = 24\ncheckpoint_every = 0\nevaluate_every = 0\ntest_folds = [2]");
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let mut watch = |event| {
        if let WorkEvent::Train(TrainEvent::Step(step)) = event
            && step.step == 12
        {
            stop.cancel();
        }
    };
    let report = train(&project, &settings, &mut watch, &cancel).unwrap();
    assert!(report.stopped && report.unreadable == [there.clone()], "{report:?}");
    fs::rename(&away, &there).unwrap();
    let report = resume(&project, None, &mut |_| {}, &Cancel::new()).unwrap();
    assert!(report.unreadable.is_empty(), "{report:?}");
    let image = project.open_store().unwrap().images().unwrap()[0].id.to_string();
    let table = fs::read_to_string(project.run_dir(1).join("sampler.csv")).unwrap();
    let drawn_at: Vec<u64> = table
        .lines()
        .skip(1)
        .filter(|line| line.split(',').nth(2).unwrap().split(';').any(|id| id == image))
        .map(|line| line.split(',').next().unwrap().parse().unwrap())
        .collect();
    assert!(!drawn_at.is_empty() && drawn_at.iter().all(|step| *step > 12), "{drawn_at:?}");
}

#[test]
fn a_curve_with_unreadable_test_images_says_so_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 8, 2);
    fs::write(dir.path().join("pictures/scene_1.png"), "no picture").unwrap();
    let settings = config("iterations = 2\ntest_folds = [2]");
    let report = train(&project, &settings, &mut |_| {}, &Cancel::new()).unwrap();
    assert!(report.curves.iter().all(|(_, curve)| curve.unreadable == 1));
    let round = status(&project).unwrap().rounds.remove(0);
    assert!(!round.curves.is_empty() && round.curves.iter().all(|curve| curve.unreadable == 1));
    let shown = String::from_utf8(quarry(&["status"], project.dir()).stdout).unwrap();
    assert!(shown.contains("1 test image could not be read"), "{shown}");

    // Without the test images there is no curve.
    for k in [3, 5, 7] {
        fs::remove_file(dir.path().join(format!("pictures/scene_{k}.png"))).unwrap();
    }
    let error = train(&project, &settings, &mut |_| {}, &Cancel::new()).unwrap_err().to_string();
    assert!(error.contains("cannot open") || error.contains("does not exist"), "{error}");
}

#[test]
fn an_image_that_cannot_be_read_is_left_out_of_a_detection_file() {
    let dir = tempfile::tempdir().unwrap();
    let project = trained(dir.path(), 4, "");
    let (pictures, out) = (dir.path().join("pictures"), dir.path().join("found.txt"));
    fs::write(pictures.join("scene_1.png"), "no picture").unwrap();
    let run_dir = project.run_dir(1);
    let arguments = ["detect", "--checkpoint", run_dir.to_str().unwrap(), "--images", pictures.to_str().unwrap()];
    let more = ["--out", out.to_str().unwrap(), "--device", "cpu"];
    let detected = quarry(&[&arguments[..], &more].concat(), project.dir());
    assert!(detected.status.success(), "{}", stderr(&detected));
    let text = fs::read_to_string(&out).unwrap();
    assert!(text.contains("scene_0") && !text.contains("scene_1"), "{text}");
}

#[test]
fn an_annotated_copy_keeps_its_background_copy_out_of_training_and_mining() {
    let dir = tempfile::tempdir().unwrap();
    let project = tiny_project::make(dir.path(), "p", 6, 2);
    // The same images as a folder of background, as `import folder` reads them.
    let mut store = project.open_store().unwrap();
    let images = store.images().unwrap();
    let copies = images.iter().filter(|image| image.split.is_some()).map(|image| NewImage {
        name: image.path.clone(),
        path: PathBuf::from(&image.path),
        content_hash: image.content_hash.clone(),
        width: image.width,
        height: image.height,
        split: None,
        objects: Vec::new(),
    });
    let copies = NewDataset {
        name: "background".to_owned(),
        kind: "plain".to_owned(),
        root: dir.path().join("pictures/."),
        classes: Vec::new(),
        images: copies.collect(),
    };
    store.add_dataset(&copies).unwrap();
    assert_eq!(store.images().unwrap().len(), images.len() + 6);
    let mut told = Vec::new();
    let mut watch = |event| {
        if let WorkEvent::Log(text) = event {
            told.push(text);
        }
    };
    let settings = config("iterations = 2\ntest_folds = [2]");
    let report = train(&project, &settings, &mut watch, &Cancel::new()).unwrap();
    // Three images of fold 1 and two scenes; none of the six copies.
    assert_eq!((report.training_images, report.test_images), (5, 3), "{told:?}");
    assert!(told.iter().any(|text| text.starts_with("3 images are not trained on")), "{told:?}");
    assert!(told.iter().any(|text| text.starts_with("3 images are not used")), "{told:?}");
    assert_eq!(mine(&project, None, &mut |_| {}, &Cancel::new()).unwrap().images, 5);
}

fn objects(store: &Store, image: ImageId) -> Vec<NewObject> {
    let annotations = store.ground_truth(image).unwrap().into_iter();
    annotations.map(|(_, object)| NewObject { class: 0, shape: object.shape, ignored: object.ignored }).collect()
}

#[test]
fn a_removed_image_is_neither_trained_on_nor_mined_nor_tested_on() {
    let dir = tempfile::tempdir().unwrap();
    let project = trained(dir.path(), 6, "");
    mine(&project, None, &mut |_| {}, &Cancel::new()).unwrap();
    let mut store = project.open_store().unwrap();
    let before = candidates(&store);
    let images = store.images().unwrap();
    let fewer = images.iter().filter(|image| image.split.is_some()).skip(2).map(|image| NewImage {
        name: image.name.clone(),
        path: PathBuf::from(&image.path),
        content_hash: image.content_hash.clone(),
        width: image.width,
        height: image.height,
        split: image.split.clone(),
        objects: objects(&store, image.id),
    });
    let fewer = NewDataset {
        name: "drawn".to_owned(),
        kind: "folder".to_owned(),
        root: dir.path().join("pictures"),
        classes: vec!["face".to_owned()],
        images: fewer.collect(),
    };
    assert_eq!(store.add_dataset(&fewer).unwrap().removed.len(), 2);
    assert!(candidates(&store) < before, "candidates of a removed image are not listed");
    let report = train(&project, &config("iterations = 1\ntest_folds = [2]"), &mut |_| {}, &Cancel::new()).unwrap();
    assert_eq!((report.training_images, report.test_images), (4, 2));
    assert_eq!(mine(&project, Some(2), &mut |_| {}, &Cancel::new()).unwrap().images, 4);
}

#[cfg(unix)]
#[test]
fn a_project_that_is_moved_while_it_trains_stops_and_goes_on_at_its_new_place() {
    let dir = tempfile::tempdir().unwrap();
    let settings = config("iterations = 8\ncheckpoint_every = 2\nevaluate_every = 0\ntest_folds = [2]");
    let whole = tiny_project::make(&dir.path().join("one"), "p", 6, 2);
    train(&whole, &settings, &mut |_| {}, &Cancel::new()).unwrap();

    let old = tiny_project::make(&dir.path().join("two"), "old", 6, 2);
    let place = dir.path().join("two/new");
    let move_away = |step| {
        if step == 3 {
            fs::rename(old.dir(), &place).unwrap();
        }
    };
    let error = train_watched(&old, &settings, move_away).unwrap_err().to_string();
    assert!(error.contains("two/old") && error.contains("was moved"), "{error}");
    assert!(cfg!(not(target_os = "linux")) || error.contains("two/new"), "{error}");
    assert!(!old.dir().exists(), "nothing is made again at the old place");

    let project = Project::open(&place).unwrap();
    assert_eq!(state(&project, 1), RoundState::Stopped);
    let checkpoints = fs::read_dir(project.run_dir(1).join("checkpoints")).unwrap().flatten();
    let names: Vec<String> = checkpoints.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert_eq!(names, ["step-0000002"], "the last checkpoint, and nothing half written");
    let resumed = quarry(&["train", "--resume"], project.dir());
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    assert!(weights(&whole, 8) == weights(&project, 8));
}

#[cfg(unix)]
#[test]
fn a_project_that_is_moved_while_it_is_mined_or_tested_is_not_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let old = trained(dir.path(), 6, "");
    let place = dir.path().join("new");
    let moving = |what: &'static str, to: PathBuf, from: PathBuf| {
        move |event: WorkEvent| {
            if let WorkEvent::Progress(progress) = event
                && progress.what.starts_with(what)
                && progress.done == 1
            {
                fs::rename(&from, &to).unwrap();
            }
        }
    };
    let mut move_away = moving("Detecting", place.clone(), old.dir().to_path_buf());
    let error = mine(&old, None, &mut move_away, &Cancel::new()).unwrap_err().to_string();
    assert!(error.contains("was moved") && !old.dir().exists(), "{error}");
    let project = Project::open(&place).unwrap();
    assert_eq!((state(&project, 1), candidates(&project.open_store().unwrap())), (RoundState::Trained, 0));

    // In the test after the last step.
    let third = dir.path().join("third");
    let mut move_away = moving("Evaluating", third.clone(), place.clone());
    let settings = config("iterations = 2\ntest_folds = [2]");
    let error = train(&project, &settings, &mut move_away, &Cancel::new()).unwrap_err().to_string();
    assert!(error.contains("was moved") && !place.exists(), "{error}");
    let project = Project::open(&third).unwrap();
    assert_eq!(state(&project, 2), RoundState::Stopped);
    let report = resume(&project, None, &mut |_| {}, &Cancel::new()).unwrap();
    assert!(!report.stopped && !report.curves.is_empty());
}

/// Each command works in folders whose names are not UTF-8, or reports an error; none panics, and none leaves an incomplete project.
#[cfg(target_os = "linux")]
#[test]
fn folders_whose_names_are_not_utf_8_work_or_are_refused_by_name() {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt as _;
    let dir = tempfile::tempdir().unwrap();
    let odd = |name: &[u8]| dir.path().join(OsStr::from_bytes(name));
    let made = tiny_project::make(dir.path(), "p", 4, 2);
    let (project, images, out) = (odd(b"p\xff"), odd(b"images\xfe"), odd(b"out\xfd.txt"));
    fs::rename(made.dir(), &project).unwrap();
    fs::create_dir(&images).unwrap();
    for entry in fs::read_dir(dir.path().join("pictures")).unwrap().flatten() {
        fs::copy(entry.path(), images.join(entry.file_name())).unwrap();
    }
    fs::copy(dir.path().join("pictures/scene_0.png"), images.join(OsStr::from_bytes(b"x\xff.png"))).unwrap();
    let settings = odd(b"round\xff.toml");
    fs::write(&settings, tiny_project::settings("iterations = 2\ntest_folds = [2]")).unwrap();
    let odd_settings = settings.clone();
    let settings = |folds: &str| {
        let path = odd_settings.with_file_name("cv.toml");
        fs::write(&path, tiny_project::settings(&format!("iterations = 2\n{folds}hard_negatives = \"unreviewed\"")))
            .unwrap();
        path
    };
    let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
    let run = |what: &str, args: Vec<OsString>, may_refuse: bool| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_quarry")).args(args).env("OMP_NUM_THREADS", "1").output().unwrap();
        let said = stderr(&output);
        assert!(!said.contains("panicked"), "{what}: {said}");
        let code = output.status.code();
        assert!(
            code == Some(0) || (may_refuse && matches!(code, Some(1 | 2)) && said.contains("UTF-8")),
            "{what}: {code:?} {said}"
        );
    };
    let with = |mut args: Vec<OsString>, more: &[(&str, &Path)]| {
        for (option, path) in more {
            if !option.is_empty() {
                args.push((*option).into());
            }
            args.push((*path).into());
        }
        args
    };
    let p = ("--project", project.as_path());
    run("train", with(words(&["train"]), &[("--config", &odd_settings), p]), false);
    run("mine", with(words(&["mine"]), &[p]), false);
    run("status", with(words(&["status", "--json"]), &[p]), false);
    run(
        "detect",
        with(words(&["detect"]), &[("--checkpoint", &project.join("runs/1")), ("--images", &images), ("--out", &out)]),
        true,
    );
    run("import", with(words(&["import", "folder"]), &[("", &images), p]), true);
    let demo = odd(b"demo\xfc");
    run("demo", with(words(&["demo", "--headless"]), &[("--project", &demo)]), true);
    assert!(!demo.exists(), "a refused demo leaves nothing");
    let cv = settings("");
    run("cross-validate", with(words(&["cross-validate", "--rounds", "1"]), &[("--config", &cv), p]), false);
    let log = odd(b"log\xff.jsonl");
    run("verdicts", with(words(&["verdicts", "export"]), &[("", &log), p]), false);
    let store = Store::open(&project.join("quarry.db")).unwrap();
    assert_eq!(store.rounds().unwrap()[0].state, RoundState::Mined);
}
