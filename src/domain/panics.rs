//! Turns panics into errors of their jobs, with a crash report; where libtorch or a decoder report errors as panics, without one.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::crash_report::{self, Crash};
use super::printable_path;

thread_local! {
    /// How many `caught` this thread is in.
    static CAUGHT: Cell<u32> = const { Cell::new(0) };
    /// What the hook saw of this thread's last panic.
    static LAST: RefCell<Option<Box<Crash>>> = const { RefCell::new(None) };
}

/// The last panic that a thread outside of [`caught`] reported, so that it is not reported again where it is handed on to: rayon's threads
/// do that.
static REPORTED: Mutex<Option<(String, PathBuf)>> = Mutex::new(None);

/// A panic that was caught.
#[derive(Debug)]
pub struct Panic {
    message: String,
    crash: Option<Box<Crash>>,
}

impl Panic {
    /// What it said.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// For a fault of the program: writes the backtrace to the log and a crash report, and says where that is.
    #[must_use]
    pub fn reported(self) -> String {
        let message = self.message.clone();
        self.reported_as(&message)
    }

    /// [`Panic::reported`] with other words for its message.
    #[must_use]
    pub fn reported_as(self, message: &str) -> String {
        let known =
            REPORTED.lock().unwrap_or_else(PoisonError::into_inner).take_if(|(message, _)| *message == self.message);
        let report = known.map(|(_, path)| path).or_else(|| {
            let crash = self.crash.as_ref()?;
            tracing::error!("{crash}");
            crash_report::write(crash)
        });
        match report {
            Some(path) => format!("{message} (crash report: {})", printable_path(&path)),
            None => message.to_owned(),
        }
    }
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Runs `work`; its panic becomes an error. What `work` changed half is the caller's to throw away.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    CAUGHT.set(CAUGHT.get() + 1);
    let done = catch_unwind(AssertUnwindSafe(work));
    CAUGHT.set(CAUGHT.get() - 1);
    done.map_err(|payload| {
        let message = message_of(payload.as_ref());
        let crash = LAST.take().filter(|crash| crash.message == message);
        Panic { message, crash }
    })
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}

/// From now on every panic leaves a backtrace: to [`Panic::reported`] where it is caught, else in the log and a crash report in `folder`
/// at once. `program` is what runs, in a word or two.
pub fn report_panics(folder: Option<&Path>, program: &str) {
    crash_report::set_up(folder, program);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| noticed(info, &before)));
}

fn noticed(info: &PanicHookInfo<'_>, before: &(dyn Fn(&PanicHookInfo<'_>) + Send + Sync)) {
    let place = info.location().map(ToString::to_string);
    let crash = Crash::now(message_of_hook(info), place);
    if CAUGHT.get() > 0 {
        LAST.set(Some(Box::new(crash)));
        return;
    }
    before(info);
    if let Some(path) = crash_report::write(&crash) {
        tracing::error!("the crash report is {}", printable_path(&path));
        *REPORTED.lock().unwrap_or_else(PoisonError::into_inner) = Some((crash.message, path));
    }
}

fn message_of_hook(info: &PanicHookInfo<'_>) -> String {
    info.payload_as_str().unwrap_or("a panic without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_errors_with_their_words_whatever_is_thrown() {
        let check = |work: fn(), expected: &str| {
            let error = caught(work).unwrap_err();
            assert_eq!((error.message(), error.to_string().as_str()), (expected, expected));
        };
        check(|| panic!("a text"), "a text");
        check(|| panic!("number {}", 7), "number 7");
        check(|| std::panic::panic_any(7), "a panic without a message");
        check(|| assert!([1].contains(&2), "none"), "none");
        assert_eq!(caught(|| 5).unwrap(), 5);
        // Within each other.
        let outer = caught(|| caught(|| panic!("inner")).unwrap_err().message().to_owned());
        assert_eq!(outer.unwrap(), "inner");
    }
}
