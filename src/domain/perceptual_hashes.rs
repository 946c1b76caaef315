//! The perceptual hashes of a candidate's crop: mining computes them and the store saves them.

/// Two hashes of a candidate's crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PerceptualHashes {
    /// blake3 of the pixels: equal only for identical content.
    pub content: [u8; 32],
    /// 64 bits; similar crops differ in few of them.
    pub perceptual: u64,
}

impl PerceptualHashes {
    /// Returns the Hamming distance of the perceptual hashes, 0..=64.
    pub fn distance(&self, other: &Self) -> u32 {
        (self.perceptual ^ other.perceptual).count_ones()
    }
}
