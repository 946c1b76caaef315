//! A file of an unknown format: recognised by its name and content, then read. The first byte picks the name.
#![no_main]

use quarry::dataset::formats::{ReadOptions, read_auto};
use quarry::domain::Cancel;
use quarry_fuzz::{file, images};

const NAMES: [&str; 4] = ["x.json", "x.xml", "x.txt", "x.yaml"];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    images(&["a.ppm", "images/b.ppm"]);
    let Some((first, rest)) = bytes.split_first() else { return };
    let path = file(NAMES[*first as usize % NAMES.len()], rest);
    let _ = read_auto(&path, &ReadOptions::default(), &mut |_| {}, &Cancel::new());
});
