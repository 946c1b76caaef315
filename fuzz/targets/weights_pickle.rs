//! The pickle within a PyTorch file: a sound archive with a storage of 64 bytes around it.
#![no_main]

use std::io::{Cursor, Write};
use std::path::Path;

use quarry::detector::weights;
use zip::write::{SimpleFileOptions, ZipWriter};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, content) in [("a/data.pkl", bytes), ("a/data/0", &[0; 64]), ("a/version", b"3\n")] {
        archive.start_file(name, stored).expect("an archive in memory");
        archive.write_all(content).expect("an archive in memory");
    }
    let file = archive.finish().expect("an archive in memory").into_inner();
    let _ = weights::read_bytes(Path::new("x"), &file);
});
