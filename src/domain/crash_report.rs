//! Crash reports, written to the user's state folder and offered at the next start. They contain the version, the backtrace and the last
//! lines of the log; these may contain paths, but no contents of images, annotations or projects.

use std::backtrace::Backtrace;
use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use super::work_lock::utc;
use super::write_whole;

/// Lines of the log kept in memory for a report.
const LOG_LINES: usize = 60;
/// Longer lines are truncated.
const LINE_CHARS: usize = 500;
/// Number of reports kept.
const REPORTS: usize = 10;

/// File name prefix of new reports; reports that the user has seen are prefixed with [`SEEN`].
const NEW: &str = "crash-";
const SEEN: &str = "seen-";

static LOG: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());
/// Number of reports that this process started to write.
static WRITTEN: AtomicU32 = AtomicU32::new(0);
static SET_UP: OnceLock<SetUp> = OnceLock::new();

#[derive(Debug)]
struct SetUp {
    folder: Option<PathBuf>,
    program: String,
}

/// The data of one panic for the report.
#[derive(Debug)]
pub(super) struct Crash {
    pub message: String,
    place: Option<String>,
    thread: String,
    time: SystemTime,
    backtrace: Backtrace,
}

impl Crash {
    pub fn now(message: String, place: Option<String>) -> Self {
        let thread = std::thread::current().name().unwrap_or("without a name").to_owned();
        // Symbol names are resolved only when the report is read.
        Self { message, place, thread, time: SystemTime::now(), backtrace: Backtrace::force_capture() }
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place.as_deref().unwrap_or("an unknown location");
        write!(f, "thread '{}' panicked at {place}: {}\n{}", self.thread, self.message, self.backtrace)
    }
}

/// Returns the user's crash report folder: `$XDG_STATE_HOME/quarry/crashes`, by default below `~/.local/state`.
pub fn crash_folder() -> Option<PathBuf> {
    let from = |variable: &str| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = from("XDG_STATE_HOME")
        .or_else(|| from("LOCALAPPDATA"))
        .or_else(|| from("HOME").map(|home| home.join(".local").join("state")))?;
    Some(base.join("quarry").join("crashes"))
}

pub(super) fn set_up(folder: Option<&Path>, program: &str) {
    // Only the first call in a process takes effect.
    let _ = SET_UP.set(SetUp { folder: folder.map(Path::to_owned), program: program.to_owned() });
}

/// Keeps recent log lines for a crash report.
pub fn remember_log(text: &str) {
    // A panic inside the logger must not deadlock on this lock.
    let Ok(mut log) = LOG.try_lock() else { return };
    for line in text.lines() {
        if log.len() >= LOG_LINES {
            log.pop_front();
        }
        log.push_back(without_escapes(line).chars().take(LINE_CHARS).collect());
    }
}

/// Strips colour escapes from a log line.
fn without_escapes(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or("").to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

/// Writes the report and returns its path, or `None` if that failed.
pub(super) fn write(crash: &Crash) -> Option<PathBuf> {
    let SetUp { folder, program } = SET_UP.get()?;
    let folder = folder.as_deref()?;
    fs::create_dir_all(folder).ok()?;
    let millis = crash.time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    // Several threads may panic within the same millisecond.
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("{NEW}{millis:013}-{}-{number:04}.txt", std::process::id()));
    write_whole(&path, text(crash, program).as_bytes()).ok()?;
    remove_oldest(folder);
    Some(path)
}

fn text(crash: &Crash, program: &str) -> String {
    let millis = crash.time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
    let lines = LOG.try_lock().map(|log| log.iter().cloned().collect::<Vec<_>>().join("\n")).unwrap_or_default();
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    format!(
        "Quarry {} crash report\n\
         Please send it and say what you did before. It contains no images, annotations or verdicts, but may contain paths.\n\n\
         program  {program}\nsystem   {os} {arch}\ntime     {}\n\n{crash}\n\nLast lines of the log:\n{lines}\n",
        env!("CARGO_PKG_VERSION"),
        utc(millis),
    )
}

/// Returns the reports in `folder` that the user has not seen yet, newest first.
pub fn new_crash_reports(folder: &Path) -> Vec<PathBuf> {
    let mut found = reports(folder);
    found.retain(|path| name_of(path).starts_with(NEW));
    found.reverse();
    found
}

/// Marks reports as seen: they are kept but not offered again.
pub fn mark_seen(reports: &[PathBuf]) {
    for report in reports {
        let seen = report.with_file_name(format!("{SEEN}{}", name_of(report)));
        // A report that cannot be renamed is offered again.
        let _ = fs::rename(report, seen);
    }
}

/// Lists all reports, oldest first.
fn reports(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.retain(|path| [NEW, SEEN].iter().any(|start| name_of(path).starts_with(start)));
    found.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    found.sort_by_key(|path| name_of(path).trim_start_matches(SEEN).to_owned());
    found
}

fn remove_oldest(folder: &Path) {
    let found = reports(folder);
    for path in found.iter().take(found.len().saturating_sub(REPORTS)) {
        let _ = fs::remove_file(path);
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_of_one_millisecond_have_a_report_each() {
        let dir = tempfile::tempdir().unwrap();
        set_up(Some(dir.path()), "test");
        let Some(SetUp { folder: Some(folder), .. }) = SET_UP.get() else { panic!("no folder for reports") };
        let first = Crash::now("one".to_owned(), None);
        let second = Crash { time: first.time, ..Crash::now("another".to_owned(), None) };
        let paths = [&first, &second].map(|crash| write(crash).unwrap());
        assert!(paths[0] < paths[1] && paths.iter().all(|path| path.exists()), "{paths:?} in {folder:?}");
    }

    #[test]
    fn reports_are_offered_once_and_kept_to_a_number() {
        let dir = tempfile::tempdir().unwrap();
        for k in 0..14 {
            fs::write(dir.path().join(format!("crash-{k:013}-1.txt")), "").unwrap();
        }
        fs::write(dir.path().join("notes.txt"), "").unwrap();
        let new = new_crash_reports(dir.path());
        assert_eq!((new.len(), name_of(&new[0])), (14, "crash-0000000000013-1.txt".to_owned()));
        mark_seen(&new[..12]);
        assert_eq!(new_crash_reports(dir.path()), new[12..]);
        remove_oldest(dir.path());
        // The oldest reports are removed, seen or not; other files stay.
        assert!(new_crash_reports(dir.path()).is_empty());
        assert_eq!(reports(dir.path()).len(), REPORTS);
        assert!(dir.path().join("notes.txt").exists());
        assert!(new_crash_reports(&dir.path().join("absent")).is_empty());
    }
}
