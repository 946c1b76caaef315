//! What the fuzz targets share: a folder, in memory where there is one, in which a reader finds the input as a file. A target calls the
//! function that Quarry calls for such a file; an error is a good answer, a panic, a hang and more than a gigabyte are not.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use quarry::dataset::formats::{ReadOptions, format_named};
use quarry::domain::Cancel;

/// Between the files of an input that is several.
pub const SEPARATOR: &[u8] = b"\n=====\n";

/// The folder of this process. One input after the other is written to it.
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

/// The files of an input, as many as there are separators in it and one more.
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

/// Two images of 8 x 6 pixels at these places, once.
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

/// Reads the dataset at `path` below the folder in the format of this name.
pub fn import(format: &str, path: &str) {
    let format = format_named(format).expect("a format of Quarry");
    for options in [ReadOptions::default(), ReadOptions { strict: true, ..ReadOptions::default() }] {
        let _ = format.read(&folder().join(path), &options, &mut |_| {}, &Cancel::new());
    }
}

/// Decoders that panic are answered by Quarry with an error. The fuzzer would end at the panic itself; so only one that Quarry lets pass
/// ends it.
pub fn panics_are_caught() {
    std::panic::set_hook(Box::new(|_| {}));
}
