//! What tests of several areas share. Must not know any area.

use std::path::PathBuf;

/// The folder `shared` with photographs and golden files: from `QUARRY_SHARED`, or beside the repository. `None`, said loudly, where it
/// is missing.
pub fn shared_dir() -> Option<PathBuf> {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("QUARRY_SHARED").map_or_else(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: this test needs ../shared, and ../shared is missing ({})", folder.display());
    None
}
