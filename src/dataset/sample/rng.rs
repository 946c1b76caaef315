//! The sample's random numbers: an independent stream per scene, so that threads do not affect the result.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// A random stream that only depends on its seeds.
pub(super) struct Draws(ChaCha8Rng);

impl Draws {
    /// The stream for one attempt at one scene.
    pub fn new(seed: u64, scene: u64, attempt: u64) -> Self {
        let mut bytes = [0; 32];
        for (part, value) in bytes.chunks_exact_mut(8).zip([seed, scene, attempt, 0x5175_6172_7279]) {
            part.copy_from_slice(&value.to_le_bytes());
        }
        Self(ChaCha8Rng::from_seed(bytes))
    }

    /// Uniform in 0..1.
    pub fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1 << 24) as f32
    }

    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Log-uniform: as many between 10 and 20 as between 20 and 40.
    pub fn log_range(&mut self, low: f32, high: f32) -> f32 {
        self.range(low.ln(), high.ln()).exp()
    }

    /// In -1..1, mostly near 0.
    pub fn bell(&mut self) -> f32 {
        (self.unit() + self.unit() + self.unit()) * (2.0 / 3.0) - 1.0
    }

    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// In 0..count; `count` must be above 0.
    pub fn index(&mut self, count: usize) -> usize {
        ((self.unit() * count as f32) as usize).min(count - 1)
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.index(choices.len())]
    }
}
