//! Batch norm with fixed statistics, equal to torchvision's `FrozenBatchNorm2d`.
//!
//! Shapes: images `[B, C, H, W]`, parameters `[C]`.

use tch::Tensor;

/// The four stored vectors `[C]` and the epsilon (torchvision's COCO weights were trained with 0, new models use 1e-5).
#[derive(Debug)]
pub struct BatchNorm {
    pub weight: Tensor,
    pub bias: Tensor,
    pub running_mean: Tensor,
    pub running_var: Tensor,
    pub eps: f64,
}

impl BatchNorm {
    /// Returns the same map as a factor and an offset `[C]` each: `x * scale + shift`.
    pub fn scale_and_shift(&self) -> (Tensor, Tensor) {
        let scale = &self.weight * (&self.running_var + self.eps).rsqrt();
        let shift = &self.bias - &self.running_mean * &scale;
        (scale, shift)
    }
}
