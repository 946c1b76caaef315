//! Retries writing to a store that another program holds for a while, so that work of hours does not end for that.

use std::time::Duration;

use crate::domain::Cancel;
use crate::store::StoreError;

/// Each try waits as long as the store itself does: together some minutes.
const TRIES: u32 = 40;

/// Acts again as long as another program holds the database, and `tell`s so once. A cancel ends the waiting, and so does the last of
/// many tries: then the error comes back.
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

/// Rests between two of many transactions: somebody may wait to write a verdict, and who waits looks each millisecond.
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

    /// What came of it, the tries, and how often it was told.
    fn wait(
        cancel: &Cancel,
        mut act: impl FnMut(u32) -> Result<u32, StoreError>,
    ) -> (Result<u32, StoreError>, u32, u32) {
        let (mut tries, mut told) = (0, 0);
        let result = with_retries(
            cancel,
            |_| told += 1,
            || {
                tries += 1;
                act(tries)
            },
        );
        (result, tries, told)
    }

    #[test]
    fn a_held_database_is_waited_for_and_told_of_once() {
        let (result, tries, told) = wait(&Cancel::new(), |tried| if tried < 4 { Err(held()) } else { Ok(7) });
        assert_eq!((result.unwrap(), tries, told), (7, 4, 1));
    }

    #[test]
    fn other_errors_come_back_at_once_and_waiting_has_an_end() {
        let (result, tries, told) = wait(&Cancel::new(), |_| Err(StoreError::DiskFull("quarry.db".into())));
        assert!(matches!(result, Err(StoreError::DiskFull(_))));
        assert_eq!((tries, told), (1, 0));
        let (result, tries, told) = wait(&Cancel::new(), |_| Err(held()));
        assert!(matches!(result, Err(StoreError::Busy(_))));
        assert_eq!((tries, told), (TRIES, 1));
        let cancelled = Cancel::new();
        cancelled.cancel();
        assert_eq!(wait(&cancelled, |_| Err(held())).1, 1);
    }
}
