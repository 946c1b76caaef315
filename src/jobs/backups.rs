//! The thread that backs up the database in parallel to the writer thread, so that no verdict waits for a backup. It also checks a database
//! that was too large to check on opening.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{Damage, OwnerThread, Waker};
use crate::store::{Store, StoreError};

/// Maximum age of the newest backup before another one is due.
const BACKUP_INTERVAL: Duration = Duration::from_hours(1);
/// Pause after a failed backup before it is retried and reported again: a backup is requested after every verdict.
const RETRY_PAUSE: Duration = Duration::from_mins(10);

/// A request makes a backup if one is due; the first one always checks for damage. The reply contains any damage found.
pub type BackupKeeper = OwnerThread<(), Option<Damage>>;

/// Starts a thread that backs up `database`. The database is only read.
pub fn start_backups(database: PathBuf, waker: Waker) -> std::io::Result<BackupKeeper> {
    let open = move || Ok(Keeper { database: database.clone(), store: None, is_checked: false, failed: None });
    let serve = |keeper: &mut Keeper, ()| match keeper.keep(Instant::now()) {
        Ok(()) => Ok(None),
        Err(error) => Damage::of(&error).map(Some).ok_or_else(|| error.to_string()),
    };
    OwnerThread::start("Backups", open, serve, waker)
}

struct Keeper {
    database: PathBuf,
    /// Opened on first use: if another program holds it, this fails like any other backup.
    store: Option<Store>,
    is_checked: bool,
    failed: Option<Instant>,
}

impl Keeper {
    fn keep(&mut self, now: Instant) -> Result<(), StoreError> {
        if self.failed.is_some_and(|failed| now.duration_since(failed) < RETRY_PAUSE) {
            return Ok(());
        }
        let kept = self.back_up();
        self.failed = kept.is_err().then_some(now);
        kept
    }

    fn back_up(&mut self) -> Result<(), StoreError> {
        let store = match &mut self.store {
            Some(store) => store,
            unopened => unopened.insert(Store::open_read_only(&self.database)?),
        };
        let made = store.back_up_if_due(BACKUP_INTERVAL)?;
        // Making a backup already checked the copied data.
        if made.is_none() && !self.is_checked {
            store.check_if_large()?;
        }
        self.is_checked = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_backup_is_told_once_and_tried_again_later() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("quarry.db");
        Store::create(&database).unwrap();
        // A file in place of the backup folder.
        let in_the_way = dir.path().join("backups");
        std::fs::write(&in_the_way, "").unwrap();
        let mut keeper = Keeper { database, store: None, is_checked: false, failed: None };
        let start = Instant::now();
        assert!(keeper.keep(start).is_err());
        for verdict in 1..5 {
            assert!(keeper.keep(start + Duration::from_secs(verdict)).is_ok(), "not told after every verdict");
        }
        let later = start + RETRY_PAUSE;
        assert!(keeper.keep(later).is_err(), "it is still in the way");
        std::fs::remove_file(&in_the_way).unwrap();
        keeper.keep(later + RETRY_PAUSE).unwrap();
        assert_eq!(keeper.store.map(|store| store.backups().len()), Some(1));
    }
}
