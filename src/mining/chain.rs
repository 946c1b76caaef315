//! Orders crops by their perceptual hashes so that similar ones are neighbours.

/// Below this number, each pair is compared.
const PAIRWISE_MAX: usize = 64;

/// Returns the indices of `hashes` as a chain that starts with the first and continues to hashes that differ in few bits. The nearer half
/// of the rest is put before the farther half, recursively, until few are left, which are ordered by nearest neighbour: n log n
/// comparisons, where always taking the nearest would need n squared.
pub fn similarity_chain(hashes: &[u64]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..hashes.len()).collect();
    if let Some(first) = hashes.first() {
        arrange(hashes, &mut places, *first);
    }
    places
}

/// Orders `places`, starting near `from`; returns the last hash.
fn arrange(hashes: &[u64], places: &mut [usize], from: u64) -> u64 {
    // On ties the earlier one comes first.
    let nearness = |place: usize, from: u64| ((hashes[place] ^ from).count_ones(), place);
    if places.len() > PAIRWISE_MAX {
        let half = places.len() / 2;
        places.select_nth_unstable_by_key(half, |place| nearness(*place, from));
        let (near, far) = places.split_at_mut(half);
        let end = arrange(hashes, near, from);
        return arrange(hashes, far, end);
    }
    let mut end = from;
    for next in 0..places.len() {
        let nearest = (next..places.len()).min_by_key(|k| nearness(places[*k], end)).unwrap_or(next);
        places.swap(next, nearest);
        end = hashes[places[next]];
    }
    end
}

#[cfg(test)]
mod tests {
    use rand::seq::SliceRandom;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn every_place_comes_once_and_the_first_first() {
        for count in [0, 1, 2, PAIRWISE_MAX, PAIRWISE_MAX + 1, 1000] {
            let mut rng = ChaCha8Rng::seed_from_u64(count as u64);
            let hashes: Vec<u64> = (0..count).map(|_| rng.random()).collect();
            let mut chain = similarity_chain(&hashes);
            assert_eq!(chain.first().copied(), (count > 0).then_some(0));
            chain.sort_unstable();
            assert_eq!(chain, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn images_of_one_kind_follow_each_other() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let kinds: Vec<u64> = (0..6).map(|_| rng.random()).collect();
        let mut pictures: Vec<(usize, u64)> = (0..600)
            .map(|k| {
                let flipped = (0..3).fold(0, |bits, _| bits | 1 << rng.random_range(0..64_u32));
                (k % kinds.len(), kinds[k % kinds.len()] ^ flipped)
            })
            .collect();
        pictures.shuffle(&mut rng);
        let hashes: Vec<u64> = pictures.iter().map(|(_, hash)| *hash).collect();
        let chain = similarity_chain(&hashes);
        let changes = chain.windows(2).filter(|pair| pictures[pair[0]].0 != pictures[pair[1]].0).count();
        // At best 5; unordered some 500.
        assert!(changes <= 12, "{changes} changes of kind");
    }
}
