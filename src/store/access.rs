//! Read-only connections, which also work where nothing can be written: a read-only folder or file system, a full disk.
//!
//! SQLite reads a WAL database through a shared memory file next to it, which has to be created. If that fails and no other program has the
//! database open, it is read without: as immutable if there is no WAL, otherwise with the WAL index in this process's memory. An incomplete
//! commit of a killed process is rolled back in a copy.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use super::StoreError;
use super::companions::{companion, wal_of};
use super::header::Header;
use super::held_file::HeldFile;

/// Maximum time that a call waits for another writer.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Minimum size of shared memory in use; a shorter file was left by an attempt that failed for lack of space. Source: SQLite's
/// `WALINDEX_PGSZ`.
const SHARED_MEMORY_BYTES: u64 = 32 << 10;

/// The intended lifetime of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// A single read: avoids creating files next to the database.
    Once,
    /// Follows the commits of other connections.
    Lasting,
}

/// Opens `path`, whose header was checked, read-only.
pub(super) fn read_only(path: &Path, header: Header, reading: Reading) -> Result<Connection, StoreError> {
    let has_log = std::fs::metadata(wal_of(path)).is_ok_and(|m| m.len() > 0);
    let is_open_elsewhere = std::fs::metadata(companion(path, "-shm")).is_ok_and(|m| m.len() >= SHARED_MEMORY_BYTES);
    if reading == Reading::Once && header.is_wal && !wal_of(path).exists() {
        return immutable(path);
    }
    let failed = match plain(path) {
        Ok(connection) => return Ok(connection),
        Err(failed) => failed,
    };
    if failed.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_READONLY_ROLLBACK) {
        return without_half_a_commit(path, reading, failed);
    }
    let is_about_writing = matches!(
        failed.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure | ErrorCode::DiskFull)
    );
    if !is_about_writing || is_open_elsewhere {
        return Err(StoreError::from(failed).at(path));
    }
    if has_log { with_private_log_index(path, failed) } else { immutable(path) }
}

/// Waits until another connection has finished writing. SQLite's own backoff grows to a tenth of a second: during mining, which writes all
/// the time, a verdict would be delayed repeatedly.
pub(super) fn wait_for_others(looks: i32) -> bool {
    let now = Instant::now();
    let since = SINCE.with(|since| {
        if looks == 0 {
            since.set(now);
        }
        since.get()
    });
    if now.duration_since(since) >= BUSY_TIMEOUT {
        return false;
    }
    std::thread::sleep(if looks < OFTEN { Duration::from_millis(1) } else { SELDOM });
    true
}

thread_local! {
    /// When this thread started to wait: sleeps take longer than requested.
    static SINCE: Cell<Instant> = Cell::new(Instant::now());
}

/// This many polls are one millisecond apart.
const OFTEN: i32 = 200;
const SELDOM: Duration = Duration::from_millis(5);

/// Settings of every connection: code in a file from elsewhere is never executed, and pages are checked more strictly.
pub(super) fn harden(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "cell_size_check", true)
}

fn plain(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    probe(&connection)?;
    Ok(connection)
}

/// Opens another connection to the same file; `None` if it has no file or cannot be opened twice.
pub(super) fn second_reader(c: &Connection) -> Option<Connection> {
    let path = c.path().filter(|path| !path.is_empty())?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).ok()?;
    harden(&opened).ok()?;
    // Where nothing can be written, only the first connection can read.
    opened.pragma_query_value(None, "user_version", |r| r.get::<_, i64>(0)).is_ok().then_some(opened)
}

/// Minimum id count for reading candidates with two connections: fewer are read as fast as a thread starts.
pub(super) const HALVED_FROM: i64 = 50_000;

/// Returns what `read` finds among all candidates, by id ranges (both ends inclusive). From `halved_from` ids on, a second connection reads
/// the upper half in parallel; if it fails, the first one reads everything.
pub(super) fn read_candidates<T: Send>(
    c: &Connection,
    halved_from: i64,
    read: impl Fn(&Connection, (i64, i64)) -> Result<Vec<T>, StoreError> + Sync,
) -> Result<Vec<T>, StoreError> {
    let sql = "SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM candidates";
    let (first, last): (i64, i64) = c.query_row(sql, [], |r| Ok((r.get(0)?, r.get(1)?)))?;
    let middle = first + (last - first) / 2;
    let second = (halved_from <= last - first).then(|| second_reader(c)).flatten();
    let Some(second) = second else { return read(c, (first, last)) };
    let read = &read;
    let (lower, upper) = std::thread::scope(|scope| {
        let upper = scope.spawn(move || read(&second, (middle + 1, last)));
        let lower = read(c, (first, middle));
        (lower, upper.join().ok().and_then(Result::ok))
    });
    let mut found = lower?;
    match upper {
        Some(upper) => found.extend(upper),
        None => found.extend(read(c, (middle + 1, last))?),
    }
    Ok(found)
}

/// Reads only the header, the way SQLite does: damage elsewhere does not matter yet.
fn probe(connection: &Connection) -> rusqlite::Result<()> {
    harden(connection)?;
    connection.pragma_query_value(None, "user_version", |r| r.get::<_, i64>(0)).map(|_| ())
}

/// Handles a commit left incomplete by a killed process, with the original pages in a journal: a read-only connection cannot roll it back.
/// Reads a copy instead; for a lasting connection, the copy only proves that the rollback works before it is done.
fn without_half_a_commit(path: &Path, reading: Reading, failed: rusqlite::Error) -> Result<Connection, StoreError> {
    let failed = |_| StoreError::from(failed).at(path);
    let (copy, folder) = copied_with_journal(path).map_err(|cause| StoreError::Io { path: path.to_owned(), cause })?;
    let writing = |path: &Path| {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        probe(&connection).map(|()| connection)
    };
    let copied = writing(&copy).map_err(failed)?;
    // Another program may have rolled it back in the meantime.
    if let Ok(connection) = plain(path) {
        return Ok(connection);
    }
    if reading == Reading::Lasting
        && let Ok(connection) = writing(path).map(drop).and_then(|()| plain(path))
    {
        return Ok(connection);
    }
    // The connection keeps the file open; on Unix its name is no longer needed.
    if cfg!(unix) {
        drop(folder);
    } else {
        drop(folder.keep());
    }
    Ok(copied)
}

/// Copies the database with its journal into a temporary folder.
fn copied_with_journal(path: &Path) -> std::io::Result<(PathBuf, tempfile::TempDir)> {
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("copy.db");
    HeldFile::open(path, 0).map_err(std::io::Error::other)?.0.copy(path, &copy)?;
    std::fs::copy(companion(path, "-journal"), companion(&copy, "-journal"))?;
    Ok((copy, folder))
}

/// Assumes that the file does not change: takes no locks and creates no files next to it.
fn immutable(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let opened = Connection::open_with_flags(uri(path, "immutable=1"), flags);
    let connection = opened.and_then(|connection| probe(&connection).map(|()| connection));
    connection.map_err(|e| StoreError::from(e).at(path))
}

/// Also reads the WAL, with its index in this process's memory (SQLite's "WAL without shared memory").
#[cfg(unix)]
fn with_private_log_index(path: &Path, failed: rusqlite::Error) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        // This VFS takes no locks, which a read-only file does not allow.
        let connection = Connection::open_with_flags_and_vfs(path, flags, c"unix-none")?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        probe(&connection)?;
        Ok(connection)
    };
    // The first failure is more informative.
    open().map_err(|_| StoreError::from(failed).at(path))
}

#[cfg(not(unix))]
fn with_private_log_index(path: &Path, failed: rusqlite::Error) -> Result<Connection, StoreError> {
    Err(StoreError::from(failed).at(path))
}

/// Returns a `file:` URI with special characters escaped.
fn uri(path: &Path, query: &str) -> PathBuf {
    #[cfg(unix)]
    let bytes = {
        use std::os::unix::ffi::OsStrExt as _;
        path.as_os_str().as_bytes().to_vec()
    };
    #[cfg(not(unix))]
    let bytes = path.to_string_lossy().replace('\\', "/").into_bytes();
    let mut text = b"file:".to_vec();
    for byte in bytes {
        match byte {
            b'%' | b'?' | b'#' => text.extend(format!("%{byte:02x}").bytes()),
            other => text.push(other),
        }
    }
    text.push(b'?');
    text.extend(query.bytes());
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt as _;
        std::ffi::OsString::from_vec(text).into()
    }
    #[cfg(not(unix))]
    String::from_utf8_lossy(&text).into_owned().into()
}
