//! Computes the speed of work and the time left from its progress and the elapsed time passed by the caller.

use std::time::{Duration, Instant};

use super::Progress;

/// Minimum time before a speed is computed.
const MEASURED_FROM: Duration = Duration::from_secs(1);

/// Tracks the progress of one job.
#[derive(Debug, Clone)]
pub struct Rate {
    what: String,
    begun: Instant,
    /// Progress when tracking started: a resumed job does not count what an earlier run did.
    first: u64,
    seen: Instant,
    done: u64,
    total: u64,
}

impl Rate {
    pub fn new(progress: &Progress, now: Instant) -> Self {
        let Progress { what, done, total } = progress;
        Self { what: what.clone(), begun: now, first: *done, seen: now, done: *done, total: *total }
    }

    /// Restarts when another job, or the same job from its start, is reported.
    pub fn follow(&mut self, progress: &Progress, now: Instant) {
        if self.what != progress.what || progress.done < self.done {
            *self = Self::new(progress, now);
        }
        (self.seen, self.done, self.total) = (now, progress.done, progress.total);
    }

    /// Returns items per second; `None` until known.
    pub fn per_second(&self) -> Option<f64> {
        let elapsed = self.seen.duration_since(self.begun);
        let done = self.done - self.first;
        (elapsed >= MEASURED_FROM && done > 0).then(|| done as f64 / elapsed.as_secs_f64())
    }

    /// Returns the seconds left; `None` until known, or if the total is unknown.
    pub fn seconds_left(&self) -> Option<f64> {
        let left = self.total.checked_sub(self.done)?;
        (self.total > 0).then_some(())?;
        Some(left as f64 / self.per_second()?)
    }

    /// Formats `4.2/s, 1:02:03 left`, or the known part of it.
    pub fn in_words(&self) -> String {
        let Some(each) = self.per_second() else { return String::new() };
        let each = if each < 10.0 { format!("{each:.2}/s") } else { format!("{each:.0}/s") };
        match self.seconds_left() {
            Some(left) => format!("{each}, {} left", clock(left)),
            None => each,
        }
    }
}

/// Formats `1:02:03` or `2:03`.
pub fn clock(seconds: f64) -> String {
    let s = seconds.max(0.0).round() as u64;
    if s >= 3600 {
        format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
    } else {
        format!("{}:{:02}", s / 60, s % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_from_what_was_done_since_it_was_followed() {
        let progress = |what: &str, done, total| Progress { what: what.to_owned(), done, total };
        let begun = Instant::now();
        let mut rate = Rate::new(&progress("Detecting", 100, 400), begun);
        let mut check = |seconds: f64, progress: Progress, expected: &str| {
            rate.follow(&progress, begun + Duration::from_secs_f64(seconds));
            assert_eq!(rate.in_words(), expected, "{progress:?}");
        };
        check(0.5, progress("Detecting", 101, 400), "");
        check(10.0, progress("Detecting", 120, 400), "2.00/s, 2:20 left");
        check(20.0, progress("Detecting", 400, 400), "15/s, 0:00 left");
        check(21.0, progress("Looking", 3, 0), "");
        check(31.0, progress("Looking", 8, 0), "0.50/s");
        check(32.0, progress("Looking", 0, 9000), "");
        check(33.0, progress("Looking", 1, 9000), "1.00/s, 2:29:59 left");
        check(34.0, progress("Looking", 9001, 9000), "4500/s");
    }
}
