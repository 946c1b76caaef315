//! Convolutions and linear layers with their parameters.
//!
//! Shapes: images `[B, C, H, W]`, channels-last in memory if they come from [`super::transform`]. Each layer computes in its input's dtype:
//! parameters stay `f32` and are converted at each use if that differs.

use tch::{Device, Kind, Tensor};

use super::ops::{BatchNorm, winograd};
use super::parameters::{Builder, Init};
use super::prepared::{Prepared, channels_last, is_detecting};

/// Values of an image's map from which on [`planes_are_faster`]. Measured as whole steps: 256 channels on 80 x 107 cells and more gain, 128 on
/// 75 x 100 do not.
const LARGE_MAP: i64 = 1_500_000;

/// A convolution with the linear operation after it: a bias, or a frozen batch norm folded into weight and bias.
#[derive(Debug)]
pub(super) struct Convolution {
    weight: Tensor,
    /// Batch norm factor `[C, 1, 1, 1]`, multiplied into a trainable weight at each step; `None` if it is already folded into the weight.
    scale: Option<Tensor>,
    bias: Tensor,
    stride: i64,
    padding: i64,
    prepared: Prepared,
    /// The weight as transformed for [`winograd`].
    winograd: Prepared,
}

/// Shape of a convolution.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConvolutionShape {
    pub from: i64,
    pub to: i64,
    pub kernel: i64,
    pub stride: i64,
}

impl ConvolutionShape {
    fn weight(self) -> [i64; 4] {
        [self.to, self.from, self.kernel, self.kernel]
    }
}

impl Convolution {
    /// Creates `<name>.weight` and `<name>.bias`, initially 0.
    pub fn with_bias(b: &mut Builder, name: &str, shape: ConvolutionShape, init: Init, frozen: bool) -> Self {
        Self {
            weight: b.weight(&format!("{name}.weight"), &shape.weight(), init, frozen),
            scale: None,
            bias: b.weight(&format!("{name}.bias"), &[shape.to], Init::Constant(0.0), frozen),
            stride: shape.stride,
            padding: shape.kernel / 2,
            prepared: Prepared::default(),
            winograd: Prepared::default(),
        }
    }

    /// Creates `<name>.weight` and the four vectors of the frozen batch norm `<norm>.*`, with initial factor `gain`.
    pub fn with_norm(
        b: &mut Builder,
        names: (&str, &str),
        shape: ConvolutionShape,
        norm: NormStart,
        frozen: bool,
    ) -> Self {
        let (name, norm_name) = names;
        let weight = b.weight(&format!("{name}.weight"), &shape.weight(), Init::FanOut, frozen);
        let mut vector = |part: &str, start: f64| b.buffer(&format!("{norm_name}.{part}"), &[shape.to], start);
        let norm = BatchNorm {
            weight: vector("weight", norm.gain),
            bias: vector("bias", 0.0),
            running_mean: vector("running_mean", 0.0),
            running_var: vector("running_var", 1.0),
            eps: norm.eps,
        };
        let (scale, bias) = norm.scale_and_shift();
        let scale = scale.reshape([-1, 1, 1, 1]);
        let (weight, scale) = if frozen {
            (channels_last(&(weight * scale)), None)
        } else {
            let folded = scale.eq(1.0).all().int64_value(&[]) == 1;
            (weight, (!folded).then_some(scale))
        };
        let (prepared, winograd) = (Prepared::default(), Prepared::default());
        Self { weight, scale, bias, stride: shape.stride, padding: shape.kernel / 2, prepared, winograd }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        let sources = [&self.weight, &self.bias];
        let scaled = || self.scale.as_ref().map_or_else(|| self.weight.shallow_clone(), |scale| &self.weight * scale);
        if is_detecting() && self.is_3x3() && winograd::is_faster(x, self.weight.size()[0]) {
            let make = || (winograd::transformed_weight(&scaled()), self.bias.shallow_clone());
            let (weight, bias) = self.winograd.get(&sources, x.kind(), make);
            return winograd::convolve(x, &weight, &bias);
        }
        let make = || (in_kind_of(x, &scaled()), in_kind_of(x, &self.bias));
        let (weight, bias) = self.prepared.get(&sources, x.kind(), make);
        let convolve = |x: &Tensor| x.conv2d(&weight, Some(&bias), self.stride, self.padding, 1, 1);
        if self.is_3x3() && weight.requires_grad() && !is_detecting() && planes_are_faster(x) {
            return channels_last(&convolve(&x.contiguous()));
        }
        convolve(x)
    }

    pub fn forward_relu(&self, x: &Tensor) -> Tensor {
        self.forward(x).relu_()
    }

    /// Whether it is 3x3 with stride 1 and keeps the size.
    fn is_3x3(&self) -> bool {
        self.weight.size()[2..] == [3, 3] && (self.stride, self.padding) == (1, 1)
    }

    /// Returns weight and bias, for merging several convolutions into one.
    pub fn tensors(&self) -> (&Tensor, &Tensor) {
        (&self.weight, &self.bias)
    }
}

/// Initial values of a batch norm: its factor and its epsilon.
#[derive(Debug, Clone, Copy)]
pub(super) struct NormStart {
    pub gain: f64,
    pub eps: f64,
}

/// `<name>.weight` `[to, from]` and `<name>.bias` `[to]`.
#[derive(Debug)]
pub(super) struct Linear {
    weight: Tensor,
    bias: Tensor,
    prepared: Prepared,
}

impl Linear {
    /// The bias starts at 0.
    pub fn new(b: &mut Builder, name: &str, from: i64, to: i64, init: Init) -> Self {
        Self::with_bias(b, name, (from, to), init, Init::Constant(0.0))
    }

    pub fn with_bias(b: &mut Builder, name: &str, (from, to): (i64, i64), init: Init, bias: Init) -> Self {
        let weight = b.weight(&format!("{name}.weight"), &[to, from], init, false);
        let bias = b.weight(&format!("{name}.bias"), &[to], bias, false);
        Self { weight, bias, prepared: Prepared::default() }
    }

    pub fn forward(&self, x: &Tensor) -> Tensor {
        let make = || (in_kind_of(x, &self.weight), in_kind_of(x, &self.bias));
        let (weight, bias) = self.prepared.get(&[&self.weight, &self.bias], x.kind(), make);
        x.linear(&weight, Some(&bias))
    }
}

/// Whether a 3x3 convolution of `x` should be trained with each channel's plane in one piece of memory. Without AVX-512 oneDNN's only kernel for
/// the weight's gradient works on blocks of eight channels; on large maps in channels-last memory it takes 1.5 to 4 times as long.
fn planes_are_faster(x: &Tensor) -> bool {
    #[cfg(target_arch = "x86_64")]
    let has_avx512 = std::arch::is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    let has_avx512 = true; // other processors have other kernels
    let size = x.size();
    !has_avx512
        && x.kind() == Kind::Float
        && x.device() == Device::Cpu
        && size[1..].iter().product::<i64>() >= LARGE_MAP
}

/// Converts a parameter to the dtype of `x`, with gradient; returns the tensor itself if the dtypes are equal.
pub(super) fn in_kind_of(x: &Tensor, parameter: &Tensor) -> Tensor {
    parameter.to_kind(x.kind())
}

#[cfg(test)]
mod tests {
    use super::super::parameters::Source;
    use super::*;

    /// On both sides of [`LARGE_MAP`], output and gradients of a trained 3x3 convolution are those in double precision up to the rounding of
    /// sums over the map.
    #[test]
    fn a_trained_convolution_is_libtorchs_whatever_memory_its_map_is_in() {
        for (h, w) in [(20, 30), (320, 300)] {
            let mut b = Builder::new(Source::Seed(1), Device::Cpu);
            let shape = ConvolutionShape { from: 16, to: 24, kernel: 3, stride: 1 };
            let layer = Convolution::with_bias(&mut b, "c", shape, Init::FanOut, false);
            let values = Tensor::randn([1, 16, h, w], (Kind::Float, Device::Cpu));
            let x = channels_last(&values).set_requires_grad(true);
            let y = layer.forward(&x);
            let pull = Tensor::randn(y.size(), (Kind::Float, Device::Cpu));
            (&y * &pull).sum(Kind::Float).backward();

            let double = |tensor: &Tensor| tensor.detach().to_kind(Kind::Double).set_requires_grad(true);
            let (x2, weight, bias) = (double(&x), double(&layer.weight), double(&layer.bias));
            let y2 = x2.conv2d(&weight, Some(&bias), 1, 1, 1, 1);
            (&y2 * pull.to_kind(Kind::Double)).sum(Kind::Double).backward();
            for (name, ours, reference) in [
                ("output", &y, &y2),
                ("input", &x.grad(), &x2.grad()),
                ("weight", &layer.weight.grad(), &weight.grad()),
                ("bias", &layer.bias.grad(), &bias.grad()),
            ] {
                let largest = (ours.to_kind(Kind::Double) - reference).abs().max().double_value(&[]);
                let scale = reference.abs().max().double_value(&[]);
                assert!(largest <= 1e-4 * scale, "{name} at {h} x {w}: off by {largest} of {scale}");
            }
            assert_eq!(y.size(), [1, 24, h, w]);
            assert_eq!(y.stride()[1], 1, "the next layer reads channels-last memory");
        }
    }
}
