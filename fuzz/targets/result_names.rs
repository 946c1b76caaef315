//! COCO's ground truth, where it only gives names of images and categories to a result list.
#![no_main]

use quarry::dataset::results::read_ground_truth_names;
use quarry_fuzz::file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = read_ground_truth_names(&file("truth.json", bytes));
});
