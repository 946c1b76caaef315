//! The one place that chooses a device. Must not know networks.

use tch::{Cuda, Device};

use super::DetectorError;

/// The device for a word: `auto` (the first GPU, else the CPU), `cpu`, `cuda` or `cuda:N`. A GPU that is not there is an error.
pub fn choose_device(word: &str) -> Result<Device, DetectorError> {
    choose(word, if Cuda::is_available() { Cuda::device_count() } else { 0 })
}

/// The number of a GPU as libtorch counts; `None` for the CPU.
pub fn cuda_index(device: Device) -> Option<u32> {
    match device {
        Device::Cuda(index) => u32::try_from(index).ok(),
        _ => None,
    }
}

fn choose(word: &str, count: i64) -> Result<Device, DetectorError> {
    let unknown = || DetectorError::UnknownDevice { word: word.to_owned(), count };
    let gpu = |n: usize| if (n as i64) < count { Ok(Device::Cuda(n)) } else { Err(unknown()) };
    match word.trim().to_ascii_lowercase().as_str() {
        "auto" if count > 0 => Ok(Device::Cuda(0)),
        "auto" | "cpu" => Ok(Device::Cpu),
        "cuda" => gpu(0),
        other => other.strip_prefix("cuda:").and_then(|n| n.parse().ok()).ok_or_else(unknown).and_then(gpu),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_devices() {
        let check = |word: &str, count: i64, expected: Option<Device>| {
            assert_eq!(choose(word, count).ok(), expected, "{word} with {count} GPUs");
        };
        check("auto", 0, Some(Device::Cpu));
        check("auto", 2, Some(Device::Cuda(0)));
        check("cpu", 2, Some(Device::Cpu));
        check("CUDA:1", 2, Some(Device::Cuda(1)));
        check("cuda", 1, Some(Device::Cuda(0)));
        check("cuda:2", 2, None);
        check("cuda", 0, None);
        check("cuda:x", 1, None);
        check("tpu", 1, None);
        assert_eq!((cuda_index(Device::Cuda(3)), cuda_index(Device::Cpu)), (Some(3), None));
    }
}
