//! COCO's instances file.
#![no_main]

use quarry_fuzz::{file, images, import};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    images(&["a.ppm", "b.ppm"]);
    file("instances.json", bytes);
    import("coco", "instances.json");
});
