//! Damaged, foreign, newer and locked databases, and full disks.

use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use quarry::domain::{Shape, Verdict};
use quarry::store::{CandidateQuery, HistoryQuery, Store, StoreError, VerdictFilter, restore_backup};

use super::project::{bb, candidate, every_image, project};

fn error(opened: Result<Store, StoreError>) -> StoreError {
    opened.err().expect("this must not open")
}

#[test]
fn what_is_not_there_or_not_ours_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("quarry.db");
    assert!(matches!(error(Store::open(&path)), StoreError::NotFound(_)));
    std::fs::write(&path, "no database at all, but long enough to be read as one: ".repeat(20)).unwrap();
    assert!(matches!(error(Store::open(&path)), StoreError::Corrupt { .. }));
    assert!(matches!(error(Store::create(&path)), StoreError::Exists(_)));
    std::fs::write(&path, "").unwrap();
    assert!(matches!(error(Store::open(&path)), StoreError::NotAProject(_)));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0, "a file that is not ours stays as it is");
}

/// Overwrites individual pages, numbered from 1.
fn damage_pages(path: &Path, pages: &[u64]) {
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    for page in pages {
        file.seek(SeekFrom::Start((page - 1) * 4096)).unwrap();
        file.write_all(&[0xa5; 4096]).unwrap();
    }
}

/// Overwrites the second half of the file.
fn damage(path: &Path) {
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    let bytes = file.metadata().unwrap().len();
    file.seek(SeekFrom::Start(bytes / 2)).unwrap();
    file.write_all(&vec![0xa5; (bytes / 2) as usize]).unwrap();
}

#[test]
fn a_damaged_database_names_its_newest_good_backup_and_opens_read_only() {
    let mut p = project();
    let path = p.path();
    let ids = p.candidates();
    p.store.record_verdicts(&ids[..2], "Ada", Verdict::Confirmed, None, 1).unwrap();
    let first = p.store.back_up().unwrap();
    let second = p.store.back_up().unwrap();
    damage(&second);
    drop(p.store);
    damage(&path);
    let StoreError::Corrupt { backup, .. } = error(Store::open(&path)) else { panic!("not told that it is damaged") };
    assert_eq!(backup.as_deref(), Some(first.as_path()), "the newest backup is damaged too");
    let message = error(Store::open(&path)).to_string();
    assert!(message.contains("read-only") && message.contains("000001-rolling.db"), "{message}");
    Store::open_read_only(&path).unwrap();
    std::fs::write(&path, "").unwrap();
    let StoreError::Corrupt { backup, .. } = error(Store::open(&path)) else { panic!("no bytes are damage too") };
    assert_eq!(backup.as_deref(), Some(first.as_path()));
    std::fs::copy(&first, &path).unwrap();
    let restored = Store::open(&path).unwrap();
    assert_eq!(restored.verdict_counts(None).unwrap().confirmed, 2);
}

/// A folder with a database as left by a kill: a backup, and two newer verdicts only in the WAL. Then `damage` is applied to the file.
fn killed_and_damaged(damage: impl Fn(&Path)) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let mut p = project();
    let (path, ids) = (p.path(), p.candidates());
    p.store.record_verdicts(&ids[..2], "Ada", Verdict::Confirmed, None, 1).unwrap();
    drop(p.store);
    let mut later = Store::open(&path).unwrap();
    let backup = later.back_up().unwrap();
    later.record_verdicts(&ids[2..3], "Grace", Verdict::Rejected, None, 2).unwrap();
    later.record_missed_object(ids[4], "Ada", (Shape::Rectangle(bb(400., 200., 470., 290.)), None), None, 3).unwrap();
    let killed = tempfile::tempdir().unwrap();
    let (copy, good) = (killed.path().join("quarry.db"), killed.path().join("backups/000001-rolling.db"));
    std::fs::create_dir(killed.path().join("backups")).unwrap();
    std::fs::copy(&backup, &good).unwrap();
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(log(&path), log(&copy)).unwrap();
    damage(&copy);
    (killed, copy, good)
}

fn log(of: &Path) -> PathBuf {
    PathBuf::from(format!("{}-wal", of.display()))
}

#[test]
fn a_damaged_database_is_not_changed_and_newer_verdicts_are_rescued_into_its_backup() {
    let last = |path: &Path| std::fs::metadata(path).unwrap().len() / 4096;
    let check = |what: &str, damage: &dyn Fn(&Path)| {
        let (_dir, path, backup) = killed_and_damaged(damage);
        let before = (std::fs::read(&path).unwrap(), std::fs::read(log(&path)).unwrap());
        assert!(matches!(error(Store::open(&path)), StoreError::Corrupt { .. }), "{what}");
        assert!(matches!(error(Store::open_to_read(&path)), StoreError::Corrupt { .. }), "{what}");
        drop(Store::open_read_only(&path).unwrap().readable_verdicts());
        let after = (std::fs::read(&path).unwrap(), std::fs::read(log(&path)).unwrap());
        assert!(after == before, "{what}: something was moved out of the log");

        let restored = restore_backup(&path, &backup).unwrap();
        assert_eq!((restored.rescued, restored.unreadable), (2, 0), "{what}: {restored}");
        let store = Store::open(&path).unwrap();
        let counts = store.verdict_counts(None).unwrap();
        assert_eq!((counts.confirmed, counts.rejected, counts.missed_object), (2, 1, 1), "{what}");
        assert_eq!(store.annotators().unwrap(), ["Ada", "Grace"], "{what}");
        let kept = (std::fs::read(&restored.damaged).unwrap(), std::fs::read(log(&restored.damaged)).unwrap());
        assert!(kept == before, "{what}: the damaged file is not kept as it was");
    };
    check("the second half", &|path| damage(path));
    check("the last page", &|path| damage_pages(path, &[last(path)]));
    check("all but the header", &|path| damage_pages(path, &(2..=last(path)).collect::<Vec<_>>()));
    check("one page in three", &|path| damage_pages(path, &(4..=last(path)).step_by(3).collect::<Vec<_>>()));
}

/// SQLite takes a journal beside a database for its own. It goes with the damaged file, where SQLite applies it or finds it useless.
#[test]
fn the_journal_of_a_damaged_database_does_not_stay_beside_the_restored_one() {
    let (_dir, path, backup) = killed_and_damaged(damage);
    let journal = PathBuf::from(format!("{}-journal", path.display()));
    std::fs::write(&journal, "of the damaged file").unwrap();
    let restored = restore_backup(&path, &backup).unwrap();
    assert!(!journal.exists());
    assert_ne!(restored.damaged, path);
    assert_eq!(Store::open(&path).unwrap().verdict_counts(None).unwrap().confirmed, 2);
}

#[cfg(unix)]
#[test]
fn another_programs_database_is_no_backup_and_a_fifo_is_not_waited_for() {
    let (dir, path, backup) = killed_and_damaged(damage);
    let before = std::fs::read(&path).unwrap();
    let foreign = dir.path().join("places.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE places (url)").unwrap();
    let fifo = dir.path().join("backups/000999-rolling.db");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for (no_backup, expected) in [(&foreign, "places.db"), (&fifo, "FIFO")] {
        let message = restore_backup(&path, no_backup).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert!(std::fs::read(&path).unwrap() == before, "{message}");
    }
    // The newest backup that is a file is offered.
    let StoreError::Corrupt { backup: Some(offered), .. } = error(Store::open(&path)) else { panic!("no backup") };
    assert_eq!(offered.file_name(), backup.file_name());
}

#[test]
fn without_its_log_a_damaged_database_gives_what_its_own_pages_hold() {
    let (_dir, path, backup) = killed_and_damaged(|path| {
        // Checkpoint the WAL into the file first.
        rusqlite::Connection::open(path).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        let table = |name: &str| {
            let c = rusqlite::Connection::open(path).unwrap();
            let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
            c.query_row(sql, [name], |r| r.get::<_, i64>(0)).unwrap() as u64
        };
        let pages = [table("candidates"), table("images"), table("gestures")];
        damage_pages(path, &pages);
    });
    assert!(matches!(error(Store::open(&path)), StoreError::Corrupt { .. }));
    let restored = restore_backup(&path, &backup).unwrap();
    assert_eq!((restored.rescued, restored.unreadable), (2, 0), "{restored}");
}

#[test]
fn damage_that_shows_after_opening_names_the_newest_good_backup_too() {
    let p = project();
    let path = p.path();
    let good = p.store.back_up().unwrap();
    drop(p.store);
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    let bytes = file.metadata().unwrap().len();
    let store = Store::open_read_only(&path).unwrap();
    // All pages but the first, which contains the format.
    file.seek(SeekFrom::Start(4096)).unwrap();
    file.write_all(&vec![0xa5; bytes as usize - 4096]).unwrap();
    let all = CandidateQuery { verdict: VerdictFilter::Any, ..CandidateQuery::default() };
    let told = [store.candidate_ids(&all).map(|_| ()).unwrap_err(), store.back_up().map(|_| ()).unwrap_err()];
    for error in told {
        let StoreError::Corrupt { path: database, backup, .. } = error else { panic!("not told: {error}") };
        assert_eq!((database, backup.as_deref()), (path.clone(), Some(good.as_path())));
    }
}

#[test]
fn backups_roll() {
    let p = project();
    for _ in 0..13 {
        p.store.back_up().unwrap();
    }
    let numbers: Vec<u64> = p.store.backups().iter().map(|b| b.number).collect();
    assert_eq!(numbers, (4..=13).collect::<Vec<u64>>());
    assert!(p.store.back_up_if_due(std::time::Duration::from_mins(1)).unwrap().is_none());
    assert!(p.store.back_up_if_due(std::time::Duration::ZERO).unwrap().is_some());
}

#[test]
fn a_read_only_store_says_so() {
    let p = project();
    let ids = p.candidates();
    let mut reader = Store::open_read_only(&p.path()).unwrap();
    let error = reader.record_verdicts(&ids[..1], "Ada", Verdict::Confirmed, None, 1).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly(_)), "{error}");
}

#[test]
fn a_database_that_another_program_holds_is_busy_then_free() {
    let mut p = project();
    let ids = p.candidates();
    let holder = rusqlite::Connection::open(p.path()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = p.store.record_verdicts(&ids[..1], "Ada", Verdict::Confirmed, None, 1).unwrap_err();
    assert!(matches!(error, StoreError::Busy(_)), "{error}");
    assert!(error.to_string().contains("held by another program"));
    holder.execute_batch("ROLLBACK").unwrap();
    p.store.record_verdicts(&ids[..1], "Ada", Verdict::Confirmed, None, 2).unwrap();
    assert_eq!(p.store.history(&HistoryQuery::default(), 9).unwrap().len(), 1, "the failed call left nothing");
}

#[test]
fn a_full_disk_saves_nothing_by_halves() {
    let mut p = project();
    let image = p.store.images().unwrap()[0].id;
    let many: Vec<_> = (0..500).map(|k| candidate(image, bb(120. + f64::from(k), 120., 700., 150.), 0.5)).collect();
    p.store.replace_candidates(p.round, &every_image(&p.store), &many).unwrap();
    let all = CandidateQuery { verdict: VerdictFilter::Any, ..CandidateQuery::default() };
    let ids = p.store.candidate_ids(&all).unwrap();
    p.store.limit_pages(1).unwrap();
    let error = p.store.record_verdicts(&ids, "Ada", Verdict::MissedObject, None, 1).unwrap_err();
    assert!(matches!(error, StoreError::DiskFull(_)), "{error}");
    assert_eq!(p.store.verdict_counts(None).unwrap().undecided, 500);
    assert_eq!(p.store.count_candidates(&CandidateQuery::default()).unwrap(), 500);
    assert!(p.store.history(&HistoryQuery::default(), 1).unwrap().is_empty());
    p.store.limit_pages(u32::MAX - 1).unwrap();
    p.store.record_verdicts(&ids, "Ada", Verdict::Confirmed, None, 2).unwrap();
    p.store.check_integrity().unwrap();
}

#[test]
fn the_log_cannot_be_rewritten() {
    let mut p = project();
    let ids = p.candidates();
    p.store.record_verdicts(&ids, "Ada", Verdict::Confirmed, None, 1).unwrap();
    let other = rusqlite::Connection::open(p.path()).unwrap();
    for sql in ["UPDATE verdicts SET verdict = 'rejected'", "DELETE FROM verdicts", "UPDATE gestures SET time_ms = 0"] {
        let message = other.execute(sql, []).unwrap_err().to_string();
        assert!(message.contains("append-only"), "{sql}: {message}");
    }
}
