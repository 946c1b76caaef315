//! A PyTorch file, as the zip archive that it is.
#![no_main]

use std::path::Path;

use quarry::detector::weights::{self, Format};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if Format::of(bytes) == Some(Format::TorchZip) {
        let _ = weights::read_bytes(Path::new("x"), bytes);
    }
});
