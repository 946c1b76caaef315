//! `keys.toml`.
#![no_main]

use std::path::Path;

use quarry::app::keymap::Keymap;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = Keymap::parse(text, Path::new("keys.toml"));
});
