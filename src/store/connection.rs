//! Opens the database and holds its one connection: settings, checks, and the frame of every read and write. Must not know a table
//! but SQLite's own.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::queue_index::QueueIndex;
use super::sample::DecidedBefore;
use super::{StoreError, backup, migrations};

/// `Qry1`: marks the file as a Quarry project.
const APPLICATION_ID: i32 = 0x5172_7931;
/// How long a call waits for another program that writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Up to this size the whole file is checked when it is opened (about 0.2 s); larger ones by [`Store::check_if_large`] and with
/// each backup.
const CHECKED_ON_OPEN_BYTES: u64 = 48 << 20;

/// The project's database: one connection, for one thread.
pub struct Store {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) queue_index: RefCell<Option<QueueIndex>>,
    /// This connection wrote since the queue index was brought up to date.
    pub(super) written: Cell<bool>,
    /// What the random sample leaves out.
    pub(super) decided_before: RefCell<DecidedBefore>,
}

impl Store {
    /// Makes a new database. Refuses to touch an existing file.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        if path.exists() {
            return Err(StoreError::Exists(path.to_owned()));
        }
        let connection = Connection::open(path).map_err(|e| StoreError::from(e).at(path))?;
        let store = Self::new(connection, path);
        store.prepare_new().map_err(|e| e.at(path))?;
        Ok(store)
    }

    /// Opens a database for reading and writing, brings it to the newest format (after a backup) and checks it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        store.prepare_existing().map_err(|e| store.diagnosed(e))?;
        Ok(store)
    }

    /// Opens without ever writing: for a second look while another program writes, and for what is left of a damaged file, which
    /// is why nothing is checked but the format's version.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        store.read(|c| c.busy_timeout(BUSY_TIMEOUT).map_err(StoreError::from))?;
        migrations::refuse_newer(&store.connection, path)?;
        Ok(match migrations::migrated_copy(&store.connection) {
            Some(copy) => Self::new(copy, path),
            None => store,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads every page of the file; seconds on a large project.
    pub fn check_integrity(&self) -> Result<(), StoreError> {
        check(&self.connection).map_err(|e| self.diagnosed(e))
    }

    /// [`Store::check_integrity`] where the file was too large to be checked when it was opened.
    pub fn check_if_large(&self) -> Result<(), StoreError> {
        if self.is_large() { self.check_integrity() } else { Ok(()) }
    }

    /// Stops the database from growing over `pages` pages: what a full disk does, for tests.
    #[doc(hidden)]
    pub fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        self.read(|c| Ok(c.pragma_update(None, "max_page_count", pages)?))
    }

    pub(super) fn read<T>(&self, f: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        f(&self.connection).map_err(|e| self.diagnosed(e))
    }

    /// Runs `f` in one transaction: all of it is saved, or nothing. The write lock is taken at the start, so that two writers
    /// wait for each other instead of failing half-way.
    pub(super) fn write<T>(
        &mut self,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let run = |connection: &mut Connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = f(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        self.written.set(true);
        run(&mut self.connection).map_err(|e: StoreError| self.diagnosed(e))
    }

    fn new(connection: Connection, path: &Path) -> Self {
        Self {
            connection,
            path: path.to_owned(),
            queue_index: RefCell::new(None),
            written: Cell::new(false),
            decided_before: RefCell::default(),
        }
    }

    fn connect(path: &Path, access: OpenFlags) -> Result<Self, StoreError> {
        if !path.is_file() {
            return Err(StoreError::NotFound(path.to_owned()));
        }
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|e| StoreError::from(e).at(path))?;
        Ok(Self::new(connection, path))
    }

    fn prepare_new(&self) -> Result<(), StoreError> {
        self.connection.busy_timeout(BUSY_TIMEOUT)?;
        self.connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        settle(&self.connection)?;
        migrations::migrate(self)
    }

    fn prepare_existing(&self) -> Result<(), StoreError> {
        self.connection.busy_timeout(BUSY_TIMEOUT)?;
        migrations::refuse_newer(&self.connection, &self.path)?;
        let id: i32 = self.connection.pragma_query_value(None, "application_id", |r| r.get(0))?;
        if id != APPLICATION_ID {
            // A project's database that lost all of its bytes is damaged, not another program's file.
            let backup = backup::newest_good(&self.path).filter(|_| self.bytes() == 0);
            if backup.is_some() {
                let detail = "the file is empty".to_owned();
                return Err(StoreError::Corrupt { path: self.path.clone(), detail, backup });
            }
            return Err(StoreError::NotAProject(self.path.clone()));
        }
        if !self.is_large() {
            check(&self.connection)?;
        }
        settle(&self.connection)?;
        migrations::migrate(self)
    }

    fn is_large(&self) -> bool {
        CHECKED_ON_OPEN_BYTES <= self.bytes()
    }

    fn bytes(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |m| m.len())
    }

    /// Adds the newest good backup to an error that says the file is damaged, once: finding it reads whole backups.
    pub(super) fn diagnosed(&self, error: StoreError) -> StoreError {
        match error.at(&self.path) {
            StoreError::Corrupt { path, detail, backup: None } => {
                StoreError::Corrupt { backup: backup::newest_good(&path), path, detail }
            }
            other => other,
        }
    }
}

/// Milliseconds since the Unix epoch, by the computer's clock.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

/// A new UUID v7, as the blob that the tables hold.
pub(super) fn new_uid() -> [u8; 16] {
    uuid::Uuid::now_v7().into_bytes()
}

/// The settings of every writing connection.
fn settle(connection: &Connection) -> Result<(), StoreError> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A committed verdict is on the disk before the call returns.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // A verdict writes some ten pages. At SQLite's 1000 every hundredth commit would also copy the log back, which is just what a
    // 99th percentile sees.
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    connection.pragma_update(None, "cache_size", -(64 << 10))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// SQLite's quick check, its first complaint as the error.
pub(super) fn check(connection: &Connection) -> Result<(), StoreError> {
    let detail: String = connection.query_row("PRAGMA quick_check(1)", [], |r| r.get(0))?;
    if detail == "ok" {
        return Ok(());
    }
    Err(StoreError::Corrupt { path: connection.path().unwrap_or_default().into(), detail, backup: None })
}
