//! Approximate search for similar feature vectors: features are listed under their nearest centre, and only the lists of the nearest
//! centres are searched ("inverted file", Jegou et al. 2011). A few pairs close to the threshold are missed; every pair found is checked.

use rand::SeedableRng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::domain::RoiFeature;

const SEED: u64 = 0x6861_7368;
/// Fewer features than this are compared exhaustively.
const PLAIN_MAX: usize = 2000;
const CENTRES_MAX: usize = 1024;
/// Number of lists per search.
const PROBES: usize = 16;

/// The nearest centres of a feature, nearest first.
pub(super) type Near = [u16; PROBES];

/// The centres under which features are listed.
pub(super) struct Centres(Vec<RoiFeature>);

impl Centres {
    /// Chooses centres for this many features.
    pub fn of(features: &[&RoiFeature]) -> Self {
        if features.len() <= PLAIN_MAX {
            return Self(Vec::new());
        }
        let count = (features.len() as f64).sqrt() as usize;
        let chosen = sample(&mut ChaCha8Rng::seed_from_u64(SEED), features.len(), count.min(CENTRES_MAX));
        Self(chosen.into_iter().map(|at| *features[at]).collect())
    }

    /// Returns the nearest centres of each feature.
    pub fn near(&self, features: &[&RoiFeature]) -> Vec<Near> {
        features.par_iter().map(|feature| self.nearest(feature)).collect()
    }

    fn nearest(&self, feature: &RoiFeature) -> Near {
        let mut nearest = [0; PROBES];
        let mut by_cosine: Vec<(f32, u16)> =
            self.0.iter().zip(0..).map(|(centre, at)| (feature.cosine(centre), at)).collect();
        if by_cosine.len() > PROBES {
            by_cosine.select_nth_unstable_by(PROBES, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            by_cosine[..PROBES].sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        }
        nearest.iter_mut().zip(&by_cosine).for_each(|(to, (_, at))| *to = *at);
        nearest
    }
}

/// Features with the number of the item that each belongs to.
pub(super) struct FeatureIndex {
    least_cosine: f32,
    lists: Vec<Vec<(RoiFeature, u32)>>,
}

impl FeatureIndex {
    pub fn new(centres: &Centres, least_cosine: f32) -> Self {
        Self { least_cosine, lists: vec![Vec::new(); centres.0.len().max(1)] }
    }

    pub fn insert(&mut self, feature: &RoiFeature, near: &Near, number: u32) {
        self.lists[usize::from(near[0])].push((*feature, number));
    }

    /// Removes an inserted feature.
    pub fn remove(&mut self, near: &Near, number: u32) {
        self.lists[usize::from(near[0])].retain(|known| known.1 != number);
    }

    /// Calls `found` with the number and cosine of each similar feature.
    pub fn near(&self, feature: &RoiFeature, near: &Near, mut found: impl FnMut(u32, f32)) {
        let lists = if self.lists.len() == 1 { &near[..1] } else { &near[..] };
        for list in lists {
            for (other, number) in &self.lists[usize::from(*list)] {
                let cosine = other.cosine(feature);
                if cosine >= self.least_cosine {
                    found(*number, cosine);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::RngCore;

    use super::*;
    use crate::domain::ROI_FEATURE_LENGTH;

    /// `count` features in families: members differ from their family's centre by noise of this size.
    fn families(count: usize, members: usize, noise: f32) -> Vec<RoiFeature> {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut value = || (rng.next_u32() as f32 / u32::MAX as f32 - 0.5) * 2.0;
        let middles: Vec<Vec<f32>> =
            (0..count.div_ceil(members)).map(|_| (0..ROI_FEATURE_LENGTH).map(|_| value() + 0.7).collect()).collect();
        // Members of a family are far apart in the order.
        let middle = |k: usize| &middles[k % middles.len()];
        (0..count)
            .map(|k| RoiFeature::of(&middle(k).iter().map(|m| m + noise * value()).collect::<Vec<f32>>()).unwrap())
            .collect()
    }

    #[test]
    fn nearly_all_that_are_alike_are_found_and_nothing_else() {
        for (noise, least) in [(0.15, 0.95), (0.3, 0.9), (0.1, 0.98), (0.5, 0.8)] {
            let features = families(3000, 6, noise);
            let features: Vec<&RoiFeature> = features.iter().collect();
            let centres = Centres::of(&features);
            let near = centres.near(&features);
            assert!(centres.0.len() > PROBES);
            let mut index = FeatureIndex::new(&centres, least);
            features.iter().zip(&near).zip(0..).for_each(|((feature, near), k)| index.insert(feature, near, k));
            let (mut alike, mut missed) = (0, 0);
            for at in (0..features.len()).step_by(31) {
                let mut found = Vec::new();
                index.near(features[at], &near[at], |number, cosine| {
                    assert_eq!(cosine, features[number as usize].cosine(features[at]));
                    assert!(cosine >= least);
                    found.push(number as usize);
                });
                let expected = (0..features.len()).filter(|k| features[*k].cosine(features[at]) >= least);
                for expected in expected {
                    alike += 1;
                    missed += usize::from(!found.contains(&expected));
                }
            }
            assert!(alike > 300, "{alike} at {least}: the test shows nothing");
            assert!(missed * 50 <= alike, "{missed} of {alike} missed at {least}");
        }
    }
}
