//! Straightforward implementations of the operators from their definitions. Shares no code with what it tests.

use tch::{Device, Kind, Tensor};

/// Boxes `[n, 5]` on `images` images, some partly outside, some empty.
pub fn random_rois(n: i64, images: i64, width: f64, height: f64) -> Tensor {
    let float = (Kind::Float, Device::Cpu);
    let image = Tensor::randint(images, [n, 1], float);
    let corner = (Tensor::rand([n, 2], float) * 1.2 - 0.2) * Tensor::from_slice(&[width as f32, height as f32]);
    let sides =
        (Tensor::rand([n, 2], float) * 1.1 - 0.1).clamp_min(0.0) * Tensor::from_slice(&[width as f32, height as f32]);
    Tensor::cat(&[image, corner.shallow_clone(), corner + sides], 1)
}

/// RoIAlign by definition: the mean of bilinear samples.
pub fn roi_align(feature: &Tensor, rois: &Tensor, out: (i64, i64), scale: f32, sampling: i64, aligned: bool) -> Tensor {
    let (channels, h, w) = (feature.size()[1], feature.size()[2], feature.size()[3]);
    let pooled = Tensor::zeros([rois.size()[0], channels, out.0, out.1], (Kind::Float, Device::Cpu));
    let at = |n: i64, k: i64| rois.double_value(&[n, k]) as f32;
    for n in 0..rois.size()[0] {
        let map = feature.detach().select(0, at(n, 0) as i64);
        let offset = if aligned { 0.5 } else { 0.0 };
        let (x1, y1) = (at(n, 1) * scale - offset, at(n, 2) * scale - offset);
        let (mut rw, mut rh) = (at(n, 3) * scale - offset - x1, at(n, 4) * scale - offset - y1);
        if !aligned {
            (rw, rh) = (rw.max(1.0), rh.max(1.0));
        }
        let (bw, bh) = (rw / out.1 as f32, rh / out.0 as f32);
        let count = |size: f32| if sampling > 0 { sampling } else { size.ceil() as i64 };
        let (gw, gh) = (count(bw), count(bh));
        for row in 0..out.0 {
            for column in 0..out.1 {
                let mut sum = Tensor::zeros([channels], (Kind::Float, Device::Cpu));
                for sy in 0..gh {
                    for sx in 0..gw {
                        let y = y1 + row as f32 * bh + (sy as f32 + 0.5) * bh / gh as f32;
                        let x = x1 + column as f32 * bw + (sx as f32 + 0.5) * bw / gw as f32;
                        sum += bilinear(&map, y, x, h, w);
                    }
                }
                pooled.select(0, n).select(1, row).select(1, column).copy_(&(sum / (gw * gh).max(1) as f64));
            }
        }
    }
    pooled
}

fn bilinear(map: &Tensor, y: f32, x: f32, h: i64, w: i64) -> Tensor {
    if y < -1.0 || x < -1.0 || (h as f32) < y || (w as f32) < x {
        return Tensor::zeros([map.size()[0]], (Kind::Float, Device::Cpu));
    }
    let (y, x) = (y.clamp(0.0, h as f32 - 1.0), x.clamp(0.0, w as f32 - 1.0));
    let (top, left) = ((y as i64).min(h - 1), (x as i64).min(w - 1));
    let (bottom, right) = ((top + 1).min(h - 1), (left + 1).min(w - 1));
    let (dy, dx) = (f64::from(y - top as f32), f64::from(x - left as f32));
    let value = |row: i64, column: i64| map.select(1, row).select(1, column);
    value(top, left) * ((1.0 - dy) * (1.0 - dx))
        + value(top, right) * ((1.0 - dy) * dx)
        + value(bottom, left) * (dy * (1.0 - dx))
        + value(bottom, right) * (dy * dx)
}

/// Greedy NMS by definition.
pub fn nms(boxes: &Tensor, scores: &Tensor, threshold: f64) -> Tensor {
    nms_of_classes(boxes, scores, &Tensor::zeros_like(scores).to_kind(Kind::Int64), threshold)
}

pub fn nms_of_classes(boxes: &Tensor, scores: &Tensor, classes: &Tensor, threshold: f64) -> Tensor {
    let n = boxes.size()[0];
    let mut order: Vec<i64> = (0..n).collect();
    order.sort_by(|&a, &b| scores.double_value(&[b]).total_cmp(&scores.double_value(&[a])));
    let mut kept: Vec<i64> = Vec::new();
    for i in order {
        let same = |j: i64| classes.int64_value(&[i]) == classes.int64_value(&[j]);
        let suppresses = |j: i64| same(j) && threshold < iou(boxes, i, j);
        if !kept.iter().any(|&j| suppresses(j)) {
            kept.push(i);
        }
    }
    Tensor::from_slice(&kept)
}

fn iou(boxes: &Tensor, i: i64, j: i64) -> f64 {
    let at = |n: i64, k: i64| boxes.double_value(&[n, k]) as f32;
    let w = (at(i, 2).min(at(j, 2)) - at(i, 0).max(at(j, 0))).max(0.0);
    let h = (at(i, 3).min(at(j, 3)) - at(i, 1).max(at(j, 1))).max(0.0);
    let area = |n: i64| (at(n, 2) - at(n, 0)) * (at(n, 3) - at(n, 1));
    f64::from(w * h / (area(i) + area(j) - w * h))
}
