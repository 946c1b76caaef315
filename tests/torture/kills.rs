//! SIGKILL at random moments during every command that writes: import, train, mine, merge, group, cross-validate.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::{Rgb, RgbImage};
use quarry::domain::{Cancel, FalsePositiveKind, RoundState, Verdict};
use quarry::geometry::BoundingBox;
use quarry::store::{CandidateQuery, NewCandidate};
use quarry::training::RoundConfig;
use quarry::workflow::Project;
use quarry::workflow::verdicts::export;

use crate::scenario::{Scenario, copy_folder, finished, quarry, store_of};
use crate::state::{candidates, data, files, log_of};
use crate::{app_project, tiny_project};

/// Decides some candidates and undoes some of it.
pub fn review(project: &Project, passes: i64) {
    let mut store = project.open_store().unwrap();
    let ids = store.candidate_ids(&CandidateQuery::default()).unwrap();
    for pass in 0..passes {
        for (k, some) in ids.chunks(7).enumerate() {
            let verdict = [Verdict::Confirmed, Verdict::Rejected, Verdict::Skipped][(k + pass as usize) % 3];
            let by = if pass % 2 == 0 { "Ada" } else { "Grace" };
            store.record_verdicts(some, by, verdict, Some("clock"), pass * 100 + k as i64).unwrap();
            if k % 3 == 0 {
                store.undo(by, pass * 100 + k as i64).unwrap();
            }
        }
    }
}

/// A project of drawn images with a mined round of three candidates per image and verdicts on them.
pub fn reviewed(dir: &Path, images: u32) -> Project {
    let project = app_project::make(dir, images, 1);
    review(&project, 1);
    at_rest(&project)
}

/// A project of tiny images whose first round is reviewed but was not trained.
fn tiny_reviewed(dir: &Path, images: u32) -> Project {
    let project = tiny_project::make(dir, "p", images, 2);
    let mut store = project.open_store().unwrap();
    let round = store.start_round("").unwrap().id;
    let all: Vec<_> = store.images().unwrap().iter().map(|image| image.id).collect();
    let class = store.add_class("face", "test").unwrap();
    let candidate = |image| NewCandidate {
        image,
        class,
        bbox: BoundingBox::from_xywh(35.0, 12.0, 20.0, 20.0),
        score: 0.5,
        max_iou: 0.0,
        kind: FalsePositiveKind::Background,
    };
    let found: Vec<_> = all.iter().map(|image| candidate(*image)).collect();
    store.replace_candidates(round, &all, &found).unwrap();
    store.set_round_state(round, RoundState::Mined).unwrap();
    drop(store);
    review(&project, 1);
    at_rest(&project)
}

/// Returns the project once no backup is due.
fn at_rest(project: &Project) -> Project {
    drop(project.open_store().unwrap());
    project.clone()
}

fn settings(project: &Project, more: &str) -> PathBuf {
    let file = project.dir().join("round.toml");
    fs::write(&file, tiny_project::settings(&format!("checkpoint_every = 1\n{more}"))).unwrap();
    file
}

/// Images of 24 x 18 pixels in `folder`, and their COCO file: `changed` ones have other bytes.
pub fn coco(folder: &Path, images: std::ops::Range<u32>, changed: u32) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    let (mut entries, mut boxes) = (Vec::new(), Vec::new());
    for n in images {
        let shade = if n < changed { 200 } else { 0 };
        let pixels =
            RgbImage::from_fn(24, 18, |x, y| Rgb([(x * 9) as u8, (y * 9 + n % 50) as u8, shade + (n % 50) as u8]));
        pixels.save(folder.join(format!("{n}.png"))).unwrap();
        entries.push(format!("{{\"id\": {n}, \"file_name\": \"{n}.png\"}}"));
        boxes.push(format!(
            "{{\"id\": {n}, \"image_id\": {n}, \"category_id\": 1, \"bbox\": [2, 3, 9, {}]}}",
            5 + n % 9
        ));
    }
    let (entries, boxes) = (entries.join(", "), boxes.join(", "));
    let text = format!(
        "{{\"images\": [{entries}], \"annotations\": [{boxes}], \"categories\": [{{\"id\": 1, \"name\": \"clock\"}}]}}"
    );
    let file = folder.join("instances.json");
    fs::write(&file, text).unwrap();
    file
}

fn import(project: &Project, file: &Path) -> Command {
    quarry(&format!("import coco {}", file.display()), project)
}

#[test]
fn import_and_import_again() {
    let dir = tempfile::tempdir().unwrap();
    let base = reviewed(dir.path(), 8);
    let file = coco(&dir.path().join("coco"), 0..120, 0);
    let run = |name, kills| {
        let next = |project: &Project| Some(import(project, &file));
        let result = |project: &Project| format!("{}\n{}", data(project), candidates(project));
        Scenario { name, base: base.dir(), next: &next, result: &result, kills }.run();
    };
    run("import", (5, 8));
    finished(import(&base, &file));
    at_rest(&base);
    fs::remove_dir_all(dir.path().join("coco")).unwrap();
    coco(&dir.path().join("coco"), 20..150, 40);
    run("import again", (4, 7));
}

#[test]
fn train() {
    let dir = tempfile::tempdir().unwrap();
    let base = tiny_reviewed(dir.path(), 6);
    let config = settings(&base, "iterations = 8\ntest_folds = [2]\nhard_negatives = \"confirmed\"");
    let next = |project: &Project| {
        let rounds = store_of(project.dir()).rounds().unwrap();
        match rounds.get(1).map(|round| round.state) {
            None => Some(quarry(&format!("train --config {}", config.display()), project)),
            Some(RoundState::Trained) => None,
            Some(_) => Some(quarry("train --resume", project)),
        }
    };
    let result = |project: &Project| {
        let run = project.run_dir(2);
        let log = fs::read_to_string(run.join("log.csv")).unwrap();
        // The times differ.
        let steps: Vec<String> = log.lines().map(|line| line.rsplitn(3, ',').last().unwrap().to_owned()).collect();
        let checkpoints = files(&run.join("checkpoints"), &["state.json", "checksums.txt", "SHA256SUMS"]);
        let weights: Vec<&str> = checkpoints.lines().filter(|line| line.contains(".safetensors")).collect();
        let held_out = files(&run, &[]).lines().filter(|line| line.contains("held-out")).collect::<Vec<_>>().join("\n");
        let sampler = fs::read_to_string(run.join("sampler.csv")).unwrap();
        format!("{weights:#?}\n{held_out}\n{steps:#?}\n{sampler}\n{}", candidates(project))
    };
    Scenario { name: "train", base: base.dir(), next: &next, result: &result, kills: (4, 15) }.run();
}

#[test]
fn mine() {
    let dir = tempfile::tempdir().unwrap();
    let base = tiny_reviewed(dir.path(), 24);
    let config = RoundConfig::from_toml(&tiny_project::settings("iterations = 2\ntest_folds = [2]"), "tests").unwrap();
    tch::set_num_threads(1);
    quarry::workflow::train::train(&base, &config, &mut |_| {}, &Cancel::new()).unwrap();
    at_rest(&base);
    let next = |project: &Project| Some(quarry("mine", project));
    Scenario { name: "mine", base: base.dir(), next: &next, result: &candidates, kills: (4, 15) }.run();
}

#[test]
fn merge_of_verdicts() {
    let dir = tempfile::tempdir().unwrap();
    let base = reviewed(dir.path(), 20);
    let copy = dir.path().join("copy");
    copy_folder(base.dir(), &copy);
    let copy = Project::open(&copy).unwrap();
    review(&copy, 20);
    let file = dir.path().join("copy.jsonl");
    let lines = export(&copy.open_store().unwrap(), &file).unwrap();
    let (own, all) = (log_of(base.dir()).len(), log_of(copy.dir()).len());
    assert!(all as u64 == lines && all > 5 * own, "{own} and {all}");
    let next = |project: &Project| {
        let found = log_of(project.dir()).len();
        assert!(found == own || found == all, "{found} of {all} verdicts: a merge is all or nothing");
        Some(quarry(&format!("verdicts merge {}", file.display()), project))
    };
    let result = |project: &Project| format!("{:#?}\n{}", log_of(project.dir()), candidates(project));
    Scenario { name: "merge of verdicts", base: base.dir(), next: &next, result: &result, kills: (5, 10) }.run();
}

#[test]
fn group() {
    let dir = tempfile::tempdir().unwrap();
    let base = reviewed(dir.path(), 20);
    let next = |project: &Project| Some(quarry("group --distance 8", project));
    Scenario { name: "group", base: base.dir(), next: &next, result: &candidates, kills: (5, 10) }.run();
}

#[test]
fn cross_validate_and_merge_of_folds() {
    let dir = tempfile::tempdir().unwrap();
    let base = tiny_reviewed(dir.path(), 4);
    let config = settings(&base, "iterations = 2\nhard_negatives = \"unreviewed\"");
    let words = format!("cross-validate --rounds 2 --config {}", config.display());
    let pooled = |project: &Project| {
        let folder = project.runs_dir().join("cross-validation");
        let all = files(&folder, &["summary.json"]);
        all.lines().filter(|line| line.starts_with("round-")).collect::<Vec<_>>().join("\n")
    };
    let next = |project: &Project| Some(quarry(&words, project));
    Scenario { name: "cross-validate", base: base.dir(), next: &next, result: &pooled, kills: (2, 8) }.run();

    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    for (copy, fold) in [(&one, 1), (&other, 2)] {
        copy_folder(base.dir(), copy);
        finished(quarry(&format!("{words} --folds {fold}"), &Project::open(copy).unwrap()));
    }
    let words = format!("cross-validate --merge {}", other.display());
    let next = |project: &Project| Some(quarry(&words, project));
    Scenario { name: "merge of folds", base: &one, next: &next, result: &pooled, kills: (3, 5) }.run();
}
