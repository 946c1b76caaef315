//! Projects the second stage's features to short vectors that preserve cosines.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use super::truth::floats;
use crate::domain::{ROI_FEATURE_LENGTH, RoiFeature};

/// Fixed, so that the projection is the same in every project and on every computer.
const SEED: u64 = 0x0071_7561_7272_7901;

/// Projects the features `[n, F]` of n RoIs with one matrix of random signs (Achlioptas 2003: a cosine changes by about (1 - cosine²) /
/// sqrt(128)). `None` for a RoI whose features have no direction.
pub(super) fn short(features: &Tensor) -> Vec<Option<RoiFeature>> {
    let features = features.detach().to_device(Device::Cpu).to_kind(Kind::Float);
    let length = features.size()[1] as usize;
    let values = floats(&features.matmul(&signs(length)));
    values.chunks_exact(ROI_FEATURE_LENGTH).map(RoiFeature::of).collect()
}

/// A matrix `[F, 128]` of 1 and -1.
fn signs(length: usize) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut signs = Vec::with_capacity(length * ROI_FEATURE_LENGTH);
    while signs.len() < length * ROI_FEATURE_LENGTH {
        let bits = rng.next_u64();
        signs.extend((0..64).map(|bit| if bits >> bit & 1 == 1 { 1.0_f32 } else { -1.0 }));
    }
    Tensor::from_slice(&signs).reshape([length as i64, ROI_FEATURE_LENGTH as i64])
}
