//! Full disks, a held database, a clock set back. An unmounted dataset is in tests/away.rs, a read-only disk in tests/trust.rs.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use quarry::domain::Verdict;
use quarry::store::{CandidateQuery, HistoryQuery};
use quarry::workflow::Project;
use quarry::workflow::verdicts::{export, merge};

use crate::app_project;
use crate::kills::{coco, review, reviewed};
use crate::scenario::{copy_folder, finished, leftovers, quarry, store_of};
use crate::state::{check_sound, log_of};

/// A small in-memory disk, `None` (with a loud message) if this process may not mount one.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new() -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=32m", "tmpfs"]).arg(place.path());
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(place));
        }
        println!("SKIPPED: this process may not mount a file system");
        None
    }

    /// Leaves this many bytes free.
    fn fill(&self, room: u64) {
        let filler = self.0.path().join("filler");
        let full = vec![1; 40 << 20];
        assert!(fs::write(&filler, &full).is_err(), "the disk is larger than it should be");
        let file = File::options().write(true).open(&filler).unwrap();
        let size = file.metadata().unwrap().len();
        file.set_len(size - room).unwrap();
    }

    fn make_room(&self) {
        fs::remove_file(self.0.path().join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_full_disk_costs_nothing_and_the_same_command_works_once_there_is_room() {
    let Some(disk) = Disk::new() else { return };
    let dir = tempfile::tempdir().unwrap();
    let base = reviewed(dir.path(), 8);
    let (file, verdicts) = (coco(&dir.path().join("coco"), 0..60, 0), dir.path().join("copy.jsonl"));
    let copy = dir.path().join("copy");
    copy_folder(base.dir(), &copy);
    review(&Project::open(&copy).unwrap(), 20);
    export(&Project::open(&copy).unwrap().open_store().unwrap(), &verdicts).unwrap();
    let out = disk.0.path().join("out.jsonl");
    let commands = [
        format!("import coco {}", file.display()),
        format!("verdicts merge {}", verdicts.display()),
        "group --distance 8".to_owned(),
        format!("verdicts export --force {}", out.display()),
        format!("export ground-truth --format csv --force --out {}", disk.0.path().join("out.csv").display()),
    ];
    let acknowledged = log_of(base.dir());
    let (mut tries, mut refused) = (0, 0);
    for words in &commands {
        for room in [0, 8 << 10, 64 << 10, 256 << 10] {
            let project = disk.0.path().join("p");
            copy_folder(base.dir(), &project);
            // The daily backup is due too.
            let _ = fs::remove_dir_all(project.join("backups"));
            fs::write(&out, "old").unwrap();
            let project = Project::open(&project).unwrap();
            disk.fill(room);
            let output = quarry(words, &project).output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            tries += 1;
            if !output.status.success() {
                refused += 1;
                assert_eq!(output.status.code(), Some(1), "{words}, {room} bytes left: {text}");
                let says_why = ["no space left", "No space left", "is full"].iter().any(|words| text.contains(words));
                assert!(says_why && !text.contains("disk I/O error"), "{words}, {room} bytes left: {text}");
                assert!(!words.contains("out.jsonl") || fs::read_to_string(&out).unwrap() == "old", "{words}");
            }
            check_sound(&project, &acknowledged);
            disk.make_room();
            finished(quarry(words, &project));
            check_sound(&project, &acknowledged);
            assert_eq!(leftovers(disk.0.path()), Vec::<String>::new(), "{words}, {room} bytes left");
            fs::remove_dir_all(project.dir()).unwrap();
        }
    }
    assert!(refused > 4, "the disk was full in {refused} of {tries} tries only");
    println!("TORTURE full disk: {tries} tries, {refused} refused with the reason: nothing lost");
}

#[test]
fn a_command_waits_for_a_held_database() {
    let dir = tempfile::tempdir().unwrap();
    let base = reviewed(dir.path(), 4);
    let copy = dir.path().join("copy");
    copy_folder(base.dir(), &copy);
    review(&Project::open(&copy).unwrap(), 4);
    let verdicts = dir.path().join("copy.jsonl");
    export(&Project::open(&copy).unwrap().open_store().unwrap(), &verdicts).unwrap();
    let holder = rusqlite::Connection::open(base.database()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut merging = quarry(&format!("verdicts merge {}", verdicts.display()), &base).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(700));
    assert!(merging.try_wait().unwrap().is_none(), "it waits");
    assert!(log_of(base.dir()).len() < log_of(&copy).len());
    holder.execute_batch("ROLLBACK").unwrap();
    drop(holder);
    assert!(merging.wait().unwrap().success());
    assert_eq!(log_of(base.dir()), log_of(&copy));
}

fn set_modified(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// The clock was half a day ahead and was set back: the last decision counts, here and after a merge, and nothing that compares times loops
/// forever. (A file of verdicts more than a day ahead is refused, see tests/trust.rs.)
#[test]
fn a_clock_that_goes_back_changes_no_order_and_leaves_nothing_behind() {
    const HALF_A_DAY_MS: i64 = 12 * 3_600_000;
    let dir = tempfile::tempdir().unwrap();
    let project = app_project::make(dir.path(), 4, 1);
    let copy = dir.path().join("copy");
    copy_folder(project.dir(), &copy);
    let mut store = project.open_store().unwrap();
    let ids = store.candidate_ids(&CandidateQuery::default()).unwrap();
    let now = quarry::store::now_ms();
    store.record_verdicts(&ids, "Ada", Verdict::Confirmed, None, now + HALF_A_DAY_MS).unwrap();
    store.record_verdicts(&ids[..6], "Ada", Verdict::Rejected, None, now).unwrap();
    store.record_verdicts(&ids[..3], "Ada", Verdict::Skipped, None, now - HALF_A_DAY_MS).unwrap();
    assert_eq!(store.undo("Ada", now - 2 * HALF_A_DAY_MS).unwrap().unwrap().verdict, Some(Verdict::Skipped));
    let expected = |k: usize| Some(if k < 6 { Verdict::Rejected } else { Verdict::Confirmed });
    let times = store.history(&HistoryQuery::default(), 100).unwrap();
    assert!(
        times.first().unwrap().record.time_ms < times.last().unwrap().record.time_ms,
        "the log says what the clock said"
    );

    let file = dir.path().join("v.jsonl");
    export(&store, &file).unwrap();
    drop(store);
    let mut merged = Project::open(&copy).unwrap().open_store().unwrap();
    merge(&mut merged, &file).unwrap();
    for store in [&merged, &store_of(project.dir())] {
        for (k, id) in ids.iter().enumerate() {
            assert_eq!(store.candidate(*id).unwrap().verdict, expected(k), "candidate {k}");
        }
    }

    // Backups, a killed process's file and the last holder of the lock are in the future.
    let ahead = SystemTime::now() + Duration::from_hours(24 * 365);
    let left = project.dir().join(".quarry-4000000000-left");
    fs::write(&left, "half").unwrap();
    set_modified(&left, ahead);
    for _ in 0..4 {
        for backup in store_of(project.dir()).backups() {
            set_modified(&backup.path, ahead);
        }
        finished(quarry("group", &project));
    }
    let (first, again) = (store_of(project.dir()).backups().len(), {
        finished(quarry("group", &project));
        store_of(project.dir()).backups().len()
    });
    assert_eq!(first, again, "a backup a day, once the newest is of this clock");
    assert!(again <= 10, "{again} backups");
    assert_eq!(leftovers(project.dir()), Vec::<String>::new());
    check_sound(&project, &BTreeSet::new());
}
