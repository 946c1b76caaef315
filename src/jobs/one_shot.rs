//! A background task that returns one value: runs on its own thread, reports progress, and is stopped and joined on drop.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use poll_promise::Promise;

use super::Waker;
use crate::domain::{Cancel, Progress, caught};

/// The task; dropping it stops it and joins its thread.
pub struct OneShot<T: Send + 'static> {
    promise: Option<Promise<Result<T, String>>>,
    progress: Arc<Mutex<Option<Progress>>>,
    cancel: Cancel,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> OneShot<T> {
    /// Starts `work` on a thread called `name`. An error or a panic becomes one sentence for the user.
    pub fn start(
        name: &str,
        work: impl FnOnce(&mut dyn FnMut(Progress), &Cancel) -> Result<T, String> + Send + 'static,
        waker: Waker,
    ) -> std::io::Result<Self> {
        let (sender, promise) = Promise::new();
        let cancel = Cancel::new();
        let progress = Arc::new(Mutex::new(None));
        let (latest, stop) = (Arc::clone(&progress), cancel.clone());
        let run = move || {
            let waking = Arc::clone(&waker);
            let mut tell = move |at: Progress| {
                *latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
                waking();
            };
            let done = caught(|| work(&mut tell, &stop));
            sender.send(done.unwrap_or_else(|panic| Err(panic.reported())));
            waker();
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self { promise: Some(promise), progress, cancel, thread: Some(thread) })
    }

    /// Returns the value once.
    pub fn poll(&mut self) -> Option<Result<T, String>> {
        match self.promise.take()?.try_take() {
            Ok(value) => Some(value),
            Err(promise) => {
                self.promise = Some(promise);
                None
            }
        }
    }

    pub fn progress(&self) -> Option<Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<T: Send + 'static> Drop for OneShot<T> {
    fn drop(&mut self) {
        self.cancel.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic was already reported as the error.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn wait<T: Send>(work: &mut OneShot<T>) -> Result<T, String> {
        for _ in 0..1000 {
            if let Some(value) = work.poll() {
                return value;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it does not end");
    }

    #[test]
    fn a_value_an_error_and_a_panic_come_once_and_dropping_stops() {
        let waker: Waker = Arc::new(|| {});
        let mut value = OneShot::start("value", |_, _| Ok(7), Arc::clone(&waker)).unwrap();
        assert_eq!(wait(&mut value), Ok(7));
        assert!(value.poll().is_none());
        let mut error = OneShot::<()>::start("error", |_, _| Err("no".to_owned()), Arc::clone(&waker)).unwrap();
        assert_eq!(wait(&mut error), Err("no".to_owned()));
        let mut panic = OneShot::<()>::start("panic", |_, _| panic!("a hole"), Arc::clone(&waker)).unwrap();
        assert!(wait(&mut panic).unwrap_err().contains("a hole"));
        let endless = OneShot::<()>::start(
            "endless",
            |tell, cancel| {
                while !cancel.is_cancelled() {
                    tell(Progress { what: "on".into(), done: 1, total: 2 });
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(())
            },
            waker,
        );
        drop(endless);
    }
}
