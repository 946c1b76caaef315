//! Numbered, append-only migrations of the database format: a released file in `migrations/` never changes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

use super::StoreError;

/// Migration n raises `PRAGMA user_version` from n-1 to n.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_project.sql"),
    include_str!("migrations/0002_looks_and_settings.sql"),
    include_str!("migrations/0003_features.sql"),
    include_str!("migrations/0004_waiting_verdicts.sql"),
    include_str!("migrations/0005_removed_images.sql"),
    include_str!("migrations/0006_classes.sql"),
    include_str!("migrations/0007_at_rest.sql"),
    include_str!("migrations/0008_models.sql"),
    include_str!("migrations/0009_splits.sql"),
    include_str!("migrations/0010_mining.sql"),
    include_str!("migrations/0011_corrections.sql"),
    include_str!("migrations/0012_dataset_tools.sql"),
    include_str!("migrations/0013_groups.sql"),
    include_str!("migrations/0014_basis.sql"),
];

/// From this format on, a closed database is in rollback mode (`0007_at_rest.sql`).
pub(super) const RESTS_IN_ROLLBACK_MODE: i64 = 7;

/// Migrates the database to the newest format. `back_up` is called before the first change; all changes are one transaction.
pub(super) fn migrate(
    connection: &Connection,
    back_up: impl FnOnce() -> Result<PathBuf, StoreError>,
) -> Result<(), StoreError> {
    migrate_with(connection, back_up, MIGRATIONS)
}

pub(super) fn refuse_newer(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found = version(connection).map_err(|e| e.at(path))?;
    let known = MIGRATIONS.len() as i64;
    if known < found {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    Ok(())
}

/// Migrates an in-memory copy of an older database to the newest format, to read it without changing the file. `None` if the file has the
/// newest format, or is too damaged.
pub(super) fn migrated_copy(connection: &Connection) -> Option<Connection> {
    let found = version(connection).ok()?;
    if found == 0 || found == MIGRATIONS.len() as i64 {
        return None;
    }
    let mut copy = Connection::open_in_memory().ok()?;
    let backup = rusqlite::backup::Backup::new(connection, &mut copy).ok()?;
    backup.run_to_completion(i32::MAX, Duration::ZERO, None).ok()?;
    drop(backup);
    copy.pragma_update(None, "foreign_keys", false).ok()?;
    run(&copy, MIGRATIONS).ok()?;
    Some(copy)
}

/// Whether the database has an older format than this program's.
pub(super) fn is_older(connection: &Connection) -> Result<bool, StoreError> {
    Ok(version(connection)? < MIGRATIONS.len() as i64)
}

/// Migrates an in-memory copy to the newest format.
pub(super) fn migrate_copy(copy: &Connection) -> Result<(), StoreError> {
    copy.pragma_update(None, "foreign_keys", false)?;
    run(copy, MIGRATIONS)
}

/// Creates the tables of format `version` in an empty database.
pub(super) fn apply_first(empty: &Connection, version: i64) -> Result<(), StoreError> {
    let count = usize::try_from(version).unwrap_or(0).min(MIGRATIONS.len());
    empty.pragma_update(None, "foreign_keys", false)?;
    run(empty, &MIGRATIONS[..count])
}

fn migrate_with(
    connection: &Connection,
    back_up: impl FnOnce() -> Result<PathBuf, StoreError>,
    migrations: &[&str],
) -> Result<(), StoreError> {
    let found = version(connection)?;
    if found == migrations.len() as i64 {
        return Ok(());
    }
    if found > 0 {
        back_up()?;
    }
    // A migration may recreate a table under its old name, which foreign keys would treat as a loss of its rows. They cannot be switched
    // off within a transaction; they are checked at its end.
    let enforced: bool = connection.pragma_query_value(None, "foreign_keys", |r| r.get(0))?;
    connection.pragma_update(None, "foreign_keys", false)?;
    let migrated = run(connection, migrations);
    connection.pragma_update(None, "foreign_keys", enforced)?;
    migrated
}

fn run(connection: &Connection, migrations: &[&str]) -> Result<(), StoreError> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    // Another program may have migrated while this one waited for the lock.
    let done = version(&transaction)?;
    for (number, sql) in (1..).zip(migrations).filter(|(number, _)| done < *number) {
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", number)?;
    }
    let broken: Option<String> =
        transaction.query_row("SELECT \"table\" FROM pragma_foreign_key_check LIMIT 1", [], |r| r.get(0)).optional()?;
    if let Some(table) = broken {
        let text = format!("rows of the table `{table}` refer to rows that are missing; nothing was changed");
        return Err(StoreError::Invalid(text));
    }
    transaction.commit()?;
    Ok(())
}

pub(super) fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |r| r.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, backup_files};

    #[test]
    fn a_migration_backs_up_first_and_a_failing_one_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("quarry.db");
        let store = Store::create(&path).unwrap();
        let now = MIGRATIONS.len() as i64;
        let extra = "CREATE TABLE extra (id INTEGER PRIMARY KEY) STRICT;";
        let next: Vec<&str> = MIGRATIONS.iter().copied().chain([extra]).collect();
        let broken: Vec<&str> = next.iter().copied().chain([extra]).collect();

        assert!(migrate_with(&store.connection, || store.back_up(), &broken).is_err());
        assert_eq!(version(&store.connection).unwrap(), now);
        assert!(store.connection.prepare("SELECT * FROM extra").is_err(), "half a migration stayed");

        migrate_with(&store.connection, || store.back_up(), &next).unwrap();
        assert_eq!(version(&store.connection).unwrap(), now + 1);
        let saved = backup_files::newest_good(&path).expect("a backup from before the migration");
        let old = Connection::open(saved).unwrap();
        assert_eq!(version(&old).unwrap(), now);
    }

    #[test]
    fn a_project_of_the_first_format_keeps_its_verdicts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("quarry.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(MIGRATIONS[0]).unwrap();
        old.pragma_update(None, "journal_mode", "WAL").unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        old.pragma_update(None, "application_id", 0x5172_7931).unwrap();
        old.execute("INSERT INTO annotators (name) VALUES ('Ada')", []).unwrap();
        drop(old);
        let bytes = std::fs::read(&path).unwrap();
        // An older version leaves WAL mode in the header, so a copy without its WAL cannot be detected.
        let notes = Store::notes_of(&path);
        assert!(matches!(&notes[..], [note] if note.contains("If it was copied alone")), "{notes:?}");
        assert_eq!(Store::open_read_only(&path).unwrap().setting("filter").unwrap(), None, "read without changing it");
        let reader = Store::open_to_read(&path).unwrap();
        assert_eq!(
            (reader.annotators().unwrap(), reader.candidate_hashes().unwrap().len()),
            (vec!["Ada".to_owned()], 0)
        );
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "brought to the newest format in memory alone");
        let mut store = Store::open(&path).unwrap();
        assert_eq!(store.annotators().unwrap(), ["Ada"]);
        assert!(Store::notes_of(&path).is_empty(), "open, it has its log beside it");
        assert!(store.candidate_hashes().unwrap().is_empty());
        assert!(store.candidate_features().unwrap().is_empty());
        store.set_setting("filter", "one").unwrap();
        store.set_setting("filter", "two").unwrap();
        assert_eq!(store.setting("filter").unwrap().as_deref(), Some("two"));
        assert_eq!(store.backups().len(), 1);
    }

    #[test]
    fn a_newer_project_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("quarry.db");
        Store::create(&path).unwrap().connection.pragma_update(None, "user_version", 99).unwrap();
        for opened in [Store::open(&path), Store::open_read_only(&path)] {
            let message = opened.err().expect("refused").to_string();
            assert!(message.contains("newer version") && message.contains("quarry.db"), "{message}");
        }
    }
}
