//! The project lock: one training, mining or import at a time.

/// File name of the lock in the folder with all runs of a project.
pub const LOCK_FILE: &str = "training.lock";

#[cfg(feature = "torch")]
pub use torch::RunLock;

#[cfg(feature = "torch")]
mod torch {
    use std::path::Path;

    use super::LOCK_FILE;
    use crate::domain::{LockError, Place, WorkLock, make_folder};
    use crate::training::TrainingError;

    /// Held while a round is trained or mined; released on drop.
    #[derive(Debug)]
    pub struct RunLock {
        _lock: WorkLock,
        /// The runs folder.
        runs: Place,
        file: Place,
    }

    impl RunLock {
        /// Acquires the lock of `runs`, the folder with all runs of a project; the error names the holder. The folder is created if
        /// missing, the project is not.
        pub fn take(runs: &Path) -> Result<Self, TrainingError> {
            make_folder(runs).map_err(TrainingError::io(runs, "making the folder of runs"))?;
            let path = runs.join(LOCK_FILE);
            let taken = WorkLock::take(&path, "training or mining");
            let lock = taken.map_err(|error| match error {
                LockError::Held { path, holder, .. } => TrainingError::Locked { path, holder },
                LockError::Io { path, doing, cause } => TrainingError::io(&path, doing)(cause),
            })?;
            let place = |path: &Path| Place::open(path).map_err(TrainingError::io(path, "opening"));
            Ok(Self { _lock: lock, runs: place(runs)?, file: place(&path)? })
        }

        /// Returns an error if the project was moved or removed, or its lock file replaced. Checked before every write of a round.
        pub fn check(&self) -> Result<(), TrainingError> {
            self.runs.check()?;
            Ok(self.file.check()?)
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
            let holder = format!("process {} on host", std::process::id());
            assert!(error.contains(&holder) && error.contains("training or mining, since 20"), "{error}");
            drop(first);
            RunLock::take(&runs).unwrap();
        }

        #[cfg(unix)]
        #[test]
        fn a_project_that_was_moved_is_not_made_again() {
            let dir = tempfile::tempdir().unwrap();
            let (old, new) = (dir.path().join("old"), dir.path().join("new"));
            std::fs::create_dir(&old).unwrap();
            let lock = RunLock::take(&old.join("runs")).unwrap();
            lock.check().unwrap();
            std::fs::rename(&old, &new).unwrap();
            let message = lock.check().unwrap_err().to_string();
            assert!(message.contains("old/runs was moved"), "{message}");
            assert!(cfg!(not(target_os = "linux")) || message.contains(new.to_str().unwrap()), "{message}");
            assert!(RunLock::take(&old.join("runs")).is_err() && !old.exists());
            // A copy at the old path is a different project.
            std::fs::create_dir_all(old.join("runs")).unwrap();
            std::fs::copy(new.join("runs").join(LOCK_FILE), old.join("runs").join(LOCK_FILE)).unwrap();
            assert!(lock.check().is_err());
            std::fs::remove_dir_all(&old).unwrap();
            // Only the lock file was replaced.
            std::fs::create_dir(&old).unwrap();
            let lock = RunLock::take(&old.join("runs")).unwrap();
            std::fs::rename(old.join("runs").join(LOCK_FILE), old.join("runs/moved.lock")).unwrap();
            std::fs::write(old.join("runs").join(LOCK_FILE), "x").unwrap();
            assert!(lock.check().is_err());
        }
    }
}
