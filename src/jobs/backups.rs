//! The thread that copies the database now and then, beside the one that writes: a verdict never waits for a copy. Must not know
//! screens.

use std::path::PathBuf;
use std::time::Duration;

use super::{Clerk, Waker};
use crate::store::Store;

/// The newest copy may be this old before another one is due.
const BACKUP_INTERVAL: Duration = Duration::from_hours(1);

/// Asked with `()`, it makes a backup if one is due and answers where it lies.
pub type BackupKeeper = Clerk<(), Option<PathBuf>>;

/// Keeps backups of `database` on a thread of its own. The database is only read.
pub fn start_backups(database: PathBuf, waker: Waker) -> std::io::Result<BackupKeeper> {
    let open = move || Store::open_read_only(&database).map_err(|e| e.to_string());
    let serve = |store: &mut Store, ()| store.back_up_if_due(BACKUP_INTERVAL).map_err(|e| e.to_string());
    Clerk::start("Backups", open, serve, waker)
}
