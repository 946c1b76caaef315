//! Measures the program's memory at most once per second, and only while frames are drawn.

use std::time::{Duration, Instant};

use crate::domain::resident_bytes;

const PAUSE: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Memory {
    measured: Option<Instant>,
    bytes: Option<u64>,
}

impl Memory {
    pub fn tick(&mut self) {
        if self.measured.is_none_or(|at| at.elapsed() >= PAUSE) {
            self.measured = Some(Instant::now());
            self.bytes = resident_bytes();
        }
    }

    /// Formats `412 MB`; `None` if unknown.
    pub fn text(&self) -> Option<String> {
        self.bytes.map(size_text)
    }
}

/// Formats `412 MB`, `2.3 GB`.
pub(super) fn size_text(bytes: u64) -> String {
    match bytes / 1_000_000 {
        mb @ 0..1000 => format!("{mb} MB"),
        mb => format!("{:.1} GB", mb as f64 / 1000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_short() {
        let text = |bytes| Memory { measured: None, bytes: Some(bytes) }.text().unwrap();
        assert_eq!((text(412_000_000), text(2_345_000_000)), ("412 MB".to_owned(), "2.3 GB".to_owned()));
    }
}
