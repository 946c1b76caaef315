//! Opens the database and owns its connection: settings, checks, and the wrapper of every read and write.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rusqlite::backup::Backup;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use super::access::{BUSY_TIMEOUT, Reading, harden, read_only, wait_for_others};
use super::companions::{companion, wal_of};
use super::decided_before::DecidedBefore;
use super::header::{APPLICATION_ID, Header, look};
use super::held_file::HeldFile;
use super::integrity::check;
use super::migrations::RESTS_IN_ROLLBACK_MODE;
use super::queue_index::QueueIndex;
use super::{StoreError, backup_files, error, migrations, schema};
use crate::domain::{LockError, WorkLock, counted, network_file_system};

/// Pause between attempts to change the journal mode, for which SQLite itself does not wait.
const MODE_PAUSE: Duration = Duration::from_millis(20);
/// Files up to this size are checked completely when opened (about 0.2 s); larger ones by [`Store::check_if_large`] and with each backup.
const CHECKED_ON_OPEN_BYTES: u64 = 48 << 20;

/// The project's database: one connection, for one thread.
pub struct Store {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) queue_index: RefCell<Option<QueueIndex>>,
    /// This connection has written since the queue index was last updated.
    pub(super) written: Cell<bool>,
    /// Cache of the candidates excluded from the random sample.
    pub(super) decided_before: RefCell<DecidedBefore>,
    notes: Vec<String>,
    /// Whether closing this connection checkpoints the WAL into the file. Never for a file that may be damaged: its WAL may hold the only
    /// copy of the newest verdicts.
    checkpoints_on_drop: Cell<bool>,
    /// Held on a network file system: no other program may write.
    _only_writer: Option<WorkLock>,
    /// Let go after the connection is closed: fields are dropped in their order.
    _held: HeldFile,
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.checkpoints_on_drop.get() {
            // Refused while other connections are open: the last writer does it.
            let at_once = self.connection.busy_timeout(Duration::ZERO);
            let _ = at_once.and_then(|()| self.connection.pragma_update(None, "journal_mode", "DELETE"));
        }
    }
}

impl Store {
    /// Creates a database. Refuses to touch an existing file.
    pub fn create(path: &Path) -> Result<Self, StoreError> {
        if path.exists() {
            return Err(StoreError::Exists(path.to_owned()));
        }
        let only_writer = only_writer(path)?;
        let connection = Connection::open(path).map_err(|e| StoreError::from(e).at(path))?;
        let (held, _) = HeldFile::open(path, 0).map_err(|error| StoreError::Invalid(error.to_string()))?;
        let mut store = Self::new(connection, path, only_writer, held);
        store.prepare_new().map_err(|e| e.at(path))?;
        store.connection.busy_handler(Some(wait_for_others))?;
        store.checkpoints_on_drop.set(true);
        Ok(store)
    }

    /// Opens a database for reading and writing, migrates it to the newest format (after a backup) and checks it. A damaged or foreign
    /// database is not changed.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (header, held) = look(path)?;
        let notes = examine(path, header)?;
        let only_writer = only_writer(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|e| StoreError::from(e).at(path))?;
        let mut store = Self::new(connection, path, only_writer, held);
        store.notes = notes;
        store.prepare_existing().map_err(|e| store.diagnosed(e))?;
        store.connection.busy_handler(Some(wait_for_others))?;
        store.set_checkpoint_on_close(true);
        store.checkpoints_on_drop.set(true);
        Ok(store)
    }

    /// Opens without ever writing: for a second reader while another program writes, and for recovery from a damaged file, so only the
    /// format version is checked. Also works on read-only media.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let (header, held) = look(path)?;
        let is_alone = header.is_wal && !wal_of(path).exists();
        let connection = read_only(path, header, Reading::Lasting)?;
        migrations::refuse_newer(&connection, path)?;
        if is_alone && migrations::version(&connection).map_err(|e| e.at(path))? == 0 {
            return Err(StoreError::CopiedAlone(path.to_owned()));
        }
        let newest = migrations::migrated_copy(&connection).unwrap_or(connection);
        Ok(Self::new(newest, path, None, held))
    }

    /// Opens for a read-only command: checked like [`Store::open`], never written. A database of an older format is only migrated in
    /// memory.
    pub fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let (header, held) = look(path)?;
        let notes = examine(path, header)?;
        let connection = read_only(path, header, Reading::Once)?;
        let newest = in_newest_format(connection).map_err(|e| e.at(path))?;
        let mut store = Self::new(newest, path, None, held);
        store.notes = notes;
        Ok(store)
    }

    /// Whether [`Store::open`] would migrate the database to a newer format. False if it would refuse.
    pub fn needs_migration(path: &Path) -> Result<bool, StoreError> {
        let Ok((header, _held)) = look(path) else { return Ok(false) };
        let Ok(connection) = read_only(path, header, Reading::Once) else { return Ok(false) };
        Ok(migrations::is_older(&connection).unwrap_or(false))
    }

    /// Returns notes for the user about the file. Call before opening it for writing, which changes what can be detected. Empty if it
    /// cannot be opened.
    pub fn notes_of(path: &Path) -> Vec<String> {
        let Ok((header, _held)) = look(path) else { return Vec::new() };
        // Only a WAL-mode file without its WAL is worth a note; others are not examined twice.
        let is_alone = header.is_wal && !wal_of(path).exists();
        if is_alone { examine(path, header).unwrap_or_default() } else { Vec::new() }
    }

    /// Returns notes for the user about the opened file.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Disables checkpointing the WAL into the file, which was found damaged.
    pub fn leave_as_it_is(&self) {
        self.checkpoints_on_drop.set(false);
        self.set_checkpoint_on_close(false);
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Checks every page of the file; takes seconds on a large project.
    pub fn check_integrity(&self) -> Result<(), StoreError> {
        check(&self.connection).map_err(|e| self.diagnosed(e))
    }

    /// [`Store::check_integrity`] if the file was too large to check on opening.
    pub fn check_if_large(&self) -> Result<(), StoreError> {
        if self.is_large() { self.check_integrity() } else { Ok(()) }
    }

    /// Prevents the database from growing beyond `pages` pages, to simulate a full disk in tests.
    #[doc(hidden)]
    pub fn limit_pages(&self, pages: u32) -> Result<(), StoreError> {
        self.read(|c| Ok(c.pragma_update(None, "max_page_count", pages)?))
    }

    pub(super) fn read<T>(&self, f: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        f(&self.connection).map_err(|e| self.diagnosed(e))
    }

    /// Runs `f` in one transaction: everything is saved, or nothing. The write lock is taken at the start, so that two writers wait for
    /// each other instead of failing half-way.
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

    /// [`Store::write`] for data that can be recomputed: with a WAL, the commit does not wait for the disk and so does not delay verdicts.
    /// A power failure may revert it as a whole, together with later commits of this kind.
    pub(super) fn write_without_waiting<T>(
        &mut self,
        f: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mode: String = self.read(|c| Ok(c.pragma_query_value(None, "journal_mode", |r| r.get(0))?))?;
        // Without a WAL the file itself could be corrupted.
        if mode != "wal" {
            return self.write(f);
        }
        self.read(|c| Ok(c.pragma_update(None, "synchronous", "NORMAL")?))?;
        let written = self.write(f);
        self.read(|c| Ok(c.pragma_update(None, "synchronous", "FULL")?))?;
        written
    }

    fn new(connection: Connection, path: &Path, only_writer: Option<WorkLock>, held: HeldFile) -> Self {
        Self {
            connection,
            path: path.to_owned(),
            queue_index: RefCell::new(None),
            written: Cell::new(false),
            decided_before: RefCell::default(),
            notes: Vec::new(),
            checkpoints_on_drop: Cell::new(false),
            _only_writer: only_writer,
            _held: held,
        }
    }

    fn prepare_new(&self) -> Result<(), StoreError> {
        harden(&self.connection)?;
        self.connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        settle(&self.connection, &self.path)?;
        migrations::migrate(&self.connection, || self.back_up_before_migration())
    }

    fn prepare_existing(&self) -> Result<(), StoreError> {
        harden(&self.connection)?;
        self.set_checkpoint_on_close(false);
        if self.connection.is_readonly("main")? {
            return Err(StoreError::not_writable(&self.path));
        }
        settle(&self.connection, &self.path)?;
        migrations::migrate(&self.connection, || self.back_up_before_migration())
    }

    fn set_checkpoint_on_close(&self, is_wanted: bool) {
        // Only fails for a closed connection.
        let _ = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !is_wanted);
    }

    fn is_large(&self) -> bool {
        is_large(&self.path)
    }

    /// Adds the newest good backup to an error that reports damage, once: finding it reads whole backups. From then on the file is left
    /// unchanged.
    pub(super) fn diagnosed(&self, error: StoreError) -> StoreError {
        let error = with_backup(error, &self.path);
        if matches!(error, StoreError::Corrupt { .. }) {
            self.leave_as_it_is();
        }
        error
    }
}

/// Examines the whole database through a read-only connection; returns notes for the user.
fn examine(path: &Path, header: Header) -> Result<Vec<String>, StoreError> {
    let is_alone = header.is_wal && !wal_of(path).exists();
    let mut examined = read_only(path, header, Reading::Once).and_then(|c| look_over(&c, path));
    if is_alone && examined.is_err() {
        // Without locks, a file that another program has just opened may look damaged.
        examined = read_only(path, header, Reading::Lasting).and_then(|c| look_over(&c, path));
    }
    let found = examined.map_err(|e| with_backup(e, path))?;
    match (is_alone, found.version) {
        (true, 0) => Err(StoreError::CopiedAlone(path.to_owned())),
        (true, RESTS_IN_ROLLBACK_MODE..) => Ok(vec![error::copied_alone(path, &found.holds)]),
        (true, _) => Ok(vec![error::perhaps_copied_alone(path, &found.holds)]),
        (false, _) => Ok(Vec::new()),
    }
}

struct Found {
    version: i64,
    /// A summary in numbers.
    holds: String,
}

fn look_over(connection: &Connection, path: &Path) -> Result<Found, StoreError> {
    migrations::refuse_newer(connection, path)?;
    schema::check(connection, path)?;
    if !is_large(path) {
        check(connection)?;
    }
    let version = migrations::version(connection)?;
    let count =
        |table: &str| connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get::<_, i64>(0));
    let holds = match version {
        0 => String::new(),
        _ => format!("it holds {} and {}", counted(count("images")?, "image"), counted(count("verdicts")?, "verdict")),
    };
    Ok(Found { version, holds })
}

/// Returns the database itself, or if it has an older format a migrated in-memory copy.
fn in_newest_format(connection: Connection) -> Result<Connection, StoreError> {
    if !migrations::is_older(&connection)? {
        return Ok(connection);
    }
    let mut copy = Connection::open_in_memory()?;
    Backup::new(&connection, &mut copy)?.run_to_completion(i32::MAX, Duration::from_millis(20), None)?;
    harden(&copy)?;
    migrations::migrate_copy(&copy)?;
    Ok(copy)
}

/// Acquires the exclusive right to write on a network file system; `None` on a local disk.
fn only_writer(path: &Path) -> Result<Option<WorkLock>, StoreError> {
    let Some(network) = network_file_system(path) else { return Ok(None) };
    let taken = WorkLock::take_or_share(&companion(path, ".lock"), "writing the project");
    taken.map(Some).map_err(|error| match error {
        LockError::Held { holder, advice, path: lock } => StoreError::Invalid(format!(
            "{} is on a network file system ({network}), where one program at a time may write: {holder} does (lock file {}); {advice}",
            path.display(),
            lock.display()
        )),
        LockError::Io { path, cause, .. } => StoreError::Io { path, cause },
    })
}

fn is_large(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.len() >= CHECKED_ON_OPEN_BYTES)
}

/// Adds the newest good backup to an error that reports damage. If a backup exists, a foreign schema counts as damage.
fn with_backup(error: StoreError, path: &Path) -> StoreError {
    match error.at(path) {
        StoreError::Corrupt { path, detail, backup: None } => {
            StoreError::Corrupt { backup: backup_files::newest_good(&path), path, detail }
        }
        StoreError::Foreign { path, what } => match backup_files::newest_good(&path) {
            Some(backup) => StoreError::Corrupt { path, detail: what, backup: Some(backup) },
            None => StoreError::Foreign { path, what },
        },
        other => other,
    }
}

/// Returns milliseconds since the Unix epoch by the system clock.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

/// Returns a new UUID v7 as stored in the tables.
pub(super) fn new_uid() -> [u8; 16] {
    uuid::Uuid::now_v7().into_bytes()
}

/// Configures every writing connection.
fn settle(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    // The WAL index is shared memory, which does not work across computers.
    let mode = if network_file_system(path).is_some() { "DELETE" } else { "WAL" };
    set_journal_mode(connection, mode)?;
    // A committed verdict is on disk before the call returns.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // A verdict writes some ten pages. At SQLite's 1000 every hundredth commit would also copy the log back, which is just what a
    // 99th percentile sees.
    connection.pragma_update(None, "wal_autocheckpoint", 4000)?;
    connection.pragma_update(None, "cache_size", -(64 << 10))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Otherwise SQLite recompiles a cached statement for nearly every bound value, looking for a better plan.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// Retries while another program changes the mode too.
fn set_journal_mode(connection: &Connection, mode: &str) -> Result<(), StoreError> {
    let start = Instant::now();
    loop {
        match connection.pragma_update(None, "journal_mode", mode).map_err(StoreError::from) {
            Err(error) if is_busy(&error) && start.elapsed() < BUSY_TIMEOUT => std::thread::sleep(MODE_PAUSE),
            result => return result,
        }
    }
}

fn is_busy(error: &StoreError) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(error, StoreError::Sqlite(cause) if matches!(cause.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked)))
}
