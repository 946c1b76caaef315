//! Samples the mini-batches of anchors and RoIs: the paper's procedure with hard negatives. Torch-free; all randomness comes from the given
//! generator.
//!
//! Invariant: an index is sampled at most once; ignored ones never.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::SamplerConfig;

/// The role of an anchor or RoI in training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Foreground,
    Background,
    /// Between the thresholds, or on an ignored region.
    Neither,
}

/// The sampled indices. Forced ones come first in the background.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Draw {
    pub foreground: Vec<usize>,
    pub background: Vec<usize>,
    pub forced: usize,
}

/// Counts those on an ignored region that are excluded from training: an object's are not.
pub(super) fn count_ignored(roles: &[Role], ignored: &[bool]) -> u64 {
    roles.iter().zip(ignored).filter(|&(role, &ignored)| ignored && *role == Role::Neither).count() as u64
}

/// The size of the mini-batch and its limits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quota {
    pub batch: usize,
    pub positive_fraction: f64,
    /// Maximum fraction of the mini-batch that is forced.
    pub forced_fraction: f64,
}

impl Quota {
    /// Returns the number of elements that may be forced if there are `foreground` ones to draw from.
    pub fn forced_room(self, foreground: usize) -> usize {
        let room = self.batch.saturating_sub(self.most_foreground().min(foreground));
        room.min((self.batch as f64 * self.forced_fraction) as usize)
    }

    fn most_foreground(self) -> usize {
        (self.batch as f64 * self.positive_fraction) as usize
    }
}

impl SamplerConfig {
    pub(super) fn roi_quota(&self) -> Quota {
        Quota {
            batch: self.batch_per_image,
            positive_fraction: self.positive_fraction,
            forced_fraction: self.forced_fraction,
        }
    }

    pub(super) fn rpn_quota(&self) -> Quota {
        Quota {
            batch: self.rpn_batch_per_image,
            positive_fraction: self.rpn_positive_fraction,
            forced_fraction: self.rpn_forced_fraction,
        }
    }
}

/// The indices available for random sampling, ascending.
#[derive(Debug, Clone, Default)]
pub(super) struct Pools {
    foreground: Vec<usize>,
    background: Vec<usize>,
}

impl Pools {
    pub fn of(roles: &[Role]) -> Self {
        let mut pools = Self::default();
        for (k, role) in roles.iter().enumerate() {
            match role {
                Role::Foreground => pools.foreground.push(k),
                Role::Background => pools.background.push(k),
                Role::Neither => {}
            }
        }
        pools
    }
}

/// [`draw_with`] without prioritised foreground.
pub(super) fn draw(roles: &[Role], pools: Pools, forced: &[usize], quota: Quota, rng: &mut ChaCha8Rng) -> Draw {
    draw_with(roles, pools, &[], forced, quota, rng)
}

/// Samples foreground up to its limit: the indices in `first` with this role in order, then others at random. The rest is background:
/// `forced` in order, up to its limit and the available room, then others at random. A forced index need not have the background role, but
/// never has the foreground role. `pools` belong to `roles`.
pub(super) fn draw_with(
    roles: &[Role],
    mut pools: Pools,
    first: &[usize],
    forced: &[usize],
    quota: Quota,
    rng: &mut ChaCha8Rng,
) -> Draw {
    let most = quota.most_foreground();
    let mut foreground: Vec<usize> =
        first.iter().copied().filter(|&k| roles[k] == Role::Foreground).take(most).collect();
    if !foreground.is_empty() {
        pools.foreground.retain(|k| !foreground.contains(k));
    }
    foreground.extend(choose(pools.foreground, most - foreground.len(), rng));
    let room = quota.batch.saturating_sub(foreground.len());
    let forced_room = quota.forced_room(foreground.len());
    let mut background = Vec::with_capacity(room.min(roles.len()));
    if !forced.is_empty() {
        let mut taken = vec![false; roles.len()];
        for &k in forced {
            if background.len() < forced_room && !taken[k] && roles[k] != Role::Foreground {
                taken[k] = true;
                background.push(k);
            }
        }
        pools.background.retain(|&k| !taken[k]);
    }
    let forced = background.len();
    background.extend(choose(pools.background, room - forced, rng));
    Draw { foreground, background, forced }
}

/// Samples `count` elements of `from` (all, if there are no more) at random, ascending.
fn choose(mut from: Vec<usize>, count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
    if from.len() <= count {
        return from;
    }
    let (chosen, _) = from.partial_shuffle(rng, count);
    chosen.sort_unstable();
    chosen.to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;
    use Role::{Background, Foreground, Neither};

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(7)
    }

    const PAPER: Quota = Quota { batch: 128, positive_fraction: 0.25, forced_fraction: 1.0 };

    #[test]
    fn the_ratio_is_three_to_one_when_there_is_enough_of_both() {
        let roles = [vec![Foreground; 100], vec![Background; 900]].concat();
        let drawn = draw(&roles, Pools::of(&roles), &[], PAPER, &mut rng());
        assert_eq!((drawn.foreground.len(), drawn.background.len(), drawn.forced), (32, 96, 0));
        let forced: Vec<usize> = (200..220).collect();
        let drawn = draw(&roles, Pools::of(&roles), &forced, PAPER, &mut rng());
        assert_eq!((drawn.foreground.len(), drawn.background.len(), drawn.forced), (32, 96, 20));
        assert_eq!(drawn.background[..20], forced);
    }

    #[test]
    fn an_image_without_faces_is_all_background() {
        let drawn = draw(&[Background; 300], Pools::of(&[Background; 300]), &[299], PAPER, &mut rng());
        assert_eq!((drawn.foreground.len(), drawn.background.len(), drawn.background[0]), (0, 128, 299));
        assert_eq!(draw(&[], Pools::default(), &[], PAPER, &mut rng()), Draw::default());
        assert_eq!(draw(&[Neither; 9], Pools::of(&[Neither; 9]), &[], PAPER, &mut rng()), Draw::default());
    }

    #[test]
    fn more_hard_negatives_than_room_keep_the_first() {
        let roles = [vec![Foreground; 40], vec![Background; 200]].concat();
        let forced: Vec<usize> = (100..240).collect();
        let drawn = draw(&roles, Pools::of(&roles), &forced, PAPER, &mut rng());
        assert_eq!(drawn.background, forced[..96]);
        assert_eq!(drawn.foreground.len(), 32);
    }

    #[test]
    fn forced_ones_keep_to_their_share() {
        let roles = [vec![Foreground; 40], vec![Background; 200]].concat();
        let forced: Vec<usize> = (100..240).collect();
        let check = |forced_fraction: f64, expected: usize| {
            let drawn = draw(&roles, Pools::of(&roles), &forced, Quota { forced_fraction, ..PAPER }, &mut rng());
            assert_eq!((drawn.forced, drawn.background.len()), (expected, 96), "{forced_fraction}");
            assert_eq!(drawn.background[..expected], forced[..expected]);
        };
        check(0.0, 0);
        check(0.25, 32);
        check(0.5, 64);
        check(1.0, 96);
    }

    #[test]
    fn what_comes_first_is_drawn_as_foreground_and_never_as_background() {
        let roles = [vec![Foreground; 100], vec![Background; 900]].concat();
        let drawn = draw_with(&roles, Pools::of(&roles), &[99, 500, 98], &[99, 700], PAPER, &mut rng());
        assert_eq!((drawn.foreground[..2].to_vec(), drawn.foreground.len()), (vec![99, 98], 32));
        assert_eq!((drawn.background[0], drawn.forced), (700, 1));
    }

    #[test]
    fn the_same_generator_draws_the_same() {
        let roles = [vec![Foreground; 100], vec![Background; 900]].concat();
        let (mut a, mut b) = (rng(), rng());
        assert_eq!(
            draw(&roles, Pools::of(&roles), &[500], PAPER, &mut a),
            draw(&roles, Pools::of(&roles), &[500], PAPER, &mut b)
        );
        assert_ne!(
            draw(&roles, Pools::of(&roles), &[500], PAPER, &mut a),
            draw(&roles, Pools::of(&roles), &[500], PAPER, &mut rng())
        );
    }

    fn role() -> impl Strategy<Value = Role> {
        prop_oneof![Just(Foreground), Just(Background), Just(Neither)]
    }

    proptest! {
        #[test]
        fn draws_keep_their_promises(roles in prop::collection::vec(role(), 0..400), picks in prop::collection::vec(0usize..400, 0..60), seed: u64) {
            let forced: Vec<usize> = picks.into_iter().filter(|&k| k < roles.len()).collect();
            let drawn = draw(&roles, Pools::of(&roles), &forced, PAPER, &mut ChaCha8Rng::seed_from_u64(seed));
            prop_assert!(drawn.foreground.len() <= 32 && drawn.foreground.len() + drawn.background.len() <= 128);
            prop_assert!(drawn.foreground.iter().all(|&k| roles[k] == Foreground));
            prop_assert!(drawn.background[drawn.forced..].iter().all(|&k| roles[k] == Background));
            prop_assert!(drawn.background[..drawn.forced].iter().all(|k| forced.contains(k) && roles[*k] != Foreground));
            let mut all = [drawn.foreground, drawn.background].concat();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            prop_assert_eq!(all.len(), count);
        }
    }
}
