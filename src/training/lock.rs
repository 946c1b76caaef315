//! One training, mining or import a project: the lock that keeps others out.

/// The lock's name in the folder that holds all runs of a project.
pub const LOCK_FILE: &str = "training.lock";

#[cfg(feature = "torch")]
pub use torch::RunLock;

#[cfg(feature = "torch")]
mod torch {
    use std::path::Path;

    use super::LOCK_FILE;
    use crate::domain::{LockError, WorkLock};
    use crate::training::TrainingError;

    /// Held while a round trains or is mined; dropping it frees the project.
    #[derive(Debug)]
    pub struct RunLock {
        _lock: WorkLock,
    }

    impl RunLock {
        /// Takes the lock of `runs`, the folder that holds all runs of a project, or says who holds it. The folder is made if need be.
        pub fn take(runs: &Path) -> Result<Self, TrainingError> {
            std::fs::create_dir_all(runs).map_err(TrainingError::io(runs, "making the folder of runs"))?;
            let taken = WorkLock::take(&runs.join(LOCK_FILE), "training or mining");
            let _lock = taken.map_err(|error| match error {
                LockError::Held { path, holder, .. } => TrainingError::Locked { path, holder },
                LockError::Io { path, doing, cause } => TrainingError::io(&path, doing)(cause),
            })?;
            Ok(Self { _lock })
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
    }
}
