//! Loads libtorch late: the binary is not linked to it and starts at once; a subcommand that needs the detector opens the shared library
//! `quarry`, built from the same sources, and continues there.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use libloading::{Library, Symbol, library_filename};

use crate::domain::data_folder;

/// Name of the shared library's entry point.
const ENTRY: &[u8] = b"quarry_main";

/// The libtorch library that Quarry's own is linked to; its own dependencies are next to it.
const LIBTORCH: &str = "libtorch_cpu.so";

/// Continues in the shared library, which parses the arguments again. An error means that it could not be loaded and nothing was done.
#[expect(unsafe_code, reason = "loading a library needs unsafe code")]
pub fn main() -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe().context("the path of the running program is unknown")?;
    let (path, is_installed) = library_of(&program)?;
    if is_installed {
        load_libtorch()?;
    }
    // SAFETY: it is our own library; its initialisers, and libtorch's, have no preconditions.
    let library = unsafe { Library::new(&path) }.with_context(|| {
        let advice = if is_installed {
            "`quarry setup` fetches libtorch"
        } else {
            "After `make setup`, `cargo build` rebuilds it"
        };
        format!("{} does not load. {advice}", path.display())
    })?;
    // SAFETY: `quarry_main` below has this signature, in every build of this version.
    let entry: Symbol<extern "C" fn() -> u8> = unsafe { library.get(ENTRY) }
        .with_context(|| format!("{} is not Quarry's library. Install both of one version", path.display()))?;
    let code = entry();
    // libtorch's threads may still run: the library stays loaded until the process ends.
    std::mem::forget(library);
    Ok(ExitCode::from(code))
}

/// Whether an installed Quarry finds libtorch.
#[cfg(feature = "gui")]
pub fn has_libtorch() -> bool {
    installed_libtorch().is_some()
}

/// Returns the libtorch of an installed Quarry: `$LIBTORCH`, otherwise the one from `quarry setup`.
fn installed_libtorch() -> Option<PathBuf> {
    let own = std::env::var_os("LIBTORCH").map(PathBuf::from);
    let fetched = data_folder().map(|folder| folder.join("libtorch"));
    own.into_iter().chain(fetched).map(|folder| folder.join("lib").join(LIBTORCH)).find(|file| file.is_file())
}

/// Loads libtorch permanently. Quarry's library requests it by name, and the loader reuses the library loaded under that name.
#[expect(unsafe_code, reason = "loading a library needs unsafe code")]
fn load_libtorch() -> anyhow::Result<()> {
    let path = installed_libtorch().context(
        "libtorch is not installed. `quarry setup` fetches it once (527 MB; `quarry setup --cuda` for an NVIDIA GPU 2.5 GB)",
    )?;
    // SAFETY: a library of libtorch; its initialisers register its operators and have no preconditions.
    let library = unsafe { Library::new(&path) }
        .with_context(|| format!("{} does not load. Remove its folder and run `quarry setup` again", path.display()))?;
    std::mem::forget(library);
    Ok(())
}

/// Returns the program's shared library, and whether it was installed: cargo keeps the newest in `deps/`, an installation in `lib/quarry`
/// or next to the program.
fn library_of(program: &Path) -> anyhow::Result<(PathBuf, bool)> {
    let name = library_filename("quarry");
    let folder = program.parent().unwrap_or(Path::new("."));
    let installed = folder.parent().unwrap_or(Path::new(".")).join("lib").join("quarry").join(&name);
    let places = [(folder.join("deps").join(&name), false), (installed, true), (folder.join(&name), true)];
    places.iter().find(|(place, _)| place.is_file()).cloned().with_context(|| {
        format!(
            "{} is missing: everything that needs libtorch is in it. Install Quarry again (`make install`)",
            places[1].0.display()
        )
    })
}

/// The shared library's entry point: the whole command line with libtorch.
///
/// Returns the process's exit code; a panic ends the program with 101, as it does in a binary.
// SAFETY: no other linked symbol has this name.
#[expect(unsafe_code, reason = "the binary finds it by its name")]
#[unsafe(no_mangle)]
pub extern "C" fn quarry_main() -> u8 {
    let Ok(code) = std::panic::catch_unwind(super::main_with_libtorch) else { return 101 };
    // `ExitCode` cannot be read; these are the codes that `finish` returns.
    u8::from(code != ExitCode::SUCCESS)
}
