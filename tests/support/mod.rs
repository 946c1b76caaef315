//! Shared by tests of several areas.

use std::path::PathBuf;

/// Returns the folder `shared` with images and golden files: from `QUARRY_SHARED`, or next to the repository. `None` with a loud message if
/// it is missing.
pub fn shared_dir() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("QUARRY_SHARED").map_or_else(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    // A test's thread has its name: the message says what was not tested.
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    eprintln!("SKIPPED: {test} needs the reference data in ../shared, which is missing ({})", folder.display());
    None
}
