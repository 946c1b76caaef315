//! The user's data folder, which `quarry setup` fills.

use std::path::PathBuf;

/// Returns `$XDG_DATA_HOME/quarry`, by default `~/.local/share/quarry`. It contains `libtorch/`, `onnxruntime/` and `models/`. `None`
/// without a home folder.
pub fn data_folder() -> Option<PathBuf> {
    let from = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = from("XDG_DATA_HOME")
        .or_else(|| from("LOCALAPPDATA"))
        .or_else(|| from("HOME").map(|home| home.join(".local").join("share")))?;
    Some(base.join("quarry"))
}
