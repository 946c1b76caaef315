//! Label Studio's list of tasks.
#![no_main]

use quarry_fuzz::{file, images, import};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    images(&["a.ppm", "b.ppm"]);
    file("tasks.json", bytes);
    import("label-studio", "tasks.json");
});
