//! Cancels and pauses long-running work and reports its progress.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Asks long-running work to stop or pause at the next safe point. Clones share their state.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    cancelled: AtomicBool,
    paused: Mutex<bool>,
    changed: Condvar,
}

impl Cancel {
    pub fn new() -> Self {
        Self::default()
    }

    /// Also stops paused work.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        // Hold the lock, so that work about to wait cannot miss the notification.
        drop(self.paused());
        self.0.changed.notify_all();
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    pub fn pause(&self) {
        *self.paused() = true;
    }

    /// Resumes paused work.
    pub fn resume(&self) {
        *self.paused() = false;
        self.0.changed.notify_all();
    }

    pub fn is_paused(&self) -> bool {
        *self.paused()
    }

    /// Blocks while the work is paused; returns once it is resumed or cancelled.
    pub fn wait_while_paused(&self) {
        let mut paused = self.paused();
        while *paused && !self.is_cancelled() {
            paused = self.0.changed.wait(paused).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn paused(&self) -> MutexGuard<'_, bool> {
        self.0.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The latest state of long-running work; each value replaces the previous one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The current step in sentence case, e.g. `Detecting on training images`.
    pub what: String,
    pub done: u64,
    /// 0 while unknown.
    pub total: u64,
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::Duration;

    use super::*;

    #[test]
    fn paused_work_rests_until_it_is_resumed_or_cancelled() {
        let check = |wake: fn(&Cancel)| {
            let cancel = Cancel::new();
            cancel.wait_while_paused();
            cancel.pause();
            std::thread::scope(|scope| {
                let (done, ended) = channel();
                let resting = cancel.clone();
                scope.spawn(move || {
                    resting.wait_while_paused();
                    done.send(()).unwrap();
                });
                let early = ended.recv_timeout(Duration::from_millis(30));
                wake(&cancel);
                assert_eq!(early, Err(RecvTimeoutError::Timeout));
                ended.recv_timeout(Duration::from_secs(20)).unwrap();
            });
        };
        check(Cancel::resume);
        check(Cancel::cancel);
        let cancel = Cancel::new();
        cancel.cancel();
        cancel.pause();
        cancel.wait_while_paused();
        assert!(cancel.is_cancelled() && cancel.is_paused());
    }
}
