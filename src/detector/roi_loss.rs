//! The second stage's loss: selects the mini-batch of RoIs, randomly with forced hard negatives or by the highest loss (OHEM), and computes
//! three losses.
//!
//! Shapes: candidates of an image `[N, 4]` on the CPU: proposals, objects, hard negatives; R RoIs sampled over the batch.

use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Reduction, Tensor};

use super::device::upload;
use super::ellipse_coder::{self, CODES};
use super::ops::box_coder::BoxCoder;
use super::ops::losses::fast_rcnn_loss;
use super::ops::nms;
use super::roi_head::RoiOutput;
use super::sampler_config::{SamplerKind, count_labels};
use super::sampling::{Draw, Pools, Role, count_ignored, draw_with};
use super::truth::{Truth, bounding_boxes, floats, index_tensor};
use super::{SMOOTH_L1_BETA, SamplerConfig, SamplerCounts};

/// Everything that can be sampled from one image.
#[derive(Debug)]
pub(super) struct Candidates {
    pub boxes: Tensor,
    pub roles: Vec<Role>,
    /// The best object of each candidate.
    pub faces: Vec<usize>,
    /// Index of the first hard negative.
    first_forced: usize,
    /// Hard negatives in order of priority.
    forced: Vec<usize>,
    /// On objects that a detector misclassified.
    misclassified: Vec<usize>,
    /// Number of candidates on an ignored region and on no object.
    ignored: u64,
}

impl Candidates {
    pub fn new(proposals: &Tensor, truth: &Truth, config: &SamplerConfig) -> Self {
        let first_forced = proposals.size()[0] as usize + truth.faces.len();
        let first_misclassified = first_forced + truth.hard_negatives.size()[0] as usize;
        let boxes = Tensor::cat(&[proposals, &truth.face_boxes, &truth.hard_negatives, &truth.misclassified], 0);
        let best = truth.best_faces(&boxes);
        let ignored = truth.ignores(&boxes);
        let lowest = match config.kind {
            SamplerKind::Random if !truth.faces.is_empty() => config.bg_iou.0,
            // Without objects everything is background, and OHEM finds the hard RoIs itself.
            SamplerKind::Random | SamplerKind::Ohem => 0.0,
        };
        let role = |(&(_, overlap), &ignored): (&(usize, f32), &bool)| match f64::from(overlap) {
            // An object stays one even if an ignored region overlaps it.
            overlap if is_foreground(overlap, config) && !truth.faces.is_empty() => Role::Foreground,
            _ if ignored => Role::Neither,
            overlap if lowest <= overlap && overlap < config.bg_iou.1 => Role::Background,
            _ => Role::Neither,
        };
        let roles: Vec<Role> = best.iter().zip(&ignored).map(role).collect();
        Self {
            first_forced,
            forced: (first_forced..first_misclassified).filter(|&k| !ignored[k]).collect(),
            misclassified: (first_misclassified..roles.len()).collect(),
            ignored: count_ignored(&roles, &ignored),
            faces: best.into_iter().map(|(face, _)| face).collect(),
            boxes,
            roles,
        }
    }

    pub fn draw(&self, config: &SamplerConfig, rng: &mut ChaCha8Rng) -> Draw {
        draw_with(&self.roles, Pools::of(&self.roles), &self.misclassified, &self.forced, config.roi_quota(), rng)
    }

    /// Returns every candidate with a role.
    pub fn all(&self) -> Draw {
        let with = |role| (0..self.roles.len()).filter(|&k| self.roles[k] == role).collect();
        Draw { foreground: with(Role::Foreground), background: with(Role::Background), forced: 0 }
    }

    /// Selects from `all`, with `losses` in its order, the hardest that do not overlap each other.
    pub fn hardest(&self, all: &Draw, losses: &[f32], config: &SamplerConfig) -> Draw {
        let order = [&all.foreground[..], &all.background[..]].concat();
        let boxes = self.boxes.index_select(0, &index_tensor(&order));
        let kept = nms::nms_limited(&boxes, &Tensor::from_slice(losses), config.ohem_nms_iou, config.batch_per_image);
        let chosen: Vec<usize> = super::truth::indices(&kept).into_iter().map(|k| order[k]).collect();
        let of = |role| chosen.iter().copied().filter(|&k| self.roles[k] == role).collect();
        Draw { foreground: of(Role::Foreground), background: of(Role::Background), forced: 0 }
    }

    pub fn count(&self, drawn: &Draw, truth: &Truth, counts: &mut SamplerCounts) {
        counts.foreground += drawn.foreground.len() as u64;
        counts.background += drawn.background.len() as u64;
        counts.forced += drawn.forced as u64;
        counts.ignored += self.ignored;
        let labels = drawn.foreground.iter().map(|&k| truth.labels[self.faces[k]]);
        count_labels(&mut counts.foreground_of, labels);
        // Forced ones come first.
        let forced = drawn.background.iter().take(drawn.forced).map(|&k| k - self.first_forced);
        count_labels(&mut counts.forced_of, forced.filter_map(|k| truth.hard_negative_labels.get(k).copied()));
    }
}

fn is_foreground(overlap: f64, config: &SamplerConfig) -> bool {
    overlap > config.fg_iou || (overlap == config.fg_iou && !config.fg_exclusive)
}

/// The sampled RoIs of a batch with their targets.
#[derive(Debug)]
pub(super) struct RoiBatch {
    /// `[R_b, 4]` of each image, on the CPU.
    pub rois: Vec<Tensor>,
    /// `[R]`.
    labels: Tensor,
    /// `[R, 4]`, zeros for background.
    codes: Tensor,
    /// Rows of RoIs whose object is an ellipse, and their codes `[E, 6]`.
    ellipse_rows: Vec<usize>,
    ellipse_codes: Vec<f32>,
    /// For the boxes' smooth L1 loss.
    beta: f64,
}

impl RoiBatch {
    pub fn new(parts: &[(&Candidates, &Truth, &Draw)], beta: f64, device: Device) -> Self {
        let (mut rois, mut codes, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        let (mut ellipse_rows, mut ellipse_codes) = (Vec::new(), Vec::new());
        for &(candidates, truth, drawn) in parts {
            let foreground = candidates.boxes.index_select(0, &index_tensor(&drawn.foreground));
            let faces: Vec<usize> = drawn.foreground.iter().map(|&k| candidates.faces[k]).collect();
            for (k, (roi, &face)) in bounding_boxes(&foreground).iter().zip(&faces).enumerate() {
                let code = truth.ellipses[face].as_ref().and_then(|e| ellipse_coder::encode(e, roi));
                if let Some(code) = code {
                    ellipse_rows.push(labels.len() + k);
                    ellipse_codes.extend(code.map(|v| v as f32));
                }
            }
            labels.extend(faces.iter().map(|&face| truth.labels[face]));
            labels.extend(std::iter::repeat_n(0, drawn.background.len()));
            if !faces.is_empty() {
                codes.push(BoxCoder::ROI.encode(&truth.faces_at(&faces), &foreground));
            }
            codes.push(Tensor::zeros([drawn.background.len() as i64, 4], (Kind::Float, Device::Cpu)));
            let background = candidates.boxes.index_select(0, &index_tensor(&drawn.background));
            rois.push(Tensor::cat(&[foreground, background], 0));
        }
        Self {
            rois,
            labels: upload(&Tensor::from_slice(&labels), device),
            codes: upload(&Tensor::cat(&codes, 0), device),
            ellipse_rows,
            ellipse_codes,
            beta,
        }
    }

    /// Returns `(classifier, box, ellipse)` losses; the first two are torchvision's, the third is computed like the second.
    pub fn losses(&self, output: &RoiOutput) -> (Tensor, Tensor, Tensor) {
        let (classifier, boxes) = fast_rcnn_loss(&output.logits, &output.codes, &self.labels, &self.codes, self.beta);
        (classifier, boxes, self.ellipse_loss(output))
    }

    fn ellipse_loss(&self, output: &RoiOutput) -> Tensor {
        let Some(found) = &output.ellipses else {
            return Tensor::zeros([], (Kind::Float, output.logits.device()));
        };
        if self.ellipse_rows.is_empty() {
            return found.sum(Kind::Float) * 0.0;
        }
        let device = found.device();
        let wanted = upload(&Tensor::from_slice(&self.ellipse_codes).reshape([-1, CODES as i64]), device);
        let found = found.index_select(0, &upload(&index_tensor(&self.ellipse_rows), device));
        found.smooth_l1_loss(&wanted, Reduction::Sum, SMOOTH_L1_BETA) / self.labels.size()[0] as f64
    }

    /// Returns the classification and box loss of each RoI individually, image by image.
    pub fn loss_of_each(&self, output: &RoiOutput) -> Vec<Vec<f32>> {
        let n = self.labels.size()[0];
        if n == 0 {
            return self.rois.iter().map(|_| Vec::new()).collect();
        }
        let classifier = output.logits.cross_entropy_loss(&self.labels, None::<Tensor>, Reduction::None, -100, 0.0);
        // Background uses the first class, whose loss is not counted.
        let label = self.labels.clamp_min(1).view([n, 1, 1]).expand([n, 1, 4], false);
        let own = output.codes.reshape([n, -1, 4]).gather(1, &label, false).squeeze_dim(1);
        let boxes = own.smooth_l1_loss(&self.codes, Reduction::None, self.beta).sum_dim_intlist(
            [1_i64].as_slice(),
            false,
            Kind::Float,
        );
        let losses = floats(&(classifier + boxes * self.labels.gt(0)));
        let mut rest = losses.as_slice();
        let mut of_image = |rois: &Tensor| {
            let (own, others) = rest.split_at(rois.size()[0] as usize);
            rest = others;
            own.to_vec()
        };
        self.rois.iter().map(&mut of_image).collect()
    }
}
