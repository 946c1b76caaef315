//! Reads GPU information from NVIDIA's driver: from its library (NVML), or from `/proc` if that is not installed.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fs;
use std::path::Path;

use crate::detector::{Driver, Gpu};
use crate::domain::{limits, read_text};

/// Whether the driver exposes a GPU to this process; takes no measurable time and loads nothing.
pub fn driver_shows_gpu() -> bool {
    // The second is WSL's.
    device_nodes(Path::new("/dev")) || Path::new("/dev/dxg").exists()
}

/// Reads the driver's data; empty if no GPU can be opened.
pub fn driver() -> Driver {
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    if !driver_shows_gpu() {
        return Driver { visible, ..Driver::default() };
    }
    let found = from_proc(Path::new("/proc/driver/nvidia"));
    Driver { visible, ..with_nvml(found) }
}

/// Looks for `/dev/nvidia0` and the like. A container may see the host's driver in `/proc` without having access to its GPUs.
fn device_nodes(dev: &Path) -> bool {
    let names = fs::read_dir(dev).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.into_iter().any(|name| {
        let name = name.to_string_lossy();
        name.strip_prefix("nvidia").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    })
}

fn from_proc(folder: &Path) -> Driver {
    let version = read_text(&folder.join("version"), limits::TEXT).ok().and_then(|text| version_in(&text));
    let files = fs::read_dir(folder.join("gpus")).into_iter().flatten().flatten();
    let mut texts: Vec<String> =
        files.filter_map(|entry| read_text(&entry.path().join("information"), limits::TEXT).ok()).collect();
    texts.sort();
    let model = |text: &String| text.lines().find_map(|line| line.strip_prefix("Model:").map(|m| m.trim().to_owned()));
    let gpu = |name| Gpu { name, memory_bytes: None, capability: None };
    Driver { version, gpus: texts.iter().filter_map(model).map(gpu).collect(), ..Driver::default() }
}

/// Extracts the version from "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27 ...": the first word of digits and
/// dots.
fn version_in(text: &str) -> Option<String> {
    let is_version = |word: &&str| word.contains('.') && word.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.lines().next()?.split_whitespace().find(is_version).map(str::to_owned)
}

#[cfg(not(feature = "torch"))]
fn with_nvml(found: Driver) -> Driver {
    found
}

/// Adds NVML's data.
#[cfg(feature = "torch")]
fn with_nvml(found: Driver) -> Driver {
    use nvml_wrapper::Nvml;
    use nvml_wrapper::error::NvmlError;
    let nvml = match Nvml::init() {
        Ok(nvml) => nvml,
        // Not installed, as in some containers: CUDA may still work.
        Err(NvmlError::LibloadingError(_)) => return found,
        Err(error) => return Driver { trouble: Some(error.to_string()), ..found },
    };
    let gpu = |index: u32| {
        let device = nvml.device_by_index(index).ok()?;
        let capability = device.cuda_compute_capability().ok();
        let capability = capability.and_then(|c| Some((u32::try_from(c.major).ok()?, u32::try_from(c.minor).ok()?)));
        let memory_bytes = device.memory_info().ok().map(|memory| memory.total);
        Some(Gpu { name: device.name().ok()?, memory_bytes, capability })
    };
    let gpus: Vec<Gpu> = (0..nvml.device_count().unwrap_or(0)).filter_map(gpu).collect();
    let cuda = nvml.sys_cuda_driver_version().ok().and_then(|version| u32::try_from(version).ok());
    Driver {
        version: nvml.sys_driver_version().ok().or(found.version),
        // 13020 is CUDA 13.2.
        cuda: cuda.map(|version| (version / 1000, version % 1000 / 10)),
        gpus: if gpus.is_empty() { found.gpus } else { gpus },
        ..Driver::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_drivers_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(from_proc(dir.path()), Driver::default());
        let write = |file: &str, text: &str| {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write(
            "version",
            "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun Jul 27 07:19:41 UTC 2025\nGCC 12\n",
        );
        write("gpus/0000:01:00.0/information", "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ: 0\n");
        let driver = from_proc(dir.path());
        assert_eq!(driver.version.as_deref(), Some("580.65.06"));
        assert_eq!(driver.gpus[0].name, "NVIDIA H100 80GB HBM3");
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  590.44.01  Release Build\n";
        assert_eq!(version_in(open).as_deref(), Some("590.44.01"));
    }

    #[test]
    fn only_numbered_device_files_are_gpus() {
        let check = |names: &[&str], expected: bool| {
            let dir = tempfile::tempdir().unwrap();
            for name in names {
                fs::write(dir.path().join(name), "").unwrap();
            }
            assert_eq!(device_nodes(dir.path()), expected, "{names:?}");
        };
        check(&[], false);
        check(&["nvidiactl", "nvidia-uvm"], false);
        check(&["nvidiactl", "nvidia1"], true);
    }
}
