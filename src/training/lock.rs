//! One training or mining a project: a lock file that names its holder. The operating system frees it when the process ends, however it
//! ends, so a lock is never stale.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::error::TrainingError;

/// Held while a round trains or is mined; dropping it frees the project.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

/// The lock's name in the folder that holds all runs of a project.
const LOCK_FILE: &str = "training.lock";

impl RunLock {
    /// Takes the lock of `runs`, the folder that holds all runs of a project, or says who holds it. The folder is made if need be.
    pub fn take(runs: &Path) -> Result<Self, TrainingError> {
        std::fs::create_dir_all(runs).map_err(TrainingError::io(runs, "making the folder of runs"))?;
        let path = runs.join(LOCK_FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(TrainingError::io(&path, "opening the lock file"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The holder may be between taking the lock and writing its name.
                let _ = file.read_to_string(&mut holder);
                let holder = if holder.trim().is_empty() {
                    "a process that just started".to_owned()
                } else {
                    holder.trim().to_owned()
                };
                return Err(TrainingError::Locked { path, holder });
            }
            Err(TryLockError::Error(error)) => return Err(TrainingError::io(&path, "locking")(error)),
        }
        let holder = format!("process {}, at work in {}\n", std::process::id(), runs.display());
        let mut write = || -> std::io::Result<()> {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.write_all(holder.as_bytes())?;
            file.sync_all()
        };
        write().map_err(TrainingError::io(&path, "writing the lock file"))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_training_is_refused_by_name_and_a_left_file_is_no_lock() {
        let project = tempfile::tempdir().unwrap();
        let runs = project.path().join("runs");
        std::fs::create_dir(&runs).unwrap();
        std::fs::write(runs.join(LOCK_FILE), "process 1, at work in /gone").unwrap();
        let first = RunLock::take(&runs).unwrap();
        let error = RunLock::take(&runs).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}, at work in", std::process::id())), "{error}");
        drop(first);
        RunLock::take(&runs).unwrap();
    }
}
