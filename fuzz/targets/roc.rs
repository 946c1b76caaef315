//! ROC files of others.
#![no_main]

use quarry::evaluation::roc_file::{ColumnOrder, parse};

libfuzzer_sys::fuzz_target!(|text: &str| {
    for order in [None, Some(ColumnOrder::RateFirst), Some(ColumnOrder::FalsePositivesFirst)] {
        let _ = parse(text, order);
    }
});
