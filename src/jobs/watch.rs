//! The thread that polls every 0.4 seconds for commits by another window or program, and reports new log rows. A poll reads SQLite's change
//! counter; it wakes the window only if something changed.

use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use super::Waker;
use crate::domain::caught;
use crate::store::{LogNews, Store};

/// Poll interval: others' decisions appear within a second.
const PAUSE: Duration = Duration::from_millis(400);
/// Number of polls skipped after the database could not be opened.
const POLLS_SKIPPED: u32 = 75;
/// Maximum number of new log rows reported individually. If there are more, readers reload everything.
pub const NEWS_AT_ONCE: usize = 5_000;

/// The thread's handle. Dropping it stops and joins it.
pub struct ProjectWatch {
    stop: Option<Sender<()>>,
    news: Receiver<LogNews>,
    thread: Option<JoinHandle<()>>,
}

/// Watches `database` on its own thread.
pub fn start_watch(database: PathBuf, waker: Waker) -> std::io::Result<ProjectWatch> {
    let (stop, stopped) = bounded::<()>(0);
    let (outbox, news) = unbounded();
    let run = move || {
        // A panic here only stops the updates about others' work.
        let _ = caught(|| watch(&database, &stopped, &outbox, &waker));
    };
    let thread = std::thread::Builder::new().name("Project watch".to_owned()).spawn(run)?;
    Ok(ProjectWatch { stop: Some(stop), news, thread: Some(thread) })
}

/// Retries a database that cannot be read: the readers report what is wrong with it.
fn watch(database: &std::path::Path, stopped: &Receiver<()>, outbox: &Sender<LogNews>, waker: &Waker) {
    let mut open = None;
    let mut wait = 0;
    loop {
        if open.is_none() && wait == 0 {
            open = Store::open_read_only(database).ok().and_then(|store| store.seen().ok().map(|seen| (store, seen)));
        }
        wait = if open.is_none() && wait == 0 { POLLS_SKIPPED } else { wait.saturating_sub(1) };
        let news = open.as_mut().and_then(|(store, seen)| store.log_news(seen, NEWS_AT_ONCE).ok().flatten());
        if let Some(news) = news.filter(|news| *news != LogNews::default()) {
            if outbox.send(news).is_err() {
                return;
            }
            waker();
        }
        if stopped.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

impl ProjectWatch {
    pub fn poll(&mut self) -> Option<LogNews> {
        self.news.try_recv().ok()
    }
}

impl Drop for ProjectWatch {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
