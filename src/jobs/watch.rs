//! The thread that checks every 0.4 seconds whether another window or program committed to the project, and reports what is new in the
//! logs. A check is one read of SQLite's counter; it wakes the window only for news.

use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use super::Waker;
use crate::domain::caught;
use crate::store::{LogNews, Store};

/// Interval of the checks: others' decisions appear within a second.
const PAUSE: Duration = Duration::from_millis(400);
/// Number of checks skipped after the database could not be opened.
const POLLS_SKIPPED: u32 = 75;
/// Rows of a log that are reported one by one. Where there are more, readers reload everything.
pub const NEWS_AT_ONCE: usize = 5_000;

/// The handle of the thread. Dropping it ends and joins it.
pub struct ProjectWatch {
    stop: Option<Sender<()>>,
    news: Receiver<LogNews>,
    thread: Option<JoinHandle<()>>,
}

/// Watches `database` on a thread of its own.
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

/// A database that cannot be read just now is looked at again: the readers say what is wrong with it.
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
