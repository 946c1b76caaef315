//! The order of images and their flips: depends only on the seed, the position and the images' shapes, not on thread timing or
//! interruptions.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Independent random streams derived from the round's seed.
const ORDER_STREAM: u64 = 1 << 32;
const FLIP_STREAM: u64 = 2 << 32;
const STEP_STREAM: u64 = 3 << 32;
const SCALE_STREAM: u64 = 4 << 32;
const MINING_STREAM: u64 = 5 << 32;
const BATCH_STREAM: u64 = 6 << 32;

/// Number of batches among which images are grouped by shape. A batch is padded to its largest width and height: on FDDB at 600 pixels this
/// leaves 1.07 times the images' own pixels in batches of eight, where batches drawn at random have 1.70 times as many.
const BATCHES_OF_A_SPAN: u64 = 16;

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

/// The sequence: each epoch contains every image once, in a random order of its own, in which images of similar shape share a batch.
#[derive(Debug, Clone)]
pub struct Order {
    seed: u64,
    flip: f64,
    scale_jitter: f64,
    epoch: u64,
    permutation: Vec<usize>,
    /// 1: images are not grouped.
    batch: u64,
    /// Width / height of each image.
    aspects: Vec<f32>,
    /// The first position of the grouped span at hand, and its positions in the ungrouped sequence.
    span: (u64, Vec<u64>),
}

impl Order {
    /// Of at least one image with these (width, height), all 0 if unknown: then images are not grouped. `flip` is the probability of
    /// mirroring; scales are log-uniform in 1 / (1 + `scale_jitter`) to 1 + `scale_jitter`; batches of `batch` images begin at its multiples.
    pub fn new(seed: u64, sizes: &[(u32, u32)], flip: f64, scale_jitter: f64, batch: u32) -> Self {
        let aspects = sizes.iter().map(|&(width, height)| width as f32 / height as f32).collect();
        let permutation = permutation(seed, 0, sizes.len());
        let is_known = sizes.iter().any(|&size| size != (0, 0));
        let (batch, span) = (if is_known { u64::from(batch.max(1)) } else { 1 }, (0, Vec::new()));
        Self { seed, flip, scale_jitter, epoch: 0, permutation, batch, aspects, span }
    }

    /// Returns the number of images that are grouped.
    pub fn batch(&self) -> u32 {
        self.batch as u32
    }

    pub fn slot(&mut self, position: u64) -> Slot {
        let at = self.ungrouped(position);
        let (epoch, image) = self.image(at);
        let flip = stream(self.seed, FLIP_STREAM + epoch, image as u64).random_bool(self.flip);
        let most = (1.0 + self.scale_jitter).ln();
        let scale = if most == 0.0 {
            1.0
        } else {
            stream(self.seed, SCALE_STREAM + epoch, image as u64).random_range(-most..=most).exp()
        };
        Slot { position, epoch, image, flip, scale }
    }

    /// Returns the epoch and the image at a position of the ungrouped sequence.
    fn image(&mut self, position: u64) -> (u64, usize) {
        let images = self.permutation.len();
        let epoch = position / images as u64;
        if epoch != self.epoch {
            self.permutation = permutation(self.seed, epoch, images);
            self.epoch = epoch;
        }
        (epoch, self.permutation[(position % images as u64) as usize])
    }

    /// Returns the position in the ungrouped sequence whose image is shown at `position`.
    fn ungrouped(&mut self, position: u64) -> u64 {
        let images = self.permutation.len() as u64;
        // The whole batches of the epoch: one that it shares with its neighbour stays as it is.
        let start = position / images * images;
        let (first, end) = (start.next_multiple_of(self.batch), (start + images) / self.batch * self.batch);
        if self.batch == 1 || position < first || end <= position {
            return position;
        }
        let length = BATCHES_OF_A_SPAN * self.batch;
        let from = first + (position - first) / length * length;
        if self.span.1.is_empty() || self.span.0 != from {
            self.span = (from, self.grouped(from, end.min(from + length)));
        }
        self.span.1[(position - from) as usize]
    }

    /// Returns the positions from `from` to before `to`, whole batches of one epoch, so that images of similar shape share a batch, in a
    /// random order of the batches.
    fn grouped(&mut self, from: u64, to: u64) -> Vec<u64> {
        let mut shaped_at = |at| {
            let (_, image) = self.image(at);
            (self.aspects[image], at)
        };
        let mut shaped: Vec<(f32, u64)> = (from..to).map(&mut shaped_at).collect();
        shaped.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut batches: Vec<&[(f32, u64)]> = shaped.chunks(self.batch as usize).collect();
        batches.shuffle(&mut stream(self.seed, BATCH_STREAM, from));
        batches.concat().into_iter().map(|(_, at)| at).collect()
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
        let mut order = Order::new(7, &[(4, 3); 50], 0.5, 0.0, 1);
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
            let mut order = Order::new(3, &[(4, 3); 7], 0.5, 0.25, 1);
            (0..40).map(|p| order.slot(p)).collect()
        };
        assert_eq!(Order::new(3, &[(4, 3); 7], 0.5, 0.25, 1).slot(33), walked[33]);
        let flips = walked.iter().filter(|slot| slot.flip).count();
        assert!((8..=32).contains(&flips), "{flips} of 40");
        assert_ne!(Order::new(4, &[(4, 3); 7], 0.5, 0.25, 1).slot(33), walked[33]);
        let mut plain = Order::new(3, &[(4, 3); 7], 0.0, 0.0, 1);
        assert!((0..40).map(|p| plain.slot(p)).all(|slot| !slot.flip && slot.scale == 1.0));
        let scales: Vec<f64> = walked.iter().map(|slot| slot.scale).collect();
        assert!(scales.iter().all(|s| (0.8..=1.25).contains(s)), "{scales:?}");
        assert!(scales.iter().any(|&s| s < 0.95) && scales.iter().any(|&s| s > 1.05), "{scales:?}");
    }

    /// Every third image is upright.
    fn mixed(images: usize) -> Vec<(u32, u32)> {
        (0..images).map(|k| if k % 3 == 0 { (300, 400) } else { (400, 300) }).collect()
    }

    #[test]
    fn images_of_similar_shape_share_a_batch_and_an_epoch_still_shows_every_image_once() {
        for (images, batch) in [(400, 8), (403, 8), (50, 4), (7, 8), (5, 2), (1, 4)] {
            let sizes = mixed(images);
            let mut order = Order::new(7, &sizes, 0.5, 0.0, batch);
            let all: Vec<Slot> = (0..images as u64 * 5).map(|position| order.slot(position)).collect();
            for (epoch, slots) in all.chunks(images).enumerate() {
                let mut seen: Vec<usize> = slots.iter().map(|slot| slot.image).collect();
                seen.sort_unstable();
                assert_eq!(seen, (0..images).collect::<Vec<_>>(), "{images} images, epoch {epoch}");
                assert!(slots.iter().all(|slot| slot.epoch == epoch as u64));
            }
            let is_mixed = |batch: &&[Slot]| batch.iter().any(|s| sizes[s.image] != sizes[batch[0].image]);
            let mixed = all.chunks(batch as usize).filter(is_mixed).count();
            // One in each span, and those that two epochs share.
            let spans = images.div_ceil(batch as usize * BATCHES_OF_A_SPAN as usize) * 5;
            assert!(mixed <= spans + 6, "{images} images: {mixed} mixed batches");
            // Any position is reached without those before it, and the order of the shapes is random.
            let at = images as u64 * 3 + images as u64 / 2;
            assert_eq!(Order::new(7, &sizes, 0.5, 0.0, batch).slot(at), all[at as usize]);
        }
        let sizes = mixed(400);
        let mut order = Order::new(7, &sizes, 0.5, 0.0, 8);
        let upright: Vec<bool> = (0..50).map(|k| sizes[order.slot(k * 8 + 4).image].0 == 300).collect();
        assert!(upright.windows(2).filter(|pair| pair[0] != pair[1]).count() > 8, "{upright:?}");
    }
}
