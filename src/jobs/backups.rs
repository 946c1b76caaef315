//! The thread that copies the database now and then, beside the one that writes: a verdict never waits for a copy. It also checks a
//! database that was too large to be checked when it was opened. Must not know screens.

use std::path::PathBuf;
use std::time::Duration;

use super::{Clerk, Damage, Waker};
use crate::store::{Store, StoreError};

/// The newest copy may be this old before another one is due.
const BACKUP_INTERVAL: Duration = Duration::from_hours(1);

/// Asked with `()`, it makes a backup if one is due; the first time it looks for damage in any case. Answers with the damage it found.
pub type BackupKeeper = Clerk<(), Option<Damage>>;

/// Keeps backups of `database` on a thread of its own. The database is only read.
pub fn start_backups(database: PathBuf, waker: Waker) -> std::io::Result<BackupKeeper> {
    let open = move || Store::open_read_only(&database).map(|store| (store, false)).map_err(|e| e.to_string());
    let serve = |(store, is_checked): &mut (Store, bool), ()| match keep(store, is_checked) {
        Ok(()) => Ok(None),
        Err(error) => Damage::of(&error).map(Some).ok_or_else(|| error.to_string()),
    };
    Clerk::start("Backups", open, serve, waker)
}

fn keep(store: &Store, is_checked: &mut bool) -> Result<(), StoreError> {
    let made = store.back_up_if_due(BACKUP_INTERVAL)?;
    // Making a backup checked what it copied.
    if made.is_none() && !*is_checked {
        store.check_if_large()?;
    }
    *is_checked = true;
    Ok(())
}
