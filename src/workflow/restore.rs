//! Replaces a damaged database by a backup and restores every newer verdict that is still readable.

use std::path::Path;

use super::{Project, WorkflowError};
use crate::store::{Restored, Store, StoreError, restore_backup};

/// Replaces the project's damaged database by `backup` (by default the newest good one). An intact database is left unchanged.
pub fn restore(project: &Project, backup: Option<&Path>) -> Result<Restored, WorkflowError> {
    let _lock = project.lock("restoring a backup")?;
    let database = project.database();
    let newest = match Store::open_to_read(&database).and_then(|store| store.check_if_large()) {
        Err(StoreError::Corrupt { backup, .. }) => backup,
        Err(error) => return Err(error.into()),
        Ok(()) => {
            let text = format!("{}: the database is not damaged; nothing was restored.", database.display());
            return Err(WorkflowError::Refused(text));
        }
    };
    let Some(backup) = backup.map(Path::to_path_buf).or(newest) else {
        return Err(WorkflowError::Refused(format!(
            "{}: no good backup in {}. Save what can be read with `quarry verdicts export FILE --project {}`.",
            database.display(),
            project.dir().join("backups").display(),
            project.dir().display()
        )));
    };
    Ok(restore_backup(&database, &backup)?)
}
