//! `project.toml`.
#![no_main]

use quarry::workflow::Project;
use quarry_fuzz::{file, folder};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    file("quarry.db", b"");
    file("project.toml", bytes);
    if let Ok(project) = Project::open(folder()) {
        let _ = project.name();
    }
});
