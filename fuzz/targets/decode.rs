//! An image of any format, decoded whole; at most a megapixel, for speed.
#![no_main]

use std::path::Path;

use quarry::dataset::{decode_rgb_bytes, read_header, set_max_megapixels};
use quarry_fuzz::panics_are_caught;

libfuzzer_sys::fuzz_target!(init: panics_are_caught(), |bytes: &[u8]| {
    set_max_megapixels(1);
    let header = read_header(bytes, Path::new("x"));
    if let Ok(image) = decode_rgb_bytes(bytes, Path::new("x")) {
        let header = header.expect("an image that can be decoded has a header");
        assert_eq!((image.width(), image.height()), (header.width, header.height));
    }
});
