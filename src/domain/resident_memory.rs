//! How much memory the program holds, as the system tells it. Linux only; `None` elsewhere.

/// Bytes that this process holds in memory.
#[expect(clippy::disallowed_methods, reason = "a file of the kernel, not one from outside")]
pub fn resident_bytes() -> Option<u64> {
    resident_in(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn resident_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_systems_words() {
        assert_eq!(resident_in("Name:\tquarry\nVmHWM:\t  900 kB\nVmRSS:\t  612 kB\nThreads:\t3\n"), Some(612 * 1024));
        assert_eq!(resident_in("Name:\tquarry\n"), None);
        if cfg!(target_os = "linux") {
            assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
        }
    }
}
