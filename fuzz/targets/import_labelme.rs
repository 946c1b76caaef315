//! labelme's file beside an image.
#![no_main]

use quarry_fuzz::{file, images, import};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    images(&["a.ppm", "b.ppm"]);
    file("a.json", bytes);
    import("labelme", "");
});
