//! Which features lie at a small angle to an earlier one, without comparing all with all: hashing by random hyperplanes (Charikar
//! 2002). Must not know candidates.

use std::collections::HashMap;

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::domain::{ROI_FEATURE_LENGTH, RoiFeature};

const SEED: u64 = 0x6861_7368;
/// A pair at exactly the least cosine is missed with this chance, one at a larger cosine more rarely.
const MISSED: f64 = 0.01;
const TABLES_MAX: usize = 64;
/// Pairs of unrelated RoIs lie at about this cosine; tables are made so that few of them share a place.
const UNRELATED: f64 = 0.6;
/// Features that share a place by chance, about.
const CROWD: f64 = 32.0;

/// For each feature, in order, the first earlier one with a cosine of `least_cosine` or more that found none itself.
pub(super) fn first_alike(features: &[RoiFeature], least_cosine: f32) -> Vec<Option<usize>> {
    let planes = Hyperplanes::new(features.len(), f64::from(least_cosine));
    let keys: Vec<Vec<u32>> = features.par_iter().map(|feature| planes.keys(feature)).collect();
    let mut tables: Vec<HashMap<u32, Vec<usize>>> = vec![HashMap::new(); planes.tables];
    let mut first = Vec::with_capacity(features.len());
    for (place, keys) in keys.iter().enumerate() {
        let near = tables.iter().zip(keys).filter_map(|(table, key)| table.get(key)).flatten();
        let alike = near.filter(|known| least_cosine <= features[**known].cosine(&features[place])).min().copied();
        if alike.is_none() {
            for (table, key) in tables.iter_mut().zip(keys) {
                table.entry(*key).or_default().push(place);
            }
        }
        first.push(alike);
    }
    first
}

/// `tables` times `bits` planes through the origin, each with random signs as its normal.
struct Hyperplanes {
    tables: usize,
    bits: usize,
    normals: Vec<[i8; ROI_FEATURE_LENGTH]>,
}

impl Hyperplanes {
    fn new(count: usize, least_cosine: f64) -> Self {
        // The chance that both lie on the same side of a plane.
        let same = |cosine: f64| 1.0 - cosine.clamp(-1.0, 1.0).acos() / std::f64::consts::PI;
        let few = ((count as f64 / CROWD).max(1.0).ln() / -same(UNRELATED).ln()).ceil();
        // With more bits than this, the tables that there may be would miss too many.
        let sure = (1.0 - MISSED.powf(1.0 / TABLES_MAX as f64)).ln() / same(least_cosine).ln();
        let bits = few.min(sure.floor()).clamp(1.0, 24.0);
        let shared = same(least_cosine).powf(bits).min(1.0 - 1e-9);
        let tables = (MISSED.ln() / (1.0 - shared).ln()).ceil().clamp(1.0, TABLES_MAX as f64) as usize;
        let bits = bits as usize;
        let mut rng = ChaCha8Rng::seed_from_u64(SEED);
        let mut normal = || {
            let signs = [rng.next_u64(), rng.next_u64()];
            std::array::from_fn(|k| if signs[k / 64] >> (k % 64) & 1 == 1 { 1 } else { -1 })
        };
        Self { tables, bits, normals: (0..tables * bits).map(|_| normal()).collect() }
    }

    /// The feature's place in each table: a bit for each plane.
    fn keys(&self, feature: &RoiFeature) -> Vec<u32> {
        let side = |normal: &[i8; ROI_FEATURE_LENGTH]| {
            let dot: i32 = normal.iter().zip(feature.values()).map(|(n, v)| i32::from(*n) * i32::from(*v)).sum();
            u32::from(0 < dot)
        };
        let key = |normals: &[[i8; ROI_FEATURE_LENGTH]]| normals.iter().fold(0, |key, normal| key << 1 | side(normal));
        self.normals.chunks_exact(self.bits).map(key).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` features in families: members differ from their family's middle by noise of this size.
    fn families(count: usize, members: usize, noise: f32) -> Vec<RoiFeature> {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut value = || (rng.next_u32() as f32 / u32::MAX as f32 - 0.5) * 2.0;
        let middles: Vec<Vec<f32>> =
            (0..count.div_ceil(members)).map(|_| (0..ROI_FEATURE_LENGTH).map(|_| value() + 0.7).collect()).collect();
        // Members of a family stand far apart in the order.
        let middle = |k: usize| &middles[k % middles.len()];
        (0..count)
            .map(|k| RoiFeature::of(&middle(k).iter().map(|m| m + noise * value()).collect::<Vec<f32>>()).unwrap())
            .collect()
    }

    #[test]
    fn nearly_all_that_are_alike_are_found_and_nothing_else() {
        for (noise, least) in [(0.15, 0.95), (0.3, 0.9), (0.1, 0.98), (0.5, 0.8)] {
            let features = families(3000, 6, noise);
            let found = first_alike(&features, least);
            let (mut alike, mut missed) = (0, 0);
            for (place, first) in found.iter().enumerate() {
                if let Some(first) = first {
                    assert!(*first < place && found[*first].is_none(), "an earlier one that found none");
                    assert!(least <= features[*first].cosine(&features[place]));
                }
                let mut leaders = (0..place).filter(|k| found[*k].is_none());
                let expected = leaders.find(|k| least <= features[*k].cosine(&features[place]));
                alike += usize::from(expected.is_some());
                missed += usize::from(expected.is_some() && *first != expected);
            }
            assert!(1000 < alike, "{alike} at {least}: the test shows nothing");
            assert!(missed * 50 <= alike, "{missed} of {alike} missed at {least}");
        }
        assert!(first_alike(&[], 0.9).is_empty());
    }
}
