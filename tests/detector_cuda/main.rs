//! Compares everything that a round does on the GPU with the CPU: operators, whole detectors, rounds.
//!
//! Without a CUDA GPU each test says that it was skipped; `QUARRY_REQUIRE_CUDA=1` makes that a failure. `QUARRY_DRY_CUDA=1` compares the
//! CPU with itself, which shows that the tests themselves work. Tolerances are measured: a GPU convolves in TF32, so each comparison first
//! measures on the CPU what rounding the weights to TF32 (or bfloat16) changes.
#![cfg(feature = "torch")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod detectors;
mod operators;
mod rounds;

use std::sync::{Mutex, PoisonError};

use quarry::detector::{CudaLibrary, choose_device, libtorch, load_cuda};
use tch::{Device, Kind, Tensor};

/// The test that fills the GPU's memory must run alone on it.
static GPU: Mutex<()> = Mutex::new(());

/// Returns the device to test; `None` with a loud message if there is none.
fn device_word(what: &str) -> Option<&'static str> {
    // Before any tensor of this process: libtorch checks once which devices exist.
    load_cuda();
    let is_set = |name| std::env::var(name).is_ok_and(|value| value == "1");
    let Err(reason) = choose_device("cuda") else { return Some("cuda") };
    assert!(!is_set("QUARRY_REQUIRE_CUDA"), "QUARRY_REQUIRE_CUDA=1, but {reason}");
    if is_set("QUARRY_DRY_CUDA") {
        eprintln!("DRY RUN on the CPU: {what}");
        return Some("cpu");
    }
    eprintln!("SKIPPED: {what} was not compared with the CPU ({reason})");
    None
}

/// Runs `test` exclusively on the GPU.
fn on_gpu(what: &str, test: impl FnOnce(Device)) {
    let _alone = GPU.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(word) = device_word(what) {
        test(choose_device(word).unwrap());
    }
}

/// The CUDA variant of libtorch installs on any machine. Without a GPU its error must say that there is no driver or device, not that its
/// CUDA library is missing.
#[test]
fn the_cuda_library_is_there_before_libtorch_is_asked() {
    let found = libtorch();
    if found.cuda == CudaLibrary::Absent {
        eprintln!("SKIPPED: the CPU variant of libtorch is installed; `QUARRY_CUDA=1 make setup` fetches the other");
        return;
    }
    assert_eq!(found.cuda, CudaLibrary::Loaded);
    assert!(found.cudnn.is_some(), "{found:?}");
    let moved = Tensor::from_slice(&[1.0_f32, 2.0]).f_to_device(Device::Cuda(0));
    match moved {
        Ok(moved) => assert_eq!(moved.sum(Kind::Float).double_value(&[]), 3.0),
        Err(error) => {
            let text = error.to_string();
            println!("{text}");
            assert!(found.gpus == 0 && !text.contains("ATen_cuda"), "{text}");
            let known = ["driver", "device", "CUDA-capable"];
            assert!(known.iter().any(|word| text.contains(word)), "{text}");
        }
    }
}
