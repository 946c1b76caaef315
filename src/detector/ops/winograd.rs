//! 3x3 convolutions with stride 1 on a CPU by Winograd's F(4x4, 3x3): a quarter of the multiplications (Lavin and Gray, "Fast Algorithms
//! for Convolutional Neural Networks", 2016). Only for detection: training would save a tenth of a step's time for two fifths more memory,
//! as the backward pass needs the transformed tiles.
//!
//! Shapes: images `[B, C, H, W]`, channels-last; weights `[K, C, 3, 3]`, transformed `[36, K, C]`. The output is divided into tiles of 4x4
//! cells, each from 6x6 cells of the input; each of the 36 values of a transformed tile is one matrix product over all tiles.

use tch::{Device, Kind, Tensor};

/// Tile side length of the output and of the input, in cells.
const OUT: i64 = 4;
const IN: i64 = 6;
const POINTS: i64 = IN * IN;
/// Number of tiles processed at once, so that they stay in the cache.
const TILES: i64 = 768;
/// With fewer tiles the matrix products are too small.
const LEAST_TILES: i64 = 48;
/// With fewer channels the transforms cost more than they save.
const LEAST_CHANNELS: i64 = 128;

/// The transform of the weights, of the input (its transpose) and of the output (its transpose).
const WEIGHTS: [[f32; 3]; 6] = [
    [1.0 / 4.0, 0.0, 0.0],
    [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
    [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
    [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
    [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
    [0.0, 0.0, 1.0],
];
const INPUT: [[f32; 6]; 6] = [
    [4.0, 0.0, -5.0, 0.0, 1.0, 0.0],
    [0.0, -4.0, -4.0, 1.0, 1.0, 0.0],
    [0.0, 4.0, -4.0, -1.0, 1.0, 0.0],
    [0.0, -2.0, -1.0, 2.0, 1.0, 0.0],
    [0.0, 2.0, -1.0, -2.0, 1.0, 0.0],
    [0.0, 4.0, 0.0, -5.0, 0.0, 1.0],
];
const OUTPUT: [[f32; 6]; 4] = [
    [1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
    [0.0, 1.0, -1.0, 2.0, -2.0, 0.0],
    [0.0, 1.0, 1.0, 4.0, 4.0, 0.0],
    [0.0, 1.0, -1.0, 8.0, -8.0, 1.0],
];

/// Whether this is faster than libtorch's convolution for input `x` and `to` output channels.
pub fn is_faster(x: &Tensor, to: i64) -> bool {
    let [b, from, h, w] = x.size()[..] else { return false };
    let tiles = b * tiles_along(h) * tiles_along(w);
    x.kind() == Kind::Float && x.device() == Device::Cpu && from.min(to) >= LEAST_CHANNELS && tiles >= LEAST_TILES
}

/// Returns the transformed weights `[36, K, C]` of `weight` `[K, C, 3, 3]`.
pub fn transformed_weight(weight: &Tensor) -> Tensor {
    let size = weight.size();
    let matrix = squared(&WEIGHTS);
    matrix.mm(&weight.reshape([size[0] * size[1], 9]).tr()).reshape([POINTS, size[0], size[1]])
}

/// Convolves `x` with padding 1 and `bias` `[K]`. Deviates from libtorch by about 1e-5 of the output's standard deviation.
pub fn convolve(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
    let size = x.size();
    let (b, from, h, w) = (size[0], size[1], size[2], size[3]);
    let to = weight.size()[1];
    let (rows, columns) = (tiles_along(h), tiles_along(w));
    let padded = x.permute([0, 2, 3, 1]).constant_pad_nd([0, 0, 1, columns * OUT - w + 1, 1, rows * OUT - h + 1]);
    let (input, output) = (squared(&INPUT), squared(&OUTPUT));
    let weight = weight.transpose(1, 2);
    let band = (TILES / (b * columns)).clamp(1, rows);
    let of_band = |first: i64| {
        let rows = band.min(rows - first);
        let cells = padded.narrow(1, first * OUT, rows * OUT + 2);
        let tiles = cells.unfold(1, IN, OUT).unfold(2, IN, OUT);
        let tiles = tiles.permute([4, 5, 0, 1, 2, 3]).reshape([POINTS, -1]);
        let products = input.mm(&tiles).reshape([POINTS, -1, from]).bmm(&weight);
        let cells = output.mm(&products.reshape([POINTS, -1])).reshape([OUT, OUT, b, rows, columns, to]);
        let cells = cells.permute([2, 3, 0, 4, 1, 5]).reshape([b, rows * OUT, columns * OUT, to]);
        cells.narrow(1, 0, (rows * OUT).min(h - first * OUT)).narrow(2, 0, w).permute([0, 3, 1, 2])
    };
    let bands: Vec<Tensor> = (0..rows).step_by(band as usize).map(of_band).collect();
    let mut y = Tensor::cat(&bands, 2);
    y += bias.reshape([-1, 1, 1]);
    y
}

fn tiles_along(side: i64) -> i64 {
    (side + OUT - 1) / OUT
}

/// Returns the matrix that transforms both axes of a tile at once.
fn squared<const COLUMNS: usize, const ROWS: usize>(one: &[[f32; COLUMNS]; ROWS]) -> Tensor {
    let one = Tensor::from_slice(one.as_flattened()).reshape([ROWS as i64, COLUMNS as i64]);
    one.kron(&one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(size: &[i64]) -> Tensor {
        Tensor::randn(size, (Kind::Float, Device::Cpu))
    }

    /// Returns the largest deviation from libtorch's result in double precision, in units of the reference's standard deviation.
    fn deviation(ours: &Tensor, reference: &Tensor) -> f64 {
        assert_eq!(ours.size(), reference.size());
        let reference = reference.to_kind(Kind::Double);
        let largest = (ours.to_kind(Kind::Double) - &reference).abs().max();
        (largest / reference.std(false)).double_value(&[])
    }

    fn reference(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Tensor {
        let double = |tensor: &Tensor| tensor.to_kind(Kind::Double);
        double(x).conv2d(&double(weight), Some(double(bias)), 1, 1, 1, 1)
    }

    #[test]
    fn it_is_libtorchs_convolution_for_sides_that_fill_no_tile_and_batches() {
        tch::manual_seed(1);
        for (batch, from, to, h, w) in [
            (1, 16, 32, 4, 4),
            (1, 32, 16, 1, 1),
            (2, 48, 64, 13, 7),
            (3, 16, 16, 5, 30),
            (1, 64, 48, 9, 811),
            (1, 16, 16, 131, 3),
        ] {
            let x = random(&[batch, from, h, w]);
            let (weight, bias) = (random(&[to, from, 3, 3]) * 0.1, random(&[to]));
            let expected = reference(&x, &weight, &bias);
            let transformed = transformed_weight(&weight);
            let channels_last = x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
            for x in [x, channels_last] {
                let found = deviation(&convolve(&x, &transformed, &bias), &expected);
                assert!(found < 1e-4, "[{batch}, {from}, {h}, {w}] to {to}: {found}");
            }
        }
    }

    #[test]
    fn it_is_used_for_large_maps_of_many_channels_in_f32_on_a_cpu() {
        let x = |channels: i64, side: i64| Tensor::zeros([1, channels, side, side], (Kind::Float, Device::Cpu));
        assert!(is_faster(&x(256, 60), 256) && is_faster(&x(128, 28), 128));
        assert!(!is_faster(&x(256, 8), 256), "too few tiles");
        assert!(!is_faster(&x(64, 60), 128) && !is_faster(&x(128, 60), 64), "too few channels");
        assert!(!is_faster(&x(256, 60).to_kind(Kind::BFloat16), 256));
    }
}
