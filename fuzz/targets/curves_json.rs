//! A curve that a project keeps of another detector.
#![no_main]

use quarry::workflow::roc_import::imported_rocs;
use quarry_fuzz::{file, folder};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    file("curves/x.json", bytes);
    let _ = imported_rocs(folder());
});
