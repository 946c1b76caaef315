//! `quarry doctor`: data about this machine and build, for reading or for a bug report. Needs no project and no working libtorch.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Context;
use super::opengl;
use crate::detector::{CudaLibrary, Driver, Gpu, GpuState, Libtorch, diagnose};
use crate::domain::{crash_folder, limits, new_crash_reports, printable_path, read_text, shown_paths};
use crate::training::driver;

/// The CPU instruction sets that matter for training speed.
const FLAGS: [&str; 7] = ["avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16"];

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  quarry doctor\n  quarry doctor --json > doctor.json")]
pub struct DoctorArgs {
    /// Only ask for the OpenGL renderer: `doctor` starts itself this way, because a broken driver may end the process
    #[arg(long, hide = true)]
    pub(super) probe_opengl: bool,
}

/// The report. Unknown values are `None`.
#[derive(Debug, Serialize)]
struct Report {
    quarry: String,
    features: Vec<&'static str>,
    system: System,
    /// `cuda` or `cpu`: the device that `auto` selects.
    device: &'static str,
    gpu: Diagnosis,
    driver: Driver,
    libtorch: Option<Libtorch>,
    /// Why libtorch does not load.
    libtorch_error: Option<String>,
    opengl: Option<String>,
    /// Why there is none.
    opengl_error: Option<String>,
    display: Display,
    /// Crash reports that nobody has seen yet, newest first.
    #[serde(serialize_with = "shown_paths")]
    crash_reports: Vec<PathBuf>,
}

#[derive(Debug, Serialize)]
pub(super) struct Diagnosis {
    state: &'static str,
    text: String,
}

#[derive(Debug, Serialize)]
struct System {
    os: String,
    kernel: Option<String>,
    cpu: Option<String>,
    cpu_flags: Vec<&'static str>,
    threads: Option<usize>,
    memory_bytes: Option<u64>,
    memory_available_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Display {
    x11: Option<String>,
    wayland: Option<String>,
    session: Option<String>,
}

impl From<&GpuState> for Diagnosis {
    fn from(state: &GpuState) -> Self {
        Self { state: state.word(), text: state.to_string() }
    }
}

/// `libtorch` is the loader's error if it does not load.
pub fn run(args: &DoctorArgs, context: &Context, libtorch: Result<Libtorch, String>) -> anyhow::Result<()> {
    if args.probe_opengl {
        let renderer = opengl::renderer().map_err(anyhow::Error::msg)?;
        return context.print(&renderer, || renderer.clone());
    }
    let report = report(libtorch);
    context.print(&report, || text(&report))
}

fn report(libtorch: Result<Libtorch, String>) -> Report {
    let driver = driver();
    let state = diagnose(&driver, libtorch.as_ref().map_err(String::as_str));
    let (libtorch, libtorch_error) = parts(libtorch);
    let (opengl, opengl_error) = parts(opengl::in_another_process());
    Report {
        quarry: env!("CARGO_PKG_VERSION").to_owned(),
        features: features(),
        system: system(),
        device: if state.is_usable() { "cuda" } else { "cpu" },
        gpu: Diagnosis::from(&state),
        driver,
        libtorch,
        libtorch_error,
        opengl,
        opengl_error,
        display: display(),
        crash_reports: crash_folder().map(|folder| new_crash_reports(&folder)).unwrap_or_default(),
    }
}

fn parts<T>(result: Result<T, String>) -> (Option<T>, Option<String>) {
    match result {
        Ok(found) => (Some(found), None),
        Err(reason) => (None, Some(reason)),
    }
}

fn features() -> Vec<&'static str> {
    let all = [("gui", cfg!(feature = "gui")), ("torch", cfg!(feature = "torch")), ("debug", cfg!(debug_assertions))];
    all.into_iter().filter(|(_, on)| *on).map(|(name, _)| name).collect()
}

fn system() -> System {
    let read = |path: &str| read_text(Path::new(path), limits::TEXT).unwrap_or_default();
    let (cpu, memory, release) = (read("/proc/cpuinfo"), read("/proc/meminfo"), read("/etc/os-release"));
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).map(|name| name.trim_matches('"'));
    System {
        os: format!("{} ({} {})", name.unwrap_or("unknown"), std::env::consts::OS, std::env::consts::ARCH),
        kernel: Some(kernel).filter(|kernel| !kernel.is_empty()),
        cpu: value_of(&cpu, "model name"),
        cpu_flags: flags_in(&cpu),
        threads: std::thread::available_parallelism().ok().map(usize::from),
        memory_bytes: kilobytes(&memory, "MemTotal"),
        memory_available_bytes: kilobytes(&memory, "MemAvailable"),
    }
}

/// Returns the value of the first line `key : value`.
fn value_of(text: &str, key: &str) -> Option<String> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(found, _)| found.trim() == key).map(|(_, value)| value.trim().to_owned())
}

fn kilobytes(text: &str, key: &str) -> Option<u64> {
    Some(value_of(text, key)?.strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

fn flags_in(cpuinfo: &str) -> Vec<&'static str> {
    let found = value_of(cpuinfo, "flags").unwrap_or_default();
    FLAGS.into_iter().filter(|flag| found.split_whitespace().any(|word| word == *flag)).collect()
}

fn display() -> Display {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    Display { x11: set("DISPLAY"), wayland: set("WAYLAND_DISPLAY"), session: set("XDG_SESSION_TYPE") }
}

fn text(report: &Report) -> String {
    let system = &report.system;
    let unknown = || "unknown".to_owned();
    let gib = |bytes: Option<u64>| bytes.map_or_else(unknown, gib_text);
    let lines = [
        ("Quarry", format!("{} ({})", report.quarry, report.features.join(", "))),
        ("System", format!("{}, kernel {}", system.os, system.kernel.clone().unwrap_or_else(unknown))),
        ("CPU", format!("{}, {} threads", system.cpu.clone().unwrap_or_else(unknown), system.threads.unwrap_or(0))),
        ("CPU flags", listed(&system.cpu_flags, ", ")),
        ("Memory", format!("{}, {} available", gib(system.memory_bytes), gib(system.memory_available_bytes))),
        ("Device", format!("{}. {}", report.device, report.gpu.text)),
        ("Driver", driver_text(&report.driver)),
        ("GPUs", listed(&report.driver.gpus.iter().map(gpu_text).collect::<Vec<_>>(), "; ")),
        ("libtorch", libtorch_text(report)),
        ("cuDNN", report.libtorch.as_ref().and_then(|l| l.cudnn.clone()).unwrap_or_else(|| "none".to_owned())),
        ("OpenGL", opengl_text(report)),
        ("Display", display_text(&report.display)),
        ("Crashes", listed(&report.crash_reports.iter().map(|path| printable_path(path)).collect::<Vec<_>>(), "; ")),
    ];
    lines.map(|(name, value)| format!("{name:<10} {value}")).join("\n")
}

fn listed(words: &[impl AsRef<str>], separator: &str) -> String {
    match words {
        [] => "none".to_owned(),
        words => words.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(separator),
    }
}

fn gib_text(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

fn driver_text(driver: &Driver) -> String {
    let version = driver.version.as_ref().map_or_else(|| "none".to_owned(), |version| format!("NVIDIA {version}"));
    let more = [
        driver.cuda.map(|(major, minor)| format!("CUDA up to {major}.{minor}")),
        driver.trouble.as_ref().map(|trouble| format!("does not answer: {trouble}")),
        driver.visible.as_ref().map(|visible| format!("CUDA_VISIBLE_DEVICES=\"{visible}\"")),
    ];
    [version].into_iter().chain(more.into_iter().flatten()).collect::<Vec<_>>().join(", ")
}

fn gpu_text(gpu: &Gpu) -> String {
    let memory = gpu.memory_bytes.map(|bytes| format!(", {}", gib_text(bytes))).unwrap_or_default();
    let capability = gpu.capability.map(|(major, minor)| format!(", compute capability {major}.{minor}"));
    format!("{}{memory}{}", gpu.name, capability.unwrap_or_default())
}

fn libtorch_text(report: &Report) -> String {
    let Some(libtorch) = &report.libtorch else {
        return format!("not loaded: {}", report.libtorch_error.as_deref().unwrap_or("no reason given"));
    };
    let variant = match &libtorch.cuda {
        CudaLibrary::Absent => "CPU variant".to_owned(),
        CudaLibrary::Loaded => format!("CUDA variant, finds {} CUDA devices", libtorch.gpus),
        CudaLibrary::Failed(reason) => format!("CUDA variant, its CUDA library does not load: {reason}"),
    };
    let version = libtorch.version.as_deref().unwrap_or("unknown version");
    let folder = libtorch.folder.as_ref().map_or_else(|| "unknown".to_owned(), |folder| folder.display().to_string());
    format!("{version}, {variant}, {} threads, {folder}", libtorch.threads)
}

fn opengl_text(report: &Report) -> String {
    let none = || format!("none ({})", report.opengl_error.as_deref().unwrap_or("no reason given"));
    report.opengl.clone().unwrap_or_else(none)
}

fn display_text(display: &Display) -> String {
    let named = [("DISPLAY", &display.x11), ("WAYLAND_DISPLAY", &display.wayland), ("session", &display.session)];
    let set: Vec<String> =
        named.into_iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={value}"))).collect();
    listed(&set, ", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_reads_the_same_with_and_without_libtorch() {
        let names = ["Quarry", "System", "CPU", "CPU flags", "Memory", "Device", "Driver", "GPUs", "libtorch", "cuDNN"];
        let check = |libtorch: Result<Libtorch, String>, part: &str| {
            let (libtorch, libtorch_error) = parts(libtorch);
            let gpu = Gpu { name: "H100".to_owned(), memory_bytes: Some(85 << 30), capability: Some((9, 0)) };
            let driver = Driver { version: Some("580.65.06".to_owned()), gpus: vec![gpu], ..Driver::default() };
            let facts = libtorch.as_ref().ok_or("no libtorch_cpu.so");
            let gpu = Diagnosis::from(&diagnose(&driver, facts));
            let report = Report {
                quarry: "1.2.3".to_owned(),
                features: features(),
                system: system(),
                device: "cpu",
                gpu,
                driver,
                libtorch,
                libtorch_error,
                opengl: None,
                opengl_error: Some("libEGL.so.1 is missing".to_owned()),
                display: display(),
                crash_reports: vec!["/s/crash-1.txt".into()],
            };
            let text = text(&report);
            for name in names {
                assert!(text.lines().any(|line| line.starts_with(name)), "{name} is missing in\n{text}");
            }
            for part in
                [part, "H100, 85.0 GiB, compute capability 9.0", "/s/crash-1.txt", "none (libEGL.so.1 is missing)"]
            {
                assert!(text.contains(part), "{part:?} is missing in\n{text}");
            }
            assert!(serde_json::to_value(&report).is_ok_and(|json| json["gpu"]["state"] == "unused"));
        };
        check(Ok(Libtorch { version: Some("2.13.0".to_owned()), ..Libtorch::default() }), "2.13.0, CPU variant");
        check(Err("no libtorch_cpu.so".to_owned()), "not loaded: no libtorch_cpu.so");
    }

    #[test]
    fn flags_and_memory_are_read_from_the_systems_files() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Xeon\nflags\t\t: fpu avx2 avx512f amx_tile\n\nprocessor\t: 1\n";
        assert_eq!(flags_in(cpuinfo), ["avx2", "avx512f", "amx_tile"]);
        assert_eq!(value_of(cpuinfo, "model name").as_deref(), Some("Xeon"));
        assert_eq!(kilobytes("MemTotal:       2048 kB\n", "MemTotal"), Some(2 << 20));
        assert_eq!(kilobytes("", "MemTotal"), None);
    }
}
