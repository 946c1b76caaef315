//! The description beside a model of others.
#![no_main]

use quarry::models::ModelDescription;
use quarry_fuzz::file;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = ModelDescription::read(&file("model.toml", bytes));
});
