//! The reviewing speed.

use std::collections::VecDeque;

use crate::workflow::review::BREAK_MS;

/// Length of the time window for the current rate, in seconds.
const WINDOW_S: f64 = 120.0;
/// A longer gap is a break, not a decision.
const BREAK_S: f64 = BREAK_MS as f64 / 1000.0;

/// Times of the last verdicts.
#[derive(Debug, Clone, Default)]
pub struct Pace {
    times: VecDeque<f64>,
    given: u64,
}

impl Pace {
    /// Records `count` verdicts at `now_s`.
    pub fn record(&mut self, now_s: f64, count: usize) {
        for _ in 0..count {
            self.times.push_back(now_s);
        }
        self.given += count as u64;
        while self.times.front().is_some_and(|t| *t < now_s - WINDOW_S) || self.times.len() > 4096 {
            self.times.pop_front();
        }
    }

    /// Returns the number of verdicts in this session.
    pub fn given(&self) -> u64 {
        self.given
    }

    /// Returns verdicts per minute over the last two minutes without breaks; `None` before the third verdict.
    pub fn per_minute(&self) -> Option<f64> {
        let gaps = self.times.iter().zip(self.times.iter().skip(1)).map(|(a, b)| b - a).filter(|gap| *gap < BREAK_S);
        let (mut seconds, mut count) = (0.0, 0.0);
        for gap in gaps {
            seconds += gap;
            count += 1.0;
        }
        (count >= 2.0 && seconds > 0.0).then(|| count / seconds * 60.0)
    }

    /// Returns the minutes until `left` candidates are decided at this rate.
    pub fn minutes_left(&self, left: u64) -> Option<f64> {
        self.per_minute().map(|rate| left as f64 / rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_time_left_follow_the_recent_verdicts_without_breaks() {
        let mut pace = Pace::default();
        assert_eq!(pace.per_minute(), None);
        for second in [0.0, 2.0, 4.0, 104.0, 106.0] {
            pace.record(second, 1);
        }
        assert!((pace.per_minute().unwrap() - 30.0).abs() < 1e-9);
        assert!((pace.minutes_left(60).unwrap() - 2.0).abs() < 1e-9);
        pace.record(1000.0, 1);
        assert_eq!((pace.per_minute(), pace.given()), (None, 6));
    }
}
