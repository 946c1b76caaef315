//! Retries with backoff while another program holds the database, so that long-running work does not fail.

use std::time::Duration;

use crate::domain::Cancel;
use crate::store::StoreError;

/// Each attempt waits as long as the store itself: together some minutes.
const TRIES: u32 = 40;

/// Retries while another program holds the database, and reports so once with `tell`. A cancel or the last attempt returns the error.
pub(super) fn with_retries<T>(
    cancel: &Cancel,
    mut tell: impl FnMut(String),
    mut act: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut tried = 0;
    loop {
        tried += 1;
        match act() {
            Err(error @ StoreError::Busy(_)) if tried < TRIES && !cancel.is_cancelled() => {
                if tried == 1 {
                    tell(format!("{error}. Retrying"));
                }
            }
            result => return result,
        }
    }
}

/// Pauses between transactions: a writer of a verdict may be waiting, polling every millisecond.
pub(super) fn let_verdicts_go_first() {
    std::thread::sleep(REST);
}

const REST: Duration = Duration::from_millis(3);

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> StoreError {
        StoreError::Busy("quarry.db".into())
    }

    /// Returns the result, the number of attempts, and how often it was reported.
    fn wait(
        cancel: &Cancel,
        mut act: impl FnMut(u32) -> Result<u32, StoreError>,
    ) -> (Result<u32, StoreError>, u32, u32) {
        let (mut tries, mut reports) = (0, 0);
        let result = with_retries(
            cancel,
            |_| reports += 1,
            || {
                tries += 1;
                act(tries)
            },
        );
        (result, tries, reports)
    }

    #[test]
    fn a_held_database_is_waited_for_and_told_of_once() {
        let (result, tries, reports) = wait(&Cancel::new(), |tried| if tried < 4 { Err(held()) } else { Ok(7) });
        assert_eq!((result.unwrap(), tries, reports), (7, 4, 1));
    }

    #[test]
    fn other_errors_come_back_at_once_and_waiting_has_an_end() {
        let (result, tries, reports) = wait(&Cancel::new(), |_| Err(StoreError::DiskFull("quarry.db".into())));
        assert!(matches!(result, Err(StoreError::DiskFull(_))));
        assert_eq!((tries, reports), (1, 0));
        let (result, tries, reports) = wait(&Cancel::new(), |_| Err(held()));
        assert!(matches!(result, Err(StoreError::Busy(_))));
        assert_eq!((tries, reports), (TRIES, 1));
        let cancelled = Cancel::new();
        cancelled.cancel();
        assert_eq!(wait(&cancelled, |_| Err(held())).1, 1);
    }
}
