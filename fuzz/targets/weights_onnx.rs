//! An ONNX model's initialisers.
#![no_main]

use std::path::Path;

use quarry::detector::weights::{self, Format};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if Format::of(bytes) == Some(Format::Onnx) {
        let _ = weights::read_bytes(Path::new("x"), bytes);
    }
});
