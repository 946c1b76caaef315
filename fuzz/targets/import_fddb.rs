//! FDDB's ellipse list, and a list of names behind the separator.
#![no_main]

use quarry_fuzz::{file, images, import, parts};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    images(&["originalPics/a/1.ppm", "originalPics/a/2.ppm"]);
    let parts = parts(bytes);
    file("FDDB-folds/FDDB-fold-01-ellipseList.txt", parts[0]);
    file("FDDB-folds/FDDB-fold-01.txt", parts.get(1).copied().unwrap_or(b"a/1\na/2\n"));
    import("fddb", "");
});
