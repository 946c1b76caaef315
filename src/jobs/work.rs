//! A long-running job on its own named thread: started, monitored, stopped, joined.
//!
//! Order of messages: any number of events, then exactly one [`JobNews::Finished`], after success, stop, error and panic alike.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Waker;
use crate::domain::{Cancel, Progress, Rate, caught};

/// Capacity of the event queue; a full queue blocks the worker.
const QUEUE_LENGTH: usize = 4096;

/// A use case with its configuration. `Ok` and `Err` carry one sentence for the user.
pub type Work<E> = Box<dyn FnOnce(&mut dyn FnMut(E), &Cancel) -> Result<String, String> + Send>;

/// The kind of a job. At most one job of a kind runs at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobKind {
    /// Training and mining: they share the checkpoint and the CPU.
    Round,
    /// Importing images.
    Import,
    /// Writing figures and tables.
    Export,
    /// Grouping similar candidates.
    Grouping,
}

impl JobKind {
    pub fn text(self) -> &'static str {
        match self {
            Self::Round => "Training round",
            Self::Import => "Import",
            Self::Export => "Export",
            Self::Grouping => "Grouping",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("{} is still running. Wait for it or stop it first", .0.text())]
    AlreadyRunning(JobKind),
    #[error("cannot start a thread for `{name}`: {source}")]
    Thread { name: String, source: std::io::Error },
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Done(String),
    /// Stopped early on request.
    Stopped(String),
    Failed(String),
}

#[derive(Debug, PartialEq, Eq)]
pub enum JobNews<E> {
    Event(E),
    Finished(Outcome),
}

/// A running job. Dropping it stops the work and joins its thread.
pub struct Job<E> {
    cancel: Cancel,
    news: Option<Receiver<JobNews<E>>>,
    progress: Arc<Mutex<Option<(Progress, Rate)>>>,
    thread: Option<JoinHandle<()>>,
}

impl<E: Send + 'static> Job<E> {
    /// Starts `work` on a thread called `name`. Events for which `progress_of` returns `Some` replace the latest progress; all others are
    /// queued.
    pub fn start(
        name: &str,
        work: Work<E>,
        progress_of: fn(&E) -> Option<Progress>,
        waker: Waker,
    ) -> Result<Self, JobError> {
        let (sender, news) = bounded(QUEUE_LENGTH);
        let cancel = Cancel::new();
        let progress = Arc::new(Mutex::new(None));
        let worker = Worker { sender, progress: Arc::clone(&progress), progress_of, waker, cancel: cancel.clone() };
        let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || worker.run(work));
        let thread = spawned.map_err(|source| JobError::Thread { name: name.to_owned(), source })?;
        Ok(Self { cancel, news: Some(news), progress, thread: Some(thread) })
    }

    /// Asks the work to stop at its next safe point.
    pub fn stop(&self) {
        self.cancel.cancel();
    }

    /// Asks the work to pause at its next safe point, keeping its state.
    pub fn pause(&self) {
        self.cancel.pause();
    }

    pub fn resume(&self) {
        self.cancel.resume();
    }

    /// Whether a pause was requested; the work may not have paused yet.
    pub fn is_paused(&self) -> bool {
        self.cancel.is_paused()
    }

    pub fn is_stopping(&self) -> bool {
        self.cancel.is_cancelled()
    }

    pub fn progress(&self) -> Option<Progress> {
        self.with_rate().map(|(progress, _)| progress)
    }

    /// Formats the speed and the time left; empty while unknown.
    pub fn rate(&self) -> String {
        self.with_rate().map_or_else(String::new, |(_, rate)| rate.in_words())
    }

    fn with_rate(&self) -> Option<(Progress, Rate)> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the next message, if any.
    pub fn poll(&self) -> Option<JobNews<E>> {
        self.news.as_ref().and_then(|news| news.try_recv().ok())
    }
}

impl<E> Drop for Job<E> {
    fn drop(&mut self) {
        self.cancel.cancel();
        // Without a receiver, a worker blocked on a full queue continues at once.
        self.news = None;
        if let Some(thread) = self.thread.take() {
            // The worker catches panics and reports them in `Finished`.
            let _ = thread.join();
        }
    }
}

struct Worker<E> {
    sender: Sender<JobNews<E>>,
    progress: Arc<Mutex<Option<(Progress, Rate)>>>,
    progress_of: fn(&E) -> Option<Progress>,
    waker: Waker,
    cancel: Cancel,
}

impl<E> Worker<E> {
    fn run(self, work: Work<E>) {
        let result = caught(|| work(&mut |event| self.tell(event), &self.cancel));
        let outcome = match result {
            Ok(Ok(text)) if self.cancel.is_cancelled() => Outcome::Stopped(text),
            Ok(Ok(text)) => Outcome::Done(text),
            Ok(Err(text)) if self.cancel.is_cancelled() => Outcome::Stopped(text),
            Ok(Err(text)) => Outcome::Failed(text),
            Err(panic) => Outcome::Failed(format!("the job failed: {}", panic.reported())),
        };
        self.send(JobNews::Finished(outcome));
    }

    fn tell(&self, event: E) {
        if let Some(progress) = (self.progress_of)(&event) {
            let (now, mut latest) = (Instant::now(), self.progress.lock().unwrap_or_else(PoisonError::into_inner));
            let mut rate = latest.take().map_or_else(|| Rate::new(&progress, now), |(_, rate)| rate);
            rate.follow(&progress, now);
            *latest = Some((progress, rate));
            drop(latest);
            (self.waker)();
        } else {
            self.send(JobNews::Event(event));
        }
    }

    fn send(&self, news: JobNews<E>) {
        // A closed queue means that the handle was dropped; the cancel flag is already set.
        let _ = self.sender.send(news);
        (self.waker)();
    }
}

/// The running jobs, at most one of each kind.
pub struct JobBoard<E> {
    jobs: Vec<(JobKind, Job<E>)>,
}

impl<E> Default for JobBoard<E> {
    fn default() -> Self {
        Self { jobs: Vec::new() }
    }
}

impl<E: Send + 'static> JobBoard<E> {
    pub fn start(
        &mut self,
        kind: JobKind,
        work: Work<E>,
        progress_of: fn(&E) -> Option<Progress>,
        waker: Waker,
    ) -> Result<(), JobError> {
        if self.job(kind).is_some() {
            return Err(JobError::AlreadyRunning(kind));
        }
        self.jobs.push((kind, Job::start(kind.text(), work, progress_of, waker)?));
        Ok(())
    }

    pub fn job(&self, kind: JobKind) -> Option<&Job<E>> {
        self.jobs.iter().find(|(k, _)| *k == kind).map(|(_, job)| job)
    }

    pub fn running(&self) -> impl Iterator<Item = (JobKind, &Job<E>)> {
        self.jobs.iter().map(|(kind, job)| (*kind, job))
    }

    /// Returns the next message of any job. A finished job is removed with its last message.
    pub fn poll(&mut self) -> Option<(JobKind, JobNews<E>)> {
        let (index, kind, news) =
            self.jobs.iter().enumerate().find_map(|(i, (kind, job))| job.poll().map(|news| (i, *kind, news)))?;
        if matches!(news, JobNews::Finished(_)) {
            self.jobs.remove(index);
        }
        Some((kind, news))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use super::*;

    fn waker() -> (Waker, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&count);
        let wake = move || {
            seen.fetch_add(1, Ordering::SeqCst);
        };
        (Arc::new(wake), count)
    }

    fn all_news(job: &Job<u32>) -> Vec<JobNews<u32>> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut news = Vec::new();
        while !matches!(news.last(), Some(JobNews::Finished(_))) {
            assert!(Instant::now() < deadline, "no Finished: {news:?}");
            news.extend(job.poll());
        }
        news
    }

    #[test]
    fn finished_comes_last_after_success_error_and_panic() {
        let check = |work: Work<u32>, expected: Outcome| {
            let (waker, wakes) = waker();
            let job = Job::start("test", work, |_| None, waker).unwrap();
            assert_eq!(all_news(&job), [JobNews::Event(7), JobNews::Finished(expected)]);
            drop(job);
            assert!(wakes.load(Ordering::SeqCst) >= 2);
        };
        check(Box::new(|tell, _| (tell(7), Ok("well".to_owned())).1), Outcome::Done("well".to_owned()));
        check(Box::new(|tell, _| (tell(7), Err("bad".to_owned())).1), Outcome::Failed("bad".to_owned()));
        let broken: Work<u32> = Box::new(|tell, _| {
            tell(7);
            panic!("tensor of wrong shape")
        });
        check(broken, Outcome::Failed("the job failed: tensor of wrong shape".to_owned()));
    }

    #[test]
    fn dropping_the_handle_stops_work_even_when_its_queue_is_full() {
        let (waker, _) = waker();
        let stopped = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&stopped);
        let work: Work<u32> = Box::new(move |tell, cancel| {
            while !cancel.is_cancelled() {
                tell(1);
            }
            seen.store(1, Ordering::SeqCst);
            Ok(String::new())
        });
        let job = Job::start("test", work, |_| None, waker).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        drop(job);
        assert_eq!(stopped.load(Ordering::SeqCst), 1, "drop must wait for the thread");
    }

    #[test]
    fn a_job_rests_while_it_is_paused_and_a_stop_ends_the_rest() {
        let (waker, _) = waker();
        let work: Work<u32> = Box::new(move |tell, cancel| {
            for step in 0.. {
                cancel.wait_while_paused();
                if cancel.is_cancelled() {
                    return Err(format!("stopped after {step}"));
                }
                tell(step);
            }
            Ok(String::new())
        });
        let job = Job::start("test", work, |_| None, waker).unwrap();
        job.pause();
        assert!(job.is_paused() && !job.is_stopping());
        job.resume();
        assert!(!job.is_paused());
        job.pause();
        job.stop();
        let news = all_news(&job);
        let stopped = format!("stopped after {}", news.len() - 1);
        assert_eq!(news.last(), Some(&JobNews::Finished(Outcome::Stopped(stopped))));
    }

    #[test]
    fn progress_is_the_latest_value_and_never_queued() {
        let (waker, _) = waker();
        let work: Work<u32> = Box::new(|tell, _| {
            (0..100_000).for_each(&mut *tell);
            Ok("done".to_owned())
        });
        let progress_of = |n: &u32| Some(Progress { what: "Counting".to_owned(), done: u64::from(*n), total: 100_000 });
        let job = Job::start("test", work, progress_of, waker).unwrap();
        assert_eq!(all_news(&job), [JobNews::Finished(Outcome::Done("done".to_owned()))]);
        assert_eq!(job.progress().unwrap().done, 99_999);
    }

    #[test]
    fn one_job_of_a_kind_at_a_time() {
        let (waker, _) = waker();
        let endless = || -> Work<u32> {
            Box::new(|_, cancel| {
                while !cancel.is_cancelled() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err("stopped at step 3".to_owned())
            })
        };
        let mut board = JobBoard::default();
        board.start(JobKind::Round, endless(), |_| None, waker.clone()).unwrap();
        let second = board.start(JobKind::Round, endless(), |_| None, waker.clone());
        assert!(matches!(second, Err(JobError::AlreadyRunning(JobKind::Round))));
        board.start(JobKind::Import, endless(), |_| None, waker).unwrap();
        board.job(JobKind::Round).unwrap().stop();
        let news = loop {
            if let Some(news) = board.poll() {
                break news;
            }
        };
        assert_eq!(news, (JobKind::Round, JobNews::Finished(Outcome::Stopped("stopped at step 3".to_owned()))));
        assert!(board.job(JobKind::Round).is_none() && board.job(JobKind::Import).is_some());
    }
}
