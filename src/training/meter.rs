//! Measures process memory, GPU utilisation and GPU memory.

use std::time::{Duration, Instant};

use nvml_wrapper::Nvml;

use super::events::{GpuUsage, Usage};
use crate::domain::resident_bytes;

/// A measurement takes about 0.1 milliseconds, with a GPU a few; steps may be shorter than that.
const INTERVAL: Duration = Duration::from_secs(1);

/// Measures at intervals.
pub(super) struct Meter {
    /// NVIDIA's library with the index of this GPU in it.
    gpu: Option<(Nvml, u32)>,
    latest: Usage,
    measured: Option<Instant>,
}

impl Meter {
    /// `cuda` is libtorch's GPU index, or `None` on the CPU.
    pub fn new(cuda: Option<u32>) -> Self {
        let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
        let gpu = cuda.and_then(|index| physical_index(index, visible.as_deref()));
        // Without the library a round still trains, only without measurements.
        let gpu = gpu.and_then(|index| Some((Nvml::init().ok()?, index)));
        Self { gpu, latest: Usage::default(), measured: None }
    }

    /// Returns the latest measurement; measures again if it is a second old.
    pub fn read(&mut self) -> Usage {
        if self.measured.is_none_or(|time| time.elapsed() >= INTERVAL) {
            self.latest = Usage { memory_bytes: resident_bytes(), gpu: self.gpu_usage() };
            self.measured = Some(Instant::now());
        }
        self.latest
    }

    fn gpu_usage(&self) -> Option<GpuUsage> {
        let (nvml, index) = self.gpu.as_ref()?;
        let device = nvml.device_by_index(*index).ok()?;
        let memory = device.memory_info().ok()?;
        let percent = device.utilization_rates().ok()?.gpu;
        Some(GpuUsage { percent, memory_bytes: memory.used, memory_total_bytes: memory.total })
    }
}

/// Converts libtorch's index, which only counts GPUs in `CUDA_VISIBLE_DEVICES`, to NVIDIA's library's, which counts all. `None` if the
/// variable does not use numbers.
fn physical_index(index: u32, visible: Option<&str>) -> Option<u32> {
    match visible {
        None => Some(index),
        Some(list) => list.split(',').nth(index as usize)?.trim().parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_keeps_its_number_when_others_are_hidden() {
        let check = |index, visible, expected| assert_eq!(physical_index(index, visible), expected, "{visible:?}");
        check(1, None, Some(1));
        check(1, Some("3, 5"), Some(5));
        check(2, Some("3,5"), None);
        check(0, Some("GPU-1a2b"), None);
    }
}
