//! Errors of the detector.

use std::path::{Path, PathBuf};

use super::GpuState;
#[cfg(feature = "torch")]
use crate::domain::Panic;
use crate::domain::counted;

/// Errors of the detector, each with advice.
#[derive(Debug, thiserror::Error)]
pub enum DetectorError {
    #[error("there is no detector preset \"{word}\"; presets are {known}")]
    UnknownPreset { word: String, known: String },
    #[error("the detector's setting {key} is {value}, but {rule}; correct it and start again")]
    InvalidConfig { key: &'static str, value: String, rule: String },
    #[error("the image is empty ({width} x {height} pixels); leave it out or decode it again")]
    EmptyImage { width: u32, height: u32 },
    #[error("unknown device \"{word}\"; use auto, cpu, cuda or cuda:N")]
    UnknownDevice { word: String },
    #[error("no such device \"{word}\"; {}", numbered(*count))]
    NoSuchGpu { word: String, count: usize },
    #[error("{0} Choose auto or cpu.")]
    NoUsableGpu(GpuState),
    #[error("{}: {what}; {advice}", path.display())]
    File { path: PathBuf, what: String, advice: &'static str },
    #[error("these weights belong to {found}, not to {expected}; choose the preset {found} or other weights")]
    WrongArchitecture { expected: String, found: String },
    #[error(
        "the weights lack {} that {architecture} needs, first {first}; choose weights of this architecture", counted(*count, "tensor")
    )]
    MissingTensors { architecture: String, count: usize, first: String },
    #[error(
        "the weights hold {} that {architecture} does not know, first {first}; choose weights of this architecture", counted(*count, "tensor")
    )]
    ExtraTensors { architecture: String, count: usize, first: String },
    #[error("tensor {name} has shape {found:?} where {expected:?} is needed; choose weights of this architecture")]
    WrongShape { name: String, expected: Vec<i64>, found: Vec<i64> },
    #[error("tensor {name} holds NaN or infinity; the weights are damaged, take an earlier checkpoint")]
    NotFinite { name: String },
    // `cause`, not `source`: the message already includes it, so that it is not printed twice.
    #[error("{}: {cause}", path.display())]
    InFile { path: PathBuf, cause: Box<Self> },
    #[error("a training batch needs at least one image")]
    EmptyBatch,
    #[error(transparent)]
    Weights(Box<super::weights::WeightError>),
    #[error("libtorch failed while {during}: {message}")]
    Torch { during: &'static str, message: String },
}

fn numbered(gpus: usize) -> String {
    match gpus {
        1 => "there is only cuda:0. Choose that, auto or cpu".to_owned(),
        _ => format!("the GPUs here are numbered 0 to {}. Choose one of them, auto or cpu", gpus.saturating_sub(1)),
    }
}

impl DetectorError {
    /// Error for a file that could not be read or written.
    pub fn file(path: &Path, what: impl std::fmt::Display, advice: &'static str) -> Self {
        Self::File { path: path.to_path_buf(), what: what.to_string(), advice }
    }

    /// For `map_err`: adds the file to an error about tensors. Any other error is unchanged.
    pub fn in_file(path: &Path) -> impl FnOnce(Self) -> Self {
        let path = path.to_path_buf();
        move |error| match error {
            Self::WrongArchitecture { .. }
            | Self::MissingTensors { .. }
            | Self::ExtraTensors { .. }
            | Self::WrongShape { .. }
            | Self::NotFinite { .. } => Self::InFile { path, cause: Box::new(error) },
            other => other,
        }
    }
}

#[cfg(feature = "torch")]
impl DetectorError {
    /// For `map_err`: libtorch's message without its C++ stack, with the failed operation.
    pub fn torch(during: &'static str) -> impl Fn(tch::TchError) -> Self {
        move |error| Self::Torch { during, message: libtorch_message(&error.to_string()) }
    }
}

/// Prefix of tch's displayed errors.
#[cfg(feature = "torch")]
const DISPLAYED: &str = "Internal torch error: ";
/// Prefix of the panic text that tch makes from a libtorch error.
#[cfg(feature = "torch")]
const UNWRAPPED: &str = "called `Result::unwrap()` on an `Err` value: Torch(\"";

/// Returns the text of a caught panic: libtorch's message, or for anything else a message with a crash report.
#[cfg(feature = "torch")]
pub(crate) fn panic_text(panic: Panic) -> String {
    let message = libtorch_message(panic.message());
    if panic.message().starts_with(UNWRAPPED) { message } else { panic.reported_as(&message) }
}

/// Strips the C++ stack from libtorch's message. Errors have real line breaks, panic texts escaped ones.
#[cfg(feature = "torch")]
pub(crate) fn libtorch_message(text: &str) -> String {
    let stack = ["\nException raised", "\\nException raised"].iter().filter_map(|mark| text.find(mark)).min();
    let message = &text[..stack.unwrap_or(text.len())];
    let message = match message.strip_prefix(UNWRAPPED) {
        Some(inner) => {
            inner.strip_suffix("\")").unwrap_or(inner).replace("\\n", "\n").replace("\\\"", "\"").replace("\\'", "'")
        }
        None => message.strip_prefix(DISPLAYED).unwrap_or(message).to_owned(),
    };
    message.trim().to_owned()
}

#[cfg(all(test, feature = "torch"))]
mod tests {
    use super::*;

    #[test]
    fn libtorchs_stack_is_cut_off_errors_and_panics_alike() {
        let check = |text: &str, expected: &str| assert_eq!(libtorch_message(text), expected, "{text}");
        check(
            "Internal torch error: CUDA out of memory.\nException raised from malloc at a.cpp:1\nframe #0: x",
            "CUDA out of memory.",
        );
        check(
            "called `Result::unwrap()` on an `Err` value: Torch(\"CUDA error: \\\"x\\\"\\nDevice 0\\nException raised from f\\nframe #0\")",
            "CUDA error: \"x\"\nDevice 0",
        );
        check(
            "called `Result::unwrap()` on an `Err` value: Torch(\"Found no NVIDIA driver\")",
            "Found no NVIDIA driver",
        );
        check("index out of bounds: the len is 3", "index out of bounds: the len is 3");
    }

    #[test]
    fn a_panic_of_tch_and_its_error_tell_the_same() {
        use std::panic::{AssertUnwindSafe, catch_unwind};
        let (a, b) = (tch::Tensor::from_slice(&[1.0, 2.0]), tch::Tensor::from_slice(&[1.0, 2.0, 3.0]));
        let error = libtorch_message(&a.f_dot(&b).unwrap_err().to_string());
        let panic = catch_unwind(AssertUnwindSafe(|| a.dot(&b))).unwrap_err();
        let panic = libtorch_message(panic.downcast_ref::<String>().unwrap());
        assert!(!panic.contains("frame #") && !panic.contains("Result::unwrap"), "{panic}");
        assert_eq!(panic, error);
    }
}
