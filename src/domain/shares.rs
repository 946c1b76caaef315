//! Divides a review among annotators: each one's share, and the part that two annotators review.

// Parsers of untrusted input do not index: no file may cause a panic. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use serde::{Deserialize, Serialize};

/// The annotators, with equal shares. An image with all its candidates is in one share, or in two if it is reviewed twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    pub annotators: Vec<String>,
    /// Percentage of images reviewed twice, 0..=100.
    pub twice_percent: u8,
}

/// One annotator's share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Index from 0.
    place: u64,
    /// Number of shares; 0 for an empty share.
    of: u64,
    twice_percent: u64,
}

/// Maximum number of annotators that share a project.
const MOST: usize = 1000;

impl Shares {
    /// Creates shares for these annotators; the error says what is wrong with the names or the percentage.
    pub fn new(annotators: &[String], twice_percent: u8) -> Result<Self, String> {
        let annotators: Vec<String> = annotators.iter().map(|name| name.trim().to_owned()).collect();
        if annotators.is_empty() || annotators.len() > MOST {
            return Err(format!("name 1 to {MOST} annotators"));
        }
        if annotators.iter().any(String::is_empty) {
            return Err("an annotator has no name".to_owned());
        }
        if let Some((_, twin)) =
            annotators.iter().enumerate().find(|(at, name)| annotators.iter().take(*at).any(|other| other == *name))
        {
            return Err(format!("{twin} is named twice"));
        }
        if twice_percent > 100 {
            return Err("at most 100 % can be judged twice".to_owned());
        }
        if twice_percent > 0 && annotators.len() < 2 {
            return Err("what is judged twice needs two annotators".to_owned());
        }
        Ok(Self { annotators, twice_percent })
    }

    /// Returns an annotator's share; empty for an annotator who is not listed.
    pub fn of(&self, annotator: &str) -> Share {
        let place = self.annotators.iter().position(|name| name == annotator);
        let of = if place.is_some() { self.annotators.len() } else { 0 };
        Share { place: place.unwrap_or(0) as u64, of: of as u64, twice_percent: u64::from(self.twice_percent) }
    }
}

impl Share {
    /// The empty share.
    pub const NOTHING: Self = Self { place: 0, of: 0, twice_percent: 0 };

    /// Whether the share contains an image. `mixed` is a hash of the image's number, the same in every copy of the project.
    pub fn holds(self, mixed: u64) -> bool {
        if self.of == 0 {
            return false;
        }
        let first = mixed % self.of;
        if first == self.place {
            return true;
        }
        // Bits that do not affect the first share.
        let is_twice = self.of > 1 && (mixed >> 40) % 100 < self.twice_percent;
        is_twice && (first + 1 + (mixed >> 20) % (self.of - 1)) % self.of == self.place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64 as a hash function.
    fn mixed(id: u64) -> u64 {
        let mut z = id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("annotator {n}")).collect()
    }

    #[test]
    fn every_image_is_in_one_share_or_in_two_and_shares_are_alike_in_size() {
        for (count, twice) in [(1, 0), (2, 0), (2, 10), (2, 100), (3, 25), (7, 50)] {
            let shares = Shares::new(&names(count), twice).unwrap();
            let all: Vec<Share> = shares.annotators.iter().map(|name| shares.of(name)).collect();
            let (mut sizes, mut in_two) = (vec![0_u32; count], 0_u32);
            for id in 1..=20_000 {
                let held: Vec<usize> = (0..count).filter(|place| all[*place].holds(mixed(id))).collect();
                assert!(held.len() == 1 || held.len() == 2, "{count} {twice} {id}: {held:?}");
                in_two += u32::from(held.len() == 2);
                for place in held {
                    sizes[place] += 1;
                }
            }
            let share = f64::from(in_two) / 200.0;
            assert!((share - f64::from(twice)).abs() < 1.5, "{count} {twice}: {share} %");
            let even = (20_000.0 + f64::from(in_two)) / count as f64;
            assert!(sizes.iter().all(|size| (f64::from(*size) / even - 1.0).abs() < 0.06), "{sizes:?}");
        }
    }

    #[test]
    fn what_cannot_be_shared_is_refused_and_strangers_have_nothing() {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        for (names, twice, part) in [
            (list(&[]), 0, "1 to 1000"),
            (list(&["Ada", " "]), 0, "no name"),
            (list(&["Ada", "Ben", " Ada"]), 0, "Ada is named twice"),
            (list(&["Ada", "Ben"]), 101, "100 %"),
            (list(&["Ada"]), 10, "two annotators"),
        ] {
            assert!(Shares::new(&names, twice).unwrap_err().contains(part), "{part}");
        }
        let shares = Shares::new(&list(&["Ada", "Ben"]), 100).unwrap();
        assert!((1..100).all(|id| !shares.of("Cem").holds(mixed(id)) && shares.of("Ben").holds(mixed(id))));
    }
}
