//! libtorch, loaded late: the binary itself is not linked to it and starts at once; a subcommand that needs the detector opens the
//! shared library `quarry`, built from the same sources, and goes on there. Must not know what the subcommands do.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use libloading::{Library, Symbol, library_filename};

/// What the shared library's entry point is called.
const ENTRY: &[u8] = b"quarry_main";

/// Goes on in the shared library, which reads the arguments again. An error means that it does not load, and nothing was done.
#[expect(unsafe_code, reason = "a library can only be loaded so")]
pub fn main() -> anyhow::Result<ExitCode> {
    let program = std::env::current_exe().context("the running program's own place is unknown")?;
    let path = beside(&program)?;
    // SAFETY: it is our own library; its initialisers, and libtorch's, ask nothing of the program.
    let library = unsafe { Library::new(&path) }.with_context(|| {
        format!("{} does not load. After `make setup`, `cargo build` makes it anew", path.display())
    })?;
    // SAFETY: `quarry_main` below has this signature, in every build of this version.
    let entry: Symbol<extern "C" fn() -> u8> = unsafe { library.get(ENTRY) }
        .with_context(|| format!("{} is not Quarry's library. `cargo build` makes it anew", path.display()))?;
    let code = entry();
    // libtorch's threads may still run: the library stays loaded until the process ends.
    std::mem::forget(library);
    Ok(ExitCode::from(code))
}

/// The shared library that belongs to the program: cargo keeps the newest in `deps/`, an installation beside the program.
fn beside(program: &Path) -> anyhow::Result<PathBuf> {
    let name = library_filename("quarry");
    let folder = program.parent().unwrap_or(Path::new("."));
    let places = [folder.join("deps").join(&name), folder.join(&name)];
    places.iter().find(|place| place.is_file()).cloned().with_context(|| {
        format!("{} is missing: it belongs beside the program (`make install` puts both there) and holds all that needs libtorch", places[1].display())
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
