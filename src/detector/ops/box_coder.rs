//! Encodes boxes as offsets from proposals and decodes them, equal to torchvision's `BoxCoder`.
//!
//! Shapes: N proposals `[N, 4]`, K classes; codes `dx, dy, dw, dh` (scaled by the weights).

use tch::{IndexOp, Tensor};

/// Maximum growth factor of a box in one step, so that no exponential overflows.
pub const MAX_GROWTH: f64 = 1000.0 / 16.0;

/// Weights of the four code components.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoxCoder {
    pub weights: [f64; 4],
}

impl BoxCoder {
    /// Faster R-CNN's for the RPN.
    pub const RPN: Self = Self { weights: [1.0, 1.0, 1.0, 1.0] };
    /// Faster R-CNN's for the box head.
    pub const ROI: Self = Self { weights: [10.0, 10.0, 5.0, 5.0] };

    /// Returns codes `[N, 4]` that turn `proposals` `[N, 4]` into `reference` `[N, 4]`.
    pub fn encode(&self, reference: &Tensor, proposals: &Tensor) -> Tensor {
        assert_eq!(reference.size(), proposals.size(), "one reference box a proposal");
        let [wx, wy, ww, wh] = self.weights;
        let (pw, ph, px, py) = sides_and_center(proposals);
        let (rw, rh, rx, ry) = sides_and_center(reference);
        let dx = (rx - px) / &pw * wx;
        let dy = (ry - py) / &ph * wy;
        let dw = (rw / pw).log() * ww;
        let dh = (rh / ph).log() * wh;
        Tensor::stack(&[dx, dy, dw, dh], 1)
    }

    /// Returns boxes `[N, K, 4]` for codes `[N, K * 4]` on proposals `[N, 4]`.
    pub fn decode(&self, codes: &Tensor, proposals: &Tensor) -> Tensor {
        let n = proposals.size()[0];
        let k = codes.size()[1] / 4;
        assert_eq!(codes.size(), [n, k * 4], "four codes for each class of each proposal");
        let codes = codes.reshape([n, k, 4]);
        let [wx, wy, ww, wh] = self.weights;
        let (pw, ph, px, py) = sides_and_center(proposals);
        let (pw, ph, px, py) = (pw.unsqueeze(1), ph.unsqueeze(1), px.unsqueeze(1), py.unsqueeze(1));
        let limit = MAX_GROWTH.ln();
        let cx = codes.i((.., .., 0)) / wx * &pw + px;
        let cy = codes.i((.., .., 1)) / wy * &ph + py;
        let half_w = (codes.i((.., .., 2)) / ww).clamp_max(limit).exp() * pw * 0.5;
        let half_h = (codes.i((.., .., 3)) / wh).clamp_max(limit).exp() * ph * 0.5;
        Tensor::stack(&[&cx - &half_w, &cy - &half_h, cx + half_w, cy + half_h], 2)
    }
}

fn sides_and_center(boxes: &Tensor) -> (Tensor, Tensor, Tensor, Tensor) {
    let (x1, y1) = (boxes.i((.., 0)), boxes.i((.., 1)));
    let width = boxes.i((.., 2)) - &x1;
    let height = boxes.i((.., 3)) - &y1;
    let cx = x1 + &width * 0.5;
    let cy = y1 + &height * 0.5;
    (width, height, cx, cy)
}
