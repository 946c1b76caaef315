//! Detection split over machines: each works on a shard of the images and writes one file, and the files are merged. Who starts the
//! machines, and starts a failed one again, is a scheduler's business.

mod detect;
mod file;
mod merge;
mod mine;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;

pub use self::detect::detect_shard;
pub use self::merge::{MergedDetections, ShardMergeReport, ShardMergeRequest, ShardMergeResult, merge};
pub use self::mine::mine_shard;

use super::WorkflowError;
use crate::domain::{shown_path, shown_paths};

/// Shards that a run may be split into.
const MOST_SHARDS: u32 = 100_000;

/// One of several equal parts of the images: each `of`-th, from the `number`-th on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard {
    /// From 1.
    pub number: u32,
    pub of: u32,
}

/// What became of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ShardReport {
    pub shard: u32,
    pub of: u32,
    pub images: usize,
    pub detections: usize,
    #[serde(serialize_with = "shown_paths")]
    pub unreadable: Vec<PathBuf>,
    /// The file that was written.
    #[serde(serialize_with = "shown_path")]
    pub out: PathBuf,
    /// The file was there already, whole and of the same work: nothing was done.
    pub was_done: bool,
}

impl Shard {
    pub fn new(number: u32, of: u32) -> Option<Self> {
        (1..=of).contains(&number).then_some(Self { number, of }).filter(|_| of <= MOST_SHARDS)
    }

    /// Whether the image in this place (from 0) belongs to it.
    pub fn holds(self, place: usize) -> bool {
        place % self.of as usize == self.number as usize - 1
    }

    /// The name of the shard's file; `what` says whose it is. Names sort by number.
    fn file_name(self, what: &str) -> String {
        let width = self.of.to_string().len();
        format!("{what}-shard-{:0width$}-of-{}.jsonl", self.number, self.of)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        parts.and_then(|(number, of)| Self::new(number, of)).ok_or_else(|| {
            format!("`{text}` is no shard: write NUMBER/COUNT, the first of 64 as 1/64 and the last as 64/64 (at most {MOST_SHARDS})")
        })
    }
}

/// `1, 5 and 9 of 64`, at most as many as can be read.
fn numbers_in_words(numbers: &[u32], of: u32) -> String {
    const NAMED: usize = 20;
    let named: Vec<String> = numbers.iter().take(NAMED).map(u32::to_string).collect();
    let more = numbers.len().saturating_sub(NAMED);
    let named = named.join(", ");
    if more > 0 { format!("{named} and {more} more of {of}") } else { format!("{named} of {of}") }
}

/// A file that is no whole shard of the work at hand.
fn refused(path: &Path, what: impl fmt::Display) -> WorkflowError {
    WorkflowError::BadFile { path: path.to_path_buf(), reason: what.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_counted_from_one_and_part_the_images_evenly() {
        let check = |text: &str, expected: Option<(u32, u32)>| {
            let found = text.parse::<Shard>().ok().map(|shard| (shard.number, shard.of));
            assert_eq!(found, expected, "{text}");
        };
        check("1/64", Some((1, 64)));
        check("64/64", Some((64, 64)));
        check("1/1", Some((1, 1)));
        for bad in ["0/64", "65/64", "3", "3/", "/3", "-1/3", "a/b", "3/64/2", "1/4294967295", ""] {
            check(bad, None);
        }
        let shards: Vec<Shard> = (1..=7).filter_map(|number| Shard::new(number, 7)).collect();
        for place in 0..100 {
            assert_eq!(shards.iter().filter(|shard| shard.holds(place)).count(), 1);
        }
        let sizes: Vec<usize> =
            shards.iter().map(|shard| (0..100).filter(|place| shard.holds(*place)).count()).collect();
        assert!(sizes.iter().all(|size| (14..=15).contains(size)), "{sizes:?}");
        assert_eq!(Shard { number: 3, of: 64 }.file_name("round-1"), "round-1-shard-03-of-64.jsonl");
        assert_eq!(numbers_in_words(&[3, 17], 64), "3, 17 of 64");
        assert_eq!(
            numbers_in_words(&(1..=25).collect::<Vec<_>>(), 64).split_once(" and "),
            Some(("1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20", "5 more of 64"))
        );
    }
}
