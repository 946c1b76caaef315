//! Determines whether a GPU is used and, if not, why: a pure function of the data from the driver and libtorch. Works without libtorch.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// The oldest driver branch that runs CUDA 13, for which the CUDA variant of libtorch 2.13 is built (NVIDIA's CUDA 13 release notes,
/// "minimum required driver version").
pub const OLDEST_DRIVER: u32 = 580;
/// The CUDA version of that variant.
const CUDA_MAJOR: u32 = 13;
/// The smallest compute capability with kernels in that variant (Turing).
const OLDEST_CAPABILITY: (u32, u32) = (7, 5);
/// The command that fetches the CUDA variant.
const FETCH: &str =
    "Run `quarry setup --cuda` (in a checkout `QUARRY_CUDA=1 make setup`) to fetch the CUDA variant (2.5 GB)";

/// Data from NVIDIA's driver.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Driver {
    /// For example "580.65.06"; `None` if no driver is loaded.
    pub version: Option<String>,
    /// The newest supported CUDA version: major, minor.
    pub cuda: Option<(u32, u32)>,
    /// The GPUs that this process may access.
    pub gpus: Vec<Gpu>,
    /// Why the driver's library failed, if it is installed.
    pub trouble: Option<String>,
    /// `CUDA_VISIBLE_DEVICES`, if set.
    pub visible: Option<String>,
}

/// One GPU as the driver describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gpu {
    pub name: String,
    pub memory_bytes: Option<u64>,
    /// Compute capability: major, minor.
    pub capability: Option<(u32, u32)>,
}

/// Data from the loaded libtorch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Libtorch {
    /// From the files next to it; `None` if they do not contain it.
    pub version: Option<String>,
    /// The folder of its libraries.
    pub folder: Option<PathBuf>,
    pub cuda: CudaLibrary,
    /// Number of CUDA devices that it finds.
    pub gpus: usize,
    pub cudnn: Option<String>,
    /// Threads per CPU operation.
    pub threads: usize,
}

/// The state of libtorch's CUDA library.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CudaLibrary {
    /// Only the CPU variant is installed.
    #[default]
    Absent,
    Loaded,
    /// Installed but does not load, with the loader's reason.
    Failed(String),
}

/// Whether rounds can train on a GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GpuState {
    /// Neither the driver nor libtorch knows of one.
    None,
    /// GPU names, as far as the driver reports them.
    Usable(Vec<String>),
    /// The driver shows these GPUs, but rounds would train on the CPU.
    Unused(Vec<String>, Unused),
}

/// Why an existing GPU is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unused {
    /// `CUDA_VISIBLE_DEVICES` hides all.
    Hidden(String),
    /// libtorch itself does not load.
    NoLibtorch(String),
    CpuVariant(Option<PathBuf>),
    LibraryFails(String),
    DriverFails(String),
    DriverTooOld(String),
    GpuTooOld(u32, u32),
    /// No known reason.
    Unknown,
}

/// Combines the data. `libtorch` is the loader's error if libtorch does not load.
pub fn diagnose(driver: &Driver, libtorch: Result<&Libtorch, &str>) -> GpuState {
    let names: Vec<String> = driver.gpus.iter().map(|gpu| gpu.name.clone()).collect();
    let found = libtorch.map_or(0, |libtorch| libtorch.gpus);
    match driver.newest_capability() {
        Some((major, minor)) if found > 0 && (major, minor) < OLDEST_CAPABILITY => {
            GpuState::Unused(names, Unused::GpuTooOld(major, minor))
        }
        _ if found > 0 => GpuState::Usable(names),
        _ if names.is_empty() => GpuState::None,
        _ => GpuState::Unused(names, reason(driver, libtorch)),
    }
}

/// Returns why libtorch finds none of the driver's GPUs; the first cause takes precedence.
fn reason(driver: &Driver, libtorch: Result<&Libtorch, &str>) -> Unused {
    if let Some(visible) = driver.visible.as_ref().filter(|list| hides_all(list)) {
        return Unused::Hidden(visible.clone());
    }
    let libtorch = match libtorch {
        Ok(libtorch) => libtorch,
        Err(reason) => return Unused::NoLibtorch(reason.to_owned()),
    };
    match &libtorch.cuda {
        CudaLibrary::Absent => Unused::CpuVariant(libtorch.folder.clone()),
        CudaLibrary::Failed(reason) => Unused::LibraryFails(reason.clone()),
        CudaLibrary::Loaded => match (&driver.trouble, &driver.version) {
            (Some(trouble), _) => Unused::DriverFails(trouble.clone()),
            (None, Some(version)) if driver.is_too_old() => Unused::DriverTooOld(version.clone()),
            _ => Unused::Unknown,
        },
    }
}

/// CUDA uses the devices before the first invalid one; an empty list, or one that begins with -1, hides all.
fn hides_all(visible: &str) -> bool {
    let first = visible.split(',').next().unwrap_or("").trim();
    first.is_empty() || first.starts_with('-')
}

impl Driver {
    /// Returns the compute capability of the best GPU; `None` unless all are known.
    fn newest_capability(&self) -> Option<(u32, u32)> {
        let all: Option<Vec<(u32, u32)>> = self.gpus.iter().map(|gpu| gpu.capability).collect();
        all?.into_iter().max()
    }

    fn is_too_old(&self) -> bool {
        let branch = self.version.as_ref().and_then(|version| version.split('.').next()?.parse::<u32>().ok());
        match self.cuda {
            Some((major, _)) => major < CUDA_MAJOR,
            None => branch.is_some_and(|branch| branch < OLDEST_DRIVER),
        }
    }
}

impl GpuState {
    pub fn is_usable(&self) -> bool {
        matches!(self, Self::Usable(_))
    }

    /// Returns `none`, `usable` or `unused`, for scripts.
    pub fn word(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Usable(_) => "usable",
            Self::Unused(..) => "unused",
        }
    }
}

/// One or two sentences: the state and, if a GPU is not used, what to do.
impl fmt::Display for GpuState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(f, "No CUDA GPU found."),
            Self::Usable(names) if names.is_empty() => write!(f, "libtorch finds a CUDA GPU."),
            Self::Usable(names) => write!(f, "libtorch finds {}.", names.join(", ")),
            Self::Unused(names, reason) => write!(f, "The GPU is not used ({}): {reason}.", names.join(", ")),
        }
    }
}

impl fmt::Display for Unused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hidden(list) => {
                write!(f, "CUDA_VISIBLE_DEVICES=\"{list}\" hides it. Unset the variable to use the GPU")
            }
            Self::NoLibtorch(reason) => write!(f, "libtorch does not load: {reason}. {FETCH}"),
            Self::CpuVariant(Some(folder)) => {
                write!(f, "the libtorch in {} is the CPU variant. {FETCH}", folder.display())
            }
            Self::CpuVariant(None) => write!(f, "the libtorch in use is the CPU variant. {FETCH}"),
            Self::LibraryFails(reason) => {
                write!(f, "libtorch's CUDA library does not load: {reason}. {FETCH} again")
            }
            Self::DriverFails(trouble) => write!(
                f,
                "the NVIDIA driver does not answer: {trouble}. Restart the machine; if that does not help, reinstall the driver"
            ),
            Self::DriverTooOld(version) => write!(
                f,
                "the NVIDIA driver {version} is too old for CUDA {CUDA_MAJOR}. Install driver {OLDEST_DRIVER} or newer"
            ),
            Self::GpuTooOld(major, minor) => write!(
                f,
                "its compute capability {major}.{minor} is below {}.{}, the oldest that libtorch supports. Train on the CPU or on a \
                 newer GPU",
                OLDEST_CAPABILITY.0, OLDEST_CAPABILITY.1
            ),
            Self::Unknown => write!(
                f,
                "libtorch finds no CUDA device, and the reason is unknown. Report this with the output of `quarry doctor`"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gpu(name: &str, capability: Option<(u32, u32)>) -> Gpu {
        Gpu { name: name.to_owned(), memory_bytes: None, capability }
    }

    fn driver(version: &str, cuda: Option<(u32, u32)>) -> Driver {
        Driver { version: Some(version.to_owned()), cuda, gpus: vec![gpu("H100", None)], ..Driver::default() }
    }

    fn libtorch(cuda: CudaLibrary, gpus: usize) -> Libtorch {
        Libtorch { folder: Some("/opt/libtorch/lib".into()), cuda, gpus, ..Libtorch::default() }
    }

    #[test]
    fn facts_become_a_diagnosis_with_its_advice() {
        let check = |driver: &Driver, libtorch: Result<&Libtorch, &str>, word: &str, parts: &[&str]| {
            let state = diagnose(driver, libtorch);
            let text = state.to_string();
            assert_eq!(state.word(), word, "{text}");
            for part in parts {
                assert!(text.contains(part), "{text:?} lacks {part:?}");
            }
        };
        let (cpu, cuda) = (libtorch(CudaLibrary::Absent, 0), libtorch(CudaLibrary::Loaded, 0));
        let found = libtorch(CudaLibrary::Loaded, 1);
        let broken = libtorch(CudaLibrary::Failed("libcudnn.so.9: cannot open shared object file".to_owned()), 0);
        let new = driver("580.65.06", Some((13, 0)));
        let nothing = Driver::default();

        check(&nothing, Ok(&cpu), "none", &["No CUDA GPU found."]);
        check(&nothing, Ok(&cuda), "none", &[]);
        check(&nothing, Err("libtorch_cpu.so: not found"), "none", &[]);
        check(&new, Ok(&found), "usable", &["H100"]);
        // WSL and containers may hide the driver's library: libtorch's result takes precedence.
        check(&nothing, Ok(&found), "usable", &["finds a CUDA GPU"]);

        check(&new, Ok(&cpu), "unused", &["H100", "/opt/libtorch/lib", "CPU variant", "QUARRY_CUDA=1 make setup"]);
        check(&new, Ok(&broken), "unused", &["libcudnn.so.9", "QUARRY_CUDA=1 make setup"]);
        check(&new, Err("libtorch_cpu.so: not found"), "unused", &["libtorch_cpu.so", "make setup"]);
        check(&driver("535.54.03", Some((12, 2))), Ok(&cuda), "unused", &["535.54.03", "too old", "580"]);
        check(&driver("535.54.03", None), Ok(&cuda), "unused", &["535.54.03", "too old"]);
        check(&driver("590.1", None), Ok(&cuda), "unused", &["unknown", "quarry doctor"]);
        let trouble = Driver { trouble: Some("driver/library version mismatch".to_owned()), ..new.clone() };
        check(&trouble, Ok(&cuda), "unused", &["version mismatch", "Restart"]);
        // Another libtorch comes first: without it the driver cannot be queried.
        check(&driver("535.54.03", Some((12, 2))), Ok(&cpu), "unused", &["CPU variant"]);
    }

    #[test]
    fn hidden_and_outdated_gpus_are_told_apart() {
        let cuda = libtorch(CudaLibrary::Loaded, 0);
        let check = |visible: &str, hidden: bool| {
            let driver = Driver { visible: Some(visible.to_owned()), ..driver("580.65.06", Some((13, 0))) };
            let state = diagnose(&driver, Ok(&cuda));
            assert_eq!(matches!(state, GpuState::Unused(_, Unused::Hidden(_))), hidden, "{visible:?}: {state}");
        };
        check("", true);
        check("-1", true);
        check("-1,0", true);
        check("0", false);
        check("GPU-1a2b", false);

        let found = libtorch(CudaLibrary::Loaded, 2);
        let check = |capabilities: [Option<(u32, u32)>; 2], word: &str| {
            let gpus = capabilities.map(|capability| gpu("GTX", capability)).to_vec();
            let driver = Driver { gpus, ..driver("580.65.06", Some((13, 0))) };
            assert_eq!(diagnose(&driver, Ok(&found)).word(), word, "{capabilities:?}");
        };
        check([Some((6, 1)), Some((7, 0))], "unused");
        check([Some((6, 1)), Some((9, 0))], "usable");
        check([Some((6, 1)), None], "usable");
        check([Some((7, 5)), Some((7, 5))], "usable");
    }
}
