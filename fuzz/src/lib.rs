//! Shared by the fuzz targets: a folder, in memory if possible, in which a reader finds the input as a file. A target calls the function
//! that Quarry calls for such a file; an error is a good result, a panic, a hang and more than a gigabyte are not.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use quarry::dataset::formats::{ReadOptions, format_named};
use quarry::domain::Cancel;

/// Separates the files of an input with several.
pub const SEPARATOR: &[u8] = b"\n=====\n";

/// Returns the folder of this process. Inputs are written to it one after the other.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = base.join(format!("quarry-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder for the inputs");
        folder.canonicalize().expect("a folder for the inputs")
    })
}

/// Writes `bytes` as the file `name` below the folder.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).expect("a folder for the inputs");
    }
    std::fs::write(&path, bytes).expect("an input that is written");
    path
}

/// Returns the files of an input: one more than it has separators.
pub fn parts(bytes: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(SEPARATOR.len()).position(|window| window == SEPARATOR) {
        parts.push(&rest[..at]);
        rest = &rest[at + SEPARATOR.len()..];
    }
    parts.push(rest);
    parts
}

/// Creates two images of 8 x 6 pixels at these paths, once.
pub fn images(names: &[&str]) {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        for (k, name) in names.iter().enumerate() {
            file(name, &image(k as u8));
        }
    });
}

/// A PPM of 8 x 6 pixels.
fn image(shade: u8) -> Vec<u8> {
    let mut bytes = b"P6 8 6 255\n".to_vec();
    bytes.extend([shade; 8 * 6 * 3]);
    bytes
}

/// Reads the dataset at `path` below the folder in the format with this name.
pub fn import(format: &str, path: &str) {
    let format = format_named(format).expect("a format of Quarry");
    for options in [ReadOptions::default(), ReadOptions { strict: true, ..ReadOptions::default() }] {
        let _ = format.read(&folder().join(path), &options, &mut |_| {}, &Cancel::new());
    }
}

/// Quarry answers a panicking decoder with an error. The fuzzer would stop at the panic itself; with this, only a panic that Quarry lets
/// through stops it.
pub fn panics_are_caught() {
    std::panic::set_hook(Box::new(|_| {}));
}
