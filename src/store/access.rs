//! Connections that only read, also where nothing can be written: a read-only folder or file system, a full disk.
//!
//! SQLite reads a database with a write-ahead log through shared memory beside it, which has to be made. Where that fails and no other
//! program has the database open, it is read without: immutable where there is no log, else with the log's index in this process's memory.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::StoreError;
use super::header::{Header, beside, wal_of};

/// How long a call waits for another program that writes.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// For how long a connection is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// For one look: nothing is made beside the database where that can be helped.
    Once,
    /// Follows what other connections commit.
    Lasting,
}

/// Opens `path`, whose header was looked at, for reading alone.
pub(super) fn read_only(path: &Path, header: Header, reading: Reading) -> Result<Connection, StoreError> {
    let has_log = std::fs::metadata(wal_of(path)).is_ok_and(|m| m.len() > 0);
    // Programs that have the database open hold shared memory; a file without bytes was left by a try that failed.
    let is_open_elsewhere = std::fs::metadata(beside(path, "-shm")).is_ok_and(|m| m.len() > 0);
    if reading == Reading::Once && header.is_wal && !wal_of(path).exists() {
        return immutable(path);
    }
    let failed = match plain(path) {
        Ok(connection) => return Ok(connection),
        Err(failed) => failed,
    };
    let is_about_writing = matches!(
        failed.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::SystemIoFailure | ErrorCode::DiskFull)
    );
    if !is_about_writing || is_open_elsewhere {
        return Err(StoreError::from(failed).at(path));
    }
    if has_log { with_private_log_index(path, failed) } else { immutable(path) }
}

/// Settings of every connection: nothing in a file that somebody else made is run, and pages are looked at more closely.
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

/// The header alone, read as SQLite reads it: what is damaged behind it does not matter yet.
fn probe(connection: &Connection) -> rusqlite::Result<()> {
    harden(connection)?;
    connection.pragma_query_value(None, "user_version", |r| r.get::<_, i64>(0)).map(|_| ())
}

/// Nobody changes the file meanwhile: no lock is taken and nothing is made beside it.
fn immutable(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let opened = Connection::open_with_flags(uri(path, "immutable=1"), flags);
    let connection = opened.and_then(|connection| probe(&connection).map(|()| connection));
    connection.map_err(|e| StoreError::from(e).at(path))
}

/// Reads the log as well, whose index then lies in this process's memory (SQLite's "WAL without shared memory").
#[cfg(unix)]
fn with_private_log_index(path: &Path, failed: rusqlite::Error) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        // This way of reaching files takes no locks, which a file that may not be written does not give.
        let connection = Connection::open_with_flags_and_vfs(path, flags, c"unix-none")?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        probe(&connection)?;
        Ok(connection)
    };
    // The first failure says more about the place.
    open().map_err(|_| StoreError::from(failed).at(path))
}

#[cfg(not(unix))]
fn with_private_log_index(path: &Path, failed: rusqlite::Error) -> Result<Connection, StoreError> {
    Err(StoreError::from(failed).at(path))
}

/// `file:` with everything escaped that has a meaning in a URI.
fn uri(path: &Path, query: &str) -> std::path::PathBuf {
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
