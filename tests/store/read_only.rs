//! Reading from read-only media, foreign files, and databases copied without their WAL.

use std::path::{Path, PathBuf};

use quarry::domain::{Verdict, VerdictCounts};
use quarry::store::{Store, StoreError};

use super::project::{Project, project};

/// A read-only in-memory file system with a copy of `files`. `None` with a loud message if this process may not mount.
#[cfg(target_os = "linux")]
struct ReadOnlyDisk(tempfile::TempDir);

#[cfg(target_os = "linux")]
impl ReadOnlyDisk {
    fn with(files: &[PathBuf]) -> Option<Self> {
        let place = tempfile::tempdir().unwrap();
        let run = |args: &[&str]| {
            std::process::Command::new("mount").args(args).arg(place.path()).output().is_ok_and(|o| o.status.success())
        };
        if !run(&["-t", "tmpfs", "-o", "size=4m", "tmpfs"]) {
            println!("SKIPPED: this process may not mount a file system");
            return None;
        }
        let disk = Self(place);
        for file in files {
            std::fs::copy(file, disk.path().join(file.file_name().unwrap())).unwrap();
        }
        assert!(
            std::process::Command::new("mount").args(["-o", "remount,ro"]).arg(disk.path()).status().unwrap().success()
        );
        Some(disk)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

#[cfg(target_os = "linux")]
impl Drop for ReadOnlyDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn decided() -> (Project, VerdictCounts) {
    let mut p = project();
    let ids = p.candidates();
    p.store.record_verdicts(&ids[..2], "Ada", Verdict::Confirmed, None, 1).unwrap();
    let counts = p.store.verdict_counts(None).unwrap();
    (p, counts)
}

fn companion(path: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", path.display()))
}

#[test]
fn a_database_at_rest_is_one_file() {
    let (p, counts) = decided();
    let path = p.path();
    let reader = Store::open_read_only(&path).unwrap();
    assert!(companion(&path, "-wal").exists());
    drop(reader);
    drop(p.store);
    let files: Vec<_> = std::fs::read_dir(p.dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(files, ["quarry.db"]);
    assert_eq!(std::fs::read(&path).unwrap()[18..20], [1, 1], "rollback mode");
    let reader = Store::open_to_read(&path).unwrap();
    assert_eq!((reader.verdict_counts(None).unwrap(), reader.notes().len()), (counts, 0));
    assert_eq!(std::fs::read_dir(p.dir.path()).unwrap().count(), 1, "reading makes nothing");
}

#[cfg(target_os = "linux")]
#[test]
fn a_read_only_disk_is_read_with_and_without_a_log() {
    let (p, counts) = decided();
    let path = p.path();
    // While it is open: the newest verdicts are only in the WAL.
    let Some(open) = ReadOnlyDisk::with(&[path.clone(), companion(&path, "-wal")]) else { return };
    drop(p.store);
    let Some(rest) = ReadOnlyDisk::with(std::slice::from_ref(&path)) else { return };
    for disk in [open, rest] {
        let copy = disk.path().join("quarry.db");
        for reader in [Store::open_to_read(&copy).unwrap(), Store::open_read_only(&copy).unwrap()] {
            assert_eq!(reader.verdict_counts(None).unwrap(), counts);
            assert_eq!(reader.export_verdicts(|_| Ok::<_, StoreError>(())).unwrap(), 2);
        }
        let error = Store::open(&copy).err().expect("nothing can be written");
        assert!(matches!(error, StoreError::NotWritable { .. }), "{error}");
        assert!(error.to_string().contains("Read-only file system"), "{error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_read_and_a_write_says_that_it_is_full() {
    let (p, counts) = decided();
    let path = p.path();
    let place = tempfile::tempdir().unwrap();
    drop(p.store);
    let mut mount = std::process::Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(place.path());
    if !mount.output().is_ok_and(|o| o.status.success()) {
        println!("SKIPPED: this process may not mount a file system");
        return;
    }
    let disk = ReadOnlyDisk(place);
    let copy = disk.path().join("quarry.db");
    std::fs::copy(&path, &copy).unwrap();
    // Until it is full.
    let filled = std::fs::write(disk.path().join("filler"), vec![7_u8; 2 << 20]);
    assert!(filled.is_err());
    let reader = Store::open_to_read(&copy).unwrap();
    assert_eq!(reader.verdict_counts(None).unwrap(), counts);
    let error = Store::open(&copy).err().expect("there is no room for a log");
    assert!(matches!(error, StoreError::DiskFull(_)), "{error}");
    assert!(error.to_string().contains("the disk is full"), "{error}");
}

#[test]
fn a_database_that_was_copied_while_it_was_open_says_so() {
    let (p, _) = decided();
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("quarry.db");
    // Nothing from this project's first session has been checkpointed yet.
    std::fs::copy(p.path(), &copy).unwrap();
    let bytes = std::fs::read(&copy).unwrap();
    for opened in [Store::open(&copy), Store::open_to_read(&copy), Store::open_read_only(&copy)] {
        let error = opened.err().expect("there is nothing in it");
        assert!(matches!(error, StoreError::CopiedAlone(_)) && error.to_string().contains("quarry.db-wal"), "{error}");
    }
    assert_eq!(std::fs::read(&copy).unwrap(), bytes);
}

#[test]
fn a_copy_of_a_later_session_tells_that_work_is_missing() {
    let (p, _) = decided();
    let (path, ids) = (p.path(), p.candidates());
    drop(p.store);
    let mut later = Store::open(&path).unwrap();
    later.record_verdicts(&ids[3..], "Ada", Verdict::Rejected, None, 2).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("quarry.db");
    std::fs::copy(&path, &copy).unwrap();
    let reader = Store::open_to_read(&copy).unwrap();
    let [note] = reader.notes() else { panic!("{:?}", reader.notes()) };
    assert!(note.contains("quarry.db-wal") && note.contains("4 images and 2 verdicts"), "{note}");
    drop(reader);
    let writer = Store::open(&copy).unwrap();
    assert_eq!(writer.notes().len(), 1);
    drop(writer);
    assert!(Store::open(&copy).unwrap().notes().is_empty(), "from then on it is a project of its own");
    // With the WAL it is complete.
    let whole = elsewhere.path().join("whole.db");
    std::fs::copy(&path, &whole).unwrap();
    std::fs::copy(companion(&path, "-wal"), companion(&whole, "-wal")).unwrap();
    let complete = Store::open_to_read(&whole).unwrap();
    assert_eq!((complete.verdict_counts(None).unwrap().rejected, complete.notes().len()), (3, 0));
}

#[test]
fn a_database_of_others_is_refused_without_being_changed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("quarry.db");
    let check = |sql: &str, expected: &str| {
        let _ = std::fs::remove_file(&path);
        drop(Store::create(&path).unwrap());
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch(sql).unwrap();
        drop(other);
        let bytes = std::fs::read(&path).unwrap();
        for opened in [Store::open(&path), Store::open_to_read(&path)] {
            let message = opened.err().expect("it is not ours").to_string();
            assert!(message.contains(expected), "{sql}: {message}");
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{sql}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "{sql}: nothing was made beside it");
    };
    check("PRAGMA application_id = 7", "not a Quarry database");
    check(
        "CREATE TRIGGER t AFTER INSERT ON images BEGIN DELETE FROM datasets; END",
        "it has a trigger `t`, which Quarry does not make",
    );
    check("CREATE VIEW v AS SELECT * FROM images", "it has a view `v`");
    check("CREATE VIRTUAL TABLE f USING fts5(x)", "it has a table `f");
    check("DROP TRIGGER verdicts_are_never_updated", "`verdicts_are_never_updated` is missing");
    check("DROP TABLE looks; CREATE TABLE looks (x)", "its table `looks` is not Quarry's");
    check("ALTER TABLE images ADD COLUMN more TEXT", "its table `images` is not Quarry's");
    check(
        "CREATE TEMP TABLE t (x); CREATE TRIGGER u BEFORE DELETE ON images BEGIN SELECT 1; END",
        "it has a trigger `u`",
    );
    // A view with the name of one of Quarry's tables.
    check("DROP TABLE curves; CREATE VIEW curves AS SELECT 1 AS round_id", "`curves`");
    // An index that calls functions whenever a row changes.
    check("CREATE INDEX i ON images (json_extract(name, '$'))", "it has an index `i`");
    // The schema edited as text: a check that is not Quarry's, and one that cannot even be parsed.
    let edited = |from: &str, to: &str| {
        format!(
            "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '{from}', '{to}') WHERE name = 'annotators'"
        )
    };
    check(&edited("name <>", "length(printf(''%.*c'', 900000000, name)) <>"), "its table `annotators` is not Quarry's");
    check(&edited("CREATE TABLE", "CREATE TABLES"), "");
    check(
        "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('trigger', 'sqlite_x', \
         'images', 0, 'CREATE TRIGGER sqlite_x AFTER INSERT ON images BEGIN DELETE FROM datasets; END'); PRAGMA writable_schema = RESET",
        "sqlite_x",
    );
    // Very many tables, and one with very many columns.
    let many: Vec<String> = (0..3000).map(|k| format!("CREATE TABLE t{k} (a, b);")).collect();
    check(&format!("BEGIN; {} COMMIT", many.concat()), "it has a table `t");
    let columns: Vec<String> = (0..1900).map(|k| format!("column_{k} TEXT DEFAULT '{}'", "x".repeat(200))).collect();
    check(&format!("CREATE TABLE wide ({})", columns.join(",")), "it has a table `wide`");
}

/// A process is killed in the middle of a commit on a network file system, where there is no WAL.
#[test]
fn half_a_commit_is_never_read() {
    let (p, before) = decided();
    let path = p.dir.path().join("quarry.db");
    drop(p.store);
    let writer = rusqlite::Connection::open(&path).unwrap();
    // A cache of a few pages: the others are written to the file before the commit.
    writer
        .execute_batch(
            "PRAGMA cache_size = 2; BEGIN; DELETE FROM standing_verdicts; UPDATE candidates SET verdict = NULL;",
        )
        .unwrap();
    for _ in 0..3 {
        writer.execute("UPDATE images SET name = name || '-changed', uid = randomblob(16)", []).unwrap();
        writer
            .execute("INSERT INTO settings SELECT hex(randomblob(400)), hex(randomblob(400)) FROM images", [])
            .unwrap();
    }
    let killed = p.dir.path().join("killed/quarry.db");
    std::fs::create_dir(killed.parent().unwrap()).unwrap();
    for ending in ["", "-journal"] {
        std::fs::copy(companion(&path, ending), companion(&killed, ending)).unwrap();
    }
    writer.execute_batch("ROLLBACK").unwrap();
    assert!(std::fs::read(&killed).unwrap() != std::fs::read(&path).unwrap(), "nothing was half made");
    let half = std::fs::read(&killed).unwrap();
    let check = |store: &Store| {
        store.check_integrity().unwrap();
        assert_eq!(store.verdict_counts(None).unwrap(), before);
        assert!(store.images().unwrap().iter().all(|image| !image.name.contains("changed")));
    };
    check(&Store::open_to_read(&killed).unwrap());
    assert!(std::fs::read(&killed).unwrap() == half, "a command that reads changes nothing");
    check(&Store::open_read_only(&killed).unwrap());
    check(&Store::open(&killed).unwrap());
    assert!(!companion(&killed, "-journal").exists());
}

/// What a program leaves behind that had no space for the WAL's shared memory.
#[test]
fn shared_memory_that_was_cut_off_does_not_keep_anybody_from_reading() {
    let (p, before) = decided();
    let path = p.dir.path().join("quarry.db");
    drop(p.store);
    std::fs::write(companion(&path, "-wal"), "").unwrap();
    for bytes in [0, 4096, 8192] {
        std::fs::write(companion(&path, "-shm"), vec![0; bytes]).unwrap();
        assert_eq!(Store::open_to_read(&path).unwrap().verdict_counts(None).unwrap(), before);
    }
}
