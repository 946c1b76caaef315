//! A safetensors file, and the metadata of its header.
#![no_main]

use std::path::Path;

use quarry::detector::weights::{self, Format};
use quarry_fuzz::file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if Format::of(bytes) == Some(Format::Safetensors) {
        let _ = weights::read_bytes(Path::new("x"), bytes);
    }
    let _ = weights::metadata(&file("x.safetensors", bytes));
});
