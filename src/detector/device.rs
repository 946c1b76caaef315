//! The only code that selects a device and queries libtorch about CUDA. It first loads libtorch's CUDA library, which is not linked, so
//! that one build runs with both variants of libtorch.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libloading::{Library, Symbol};
use tch::{Cuda, Device, Tensor};

use super::gpu_state::{CudaLibrary, Libtorch};
use super::{DetectorError, GpuState};
use crate::domain::{limits, read_text};

/// Exists next to [`CPU_LIBRARY`] in the CUDA variant.
const CUDA_LIBRARY: &str = "libtorch_cuda.so";
const CPU_LIBRARY: &str = "libtorch_cpu.so";

/// Parses a device: `auto` (the first GPU, otherwise the CPU), `cpu`, `cuda` or `cuda:N`. A missing GPU is an error.
pub fn choose_device(word: &str) -> Result<Device, DetectorError> {
    choose(word, gpu_count)
}

/// Returns a GPU's index in libtorch; `None` for the CPU.
pub fn cuda_index(device: Device) -> Option<u32> {
    match device {
        Device::Cuda(index) => u32::try_from(index).ok(),
        _ => None,
    }
}

/// Loads libtorch's CUDA library once, if installed.
///
/// Must run before the first query about CUDA and before the first backward pass: libtorch checks once which devices exist and caches the
/// answer. The library also loads without a GPU or driver; it takes a fifth of a second.
pub fn load_cuda() -> &'static CudaLibrary {
    static LOADED: OnceLock<CudaLibrary> = OnceLock::new();
    LOADED.get_or_init(|| libtorch_folder().map_or(CudaLibrary::Absent, |folder| load_from(&folder)))
}

/// Returns what the loaded libtorch reports about itself and its devices.
pub fn libtorch() -> Libtorch {
    let cuda = load_cuda().clone();
    let folder = libtorch_folder();
    Libtorch {
        version: folder.as_deref().and_then(version_in),
        gpus: gpu_count(),
        cudnn: folder.as_deref().filter(|_| cuda == CudaLibrary::Loaded).and_then(cudnn_version),
        threads: usize::try_from(tch::get_num_threads()).unwrap_or(0),
        cuda,
        folder,
    }
}

/// Sets the number of threads of CPU operations.
pub fn use_threads(count: usize) {
    tch::set_num_threads(i32::try_from(count).unwrap_or(i32::MAX));
}

/// Copies a CPU tensor to `device`. On a GPU the copy is queued after earlier work, without waiting.
pub fn upload(values: &Tensor, device: Device) -> Tensor {
    if device.is_cuda() && values.numel() > 0 {
        // A copy from unpinned memory waits until the device has finished all queued work. `pin_memory` itself warns at every call about
        // the device that tch passes to it.
        values.contiguous().internal_pin_memory(device).to_device_(device, values.kind(), true, false)
    } else {
        values.to_device(device)
    }
}

/// Returns the number of CUDA devices that libtorch finds.
fn gpu_count() -> usize {
    load_cuda();
    if Cuda::is_available() { usize::try_from(Cuda::device_count()).unwrap_or(0) } else { 0 }
}

/// `count` is only called if `word` is `auto`.
fn choose(word: &str, count: impl Fn() -> usize) -> Result<Device, DetectorError> {
    let gpu = |n: usize| match count() {
        0 => Err(DetectorError::NoUsableGpu(GpuState::None)),
        count if n < count => Ok(Device::Cuda(n)),
        count => Err(DetectorError::NoSuchGpu { word: word.to_owned(), count }),
    };
    let unknown = || DetectorError::UnknownDevice { word: word.to_owned() };
    match word.trim().to_ascii_lowercase().as_str() {
        "cpu" => Ok(Device::Cpu),
        "auto" => Ok(if count() > 0 { Device::Cuda(0) } else { Device::Cpu }),
        "cuda" => gpu(0),
        other => other.strip_prefix("cuda:").and_then(|n| n.parse().ok()).ok_or_else(unknown).and_then(gpu),
    }
}

fn load_from(folder: &Path) -> CudaLibrary {
    let path = folder.join(CUDA_LIBRARY);
    if !path.exists() {
        return CudaLibrary::Absent;
    }
    // NVRTC looks for its built-in functions by name only and does not search its own folder.
    for builtins in files_named(folder, "libnvrtc-builtins.so") {
        if let Err(reason) = open_for_good(&builtins) {
            tracing::debug!("{}: {reason}", builtins.display());
        }
    }
    match open_for_good(&path) {
        Ok(()) => CudaLibrary::Loaded,
        Err(reason) => CudaLibrary::Failed(reason),
    }
}

/// Opens a library with global symbols until the process ends.
#[expect(unsafe_code, reason = "loading a library needs unsafe code")]
fn open_for_good(path: &Path) -> Result<(), String> {
    #[cfg(unix)]
    let library = {
        use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
        // SAFETY: a library of libtorch; its initialisers register its operators and have no preconditions.
        unsafe { Library::open(Some(path), RTLD_NOW | RTLD_GLOBAL) }
    };
    #[cfg(not(unix))]
    // SAFETY: as above.
    let library = unsafe { Library::new(path) };
    // The loader's message names the missing library.
    library.map(std::mem::forget).map_err(|error| error.to_string())
}

/// Returns the folder of the loaded libtorch; `None` if unknown.
fn libtorch_folder() -> Option<PathBuf> {
    folder_in_maps(&read_text(Path::new("/proc/self/maps"), limits::TEXT).ok()?)
}

/// Finds the folder of [`CPU_LIBRARY`] in Linux's list of mapped files: each line ends with the path, which may contain spaces.
fn folder_in_maps(maps: &str) -> Option<PathBuf> {
    let paths = maps.lines().filter_map(|line| line.find('/').and_then(|at| line.get(at..)).map(Path::new));
    let mut ours = paths.filter(|path| path.file_name().is_some_and(|name| name == CPU_LIBRARY));
    ours.next()?.parent().map(Path::to_path_buf)
}

/// Reads the version file of `make setup` or of libtorch's own archive.
fn version_in(folder: &Path) -> Option<String> {
    let root = folder.parent()?;
    let files = [".complete", "build-version"].map(|name| read_text(&root.join(name), limits::TEXT));
    let written = files.iter().flatten().find_map(|text| text.split_whitespace().next().map(str::to_owned));
    written.or_else(|| pip_version(&read_text(&root.join("version.py"), limits::TEXT).ok()?))
}

/// Reads the version from the `version.py` of pip's torch.
fn pip_version(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("__version__"))?;
    line.split('\'').nth(1).map(str::to_owned)
}

/// Returns cuDNN's version as its library reports it, e.g. 9.20.0.
#[expect(unsafe_code, reason = "no file says the version; the library's own function does")]
fn cudnn_version(folder: &Path) -> Option<String> {
    // pip installs it in a separate folder: it is already loaded, and found by its name.
    let path = files_named(folder, "libcudnn.so").pop().unwrap_or_else(|| PathBuf::from("libcudnn.so.9"));
    // SAFETY: libtorch's CUDA library has loaded it before; this only adds a reference.
    let library = unsafe { Library::new(path) }.ok()?;
    // SAFETY: the function has had this signature since cuDNN 2.
    let version: Symbol<unsafe extern "C" fn() -> usize> = unsafe { library.get(b"cudnnGetVersion") }.ok()?;
    // SAFETY: it takes no arguments and only returns a constant.
    let number = unsafe { version() };
    Some(format!("{}.{}.{}", number / 10_000, number / 100 % 100, number % 100))
}

fn files_named(folder: &Path, start: &str) -> Vec<PathBuf> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> =
        names.filter(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(start))).collect();
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_devices() {
        let check = |word: &str, count: usize, expected: Result<Device, &str>| {
            let chosen = choose(word, || count).map_err(|error| error.to_string());
            match expected {
                Ok(device) => assert_eq!(chosen, Ok(device), "{word} with {count} GPUs"),
                Err(part) => assert!(chosen.as_ref().is_err_and(|error| error.contains(part)), "{word}: {chosen:?}"),
            }
        };
        check("auto", 0, Ok(Device::Cpu));
        check("auto", 2, Ok(Device::Cuda(0)));
        check("cpu", 2, Ok(Device::Cpu));
        check(" CUDA:1", 2, Ok(Device::Cuda(1)));
        check("cuda", 1, Ok(Device::Cuda(0)));
        check("cuda:2", 2, Err("numbered 0 to 1"));
        check("cuda:1", 1, Err("only cuda:0"));
        check("cuda", 0, Err("No CUDA GPU found. Choose auto or cpu."));
        check("cuda:0", 0, Err("No CUDA GPU found. Choose auto or cpu."));
        check("cuda:x", 1, Err("\"cuda:x\""));
        check("cuda:-1", 1, Err("\"cuda:-1\""));
        check("tpu", 1, Err("auto, cpu, cuda or cuda:N"));
        assert_eq!((cuda_index(Device::Cuda(3)), cuda_index(Device::Cpu)), (Some(3), None));
        let cpu = choose("cpu", || panic!("the CPU needs no question about CUDA"));
        assert_eq!(cpu.ok(), Some(Device::Cpu));
    }

    #[test]
    fn libtorchs_folder_is_read_from_the_mapped_files() {
        let check = |maps: &str, expected: Option<&str>| {
            assert_eq!(folder_in_maps(maps), expected.map(PathBuf::from), "{maps}");
        };
        check(
            "7f00-7f01 r--p 00000000 00:00 0 \n7f02-7f03 r-xp 00001000 fe:00 123   /opt/my libs/lib/libtorch_cpu.so\n",
            Some("/opt/my libs/lib"),
        );
        check("7f02-7f03 r-xp 00001000 fe:00 123   /usr/lib/libtorch_cpu.so.1\n", None);
        check("", None);
        if cfg!(target_os = "linux") {
            let folder = libtorch_folder().expect("tests are linked to libtorch");
            assert!(folder.join(CPU_LIBRARY).exists(), "{folder:?}");
        }
    }

    #[test]
    fn the_version_of_pips_torch_is_read() {
        let text =
            "from typing import Optional\n\n__all__ = ['__version__']\n__version__ = '2.11.0+cu130'\ndebug = False\n";
        assert_eq!(pip_version(text).as_deref(), Some("2.11.0+cu130"));
        assert_eq!(pip_version("debug = False\n__version__ = 3\n"), None);
    }

    #[test]
    fn a_cuda_library_that_is_missing_or_broken_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load_from(dir.path()), CudaLibrary::Absent);
        std::fs::write(dir.path().join(CUDA_LIBRARY), "no library").unwrap();
        let broken = load_from(dir.path());
        assert!(matches!(&broken, CudaLibrary::Failed(reason) if reason.contains(CUDA_LIBRARY)), "{broken:?}");
    }
}
