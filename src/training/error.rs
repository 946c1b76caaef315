//! Errors of a round, each with advice.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::memory::is_out_of_memory;
use super::overlay::ConfigError;
use crate::detector::{DetectorError, libtorch_message, panic_text};
use crate::domain::{Away, Moved, Panic, in_project};

/// Why a round could not be trained, or stopped.
#[derive(Debug, Error)]
pub enum TrainingError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Detector(#[from] DetectorError),
    #[error("there are no images to train on; import a dataset, or take splits out of `test_splits`")]
    NoImages,
    #[error("none of the {images} images has an object to learn; import annotations, or check `train_splits`")]
    NoFaces { images: usize },
    #[error(
        "{unreadable} of {images} training images cannot be read, the first: {first}. Restore them, then resume with `quarry train --resume`"
    )]
    MostUnreadable { unreadable: usize, images: usize, first: String },
    #[error(transparent)]
    Away(#[from] Away),
    #[error(transparent)]
    Moved(#[from] Moved),
    #[error(
        "the round starts from the previous one (`init = \"previous\"`), but there is none; set `init = \"backbone\"`"
    )]
    NoPrevious,
    #[error("{} already holds a round at step {step}; resume it, or start in another folder", dir.display())]
    AlreadyStarted { dir: PathBuf, step: u64 },
    #[error("{}: this checkpoint doesn't belong to the round: {what}", path.display())]
    OtherRound { path: PathBuf, what: String },
    #[error("{}: {what}", path.display())]
    Checkpoint { path: PathBuf, what: String },
    #[error("this project is in use: {holder} (lock file {}); wait for it or stop it", path.display())]
    Locked { path: PathBuf, holder: String },
    #[error(
        "step {step}: the loss is {total} on {images}; the step was discarded. {last}. Resume with a lower rate: `quarry train --resume --set base_lr=...` (`warmup`, `clip_norm`, `milestones` and `max_loss` may change too)"
    )]
    Diverged { step: u64, total: f64, images: String, last: String },
    #[error(
        "step {step}: the device is out of memory ({message}). Lower `batch_images` (and raise `accumulate` by as much), `detector.shorter_side` or `sampler.batch_per_image`, or set `device = \"cpu\"`; then start again"
    )]
    OutOfMemory { step: u64, message: String },
    #[error("the disk that holds {} is full; free some space and resume the round: nothing before its last checkpoint is lost", path.display())]
    DiskFull { path: PathBuf },
    #[error("{}: {doing}: {source}{}", path.display(), in_project(source))]
    Io { path: PathBuf, doing: &'static str, source: io::Error },
    #[error("libtorch failed while {during}: {message}")]
    Torch { during: &'static str, message: String },
    #[error("the evaluation at step {step} failed: {message}")]
    Evaluation { step: u64, message: String },
    #[error("mining after step {step} failed: {message}")]
    Mining { step: u64, message: String },
    #[error("training failed: {0}")]
    Panic(String),
}

impl TrainingError {
    /// For `map_err` on file operations; distinguishes a full disk.
    pub(super) fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| match source.kind() {
            // A process limit counts like a disk limit.
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::DiskFull { path }
            }
            _ => Self::Io { path, doing, source },
        }
    }

    /// The images or the project are unavailable: the round itself is fine and can resume when they are back.
    pub fn is_interruption(&self) -> bool {
        matches!(self, Self::Away(_) | Self::MostUnreadable { .. } | Self::Moved(_))
    }

    /// A libtorch error reported by panicking, or a bug with its crash report.
    pub(super) fn panic(panic: Panic) -> Self {
        Self::Panic(if is_out_of_memory(panic.message()) {
            libtorch_message(panic.message())
        } else {
            panic_text(panic)
        })
    }

    /// Returns the error with an explanation and advice if memory or the disk of `run_dir` ran out: libtorch and the weight files only
    /// report that as text.
    pub(super) fn explained(self, step: u64, run_dir: &Path) -> Self {
        const FULL: [&str; 4] = ["no space left on device", "disk quota exceeded", "file too large", "storage full"];
        let message = self.to_string();
        if is_out_of_memory(&message) {
            return Self::OutOfMemory { step, message };
        }
        let lower = message.to_lowercase();
        if !matches!(self, Self::DiskFull { .. }) && FULL.iter().any(|words| lower.contains(words)) {
            return Self::DiskFull { path: run_dir.to_path_buf() };
        }
        self
    }
}

#[cfg(feature = "torch")]
impl TrainingError {
    pub(super) fn torch(during: &'static str) -> impl Fn(tch::TchError) -> Self {
        move |error| Self::Torch { during, message: libtorch_message(&error.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::caught;

    #[test]
    fn the_panic_of_a_step_is_told_without_libtorchs_stack() {
        let text = "called `Result::unwrap()` on an `Err` value: Torch(\"CUDA out of memory.\\nException raised from malloc\\nframe #0\")";
        let error = TrainingError::panic(caught(|| panic!("{text}")).unwrap_err());
        assert_eq!(error.to_string(), "training failed: CUDA out of memory.");
    }

    #[test]
    fn memory_and_full_disks_are_told_apart() {
        let explained = |text: &str| TrainingError::Panic(text.to_owned()).explained(7, Path::new("/runs/1"));
        let oom = explained("CUDA out of memory. Tried to allocate 2 GiB");
        assert!(oom.to_string().contains("batch_images"), "{oom}");
        assert!(matches!(explained("index out of range"), TrainingError::Panic(_)));
        let full = explained("I/O error: No space left on device (os error 28)").to_string();
        assert!(full.contains("/runs/1 is full") && full.contains("resume"), "{full}");
        let full = TrainingError::io(Path::new("/x"), "writing")(io::ErrorKind::StorageFull.into());
        let full = full.explained(7, Path::new("/y"));
        assert!(matches!(full, TrainingError::DiskFull { path } if path == Path::new("/x")));
        let denied = TrainingError::io(Path::new("/x"), "opening")(io::ErrorKind::PermissionDenied.into()).to_string();
        assert!(denied.contains("write access to the project's folder"), "{denied}");
    }
}
