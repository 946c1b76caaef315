//! The second stage's loss: selects the mini-batch of RoIs, randomly with forced hard negatives, by the highest loss (OHEM), or both, and
//! computes three losses.
//!
//! Shapes: candidates of an image `[N, 4]` on the CPU: proposals, objects, hard negatives; R RoIs sampled over the batch.

use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Reduction, Tensor};

use super::device::upload;
use super::ellipse_coder::{self, CODES};
use super::ops::box_coder::BoxCoder;
use super::ops::losses::{self, Focus};
use super::ops::{nms, overlap};
use super::roi_head::RoiOutput;
use super::sampler_config::{BoxLoss, SamplerKind, count_labels};
use super::sampling::{Draw, Pools, Role, count_ignored, draw_with};
use super::truth::{Truth, bounding_boxes, floats, index_tensor, indices, plain};
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
            SamplerKind::Random | SamplerKind::Ohem | SamplerKind::MinedOhem => 0.0,
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

    /// Returns every candidate with a role; if hard negatives come first, these too, whatever their role.
    pub fn all(&self, config: &SamplerConfig) -> Draw {
        let with = |role| -> Vec<usize> { (0..self.roles.len()).filter(|&k| self.roles[k] == role).collect() };
        let first = if config.kind.forces_hard_negatives() { self.off_objects() } else { Vec::new() };
        let others: Vec<usize> = with(Role::Background).into_iter().filter(|k| !first.contains(k)).collect();
        Draw { foreground: with(Role::Foreground), forced: first.len(), background: [first, others].concat() }
    }

    /// Selects from `all`, with `losses` in its order, the forced ones of the highest loss up to their limit, then the hardest that do not
    /// overlap each other. Background that overlaps a selected forced one counts as the same region.
    pub fn hardest(&self, all: &Draw, losses: &[f32], config: &SamplerConfig) -> Draw {
        let order = [&all.foreground[..], &all.background[..]].concat();
        let first = all.foreground.len();
        let mut forced: Vec<usize> = (first..first + all.forced).collect();
        forced.sort_by(|&a, &b| losses[b].total_cmp(&losses[a]));
        forced.truncate(config.roi_quota().forced_room(all.foreground.len()));
        let rest =
            if forced.is_empty() { (0..order.len()).collect() } else { self.apart(&order, first, &forced, config) };
        let at = |places: &[usize]| -> Vec<usize> { places.iter().map(|&place| order[place]).collect() };
        let boxes = self.boxes.index_select(0, &index_tensor(&at(&rest)));
        let scores: Vec<f32> = rest.iter().map(|&place| losses[place]).collect();
        let room = config.batch_per_image - forced.len();
        let kept = nms::nms_limited(&boxes, &Tensor::from_slice(&scores), config.ohem_nms_iou, room);
        let chosen = indices(&kept).into_iter().map(|k| rest[k]);
        let (foreground, background): (Vec<usize>, Vec<usize>) = chosen.partition(|&place| place < first);
        Draw { foreground: at(&foreground), forced: forced.len(), background: [at(&forced), at(&background)].concat() }
    }

    /// Returns the places in `order` other than `forced`, without background that overlaps one of those; foreground comes before `first`.
    fn apart(&self, order: &[usize], first: usize, forced: &[usize], config: &SamplerConfig) -> Vec<usize> {
        let boxes = plain(&self.boxes);
        let most = config.ohem_nms_iou as f32;
        let overlaps =
            |place: usize| forced.iter().any(|&other| overlap::iou(&boxes[order[other]], &boxes[order[place]]) > most);
        (0..order.len()).filter(|&place| place < first || !forced.contains(&place) && !overlaps(place)).collect()
    }

    /// Returns the hard negatives that may become background, in order of priority.
    fn off_objects(&self) -> Vec<usize> {
        self.forced.iter().copied().filter(|&k| self.roles[k] != Role::Foreground).collect()
    }

    /// Returns the hard negatives to choose from by loss, if there may be more than can be selected; otherwise none.
    pub fn crowded(&self, config: &SamplerConfig) -> Draw {
        let background = self.off_objects();
        let foreground = self.roles.iter().filter(|role| **role == Role::Foreground).count();
        let is_crowded = background.len() > config.roi_quota().forced_room(foreground);
        let background = if is_crowded { background } else { Vec::new() };
        Draw { foreground: Vec::new(), forced: background.len(), background }
    }

    /// Puts the hard negatives of [`Self::crowded`] in descending order of their `losses`.
    pub fn prioritise(&mut self, crowded: &Draw, losses: &[f32]) {
        if crowded.background.is_empty() {
            return;
        }
        let mut order: Vec<usize> = (0..crowded.background.len()).collect();
        order.sort_by(|&a, &b| losses[b].total_cmp(&losses[a]));
        self.forced = order.into_iter().map(|place| crowded.background[place]).collect();
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
}

impl RoiBatch {
    pub fn new(parts: &[(&Candidates, &Truth, &Draw)], device: Device) -> Self {
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
        }
    }

    /// Returns `(classifier, box, ellipse)` losses; the first two are torchvision's unless `config` has others, the third is computed like
    /// torchvision's second.
    pub fn losses(&self, output: &RoiOutput, config: &SamplerConfig) -> (Tensor, Tensor, Tensor) {
        let classifier = losses::classifier_loss(&output.logits, &self.labels, focus(config));
        let boxes = match config.box_loss {
            BoxLoss::SmoothL1 => losses::smooth_l1_loss(&output.codes, &self.labels, &self.codes, config.box_beta),
            BoxLoss::Giou => losses::giou_loss(&output.codes, &self.labels, &self.codes, &self.rois_beside(output)),
        };
        let boxes = if config.box_weight == 1.0 { boxes } else { boxes * config.box_weight };
        (classifier, boxes, self.ellipse_loss(output))
    }

    /// Returns all RoIs `[R, 4]` on the output's device.
    fn rois_beside(&self, output: &RoiOutput) -> Tensor {
        upload(&Tensor::cat(&self.rois, 0), output.codes.device())
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
    pub fn loss_of_each(&self, output: &RoiOutput, config: &SamplerConfig) -> Vec<Vec<f32>> {
        if self.labels.size() == [0] {
            return self.rois.iter().map(|_| Vec::new()).collect();
        }
        let classifier = losses::classifier_losses(&output.logits, &self.labels, focus(config));
        let boxes = match config.box_loss {
            BoxLoss::SmoothL1 => losses::own_codes(&output.codes, &self.labels, &self.codes)
                .smooth_l1_loss(&self.codes, Reduction::None, config.box_beta)
                .sum_dim_intlist([1_i64].as_slice(), false, Kind::Float),
            BoxLoss::Giou => {
                losses::boxes_giou_losses(&output.codes, &self.labels, &self.codes, &self.rois_beside(output))
            }
        };
        let boxes = if config.box_weight == 1.0 { boxes } else { boxes * config.box_weight };
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

fn focus(config: &SamplerConfig) -> Focus {
    Focus { gamma: config.focal_gamma, background_weight: config.background_weight }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::super::NetworkImage;
    use super::super::TrainingSample;
    use super::*;
    use crate::geometry::{BoundingBox, NetworkPx};

    fn square(x: f64, y: f64) -> BoundingBox<NetworkPx> {
        BoundingBox::new(x, y, x + 10.0, y + 10.0)
    }

    fn tensor(boxes: &[BoundingBox<NetworkPx>]) -> Tensor {
        let values: Vec<f32> = boxes.iter().flat_map(|b| [b.x1, b.y1, b.x2, b.y2].map(|v| v as f32)).collect();
        Tensor::from_slice(&values).reshape([-1, 4])
    }

    /// A face at (0, 0) and hard negatives at (200, 0), (220, 0) and so on, with proposals that overlap none of each other: the first on
    /// the face, the second on the first hard negative, the rest on nothing.
    fn scene(hard_negatives: usize, config: &SamplerConfig) -> (Candidates, Truth) {
        let image = image::RgbImage::new(32, 32);
        let prepared =
            NetworkImage::prepare(&image, &super::super::DetectorConfig::of(super::super::Architecture::ResNet18Fpn))
                .unwrap();
        let sample = TrainingSample {
            image: prepared,
            faces: vec![square(0.0, 0.0)],
            labels: vec![],
            ellipses: vec![],
            misclassified: vec![],
            hard_negatives: (0..hard_negatives).map(|k| square(200.0 + 20.0 * k as f64, 0.0)).collect(),
            hard_negative_labels: vec![],
            ignored: vec![],
        };
        let truth = Truth::of(&sample);
        let free = (0..8).map(|k| square(20.0 * f64::from(k), 100.0));
        let proposals: Vec<_> = [square(1.0, 0.0), square(200.0, 1.0)].into_iter().chain(free).collect();
        (Candidates::new(&tensor(&proposals), &truth, config), truth)
    }

    fn config(kind: SamplerKind) -> SamplerConfig {
        SamplerConfig {
            kind,
            batch_per_image: 8,
            forced_fraction: 0.25,
            bg_iou: (0.0, 0.5),
            ..SamplerConfig::default()
        }
    }

    /// The indices of a scene's hard negatives follow 10 proposals and the face.
    const FIRST: usize = 11;

    #[test]
    fn mined_ones_of_the_highest_loss_come_first_and_ohem_fills_the_rest() {
        let config = config(SamplerKind::MinedOhem);
        let (candidates, truth) = scene(4, &config);
        let all = candidates.all(&config);
        assert_eq!((all.foreground.len(), all.forced), (2, 4));
        assert_eq!(all.background[..4], [FIRST, FIRST + 1, FIRST + 2, FIRST + 3]);
        // In the order of `all`: 2 foreground, 4 mined, the proposal on the first mined one, 8 on nothing.
        let losses = [0.9, 0.1, 5.0, 1.0, 7.0, 6.0, 9.0, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1];
        assert_eq!(losses.len(), all.foreground.len() + all.background.len());
        let drawn = candidates.hardest(&all, &losses, &config);
        // A quarter of 8 RoIs is forced: the losses 7 and 6. The others, unforced, follow by loss: the proposal of loss 9 is chosen and
        // suppresses the mined one of loss 5 below it; of the two foreground RoIs, which overlap, the better one stays.
        assert_eq!(drawn.forced, 2);
        assert_eq!(drawn.background[..2], [FIRST + 2, FIRST + 3]);
        assert!(drawn.background.contains(&1) && !drawn.background.contains(&FIRST), "{drawn:?}");
        assert!(drawn.background.contains(&(FIRST + 1)) && drawn.foreground.len() == 1, "{drawn:?}");
        assert_eq!(drawn.foreground.len() + drawn.background.len(), 8);
        let mut counts = SamplerCounts::default();
        candidates.count(&drawn, &truth, &mut counts);
        assert_eq!((counts.forced, counts.forced_of), (2, vec![2]));
    }

    #[test]
    fn a_region_that_is_forced_is_not_chosen_again_by_its_loss() {
        let config = config(SamplerKind::MinedOhem);
        let (candidates, _) = scene(1, &config);
        let all = candidates.all(&config);
        let losses = [0.9, 0.1, 5.0, 9.0, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1];
        let drawn = candidates.hardest(&all, &losses, &config);
        assert_eq!((drawn.forced, drawn.background[0]), (1, FIRST));
        assert!(!drawn.background.contains(&1), "the proposal of loss 9 is the same region: {drawn:?}");
    }

    #[test]
    fn ohem_alone_forces_nothing_and_mined_ones_leave_foreground_its_share() {
        let ohem = config(SamplerKind::Ohem);
        let (candidates, _) = scene(4, &ohem);
        let all = candidates.all(&ohem);
        assert_eq!(all.forced, 0);
        let losses: Vec<f32> = (0..15_u8).map(f32::from).collect();
        assert_eq!(candidates.hardest(&all, &losses, &ohem).forced, 0);
        let greedy = SamplerConfig { forced_fraction: 1.0, ..config(SamplerKind::MinedOhem) };
        let (candidates, _) = scene(20, &greedy);
        let drawn = candidates.hardest(&candidates.all(&greedy), &[1.0; 31], &greedy);
        assert_eq!(drawn.forced, 6, "a quarter of 8 is left for the two foreground RoIs");
    }

    #[test]
    fn a_crowded_image_forces_its_hard_negatives_of_the_highest_loss() {
        let config = SamplerConfig { forced_order: super::super::ForcedOrder::Loss, ..config(SamplerKind::Random) };
        let (mut candidates, _) = scene(4, &config);
        let crowded = candidates.crowded(&config);
        assert_eq!(crowded.background, [FIRST, FIRST + 1, FIRST + 2, FIRST + 3]);
        let draw = |candidates: &Candidates| candidates.draw(&config, &mut ChaCha8Rng::seed_from_u64(1));
        assert_eq!(draw(&candidates).background[..2], [FIRST, FIRST + 1], "by score");
        candidates.prioritise(&crowded, &[0.1, 0.3, 0.2, 0.9]);
        assert_eq!(draw(&candidates).background[..2], [FIRST + 3, FIRST + 1], "by loss");
        // Two fit: their order does not matter, and no loss is computed.
        let (candidates, _) = scene(2, &config);
        assert_eq!(candidates.crowded(&config), Draw::default());
    }
}
