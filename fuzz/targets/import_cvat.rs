//! CVAT's XML for images.
#![no_main]

use quarry_fuzz::{file, images, import};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    images(&["a.ppm", "b.ppm"]);
    file("annotations.xml", bytes);
    import("cvat", "annotations.xml");
});
