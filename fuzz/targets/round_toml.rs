//! `round.toml`, and what a project keeps of it. What is read is written as text that reads back the same.
#![no_main]

use quarry::training::RoundConfig;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = RoundConfig::from_stored(text, "fuzz");
    if let Ok(config) = RoundConfig::from_toml(text, "fuzz") {
        let written = config.to_toml();
        let again = RoundConfig::from_toml(&written, "fuzz").expect("settings that were written");
        assert_eq!(again.to_toml(), written);
    }
});
