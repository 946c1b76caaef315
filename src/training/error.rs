//! What can go wrong in a round, each with what to do about it. Must not know who shows it.

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::overlay::ConfigError;
use crate::detector::DetectorError;

/// Why a round did not train, or stopped.
#[derive(Debug, Error)]
pub enum TrainingError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Detector(#[from] DetectorError),
    #[error("there are no images to train on; import a dataset, or take folds out of `test_folds`")]
    NoImages,
    #[error("none of the {images} images has a face to learn; import annotations, or check `train_folds`")]
    NoFaces { images: usize },
    #[error("none of the images could be read; the first: {first}")]
    NothingReadable { first: String },
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
    #[error("another training holds this project: {holder} (lock file {}); wait for it or stop it", path.display())]
    Locked { path: PathBuf, holder: String },
    #[error(
        "step {step}: the loss is {total} on {images}; nothing of this step was learnt. {last}. Lower `base_lr`, lengthen `warmup` or set `clip_norm` before going on"
    )]
    Diverged { step: u64, total: f64, images: String, last: String },
    #[error(
        "step {step}: the device is out of memory ({message}). Lower `batch_images` (and raise `accumulate` by as much), `detector.shorter_side` or `sampler.batch_per_image`, or set `device = \"cpu\"`; then start again"
    )]
    OutOfMemory { step: u64, message: String },
    #[error("the disk that holds {} is full; make room and resume the round: nothing before its last checkpoint is lost", path.display())]
    DiskFull { path: PathBuf },
    #[error("{}: {doing}: {source}", path.display())]
    Io { path: PathBuf, doing: &'static str, source: io::Error },
    #[error("libtorch failed while {during}: {message}")]
    Torch { during: &'static str, message: String },
    #[error("the evaluation at step {step} failed: {message}")]
    Evaluation { step: u64, message: String },
    #[error("training broke off: {0}")]
    Panic(String),
}

impl TrainingError {
    /// For `map_err` on file work; a full disk is told apart.
    pub(super) fn io(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::Io { path, doing, source },
        }
    }

    pub(super) fn panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|&s| s.to_owned()));
        let text = text.unwrap_or_else(|| "no reason given".to_owned());
        Self::Panic(text.split("\nException raised").next().unwrap_or_default().trim().to_owned())
    }

    /// The same error, or advice when it is memory that ran out.
    pub(super) fn with_memory_advice(self, step: u64) -> Self {
        let message = self.to_string();
        let memory = ["out of memory", "can't allocate memory", "not enough memory"];
        if memory.iter().any(|words| message.to_lowercase().contains(words)) {
            return Self::OutOfMemory { step, message };
        }
        self
    }
}

#[cfg(feature = "torch")]
impl TrainingError {
    pub(super) fn torch(during: &'static str) -> impl Fn(tch::TchError) -> Self {
        move |error| {
            let text = error.to_string();
            let message = text.split("\nException raised").next().unwrap_or_default().trim().to_owned();
            Self::Torch { during, message }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_full_disks_are_told_apart() {
        let oom = TrainingError::Panic("CUDA out of memory. Tried to allocate 2 GiB".to_owned()).with_memory_advice(7);
        assert!(oom.to_string().contains("batch_images"), "{oom}");
        let other = TrainingError::Panic("index out of range".to_owned()).with_memory_advice(7);
        assert!(matches!(other, TrainingError::Panic(_)));
        let full = TrainingError::io(Path::new("/x"), "writing")(io::ErrorKind::StorageFull.into());
        assert!(matches!(full, TrainingError::DiskFull { .. }));
    }
}
