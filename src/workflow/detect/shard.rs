//! One shard of an image list.

use std::fmt;
use std::str::FromStr;

/// Maximum number of shards per run.
const MOST_SHARDS: u32 = 100_000;

/// One of several equal parts of the images: every `of`-th, starting with the `number`-th.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard {
    /// From 1.
    pub number: u32,
    pub of: u32,
}

impl Shard {
    /// All images.
    pub(super) const ALL: Self = Self { number: 1, of: 1 };

    pub fn new(number: u32, of: u32) -> Option<Self> {
        (1..=of).contains(&number).then_some(Self { number, of }).filter(|_| of <= MOST_SHARDS)
    }

    /// Whether the image with this index (from 0) is in the shard.
    pub fn holds(self, place: usize) -> bool {
        place % self.of as usize == self.number as usize - 1
    }

    /// Returns the shard's file name with the prefix `what`. Names sort by number.
    pub(in crate::workflow) fn file_name(self, what: &str) -> String {
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
            format!(
                "`{text}` is not a shard: write NUMBER/COUNT, from 1/64 to 64/64 for 64 shards (at most {MOST_SHARDS})"
            )
        })
    }
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
    }
}
