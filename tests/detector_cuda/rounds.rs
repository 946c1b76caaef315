//! Whole rounds of a tiny detector: steps, resuming, and a full GPU memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use quarry::detector::{Detector, choose_device};
use quarry::domain::{Cancel, ImageId, Shape, Sources};
use quarry::geometry::BoundingBox;
use quarry::training::{
    MinedNegatives, Outcome, RoundConfig, RoundHooks, RoundTask, RunLock, Start, TrainEvent, TrainSummary,
    TrainingImage, train_round,
};
use tch::{Device, Kind, Tensor};

use super::on_gpu;

/// TF32 has ten mantissa bits; six steps of a small network propagate the first errors.
const LOSS_TOLERANCE: f64 = 0.02;

/// The losses of each step and the warnings; cancels after `stop_after` steps.
#[derive(Default)]
struct Watch {
    totals: Vec<f64>,
    warnings: Vec<String>,
    device: String,
    stop_after: Option<usize>,
    cancel: Cancel,
    mined_on: String,
}

impl RoundHooks for Watch {
    fn event(&mut self, event: TrainEvent) {
        match event {
            TrainEvent::Started(start) => self.device = start.device,
            TrainEvent::Step(report) => {
                self.totals.push(report.total);
                if self.stop_after == Some(self.totals.len()) {
                    self.cancel.cancel();
                }
            }
            TrainEvent::Warning(text) => self.warnings.push(text),
            _ => {}
        }
    }

    fn evaluate(&mut self, _: u64, _: &Detector) -> Result<Option<f64>, String> {
        Ok(None)
    }

    fn mine(
        &mut self,
        _: u64,
        detector: &Detector,
        images: &[&TrainingImage],
    ) -> Result<Vec<Option<MinedNegatives>>, String> {
        self.mined_on = format!("{:?}", detector.device());
        let again = |image: &&TrainingImage| MinedNegatives {
            hard_negatives: [&image.hard_negatives[..], &[(BoundingBox::new(0.0, 0.0, 10.0, 10.0), 0.8)]].concat(),
            hard_negative_labels: vec![1; image.hard_negatives.len() + 1],
            misclassified: vec![],
        };
        Ok(images.iter().map(again).map(Some).collect())
    }
}

fn config(device: &str, more: &str) -> RoundConfig {
    let text = format!(
        "preset = \"sample\"\ndevice = \"{device}\"\niterations = 6\nbatch_images = 2\ncheckpoint_every = 3\nevaluate_every = 0\n\
         workers = 2\nschedule = \"cosine\"\nmilestones = []\n{more}\n[sampler]\nbatch_per_image = 16\nrpn_batch_per_image = 16\n\
         [detector]\narchitecture = \"resnet18-fpn\"\nshorter_side = 48\nlonger_side_cap = 64\npyramid_channels = 16\n\
         [detector.roi]\nhidden = 16\n"
    );
    RoundConfig::from_toml(&text, "tests").unwrap()
}

/// The number in the name determines the image: a bright square on a grey background.
fn decode(path: &Path) -> Result<RgbImage, String> {
    let seed: u32 = path.to_string_lossy().parse().map_err(|_| "not a picture".to_owned())?;
    Ok(RgbImage::from_fn(64, 48, |x, y| {
        let texture = ((x * 7 + y * 13 + seed * 29) % 31) as u8;
        let face = (12..28).contains(&x) && (10..34).contains(&y);
        if face { Rgb([220, 180 + texture, 150]) } else { Rgb([60 + texture, 90, 80]) }
    }))
}

fn train(config: &RoundConfig, run_dir: &Path, start: Start, watch: &mut Watch) -> TrainSummary {
    let image = |n: u32| TrainingImage {
        id: ImageId(i64::from(n)),
        path: PathBuf::from(n.to_string()),
        size: (64, 48),
        faces: vec![Shape::Rectangle(BoundingBox::new(12.0, 10.0, 28.0, 34.0))],
        labels: vec![],
        misclassified: vec![],
        hard_negatives: vec![(BoundingBox::new(40.0, 10.0, 56.0, 34.0), 0.9)],
        hard_negative_labels: vec![],
        ignored: vec![],
    };
    fs::create_dir_all(run_dir.parent().unwrap()).unwrap();
    let lock = RunLock::take(run_dir.parent().unwrap()).unwrap();
    let images = (1..=5).map(image).collect();
    let (left_out, sources) = (BTreeSet::new(), Sources::default());
    let task = RoundTask { lock, images, left_out, sources, decode, backbone: None, previous: None, run_dir, start };
    let cancel = watch.cancel.clone();
    train_round(config, task, watch, &cancel).unwrap()
}

fn word(device: Device) -> &'static str {
    if device == Device::Cpu { "cpu" } else { "cuda" }
}

fn agree(what: &str, cpu: &[f64], other: &[f64]) {
    println!("{what}: CPU {cpu:?}, other {other:?}");
    assert_eq!(cpu.len(), other.len(), "{what}");
    let is_near = |(a, b): (&f64, &f64)| (a - b).abs() <= LOSS_TOLERANCE * (a.abs() + 0.01);
    assert!(cpu.iter().zip(other).all(is_near), "{what}: CPU {cpu:?}, other {other:?}");
}

#[test]
fn a_round_and_its_resume_learn_as_on_the_cpu() {
    on_gpu("a round and its resume", |device| {
        let dir = tempfile::tempdir().unwrap();
        let of = |name: &str| dir.path().join(name).join("1");
        let (mut cpu, mut whole) = (Watch::default(), Watch::default());
        train(&config("cpu", ""), &of("cpu"), Start::Fresh, &mut cpu);
        let config = config(word(device), "");
        let summary = train(&config, &of("whole"), Start::Fresh, &mut whole);
        assert_eq!((summary.outcome, summary.step), (Outcome::Done, 6));
        assert_eq!(whole.device, format!("{device:?}"));
        agree("a round", &cpu.totals, &whole.totals);

        let mut first = Watch { stop_after: Some(3), ..Watch::default() };
        let stopped = train(&config, &of("halves"), Start::Fresh, &mut first);
        assert_eq!((stopped.outcome, stopped.step), (Outcome::Cancelled, 3));
        let mut second = Watch::default();
        train(&config, &of("halves"), Start::Resume, &mut second);
        agree("a resumed round", &cpu.totals, &[first.totals, second.totals].concat());
        let drawn = |name: &str| fs::read_to_string(of(name).join("sampler.csv")).unwrap();
        assert_eq!(drawn("halves").lines().count(), drawn("cpu").lines().count());
    });
}

#[test]
fn averages_and_mining_within_a_round_work_as_on_the_cpu() {
    on_gpu("averaged weights and mining within a round", |device| {
        let dir = tempfile::tempdir().unwrap();
        let more = "ema = 0.9\nmine_every = 2\nmine_images = 3";
        let run = |name: &str, word: &str| {
            let (run_dir, mut watch) = (dir.path().join(name).join("1"), Watch::default());
            train(&config(word, more), &run_dir, Start::Fresh, &mut watch);
            let model = Tensor::read_safetensors(run_dir.join("checkpoints/step-0000006/model.safetensors")).unwrap();
            (watch, model.into_iter().collect::<BTreeMap<String, Tensor>>())
        };
        let ((cpu, cpu_model), (other, other_model)) = (run("cpu", "cpu"), run("other", word(device)));
        agree("a round that averages and mines", &cpu.totals, &other.totals);
        assert_eq!(other.mined_on, format!("{device:?}"));
        for (name, tensor) in &cpu_model {
            let off = (tensor - &other_model[name]).abs().max().double_value(&[]);
            assert!(off <= LOSS_TOLERANCE * tensor.abs().max().double_value(&[]).max(0.01), "{name}: {off}");
        }
    });
}

/// Size of the tensors that fill the GPU, in bytes.
const BLOCK: i64 = 1 << 26;

/// Fills the GPU memory except for `spare` bytes, and trains with a larger batch than fits.
#[test]
fn a_full_gpu_halves_the_mini_batch_and_goes_on() {
    on_gpu("running out of memory", |device| {
        if device == Device::Cpu {
            eprintln!("SKIPPED in the dry run: running out of memory needs a GPU to fill");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let spare = 1_500_000_000;
        let mut blocks = Vec::new();
        while let Ok(block) = Tensor::f_zeros([BLOCK], (Kind::Uint8, device)) {
            blocks.push(block);
        }
        blocks.truncate(blocks.len().saturating_sub((spare / BLOCK) as usize));
        let config = RoundConfig { batch_images: 16, iterations: 2, ..large(word(device)) };
        let mut watch = Watch::default();
        let summary = train(&config, &dir.path().join("1"), Start::Fresh, &mut watch);
        drop(blocks);
        assert_eq!((summary.outcome, summary.step), (Outcome::Done, 2));
        let halved = watch.warnings.iter().filter(|text| text.contains("Out of memory")).count();
        assert!(halved > 0, "sixteen images fitted into {spare} bytes: {:?}", watch.warnings);
        println!("{:?}", watch.warnings);
        assert!(choose_device("cuda").is_ok());
    });
}

/// The paper's image size with a small network.
fn large(device: &str) -> RoundConfig {
    let mut config = config(device, "");
    (config.detector.shorter_side, config.detector.longer_side_cap) = (600, 1000);
    config
}
