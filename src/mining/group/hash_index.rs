//! Exact search for hashes within a Hamming distance: multi-index hashing (Norouzi, Punjani, Fleet 2014).
//!
//! A hash is split into four 16-bit chunks. For two hashes within distance `4 q + a` (`a` in 0..4), one of the first `a + 1` chunks differs
//! in at most `q` bits or one of the others in fewer than `q`, so only buckets that near are searched. A search never needs more
//! comparisons than there are hashes.

use std::sync::OnceLock;

use rayon::prelude::*;

const CHUNKS: usize = 4;
const CHUNK_BITS: u32 = 16;
const BUCKETS: usize = 1 << CHUNK_BITS;
/// With fewer hashes per bucket to probe, all are compared exhaustively.
const PLAIN_PER_PROBE: usize = 8;

/// Hashes with the number of the item that each belongs to.
pub(super) struct HashIndex {
    most_distance: u32,
    all: Vec<(u64, u32)>,
    /// By chunk and its value; empty while there are few enough hashes to compare all.
    tables: Vec<Vec<(u64, u32)>>,
    /// The initial entries of each chunk; removal does not affect them.
    filled: Vec<Filled>,
    probes: usize,
}

impl HashIndex {
    pub fn new(most_distance: u32) -> Self {
        let probes = (0..CHUNKS).map(|chunk| masks(radius(most_distance, chunk)).len()).sum();
        Self { most_distance, all: Vec::new(), tables: Vec::new(), filled: Vec::new(), probes }
    }

    /// Inserts all of these at once. Callers skip entries that were removed since.
    pub fn fill(&mut self, hashes: Vec<(u64, u32)>) {
        if hashes.len() <= self.probes * PLAIN_PER_PROBE {
            for (hash, number) in hashes {
                self.insert(hash, number);
            }
        } else {
            self.filled = (0..CHUNKS).into_par_iter().map(|chunk| Filled::new(&hashes, chunk)).collect();
        }
    }

    pub fn insert(&mut self, hash: u64, number: u32) {
        self.all.push((hash, number));
        if !self.tables.is_empty() {
            self.put(hash, number);
        } else if self.all.len() > self.probes * PLAIN_PER_PROBE {
            self.tables = vec![Vec::new(); CHUNKS * BUCKETS];
            for (hash, number) in self.all.clone() {
                self.put(hash, number);
            }
        }
    }

    /// Removes an inserted hash.
    pub fn remove(&mut self, hash: u64, number: u32) {
        if self.tables.is_empty() {
            self.all.retain(|known| *known != (hash, number));
            return;
        }
        for chunk in 0..CHUNKS {
            self.tables[bucket(chunk, value(hash, chunk))].retain(|known| *known != (hash, number));
        }
    }

    /// Calls `found` with the number and distance of every hash that is near enough, some more than once.
    pub fn near(&self, hash: u64, mut found: impl FnMut(u32, u32)) {
        let mut look = |known: &[(u64, u32)]| {
            for (other, number) in known {
                let distance = (other ^ hash).count_ones();
                if distance <= self.most_distance {
                    found(*number, distance);
                }
            }
        };
        if self.tables.is_empty() {
            look(&self.all);
        }
        if self.tables.is_empty() && self.filled.is_empty() {
            return;
        }
        for chunk in 0..CHUNKS {
            let own = value(hash, chunk);
            for mask in masks(radius(self.most_distance, chunk)) {
                if let Some(filled) = self.filled.get(chunk) {
                    look(filled.bucket(own ^ mask));
                }
                if let Some(more) = self.tables.get(bucket(chunk, own ^ mask)) {
                    look(more);
                }
            }
        }
    }

    fn put(&mut self, hash: u64, number: u32) {
        for chunk in 0..CHUNKS {
            self.tables[bucket(chunk, value(hash, chunk))].push((hash, number));
        }
    }
}

/// Hashes by the value of one of their chunks, bucket by bucket.
struct Filled {
    /// The start index of each bucket, and the end of the last.
    begins: Vec<u32>,
    hashes: Vec<(u64, u32)>,
}

impl Filled {
    fn new(hashes: &[(u64, u32)], chunk: usize) -> Self {
        let mut begins = vec![0_u32; BUCKETS + 1];
        for (hash, _) in hashes {
            begins[usize::from(value(*hash, chunk)) + 1] += 1;
        }
        for at in 0..BUCKETS {
            begins[at + 1] += begins[at];
        }
        let (mut next, mut sorted) = (begins.clone(), vec![(0, 0); hashes.len()]);
        for (hash, number) in hashes {
            let place = &mut next[usize::from(value(*hash, chunk))];
            sorted[*place as usize] = (*hash, *number);
            *place += 1;
        }
        Self { begins, hashes: sorted }
    }

    fn bucket(&self, value: u16) -> &[(u64, u32)] {
        let value = usize::from(value);
        &self.hashes[self.begins[value] as usize..self.begins[value + 1] as usize]
    }
}

fn bucket(chunk: usize, value: u16) -> usize {
    chunk * BUCKETS + usize::from(value)
}

/// Number of bits in which a chunk may differ; `None`: it need not be searched.
fn radius(most_distance: u32, chunk: usize) -> Option<u32> {
    let (q, a) = (most_distance / CHUNKS as u32, most_distance as usize % CHUNKS);
    if chunk <= a { Some(q) } else { q.checked_sub(1) }
}

/// Takes every fourth bit of the hash: neighbouring bits of a perceptual hash are correlated and would crowd few buckets.
fn value(hash: u64, chunk: usize) -> u16 {
    let mut bits = hash >> chunk & 0x1111_1111_1111_1111;
    for (shift, mask) in [
        (3, 0x0303_0303_0303_0303),
        (6, 0x000f_000f_000f_000f),
        (12, 0x0000_00ff_0000_00ff),
        (24, 0x0000_0000_0000_ffff_u64),
    ] {
        bits = (bits | bits >> shift) & mask;
    }
    bits as u16
}

/// Returns all chunks with up to this many bits set, fewest first.
fn masks(radius: Option<u32>) -> &'static [u16] {
    static BY_BITS: OnceLock<(Vec<u16>, [usize; 17])> = OnceLock::new();
    let (all, up_to) = BY_BITS.get_or_init(|| {
        let mut all: Vec<u16> = (0..=u16::MAX).collect();
        all.sort_by_key(|mask| (mask.count_ones(), *mask));
        let up_to = std::array::from_fn(|bits| all.partition_point(|mask| mask.count_ones() <= bits as u32));
        (all, up_to)
    });
    match radius {
        Some(radius) => &all[..up_to[(radius as usize).min(16)]],
        None => &[],
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn chunks_hold_each_bit_once() {
        let mut seen = vec![0; CHUNKS * CHUNK_BITS as usize];
        for bit in 0..64 {
            for chunk in 0..CHUNKS {
                let value = value(1 << bit, chunk);
                if value != 0 {
                    assert_eq!(value.count_ones(), 1);
                    seen[chunk * CHUNK_BITS as usize + value.trailing_zeros() as usize] += 1;
                }
            }
        }
        assert!(seen.iter().all(|count| *count == 1), "{seen:?}");
    }

    #[test]
    fn all_that_is_near_is_found_and_nothing_else() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let middles: Vec<u64> = (0..40).map(|_| rng.random()).collect();
        let hashes: Vec<u64> = (0..6000)
            .map(|k| {
                let flips = rng.random_range(0..20);
                (0..flips).fold(middles[k % 40], |hash, _| hash ^ 1 << rng.random_range(0..64_u32))
            })
            .collect();
        for most in [0, 1, 2, 3, 4, 6, 7, 8, 10] {
            // All one by one; then most at once and the rest one by one.
            for at_once in [0, 4000] {
                let mut index = HashIndex::new(most);
                index.fill((0..).zip(&hashes).take(at_once).map(|(k, hash)| (*hash, k)).collect());
                (0..).zip(&hashes).skip(at_once).for_each(|(k, hash)| index.insert(*hash, k));
                for gone in [17_u32, 4711] {
                    index.remove(hashes[gone as usize], gone);
                }
                if at_once == 0 {
                    assert_eq!(index.tables.is_empty(), index.all.len() <= index.probes * PLAIN_PER_PROBE);
                }
                finds_all(&hashes, &index, most, index.filled.is_empty());
            }
        }
    }

    /// `forgets`: removed entries are not found.
    fn finds_all(hashes: &[u64], index: &HashIndex, most: u32, forgets: bool) {
        let gone: &[usize] = if forgets { &[17, 4711] } else { &[4711] };
        {
            for (k, hash) in hashes.iter().enumerate().step_by(97) {
                let mut found: Vec<u32> = Vec::new();
                index.near(*hash, |number, distance| {
                    assert_eq!(distance, (hashes[number as usize] ^ hash).count_ones());
                    found.push(number);
                });
                found.sort_unstable();
                found.dedup();
                let near = |other: &usize| (hashes[*other] ^ hash).count_ones() <= most && !gone.contains(other);
                let expected: Vec<u32> = (0..hashes.len()).filter(near).map(|other| other as u32).collect();
                assert_eq!(found, expected, "{k} at {most}");
            }
        }
    }
}
