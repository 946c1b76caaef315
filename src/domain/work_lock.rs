//! A lock file for work that only one process may do at a time. It records its holder: the work, process, host and start time.
//!
//! The operating system releases the lock when the process ends, for whatever reason. Where locks are unreliable (network file systems,
//! file systems without locks) the file's content counts too: a holder on this host that no longer runs is ignored, one on another host has
//! to be removed by hand.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::file_system::network_file_system;
use super::input::{open_regular, open_regular_with};

/// Why the lock could not be acquired.
#[derive(Debug, Error)]
pub enum LockError {
    #[error("this project is in use: {holder} (lock file {}); {advice}", path.display())]
    Held { path: PathBuf, holder: String, advice: &'static str },
    // `cause`, not `source`: the message already includes it.
    #[error("{}: {doing}: {cause}{}", path.display(), in_project(cause))]
    Io { path: PathBuf, doing: &'static str, cause: io::Error },
}

/// What to do about a project that cannot be written to, as a sentence to append.
pub const WRITE_ACCESS: &str =
    ". Give this user write access to the project's folder, or copy the project to a writable folder";

/// Returns what to do about an error of the system in a project's own folder, as a sentence to append.
pub fn in_project(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => WRITE_ACCESS,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ". Free some space and try again",
        _ => "",
    }
}

const WAIT: &str = "wait for it or stop it";
const RELEASE_ADVICE: &str = "wait for it; if that computer no longer runs it, remove the lock file";

/// The holder of a lock, as recorded in the lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockHolder {
    /// `training`, `import`.
    pub what: String,
    pub process: u32,
    pub host: String,
    /// Milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Distinguishes this process from a later one with the same id; empty if unknown.
    #[serde(default)]
    pub started: String,
}

/// A held lock, released on drop.
#[derive(Debug)]
pub struct WorkLock {
    file: File,
    /// Another lock of this process holds the file; this one shares it.
    is_shared: bool,
}

impl WorkLock {
    /// Acquires the lock file at `path`, which is created if missing; the error names the holder. `what` describes the work in a word or
    /// two.
    pub fn take(path: &Path, what: &str) -> Result<Self, LockError> {
        Self::take_for(path, &LockHolder::this(what), network_file_system(path).is_some())
    }

    /// Whether the lock file at `path` names a holder that may still run. Takes no lock, so that no other process finds it held.
    pub fn is_held(path: &Path) -> bool {
        let me = LockHolder::this("");
        holder_in(path).is_some_and(|holder| !matches!(holder.state(&me), HolderState::Gone))
    }

    /// Like [`WorkLock::take`], but succeeds if this process already holds the lock.
    pub fn take_or_share(path: &Path, what: &str) -> Result<Self, LockError> {
        let me = LockHolder::this(what);
        match Self::take(path, what) {
            Err(LockError::Held { .. }) if holder_in(path).is_some_and(|holder| holder.is_same_process(&me)) => {
                let file = open_file(OpenOptions::new().read(true), path)?;
                Ok(Self { file, is_shared: true })
            }
            taken => taken,
        }
    }

    fn take_for(path: &Path, me: &LockHolder, on_network: bool) -> Result<Self, LockError> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = open_file(options, path)?;
        let mut text = String::new();
        // Content that is not UTF-8 names no holder.
        let _ = (&mut file).take(HOLDER_BYTES).read_to_string(&mut text);
        let holder = parse(&text);
        let held = |advice| {
            let named = holder.as_ref().map(LockHolder::to_string);
            let unnamed = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
            let holder = named.or(unnamed).unwrap_or_else(|| "a process that just started".to_owned());
            LockError::Held { path: path.to_owned(), holder, advice }
        };
        let content_counts = match file.try_lock() {
            Ok(()) => on_network,
            Err(TryLockError::WouldBlock) => return Err(held(WAIT)),
            Err(TryLockError::Error(cause)) if is_unsupported(&cause) => true,
            Err(TryLockError::Error(cause)) => return Err(at(path, "locking")(cause)),
        };
        if content_counts && let Some(holder) = &holder {
            match holder.state(me) {
                HolderState::Gone => {}
                HolderState::Runs => return Err(held(WAIT)),
                HolderState::Elsewhere => return Err(held(RELEASE_ADVICE)),
            }
        }
        // One line for humans and one for programs.
        let text = format!("{me}\n{}\n", serde_json::to_string(me).unwrap_or_default());
        write_content(&mut file, &text).map_err(at(path, "writing the lock file"))?;
        Ok(Self { file, is_shared: false })
    }
}

impl Drop for WorkLock {
    fn drop(&mut self) {
        if !self.is_shared {
            // Truncating the file is just cleaner.
            let _ = self.file.set_len(0);
            // Closing the file would not release the lock while a process that was just forked still has a copy of the descriptor.
            let _ = self.file.unlock();
        }
    }
}

/// Far longer than any holder's line.
const HOLDER_BYTES: u64 = 4096;

enum HolderState {
    /// On this host; no longer running.
    Gone,
    Runs,
    /// On another host: whether it still runs is unknown.
    Elsewhere,
}

impl LockHolder {
    fn this(what: &str) -> Self {
        let since_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as u64);
        let process = std::process::id();
        Self { what: what.to_owned(), process, host: host_name(), since_ms, started: start_of(process) }
    }

    fn is_same_process(&self, other: &Self) -> bool {
        (self.process, &self.host, &self.started) == (other.process, &other.host, &other.started)
    }

    fn state(&self, me: &Self) -> HolderState {
        if self.host != me.host {
            HolderState::Elsewhere
        } else if is_running(self.process) && (self.started.is_empty() || self.started == start_of(self.process)) {
            HolderState::Runs
        } else {
            HolderState::Gone
        }
    }
}

impl fmt::Display for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, process, host, since_ms, .. } = self;
        write!(f, "process {process} on host {host}, {what}, since {}", utc(*since_ms))
    }
}

/// Opens the lock file like every external file: anything but a regular file (a FIFO, a device) is refused without blocking.
fn open_file(options: &mut OpenOptions, path: &Path) -> Result<File, LockError> {
    open_regular_with(options, path)
        .map(|(file, _)| file)
        .map_err(|error| at(path, "opening the lock file")(error.into()))
}

fn holder_in(path: &Path) -> Option<LockHolder> {
    let mut text = String::new();
    let (file, _) = open_regular(path).ok()?;
    file.take(HOLDER_BYTES).read_to_string(&mut text).ok()?;
    parse(&text)
}

fn parse(text: &str) -> Option<LockHolder> {
    text.lines().find_map(|line| serde_json::from_str(line).ok())
}

fn write_content(file: &mut File, text: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn at(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> LockError {
    let path = path.to_owned();
    move |cause| LockError::Io { path, doing, cause }
}

/// Whether the file system does not support locks.
fn is_unsupported(error: &io::Error) -> bool {
    #[cfg(unix)]
    if error.raw_os_error().is_some_and(|code| [libc::ENOLCK, libc::ENOSYS, libc::EOPNOTSUPP].contains(&code)) {
        return true;
    }
    error.kind() == io::ErrorKind::Unsupported
}

#[cfg_attr(unix, expect(unsafe_code, reason = "the standard library does not tell the host's name"))]
fn host_name() -> String {
    #[cfg(unix)]
    {
        let mut buffer = [0_u8; 256];
        // SAFETY: the passed length is the buffer's length, and the buffer outlives the call.
        let failed = unsafe { libc::gethostname(buffer.as_mut_ptr().cast(), buffer.len() - 1) } != 0;
        let name = buffer.split(|&byte| byte == 0).next().unwrap_or_default();
        if !failed && !name.is_empty() {
            return String::from_utf8_lossy(name).into_owned();
        }
    }
    std::env::var("COMPUTERNAME").unwrap_or_else(|_| "unknown".to_owned())
}

#[cfg_attr(unix, expect(unsafe_code, reason = "the standard library does not tell whether another process runs"))]
fn is_running(process: u32) -> bool {
    #[cfg(unix)]
    {
        let Ok(process) = libc::pid_t::try_from(process) else { return false };
        // SAFETY: signal 0 is never sent; the call only checks whether the process exists.
        let found = unsafe { libc::kill(process, 0) } == 0;
        found || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
    }
    #[cfg(not(unix))]
    {
        let _ = process;
        true
    }
}

/// Returns the process start time in clock ticks since boot: field 22 of `/proc/<pid>/stat`.
#[expect(clippy::disallowed_methods, reason = "a short system file")]
fn start_of(process: u32) -> String {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The second field is a name in parentheses and may contain spaces.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().nth(19).unwrap_or_default();
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    if ticks.is_empty() { String::new() } else { format!("{} {ticks}", boot.trim()) }
}

/// Formats `2026-11-26 18:04:05 UTC`. Days to civil dates as in Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms".
pub(super) fn utc(ms: u64) -> String {
    let seconds = ms / 1000;
    let days = (seconds / 86_400) as i64 + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(host: &str, process: u32) -> LockHolder {
        LockHolder { host: host.to_owned(), process, started: String::new(), ..LockHolder::this("training") }
    }

    #[test]
    fn a_lock_file_that_cannot_be_written_says_what_to_do() {
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem] {
            let error = at(Path::new("p/runs/training.lock"), "opening the lock file")(kind.into()).to_string();
            assert!(
                error.starts_with("p/runs/training.lock: opening") && error.contains("write access to the project"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_second_taker_is_told_who_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = WorkLock::take(&path, "import").unwrap();
        let message = WorkLock::take(&path, "training").unwrap_err().to_string();
        let process = format!("process {} on host {}, import, since 20", std::process::id(), host_name());
        assert!(message.contains(&process) && message.contains(" UTC"), "{message}");
        drop(WorkLock::take_or_share(&path, "migration").unwrap());
        assert!(WorkLock::take(&path, "training").is_err(), "sharing it did not free it");
        drop(first);
        WorkLock::take(&path, "training").unwrap();
    }

    #[test]
    fn a_left_file_is_no_lock_on_a_local_disk() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        for left in [serde_json::to_string(&other("elsewhere", 7)).unwrap(), "process 1, at work in /gone".to_owned()] {
            std::fs::write(&path, left).unwrap();
            WorkLock::take_for(&path, &LockHolder::this("training"), false).unwrap();
        }
    }

    #[test]
    fn on_a_network_a_holder_elsewhere_counts_and_one_that_ended_here_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let take = || WorkLock::take_for(&path, &LockHolder::this("training"), true);
        let leave = |holder: &LockHolder| std::fs::write(&path, serde_json::to_string(holder).unwrap()).unwrap();
        leave(&other("elsewhere", 7));
        let message = take().unwrap_err().to_string();
        assert!(message.contains("on host elsewhere") && message.contains("remove the lock file"), "{message}");
        leave(&other(&host_name(), std::process::id()));
        assert!(take().is_err());
        // Above the largest process id of Linux.
        leave(&other(&host_name(), 0x7fff_fff0));
        take().unwrap();
        leave(&LockHolder { started: "another boot 1".to_owned(), ..other(&host_name(), std::process::id()) });
        take().unwrap();
        take().unwrap();
    }

    #[test]
    fn a_lock_is_released_though_a_forked_process_has_a_copy_of_its_descriptor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let lock = WorkLock::take(&path, "training").unwrap();
        let copy = lock.file.try_clone().unwrap();
        assert!(WorkLock::take(&path, "training").is_err());
        drop(lock);
        drop(WorkLock::take(&path, "training").unwrap());
        drop(copy);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_regular_file_is_no_lock_and_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let check = |path: &Path, expected: &str| {
            for error in
                [WorkLock::take(path, "import"), WorkLock::take_or_share(path, "import")].map(Result::unwrap_err)
            {
                assert!(error.to_string().contains(expected), "{error}");
            }
        };
        check(dir.path(), "folder");
        let fifo = dir.path().join("training.lock");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        check(&fifo, "FIFO");
        check(Path::new("/dev/zero"), "device");
    }

    #[test]
    fn times_are_told_in_utc() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_795_716_245_000), "2026-11-26 18:04:05 UTC");
    }
}
