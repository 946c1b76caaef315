//! The second stage: pooled features of each proposal -> class, box and ellipse.
//!
//! Shapes: n RoIs of all images, K classes; pooled `[n, C, r, r]`, logits `[n, K]`, codes `[n, K * 4]`, ellipses `[n, 6]`.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::config::{DetectorConfig, RoiHeadConfig};
use super::ellipse_coder::{CODES, UPRIGHT};
use super::layers::Linear;
use super::ops::roi_align::{Canonical, multiscale_roi_align};
use super::parameters::{Builder, Init};
use super::resnet::{ResNetShape, Stage};

/// Number of levels used for RoIs: the pyramid's strides 4 to 32, without the last.
const ROI_LEVELS: usize = 4;

/// conv5_x or two fully connected layers.
#[derive(Debug)]
enum BoxHead {
    FullyConnected { fc6: Linear, fc7: Linear },
    Conv5(Stage),
}

#[derive(Debug)]
pub(super) struct RoiHead {
    head: BoxHead,
    scores: Linear,
    codes: Linear,
    ellipses: Option<Linear>,
    config: RoiHeadConfig,
}

/// The second stage's output for n RoIs, image by image.
#[derive(Debug)]
pub(super) struct RoiOutput {
    /// `[n, F]`: the input of the last layers.
    pub features: Tensor,
    pub logits: Tensor,
    pub codes: Tensor,
    pub ellipses: Option<Tensor>,
}

impl RoiHead {
    /// Creates the parameters `roi_heads.*`.
    pub fn new(b: &mut Builder, config: &DetectorConfig, channels: i64) -> Self {
        let conv5 = ResNetShape::of(config.architecture).filter(|_| !config.architecture.has_pyramid());
        let (head, features) = if let Some(shape) = conv5 {
            (BoxHead::Conv5(Stage::new(b, "roi_heads.box_head", config, shape, 5)), shape.channels(5))
        } else {
            let (hidden, init) = (config.roi.hidden, Init::FanIn { gain: 3.0 });
            let pooled = channels * config.roi.resolution * config.roi.resolution;
            let fc6 = Linear::new(b, "roi_heads.box_head.fc6", pooled, hidden, init);
            let fc7 = Linear::new(b, "roi_heads.box_head.fc7", hidden, hidden, init);
            (BoxHead::FullyConnected { fc6, fc7 }, hidden)
        };
        let classes = config.num_classes;
        let predictor = |part: &str| format!("roi_heads.box_predictor.{part}");
        let scores = Linear::new(b, &predictor("cls_score"), features, classes, Init::Normal(0.01));
        let codes = Linear::new(b, &predictor("bbox_pred"), features, classes * 4, Init::Normal(0.001));
        let ellipses = config.ellipse_head.then(|| {
            let start = Init::Values(&UPRIGHT);
            Linear::with_bias(b, &predictor("ellipse_pred"), (features, CODES as i64), Init::Normal(0.001), start)
        });
        Self { head, scores, codes, ellipses, config: config.roi }
    }

    /// `rois` are the boxes `[n_b, 4]` of each image, `image` is the padded (height, width). `dropout` generates the masks during training.
    pub fn forward(
        &self,
        maps: &[Tensor],
        rois: &[Tensor],
        image: (i64, i64),
        dropout: Option<&mut ChaCha8Rng>,
    ) -> RoiOutput {
        let kind = maps[0].kind();
        let maps: Vec<&Tensor> = maps.iter().take(ROI_LEVELS).collect();
        let RoiHeadConfig { resolution, sampling_ratio, .. } = self.config;
        let out = (resolution, resolution);
        let pooled = multiscale_roi_align(&maps, rois, image, out, sampling_ratio, Canonical::default());
        let features = self.features(&pooled.to_kind(kind), dropout).to_kind(Kind::Float);
        RoiOutput {
            logits: self.scores.forward(&features),
            codes: self.codes.forward(&features),
            ellipses: self.ellipses.as_ref().map(|head| head.forward(&features)),
            features,
        }
    }

    fn features(&self, pooled: &Tensor, dropout: Option<&mut ChaCha8Rng>) -> Tensor {
        let (fc6, fc7) = match &self.head {
            BoxHead::FullyConnected { fc6, fc7 } => (fc6, fc7),
            // A convolution of zero RoIs is an error in libtorch; use an empty feature tensor.
            BoxHead::Conv5(stage) if pooled.size()[0] == 0 => return stage.empty(pooled),
            BoxHead::Conv5(stage) => return stage.forward(pooled).mean_dim([2_i64, 3].as_slice(), false, Kind::Float),
        };
        let Some(rng) = dropout.filter(|_| self.config.dropout > 0.0) else {
            return fc7.forward(&fc6.forward(&pooled.flatten(1, 3)).relu_()).relu_();
        };
        let hidden = self.drop_out(&fc6.forward(&pooled.flatten(1, 3)).relu_(), rng);
        self.drop_out(&fc7.forward(&hidden).relu_(), rng)
    }

    /// Sets a fraction of the values to 0 and scales up the others. The masks come from `rng`, so that a resumed run draws the same.
    fn drop_out(&self, x: &Tensor, rng: &mut ChaCha8Rng) -> Tensor {
        let kept = 1.0 - self.config.dropout;
        let scale = (1.0 / kept) as f32;
        if x.device().is_cuda() {
            // Seeds the device's own generator for each mask: drawing a million numbers here and copying them takes milliseconds.
            tch::manual_seed(rng.random::<i64>());
            return x * x.rand_like().lt(kept).to_kind(x.kind()) * f64::from(scale);
        }
        let mask: Vec<f32> =
            (0..x.numel()).map(|_| if rng.random::<f32>() < kept as f32 { scale } else { 0.0 }).collect();
        x * Tensor::from_slice(&mask).reshape(x.size()).to_kind(x.kind()).to_device(x.device())
    }
}
