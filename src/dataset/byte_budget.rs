//! Limits the bytes that several threads hold at once.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A byte budget shared by threads. A request that exceeds the free bytes waits; one that exceeds the total is granted alone.
pub(super) struct ByteBudget {
    limit: u64,
    used: Mutex<u64>,
    freed: Condvar,
}

/// Bytes taken from a budget, returned on drop.
pub(super) struct HeldBytes<'a> {
    budget: &'a ByteBudget,
    bytes: u64,
}

impl ByteBudget {
    pub fn new(limit: u64) -> Self {
        Self { limit, used: Mutex::new(0), freed: Condvar::new() }
    }

    /// Takes `bytes` from the budget, once they are free.
    pub fn take(&self, bytes: u64) -> HeldBytes<'_> {
        let mut used = self.used();
        while *used > 0 && *used + bytes > self.limit {
            used = self.freed.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        *used += bytes;
        HeldBytes { budget: self, bytes }
    }

    fn used(&self) -> MutexGuard<'_, u64> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HeldBytes<'_> {
    fn drop(&mut self) {
        *self.budget.used() -= self.bytes;
        self.budget.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_budget_is_kept_and_what_is_larger_than_it_is_taken_alone() {
        let budget = ByteBudget::new(100);
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        let alone = AtomicU64::new(0);
        thread::scope(|scope| {
            for k in 0..8_u64 {
                let (budget, now, most, alone) = (&budget, &now, &most, &alone);
                scope.spawn(move || {
                    for round in 0..40 {
                        let bytes = if (k + round) % 10 == 0 { 250 } else { 10 + 10 * ((k + round) % 5) };
                        let held = budget.take(bytes);
                        let seen = now.fetch_add(bytes, Ordering::SeqCst) + bytes;
                        if bytes > 100 {
                            alone.fetch_max(seen, Ordering::SeqCst);
                        } else {
                            most.fetch_max(seen, Ordering::SeqCst);
                        }
                        thread::yield_now();
                        now.fetch_sub(bytes, Ordering::SeqCst);
                        drop(held);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 100 && alone.into_inner() == 250);
        assert_eq!(*budget.used(), 0);
    }
}
