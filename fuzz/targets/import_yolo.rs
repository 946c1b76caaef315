//! YOLO: `data.yaml`, the labels of an image, a list of images, with separators between.
#![no_main]

use quarry_fuzz::{file, images, import, parts};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    images(&["images/a.ppm", "images/b.ppm"]);
    let parts = parts(bytes);
    file("data.yaml", parts[0]);
    file("labels/a.txt", parts.get(1).copied().unwrap_or_default());
    file("list.txt", parts.get(2).copied().unwrap_or_default());
    import("yolo", "data.yaml");
});
