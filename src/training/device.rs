//! Selects the device of a round with libtorch; if no GPU is used, explains why with the driver's data.

use std::sync::OnceLock;

use tch::Device;

use super::driver::driver;
use crate::detector::{self, DetectorError, GpuState, cuda_index, diagnose};

/// Whether rounds can train on a GPU here. The first call takes up to a second to load CUDA; then the result is cached.
pub fn gpu_state() -> &'static GpuState {
    static STATE: OnceLock<GpuState> = OnceLock::new();
    STATE.get_or_init(|| diagnose(&driver(), Ok(&detector::libtorch())))
}

/// As [`detector::choose_device`]; a GPU that cannot be used is refused with the reason.
pub fn choose_device(word: &str) -> Result<Device, DetectorError> {
    explained(word, detector::choose_device(word), gpu_state)
}

/// Returns a notice if `word` is automatic, the driver shows a GPU and the CPU was selected.
pub fn unused_gpu(word: &str, device: Device) -> Option<String> {
    let is_chosen = word.trim().eq_ignore_ascii_case("auto") && cuda_index(device).is_none();
    match gpu_state() {
        state @ GpuState::Unused(..) if is_chosen => Some(format!("{state} Until then the CPU is used.")),
        _ => None,
    }
}

fn explained(
    word: &str,
    chosen: Result<Device, DetectorError>,
    state: impl Fn() -> &'static GpuState,
) -> Result<Device, DetectorError> {
    match chosen {
        Err(DetectorError::NoUsableGpu(_)) => Err(DetectorError::NoUsableGpu(state().clone())),
        // libtorch may count a GPU that it has no kernels for.
        Ok(device) if cuda_index(device).is_some() => match state() {
            GpuState::Unused(..) if word.trim().eq_ignore_ascii_case("auto") => Ok(Device::Cpu),
            unused @ GpuState::Unused(..) => Err(DetectorError::NoUsableGpu(unused.clone())),
            GpuState::None | GpuState::Usable(_) => Ok(device),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::Unused;

    #[test]
    fn a_gpu_that_is_not_used_is_refused_with_its_reason() {
        let unused: &'static GpuState =
            Box::leak(Box::new(GpuState::Unused(vec!["H100".to_owned()], Unused::CpuVariant(None))));
        let refused = explained("cuda", Err(DetectorError::NoUsableGpu(GpuState::None)), || unused).unwrap_err();
        let text = refused.to_string();
        for part in ["H100", "CPU variant", "QUARRY_CUDA=1 make setup", "Choose auto or cpu"] {
            assert!(text.contains(part), "{text:?} lacks {part:?}");
        }
        let none = explained("cuda", Err(DetectorError::NoUsableGpu(GpuState::None)), || &GpuState::None).unwrap_err();
        assert_eq!(none.to_string(), "No CUDA GPU found. Choose auto or cpu.");
        assert_eq!(explained("auto", Ok(Device::Cpu), || unused).ok(), Some(Device::Cpu));
        let other = explained("tpu", Err(DetectorError::UnknownDevice { word: "tpu".to_owned() }), || unused);
        assert!(matches!(other, Err(DetectorError::UnknownDevice { .. })));
    }
}
