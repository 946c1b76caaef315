//! A thread that owns a value that must not cross threads (a database connection) and answers requests in order.

use std::collections::VecDeque;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::Waker;
use crate::domain::caught;

/// The increasing number of a request.
pub type Ticket = u64;

/// The reply to the request with this ticket. Every request gets exactly one.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<A> {
    pub ticket: Ticket,
    pub result: Result<A, String>,
}

/// A request, and when it was made.
struct Asked<Q> {
    ticket: Ticket,
    request: Q,
    at: Instant,
}

/// The thread's handle. Dropping it lets pending requests finish, then joins: a requested verdict is always written.
pub struct OwnerThread<Q, A> {
    requests: Option<Sender<Asked<Q>>>,
    answers: Receiver<Answer<A>>,
    returned: VecDeque<Answer<A>>,
    next: Ticket,
    open: usize,
    thread: Option<JoinHandle<()>>,
}

impl<Q: Send + 'static, A: Send + 'static> OwnerThread<Q, A> {
    /// Starts the thread. `open` runs on it and creates the owned value. If that fails, the requests made until then are answered with its
    /// error, and the next request retries: another program may have released the database.
    pub fn start<S, Open, Serve>(name: &str, open: Open, serve: Serve, waker: Waker) -> std::io::Result<Self>
    where
        Open: FnMut() -> Result<S, String> + Send + 'static,
        Serve: FnMut(&mut S, Q) -> Result<A, String> + Send + 'static,
    {
        let (requests, inbox) = unbounded();
        let (outbox, answers) = unbounded();
        let run = move || serve_all(open, serve, &inbox, &outbox, &waker);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        Ok(Self {
            requests: Some(requests),
            answers,
            returned: VecDeque::new(),
            next: 0,
            open: 0,
            thread: Some(thread),
        })
    }

    /// Queues a request.
    pub fn ask(&mut self, request: Q) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        self.open += 1;
        let sent = self
            .requests
            .as_ref()
            .is_some_and(|requests| requests.send(Asked { ticket, request, at: Instant::now() }).is_ok());
        if !sent {
            self.returned.push_back(Answer { ticket, result: Err("its thread ended".to_owned()) });
        }
        ticket
    }

    /// Returns the next answer, if any.
    pub fn poll(&mut self) -> Option<Answer<A>> {
        let answer = self.answers.try_recv().ok().or_else(|| self.returned.pop_front())?;
        self.open -= 1;
        Some(answer)
    }

    /// Waits up to `at_most` for the next answer.
    pub fn wait(&mut self, at_most: Duration) -> Option<Answer<A>> {
        if let Some(answer) = self.poll() {
            return Some(answer);
        }
        let answer = self.answers.recv_timeout(at_most).ok()?;
        self.open -= 1;
        Some(answer)
    }

    /// Returns the number of unanswered requests.
    pub fn open_requests(&self) -> usize {
        self.open
    }
}

fn serve_all<S, Q, A>(
    mut open: impl FnMut() -> Result<S, String>,
    mut serve: impl FnMut(&mut S, Q) -> Result<A, String>,
    inbox: &Receiver<Asked<Q>>,
    outbox: &Sender<Answer<A>>,
    waker: &Waker,
) {
    let mut open = || {
        let owned = open();
        (owned, Instant::now())
    };
    let (mut owned, mut tried) = open();
    while let Ok(Asked { ticket, request, at }) = inbox.recv() {
        if owned.is_err() && at >= tried {
            (owned, tried) = open();
        }
        let result = match &mut owned {
            Ok(state) => caught(|| serve(state, request))
                .unwrap_or_else(|panic| Err(format!("the program failed: {}", panic.reported()))),
            Err(reason) => Err(reason.clone()),
        };
        // Nobody listens after the handle is dropped; the request itself was still served.
        let _ = outbox.send(Answer { ticket, result });
        waker();
    }
}

impl<Q, A> Drop for OwnerThread<Q, A> {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};

    use super::*;

    fn wait<A>(owner: &mut OwnerThread<u32, A>) -> Answer<A>
    where
        A: Send + 'static,
    {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            if let Some(answer) = owner.poll() {
                return answer;
            }
            assert!(Instant::now() < deadline, "no answer");
        }
    }

    #[test]
    fn answers_come_in_order_and_a_panic_becomes_one() {
        let serve = |sum: &mut u32, n: u32| {
            assert!(n != 13, "unlucky");
            *sum += n;
            Ok(*sum)
        };
        let mut owner = OwnerThread::start("test", || Ok(100), serve, Arc::new(|| {})).unwrap();
        for n in [1, 13, 2] {
            owner.ask(n);
        }
        assert_eq!(wait(&mut owner), Answer { ticket: 0, result: Ok(101) });
        let broken = wait(&mut owner).result.unwrap_err();
        assert!(broken.contains("unlucky"), "{broken}");
        assert_eq!(wait(&mut owner), Answer { ticket: 2, result: Ok(103) });
        assert_eq!(owner.open_requests(), 0);
    }

    #[test]
    fn an_answer_is_waited_for_up_to_a_limit() {
        let gate = Arc::new(Mutex::new(()));
        let serve_gate = Arc::clone(&gate);
        let closed = gate.lock().unwrap();
        let serve = move |(): &mut (), n: u32| {
            let _open = serve_gate.lock();
            Ok(n)
        };
        let mut owner = OwnerThread::start("test", || Ok(()), serve, Arc::new(|| {})).unwrap();
        owner.ask(1);
        assert_eq!((owner.wait(Duration::from_millis(1)), owner.open_requests()), (None, 1));
        drop(closed);
        assert_eq!(owner.wait(Duration::from_secs(10)).unwrap().result, Ok(1));
        assert_eq!((owner.open_requests(), owner.wait(Duration::ZERO)), (0, None));
    }

    #[test]
    fn what_cannot_be_opened_answers_with_its_reason() {
        let open = || Err::<(), _>("quarry.db is held by another program".to_owned());
        let mut owner = OwnerThread::start("test", open, |(), _: u32| Ok(()), Arc::new(|| {})).unwrap();
        owner.ask(1);
        assert_eq!(wait(&mut owner).result.unwrap_err(), "quarry.db is held by another program");
    }

    #[test]
    fn what_is_let_go_of_later_is_opened_by_the_next_request() {
        let tries = Arc::new(AtomicU32::new(0));
        let seen = Arc::clone(&tries);
        let gate = Arc::new(Mutex::new(()));
        let open_gate = Arc::clone(&gate);
        let closed = gate.lock().unwrap();
        let open = move || {
            let _open = open_gate.lock();
            match seen.fetch_add(1, Ordering::SeqCst) {
                0 => Err("quarry.db is held by another program".to_owned()),
                _ => Ok(()),
            }
        };
        let mut owner = OwnerThread::start("test", open, |(), n: u32| Ok(n), Arc::new(|| {})).unwrap();
        // Made while it is opened: both get the result of that attempt, without another one.
        owner.ask(1);
        owner.ask(2);
        drop(closed);
        assert!(wait(&mut owner).result.is_err());
        assert!(wait(&mut owner).result.is_err());
        assert_eq!(tries.load(Ordering::SeqCst), 1);
        // Made later, however soon.
        owner.ask(3);
        assert_eq!(wait(&mut owner).result, Ok(3));
    }

    #[test]
    fn dropping_finishes_what_was_asked() {
        let written = Arc::new(AtomicU32::new(0));
        let log = Arc::clone(&written);
        let gate = Arc::new(Mutex::new(()));
        let serve_gate = Arc::clone(&gate);
        let closed = gate.lock().unwrap();
        let serve = move |(): &mut (), n: u32| {
            let _open = serve_gate.lock();
            log.fetch_add(n, Ordering::SeqCst);
            Ok(())
        };
        let mut owner = OwnerThread::start("test", || Ok(()), serve, Arc::new(|| {})).unwrap();
        for n in 1..=4 {
            owner.ask(n);
        }
        drop(closed);
        drop(owner);
        assert_eq!(written.load(Ordering::SeqCst), 10);
    }
}
