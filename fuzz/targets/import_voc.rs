//! Pascal VOC's XML of an image, and a list of a set behind the separator.
#![no_main]

use quarry_fuzz::{file, images, import, parts};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    images(&["JPEGImages/a.ppm", "JPEGImages/b.ppm"]);
    let parts = parts(bytes);
    file("Annotations/a.xml", parts[0]);
    file("ImageSets/Main/train.txt", parts.get(1).copied().unwrap_or(b"a\n"));
    import("voc", "");
});
