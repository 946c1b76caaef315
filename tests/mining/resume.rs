//! Interrupted mining: stopped, killed, with another model in between.

use std::path::Path;
use std::process::{Command, Stdio};

use quarry::detector::Precision;
use quarry::domain::{Cancel, Verdict};
use quarry::store::{CandidateQuery, Store, VerdictFilter};
use quarry::training::RoundConfig;
use quarry::workflow::mine::{MineReport, MineRequest, mine, mine_with};
use quarry::workflow::status::status;
use quarry::workflow::train::train;
use quarry::workflow::{Project, WorkEvent, WorkflowError};
use serde_json::Value;

use super::tiny_project;

/// A project with a trained round whose training images are all but `images / 8`.
pub fn trained(dir: &Path, images: u32) -> Project {
    tch::set_num_threads(1);
    let project = tiny_project::make(dir, "p", images, 8);
    let settings =
        tiny_project::settings("iterations = 2\ntest_folds = [2]\nevaluate_every = 0\nmining.max_detections = 6");
    train(&project, &RoundConfig::from_toml(&settings, "tests").unwrap(), &mut |_| {}, &Cancel::new()).unwrap();
    project
}

/// Formats every candidate, by image and position.
pub fn candidates(project: &Project) -> Vec<String> {
    let store = project.open_store_to_read().unwrap();
    let all = CandidateQuery { verdict: VerdictFilter::Any, collapse: false, ..CandidateQuery::default() };
    let ids = store.candidate_ids(&all).unwrap();
    let rows = store.candidate_rows(&ids).unwrap();
    let words = |row: &quarry::store::CandidateRow| {
        let c = &row.candidate;
        format!("{} {:?} {} {} {:?} {:?}", row.image_name, c.bbox, c.score, c.max_iou, c.kind, c.verdict)
    };
    let mut all: Vec<String> = rows.iter().map(words).collect();
    all.sort();
    all
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn command(project: &Project) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quarry"));
    command.args(["mine", "--json", "--device", "cpu", "--project"]).arg(project.dir());
    command.env("OMP_NUM_THREADS", "1").stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Kills mining once it has stored more than `done` images; returns how many it had then.
fn killed_after(project: &Project, done: usize) -> usize {
    let store = Store::open_read_only(&project.database()).unwrap();
    let round = store.rounds().unwrap()[0].id;
    let mut child = command(project).spawn().unwrap();
    loop {
        let now = store.unfinished_mining(round).unwrap().unwrap_or(0);
        if now > done {
            child.kill().unwrap();
            assert!(!child.wait().unwrap().success(), "it was killed before its end");
            // It may have committed more than it could report: whoever opens the database again sees that.
            drop(store);
            let store = Store::open_read_only(&project.database()).unwrap();
            return store.unfinished_mining(round).unwrap().unwrap();
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself at {now}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

#[test]
fn a_mining_that_is_killed_goes_on_and_ends_as_one_that_was_not() {
    let dir = tempfile::tempdir().unwrap();
    let project = trained(dir.path(), 96);
    let whole = dir.path().join("whole");
    copy(project.dir(), &whole);
    let whole = Project::open(&whole).unwrap();
    let report: Value = serde_json::from_slice(&command(&whole).output().unwrap().stdout).unwrap();
    let expected = candidates(&whole);
    assert!(expected.len() > 96 && report["candidates"].as_u64() == Some(expected.len() as u64), "{report}");

    let (mut done, mut before) = (0, 0);
    for _ in 0..3 {
        done = killed_after(&project, done);
        // What was stored is there, complete images only.
        let now = candidates(&project);
        assert!(now.len() > before && now.iter().all(|c| expected.contains(c)), "{} of {}", now.len(), expected.len());
        before = now.len();
    }
    assert_eq!(status(&project).unwrap().rounds[0].mining_done, Some(done));
    let again = command(&project).output().unwrap();
    let told = String::from_utf8_lossy(&again.stderr);
    let all = &report["images"];
    assert!(told.contains(&format!(": {done} of {all} images are done")), "{told}");
    let resumed: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(candidates(&project), expected);
    for key in ["images", "detections", "candidates", "background", "localisation", "duplicate"] {
        assert_eq!(resumed[key], report[key], "{key}");
    }
    assert_eq!(
        (resumed["resumed"].as_u64(), status(&project).unwrap().rounds[0].mining_done),
        (Some(done as u64), None)
    );
}

#[test]
fn candidates_and_verdicts_stay_while_their_images_are_mined_again() {
    let dir = tempfile::tempdir().unwrap();
    let project = trained(dir.path(), 64);
    mine(&project, None, &mut |_| {}, &Cancel::new()).unwrap();
    let mut store = project.open_store().unwrap();
    let ids = store.candidate_ids(&CandidateQuery { collapse: false, ..CandidateQuery::default() }).unwrap();
    store.record_verdicts(&ids[..40], "Ada", Verdict::Confirmed, None, 1).unwrap();
    let before = candidates(&project);
    let mut done = 0;
    for _ in 0..2 {
        done = killed_after(&project, done);
        assert_eq!(candidates(&project), before);
    }
    let counts = store.verdict_counts(None).unwrap();
    assert_eq!((counts.confirmed, counts.undecided), (40, before.len() as u64 - 40));
    let report = mine(&project, None, &mut |_| {}, &Cancel::new()).unwrap();
    assert_eq!((report.resumed, candidates(&project)), (done, before));
    // An annotator decides during mining.
    let mut mining = command(&project).spawn().unwrap();
    let (mut slowest, mut decided) = (std::time::Duration::ZERO, 0);
    while mining.try_wait().unwrap().is_none() {
        let begun = std::time::Instant::now();
        store.record_verdicts(&[ids[40 + decided % 40]], "Ada", Verdict::Rejected, None, 2 + decided as i64).unwrap();
        slowest = slowest.max(begun.elapsed());
        decided += 1;
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    println!("the slowest of {decided} verdicts beside a mining took {slowest:?}");
    assert!(mining.wait().unwrap().success() && decided > 0);
    assert_eq!(store.verdict_counts(None).unwrap().rejected, decided.min(40) as u64);
    assert_eq!(store.candidate(ids[0]).unwrap().verdict, Some(Verdict::Confirmed), "with the id of before");
}

/// Stops mining while it detects on the image after this many.
fn stopped(project: &Project, request: &MineRequest, after: u64) {
    let cancel = Cancel::new();
    let stop = cancel.clone();
    let mut watch = |event| {
        if let WorkEvent::Progress(progress) = event
            && progress.done == after
        {
            stop.cancel();
        }
    };
    let error = mine_with(project, request, &mut watch, &cancel).unwrap_err();
    assert!(matches!(error, WorkflowError::Cancelled), "{error}");
}

#[test]
fn another_precision_begins_anew_and_changed_images_are_mined_again() {
    let dir = tempfile::tempdir().unwrap();
    let project = trained(dir.path(), 24);
    let f32 = MineRequest::default();
    let bf16 = MineRequest { precision: Some(Precision::Bf16), ..MineRequest::default() };
    let run =
        |request: &MineRequest| -> MineReport { mine_with(&project, request, &mut |_| {}, &Cancel::new()).unwrap() };
    stopped(&project, &f32, 7);
    let round = project.open_store().unwrap().rounds().unwrap()[0].id;
    assert_eq!(
        project.open_store().unwrap().unfinished_mining(round).unwrap(),
        Some(8),
        "stopped work is kept at once"
    );
    assert_eq!(run(&bf16).resumed, 0);
    assert_eq!(run(&bf16).resumed, 0, "one that came to its end is done again");

    stopped(&project, &f32, 7);
    let store = project.open_store().unwrap();
    let image = store.images().unwrap().into_iter().find(|image| image.split.as_deref() == Some("1")).unwrap();
    let bytes: String = "f".repeat(64);
    rusqlite::Connection::open(project.database())
        .unwrap()
        .execute("UPDATE images SET content_hash = ?1 WHERE id = ?2", (&bytes, image.id.0))
        .unwrap();
    assert_eq!(run(&f32).resumed, 7, "its bytes changed");
    stopped(&project, &f32, 7);
    let (object, _) = store.ground_truth(image.id).unwrap().remove(0);
    rusqlite::Connection::open(project.database())
        .unwrap()
        .execute("UPDATE ground_truth SET ignored = 1 WHERE id = ?1", [object.0])
        .unwrap();
    assert_eq!(run(&f32).resumed, 7, "its ground truth changed");
}
