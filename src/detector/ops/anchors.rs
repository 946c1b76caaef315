//! Anchors in every cell of every feature map, equal to torchvision's `AnchorGenerator`.
//!
//! Shapes: H, W cells of a level, A anchors per cell; boxes `[H * W * A, 4]`, row by row, cell by cell.

use tch::{Device, Tensor};

/// Sizes (square roots of areas, pixels) for each level, and ratios (height / width) shared by all levels.
#[derive(Debug, Clone, PartialEq)]
pub struct AnchorGenerator {
    pub sizes: Vec<Vec<f64>>,
    pub ratios: Vec<f64>,
}

impl AnchorGenerator {
    /// Returns the number of anchors per cell of `level`.
    pub fn per_cell(&self, level: usize) -> usize {
        self.sizes[level].len() * self.ratios.len()
    }

    /// Returns one tensor `[H * W * A, 4]` (f32) per level for maps of `grids` (H, W) on a padded image of `image` (height, width). As in
    /// torchvision, a level's stride is the integer quotient of image and map.
    pub fn levels(&self, grids: &[(i64, i64)], image: (i64, i64), device: Device) -> Vec<Tensor> {
        assert_eq!(grids.len(), self.sizes.len(), "one list of anchor sizes for each feature map");
        let level = |(k, &grid): (usize, &(i64, i64))| {
            let stride = (image.0 / grid.0.max(1), image.1 / grid.1.max(1));
            self.level(k, grid, stride, device)
        };
        grids.iter().enumerate().map(level).collect()
    }

    /// Returns the anchors of one level whose cells are `stride` (vertical, horizontal) pixels apart.
    pub fn level(&self, level: usize, grid: (i64, i64), stride: (i64, i64), device: Device) -> Tensor {
        let base = self.base_anchors(level);
        let mut out: Vec<f32> = Vec::with_capacity((grid.0 * grid.1) as usize * base.len() * 4);
        for row in 0..grid.0 {
            let y = (row * stride.0) as f32;
            for column in 0..grid.1 {
                let x = (column * stride.1) as f32;
                out.extend(base.iter().flat_map(|b| [x + b[0], y + b[1], x + b[2], y + b[3]]));
            }
        }
        Tensor::from_slice(&out).reshape([-1, 4]).to_device(device)
    }

    /// Returns the A anchors around the origin, by ratio, then by size; halves are rounded to even.
    pub fn base_anchors(&self, level: usize) -> Vec<[f32; 4]> {
        let of_ratio = |&ratio: &f64| {
            let h_ratio = (ratio as f32).sqrt();
            let w_ratio = 1.0 / h_ratio;
            self.sizes[level].iter().map(move |&size| {
                let (w, h) = (w_ratio * size as f32, h_ratio * size as f32);
                [-w / 2.0, -h / 2.0, w / 2.0, h / 2.0].map(f32::round_ties_even)
            })
        };
        self.ratios.iter().flat_map(of_ratio).collect()
    }
}
