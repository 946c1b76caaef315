//! The order of images and their flips: depends only on the seed and the position, not on thread timing or interruptions.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Independent random streams derived from the round's seed.
const ORDER_STREAM: u64 = 1 << 32;
const FLIP_STREAM: u64 = 2 << 32;
const STEP_STREAM: u64 = 3 << 32;
const SCALE_STREAM: u64 = 4 << 32;
const MINING_STREAM: u64 = 5 << 32;

/// One position in the infinite image sequence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slot {
    pub position: u64,
    pub epoch: u64,
    /// Index into the round's images.
    pub image: usize,
    pub flip: bool,
    /// Scale factor of the shorter side.
    pub scale: f64,
}

/// The sequence: each epoch contains every image once, in a random order of its own.
#[derive(Debug, Clone)]
pub struct Order {
    seed: u64,
    flip: f64,
    scale_jitter: f64,
    epoch: u64,
    permutation: Vec<usize>,
}

impl Order {
    /// `images` is at least 1; `flip` is the probability of mirroring; scales are log-uniform in 1 / (1 + `scale_jitter`) to 1 +
    /// `scale_jitter`.
    pub fn new(seed: u64, images: usize, flip: f64, scale_jitter: f64) -> Self {
        Self { seed, flip, scale_jitter, epoch: 0, permutation: permutation(seed, 0, images) }
    }

    pub fn slot(&mut self, position: u64) -> Slot {
        let images = self.permutation.len();
        let epoch = position / images as u64;
        if epoch != self.epoch {
            self.permutation = permutation(self.seed, epoch, images);
            self.epoch = epoch;
        }
        let image = self.permutation[(position % images as u64) as usize];
        let flip = stream(self.seed, FLIP_STREAM + epoch, image as u64).random_bool(self.flip);
        let most = (1.0 + self.scale_jitter).ln();
        let scale = if most == 0.0 {
            1.0
        } else {
            stream(self.seed, SCALE_STREAM + epoch, image as u64).random_range(-most..=most).exp()
        };
        Slot { position, epoch, image, flip, scale }
    }
}

/// Returns the random generator for one mini-batch's samplers.
pub(super) fn batch_rng(seed: u64, step: u64, mini_batch: u32) -> ChaCha8Rng {
    stream(seed, STEP_STREAM + u64::from(mini_batch), step)
}

/// Returns the random generator that draws the images to mine after `step` steps.
pub(super) fn mining_rng(seed: u64, step: u64) -> ChaCha8Rng {
    stream(seed, MINING_STREAM, step)
}

fn permutation(seed: u64, epoch: u64, images: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..images).collect();
    order.shuffle(&mut stream(seed, ORDER_STREAM, epoch));
    order
}

/// Returns a generator seeded by all three numbers.
fn stream(seed: u64, stream: u64, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, value) in key.chunks_exact_mut(8).zip([seed, stream, index, 0x7175_6172_7279]) {
        bytes.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_epoch_shows_every_image_once_in_its_own_order() {
        let mut order = Order::new(7, 50, 0.5, 0.0);
        let epoch =
            |order: &mut Order, e: u64| -> Vec<usize> { (0..50).map(|k| order.slot(e * 50 + k).image).collect() };
        let (first, second) = (epoch(&mut order, 0), epoch(&mut order, 1));
        let mut sorted = second.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
        assert_ne!(first, second);
        assert_eq!(epoch(&mut order, 0), first, "going back gives the same");
    }

    #[test]
    fn any_position_is_reached_without_those_before_it() {
        let walked: Vec<Slot> = {
            let mut order = Order::new(3, 7, 0.5, 0.25);
            (0..40).map(|p| order.slot(p)).collect()
        };
        assert_eq!(Order::new(3, 7, 0.5, 0.25).slot(33), walked[33]);
        let flips = walked.iter().filter(|slot| slot.flip).count();
        assert!((8..=32).contains(&flips), "{flips} of 40");
        assert_ne!(Order::new(4, 7, 0.5, 0.25).slot(33), walked[33]);
        let mut plain = Order::new(3, 7, 0.0, 0.0);
        assert!((0..40).map(|p| plain.slot(p)).all(|slot| !slot.flip && slot.scale == 1.0));
        let scales: Vec<f64> = walked.iter().map(|slot| slot.scale).collect();
        assert!(scales.iter().all(|s| (0.8..=1.25).contains(s)), "{scales:?}");
        assert!(scales.iter().any(|&s| s < 0.95) && scales.iter().any(|&s| s > 1.05), "{scales:?}");
    }
}
