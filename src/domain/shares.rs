//! Divides the review among annotators: which share each has, and which part is judged twice.

// Readers of outside bytes do not index: a file must not be able to panic them. Each exception says why it cannot.
#![deny(clippy::indexing_slicing, clippy::string_slice)]

use serde::{Deserialize, Serialize};

/// Who reviews, in equal shares. An image with all its candidates is in one share; of those that are judged twice, in two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    pub annotators: Vec<String>,
    /// Of the images, 0..=100.
    pub twice_percent: u8,
}

/// One of the shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// From 0.
    place: u64,
    /// 0: a share that holds nothing.
    of: u64,
    twice_percent: u64,
}

/// Annotators that a project can be shared among.
const MOST: usize = 1000;

impl Shares {
    /// Shares of these annotators; says what is wrong with the names or the percentage.
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

    /// An annotator's share; somebody who is not named has one that holds nothing.
    pub fn of(&self, annotator: &str) -> Share {
        let place = self.annotators.iter().position(|name| name == annotator);
        let of = if place.is_some() { self.annotators.len() } else { 0 };
        Share { place: place.unwrap_or(0) as u64, of: of as u64, twice_percent: u64::from(self.twice_percent) }
    }
}

impl Share {
    /// Of somebody to whom nothing was given.
    pub const NOTHING: Self = Self { place: 0, of: 0, twice_percent: 0 };

    /// Whether an image is in it. `mixed`: the image's number in the project, well mixed; the same in every copy of the project.
    pub fn holds(self, mixed: u64) -> bool {
        if self.of == 0 {
            return false;
        }
        let first = mixed % self.of;
        if first == self.place {
            return true;
        }
        // Parts of the number that the first share does not depend on.
        let is_twice = self.of > 1 && (mixed >> 40) % 100 < self.twice_percent;
        is_twice && (first + 1 + (mixed >> 20) % (self.of - 1)) % self.of == self.place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SplitMix64, as a source of well mixed numbers.
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
