//! Reads the program's memory use from the operating system.

/// Returns the resident set size of this process in bytes; `None` if unknown.
pub fn resident_bytes() -> Option<u64> {
    memory_stats::memory_stats().map(|stats| stats.physical_mem as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
