//! What a project survives, through the command line: read-only disks, damaged databases, foreign files, settings without bounds, a second
//! running program.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

#[allow(dead_code, reason = "nothing is trained here")]
#[path = "support/tiny_project.rs"]
mod tiny_project;

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use quarry::domain::{FalsePositiveKind, Verdict};
use quarry::geometry::BoundingBox;
use quarry::store::{CandidateQuery, NewCandidate, Store};
use quarry::workflow::Project;
use serde_json::Value;

fn quarry(args: &[&str]) -> assert_cmd::assert::Assert {
    Command::cargo_bin("quarry").unwrap().args(args).assert()
}

fn stdout(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stdout).into_owned()
}

fn stderr(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

/// A project with a mined round of four candidates; Ada and Grace decided two of them.
fn reviewed(dir: &Path, name: &str) -> Project {
    let project = tiny_project::make(dir, name, 4, 2);
    let mut store = project.open_store().unwrap();
    let round = store.start_round("").unwrap().id;
    let images = store.images().unwrap();
    let class = store.add_class("face", "test").unwrap();
    let candidate = |k: usize| NewCandidate {
        image: images[k].id,
        class,
        bbox: BoundingBox::from_xywh(35.0, 12.0, 20.0, 20.0),
        score: 0.5,
        max_iou: 0.0,
        kind: FalsePositiveKind::Background,
    };
    let processed: Vec<_> = images.iter().map(|image| image.id).collect();
    store.replace_candidates(round, &processed, &(0..4).map(candidate).collect::<Vec<_>>()).unwrap();
    let ids = store.candidate_ids(&CandidateQuery::default()).unwrap();
    store.record_verdicts(&ids[..2], "Ada", Verdict::Confirmed, None, 1).unwrap();
    store.record_verdicts(&ids[..2], "Grace", Verdict::Rejected, None, 2).unwrap();
    project
}

fn path(project: &Project) -> &str {
    project.dir().to_str().unwrap()
}

/// A mounted in-memory file system, `None` (with a loud message) if this process may not mount.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(size: &str) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let options = format!("size={size}");
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(place.path());
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(place));
        }
        println!("SKIPPED: this process may not mount a file system");
        None
    }

    fn read_only(&self) {
        let mut mount = std::process::Command::new("mount");
        assert!(mount.args(["-o", "remount,ro"]).arg(self.0.path()).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Read-only commands with their output; `out` is a folder for what they write.
fn check_reading_commands(p: &str, out: &Path) {
    let o = |name: &str| out.join(name).to_str().unwrap().to_owned();
    let status: Value =
        serde_json::from_slice(&quarry(&["status", "--project", p, "--json"]).success().get_output().stdout).unwrap();
    assert_eq!((status["rounds"][0]["candidates"].as_u64(), status["notes"].as_array().unwrap().len()), (Some(4), 0));
    quarry(&["verdicts", "export", &o("v.jsonl"), "--project", p]).success();
    assert_eq!(std::fs::read_to_string(o("v.jsonl")).unwrap().lines().count(), 4);
    assert!(stdout(&quarry(&["verdicts", "agreement", "--project", p]).success()).contains("Ada and Grace"));
    quarry(&["verdicts", "precision", "--project", p]).success();
    assert!(stdout(&quarry(&["classes", "list", "--project", p]).success()).contains("face"));
    quarry(&["dataset", "stats", "--project", p]).success();
    quarry(&["dataset", "split", "a=1,b=1", "--by-bytes", "--dry-run", "--project", p]).success();
    quarry(&["export", "ground-truth", "--format", "fddb", "--out", &o("faces.txt"), "--project", p]).success();
    for name in ["v.jsonl", "faces.txt", "faces.sources.csv"] {
        std::fs::remove_file(o(name)).unwrap();
    }
}

#[test]
fn reading_commands_work_on_a_read_only_and_on_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (Some(disk), Some(full)) = (Disk::new("16m"), Disk::new("4m")) else { return };
    let made = reviewed(disk.0.path(), "p");
    let copy = full.0.path().join("p");
    std::fs::create_dir_all(copy.join("runs")).unwrap();
    std::fs::copy(made.database(), copy.join("quarry.db")).unwrap();
    disk.read_only();
    assert!(std::fs::write(full.0.path().join("filler"), vec![1; 8 << 20]).is_err());
    for project in [made.dir(), &copy] {
        check_reading_commands(project.to_str().unwrap(), dir.path());
    }
    let notes = dir.path().join("v.jsonl");
    std::fs::write(&notes, "").unwrap();
    let merge = |p: &Path| {
        stderr(&quarry(&["verdicts", "merge", notes.to_str().unwrap(), "--project", p.to_str().unwrap()]).code(1))
    };
    let refused = merge(made.dir());
    assert!(refused.contains("Read-only file system") && !refused.contains("unable to open"), "{refused}");
    let refused = merge(&copy);
    assert!(refused.contains("the disk is full") && !refused.contains("disk I/O error"), "{refused}");
}

#[test]
fn a_damaged_database_is_restored_with_its_newest_verdicts() {
    let dir = tempfile::tempdir().unwrap();
    let project = reviewed(dir.path(), "p");
    let p = path(&project);
    quarry(&["restore", "--project", p]).code(1);
    project.open_store().unwrap().back_up().unwrap();
    let mut store = project.open_store().unwrap();
    let ids = store.candidate_ids(&CandidateQuery::default()).unwrap();
    store.record_verdicts(&ids, "Ada", Verdict::Rejected, None, 3).unwrap();
    drop(store);
    let mut file = std::fs::OpenOptions::new().write(true).open(project.database()).unwrap();
    let root: i64 = rusqlite::Connection::open(project.database())
        .unwrap()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'images'", [], |r| r.get(0))
        .unwrap();
    file.seek(SeekFrom::Start((root as u64 - 1) * 4096)).unwrap();
    file.write_all(&[0xa5; 4096]).unwrap();
    drop(file);
    let damaged = std::fs::read(project.database()).unwrap();
    let told = stderr(&quarry(&["status", "--project", p]).code(1));
    assert!(told.contains("is damaged") && told.contains("quarry restore"), "{told}");
    assert!(std::fs::read(project.database()).unwrap() == damaged);
    let restored = stdout(&quarry(&["restore", "--project", p]).success());
    assert!(restored.contains("Recovered 2 newer verdicts"), "{restored}");
    let counts = project.open_store().unwrap().verdict_counts(None).unwrap();
    assert_eq!((counts.rejected, counts.undecided), (4, 0));
    assert!(std::fs::read(project.dir().join("damaged-1.db")).unwrap() == damaged);
    assert!(stderr(&quarry(&["restore", "--project", p]).code(1)).contains("not damaged"));
}

#[test]
fn projects_that_commands_alone_use_are_backed_up() {
    let dir = tempfile::tempdir().unwrap();
    let project = reviewed(dir.path(), "p");
    let backups = project.dir().join("backups");
    let _ = std::fs::remove_dir_all(&backups);
    for _ in 0..2 {
        quarry(&["group", "--project", path(&project)]).success();
        assert_eq!(Store::open_to_read(&project.database()).unwrap().backups().len(), 1, "once a day");
    }
}

#[test]
fn a_verdict_file_of_another_project_is_refused_by_the_number_that_matches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (reviewed(&dir.path().join("a"), "p"), reviewed(&dir.path().join("b"), "p"));
    let file = dir.path().join("v.jsonl");
    let f = file.to_str().unwrap();
    quarry(&["verdicts", "export", f, "--project", path(&one)]).success();
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(&"0".repeat(60), &"7".repeat(60))).unwrap();
    let refused = stderr(&quarry(&["verdicts", "merge", f, "--project", path(&other)]).code(1));
    assert!(refused.contains("none of the 4 verdicts") && refused.contains("--keep"), "{refused}");
    let kept = stdout(&quarry(&["verdicts", "merge", f, "--keep", "--project", path(&other)]).success());
    assert!(kept.contains("4 of these are on images that match nothing here"), "{kept}");
    std::fs::write(&file, text.replacen("\"tick\":1000", "\"tick\":9223372036854775807", 1)).unwrap();
    let refused = stderr(&quarry(&["verdicts", "merge", f, "--project", path(&one)]).code(1));
    assert!(refused.contains("v.jsonl:1: its tick"), "{refused}");
    // Only one of two decisions with one uid could be merged; the same line twice is harmless.
    let first = text.lines().next().unwrap();
    let merge = || quarry(&["verdicts", "merge", f, "--project", path(&one)]);
    std::fs::write(&file, format!("{text}{first}\n")).unwrap();
    merge().success();
    std::fs::write(&file, format!("{text}{}\n", first.replace("confirmed", "rejected"))).unwrap();
    assert_ne!(first, first.replace("confirmed", "rejected"));
    let refused = stderr(&merge().code(1));
    assert!(refused.contains("v.jsonl:5: it has the uid of line 1"), "{refused}");
    std::fs::write(&file, text.replacen("\"face\"", "\"fa\\nce\"", 1)).unwrap();
    if text.contains("\"face\"") {
        let refused = stderr(&merge().code(1));
        assert!(refused.contains("v.jsonl:") && refused.contains("its class"), "{refused}");
    }
}

/// Every candidate is given to one annotator, or to two; shares only depend on the project, so that copies agree.
#[test]
fn the_queue_is_divided_among_annotators_by_a_command() {
    let dir = tempfile::tempdir().unwrap();
    let project = reviewed(dir.path(), "p");
    let p = path(&project);
    let share = |more: &[&str]| quarry(&[&["verdicts", "share", "--project", p], more].concat());
    assert!(stdout(&share(&[]).success()).contains("not divided"));
    for (twice, times) in [("0", 4), ("100", 8)] {
        let told = share(&["--among", "Ada", "--among", "Cem", "--twice", twice, "--json"]).success();
        let value: Value = serde_json::from_slice(&told.get_output().stdout).unwrap();
        let shares = value["shares"].as_array().unwrap();
        let sum = |key: &str| shares.iter().map(|share| share[key].as_u64().unwrap()).sum::<u64>();
        assert_eq!((shares.len(), sum("candidates")), (2, times), "{value}");
        assert_eq!(shares[1]["left"], shares[1]["candidates"], "Cem decided on nothing: {value}");
        let again = stdout(&share(&[]).success());
        assert!(
            again.contains("Ada: ") && again.contains(&format!("{twice} % of the images are judged twice")),
            "{again}"
        );
    }
    for (wrong, said) in [
        (vec!["--among", "Ada", "--among", "Ada"], "named twice"),
        (vec!["--among", "Ada", "--twice", "10"], "two annotators"),
    ] {
        let refused = stderr(&share(&wrong).code(1));
        assert!(refused.contains(said), "{refused}");
    }
    share(&["--twice", "5"]).code(2);
    share(&["--among", "Ada", "--undo"]).code(2);
    assert!(stdout(&share(&["--undo"]).success()).contains("not divided"));
}

/// Verdicts from a wrong clock are real: they can be merged with a warning, and later decisions count as newer.
#[test]
fn verdicts_of_a_clock_that_was_ahead_can_be_merged() {
    const DAY_MS: i64 = 24 * 3_600_000;
    for (days, by_itself, told) in [
        (0, true, None),
        (3, true, Some("up to 3 days ahead")),
        (365, true, Some("days ahead")),
        (800, false, Some("up to 800 days ahead")),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (ahead, other) = (reviewed(&dir.path().join("a"), "p"), reviewed(&dir.path().join("b"), "p"));
        let mut store = ahead.open_store().unwrap();
        let ids = store.candidate_ids(&CandidateQuery::default()).unwrap();
        let wrong = quarry::store::now_ms() + days * DAY_MS;
        store.record_verdicts(&ids, "Ada", Verdict::Confirmed, None, wrong).unwrap();
        // The clock is right again, and the order continues from there.
        store.record_verdicts(&ids[..1], "Ada", Verdict::Rejected, None, quarry::store::now_ms()).unwrap();
        drop(store);
        let file = dir.path().join("v.jsonl");
        let f = file.to_str().unwrap();
        quarry(&["verdicts", "export", f, "--project", path(&ahead)]).success();
        let mut merge = vec!["verdicts", "merge", f, "--keep", "--project", path(&other)];
        if !by_itself {
            let refused = stderr(&quarry(&merge).code(1));
            assert!(refused.contains(&format!("merge with --clock-ahead {days}")), "{refused}");
            merge.extend(["--clock-ahead", "800"]);
        }
        let said = stderr(&quarry(&merge).success());
        assert_eq!(told.is_some_and(|told| said.contains(told)), told.is_some(), "{days}: {said}");
        assert_eq!(told.is_none(), !said.contains("ahead"), "{days}: {said}");
        // Once they are merged, nothing is ahead of them any more.
        let again = stderr(&quarry(&merge).success());
        assert!(!again.contains("ahead"), "{again}");
        let mut store = other.open_store().unwrap();
        let merged: Vec<_> = ids.iter().map(|id| store.candidate(*id).unwrap().verdict).collect();
        let expected = |k: usize| Some(if k == 0 { Verdict::Rejected } else { Verdict::Confirmed });
        assert_eq!(merged, (0..ids.len()).map(expected).collect::<Vec<_>>(), "{days}");
        store.record_verdicts(&ids, "Ada", Verdict::Skipped, None, quarry::store::now_ms()).unwrap();
        let now: Vec<_> = ids.iter().map(|id| store.candidate(*id).unwrap().verdict).collect();
        assert!(now.iter().all(|verdict| *verdict == Some(Verdict::Skipped)), "{days}: what is decided now counts");
    }
}

#[test]
fn a_path_in_a_database_of_others_does_not_leave_its_dataset() {
    let dir = tempfile::tempdir().unwrap();
    let project = reviewed(dir.path(), "p");
    let secret = dir.path().join("secret.png");
    std::fs::copy(dir.path().join("pictures/scene_0.png"), &secret).unwrap();
    let hostile = rusqlite::Connection::open(project.database()).unwrap();
    for outside in ["../secret.png", secret.to_str().unwrap(), "a/../../secret.png"] {
        hostile.execute("UPDATE images SET path = ?1 WHERE id = 1", [outside]).unwrap();
        let refused = stderr(&quarry(&["group", "--project", path(&project)]).code(1));
        assert!(refused.contains("leaves its dataset's folder"), "{outside}: {refused}");
    }
}

#[test]
fn an_imported_curve_is_known_by_its_own_file() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::create(&dir.path().join("p")).unwrap();
    let roc = dir.path().join("Net_DiscROC.txt");
    std::fs::write(&roc, "0.5 10\n0.7 20\n").unwrap();
    quarry(&["import", "roc", roc.to_str().unwrap(), "--project", path(&project)]).success();
    let curves = project.dir().join("curves");
    let text = std::fs::read_to_string(curves.join("Net.json")).unwrap();
    std::fs::write(curves.join("other.json"), &text).unwrap();
    std::fs::write(curves.join("evil.json"), text.replace("\"Net\"", "\"../../Net\"")).unwrap();
    let (known, refused) = quarry::workflow::roc_import::imported_rocs(project.dir());
    assert_eq!((known.len(), refused.len()), (1, 2));
    assert!(refused.iter().all(|error| error.to_string().contains("is not this file's")), "{refused:?}");
}

/// The dataset and the class are named, before anything is written.
#[test]
fn classes_that_a_project_cannot_hold_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    image::GrayImage::from_pixel(64, 48, image::Luma([90])).save(at("a.png")).unwrap();
    quarry(&["new", &at("p")]).success();
    let check = |names: &[String], expected: &str| {
        let categories = names.iter().zip(1..).map(|(name, id)| serde_json::json!({ "id": id, "name": name }));
        let coco = serde_json::json!({
            "images": [{ "id": 1, "file_name": "a.png", "width": 64, "height": 48 }],
            "annotations": [{ "id": 1, "image_id": 1, "category_id": 1, "bbox": [5, 5, 20, 20] }],
            "categories": categories.collect::<Vec<_>>(),
        });
        std::fs::write(at("a.json"), coco.to_string()).unwrap();
        let refused = stderr(&quarry(&["import", "coco", &at("a.json"), "--project", &at("p")]).code(1));
        let folder = dir.path().canonicalize().unwrap();
        assert!(refused.contains(expected) && refused.contains(folder.to_str().unwrap()), "{refused}");
        assert!(stdout(&quarry(&["status", "--json", "--project", &at("p")]).success()).contains("\"datasets\": []"));
    };
    check(&["a\u{1b}[31m".to_owned()], "class `a\\u{1b}[31m`");
    check(&["x".repeat(300)], "of 1 to 200 bytes");
    check(&(0..20_001).map(|k| format!("class {k}")).collect::<Vec<_>>(), "20001 classes");
}

#[test]
fn an_import_waits_for_nobody_and_is_told_who_holds_the_project() {
    let dir = tempfile::tempdir().unwrap();
    let project = reviewed(dir.path(), "p");
    let lock = project.lock("training").unwrap();
    let pictures: PathBuf = dir.path().join("scenes");
    let import = ["import", "folder", pictures.to_str().unwrap(), "--project", path(&project)];
    for work in [&import[..], &["group", "--project", path(&project)]] {
        let refused = stderr(&quarry(work).code(1));
        let holder = format!("process {} on host", std::process::id());
        assert!(refused.contains(&holder) && refused.contains("training, since 20"), "{refused}");
    }
    // Verdicts are merged meanwhile.
    let file = dir.path().join("v.jsonl");
    quarry(&["verdicts", "export", file.to_str().unwrap(), "--project", path(&project)]).success();
    quarry(&["verdicts", "merge", file.to_str().unwrap(), "--project", path(&project)]).success();
    drop(lock);
    quarry(&import).success();
}

#[cfg(feature = "torch")]
#[test]
fn settings_without_bounds_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let project = reviewed(dir.path(), "p");
    let before = project.open_store().unwrap().rounds().unwrap().len();
    let check = |setting: &str, expected: &str| {
        let train = ["train", "--project", path(&project), "--preset", "sample", "--set", setting, "--device", "cpu"];
        let refused = stderr(&quarry(&train).code(1));
        assert!(refused.contains(expected), "{setting}: {refused}");
    };
    check("detector.shorter_side=1000000", "shorter_side");
    check("detector.roi.hidden=400000", "at most 16384");
    check("detector.num_classes=100000000", "at most 10000");
    check("prefetch=4000000000", "above 4096");
    check("batch_images=4000000000", "above 1024");
    check("iterations=9000000000000000000", "above 1000000000");
    check("detector.rpn.train.pre_nms=9000000000000000000", "at most 100000");
    let fits_no_computer = [
        "--set",
        "batch_images=1024",
        "--set",
        "detector.longer_side_cap=16000",
        "--set",
        "detector.shorter_side=16000",
    ];
    let train = ["train", "--project", path(&project), "--preset", "sample", "--device", "cpu"];
    let refused = stderr(&quarry(&[&train[..], &fits_no_computer[..]].concat()).code(1));
    assert!(refused.contains("GiB of memory, and this computer has"), "{refused}");
    assert_eq!(project.open_store().unwrap().rounds().unwrap().len(), before, "no round was begun");
}

/// Several connections of one process, as the window has them: opening one must not let go of the others' locks, or the other program deletes
/// the log as the last one, and what is decided afterwards is lost.
#[test]
fn a_verdict_after_another_programs_work_is_kept_where_a_process_has_several_connections() {
    let dir = tempfile::tempdir().unwrap();
    let project = reviewed(dir.path(), "p");
    let p = path(&project);
    let mut first = project.open_store().unwrap();
    let second = project.open_store().unwrap();
    drop(project.open_store_to_read().unwrap());
    let third = Store::open_read_only(&project.database()).unwrap();
    quarry(&["classes", "rename", "face", "visage", "--project", p]).success();
    assert!(project.dir().join("quarry.db-wal").is_file(), "the log is in use");
    let ids = first.candidate_ids(&CandidateQuery::default()).unwrap();
    first.record_verdicts(&ids, "Ada", Verdict::Confirmed, None, 3).unwrap();
    let told = |what: &str| {
        let status: Value =
            serde_json::from_str(&stdout(&quarry(&["status", "--json", "--project", p]).success())).unwrap();
        assert_eq!(status["rounds"][0]["confirmed"].as_u64(), Some(2), "{what}: {status}");
    };
    told("while the connections are open");
    drop((third, second, first));
    told("afterwards");
    assert!(!project.dir().join("quarry.db-wal").exists(), "the last connection moves the log into the file");
}
