//! How long work is told to stop and says how far it is. Knows neither threads nor windows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that asks long work to stop at the next safe place. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The latest state of long work; each value replaces the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, sentence case, e.g. `Detecting on training images`.
    pub what: String,
    pub done: u64,
    /// 0 while unknown.
    pub total: u64,
}
