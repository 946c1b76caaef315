//! WIDER FACE's list.
#![no_main]

use quarry_fuzz::{file, images, import};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    images(&["WIDER_train/images/a.ppm", "WIDER_train/images/b.ppm"]);
    file("wider_face_split/wider_face_train_bbx_gt.txt", bytes);
    import("wider", "");
});
