//! Turns panics into job errors with a crash report, or without one where libtorch or a decoder reports errors by panicking.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::crash_report::{self, Crash};
use super::printable_path;

thread_local! {
    /// Nesting depth of `caught` in this thread.
    static CAUGHT: Cell<u32> = const { Cell::new(0) };
    /// This thread's last panic as recorded by the hook.
    static LAST: RefCell<Option<Box<Crash>>> = const { RefCell::new(None) };
}

/// The last panic reported by a thread outside [`caught`], so that a propagated panic (rayon does this) is not reported twice.
static REPORTED: Mutex<Option<(String, PathBuf)>> = Mutex::new(None);

/// A panic that was caught.
#[derive(Debug)]
pub struct Panic {
    message: String,
    crash: Option<Box<Crash>>,
}

impl Panic {
    /// Returns the panic message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// For a bug: writes the backtrace to the log and a crash report, and returns a message with the report's path.
    #[must_use]
    pub fn reported(self) -> String {
        let message = self.message.clone();
        self.reported_as(&message)
    }

    /// [`Panic::reported`] with a custom message.
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

/// Runs `work` and turns a panic into an error. The caller must discard anything that `work` left half changed.
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

/// From now on every panic leaves a backtrace: via [`Panic::reported`] if it is caught, otherwise at once in the log and a crash report in
/// `folder`. `program` is a short name of the running program.
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
        // Nested.
        let outer = caught(|| caught(|| panic!("inner")).unwrap_err().message().to_owned());
        assert_eq!(outer.unwrap(), "inner");
    }
}
