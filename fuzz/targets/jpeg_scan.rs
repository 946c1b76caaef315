//! Whether a JPEG is whole: its header and its scans, without pixels.
#![no_main]

use std::path::Path;

use quarry::dataset::{read_header, read_size, set_max_megapixels};
use quarry_fuzz::panics_are_caught;

libfuzzer_sys::fuzz_target!(init: panics_are_caught(), |bytes: &[u8]| {
    set_max_megapixels(1);
    if bytes.starts_with(&[0xFF, 0xD8]) {
        let _ = read_size(bytes, Path::new("x"));
        let _ = read_header(bytes, Path::new("x"));
    }
});
