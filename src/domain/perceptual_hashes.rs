//! The perceptual hashes of a candidate's crop, as mining computes them and the store keeps them.

/// Two hashes of a candidate's crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PerceptualHashes {
    /// blake3 of the pixels: equal for equal content only.
    pub content: [u8; 32],
    /// 64 bits of which similar crops differ in few.
    pub perceptual: u64,
}

impl PerceptualHashes {
    /// Bits in which the perceptual hashes differ, 0..=64.
    pub fn distance(&self, other: &Self) -> u32 {
        (self.perceptual ^ other.perceptual).count_ones()
    }
}
