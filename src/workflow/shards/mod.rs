//! Distributes detection over machines: each processes a shard of the images and writes one file, and the files are merged. Starting and
//! restarting the machines is left to a scheduler.

mod detect;
mod merge;
mod mine;
mod model;
mod together;

use std::path::PathBuf;

use serde::Serialize;

pub use self::detect::detect_shard;
pub use self::merge::{MergedDetections, ShardMergeReport, ShardMergeRequest, ShardMergeResult, merge};
pub use self::mine::mine_shard;
pub use self::model::mine_model_shard;

pub use super::detect::Shard;
use crate::domain::{shown_path, shown_paths};

/// The result of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShardReport {
    pub shard: u32,
    pub of: u32,
    pub images: usize,
    pub detections: usize,
    #[serde(serialize_with = "shown_paths")]
    pub unreadable: Vec<PathBuf>,
    /// The written file.
    #[serde(serialize_with = "shown_path")]
    pub out: PathBuf,
    /// A complete file of the same work already existed: nothing was done.
    pub was_done: bool,
}

/// Formats `1, 5 and 9 of 64`, with at most as many numbers as are readable.
fn numbers_in_words(numbers: &[u32], of: u32) -> String {
    const NAMED: usize = 20;
    let named: Vec<String> = numbers.iter().take(NAMED).map(u32::to_string).collect();
    let more = numbers.len().saturating_sub(NAMED);
    let named = named.join(", ");
    if more > 0 { format!("{named} and {more} more of {of}") } else { format!("{named} of {of}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_shards_are_named_as_far_as_can_be_read() {
        assert_eq!(numbers_in_words(&[3, 17], 64), "3, 17 of 64");
        assert_eq!(
            numbers_in_words(&(1..=25).collect::<Vec<_>>(), 64).split_once(" and "),
            Some(("1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20", "5 more of 64"))
        );
    }
}
