//! Late loading of libtorch: the binary is not linked to it and starts at once; a subcommand that needs the detector opens the shared
//! library `quarry`, built from the same sources, and continues there.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use libloading::{Library, Symbol, library_filename};

use crate::domain::data_folder;

/// What the shared library's entry point is called.
const ENTRY: &[u8] = b"quarry_main";

/// The library of libtorch to which Quarry's own is linked; its own dependencies are beside it.
const LIBTORCH: &str = "libtorch_cpu.so";

/// Continues in the shared library, which parses the arguments again. An error means that it does not load, and nothing was done.
#[expect(unsafe_code, reason = "a library can only be loaded so")]
pub fn main() -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe().context("the path of the running program is unknown")?;
    let (path, is_installed) = library_of(&program)?;
    if is_installed {
        load_libtorch()?;
    }
    // SAFETY: it is our own library; its initialisers, and libtorch's, ask nothing of the program.
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

/// Whether an installed Quarry finds a libtorch.
#[cfg(feature = "gui")]
pub fn libtorch_is_there() -> bool {
    installed_libtorch().is_some()
}

/// The libtorch of an installed Quarry: `$LIBTORCH`, else what `quarry setup` fetched.
fn installed_libtorch() -> Option<PathBuf> {
    let own = std::env::var_os("LIBTORCH").map(PathBuf::from);
    let fetched = data_folder().map(|folder| folder.join("libtorch"));
    own.into_iter().chain(fetched).map(|folder| folder.join("lib").join(LIBTORCH)).find(|file| file.is_file())
}

/// Loads libtorch for good. Quarry's library asks for it by its name, and the loader takes what is loaded under that name.
#[expect(unsafe_code, reason = "a library can only be loaded so")]
fn load_libtorch() -> anyhow::Result<()> {
    let path = installed_libtorch().context(
        "libtorch is not installed. `quarry setup` fetches it once (527 MB; `quarry setup --cuda` for an NVIDIA GPU 2.5 GB)",
    )?;
    // SAFETY: a library of libtorch; its initialisers register its operators and ask nothing of us.
    let library = unsafe { Library::new(&path) }
        .with_context(|| format!("{} does not load. Remove its folder and run `quarry setup` again", path.display()))?;
    std::mem::forget(library);
    Ok(())
}

/// The shared library that belongs to the program, and whether it was installed: cargo keeps the newest in `deps/`, an installation in
/// `lib/quarry` or beside the program.
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
// SAFETY: nothing else that is linked is called so.
#[expect(unsafe_code, reason = "the binary finds it by its name")]
#[unsafe(no_mangle)]
pub extern "C" fn quarry_main() -> u8 {
    let Ok(code) = std::panic::catch_unwind(super::main_with_libtorch) else { return 101 };
    // `ExitCode` tells nobody what it is; these are the codes that `finish` makes.
    u8::from(code != ExitCode::SUCCESS)
}
